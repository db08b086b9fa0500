// Comparison with PyOD 3.6.5, one test file per family: scores value by value, quality on every set, and for random
// algorithms the order of the scores.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "base/matrix.h"
#include "outlier/detector.h"

namespace vedette::oracle {

/// One column of the reference (oracle/pyod_scores/<set>.csv) and the algorithm and parameters that must give it.
struct Case {
  std::string column;
  std::string algorithm;
  std::map<std::string, std::string> params = {};
  std::string new_column = {};           ///< in <set>.newpoints.csv; empty: new rows are not compared
  double tolerance = 1e-9;               ///< relative; the reference has 12 digits
  std::set<std::string> by_rank = {};    ///< sets where only the order means something: say why beside the case
  double least_rank_correlation = 0.95;  ///< Spearman's, on those sets
  std::set<std::string> left_out = {};   ///< sets where the reference is not a number: say why
  bool first_column_only = false;
};

/// The training scores of each case on every set of the reference that has its column.
void CompareTrainingScores(std::span<const Case> cases);
/// Fitted on the first 70 %, the scores of the rest.
void CompareNewScores(std::span<const Case> cases);

struct QualityBounds {
  int least_sets = 18;                     ///< that many rows of the benchmark must have been compared
  double deterministic = 0.002;            ///< of ROC AUC
  double random = 0.015;                   ///< plus twice the standard error of PyOD's mean
  std::map<std::string, double> sets = {};  ///< wider bounds: say why
  std::map<std::string, std::string> params = {};
  bool or_better = false;  ///< a higher ROC AUC than PyOD's is fine
  bool mean_only = false;  ///< compares the mean over the sets alone, which may be higher
  int64_t most_rows = 0;  ///< leaves out larger sets, for algorithms that are quadratic or worse; 0: none
};

/// ROC AUC of the training scores on every development set, raw values, beside oracle/pyod_benchmark.csv. (Under a
/// sanitizer: only sets below 2000 rows.)
void CompareQuality(const std::string& algorithm, const std::string& pyod, const QualityBounds& bounds = {});

/// Random algorithms: the mean Spearman correlation of our scores (3 seeds) with PyOD's (3 seeds) is at least that among
/// PyOD's own seeds less `slack`, on every set of <set>.stochastic.csv that has the columns <pyod>_s42, _s43, _s44.
void CompareRanks(const std::string& algorithm, const std::string& pyod, double slack = 0.02,
                  const std::map<std::string, std::string>& params = {});

/// A detector fitted on X; fails the test when it cannot be.
std::unique_ptr<outlier::Detector> Fitted(const Case& c, const Matrix& X, uint64_t seed = 42);
const std::vector<std::string>& ScoreSets();
std::string ScoresPath(const std::string& set, const std::string& suffix);
double Spearman(std::span<const double> a, std::span<const double> b);

}  // namespace vedette::oracle
