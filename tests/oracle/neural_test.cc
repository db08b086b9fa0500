// Neural algorithms against PyOD: by its settings set by set, and by ours in the mean, where they differ. PyOD's
// results are those of three seeds at most on the smallest sets, so the mean over ours is taken of ten.
#ifdef VEDETTE_NEURAL
#include <catch2/catch.hpp>

#include "oracle/compare.h"

namespace vedette::oracle {

// PyOD leaves columns as they are, which is how it separates wine, by its largest column. It has one seed of glass,
// vertebral and WBC; on vertebral nearly all algorithms are below chance.
TEST_CASE("ROC AUC on every set: anogan, columns as they are") {
  CompareQuality(
      "anogan", "AnoGAN",
      {.least_sets = 4, .sets = {{"vertebral", 0.2}}, .params = {{"standardize", "false"}}, .or_better = true});
}
TEST_CASE("mean ROC AUC: anogan") { CompareQuality("anogan", "AnoGAN", {.least_sets = 4, .mean_only = true}); }
// One seed of PyOD's again, where vertebral is a question of 0.02.
TEST_CASE("ROC AUC on every set: lunar") {
  CompareQuality("lunar", "LUNAR", {.least_sets = 4, .sets = {{"vertebral", 0.03}}, .or_better = true});
}
// PyOD's alad takes 200 steps whatever the set, ours up to 2500.
TEST_CASE("mean ROC AUC: alad") { CompareQuality("alad", "ALAD", {.least_sets = 4, .mean_only = true}); }
TEST_CASE("mean ROC AUC: lunar") { CompareQuality("lunar", "LUNAR", {.least_sets = 4, .mean_only = true}); }

}  // namespace vedette::oracle
#endif
