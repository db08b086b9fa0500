// What is particular to one algorithm; what all share is in tests/conformance, equality with PyOD in tests/oracle.
#include <catch2/catch.hpp>

#include <algorithm>
#include <cmath>

#include "base/rng.h"
#include "outlier/registry.h"

namespace vedette::outlier {
namespace {

std::unique_ptr<Detector> Fit(const std::string& name, const Matrix& X, const std::map<std::string, std::string>& given = {}) {
  const Catalog catalog({AllAlgorithms()});
  const auto descriptor = catalog.Find(name);
  REQUIRE(descriptor.ok());
  const auto params = ParamSet::Make((*descriptor)->params, given);
  INFO(params.status());
  REQUIRE(params.ok());
  auto detector = (*descriptor)->make(*params);
  REQUIRE(detector->Fit(X, Context{}).ok());
  return detector;
}

double ScoreOne(const Detector& detector, const std::vector<double>& row) {
  Matrix X(1, static_cast<int64_t>(row.size()));
  for (size_t j = 0; j < row.size(); ++j) X(0, static_cast<int64_t>(j)) = row[j];
  double score = 0;
  REQUIRE(detector.Score(X, {&score, 1}, Context{}).ok());
  return score;
}

Matrix Column(const std::vector<double>& values) {
  Matrix X(static_cast<int64_t>(values.size()), 1);
  std::copy(values.begin(), values.end(), X.data());
  return X;
}

/// ECOD and COPOD of one value as PyOD computes them: the whole sample, the value included.
std::pair<double, double> TailsByDefinition(const std::vector<double>& sample, double x) {
  const auto n = static_cast<double>(sample.size());
  double below = 0, above = 0, mean = 0, m3 = 0;
  for (const double s : sample) {
    below += s <= x ? 1 : 0;
    above += s >= x ? 1 : 0;
    mean += s / n;
  }
  for (const double s : sample) m3 += std::pow(s - mean, 3);
  const double left = -std::log(below / n), right = -std::log(above / n);
  const double skewed = m3 < 0 ? left : right;
  return {std::max({left, right, skewed}), std::max(skewed, (left + right) / 2)};
}

}  // namespace

TEST_CASE("ecod and copod: a new row is judged as if it had been in the sample") {
  Rng rng(21);
  std::vector<double> sample(200);
  for (double& x : sample) x = std::floor(10 * std::exp(rng.Normal()));  // skewed, with ties
  const auto ecod = Fit("ecod", Column(sample)), copod = Fit("copod", Column(sample));
  for (size_t i = 0; i < sample.size(); ++i) {
    const auto [e, c] = TailsByDefinition(sample, sample[i]);
    CHECK(ecod->training_scores()[i] == Approx(e).epsilon(1e-12));
    CHECK(copod->training_scores()[i] == Approx(c).epsilon(1e-12));
  }
  for (const double x : {-1e6, -3.0, 0.0, 1.0, 7.5, 10.0, 40.0, 1e6}) {
    std::vector<double> with = sample;
    with.push_back(x);
    const auto [e, c] = TailsByDefinition(with, x);  // -1e6 turns the skewness round
    CHECK(ScoreOne(*ecod, {x}) == Approx(e).epsilon(1e-12));
    CHECK(ScoreOne(*copod, {x}) == Approx(c).epsilon(1e-12));
  }
}

TEST_CASE("hbos: bins, tolerance and the rarest bin") {
  // Ten values in [0, 10], two bins: 8 below 5, 2 above.
  const auto hbos = Fit("hbos", Column({0, 1, 1, 2, 2, 3, 3, 4, 8, 10}), {{"n_bins", "2"}, {"tol", "0.5"}});
  const double dense = -std::log2(0.8 / 5 + 0.1), sparse = -std::log2(0.2 / 5 + 0.1);
  CHECK(ScoreOne(*hbos, {2}) == Approx(dense));
  CHECK(ScoreOne(*hbos, {9}) == Approx(sparse));
  CHECK(ScoreOne(*hbos, {5}) == Approx(dense));      // on the edge: the bin below
  CHECK(ScoreOne(*hbos, {-2.4}) == Approx(dense));   // within half a bin
  CHECK(ScoreOne(*hbos, {-2.6}) == Approx(sparse));  // beyond: as the rarest bin
  Matrix one(1, 1);
  one(0, 0) = 9;
  CHECK(hbos->Explain(one, Context{})->expected(0, 0) == Approx(2));  // mean of the fullest bin
}

TEST_CASE("zscore and mad: maximum, mean and the fallback for many equal values") {
  Matrix X(4, 2);
  for (int64_t i = 0; i < 4; ++i) X(i, 0) = X(i, 1) = static_cast<double>(i);  // mean 1.5, deviation sqrt(1.25)
  const double sd = std::sqrt(1.25);
  CHECK(ScoreOne(*Fit("zscore", X), {1.5, 4}) == Approx(2.5 / sd));
  CHECK(ScoreOne(*Fit("zscore", X, {{"aggregate", "mean"}}), {1.5, 4}) == Approx(1.25 / sd));
  CHECK(ScoreOne(*Fit("mad", X), {1.5, 4}) == Approx(0.6745 * 2.5 / 1.0));
  // Seven of nine equal: MAD is 0, the mean absolute deviation is 2/9.
  const auto mad = Fit("mad", Column({5, 5, 5, 5, 5, 5, 5, 4, 6}));
  CHECK(ScoreOne(*mad, {7}) == Approx(2 / (std::sqrt(std::acos(-1.0) / 2) * 2 / 9)));
  CHECK(ScoreOne(*mad, {5}) == 0);
}

TEST_CASE("pca: a broken linear relation scores high, dependent columns give sane numbers") {
  Rng rng(5);
  Matrix X(300, 3);
  for (int64_t i = 0; i < 300; ++i) {
    X(i, 0) = rng.Normal();
    X(i, 1) = 2 * X(i, 0) + 0.01 * rng.Normal();
    X(i, 2) = rng.Normal();
  }
  const auto pca = Fit("pca", X);
  const double with = ScoreOne(*pca, {1, 2, 0}), against = ScoreOne(*pca, {1, -2, 0});
  CHECK(with > 0);
  CHECK(std::isfinite(against));
  for (int64_t i = 0; i < 300; ++i) X(i, 1) = 2 * X(i, 0);
  const auto dependent = Fit("pca", X);
  CHECK(*std::max_element(dependent->training_scores().begin(), dependent->training_scores().end()) < 1e14);
  const Catalog catalog({AllAlgorithms()});
  const Descriptor& d = **catalog.Find("pca");
  const auto detector = d.make(*ParamSet::Make(d.params, {{"n_selected_components", "4"}}));
  const absl::Status status = detector->Fit(X, Context{});
  CHECK(status.code() == absl::StatusCode::kInvalidArgument);
  CHECK(std::string(status.message()).find("have only 3 components") != std::string::npos);
}

TEST_CASE("mcd: a third of bad rows does not move the fit, what is expected follows the other columns") {
  for (const int64_t n : {200, 1200, 4000}) {
    Rng rng(9);
    Matrix X(n, 2);
    for (int64_t i = 0; i < n; ++i) {
      X(i, 0) = rng.Normal();
      X(i, 1) = 3 * X(i, 0) + 0.1 * rng.Normal();
      if (i % 3 == 0) {  // a tight cluster off the line
        X(i, 0) = 4 + 0.1 * rng.Normal();
        X(i, 1) = -12 + 0.1 * rng.Normal();
      }
    }
    const auto mcd = Fit("mcd", X);
    double worst_good = 0, best_bad = 1e300;
    for (int64_t i = 0; i < n; ++i) {
      const double s = mcd->training_scores()[static_cast<size_t>(i)];
      (i % 3 == 0 ? best_bad : worst_good) = i % 3 == 0 ? std::min(best_bad, s) : std::max(worst_good, s);
    }
    INFO(n << " rows");
    CHECK(best_bad > 10 * worst_good);
    Matrix odd(1, 2);
    odd(0, 0) = 1;
    odd(0, 1) = 7;
    const auto a = mcd->Explain(odd, Context{});
    REQUIRE(a.ok());
    CHECK(a->expected(0, 1) == Approx(3).margin(0.1));
  }
}

TEST_CASE("mcd: a new row that breaks an exact relation of the training rows is noticed") {
  Rng rng(10);
  Matrix X(200, 3);
  for (int64_t i = 0; i < 200; ++i) {
    X(i, 0) = rng.Normal();
    X(i, 1) = rng.Normal();
    X(i, 2) = X(i, 0) + X(i, 1);
  }
  const auto mcd = Fit("mcd", X);
  CHECK(ScoreOne(*mcd, {0.5, 0.5, 1.0}) < 5);
  CHECK(ScoreOne(*mcd, {0.5, 0.5, 1.2}) > 1000);
}

}  // namespace vedette::outlier
