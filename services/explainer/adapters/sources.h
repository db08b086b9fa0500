#pragma once

#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <utility>

#include "explain/prepared_model.h"
#include "outlier/registry.h"
#include "runtime/client.h"
#include "services/explainer/ports/sources.h"

namespace vedette::explainer {

/// Values by tenant and name, the last used kept. What they stand for never changes, so nothing here goes stale.
/// Thread-safe.
template <typename T>
class Kept {
 public:
  explicit Kept(size_t capacity) : capacity_(capacity) {}

  std::shared_ptr<const T> Find(const std::string& key) {
    const std::lock_guard lock(mutex_);
    const auto it = index_.find(key);
    if (it == index_.end()) return nullptr;
    entries_.splice(entries_.begin(), entries_, it->second);
    return it->second->second;
  }
  void Insert(const std::string& key, std::shared_ptr<const T> value) {
    const std::lock_guard lock(mutex_);
    if (index_.contains(key)) return;
    entries_.emplace_front(key, std::move(value));
    index_[key] = entries_.begin();
    if (entries_.size() > capacity_) {
      index_.erase(entries_.back().first);
      entries_.pop_back();
    }
  }

 private:
  using Entry = std::pair<std::string, std::shared_ptr<const T>>;
  const size_t capacity_;
  std::mutex mutex_;
  std::list<Entry> entries_;  ///< last used first
  std::unordered_map<std::string, typename std::list<Entry>::iterator> index_;
};

/// With what the explanations of a model's rows have in common.
using ModelCache = Kept<explain::PreparedModel>;
/// Of datasets of at most kTimelineRows rows, 28 bytes a row.
using TimelineCache = Kept<explain::Timeline>;

/// Triage, model-cache, feature-engine, ingest and benchmark as `out` sees them. `before`: how long before a finding
/// changes still count. References must outlive what is returned.
Sources RemoteSources(runtime::Channels& channels, const outlier::Catalog& catalog, ModelCache& models,
                      TimelineCache& timelines, absl::Duration before, std::string tenant, runtime::Outgoing out);

}  // namespace vedette::explainer
