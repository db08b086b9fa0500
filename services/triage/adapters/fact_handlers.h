#pragma once

#include "messaging/consume.h"
#include "services/triage/ports/anomaly_store.h"

namespace vedette::triage {

/// facts.anomaly.detected: the findings of one task, into the store.
messaging::Handler DetectedHandler(AnomalyStore& store);

}  // namespace vedette::triage
