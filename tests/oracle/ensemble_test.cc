// Ensembles and trees against PyOD.
#include <catch2/catch.hpp>

#include "oracle/compare.h"

namespace vedette::oracle {

TEST_CASE("ROC AUC on every set: iforest") { CompareQuality("iforest", "IForest"); }
TEST_CASE("the order of scores is PyOD's as far as PyOD's own seeds agree: iforest") { CompareRanks("iforest", "IForest"); }

}  // namespace vedette::oracle
