// Leave-one-family-out: what would have been chosen without any table of a family's law and without any of its kind of
// anomalies, and how good that is on the family.
#pragma once

#include <absl/status/status.h>

#include "outlier/selection.h"

namespace vedette::selection {

/// Prints the table. Errors: INVALID_ARGUMENT when the matrix's tables are not named law/anomaly/round.
absl::Status PrintValidation(const outlier::SelectionMatrix& matrix);

}  // namespace vedette::selection
