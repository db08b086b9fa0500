// What the cells of a label column say.
#pragma once

#include <optional>
#include <string_view>

#include "outlier/detector.h"

namespace vedette::outlier {

/// The words for an anomaly and for a normal row, to be shown where a cell is neither.
inline constexpr std::string_view kLabelWords =
    "1, true, yes or anomaly (an anomaly), 0, false, no or normal (normal), or empty (not known)";

/// 1, true, yes, y, anomaly, anomalous, outlier, o, fraud, odd: an anomaly; 0, false, no, n, normal, inlier, ok:
/// normal; whatever the case; empty: not known. Nothing: none of these. With a `positive` that is not empty that text,
/// exactly, means anomaly and every other one normal.
std::optional<Label> LabelOf(std::string_view cell, std::string_view positive = {});

}  // namespace vedette::outlier
