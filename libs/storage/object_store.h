// Large immutable things (uploads, model bytes) live outside the database, behind this port.
#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace vedette::storage {

struct ObjectInfo {
  std::string key;
  int64_t size = 0;
};

/// Bytes become visible under the key at Commit, all of them or none; a writer destroyed before that leaves nothing.
class ObjectWriter {
 public:
  virtual ~ObjectWriter() = default;
  virtual absl::Status Write(std::string_view bytes) = 0;
  virtual absl::Status Commit() = 0;
  virtual int64_t written() const = 0;
};

/// Keys are paths of segments "tenant/dataset/chunk-0001": each segment 1..200 of [A-Za-z0-9._=@+-], not "." or "..",
/// not starting with
/// "."; at most 16 segments and 1024 bytes. Anything else is INVALID_ARGUMENT. Implementations are thread-safe.
class ObjectStore {
 public:
  virtual ~ObjectStore() = default;
  virtual absl::StatusOr<std::unique_ptr<ObjectWriter>> Open(std::string_view key) = 0;
  /// NOT_FOUND; RESOURCE_EXHAUSTED when the object is larger than `max_bytes`.
  virtual absl::StatusOr<std::string> Get(std::string_view key, int64_t max_bytes) = 0;
  /// Bytes [offset, offset + length), fewer at the end of the object. OUT_OF_RANGE when offset is beyond the end.
  virtual absl::StatusOr<std::string> GetRange(std::string_view key, int64_t offset, int64_t length) = 0;
  /// NOT_FOUND when absent.
  virtual absl::StatusOr<ObjectInfo> Stat(std::string_view key) = 0;
  /// OK also when it was not there.
  virtual absl::Status Delete(std::string_view key) = 0;
  /// Keys that start with the segments of `prefix` ("" for all), sorted, the first `limit` after `after` (exclusive).
  virtual absl::StatusOr<std::vector<ObjectInfo>> List(std::string_view prefix, int limit,
                                                       std::string_view after = "") = 0;

  absl::Status Put(std::string_view key, std::string_view bytes);
  absl::StatusOr<bool> Exists(std::string_view key);
};

/// INVALID_ARGUMENT with the reason unless `key` follows the rule above.
absl::Status CheckObjectKey(std::string_view key);

/// A directory, possibly shared by several processes: write to a temporary file, fsync, rename, fsync the folder.
class DirectoryObjectStore final : public ObjectStore {
 public:
  struct Options {
    int64_t max_object_bytes = int64_t{16} << 30;
    bool sync = true;  ///< false only where losing the newest objects in a power cut is fine
  };
  /// Creates the folder when missing (its parent must exist), and removes temporary files older than a day.
  static absl::StatusOr<std::unique_ptr<DirectoryObjectStore>> Create(std::string root, Options options);
  static absl::StatusOr<std::unique_ptr<DirectoryObjectStore>> Create(std::string root) {
    return Create(std::move(root), Options{});
  }
  ~DirectoryObjectStore() override;

  absl::StatusOr<std::unique_ptr<ObjectWriter>> Open(std::string_view key) override;
  absl::StatusOr<std::string> Get(std::string_view key, int64_t max_bytes) override;
  absl::StatusOr<std::string> GetRange(std::string_view key, int64_t offset, int64_t length) override;
  absl::StatusOr<ObjectInfo> Stat(std::string_view key) override;
  absl::Status Delete(std::string_view key) override;
  absl::StatusOr<std::vector<ObjectInfo>> List(std::string_view prefix, int limit,
                                               std::string_view after = "") override;

 private:
  DirectoryObjectStore(std::string root, Options options);
  std::string root_;
  Options options_;
};

}  // namespace vedette::storage
