#pragma once

#include <absl/status/statusor.h>

#include <string>
#include <string_view>

#include "services/explainer/core/explainer.h"
#include "vedette/explainer/v1/explainer.pb.h"

namespace vedette::explainer {

void ToProto(const StoredExplanation& explanation, v1::Explanation* out);

}  // namespace vedette::explainer
