#include "table/encoding.h"

#include <algorithm>
#include <cstring>

namespace vedette::table {
namespace {

void AppendUtf8(uint32_t c, std::string* out) {
  if (c < 0x80) {
    out->push_back(static_cast<char>(c));
  } else if (c < 0x800) {
    out->push_back(static_cast<char>(0xC0 | c >> 6));
    out->push_back(static_cast<char>(0x80 | (c & 0x3F)));
  } else if (c < 0x10000) {
    out->push_back(static_cast<char>(0xE0 | c >> 12));
    out->push_back(static_cast<char>(0x80 | (c >> 6 & 0x3F)));
    out->push_back(static_cast<char>(0x80 | (c & 0x3F)));
  } else {
    out->push_back(static_cast<char>(0xF0 | c >> 18));
    out->push_back(static_cast<char>(0x80 | (c >> 12 & 0x3F)));
    out->push_back(static_cast<char>(0x80 | (c >> 6 & 0x3F)));
    out->push_back(static_cast<char>(0x80 | (c & 0x3F)));
  }
}

/// Length of the well-formed UTF-8 sequence at the front of [p, end), or 0.
size_t SequenceLength(const unsigned char* p, const unsigned char* end) {
  const unsigned char c = *p;
  const auto left = static_cast<size_t>(end - p);
  auto follows = [&](size_t i, unsigned char lo = 0x80, unsigned char hi = 0xBF) { return p[i] >= lo && p[i] <= hi; };
  if (c < 0x80) return 1;
  if (c < 0xC2) return 0;
  if (c < 0xE0) return left >= 2 && follows(1) ? 2 : 0;
  if (c < 0xF0) {
    const unsigned char lo = c == 0xE0 ? 0xA0 : 0x80, hi = c == 0xED ? 0x9F : 0xBF;
    return left >= 3 && follows(1, lo, hi) && follows(2) ? 3 : 0;
  }
  if (c < 0xF5) {
    const unsigned char lo = c == 0xF0 ? 0x90 : 0x80, hi = c == 0xF4 ? 0x8F : 0xBF;
    return left >= 4 && follows(1, lo, hi) && follows(2) && follows(3) ? 4 : 0;
  }
  return 0;
}

}  // namespace

DetectedEncoding DetectEncoding(std::string_view head) {
  if (head.starts_with("\xEF\xBB\xBF")) return {TextEncoding::kBytes, 3};
  if (head.starts_with("\xFF\xFE")) return {TextEncoding::kUtf16Le, 2};
  if (head.starts_with("\xFE\xFF")) return {TextEncoding::kUtf16Be, 2};
  // Text in a Latin script as UTF-16 has a zero in (almost) every other byte; nothing else that is text has.
  head = head.substr(0, kEncodingSample);
  size_t zeros[2] = {0, 0};
  for (size_t i = 0; i < head.size(); ++i) zeros[i % 2] += head[i] == '\0';
  const size_t pairs = head.size() / 2;
  if (pairs >= 2 && zeros[1] * 10 >= pairs * 9 && zeros[0] == 0) return {TextEncoding::kUtf16Le, 0, true};
  if (pairs >= 2 && zeros[0] * 10 >= pairs * 9 && zeros[1] == 0) return {TextEncoding::kUtf16Be, 0, true};
  return {};
}

std::string_view BinaryFormatName(std::string_view head) {
  using std::string_view_literals::operator""sv;
  if (head.starts_with("PK\x03\x04")) return "an Excel workbook or another zip file";
  if (head.starts_with("\xD0\xCF\x11\xE0")) return "an old Excel workbook (.xls)";
  if (head.starts_with("%PDF-")) return "a PDF file";
  if (head.starts_with("PAR1")) return "a Parquet file";
  if (head.starts_with("ARROW1")) return "an Arrow file";
  if (head.starts_with("BZh")) return "compressed with bzip2";
  if (head.starts_with("\xFD" "7zXZ\0"sv)) return "compressed with xz";
  if (head.starts_with("\x28\xB5\x2F\xFD")) return "compressed with zstd";
  if (head.starts_with("\x89HDF")) return "an HDF5 file";
  if (head.starts_with("\x93NUMPY")) return "a NumPy array file";
  return {};
}

void Utf16Decoder::Replace(std::string* out) {
  AppendUtf8(0xFFFD, out);
  ++replaced_;
}

void Utf16Decoder::Unit(uint32_t unit, std::string* out) {
  const bool low = unit >= 0xDC00 && unit <= 0xDFFF;
  if (high_ != 0) {
    const uint32_t high = high_;
    high_ = 0;
    if (low) {
      AppendUtf8(0x10000 + ((high - 0xD800) << 10) + (unit - 0xDC00), out);
      return;
    }
    Replace(out);
  }
  if (unit >= 0xD800 && unit <= 0xDBFF) {
    high_ = unit;
  } else if (low) {
    Replace(out);
  } else {
    AppendUtf8(unit, out);
  }
}

void Utf16Decoder::Decode(std::string_view bytes, std::string* out) {
  for (const char c : bytes) {
    const auto b = static_cast<unsigned char>(c);
    if (has_byte_) {
      Unit(big_endian_ ? static_cast<uint32_t>(byte_ << 8 | b) : static_cast<uint32_t>(b << 8 | byte_), out);
    }
    byte_ = b;
    has_byte_ = !has_byte_;
  }
}

void Utf16Decoder::Finish(std::string* out) {
  if (has_byte_ || high_ != 0) Replace(out);
  has_byte_ = false;
  high_ = 0;
}

bool IsUtf8(std::string_view text) {
  const auto* p = reinterpret_cast<const unsigned char*>(text.data());
  const auto* end = p + text.size();
  while (p < end) {
    const size_t n = SequenceLength(p, end);
    if (n == 0) return false;
    p += n;
  }
  return true;
}

std::string Windows1252ToUtf8(std::string_view text) {
  constexpr uint16_t kHigh[32] = {0x20AC, 0x81,   0x201A, 0x0192, 0x201E, 0x2026, 0x2020, 0x2021, 0x02C6, 0x2030, 0x0160,
                                  0x2039, 0x0152, 0x8D,   0x017D, 0x8F,   0x90,   0x2018, 0x2019, 0x201C, 0x201D, 0x2022,
                                  0x2013, 0x2014, 0x02DC, 0x2122, 0x0161, 0x203A, 0x0153, 0x9D,   0x017E, 0x0178};
  std::string out;
  out.reserve(text.size() + text.size() / 8 + 4);
  for (const char c : text) {
    const auto b = static_cast<unsigned char>(c);
    AppendUtf8(b >= 0x80 && b < 0xA0 ? kHigh[b - 0x80] : b, &out);
  }
  return out;
}

std::string_view ToUtf8(std::string_view text, std::string* scratch, bool* converted) {
  size_t i = 0;
  for (uint64_t word = 0; i + sizeof word <= text.size(); i += sizeof word) {
    std::memcpy(&word, text.data() + i, sizeof word);
    if ((word & 0x8080808080808080) != 0) break;
  }
  while (i < text.size() && static_cast<unsigned char>(text[i]) < 0x80) ++i;
  if (i == text.size() || IsUtf8(text.substr(i))) return text;
  *converted = true;
  *scratch = Windows1252ToUtf8(text);
  return *scratch;
}

std::string Printable(std::string_view text, size_t max_bytes) {
  std::string converted;
  if (!IsUtf8(text)) {
    converted = Windows1252ToUtf8(text.substr(0, max_bytes));
    text = converted;
  }
  size_t n = std::min(text.size(), max_bytes);
  while (n > 0 && n < text.size() && (static_cast<unsigned char>(text[n]) & 0xC0) == 0x80) --n;
  std::string out(text.substr(0, n));
  for (char& c : out) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) c = '?';
  }
  return out;
}

}  // namespace vedette::table
