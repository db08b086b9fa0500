// Push decompression of gzip (RFC 1952): concatenated members, bounded memory however far the data inflate.
#pragma once

#include <absl/status/status.h>

#include <functional>
#include <memory>
#include <string_view>

namespace vedette::table {

class GunzipStream {
 public:
  using OutputFn = std::function<absl::Status(std::string_view)>;
  GunzipStream();
  ~GunzipStream();

  static bool HasMagic(std::string_view bytes) {
    return bytes.size() >= 2 && bytes[0] == '\x1f' && bytes[1] == '\x8b';
  }

  /// Inflates `bytes` and passes the output on in pieces of at most 64 KiB; an error of `output` ends it. DATA_LOSS
  /// when the data are damaged (the checksum of each member is verified). Zero bytes after the last member are padding.
  absl::Status Feed(std::string_view bytes, const OutputFn& output);
  /// DATA_LOSS when the last member is cut short.
  absl::Status Finish() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace vedette::table
