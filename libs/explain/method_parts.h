// What the methods of methods.h share.
#pragma once

#include <absl/status/status.h>

#include <string>
#include <string_view>
#include <vector>

#include "explain/methods.h"

namespace vedette::explain {

absl::Status NeedBackground(const outlier::Model& model);
/// A result of a method that stands the row against background rows.
MethodResult Against(const outlier::Model& model, const MethodOptions& options, std::string explained,
                     std::string_view space);
/// Sets what an additive result misses, and warns where that is more than rounding.
void CheckSum(MethodResult* out);
/// Contributions of matrix features, added up per player (source column and lag).
std::vector<double> BySource(const outlier::Model& model, MatrixView parts);

}  // namespace vedette::explain
