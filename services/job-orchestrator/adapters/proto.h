// Between this service's types and its protos.
#pragma once

#include <absl/status/statusor.h>

#include <string>
#include <string_view>

#include "services/job-orchestrator/core/job.h"
#include "services/job-orchestrator/ports/job_store.h"
#include "vedette/jobs/v1/jobs.pb.h"

namespace vedette::job_orchestrator {

void ToProto(const Job& job, absl::Time now, jobs::v1::Job* out);
void ToProto(const Task& task, jobs::v1::Task* out);
void ToProto(const Schedule& schedule, jobs::v1::Schedule* out);
/// DATA_LOSS when what was weighed cannot be read.
absl::Status ToProto(const LoggedSelection& selection, jobs::v1::LoggedSelection* out);

/// "jobs/{uuid}" -> the id. INVALID_ARGUMENT names the field.
absl::StatusOr<std::string> JobId(std::string_view field, const std::string& name);
/// "jobs/{uuid}/tasks/{n}" -> (job id, n).
absl::StatusOr<std::pair<std::string, int32_t>> TaskId(std::string_view field, const std::string& name);
/// "{collection}/{id}" with an id of [A-Za-z0-9._-]{1,200}.
absl::StatusOr<std::string> SimpleId(std::string_view field, std::string_view collection, const std::string& name);

}  // namespace vedette::job_orchestrator
