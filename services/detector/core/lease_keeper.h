#pragma once

#include <condition_variable>
#include <mutex>
#include <stop_token>
#include <string>
#include <thread>

#include "services/detector/ports/model_registry.h"

namespace vedette::detector {

/// Renews a training lease while it lives. When the lease is lost, stop_token() fires: somebody else trains now.
class LeaseKeeper {
 public:
  /// `outer`: the caller's own stop, which also fires stop_token().
  LeaseKeeper(ModelRegistry& registry, Lease lease, std::stop_token outer);
  std::stop_token stop_token() const { return stop_.get_token(); }
  bool lost() const { return lost_; }

 private:
  void Run(std::stop_token end);

  ModelRegistry& registry_;
  Lease lease_;
  std::stop_source stop_;
  std::atomic<bool> lost_{false};
  std::mutex mutex_;
  std::condition_variable_any wake_;
  std::stop_callback<std::function<void()>> outer_;
  std::jthread thread_;  ///< last: joins first
};

}  // namespace vedette::detector
