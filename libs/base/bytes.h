// Little-endian binary writing and bounded reading, for formats that must load for ever and survive hostile bytes.
#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace vedette {

class ByteWriter {
 public:
  void U8(uint8_t v) { out_.push_back(static_cast<char>(v)); }
  void U32(uint32_t v) { Raw(&v, sizeof v); }
  void U64(uint64_t v) { Raw(&v, sizeof v); }
  void I64(int64_t v) { Raw(&v, sizeof v); }
  void F64(double v) { Raw(&v, sizeof v); }
  /// Length (u64), then the bytes.
  void String(std::string_view s);
  void Doubles(std::span<const double> v);
  void Floats(std::span<const float> v);
  void Ints(std::span<const int64_t> v);
  void I32s(std::span<const int32_t> v);

  const std::string& bytes() const { return out_; }
  std::string Take() { return std::move(out_); }

 private:
  void Raw(const void* p, size_t n) { out_.append(static_cast<const char*>(p), n); }
  std::string out_;
};

/// Reads what ByteWriter wrote. The first read beyond the end, or a length that the remaining bytes cannot hold, makes
/// the reader fail: every later read returns zero or empty, and status() says where. Nothing is allocated for a length
/// before it was checked. Check status() once at the end, and before using a value as a size or an index.
class ByteReader {
 public:
  explicit ByteReader(std::string_view bytes) : in_(bytes) {}

  uint8_t U8();
  uint32_t U32();
  uint64_t U64();
  int64_t I64();
  double F64();
  std::string String();
  std::vector<double> Doubles();
  std::vector<float> Floats();
  std::vector<int64_t> Ints();
  std::vector<int32_t> I32s();

  bool ok() const { return status_.ok(); }
  const absl::Status& status() const { return status_; }
  /// OK when everything was read without failure and nothing is left over.
  absl::Status Finish() const;
  /// Marks the input as bad (a value out of range); keeps the first failure.
  void Fail(std::string_view why);
  size_t position() const { return pos_; }
  size_t remaining() const { return in_.size() - pos_; }

 private:
  template <typename T>
  T Scalar();
  template <typename T>
  std::vector<T> Array();
  bool Need(uint64_t n);

  std::string_view in_;
  size_t pos_ = 0;
  absl::Status status_;
};

}  // namespace vedette
