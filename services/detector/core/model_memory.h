#pragma once

#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>

#include "outlier/model.h"

namespace vedette::detector {

/// Fitted models by tenant and name, the last used kept. Models never change, so nothing here goes stale. Thread-safe.
class ModelMemory {
 public:
  explicit ModelMemory(size_t capacity) : capacity_(capacity) {}

  std::shared_ptr<const outlier::Model> Find(const std::string& tenant, const std::string& name);
  void Insert(const std::string& tenant, const std::string& name, std::shared_ptr<const outlier::Model> model);

 private:
  using Entry = std::pair<std::string, std::shared_ptr<const outlier::Model>>;
  const size_t capacity_;
  std::mutex mutex_;
  std::list<Entry> entries_;  ///< last used first
  std::unordered_map<std::string, std::list<Entry>::iterator> index_;
};

}  // namespace vedette::detector
