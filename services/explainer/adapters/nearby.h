// What other services know near a finding. Each look is given up after two seconds: an explanation without it is worth
// more than none.
#pragma once

#include <absl/status/statusor.h>

#include <memory>
#include <vector>

#include "explain/since.h"
#include "runtime/client.h"
#include "services/explainer/core/explanation.h"

namespace vedette::explainer {

/// Change events of the finding's entity, or of all, in the time `before` it; latest first, at most 10.
absl::StatusOr<std::vector<ChangeEvent>> ReadChanges(runtime::Channels& channels, const runtime::Outgoing& out,
                                                     absl::Duration before, const Finding& finding);

/// The entity's standing in its peer groups (of the first 1000), for the finding's metric or else for each, in the
/// latest period that began before the finding; those farthest from their peers first, at most 5.
absl::StatusOr<std::vector<PeerStanding>> ReadPeers(runtime::Channels& channels, const runtime::Outgoing& out,
                                                    const Finding& finding);

/// Rows of a dataset up to which it is read for the order of its rows in time.
inline constexpr int64_t kTimelineRows = 200000;

/// The rows of the finding's dataset in order of its first timestamp column, each in the series that its columns
/// "entity" and "metric" name; null when there is no such column. FAILED_PRECONDITION when the dataset is larger than
/// kTimelineRows.
absl::StatusOr<std::shared_ptr<const explain::Timeline>> ReadTimeline(runtime::Channels& channels,
                                                                      const runtime::Outgoing& out,
                                                                      const Finding& finding);

}  // namespace vedette::explainer
