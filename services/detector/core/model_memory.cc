#include "services/detector/core/model_memory.h"

namespace vedette::detector {

std::shared_ptr<const outlier::Model> ModelMemory::Find(const std::string& tenant, const std::string& name) {
  const std::lock_guard lock(mutex_);
  const auto it = index_.find(tenant + '\n' + name);
  if (it == index_.end()) return nullptr;
  entries_.splice(entries_.begin(), entries_, it->second);
  return it->second->second;
}

void ModelMemory::Insert(const std::string& tenant, const std::string& name, std::shared_ptr<const outlier::Model> model) {
  const std::lock_guard lock(mutex_);
  const std::string key = tenant + '\n' + name;
  if (index_.contains(key)) return;
  entries_.emplace_front(key, std::move(model));
  index_[key] = entries_.begin();
  if (entries_.size() > capacity_) {
    index_.erase(entries_.back().first);
    entries_.pop_back();
  }
}

}  // namespace vedette::detector
