#include "storage/object_store.h"

#include <absl/time/clock.h>
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "base/ids.h"
#include "base/status.h"

namespace vedette::storage {
namespace {

// On disk, the object a/b/c is the file <root>/a/b/c~. The tilde cannot be in a key, so "a/b" and "a/b/c" do not
// collide, and neither can meet the folder of temporary files, whose name starts with a dot.
constexpr char kObjectSuffix = '~';
constexpr char kTemporary[] = "/.tmp";
constexpr size_t kMaxSegments = 16, kMaxKeyBytes = 1024, kMaxSegmentBytes = 200;
constexpr absl::Duration kTemporaryAge = absl::Hours(24);

absl::Status FromErrno(int error, std::string_view what) {
  const std::string text = fmt::format("{}: {}", what, std::strerror(error));
  switch (error) {
    case ENOENT:
      return absl::NotFoundError(text);
    case EACCES:
    case EPERM:
    case EROFS:
      return absl::PermissionDeniedError(text);
    case ENOSPC:
    case EDQUOT:
    case EMFILE:
    case ENFILE:
      return absl::ResourceExhaustedError(text);
    default:
      return absl::InternalError(text);
  }
}

class Fd {
 public:
  explicit Fd(int fd) : fd_(fd) {}
  ~Fd() {
    if (fd_ >= 0) ::close(fd_);
  }
  Fd(Fd&& o) noexcept : fd_(std::exchange(o.fd_, -1)) {}
  Fd& operator=(Fd&&) = delete;
  int get() const { return fd_; }

 private:
  int fd_;
};

absl::Status SyncFolder(const std::string& path) {
  const Fd fd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (fd.get() < 0 || ::fsync(fd.get()) != 0) return FromErrno(errno, "syncing a folder");
  return absl::OkStatus();
}

// Makes the folders above `path`, which lies under `root`.
absl::Status MakeParents(const std::string& root, const std::string& path, bool sync) {
  for (size_t at = path.find('/', root.size() + 1); at != std::string::npos; at = path.find('/', at + 1)) {
    const std::string folder = path.substr(0, at);
    if (::mkdir(folder.c_str(), 0750) == 0) {
      if (sync) RETURN_IF_ERROR(SyncFolder(folder.substr(0, folder.rfind('/'))));
    } else if (errno != EEXIST) {
      return FromErrno(errno, "making a folder of the object store");
    }
  }
  return absl::OkStatus();
}

class FileWriter final : public ObjectWriter {
 public:
  FileWriter(std::string root, std::string key, std::string temporary, std::string target, int fd,
             DirectoryObjectStore::Options options)
      : root_(std::move(root)),
        key_(std::move(key)),
        temporary_(std::move(temporary)),
        target_(std::move(target)),
        fd_(fd),
        options_(options) {}
  ~FileWriter() override {
    if (!committed_) ::unlink(temporary_.c_str());
  }

  absl::Status Write(std::string_view bytes) override {
    RETURN_IF_ERROR(status_);
    if (committed_) return FailedPrecondition("object {} is committed", key_);
    if (written_ + static_cast<int64_t>(bytes.size()) > options_.max_object_bytes) {
      return status_ = ResourceExhausted("object {} would be larger than {} bytes", key_, options_.max_object_bytes);
    }
    while (!bytes.empty()) {
      const ssize_t n = ::write(fd_.get(), bytes.data(), bytes.size());
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return status_ = FromErrno(errno, fmt::format("writing object {}", key_));
      bytes.remove_prefix(static_cast<size_t>(n));
      written_ += n;
    }
    return absl::OkStatus();
  }

  absl::Status Commit() override {
    RETURN_IF_ERROR(status_);
    if (committed_) return FailedPrecondition("object {} is committed", key_);
    if (options_.sync && ::fsync(fd_.get()) != 0)
      return status_ = FromErrno(errno, fmt::format("syncing object {}", key_));
    // Delete removes folders that became empty, possibly between our mkdir and rename; then make them again. Each attempt
    // costs microseconds, and a busy folder can lose several in a row.
    constexpr int kAttempts = 1000;
    int error = 0;
    for (int attempt = 0; attempt < kAttempts; ++attempt) {
      if (status_ = MakeParents(root_, target_, options_.sync); !status_.ok() && !absl::IsNotFound(status_))
        return status_;
      if (::rename(temporary_.c_str(), target_.c_str()) == 0) {
        committed_ = true;
        status_ = options_.sync ? SyncFolder(target_.substr(0, target_.rfind('/'))) : absl::OkStatus();
        return status_;
      }
      error = errno;
      if (error != ENOENT) break;
    }
    return status_ = FromErrno(error, fmt::format("naming object {}", key_));
  }

  int64_t written() const override { return written_; }

 private:
  std::string root_, key_, temporary_, target_;
  Fd fd_;
  DirectoryObjectStore::Options options_;
  int64_t written_ = 0;
  bool committed_ = false;
  absl::Status status_;
};

void RemoveOldTemporaries(const std::string& folder) {
  DIR* d = ::opendir(folder.c_str());
  if (d == nullptr) return;
  const time_t before = absl::ToTimeT(absl::Now() - kTemporaryAge);
  while (const dirent* e = ::readdir(d)) {
    const std::string path = folder + "/" + e->d_name;
    struct stat s;
    if (::lstat(path.c_str(), &s) == 0 && S_ISREG(s.st_mode) && s.st_mtime < before) ::unlink(path.c_str());
  }
  ::closedir(d);
}

// Every object below `folder`; `key` is the folder's key with a slash at its end, or "".
absl::Status Walk(const std::string& folder, const std::string& key, std::vector<ObjectInfo>* out) {
  DIR* d = ::opendir(folder.c_str());
  if (d == nullptr) return errno == ENOENT ? absl::OkStatus() : FromErrno(errno, "listing the object store");
  std::vector<std::string> folders;
  while (const dirent* e = ::readdir(d)) {
    const std::string name = e->d_name;
    if (name.empty() || name.front() == '.') continue;
    struct stat s;
    if (::fstatat(::dirfd(d), e->d_name, &s, AT_SYMLINK_NOFOLLOW) != 0) continue;  // deleted meanwhile
    if (S_ISDIR(s.st_mode)) folders.push_back(name);
    if (S_ISREG(s.st_mode) && name.back() == kObjectSuffix)
      out->push_back({key + name.substr(0, name.size() - 1), s.st_size});
  }
  ::closedir(d);
  for (const std::string& f : folders) RETURN_IF_ERROR(Walk(folder + "/" + f, key + f + "/", out));
  return absl::OkStatus();
}

absl::StatusOr<std::string> PathOf(const std::string& root, std::string_view key) {
  RETURN_IF_ERROR(CheckObjectKey(key));
  return fmt::format("{}/{}{}", root, key, kObjectSuffix);
}

struct OpenObject {
  Fd fd;
  int64_t size;
};

absl::StatusOr<OpenObject> OpenForReading(const std::string& root, std::string_view key) {
  ASSIGN_OR_RETURN(const std::string path, PathOf(root, key));
  OpenObject o{Fd(::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC)), 0};
  if (o.fd.get() < 0) {
    if (errno == ENOENT || errno == ENOTDIR) return NotFound("there is no object {}", key);
    return FromErrno(errno, fmt::format("opening object {}", key));
  }
  struct stat s;
  if (::fstat(o.fd.get(), &s) != 0) return FromErrno(errno, fmt::format("opening object {}", key));
  o.size = s.st_size;
  return o;
}

absl::StatusOr<std::string> ReadAt(const OpenObject& o, std::string_view key, int64_t offset, int64_t length) {
  std::string out(static_cast<size_t>(length), '\0');
  size_t have = 0;
  while (have < out.size()) {
    const ssize_t n = ::pread(o.fd.get(), out.data() + have, out.size() - have, offset + static_cast<int64_t>(have));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return FromErrno(errno, fmt::format("reading object {}", key));
    if (n == 0) return DataLoss("object {} became shorter while it was read", key);
    have += static_cast<size_t>(n);
  }
  return out;
}

}  // namespace

absl::Status CheckObjectKey(std::string_view key) {
  if (key.empty() || key.size() > kMaxKeyBytes)
    return InvalidArgument("an object key has 1 to {} bytes, not {}", kMaxKeyBytes, key.size());
  size_t segments = 0, length = 0;
  for (size_t i = 0; i <= key.size(); ++i) {
    if (i == key.size() || key[i] == '/') {
      if (length == 0) return InvalidArgument("the object key has an empty segment at byte {}", i);
      if (length > kMaxSegmentBytes)
        return InvalidArgument("a segment of the object key has {} bytes; at most {}", length, kMaxSegmentBytes);
      ++segments;
      length = 0;
      continue;
    }
    const char c = key[i];
    const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    if (!letter && (c == '\0' || std::strchr("._=@+-", c) == nullptr))
      return InvalidArgument("byte {} of the object key is not allowed in one", i);
    if (c == '.' && length == 0) return InvalidArgument("a segment of the object key starts with a dot (byte {})", i);
    ++length;
  }
  if (segments > kMaxSegments)
    return InvalidArgument("the object key has {} segments; at most {}", segments, kMaxSegments);
  return absl::OkStatus();
}

absl::Status ObjectStore::Put(std::string_view key, std::string_view bytes) {
  ASSIGN_OR_RETURN(const std::unique_ptr<ObjectWriter> writer, Open(key));
  RETURN_IF_ERROR(writer->Write(bytes));
  return writer->Commit();
}

absl::StatusOr<bool> ObjectStore::Exists(std::string_view key) {
  const absl::StatusOr<ObjectInfo> info = Stat(key);
  if (info.ok()) return true;
  if (absl::IsNotFound(info.status())) return false;
  return info.status();
}

DirectoryObjectStore::DirectoryObjectStore(std::string root, Options options)
    : root_(std::move(root)), options_(options) {}
DirectoryObjectStore::~DirectoryObjectStore() = default;

absl::StatusOr<std::unique_ptr<DirectoryObjectStore>> DirectoryObjectStore::Create(std::string root, Options options) {
  while (root.size() > 1 && root.back() == '/') root.pop_back();
  if (root.empty() || root == "/") return InvalidArgument("the object store needs a folder of its own");
  for (const std::string& folder : {root, root + kTemporary}) {
    if (::mkdir(folder.c_str(), 0750) != 0 && errno != EEXIST)
      return FromErrno(errno, fmt::format("making the object store {}", root));
  }
  if (::access(root.c_str(), R_OK | W_OK | X_OK) != 0)
    return FromErrno(errno, fmt::format("the object store {}", root));
  RemoveOldTemporaries(root + kTemporary);
  return std::unique_ptr<DirectoryObjectStore>(new DirectoryObjectStore(std::move(root), options));
}

absl::StatusOr<std::unique_ptr<ObjectWriter>> DirectoryObjectStore::Open(std::string_view key) {
  ASSIGN_OR_RETURN(std::string target, PathOf(root_, key));
  std::string temporary = fmt::format("{}{}/{}", root_, kTemporary, NewUuid());
  const int fd = ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0640);
  if (fd < 0) return FromErrno(errno, fmt::format("writing object {}", key));
  return std::make_unique<FileWriter>(root_, std::string(key), std::move(temporary), std::move(target), fd, options_);
}

absl::StatusOr<std::string> DirectoryObjectStore::Get(std::string_view key, int64_t max_bytes) {
  ASSIGN_OR_RETURN(const auto object, OpenForReading(root_, key));
  if (object.size > max_bytes)
    return ResourceExhausted("object {} has {} bytes; at most {} are read at once", key, object.size, max_bytes);
  return ReadAt(object, key, 0, object.size);
}

absl::StatusOr<std::string> DirectoryObjectStore::GetRange(std::string_view key, int64_t offset, int64_t length) {
  if (offset < 0 || length < 0) return InvalidArgument("offset {} and length {} must not be negative", offset, length);
  ASSIGN_OR_RETURN(const auto object, OpenForReading(root_, key));
  if (offset > object.size)
    return absl::OutOfRangeError(fmt::format("object {} has {} bytes; offset {} is beyond", key, object.size, offset));
  return ReadAt(object, key, offset, std::min(length, object.size - offset));
}

absl::StatusOr<ObjectInfo> DirectoryObjectStore::Stat(std::string_view key) {
  ASSIGN_OR_RETURN(const auto object, OpenForReading(root_, key));
  return ObjectInfo{std::string(key), object.size};
}

absl::Status DirectoryObjectStore::Delete(std::string_view key) {
  ASSIGN_OR_RETURN(std::string path, PathOf(root_, key));
  if (::unlink(path.c_str()) != 0 && errno != ENOENT && errno != ENOTDIR)
    return FromErrno(errno, fmt::format("deleting object {}", key));
  // Folders that became empty go too; rmdir refuses the others, which ends the climb.
  for (path.resize(path.rfind('/')); path.size() > root_.size(); path.resize(path.rfind('/'))) {
    if (::rmdir(path.c_str()) != 0) break;
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<ObjectInfo>> DirectoryObjectStore::List(std::string_view prefix, int limit,
                                                                   std::string_view after) {
  std::vector<ObjectInfo> all;
  while (!prefix.empty() && prefix.back() == '/') prefix.remove_suffix(1);
  if (prefix.empty()) {
    RETURN_IF_ERROR(Walk(root_, "", &all));
  } else {
    const absl::StatusOr<ObjectInfo> self = Stat(prefix);
    if (self.ok()) {
      all.push_back(*self);
    } else if (!absl::IsNotFound(self.status())) {
      return self.status();
    }
    RETURN_IF_ERROR(Walk(fmt::format("{}/{}", root_, prefix), fmt::format("{}/", prefix), &all));
  }
  std::erase_if(all, [after](const ObjectInfo& o) { return o.key <= after; });
  std::sort(all.begin(), all.end(), [](const ObjectInfo& a, const ObjectInfo& b) { return a.key < b.key; });
  if (all.size() > static_cast<size_t>(std::max(0, limit))) all.resize(static_cast<size_t>(std::max(0, limit)));
  return all;
}

}  // namespace vedette::storage
