#include "outlier/threshold.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <limits>
#include <map>
#include <numeric>

#include "base/rng.h"
#include "outlier/special.h"

namespace vedette::outlier {
namespace {

std::vector<double> Normal(int64_t n, uint64_t seed = 1) {
  Rng rng(seed);
  std::vector<double> v(static_cast<size_t>(n));
  for (double& x : v) x = rng.Normal();
  return v;
}

ScoreScale Scale(const std::vector<double>& scores, double contamination = 0.1) {
  auto scale = ScoreScale::Fit(scores, contamination);
  REQUIRE(scale.ok());
  return *scale;
}

}  // namespace

TEST_CASE("percentiles interpolate as numpy's") {
  const std::vector<double> v = {4, 1, 3, 2};
  CHECK(Percentile(v, 0) == 1);
  CHECK(Percentile(v, 50) == 2.5);
  CHECK(Percentile(v, 90) == Approx(3.7).epsilon(1e-15));
  CHECK(Percentile(v, 100) == 4);
  CHECK(Percentile(std::vector<double>{7}, 33) == 7);
  CHECK(std::isfinite(Percentile(std::vector<double>{-1.7e308, 1.7e308}, 25)));
}

TEST_CASE("score scales refuse what they cannot use") {
  CHECK_FALSE(ScoreScale::Fit({}, 0.1).ok());
  const std::vector<double> one = {1.0};
  for (const double c : {0.0, -0.1, 0.51, std::nan("")}) CHECK_FALSE(ScoreScale::Fit(one, c).ok());
  const std::vector<double> bad = {1.0, std::numeric_limits<double>::infinity()};
  CHECK_FALSE(ScoreScale::Fit(bad, 0.1).ok());
}

TEST_CASE("confidence is the binomial's tail, also where that is not looked up") {
  for (const int64_t n : {1, 7, 300, 4096}) {
    std::vector<double> scores(static_cast<size_t>(n));
    std::iota(scores.begin(), scores.end(), 1.0);
    for (const double contamination : {0.0001, 0.03, 0.5}) {
      const ScoreScale scale = Scale(scores, contamination);
      const auto all = static_cast<double>(n), normal = all - std::floor(all * contamination);
      for (double below = 0; below <= all; ++below) {
        const double tail = BinomialSurvival(normal, all, (1 + below) / (2 + all));
        INFO(n << " scores, contamination " << contamination << ", " << below << " below");
        CHECK(scale.Confidence(below + 0.5) ==
              Approx(scale.IsAnomaly(below + 0.5) ? tail : 1 - tail).margin(1e-15).epsilon(1e-15));
      }
    }
  }
}

TEST_CASE("probability, quantile, confidence and severity rise with the score") {
  for (const int64_t n : {1, 2, 10, 300, 20000}) {
    for (const double contamination : {0.001, 0.1, 0.5}) {
      const ScoreScale scale = Scale(Normal(n), contamination);
      double unify = -1, linear = -1, quantile = -1;
      int severity = -1;
      for (double s = -6; s < 30; s += 0.01) {
        CHECK((scale.Probability(s) >= unify && scale.Probability(s) <= 1));
        CHECK((scale.LinearProbability(s) >= linear && scale.LinearProbability(s) <= 1));
        CHECK((scale.Quantile(s) >= quantile && scale.Quantile(s) <= 1));
        CHECK(static_cast<int>(scale.SeverityOf(s)) >= severity);
        CHECK((scale.Confidence(s) >= 0 && scale.Confidence(s) <= 1));
        CHECK((scale.SeverityOf(s) == Severity::kNone) == !scale.IsAnomaly(s));
        unify = scale.Probability(s);
        linear = scale.LinearProbability(s);
        quantile = scale.Quantile(s);
        severity = static_cast<int>(scale.SeverityOf(s));
      }
    }
  }
}

TEST_CASE("severity means the same for exponential scores, whatever their unit and the contamination") {
  Rng rng(3);
  std::vector<double> scores(100000);
  for (double& s : scores) s = -std::log(1 - rng.Uniform());
  for (const double unit : {1e-200, 1.0, 1e150}) {
    std::vector<double> scaled = scores;
    for (double& s : scaled) s = 5 * unit + s * unit;
    for (const double contamination : {0.01, 0.1}) {
      const ScoreScale scale = Scale(scaled, contamination);
      std::map<Severity, double> share;
      for (const double s : scaled)
        share[scale.SeverityOf(s)] += 1 / (contamination * static_cast<double>(scaled.size()));
      CHECK(share[Severity::kLow] == Approx(1 - std::exp(-1)).margin(0.06));
      CHECK(share[Severity::kMedium] == Approx(std::exp(-1) - std::exp(-2.5)).margin(0.05));
      CHECK(share[Severity::kHigh] == Approx(std::exp(-2.5) - std::exp(-5)).margin(0.05));
      CHECK(share[Severity::kCritical] < 0.03);
      CHECK(scale.TailUnits(scale.threshold()) == 0);
    }
  }
}

TEST_CASE("anomalies in the training data do not make other anomalies look mild") {
  std::vector<double> scores = Normal(1000);
  for (size_t i = 0; i < 80; ++i) scores[i] = 25 + scores[i];
  const ScoreScale scale = Scale(scores);
  CHECK(scale.SeverityOf(25) == Severity::kCritical);
}

TEST_CASE("equal scores: nothing is anomalous, anything above is") {
  for (const double value : {0.0, 1.0, -1e300, 1e-300}) {
    const ScoreScale scale = Scale(std::vector<double>(50, value));
    CHECK(scale.threshold() == value);
    CHECK_FALSE(scale.IsAnomaly(value));
    CHECK(scale.Probability(value) == 0);
    CHECK(scale.Quantile(value) == 1);
    CHECK(scale.SeverityOf(value) == Severity::kNone);
    CHECK(scale.SeverityOf(1e301) == Severity::kCritical);
    CHECK(scale.Probability(1e301) == 1);
  }
}

TEST_CASE("huge scores stay finite") {
  const ScoreScale scale = Scale({-1.7e308, -1e308, 0, 1e308, 1.7e308});
  for (const double s : {-1.7e308, 0.0, 1.7e308}) {
    CHECK(std::isfinite(scale.Probability(s)));
    CHECK(std::isfinite(scale.LinearProbability(s)));
    CHECK(std::isfinite(scale.Confidence(s)));
    CHECK(std::isfinite(scale.TailUnits(s)));
  }
  CHECK(scale.LinearProbability(0) == Approx(0.5));
}

TEST_CASE("the sketch of many scores keeps quantiles to its resolution") {
  const std::vector<double> scores = Normal(50000);
  const ScoreScale scale = Scale(scores);
  for (const double s : {-3.0, -1.0, 0.0, 0.5, 2.0, 3.5}) {
    const double exact =
        static_cast<double>(std::count_if(scores.begin(), scores.end(), [s](double x) { return x <= s; })) / 50000;
    CHECK(scale.Quantile(s) == Approx(exact).margin(1.0 / 4000));
  }
}

TEST_CASE("another contamination gives the threshold that fitting with it would") {
  const std::vector<double> scores = Normal(3000);
  const auto moved = Scale(scores, 0.1).WithContamination(0.02);
  REQUIRE(moved.ok());
  CHECK(moved->threshold() == Scale(scores, 0.02).threshold());
  CHECK(moved->contamination() == 0.02);
  CHECK_FALSE(Scale(scores).WithContamination(0.7).ok());
}

TEST_CASE("a saved scale answers the same, a damaged one is refused") {
  const ScoreScale scale = Scale(Normal(500));
  ByteWriter out;
  scale.Save(out);
  ByteReader in(out.bytes());
  const auto loaded = ScoreScale::Load(in);
  REQUIRE(loaded.ok());
  for (double s = -4; s < 8; s += 0.1) {
    CHECK(loaded->Probability(s) == scale.Probability(s));
    CHECK(loaded->Confidence(s) == scale.Confidence(s));
    CHECK(loaded->SeverityOf(s) == scale.SeverityOf(s));
  }
  for (size_t size = 0; size < out.bytes().size(); ++size) {
    ByteReader cut(std::string_view(out.bytes()).substr(0, size));
    CHECK(ScoreScale::Load(cut).status().code() == absl::StatusCode::kDataLoss);
  }
}

}  // namespace vedette::outlier
