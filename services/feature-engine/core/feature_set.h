// A recipe that turns the rows of a dataset into a feature matrix, fitted once.
#pragma once

#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include <cstdint>
#include <string>
#include <vector>

#include "table/prepare.h"

namespace vedette::feature_engine {

/// Of the recipe's code: raise it when the same dataset and options would give another matrix. Part of the id.
inline constexpr int kFeatureSetVersion = 1;

struct FeatureSet {
  std::string id;
  std::string dataset;  ///< its id
  table::PrepareOptions options;
  std::vector<std::string> features;
  std::vector<std::string> notes;
  absl::Time create_time;
  int version = kFeatureSetVersion;
  std::string preparation;  ///< table::Preparation::Save
};

/// 32 hexadecimal digits of the SHA-256 over tenant, dataset, options in canonical form, and version.
std::string FeatureSetId(const std::string& tenant, const std::string& dataset, const table::PrepareOptions& options);
/// The ignored columns sorted, each once: they are a set.
table::PrepareOptions Canonical(table::PrepareOptions options);

// The words of common.proto.
std::string_view Name(table::Imputation imputation);
std::string_view Name(table::Encoding encoding);
std::string_view Name(table::Scaling scaling);

/// The bytes of a preparation, and back. DATA_LOSS when they are damaged.
std::string SavePreparation(const table::Preparation& preparation);
absl::StatusOr<table::Preparation> LoadPreparation(std::string_view bytes);

}  // namespace vedette::feature_engine
