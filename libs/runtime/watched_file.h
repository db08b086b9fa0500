#pragma once

#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include <cstdint>
#include <optional>
#include <string>

#include "base/clock.h"

namespace vedette::runtime {

/// The content of a small file (at most 1 MiB).
absl::StatusOr<std::string> ReadSmallFile(const std::string& path);

/// Tells when a file changed on disk; looks at most once a second. Not thread-safe.
class WatchedFile {
 public:
  explicit WatchedFile(std::string path) : path_(std::move(path)) {}
  const std::string& path() const { return path_; }
  /// The new content when the file differs from what was last returned (always at first); nothing when it does not, or
  /// when it cannot be read now (status says why): whoever has an old content goes on with it.
  std::optional<std::string> Poll(absl::Time now, absl::Status* status);

 private:
  std::string path_;
  absl::Time next_look_ = absl::InfinitePast();
  int64_t stamp_ = 0;  ///< modification time, inode and size, mixed
};

}  // namespace vedette::runtime
