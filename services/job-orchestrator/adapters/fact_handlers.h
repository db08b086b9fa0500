// What workers and triage report, from the facts stream into the store.
#pragma once

#include "messaging/consume.h"
#include "services/job-orchestrator/ports/job_store.h"

namespace vedette::job_orchestrator {

messaging::Handler FitFinishedHandler(JobStore& jobs);    ///< facts.fit.finished
messaging::Handler ModelSelectedHandler(JobStore& jobs);  ///< facts.model.selected
messaging::Handler StoredHandler(JobStore& jobs);         ///< facts.anomaly.stored
messaging::Handler TaskFailedHandler(JobStore& jobs);     ///< facts.task.failed

}  // namespace vedette::job_orchestrator
