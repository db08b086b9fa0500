// The neural algorithms, for a Catalog: listed, validated, scored and explained without Torch; only fitting loads the module.
#pragma once

#include <span>

#include "outlier/detector.h"

namespace vedette::neural {

/// Sorted by name. CMake writes the list from the files of algorithms/.
std::span<const outlier::Descriptor* const> Algorithms();

}  // namespace vedette::neural
