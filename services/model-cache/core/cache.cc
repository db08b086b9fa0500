#include "services/model-cache/core/cache.h"

#include <algorithm>

#include "base/hash.h"
#include "base/ids.h"
#include "base/status.h"

namespace vedette::model_cache {
namespace {
/// Trainings may end in another process: those who wait look again this often.
constexpr absl::Duration kPoll = absl::Milliseconds(250);
}  // namespace

void Cache::Changed() {
  {
    const std::lock_guard lock(mutex_);
    ++changes_;
  }
  changed_.notify_all();
}

absl::StatusOr<Acquired> Cache::Acquire(const std::string& tenant, const ModelKey& key, absl::Time deadline, std::stop_token stop) {
  if (key.algorithm.empty()) return InvalidArgument("key.algorithm: must not be empty");
  for (;;) {
    uint64_t seen = 0;
    {
      const std::lock_guard lock(mutex_);
      seen = changes_;
    }
    ASSIGN_OR_RETURN(Acquired acquired, store_->Acquire(tenant, key, options_.lease));
    const absl::Duration left = deadline - absl::Now();
    if (!std::holds_alternative<std::monostate>(acquired) || left <= absl::ZeroDuration() || stop.stop_requested()) return acquired;
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, stop, absl::ToChronoMilliseconds(std::min(left, kPoll)), [&] { return changes_ != seen; });
  }
}

absl::StatusOr<Lease> Cache::Renew(const std::string& tenant, const std::string& lease_id) {
  return store_->Renew(tenant, lease_id, options_.lease);
}

absl::Status Cache::Release(const std::string& tenant, const std::string& lease_id) {
  RETURN_IF_ERROR(store_->Release(tenant, lease_id));
  Changed();
  return absl::OkStatus();
}

absl::StatusOr<Model> Cache::Store(const std::string& tenant, const Upload& upload,
                                   const std::function<std::optional<std::string_view>()>& next) {
  if (upload.size_bytes <= 0 || upload.size_bytes > options_.max_model_bytes) {
    return InvalidArgument("size_bytes: {} is not within 1-{}", upload.size_bytes, options_.max_model_bytes);
  }
  Model model;
  model.id = NewUuidV7(clock_.Now());
  ASSIGN_OR_RETURN(auto writer, bytes_->Open(tenant, model.id));
  Sha256 hash;
  int64_t size = 0;
  while (const auto part = next()) {
    size += static_cast<int64_t>(part->size());
    if (size > upload.size_bytes) return DataLoss("more than the promised {} bytes came", upload.size_bytes);
    hash.Update(*part);
    RETURN_IF_ERROR(writer->Write(*part));
  }
  model.sha256 = hash.Hex();
  if (size != upload.size_bytes || model.sha256 != upload.sha256) {
    return DataLoss("the {} bytes that came are not the promised {} bytes", size, upload.size_bytes);
  }
  RETURN_IF_ERROR(writer->Commit());
  model.size_bytes = size;
  model.training_rows = upload.training_rows;
  model.training_seconds = upload.training_seconds;
  model.expire_time = clock_.Now() + (upload.ttl > absl::ZeroDuration() ? upload.ttl : options_.ttl);
  absl::StatusOr<Model> stored = store_->Commit(tenant, upload.lease_id, model);
  if (!stored.ok()) {
    (void)bytes_->Delete(tenant, model.id);
    return stored;
  }
  Changed();
  return stored;
}

}  // namespace vedette::model_cache
