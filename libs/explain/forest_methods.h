// Methods for isolation forests, in the frame of methods.h.
#pragma once

#include <absl/status/statusor.h>

#include "explain/methods.h"

namespace vedette::explain {

inline constexpr std::string_view kTreeShapModes = "path_dependent|interventional";

absl::StatusOr<MethodResult> RunTreeShap(const PreparedModel& prepared, MatrixView X, const MethodOptions& options,
                                         const Context& ctx);
/// DIFFI for one row (Carletti, Terzi, Susto, "Interpretable anomaly detection with DIFFI", 2023): per feature the mean
/// over its splits on the row's paths of 1 / leaf depth - 1 / deepest leaf. It has no sign: it only says who isolates.
absl::StatusOr<MethodResult> RunDiffi(const PreparedModel& prepared, MatrixView X, const MethodOptions& options,
                                      const Context& ctx);

}  // namespace vedette::explain
