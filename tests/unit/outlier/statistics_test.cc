// Sorting, column statistics, special functions: against direct computation or published values.
#include <catch2/catch.hpp>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "base/rng.h"
#include "outlier/columns.h"
#include "outlier/parallel.h"
#include "outlier/projection.h"
#include "outlier/sorting.h"
#include "outlier/special.h"

namespace vedette::outlier {

TEST_CASE("a watched sort is a sort, and stops") {
  Rng rng(12);
  for (const size_t n : {size_t{0}, size_t{1}, size_t{32768}, size_t{32769}, size_t{200001}}) {
    std::vector<double> v(n);
    for (double& x : v) x = static_cast<double>(rng.Below(50000));
    std::vector<double> expected = v;
    std::sort(expected.begin(), expected.end());
    REQUIRE(SortWatched(v, {}).ok());
    CHECK(v == expected);
  }
  std::stop_source stop;
  stop.request_stop();
  std::vector<double> v = {2, 1};
  CHECK(absl::IsCancelled(SortWatched(v, {.stop = stop.get_token()})));
}

TEST_CASE("the column sorter agrees with a stable sort") {
  Rng rng(11);
  ColumnSorter sorter;
  for (const int64_t n : {1, 2, 100, 768, 769, 5000, 40000}) {
    for (int kind = 0; kind < 7; ++kind) {
      std::vector<double> v(static_cast<size_t>(n));
      for (double& x : v) {
        switch (kind) {
          case 0: x = rng.Normal(); break;
          case 1: x = static_cast<double>(rng.Below(5)) - 2; break;                  // many ties, signs
          case 2: x = 1.7e9 + rng.Uniform() * 1e-3; break;                            // differ in the last bits only
          case 3: x = std::ldexp(rng.Normal(), static_cast<int>(rng.Below(2000)) - 1000); break;
          case 4: x = rng.Below(2) == 0 ? 0.0 : -0.0; break;
          case 5: x = 42; break;
          default: x = rng.Below(50) == 0 ? rng.Normal() * 1e300 : 1 + rng.Uniform() * 1e-9; break;  // long runs of near values
        }
      }
      std::vector<uint32_t> order(v.size()), expected(v.size());
      std::iota(expected.begin(), expected.end(), 0U);
      std::stable_sort(expected.begin(), expected.end(), [&](uint32_t a, uint32_t b) { return v[a] < v[b]; });
      REQUIRE(sorter.Order(v, order, {}).ok());
      INFO(n << " values of kind " << kind);
      CHECK(order == expected);
    }
  }
}

TEST_CASE("mean and variance at any magnitude") {
  for (const double scale : {1e-300, 1e-160, 1.0, 1e160, 1e307}) {
    const std::vector<double> v = {1 * scale, 2 * scale, 3 * scale, 4 * scale};
    const double unit = UnitFor(v);
    const Moments m = MomentsOf(v, unit);
    CHECK(m.mean / unit == Approx(2.5 * scale).epsilon(1e-14));
    CHECK(std::sqrt(m.variance) / unit == Approx(std::sqrt(1.25) * scale).epsilon(1e-14));
  }
  std::vector<double> far(1000);  // a mean that is large against the deviation
  for (size_t i = 0; i < far.size(); ++i) far[i] = 1e9 + static_cast<double>(i % 2);
  CHECK(MomentsOf(far, 1).variance == Approx(0.25).epsilon(1e-12));
}

TEST_CASE("medians") {
  std::vector<double> odd = {3, 1, 2}, even = {4, 1, 3, 2}, huge = {-1.7e308, 1.7e308};
  CHECK(MedianInPlace(odd) == 2);
  CHECK(MedianInPlace(even) == 2.5);
  CHECK(MedianInPlace(huge) == 0);
}

TEST_CASE("tiles hold the same z as single values, and bound it") {
  Rng rng(2);
  Matrix X(37, 3);
  for (int64_t j = 0; j < 3; ++j) {
    for (int64_t i = 0; i < 37; ++i) X(i, j) = rng.Normal() * 100;
  }
  Standardizer s;
  REQUIRE(s.FitMeanAndDeviation(X, Context{}).ok());
  std::vector<double> tile(3 * Standardizer::kTile);
  for (const int64_t begin : {0, 16, 32}) {
    s.Tile(X, begin, tile.data());
    for (int64_t j = 0; j < 3; ++j) {
      for (int64_t r = 0; r < std::min<int64_t>(16, 37 - begin); ++r) {
        CHECK(tile[static_cast<size_t>(j * 16 + r)] == Approx(s.Z(j, X(begin + r, j))).epsilon(1e-13));
      }
    }
  }
  CHECK(s.Z(0, 1.7e308) == Standardizer::kMaxZ);
  CHECK(s.Z(0, -1.7e308) == -Standardizer::kMaxZ);
  CHECK(s.Unscaled(1, s.Z(1, 12.5)) == Approx(12.5));
}

TEST_CASE("projections equal dot products") {
  Rng rng(4);
  for (const int64_t d : {1, 7, 30}) {
    for (const int64_t k : {1, 2, 5}) {
      std::vector<double> z(static_cast<size_t>(d * 16)), v(static_cast<size_t>(d * k)), out(static_cast<size_t>(k * 16));
      for (double& x : z) x = rng.Normal();
      for (double& x : v) x = rng.Normal();
      ProjectTile(z.data(), d, v.data(), k, out.data());
      for (int64_t c = 0; c < k; ++c) {
        for (int64_t r = 0; r < 16; ++r) {
          double sum = 0;
          for (int64_t j = 0; j < d; ++j) sum += z[static_cast<size_t>(j * 16 + r)] * v[static_cast<size_t>(c * d + j)];
          CHECK(out[static_cast<size_t>(c * 16 + r)] == Approx(sum).margin(1e-12));
        }
      }
    }
  }
}

TEST_CASE("binomial tails equal the direct sum") {
  for (const double n : {1.0, 5.0, 30.0, 200.0}) {
    for (const double p : {0.001, 0.2, 0.5, 0.97}) {
      for (double k = 0; k < n; k += std::max(1.0, n / 7)) {
        k = std::floor(k);
        double sum = 0;
        for (double i = k + 1; i <= n; ++i) {
          sum += std::exp(std::lgamma(n + 1) - std::lgamma(i + 1) - std::lgamma(n - i + 1) + i * std::log(p) + (n - i) * std::log1p(-p));
        }
        CHECK(BinomialSurvival(k, n, p) == Approx(sum).margin(1e-11));
      }
    }
  }
  CHECK(BinomialSurvival(5, 5, 0.5) == 0);
  CHECK(BinomialSurvival(449999, 1000000, 0.45) == Approx(0.5).margin(0.001));
}

TEST_CASE("chi-squared quantiles equal published tables") {
  CHECK(ChiSquaredQuantile(0.975, 1) == Approx(5.023886187314888).epsilon(1e-10));
  CHECK(ChiSquaredQuantile(0.5, 1) == Approx(0.454936423119572).epsilon(1e-10));
  CHECK(ChiSquaredQuantile(0.975, 13) == Approx(24.735604884931547).epsilon(1e-10));
  CHECK(ChiSquaredQuantile(0.5, 166) == Approx(165.33392).epsilon(1e-6));
}

TEST_CASE("blocks stop at the first failed check") {
  std::stop_source stop;
  Context ctx;
  ctx.stop = stop.get_token();
  int blocks = 0;
  const absl::Status status = ParallelBlocks(ctx, 100, 10, [&](int64_t, int64_t) {
    if (++blocks == 3) stop.request_stop();
  });
  CHECK(status.code() == absl::StatusCode::kCancelled);
  CHECK(blocks == 3);
}

}  // namespace vedette::outlier
