#pragma once

#include <absl/status/statusor.h>

#include <functional>
#include <string>

namespace vedette::job_orchestrator {

/// Rows of a dataset that may be analysed. NOT_FOUND; FAILED_PRECONDITION while it is not READY. The adapter binds it to
/// the caller's identity (a request) or to this service's own (a schedule).
using DatasetRows = std::function<absl::StatusOr<int64_t>(const std::string& dataset)>;

}  // namespace vedette::job_orchestrator
