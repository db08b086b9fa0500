// The algorithms made of boosted trees, for a Catalog: listed, validated, scored and explained without libxgboost; only
// fitting loads it.
#pragma once

#include <span>

#include "outlier/detector.h"

namespace vedette::boosting {

/// Sorted by name. CMake writes the list from the files of algorithms/.
std::span<const outlier::Descriptor* const> Algorithms();

}  // namespace vedette::boosting
