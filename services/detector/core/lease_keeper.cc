#include "services/detector/core/lease_keeper.h"

#include <absl/time/clock.h>

#include <algorithm>
#include <functional>

namespace vedette::detector {

LeaseKeeper::LeaseKeeper(ModelRegistry& registry, Lease lease, std::stop_token outer)
    : registry_(registry), lease_(std::move(lease)), outer_(std::move(outer), [this] { stop_.request_stop(); }),
      thread_([this](std::stop_token end) { Run(std::move(end)); }) {}

void LeaseKeeper::Run(std::stop_token end) {
  std::unique_lock lock(mutex_);
  for (;;) {
    const absl::Duration left = lease_.expire_time - absl::Now();
    const absl::Duration pause = std::clamp(left / 3, absl::Milliseconds(100), absl::Seconds(60));
    wake_.wait_for(lock, end, absl::ToChronoMilliseconds(pause), [] { return false; });
    if (end.stop_requested()) return;
    absl::StatusOr<Lease> renewed = registry_.Renew(lease_.id);
    if (renewed.ok()) {
      lease_ = *std::move(renewed);
    } else if (absl::IsAborted(renewed.status()) || absl::Now() > lease_.expire_time) {
      // Not renewed in time counts as lost; an unreachable cache is tried again until then.
      lost_ = true;
      stop_.request_stop();
      return;
    }
  }
}

}  // namespace vedette::detector
