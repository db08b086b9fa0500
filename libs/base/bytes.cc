#include "base/bytes.h"

#include <bit>
#include <cstring>

#include "base/status.h"

namespace vedette {

static_assert(std::endian::native == std::endian::little, "the formats are little-endian and written directly");

void ByteWriter::String(std::string_view s) {
  U64(s.size());
  Raw(s.data(), s.size());
}
void ByteWriter::Doubles(std::span<const double> v) {
  U64(v.size());
  Raw(v.data(), v.size_bytes());
}
void ByteWriter::Floats(std::span<const float> v) {
  U64(v.size());
  Raw(v.data(), v.size_bytes());
}
void ByteWriter::Ints(std::span<const int64_t> v) {
  U64(v.size());
  Raw(v.data(), v.size_bytes());
}
void ByteWriter::I32s(std::span<const int32_t> v) {
  U64(v.size());
  Raw(v.data(), v.size_bytes());
}

bool ByteReader::Need(uint64_t n) {
  if (!status_.ok()) return false;
  if (n > in_.size() - pos_) {
    status_ = DataLoss("byte {}: {} more bytes were needed, {} are left", pos_, n, in_.size() - pos_);
    return false;
  }
  return true;
}

template <typename T>
T ByteReader::Scalar() {
  T v{};
  if (!Need(sizeof(T))) return v;
  std::memcpy(&v, in_.data() + pos_, sizeof(T));
  pos_ += sizeof(T);
  return v;
}

template <typename T>
std::vector<T> ByteReader::Array() {
  const uint64_t n = Scalar<uint64_t>();
  if (!status_.ok()) return {};
  if (n > remaining() / sizeof(T)) {
    status_ = DataLoss("byte {}: an array of {} values does not fit in the {} bytes that are left", pos_, n, remaining());
    return {};
  }
  std::vector<T> v(n);
  if (n > 0) std::memcpy(v.data(), in_.data() + pos_, n * sizeof(T));
  pos_ += n * sizeof(T);
  return v;
}

uint8_t ByteReader::U8() { return Scalar<uint8_t>(); }
uint32_t ByteReader::U32() { return Scalar<uint32_t>(); }
uint64_t ByteReader::U64() { return Scalar<uint64_t>(); }
int64_t ByteReader::I64() { return Scalar<int64_t>(); }
double ByteReader::F64() { return Scalar<double>(); }
std::vector<double> ByteReader::Doubles() { return Array<double>(); }
std::vector<float> ByteReader::Floats() { return Array<float>(); }
std::vector<int64_t> ByteReader::Ints() { return Array<int64_t>(); }
std::vector<int32_t> ByteReader::I32s() { return Array<int32_t>(); }

std::string ByteReader::String() {
  const uint64_t n = Scalar<uint64_t>();
  if (!Need(n)) return {};
  std::string s(in_.substr(pos_, n));
  pos_ += n;
  return s;
}

absl::Status ByteReader::Finish() const {
  RETURN_IF_ERROR(status_);
  if (remaining() != 0) return DataLoss("{} bytes are left over at byte {}", remaining(), pos_);
  return absl::OkStatus();
}

void ByteReader::Fail(std::string_view why) {
  if (status_.ok()) status_ = DataLoss("byte {}: {}", pos_, why);
}

}  // namespace vedette
