// What xgbod does with labels, members and explanations; the promises of every algorithm are tests/conformance's.
#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>

#include "base/rng.h"
#include "boosting/algorithms.h"

namespace vedette::boosting {
namespace {

using outlier::Label;

/// Two clusters, both dense; the rows of the second are the known anomalies, which no unsupervised detector would tell.
struct Clusters {
  Matrix X;
  std::vector<Label> labels;
};
Clusters TwoClusters(int64_t n) {
  Clusters out{Matrix(n, 3), std::vector<Label>(static_cast<size_t>(n), Label::kNormal)};
  Rng rng(9);
  for (int64_t i = 0; i < n; ++i) {
    const bool odd = i % 4 == 0;
    for (int64_t j = 0; j < 3; ++j) out.X(i, j) = rng.Normal() + (odd && j == 1 ? 4 : 0);
    if (odd) out.labels[static_cast<size_t>(i)] = Label::kAnomaly;
  }
  return out;
}

std::unique_ptr<outlier::Detector> Make(std::map<std::string, std::string> given = {}) {
  const outlier::Descriptor& d = *Algorithms()[0];
  REQUIRE(d.name == "xgbod");
  given.emplace("members", "knn:n_neighbors=5:scale=standard+hbos+iforest:n_estimators=50");
  const auto params = outlier::ParamSet::Make(d.params, given);
  REQUIRE(params.ok());
  return d.make(*params);
}

std::vector<double> Scores(const outlier::Detector& detector, MatrixView X) {
  std::vector<double> out(static_cast<size_t>(X.rows));
  REQUIRE(detector.Score(X, out, Context{}).ok());
  return out;
}

}  // namespace

TEST_CASE("labels decide what is odd, and the column that they follow is blamed") {
  const Clusters data = TwoClusters(400);
  const auto detector = Make();
  REQUIRE(detector->FitLabelled(data.X, data.labels, Context{}).ok());
  Matrix fresh(2, 3);
  fresh(1, 1) = 4;
  const std::vector<double> scores = Scores(*detector, fresh);
  CHECK(scores[0] < -2);  // log-odds: less than one in eight
  CHECK(scores[1] > 2);
  const auto parts = detector->Explain(fresh, Context{});
  REQUIRE(parts.ok());
  CHECK(parts->contributions(1, 1) > 0);
  CHECK(parts->contributions(1, 1) > std::fabs(parts->contributions(1, 0)) + std::fabs(parts->contributions(1, 2)));
}

TEST_CASE("the parts of two rows differ by what their scores differ by") {
  const Clusters data = TwoClusters(300);
  const auto detector = Make();
  REQUIRE(detector->FitLabelled(data.X, data.labels, Context{}).ok());
  const std::vector<double> scores = Scores(*detector, data.X);
  const auto parts = detector->Explain(data.X, Context{});
  REQUIRE(parts.ok());
  const auto sum = [&](int64_t i) {
    return parts->contributions(i, 0) + parts->contributions(i, 1) + parts->contributions(i, 2);
  };
  for (int64_t i = 1; i < 300; ++i) {
    CHECK(sum(i) - sum(0) == Approx(scores[static_cast<size_t>(i)] - scores[0]).epsilon(1e-9).margin(1e-9));
  }
}

TEST_CASE("rows of unknown label count as normal, or are left out") {
  Clusters data = TwoClusters(400);
  std::vector<Label> known = data.labels;
  for (size_t i = 0; i < known.size(); ++i) {
    if (known[i] == Label::kNormal) known[i] = Label::kUnknown;  // anomalies alone are known
  }
  const auto counted = Make(), ignored = Make({{"unlabelled", "ignored"}});
  REQUIRE(counted->FitLabelled(data.X, known, Context{}).ok());
  const auto all = Make();
  REQUIRE(all->FitLabelled(data.X, data.labels, Context{}).ok());
  CHECK(Scores(*counted, data.X) == Scores(*all, data.X));
  const absl::Status none = ignored->FitLabelled(data.X, known, Context{});
  CHECK(none.code() == absl::StatusCode::kInvalidArgument);
  CHECK(none.message().find("normal") != std::string::npos);
  for (size_t i = 0; i < known.size(); ++i) known[i] = i < 40 ? data.labels[i] : Label::kUnknown;
  REQUIRE(ignored->FitLabelled(data.X, known, Context{}).ok());
  CHECK(Scores(*ignored, data.X) != Scores(*all, data.X));
}

TEST_CASE("members that no tree looks at are not kept") {
  const Clusters data = TwoClusters(400);
  // One tree of one split looks at one feature.
  const auto small = Make({{"n_estimators", "1"}, {"max_depth", "1"}}), large = Make();
  REQUIRE(small->FitLabelled(data.X, data.labels, Context{}).ok());
  REQUIRE(large->FitLabelled(data.X, data.labels, Context{}).ok());
  ByteWriter few, many;
  small->Save(few);
  large->Save(many);
  CHECK(few.bytes().size() * 2 < many.bytes().size());
  const std::vector<double> scores = Scores(*small, data.X);
  CHECK(std::equal(scores.begin(), scores.end(), small->training_scores().begin()));
}

}  // namespace vedette::boosting
