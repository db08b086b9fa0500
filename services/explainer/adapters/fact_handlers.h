#pragma once

#include "messaging/consume.h"
#include "services/explainer/core/explainer.h"

namespace vedette::explainer {

/// facts.anomaly.detected: the native explanation of each finding, from the contributions that came with it.
messaging::Handler DetectedHandler(Explainer& explainer);

}  // namespace vedette::explainer
