// An explanation of the platform as a person reads it.
#pragma once

#include <string>

#include "vedette/explainer/v1/explainer.pb.h"

namespace vedette::cli {

/// Text, contributions, what would make the row normal, what is near it, method and background, and what is missing;
/// wrapped to `width`. Whatever came from outside is made safe to print.
std::string WhyText(const explainer::v1::Explanation& explanation, size_t width);

/// "price 940, expected 12".
std::string Phrase(const common::v1::FeatureContribution& contribution);

}  // namespace vedette::cli
