// Linear algorithms against PyOD.
#include <catch2/catch.hpp>

#include <algorithm>
#include <cmath>

#include "oracle/compare.h"
#include "oracle/oracle_data.h"

namespace vedette::oracle {
namespace {

const std::vector<Case> kCases = {
    // cardio has rank 20 of 21 and PyOD divides by the smallest variance share, 2.9e-31: only the order means anything.
    {.column = "PCA", .algorithm = "pca", .new_column = "PCA", .by_rank = {"cardio"}, .least_rank_correlation = 0.998},
    {.column = "PCA_unweighted", .algorithm = "pca", .params = {{"weighted", "false"}}, .new_column = "PCA_unweighted"},
    {.column = "PCA_3sel", .algorithm = "pca", .params = {{"n_selected_components", "3"}}, .new_column = "PCA_3sel",
     .by_rank = {"cardio"}, .least_rank_correlation = 0.998},
    // Both solvers stop at a violation of 1e-3; near the border, where scores are near 0, only their order can be compared. With
    // rbf on raw values (plain OCSVM) all rows are equally alike on most of these sets: nothing is left to compare.
    {.column = "OCSVM_nu0.1_scale", .algorithm = "ocsvm", .params = {{"nu", "0.1"}, {"gamma", "scale"}}, .new_column = "OCSVM_nu0.1_scale",
     .by_rank = {"wine", "glass", "vertebral", "WBC", "cardio", "thyroid"}, .least_rank_correlation = 0.998},
    // On the training rows PyOD's error is rounding alone, since all components are kept; on new rows, with as many components as
    // have any variance, it means something (so `column` names none). glass: eigenvalues down to 1e-12 of the largest, small differences
    // of large numbers. cardio: 1281 training rows, more than are fitted on.
    {.column = "none", .algorithm = "kpca", .params = {{"gamma", "auto"}, {"n_components", "10000"}}, .new_column = "KPCA", .tolerance = 1e-6,
     .by_rank = {"glass"}, .least_rank_correlation = 0.995, .left_out = {"cardio"}},
    // PyOD scores the noise of a regression that fits exactly (cardio); ours leaves such columns out. New rows: another rule.
    {.column = "CD", .algorithm = "cd", .tolerance = 1e-6, .left_out = {"cardio"}},
};

}  // namespace

TEST_CASE("linear: training scores equal PyOD's") { CompareTrainingScores(kCases); }
TEST_CASE("linear: scores of new rows equal PyOD's, given one at a time") { CompareNewScores(kCases); }

TEST_CASE("ROC AUC on every set: pca") { CompareQuality("pca", "PCA"); }
TEST_CASE("ROC AUC on every set: mcd") { CompareQuality("mcd", "MCD"); }
TEST_CASE("ROC AUC on every set: cd") { CompareQuality("cd", "CD", {.least_sets = 10, .sets = {{"cardio", 0.006}}}); }  // see the case above
TEST_CASE("ROC AUC on every set: ocsvm") { CompareQuality("ocsvm", "OCSVM", {.least_sets = 10,
                                                    .sets = {{"musk", 0.05}, {"Pima", 0.05}, {"satimage-2", 0.02}, {"vertebral", 0.03}, {"wine", 0.1}},
                                                    .params = {{"gamma", "auto"}},
                                                    .most_rows = 2000}); }  // see the case above

// PyOD's scores are minus the share of the walk, ours relative to the mean row; rows that the walk never visits tie at 0 there and
// have positive scores here. Solutions are unique where no rows are equal, as in wine and vertebral.
TEST_CASE("rgraph: the walk is PyOD's, by its settings") {
  if (!SharedDataPresent()) return;
  const Case c{.column = "RGraph", .algorithm = "rgraph", .params = {{"unit", "false"}, {"tau", "1"}, {"gamma", "50"}}};
  for (const char* set : {"wine", "glass", "vertebral", "WBC"}) {
    INFO(set);
    const std::vector<double> theirs = ReadCsv(ScoresPath(set, ".csv")).Numbers("RGraph");
    const DataSet data = LoadSet(set);
    const auto detector = Fitted(c, data.X);
    std::vector<double> ours(detector->training_scores().begin(), detector->training_scores().end());
    double worst = 0;
    for (size_t i = 0; i < ours.size(); ++i) {
      ours[i] = std::min(ours[i], 0.0) / static_cast<double>(ours.size());
      worst = std::max(worst, std::fabs(ours[i] - theirs[i]));
    }
    INFO("largest difference " << worst << " of shares whose mean is " << 1 / static_cast<double>(ours.size()) << ", Spearman " << Spearman(ours, theirs));
    if (std::string(set) == "WBC" || std::string(set) == "glass") {
      CHECK(Spearman(ours, theirs) > 0.95);
    } else {
      CHECK(worst < 1e-6);
    }
  }
}
TEST_CASE("mean ROC AUC: rgraph") { CompareQuality("rgraph", "RGraph", {.least_sets = 4, .mean_only = true}); }

// A few orders decide: with some seeds most rows of WBC have no smoothing factor (31 rows of 223 have one with PyOD's seed 42,
// all of them with 43 and 44; ours likewise, with other seeds).
TEST_CASE("ROC AUC on every set: lmdd") { CompareQuality("lmdd", "LMDD", {.least_sets = 5}); }
TEST_CASE("order of scores beside PyOD's: lmdd") { CompareRanks("lmdd", "LMDD", 0.2); }

}  // namespace vedette::oracle
