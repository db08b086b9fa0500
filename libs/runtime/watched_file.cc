#include "runtime/watched_file.h"

#include <sys/stat.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <sstream>

#include "base/status.h"

namespace vedette::runtime {
namespace {
constexpr int64_t kMaxFileBytes = 1 << 20;
}

absl::StatusOr<std::string> ReadSmallFile(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) return NotFound("cannot read {}: {}", path, std::strerror(errno));
  std::string content(kMaxFileBytes + 1, '\0');
  in.read(content.data(), kMaxFileBytes + 1);
  if (in.bad() || (in.fail() && !in.eof())) return Unavailable("cannot read {}: {}", path, std::strerror(errno));
  if (in.gcount() > kMaxFileBytes) return InvalidArgument("{} is larger than 1 MiB", path);
  content.resize(static_cast<size_t>(in.gcount()));
  return content;
}

std::optional<std::string> WatchedFile::Poll(absl::Time now, absl::Status* status) {
  *status = absl::OkStatus();
  if (now < next_look_) return std::nullopt;
  next_look_ = now + absl::Seconds(1);
  struct stat info = {};
  if (::stat(path_.c_str(), &info) != 0) {
    *status = Unavailable("cannot read {}: {}", path_, std::strerror(errno));
    return std::nullopt;
  }
  const int64_t stamp = (info.st_mtim.tv_sec * 1'000'000'000 + info.st_mtim.tv_nsec) ^
                        (static_cast<int64_t>(info.st_ino) << 20) ^ info.st_size;
  if (stamp == stamp_) return std::nullopt;
  absl::StatusOr<std::string> content = ReadSmallFile(path_);
  if (!content.ok()) {
    *status = content.status();
    return std::nullopt;
  }
  stamp_ = stamp;
  return *std::move(content);
}

}  // namespace vedette::runtime
