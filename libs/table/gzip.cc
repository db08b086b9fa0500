#include "table/gzip.h"

#include <zlib.h>

#include <algorithm>
#include <array>

#include "base/status.h"

namespace vedette::table {
namespace {
constexpr int kGzipOnly = 15 + 16;  // window of 32 KiB, gzip header and checksum required
constexpr size_t kMaxInput = 1 << 30;  // zlib counts its input in 32 bits
}  // namespace

struct GunzipStream::Impl {
  enum class State { kMember, kBetween, kPadding };
  z_stream z = {};
  State state = State::kMember;
  bool ready = false;
  int64_t consumed = 0;
  std::array<char, 64 << 10> out;

  absl::Status Piece(std::string_view bytes, const OutputFn& output);
};

GunzipStream::GunzipStream() : impl_(std::make_unique<Impl>()) {
  impl_->ready = inflateInit2(&impl_->z, kGzipOnly) == Z_OK;
}
GunzipStream::~GunzipStream() {
  if (impl_->ready) inflateEnd(&impl_->z);
}

absl::Status GunzipStream::Impl::Piece(std::string_view bytes, const OutputFn& output) {
  z.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
  z.avail_in = static_cast<uInt>(bytes.size());
  bool more_output = false;
  while (z.avail_in > 0 || more_output) {
    if (state == State::kBetween) {
      if (*z.next_in == 0) {
        state = State::kPadding;
      } else {
        inflateReset(&z);
        state = State::kMember;
      }
    }
    if (state == State::kPadding) {
      const Bytef* end = z.next_in + z.avail_in;
      const Bytef* other = std::find_if(static_cast<const Bytef*>(z.next_in), end, [](Bytef b) { return b != 0; });
      if (other != end) return DataLoss("gzip: byte {}: other data follow the compressed data", consumed + (bytes.size() - static_cast<size_t>(end - other)));
      break;
    }
    z.next_out = reinterpret_cast<Bytef*>(out.data());
    z.avail_out = static_cast<uInt>(out.size());
    const int rc = inflate(&z, Z_NO_FLUSH);
    const size_t produced = out.size() - z.avail_out;
    if (produced > 0) RETURN_IF_ERROR(output({out.data(), produced}));
    if (rc == Z_STREAM_END) {
      state = State::kBetween;
      more_output = false;
    } else if (rc == Z_OK) {
      more_output = z.avail_out == 0;
    } else if (rc == Z_BUF_ERROR) {
      break;  // nothing left to inflate until more input comes
    } else if (rc == Z_MEM_ERROR) {
      return ResourceExhausted("gzip: no memory");
    } else {
      return DataLoss("gzip: byte {}: the compressed data are damaged ({})", consumed + (bytes.size() - z.avail_in),
                      z.msg != nullptr ? z.msg : "not gzip");
    }
  }
  consumed += static_cast<int64_t>(bytes.size());
  return absl::OkStatus();
}

absl::Status GunzipStream::Feed(std::string_view bytes, const OutputFn& output) {
  if (!impl_->ready) return ResourceExhausted("gzip: no memory");
  for (size_t i = 0; i < bytes.size(); i += kMaxInput) RETURN_IF_ERROR(impl_->Piece(bytes.substr(i, kMaxInput), output));
  return absl::OkStatus();
}

absl::Status GunzipStream::Finish() const {
  if (impl_->state == Impl::State::kMember) {
    return DataLoss("gzip: the compressed data are cut short after {} bytes", impl_->consumed);
  }
  return absl::OkStatus();
}

}  // namespace vedette::table
