#include "services/feature-engine/core/feature_set.h"

#include <algorithm>

#include "base/bytes.h"
#include "base/hash.h"
#include "base/status.h"

namespace vedette::feature_engine {

std::string_view Name(table::Imputation imputation) {
  switch (imputation) {
    case table::Imputation::kMedian:
      return "median";
    case table::Imputation::kMean:
      return "mean";
    case table::Imputation::kNone:
      return "none";
  }
  return "";
}

std::string_view Name(table::Encoding encoding) {
  switch (encoding) {
    case table::Encoding::kOneHot:
      return "one_hot";
    case table::Encoding::kFrequency:
      return "frequency";
    case table::Encoding::kOrdinal:
      return "ordinal";
    case table::Encoding::kNative:
      return "native";
  }
  return "";
}

std::string_view Name(table::Scaling scaling) {
  switch (scaling) {
    case table::Scaling::kNone:
      return "none";
    case table::Scaling::kStandard:
      return "standard";
    case table::Scaling::kRobust:
      return "robust";
  }
  return "";
}

table::PrepareOptions Canonical(table::PrepareOptions options) {
  std::vector<std::string>& ignored = options.ignore_columns;
  std::sort(ignored.begin(), ignored.end());
  ignored.erase(std::unique(ignored.begin(), ignored.end()), ignored.end());
  return options;
}

std::string FeatureSetId(const std::string& tenant, const std::string& dataset, const table::PrepareOptions& options) {
  const table::PrepareOptions canonical = Canonical(options);
  ByteWriter out;  // lengths before texts: no two inputs give the same bytes
  out.U32(kFeatureSetVersion);
  out.String(tenant);
  out.String(dataset);
  out.String(Name(canonical.imputation));
  out.String(Name(canonical.encoding));
  out.String(Name(canonical.scaling));
  out.I64(canonical.one_hot_max);
  out.U8(canonical.drop_identifiers ? 1 : 0);
  out.U8(canonical.drop_constant ? 1 : 0);
  out.U64(canonical.ignore_columns.size());
  for (const std::string& name : canonical.ignore_columns) out.String(name);
  if (canonical.window > 1) out.I64(canonical.window);  // 1 is what there was before windows
  return Sha256Hex(out.bytes()).substr(0, 32);
}

std::string SavePreparation(const table::Preparation& preparation) {
  ByteWriter out;
  preparation.Save(out);
  return out.Take();
}

absl::StatusOr<table::Preparation> LoadPreparation(std::string_view bytes) {
  ByteReader in(bytes);
  ASSIGN_OR_RETURN(table::Preparation preparation, table::Preparation::Load(in));
  RETURN_IF_ERROR(in.Finish());
  return preparation;
}

}  // namespace vedette::feature_engine
