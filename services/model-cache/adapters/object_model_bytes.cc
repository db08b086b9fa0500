#include "services/model-cache/adapters/object_model_bytes.h"

#include "base/hash.h"
#include "base/status.h"

namespace vedette::model_cache {
namespace {

/// Tenant ids may hold characters that keys may not: a hash of it names the folder.
std::string Key(const std::string& tenant, const std::string& id) {
  return fmt::format("{}/models/{}", Sha256Hex(tenant).substr(0, 32), id);
}

class ObjectBytesWriter final : public ModelBytes::Writer {
 public:
  explicit ObjectBytesWriter(std::unique_ptr<storage::ObjectWriter> writer) : writer_(std::move(writer)) {}
  absl::Status Write(std::string_view bytes) override { return writer_->Write(bytes); }
  absl::Status Commit() override { return writer_->Commit(); }

 private:
  std::unique_ptr<storage::ObjectWriter> writer_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<ModelBytes::Writer>> ObjectModelBytes::Open(const std::string& tenant, const std::string& id) {
  ASSIGN_OR_RETURN(auto writer, store_->Open(Key(tenant, id)));
  return std::make_unique<ObjectBytesWriter>(std::move(writer));
}

absl::StatusOr<std::shared_ptr<const std::string>> ObjectModelBytes::Get(const std::string& tenant, const std::string& id) {
  const std::string key = Key(tenant, id);
  {
    const std::lock_guard lock(mutex_);
    if (const auto it = index_.find(key); it != index_.end()) {
      entries_.splice(entries_.begin(), entries_, it->second);
      return it->second->second;
    }
  }
  ASSIGN_OR_RETURN(std::string read, store_->Get(key, max_model_bytes_));
  auto bytes = std::make_shared<const std::string>(std::move(read));
  const auto size = static_cast<int64_t>(bytes->size());
  const std::lock_guard lock(mutex_);
  if (size > memory_bytes_ || index_.contains(key)) return bytes;
  entries_.emplace_front(key, bytes);
  index_[key] = entries_.begin();
  held_ += size;
  while (held_ > memory_bytes_) {
    held_ -= static_cast<int64_t>(entries_.back().second->size());
    index_.erase(entries_.back().first);
    entries_.pop_back();
  }
  return bytes;
}

absl::Status ObjectModelBytes::Delete(const std::string& tenant, const std::string& id) {
  const std::string key = Key(tenant, id);
  {
    const std::lock_guard lock(mutex_);
    if (const auto it = index_.find(key); it != index_.end()) {
      held_ -= static_cast<int64_t>(it->second->second->size());
      entries_.erase(it->second);
      index_.erase(it);
    }
  }
  return store_->Delete(key);
}

}  // namespace vedette::model_cache
