// Text encodings: what comes in is turned into UTF-8.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace vedette::table {

enum class TextEncoding : uint8_t { kBytes, kUtf16Le, kUtf16Be };  ///< kBytes: UTF-8 or a one-byte code page, kept as is

struct DetectedEncoding {
  TextEncoding encoding = TextEncoding::kBytes;
  size_t bom_bytes = 0;  ///< to skip
  bool guessed = false;  ///< UTF-16 without a byte order mark, from the zero bytes
};
/// From the first bytes of the input (all of it, or at least kEncodingSample).
DetectedEncoding DetectEncoding(std::string_view head);
inline constexpr size_t kEncodingSample = 64;

/// "a PDF file", "an Excel workbook or another zip file"... when the first bytes say that this is no text; else "".
std::string_view BinaryFormatName(std::string_view head);

/// UTF-16 to UTF-8, in any pieces. An unpaired surrogate becomes U+FFFD and is counted.
class Utf16Decoder {
 public:
  explicit Utf16Decoder(bool big_endian) : big_endian_(big_endian) {}
  void Decode(std::string_view bytes, std::string* out);
  /// Ends the input: an odd byte or an open surrogate pair becomes U+FFFD.
  void Finish(std::string* out);
  int64_t replaced() const { return replaced_; }

 private:
  void Unit(uint32_t unit, std::string* out);
  void Replace(std::string* out);
  bool big_endian_;
  bool has_byte_ = false;
  unsigned char byte_ = 0;
  uint32_t high_ = 0;
  int64_t replaced_ = 0;
};

/// Well-formed UTF-8 (Unicode 15, table 3-7: no overlong forms, no surrogates, nothing above U+10FFFF).
bool IsUtf8(std::string_view text);

/// Windows-1252 to UTF-8; the five bytes without a meaning there become the control characters of the same number, as
/// in the WHATWG encoding standard.
std::string Windows1252ToUtf8(std::string_view text);

/// `text` itself when it is UTF-8; else converted from Windows-1252 into `scratch` (which `text` may lie in), with
/// `converted` set.
std::string_view ToUtf8(std::string_view text, std::string* scratch, bool* converted);

/// At most `max_bytes` of the text, cut between characters, control characters as '?'; valid UTF-8 whatever comes in.
std::string Printable(std::string_view text, size_t max_bytes);

}  // namespace vedette::table
