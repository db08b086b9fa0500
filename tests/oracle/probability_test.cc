// Threshold, probabilities and confidence against PyOD's, from the same training scores.
#include <catch2/catch.hpp>

#include <cmath>

#include "oracle/compare.h"
#include "oracle/oracle_data.h"
#include "outlier/threshold.h"

namespace vedette::oracle {

TEST_CASE("threshold, probabilities and confidence equal PyOD's") {
  if (!SharedDataPresent()) return;
  const std::vector<Case> cases = {{.column = "ECOD", .algorithm = "ecod"},
                                   {.column = "HBOS", .algorithm = "hbos"},
                                   {.column = "KNN", .algorithm = "knn"},
                                   {.column = "PCA", .algorithm = "pca", .left_out = {"cardio"}}};  // see linear_test.cc
  for (const std::string& set : ScoreSets()) {
    const Csv api = ReadCsv(ScoresPath(set, ".api.csv"));
    const DataSet data = LoadSet(set);
    const auto split = static_cast<int64_t>(0.7 * static_cast<double>(data.X.rows()));
    for (const Case& c : cases) {
      if (c.left_out.count(set) != 0) continue;
      INFO(set << " " << c.column);
      const auto detector = Fitted(c, CopyRows(data.X, 0, split));
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
