// Integrated gradients of a model's score, in the frame of methods.h.
#pragma once

#include <absl/status/statusor.h>

#include "explain/methods.h"

namespace vedette::explain {

inline constexpr std::string_view kIntegratedGradientsModes = "background_mean|expected";

/// The baseline is the mean of the background rows, or the row that the algorithm itself would have expected (an
/// autoencoder: what it makes of the row). FAILED_PRECONDITION when the detector's score has no gradient.
absl::StatusOr<MethodResult> RunIntegratedGradients(const outlier::Model& model, MatrixView X,
                                                    const MethodOptions& options, const Context& ctx);

}  // namespace vedette::explain
