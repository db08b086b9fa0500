// Which algorithm suits a table: what `auto` means. Rules for what is plain, then the nearest tables of a benchmark matrix
// that the project makes from synthetic tables (tools/selection), then a consensus when the budget allows. It can say why.
#pragma once

#include <absl/status/statusor.h>

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/matrix.h"
#include "outlier/data_profile.h"
#include "outlier/detector.h"

namespace vedette::outlier {

/// One proposal, ready to fit.
struct Pick {
  std::string algorithm;                      ///< a name of the catalog
  std::map<std::string, std::string> params;  ///< those that differ from the defaults
  std::string reason;                         ///< one sentence, without the name
  double expected_quality = 0;                ///< ROC AUC on similar synthetic tables; 0 when not known
  Cost cost;                                  ///< of this table
};

struct Selection {
  std::string algorithm;                      ///< picks[0]'s
  std::map<std::string, std::string> params;  ///< picks[0]'s
  std::string reason;                         ///< picks[0]'s
  std::vector<Pick> picks;                    ///< best first, at most three
};

struct SelectOptions {
  double budget_seconds = 60;  ///< of one core, for fitting and scoring the training rows; dearer proposals are left out
};

/// Grounds: on public data no single algorithm leads everywhere, and a small consensus of different kinds (random splits, many
/// neighbours, hyperspheres, clusters) beats the best single one on average; the matrix says who else is good at such tables.
Selection Select(const DataProfile& profile, const SelectOptions& options = {});

/// The matrix that is compiled in: tables x (meta-features, quality of each candidate).
struct SelectionMatrix {
  std::vector<std::string> candidates;       ///< as members of `ensemble` are written
  std::vector<std::string> tables;           ///< names
  std::vector<std::vector<double>> features; ///< per table, in the order of MetaFeatureNames
  std::vector<std::vector<double>> quality;  ///< per table and candidate, ROC AUC
};
const SelectionMatrix& BuiltInMatrix();
/// Text as the tool writes it. Errors: INVALID_ARGUMENT with the line.
absl::StatusOr<SelectionMatrix> ParseMatrix(std::string_view csv);
/// The candidates that the matrix has columns for.
const std::vector<std::string>& SelectionCandidates();

/// Expected quality of each candidate: mean over the nearest tables (meta-features standardised, weights falling with the
/// distance), shrunk towards the mean over all tables.
std::vector<double> ExpectedQuality(const SelectionMatrix& matrix, const DataProfile& profile);

}  // namespace vedette::outlier
