// What an algorithm wants of the table that is prepared for it, where the user left it open.
#pragma once

#include "outlier/detector.h"
#include "table/prepare.h"

namespace vedette::outlier {

/// Choices that nobody made.
struct LeftOpen {
  bool imputation = false, encoding = false, scaling = false;
};

/// `options` with what was left open as the algorithm wants it: columns standardised where it compares distances,
/// missing values and categories as they are where it takes them.
table::PrepareOptions PrepareFor(const Descriptor& descriptor, table::PrepareOptions options, LeftOpen open);

}  // namespace vedette::outlier
