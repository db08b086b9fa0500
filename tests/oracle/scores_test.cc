// Scores equal to PyOD 3.6.5's, value by value, for the deterministic algorithms, on training rows and on new rows.
#include <catch2/catch.hpp>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "oracle/oracle_data.h"
#include "outlier/registry.h"
#include "outlier/threshold.h"

namespace vedette::oracle {
namespace {

using outlier::Detector;

const std::vector<std::string>& Sets() {
  static const std::vector<std::string> sets = {"wine", "glass", "vertebral", "WBC", "cardio", "thyroid"};
  return sets;
}

/// One column of the reference and the algorithm and parameters that must give it.
struct Case {
  std::string column;
  std::string algorithm;
  std::map<std::string, std::string> params;
  std::string new_column;  ///< in newpoints.csv
};

const std::vector<Case>& Cases() {
  static const std::vector<Case> cases = {
      {"ECOD", "ecod", {}, "ECOD_one_at_a_time"},
      {"COPOD", "copod", {}, "COPOD_one_at_a_time"},
      {"HBOS", "hbos", {}, "HBOS"},
      {"HBOS_20", "hbos", {{"n_bins", "20"}, {"alpha", "0.2"}, {"tol", "0.1"}}, "HBOS_20"},
      {"HBOS_auto", "hbos", {{"n_bins", "auto"}}, "HBOS_auto"},
      {"PCA", "pca", {}, "PCA"},
      {"PCA_unweighted", "pca", {{"weighted", "false"}}, "PCA_unweighted"},
      {"PCA_3sel", "pca", {{"n_selected_components", "3"}}, "PCA_3sel"},
      {"MAD_f0", "mad", {}, "MAD_f0"},
      {"KNN", "knn", {}, "KNN"},
      {"KNN_mean", "knn", {{"method", "mean"}}, "KNN_mean"},
      {"KNN_median", "knn", {{"method", "median"}}, "KNN_median"},
      {"KNN_k10_manhattan", "knn", {{"n_neighbors", "10"}, {"metric", "manhattan"}}, "KNN_k10_manhattan"},
      {"LOF", "lof", {}, "LOF"},
      {"LOF_k10_manhattan", "lof", {{"n_neighbors", "10"}, {"metric", "manhattan"}}, "LOF_k10_manhattan"},
  };
  return cases;
}

std::unique_ptr<Detector> Fitted(const Case& c, const Matrix& X) {
  const outlier::Catalog catalog({outlier::AllAlgorithms()});
  const auto descriptor = catalog.Find(c.algorithm);
  INFO(descriptor.status());
  CHECK(descriptor.ok());
  if (!descriptor.ok()) return nullptr;
  const auto params = outlier::ParamSet::Make((*descriptor)->params, c.params);
  INFO(params.status());
  REQUIRE(params.ok());
  auto detector = (*descriptor)->make(*params);
  const absl::Status fitted = detector->Fit(X, Context{});
  INFO(fitted);
  REQUIRE(fitted.ok());
  return detector;
}

/// Largest relative difference.
double Worst(std::span<const double> ours, const std::vector<double>& theirs) {
  REQUIRE(ours.size() == theirs.size());
  double worst = 0;
  for (size_t i = 0; i < ours.size(); ++i) {
    worst = std::max(worst, std::fabs(ours[i] - theirs[i]) / std::max(1e-12, std::fabs(theirs[i])));
  }
  return worst;
}

std::vector<double> Ranks(std::span<const double> v) {
  std::vector<size_t> order(v.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return v[a] < v[b]; });
  std::vector<double> ranks(v.size());
  for (size_t i = 0; i < order.size(); ++i) ranks[order[i]] = static_cast<double>(i);
  return ranks;
}

double Spearman(std::span<const double> a, std::span<const double> b) {
  const std::vector<double> x = Ranks(a), y = Ranks(b);
  const double mean = static_cast<double>(x.size() - 1) / 2;
  double xy = 0, xx = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    xy += (x[i] - mean) * (y[i] - mean);
    xx += (x[i] - mean) * (x[i] - mean);
  }
  return xy / xx;
}

/// The matrix of cardio has rank 20 of 21 and PyOD divides by the smallest variance share, 2.9e-31: only the order means anything.
bool RankDeficient(const std::string& set, const Case& c) {
  return set == "cardio" && c.algorithm == "pca" && c.column != "PCA_unweighted";
}

/// Sets with equal distances (duplicates, small whole numbers): scikit-learn takes exactly k of the equally near rows, in the
/// order of its tree; lof takes all that tie with the k-th, as the paper does. Only the order of scores can be compared.
bool TiedNeighbours(const std::string& set, const Case& c) {
  return c.algorithm == "lof" && (set == "WBC" || set == "thyroid" || set == "cardio");
}

Matrix Input(const Case& c, const Matrix& X) {
  if (c.column != "MAD_f0") return X;
  Matrix first(X.rows(), 1);
  for (int64_t i = 0; i < X.rows(); ++i) first(i, 0) = X(i, 0);
  return first;
}

void Compare(const std::string& set, const Case& c, std::span<const double> ours, const std::vector<double>& theirs) {
  if (RankDeficient(set, c)) {
    INFO("Spearman " << Spearman(ours, theirs));
    CHECK(Spearman(ours, theirs) > 0.999);
    CHECK(*std::max_element(ours.begin(), ours.end()) < 1e20);
    return;
  }
  if (TiedNeighbours(set, c)) {
    INFO("Spearman " << Spearman(ours, theirs));
    CHECK(Spearman(ours, theirs) > 0.95);
    return;
  }
  const double worst = Worst(ours, theirs);
  INFO("largest relative difference " << worst);
  CHECK(worst < 1e-9);  // the reference has 12 digits
}

std::string ScoresPath(const std::string& set, const std::string& suffix) {
  return SharedPath("oracle/pyod_scores/" + set + suffix);
}

}  // namespace

TEST_CASE("training scores equal PyOD's") {
  if (!SharedDataPresent()) return;
  for (const std::string& set : Sets()) {
    const Csv reference = ReadCsv(ScoresPath(set, ".csv"));
    const DataSet data = LoadSet(set);
    for (const Case& c : Cases()) {
      if (reference.Find(c.column) < 0) continue;
      INFO(set << " " << c.column);
      const auto detector = Fitted(c, Input(c, data.X));
      if (detector == nullptr) continue;
      Compare(set, c, detector->training_scores(), reference.Numbers(c.column));
    }
  }
}

TEST_CASE("scores of new rows equal PyOD's, one row at a time where PyOD's depend on the batch") {
  if (!SharedDataPresent()) return;
  for (const std::string& set : Sets()) {
    const Csv reference = ReadCsv(ScoresPath(set, ".newpoints.csv"));
    const DataSet data = LoadSet(set);
    const auto split = static_cast<int64_t>(0.7 * static_cast<double>(data.X.rows()));
    for (const Case& c : Cases()) {
      if (reference.Find(c.new_column) < 0) continue;
      INFO(set << " " << c.new_column);
      const Matrix X = Input(c, data.X);
      const auto detector = Fitted(c, CopyRows(X, 0, split));
      if (detector == nullptr) continue;
      const Matrix rest = CopyRows(X, split, X.rows());
      std::vector<double> scores(static_cast<size_t>(rest.rows()));
      REQUIRE(detector->Score(rest, scores, Context{}).ok());
      Compare(set, c, scores, reference.Numbers(c.new_column));
    }
  }
}

TEST_CASE("threshold, probabilities and confidence equal PyOD's") {
  if (!SharedDataPresent()) return;
  const std::vector<Case> cases = {{"ECOD", "ecod", {}, ""}, {"HBOS", "hbos", {}, ""}, {"KNN", "knn", {}, ""}, {"PCA", "pca", {}, ""}};
  for (const std::string& set : Sets()) {
    const Csv api = ReadCsv(ScoresPath(set, ".api.csv"));
    const DataSet data = LoadSet(set);
    const auto split = static_cast<int64_t>(0.7 * static_cast<double>(data.X.rows()));
    for (const Case& c : cases) {
      if (RankDeficient(set, c)) continue;
      INFO(set << " " << c.column);
      const auto detector = Fitted(c, CopyRows(data.X, 0, split));
      if (detector == nullptr) continue;
      const auto scale = outlier::ScoreScale::Fit(detector->training_scores(), 0.1);
      REQUIRE(scale.ok());
      const std::vector<double> score = api.Numbers(c.column + "_score"), label = api.Numbers(c.column + "_label"),
                                linear = api.Numbers(c.column + "_proba_linear"),
                                unify = api.Numbers(c.column + "_proba_unify"),
                                confidence = api.Numbers(c.column + "_confidence");
      double worst_linear = 0, worst_unify = 0, worst_confidence = 0;
      for (size_t i = 0; i < score.size(); ++i) {
        // Scores are written with 12 digits; one that equals a training score must count as such.
        double s = score[i];
        for (const double t : detector->training_scores()) {
          if (std::fabs(t - s) <= 1e-11 * std::fabs(s)) s = t;
        }
        CHECK(scale->IsAnomaly(s) == (label[i] == 1));
        worst_linear = std::max(worst_linear, std::fabs(scale->LinearProbability(s) - linear[i]));
        worst_unify = std::max(worst_unify, std::fabs(scale->Probability(s) - unify[i]));
        worst_confidence = std::max(worst_confidence, std::fabs(scale->Confidence(s) - confidence[i]));
      }
      CHECK(worst_linear < 1e-9);
      CHECK(worst_unify < 1e-9);
      CHECK(worst_confidence < 1e-9);
    }
  }
}

}  // namespace vedette::oracle
