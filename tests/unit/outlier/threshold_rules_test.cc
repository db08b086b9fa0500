#include <catch2/catch.hpp>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <functional>
#include <numeric>
#include <sstream>

#include "base/rng.h"
#include "outlier/extreme_values.h"
#include "outlier/model.h"
#include "outlier/special.h"
#include "outlier/threshold.h"

namespace vedette::outlier {
namespace {

std::vector<double> Sorted(std::vector<double> v) {
  std::sort(v.begin(), v.end());
  return v;
}

double Threshold(const std::string& rule, const std::vector<double>& scores) {
  const auto parsed = ThresholdRule::Parse(rule);
  REQUIRE(parsed.ok());
  const auto found = parsed->Find(Sorted(scores));
  REQUIRE(found.ok());
  return *found;
}

std::vector<double> Draw(int64_t n, uint64_t seed, const std::function<double(Rng&)>& one) {
  Rng rng(seed);
  std::vector<double> v(static_cast<size_t>(n));
  for (double& x : v) x = one(rng);
  return v;
}

int64_t Above(const std::vector<double>& v, double threshold) {
  return std::count_if(v.begin(), v.end(), [&](double x) { return x > threshold; });
}

}  // namespace

TEST_CASE("threshold rules with a formula give its value") {
  const std::vector<double> v = {1, 2, 3, 4, 5, 6, 7, 8, 9, 100};
  CHECK(Threshold("fixed:2.5", v) == 2.5);
  CHECK(Threshold("percentile:90", v) == Percentile(v, 90));
  CHECK(Threshold("iqr", v) == Approx(7.75 + 1.5 * (7.75 - 3.25)));
  CHECK(Threshold("mad:2", v) == Approx(5.5 + 2 * 1.482602218505602 * 2.5));
  const double mean = 14.5;
  double squares = 0;
  for (const double x : v) squares += (x - mean) * (x - mean) / 10;
  CHECK(Threshold("zscore:factor=2", v) == Approx(mean + 2 * std::sqrt(squares)));
}

TEST_CASE("rules are parsed, named canonically and refused with a reason") {
  CHECK(ThresholdRule::Parse("pot")->Text() == "pot:level=0.9:risk=0.001");
  CHECK(ThresholdRule::Parse("pot:1e-4:level=0.95")->Text() == "pot:level=0.95:risk=0.0001");
  for (const char* bad : {"", "mda", "mad:x", "mad:-1", "mad:width=3", "mad:1:factor=2", "mad:", "pot:risk"}) {
    INFO(bad);
    CHECK_FALSE(ThresholdRule::Parse(bad).ok());
  }
  CHECK(std::string(ThresholdRule::Parse("mda").status().message()).find("mad") != std::string::npos);
}

TEST_CASE("generalised ESD finds the three outliers of Rosner's data, with Student's quantiles") {
  CHECK(StudentQuantile(0.975, 10) == Approx(2.228138852).epsilon(1e-8));
  CHECK(StudentQuantile(0.95, 1) == Approx(6.313751515).epsilon(1e-8));
  CHECK(StudentQuantile(0.05, 1e6) == Approx(-1.644856).epsilon(1e-5));
  const std::vector<double> rosner = {-0.25, 0.68, 0.94, 1.15, 1.20, 1.26, 1.26, 1.34, 1.38, 1.43, 1.49, 1.49, 1.55, 1.56,
                                      1.58,  1.65, 1.69, 1.70, 1.76, 1.77, 1.81, 1.91, 1.94, 1.96, 1.99, 2.06, 2.09, 2.10,
                                      2.14,  2.15, 2.23, 2.24, 2.26, 2.35, 2.37, 2.40, 2.47, 2.54, 2.62, 2.64, 2.90, 2.92,
                                      2.92,  2.93, 3.21, 3.26, 3.30, 3.59, 3.68, 4.30, 4.64, 5.34, 5.42, 6.01};
  CHECK(Above(rosner, Threshold("gesd:0.025", rosner)) == 3);  // one-sided 0.025 is the two-sided 0.05 of the handbook
  const auto normal = Draw(5000, 3, [](Rng& r) { return r.Normal(); });
  CHECK(Above(normal, Threshold("gesd:0.001", normal)) == 0);
}

TEST_CASE("a Pareto tail is recovered, and its quantiles are those of the law") {
  for (const double shape : {-0.3, 0.0, 0.4}) {
    const auto x = Draw(20000, 5, [&](Rng& r) {
      const double u = 1 - r.Uniform();
      return shape == 0 ? -2 * std::log(u) : 2 * (std::pow(u, -shape) - 1) / shape;
    });
    const ParetoTail tail = FitParetoTail(x);
    CHECK(tail.shape == Approx(shape).margin(0.03));
    CHECK(tail.scale == Approx(2).margin(0.08));
  }
  CHECK(TailQuantile({0, 2}, 1, 0.1, 0.001) == Approx(1 + 2 * std::log(100)));
}

TEST_CASE("peaks over threshold extrapolates the risk that was asked for") {
  const auto scores = Draw(20000, 7, [](Rng& r) { return -std::log(1 - r.Uniform()); });
  CHECK(Threshold("pot:0.0001", scores) == Approx(std::log(1e4)).margin(0.9));
  CHECK_FALSE(ThresholdRule::Parse("pot:0.3")->Find(Sorted(scores)).ok());
}

TEST_CASE("a streaming tail keeps its rate of false alarms and notices what is far off") {
  const auto first = Draw(2000, 11, [](Rng& r) { return r.Normal(); });
  auto spot = StreamingTail::Start(first, 0.95, 1e-3);
  REQUIRE(spot.ok());
  Rng rng(12);
  int alarms = 0;
  for (int i = 0; i < 50000; ++i) alarms += spot->Observe(rng.Normal());
  CHECK(alarms < 150);
  CHECK(alarms > 10);
  CHECK(spot->Observe(20));
  CHECK(spot->Observe(HUGE_VAL));
  CHECK_FALSE(spot->Observe(std::nan("")));
  CHECK_FALSE(StreamingTail::Start(std::vector<double>(50, 1.0), 0.9, 1e-3).ok());
}

TEST_CASE("mixture and density thresholds separate two groups of scores") {
  auto scores = Draw(1000, 13, [](Rng& r) { return -std::log(1 - r.Uniform()) - std::log(1 - r.Uniform()); });
  const std::vector<double> bulk = scores;
  const auto odd = Draw(50, 14, [](Rng& r) { return 40 + 2 * r.Normal(); });
  scores.insert(scores.end(), odd.begin(), odd.end());
  for (const char* rule : {"mixture", "density"}) {
    INFO(rule);
    const double t = Threshold(rule, scores);
    CHECK(Above(bulk, t) <= 10);
    CHECK(t < 36);
  }
}

TEST_CASE("conformal p-values are uniform or larger, and false discoveries stay below the rate") {
  const auto calibration = Draw(999, 17, [](Rng& r) { return r.Normal(); });
  const auto scale = ScoreScale::Fit(calibration, *ThresholdRule::Parse("conformal:0.05"));
  REQUIRE(scale.ok());
  for (const double s : {-3.0, 0.0, 1.0, calibration[5], 9.0}) {  // against the definition
    const auto at_least = std::count_if(calibration.begin(), calibration.end(), [&](double c) { return c >= s; });
    CHECK(scale->PValue(s) == Approx((1.0 + static_cast<double>(at_least)) / 1000));
    CHECK(scale->IsAnomaly(s) == (scale->PValue(s) <= 0.05));
  }
  double shares = 0;
  for (uint64_t round = 0; round < 100; ++round) {
    Rng rng(round, 3);
    std::vector<double> fresh(999), batch(500);
    for (double& x : fresh) x = rng.Normal();
    for (size_t i = 0; i < batch.size(); ++i) batch[i] = rng.Normal() + (i < 50 ? 5 : 0);
    const std::vector<bool> found = ScoreScale::Fit(fresh, 0.1)->Discoveries(batch, 0.2);
    const auto all = std::count(found.begin(), found.end(), true), right = std::count(found.begin(), found.begin() + 50, true);
    CHECK(right >= 25);
    shares += all > 0 ? static_cast<double>(all - right) / static_cast<double>(all) : 0;
  }
  CHECK(shares / 100 < 0.2);
  const std::vector<double> p = {0.01, 0.04, 0.03, 0.005, 0.5};
  CHECK(BenjaminiHochberg(p, 0.05) == std::vector<bool>{true, true, true, true, false});
}

TEST_CASE("every rule gives a finite threshold for any scores") {
  const std::vector<std::vector<double>> cases = {
      {1},
      {2, 2, 2, 2},
      {1, 2},
      std::vector<double>(100, 0.0),
      {-1.7e308, 0, 1.7e308},
      Draw(3000, 19, [](Rng& r) { return r.Uniform() < 0.9 ? 0.0 : 1e308 * r.Uniform(); }),
      Draw(3000, 23, [](Rng& r) { return std::floor(3 * r.Uniform()); }),
      Draw(500, 29, [](Rng& r) { return 1e-310 * r.Uniform(); }),
      Draw(5000, 31, [](Rng& r) { return r.Normal() * std::exp(5 * r.Normal()); })};
  for (const ThresholdDescriptor* rule : AllThresholds()) {
    for (size_t i = 0; i < cases.size(); ++i) {
      INFO(rule->name << " on case " << i);
      const auto scale = ScoreScale::Fit(cases[i], *ThresholdRule::Parse(rule->name));
      REQUIRE(scale.ok());
      CHECK(std::isfinite(scale->threshold()));
      CHECK((scale->contamination() > 0 && scale->contamination() <= 0.5));
      ByteWriter out;
      scale->Save(out);
      ByteReader in(out.bytes());
      const auto loaded = ScoreScale::Load(in);
      REQUIRE(loaded.ok());
      CHECK(loaded->rule() == scale->rule());
      CHECK(loaded->threshold() == scale->threshold());
    }
  }
}

TEST_CASE("rejection is for rows whose label is uncertain") {
  const auto scores = Draw(1000, 37, [](Rng& r) { return r.Normal(); });
  const auto scale = ScoreScale::Fit(scores, 0.1);
  REQUIRE(scale.ok());
  CHECK(scale->Rejects(scale->threshold()));
  CHECK_FALSE(scale->Rejects(-2));
  CHECK_FALSE(scale->Rejects(3, 3));
  CHECK(scale->Rejects(scale->threshold(), 3));
}

TEST_CASE("model files of every version load for ever") {
  const Catalog catalog({AllAlgorithms()});
  struct Kept {
    const char* file;
    const char* algorithm;
    const char* rule;
    double threshold, contamination;
  };
  for (const Kept& kept : {Kept{"iforest_v1.vdt", "iforest", "", 0.5693, 0.08}, Kept{"ecod_v1.vdt", "ecod", "", 18.64, 0.05},
                           Kept{"ecod_v2.vdt", "ecod", "mad:factor=3", 18.64, 0.05},
                           Kept{"knn_v3.vdt", "knn", "", 6.4312, 0.05}}) {
    INFO(kept.file);
    std::ifstream in(std::string(VEDETTE_TEST_DATA) + "/models/" + kept.file, std::ios::binary);
    std::ostringstream bytes;
    bytes << in.rdbuf();
    const auto model = Model::Parse(catalog, bytes.str());
    REQUIRE(model.ok());
    CHECK((*model)->descriptor().name == kept.algorithm);
    CHECK((*model)->scale().rule() == kept.rule);
    if (*kept.rule == '\0') CHECK((*model)->scale().threshold() == Approx(kept.threshold).epsilon(1e-3));
    if (*kept.rule == '\0') CHECK((*model)->scale().contamination() == kept.contamination);
    const Matrix X((*model)->background());
    const auto rows = (*model)->Score(X, Context{});
    REQUIRE(rows.ok());
    CHECK(std::none_of(rows->begin(), rows->end(), [](const RowScore& r) { return r.anomaly; }));  // typical rows
    if ((*model)->descriptor().name != "knn") continue;
    CHECK((*model)->preparation().history() == 1);
    const int64_t first = 0;
    const auto trained = (*model)->ScoreRowsOf("datasets/wine", {&first, 1}, X.view().Rows(0, 1), Context{});
    REQUIRE(trained.ok());
    CHECK((*trained)[0].score == Approx(3.396573));
  }
}

}  // namespace vedette::outlier
