#pragma once

#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>

#include "outlier/model.h"
#include "outlier/registry.h"
#include "runtime/client.h"
#include "services/explainer/ports/sources.h"

namespace vedette::explainer {

/// Parsed models by tenant and name, the last used kept. Models never change, so nothing here goes stale. Thread-safe.
class ModelCache {
 public:
  explicit ModelCache(size_t capacity) : capacity_(capacity) {}
  std::shared_ptr<const outlier::Model> Find(const std::string& key);
  void Insert(const std::string& key, std::shared_ptr<const outlier::Model> model);

 private:
  using Entry = std::pair<std::string, std::shared_ptr<const outlier::Model>>;
  const size_t capacity_;
  std::mutex mutex_;
  std::list<Entry> entries_;  ///< last used first
  std::unordered_map<std::string, std::list<Entry>::iterator> index_;
};

/// Triage, model-cache, feature-engine, ingest and benchmark as `out` sees them. `before`: how long before a finding
/// changes still count. References must outlive what is returned.
Sources RemoteSources(runtime::Channels& channels, const outlier::Catalog& catalog, ModelCache& models,
                      absl::Duration before, std::string tenant, runtime::Outgoing out);

}  // namespace vedette::explainer
