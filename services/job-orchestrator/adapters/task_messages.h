// The messages that hand tasks to workers and say that a job ended, written into the outbox.
#pragma once

#include <absl/status/status.h>

#include <string>

#include "services/job-orchestrator/core/job.h"
#include "storage/transaction.h"

namespace vedette::job_orchestrator {

struct ScoreInput {
  std::string model;
  std::string feature_set;
};

/// The message id holds the attempt, so that handing a task out again is not taken for a duplicate.
absl::Status AddFitMessage(storage::Tx& tx, const Job& job, int attempt);
absl::Status AddScoreMessage(storage::Tx& tx, const Job& job, const Task& task, const ScoreInput& input, int attempt);
absl::Status AddJobFinished(storage::Tx& tx, const Job& job);

}  // namespace vedette::job_orchestrator
