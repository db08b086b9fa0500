// From a row's feature contributions to an explanation that a colleague would give: which values, in which direction,
// against what they should have been, and what to check first. Deterministic templates, no model, no service types:
// the command line uses them as they are, the explainer service fills its messages from them.
#pragma once

#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "explain/since.h"
#include "outlier/model.h"

namespace vedette::explain {

enum class Direction {
  kHigh,       ///< the value is above what was expected
  kLow,        ///< below
  kDifferent,  ///< another category than expected
  kMissing,    ///< the cell is empty or unreadable
  kUsual,      ///< as expected; it is odd only together with others, if at all
};
std::string_view DirectionName(Direction direction);

/// One source column's part in a row's score, at one lag.
struct Contribution {
  std::string feature_name;
  int lag = 0;              ///< so many rows before is what the values tell of; above 0 only where rows have windows
  double contribution = 0;  ///< positive pushes towards anomalous, in Explanation::space
  double share = 0;         ///< of the positive contributions, [0, 1]
  double actual = 0;        ///< NaN when missing or a category
  double expected = 0;      ///< NaN when a category
  std::string actual_text;
  std::string expected_text;
  Direction direction = Direction::kUsual;
  bool numeric = true;  ///< false: only the texts mean something
  /// Of the actual value among the model's background rows, [0, 100]; NaN where there is none.
  double percentile = std::numeric_limits<double>::quiet_NaN();
  /// Parts of the contribution from where the value lay above, and below, the rows that it was compared with. NaN where
  /// the method does not tell them apart.
  double high = std::numeric_limits<double>::quiet_NaN();
  double low = std::numeric_limits<double>::quiet_NaN();
  /// Of the contribution; NaN where the method draws no samples.
  double standard_error = std::numeric_limits<double>::quiet_NaN();
};

struct Explanation {
  std::vector<Contribution> contributions;  ///< largest first
  std::string method = "native";
  std::string space;              ///< what contributions measure or add up to
  int64_t features_left_out = 0;  ///< smaller than all of these, where the caller did not have them
  bool no_single_driver = false;  ///< the largest share does not stand out: only the combination is odd
  std::string text;               ///< plain words, one paragraph
};

inline constexpr size_t kFeaturesNamed = 3;  ///< in a text, at most

struct Request {
  std::string subject;  ///< "Row 12", as the sentence starts
  outlier::RowScore score;
  double threshold = 0;
  std::string space;
  std::vector<outlier::FeatureContribution> features;
  int64_t features_left_out = 0;       ///< features that are not here, each smaller than those that are
  double share_left_out = 0;           ///< their part of the positive contributions, [0, 1)
  std::optional<OffSince> since = {};  ///< where the rows have times; without it the text does not say
};

/// Builds the explanation. Contributions that are not finite count as 0. No driver is named when no contribution is
/// positive, or when the largest share is below max(0.15, 1.5 / number of features): about what noise gives. Where rows
/// have windows, the text names a feature once, at its strongest lag, and a feature's share is that of all its lags.
Explanation Explain(const Request& request);

/// Shares of the positive contributions by feature, over all lags, the largest first.
struct FeatureShare {
  std::string feature;
  double share = 0;
  int lags = 0;  ///< with a positive contribution
};
std::vector<FeatureShare> SharesByFeature(const std::vector<Contribution>& contributions);

/// "temperature"; "temperature 1 row before"; "temperature 3 rows before".
std::string FeatureWords(const Contribution& c, size_t max_chars = 48);
/// "temperature"; "temperature[-3]".
std::string FeatureTag(const Contribution& c, size_t max_chars = 48);

/// "units_sold 940, expected about 12"; "colour green, expected red"; "price missing, expected about 4.2"; "day 3
/// (usual by itself)"; "temperature 3 rows before: 8.2, expected about 5.1".
std::string ShortPhrase(const Contribution& c);

/// The numbers alone, as ShortPhrase shows them; enough digits are shown to tell the two apart.
std::string ActualWords(const Contribution& c);
std::string ExpectedWords(const Contribution& c);

}  // namespace vedette::explain
