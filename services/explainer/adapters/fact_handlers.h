#pragma once

#include "messaging/consume.h"
#include "services/explainer/core/explainer.h"

namespace vedette::explainer {

/// facts.anomaly.detected: findings and their native explanations are stored.
messaging::Handler DetectedHandler(Explainer& explainer);
/// facts.feedback.given: what people said of findings.
messaging::Handler FeedbackHandler(Explainer& explainer);

}  // namespace vedette::explainer
