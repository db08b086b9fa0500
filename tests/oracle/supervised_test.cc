// Algorithms that learn from labels, where PyOD's reference results have none: on rows that they have not seen they
// must beat every unsupervised detector that they are made of.
#include <catch2/catch.hpp>

#include "base/rng.h"
#include "boosting/algorithms.h"
#include "oracle/oracle_data.h"
#include "outlier/metrics.h"
#include "outlier/registry.h"

namespace vedette::oracle {
namespace {

struct Half {
  Matrix X;
  std::vector<uint8_t> labels;
};

/// Six rows of ten to learn from, four to be tried on, anomalies and normal rows dealt out separately.
void Split(const DataSet& all, Half* training, Half* held) {
  std::vector<int64_t> chosen[2];
  int64_t dealt[2] = {0, 0};
  for (int64_t i = 0; i < all.X.rows(); ++i)
    chosen[dealt[all.labels[static_cast<size_t>(i)]]++ % 10 < 6 ? 0 : 1].push_back(i);
  for (const int side : {0, 1}) {
    Half& out = side == 0 ? *training : *held;
    out.X = Matrix(static_cast<int64_t>(chosen[side].size()), all.X.cols());
    for (size_t k = 0; k < chosen[side].size(); ++k) {
      for (int64_t j = 0; j < all.X.cols(); ++j) out.X(static_cast<int64_t>(k), j) = all.X(chosen[side][k], j);
      out.labels.push_back(all.labels[static_cast<size_t>(chosen[side][k])]);
    }
  }
}

double Auc(const outlier::Detector& detector, const Half& held) {
  std::vector<double> scores(held.labels.size());
  REQUIRE(detector.Score(held.X, scores, Context{}).ok());
  const auto quality = outlier::Evaluate(scores, held.labels);
  REQUIRE(quality.ok());
  return quality->roc_auc;
}

}  // namespace

TEST_CASE("xgbod beats its unsupervised members on rows that it has not seen") {
  if (!SharedDataPresent()) return;
  const outlier::Descriptor& d = *boosting::Algorithms()[0];
  double mean = 0, best_mean = 0;
  const std::vector<std::string> sets = {"cardio",    "thyroid",     "vertebral",  "Pima",
                                         "pendigits", "mammography", "annthyroid", "letter"};
  for (const std::string& name : sets) {
    Half training, held;
    Split(LoadSet(name, 4000), &training, &held);
    std::vector<outlier::Label> labels;
    for (const uint8_t l : training.labels)
      labels.push_back(l != 0 ? outlier::Label::kAnomaly : outlier::Label::kNormal);
    const auto params = outlier::ParamSet::Make(d.params, {});
    REQUIRE(params.ok());
    const auto detector = d.make(*params);
    REQUIRE(detector->FitLabelled(training.X, labels, Context{}).ok());
    const double auc = Auc(*detector, held);
    double best = 0;
    for (const char* member : {"knn", "knn_mean", "lof", "hbos", "ocsvm", "iforest"}) {
      auto alone = outlier::MakeMember(member);
      REQUIRE(alone.ok());
      REQUIRE((*alone)->Fit(training.X, Context{}).ok());
      best = std::max(best, Auc(**alone, held));
    }
    WARN(name << ": xgbod " << auc << ", the best member " << best);
    CHECK(auc > best - 0.02);
    mean += auc / static_cast<double>(sets.size());
    best_mean += best / static_cast<double>(sets.size());
  }
  CHECK(mean > best_mean + 0.05);
}

}  // namespace vedette::oracle
