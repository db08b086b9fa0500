#include "outlier/prepare_for.h"

namespace vedette::outlier {

table::PrepareOptions PrepareFor(const Descriptor& descriptor, table::PrepareOptions options, LeftOpen open) {
  if (open.scaling && descriptor.wants_scaling) options.scaling = table::Scaling::kStandard;
  if (open.imputation && descriptor.nan == NanPolicy::kNative) options.imputation = table::Imputation::kNone;
  if (open.encoding && descriptor.categories) options.encoding = table::Encoding::kNative;
  return options;
}

}  // namespace vedette::outlier
