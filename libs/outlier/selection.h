// Which algorithm suits a table: what `auto` means. Rules for what is plain, then the nearest tables of a benchmark
// matrix that the project makes from synthetic tables (tools/selection), then a consensus when the budget allows. It
// can say why.
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

/// What a second opinion (reranker.h) made of the picks.
struct Review {
  std::string outcome;         ///< "": none was asked; "reordered", "confirmed", or why it was not followed
  std::string prompt, answer;  ///< as they were sent and received, for the log
};

struct Selection {
  std::string algorithm;                      ///< picks[0]'s
  std::map<std::string, std::string> params;  ///< picks[0]'s
  std::string reason;                         ///< picks[0]'s
  std::vector<Pick> picks;                    ///< best first, at most three, each of another algorithm
  Review review;
};

struct SelectOptions {
  double budget_seconds =
      60;  ///< of one core, for fitting and scoring the training rows; dearer proposals are left out
};

/// Grounds: no single algorithm leads everywhere, and which one leads on a table can hardly be foretold from the table;
/// a consensus of different kinds (random splits, many neighbours, hyperspheres, clusters, robust ellipsoids), each at
/// several sizes, beats the best single one on average. Single detectors follow in the order of the most similar tables
/// of the matrix.
Selection Select(const DataProfile& profile, const SelectOptions& options = {});

/// The matrix that is compiled in: tables x (meta-features, quality of each candidate).
struct SelectionMatrix {
  std::vector<std::string> candidates;        ///< as members of `ensemble` are written
  std::vector<std::string> tables;            ///< names
  std::vector<std::vector<double>> features;  ///< per table, in the order of MetaFeatureNames
  std::vector<std::vector<double>> quality;   ///< per table and candidate, ROC AUC
};
const SelectionMatrix& BuiltInMatrix();
/// Text as the tool writes it. Errors: INVALID_ARGUMENT with the line.
absl::StatusOr<SelectionMatrix> ParseMatrix(std::string_view csv);
/// Single detectors that the matrix has columns for; the designs below follow them.
const std::vector<std::string>& SelectionCandidates();
/// Parameters of `ensemble`: first what `auto` takes where it can afford all of it, then designs that it is compared
/// with.
struct ConsensusDesign {
  std::string name;
  std::map<std::string, std::string> params;
};
const std::vector<ConsensusDesign>& ConsensusDesigns();

/// Expected quality of each candidate: mean over the nearest tables (meta-features standardised, weights falling with
/// the distance), shrunk towards the mean over all tables.
std::vector<double> ExpectedQuality(const SelectionMatrix& matrix, const DataProfile& profile);
/// The same by meta-features, in the order of MetaFeatureNames.
std::vector<double> ExpectedQuality(const SelectionMatrix& matrix, const std::vector<double>& meta_features);

}  // namespace vedette::outlier
