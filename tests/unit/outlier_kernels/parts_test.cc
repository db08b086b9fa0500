// What native attributions are made of: equal to their formulas, and the same bits in every form.
#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <vector>

#include "base/rng.h"
#include "outlier/kernels/gaussian_means.h"
#include "outlier/kernels/neighbor_gaps.h"
#include "outlier/kernels/processor.h"
#include "outlier/kernels/row_parts.h"

namespace vedette::outlier {
namespace {

std::vector<double> NormalValues(int64_t count, uint64_t seed) {
  Rng rng(seed);
  std::vector<double> out(static_cast<size_t>(count));
  for (double& v : out) v = rng.Normal();
  return out;
}

/// Parts of sixteen rows, as `run` gives them for tiles of 16 and of 4 lanes, in every form; all must be the same.
template <typename Run>
std::vector<double> SameInEveryForm(int64_t d, const std::vector<double>& tile, const Run& run) {
  std::vector<double> wide(static_cast<size_t>(16 * d));
  run(RowPartsPortable(), tile.data(), 16, wide.data());
  if (HasAvx512()) {
    std::vector<double> other(wide.size());
    run(RowPartsAvx512(), tile.data(), 16, other.data());
    CHECK(other == wide);
  }
  for (int64_t first = 0; first < 16; first += 4) {
    std::vector<double> rows(static_cast<size_t>(4 * d)), parts(rows.size());
    for (int64_t j = 0; j < d; ++j) std::copy_n(tile.begin() + j * 16 + first, 4, rows.begin() + j * 4);
    run(RowPartsPortable(), rows.data(), 4, parts.data());
    for (int64_t j = 0; j < d; ++j) {
      CHECK(std::equal(parts.begin() + j * 4, parts.begin() + (j + 1) * 4, wide.begin() + j * 16 + first));
    }
  }
  return wide;
}

}  // namespace

TEST_CASE("parts of quadratic forms: their formula, the same bits in every form") {
  for (const int64_t d : {1, 4, 7, 21}) {
    std::vector<double> A = NormalValues(d * d, 1), scale = NormalValues(d, 4);
    for (int64_t i = 0; i < d; ++i) {
      for (int64_t j = i + 1; j < d; ++j) A[static_cast<size_t>(i * d + j)] = 0;
    }
    for (double& s : scale) s = std::fabs(s) + 0.1;
    const std::vector<double> center = NormalValues(d, 2), x = NormalValues(16 * d, 3);
    for (const bool scaled : {false, true}) {
      const QuadraticForm form{
          .A = A.data(), .center = center.data(), .scale = scaled ? scale.data() : nullptr, .d = d, .factor = 0.5};
      std::vector<double> work(static_cast<size_t>(2 * d * 16));
      const auto parts =
          SameInEveryForm(d, x, [&](const RowPartsKernel& kernel, const double* tile, int lanes, double* out) {
            kernel.quadratic(form, tile, lanes, work.data(), out, lanes);
          });
      for (int64_t r = 0; r < 16; ++r) {
        double sum = 0, square = 0;
        for (int64_t i = 0; i < d; ++i) {
          double root = 0;
          for (int64_t j = 0; j <= i; ++j) {
            const auto f = static_cast<size_t>(j);
            root += A[static_cast<size_t>(i * d + j)] * (x[static_cast<size_t>(j * 16 + r)] - center[f]) *
                    (scaled ? scale[f] : 1);
          }
          square += 0.5 * root * root;
          sum += parts[static_cast<size_t>(i * 16 + r)];
        }
        CHECK(sum == Approx(square).epsilon(1e-11).margin(1e-11));
      }
    }
  }
}

TEST_CASE("parts of distances to directions: their formula, the same bits in every form") {
  for (const int64_t d : {1, 4, 21}) {
    for (const int64_t count : {int64_t{1}, int64_t{3}, d}) {
      std::vector<double> vectors = NormalValues(count * d, 1), squares = vectors,
                          weights(static_cast<size_t>(count), 2.5);
      for (int64_t c = 0; c < count; ++c) {
        double norm = 0;
        for (int64_t j = 0; j < d; ++j) norm += std::pow(vectors[static_cast<size_t>(c * d + j)], 2);
        for (int64_t j = 0; j < d; ++j) {
          double& v = vectors[static_cast<size_t>(c * d + j)];
          v /= std::sqrt(norm);
          squares[static_cast<size_t>(c * d + j)] = v * v;
        }
      }
      const std::vector<double> z = NormalValues(16 * d, 3);
      const Directions form{
          .vectors = vectors.data(), .squares = squares.data(), .weights = weights.data(), .count = count, .d = d};
      std::vector<double> work(static_cast<size_t>(count * 16));
      const auto parts =
          SameInEveryForm(d, z, [&](const RowPartsKernel& kernel, const double* tile, int lanes, double* out) {
            kernel.directions(form, tile, lanes, work.data(), out, lanes);
          });
      for (int64_t r = 0; r < 16; ++r) {
        std::vector<double> wanted(static_cast<size_t>(d), 0);
        for (int64_t c = 0; c < count; ++c) {
          double square = 0;
          const auto gap = [&](int64_t j) {
            return z[static_cast<size_t>(j * 16 + r)] - vectors[static_cast<size_t>(c * d + j)];
          };
          for (int64_t j = 0; j < d; ++j) square += gap(j) * gap(j);
          for (int64_t j = 0; j < d; ++j) wanted[static_cast<size_t>(j)] += 2.5 * gap(j) * gap(j) / std::sqrt(square);
        }
        for (int64_t j = 0; j < d; ++j) {
          CHECK(parts[static_cast<size_t>(j * 16 + r)] ==
                Approx(wanted[static_cast<size_t>(j)]).epsilon(1e-9).margin(1e-10));
        }
      }
    }
  }
}

TEST_CASE("parts of distances to the nearest center: their formula, the same bits in every form") {
  const int64_t d = 5;
  for (const int64_t count : {1, 3, 8, 19}) {
    std::vector<double> values = NormalValues((count + 7) / 8 * 8 * d, 1);
    const CenterBlocks centers{.values = values.data(), .count = count, .d = d};
    const std::vector<double> x = NormalValues(16 * d, 3);
    std::vector<double> expected(static_cast<size_t>(16 * d));
    const auto parts =
        SameInEveryForm(d, x, [&](const RowPartsKernel& kernel, const double* tile, int lanes, double* out) {
          std::vector<double> own(static_cast<size_t>(lanes * d));
          kernel.centers(centers, tile, lanes, 0.5, out, own.data(), lanes);
          if (lanes == 16) expected = own;
        });
    const auto center = [&](int64_t c, int64_t j) { return values[static_cast<size_t>((c / 8 * d + j) * 8 + c % 8)]; };
    for (int64_t r = 0; r < 16; ++r) {
      int64_t nearest = 0;
      double least = 1e300;
      for (int64_t c = 0; c < count; ++c) {
        double square = 0;
        for (int64_t j = 0; j < d; ++j) square += std::pow(x[static_cast<size_t>(j * 16 + r)] - center(c, j), 2);
        if (square < least) least = square, nearest = c;
      }
      for (int64_t j = 0; j < d; ++j) {
        const auto at = static_cast<size_t>(j * 16 + r);
        CHECK(expected[at] == center(nearest, j));
        CHECK(parts[at] == Approx(0.25 * std::pow(x[at] - center(nearest, j), 2)).margin(1e-15));
      }
    }
  }
}

TEST_CASE("gaps to neighbours: their means and medians, for any number of columns and neighbours") {
  for (const int64_t d : {1, 4, 9, 24, 45}) {
    for (const int64_t k : {1, 2, 3, 5, 8, 20, 32, 40}) {
      Matrix X(60, d), asked(1, d);
      std::ranges::copy(NormalValues(60 * d, 1), X.data());
      std::ranges::copy(NormalValues(d, 2), asked.data());
      NeighborIndex index;
      REQUIRE(index.Build(X, Metric{}, Context{}).ok());
      std::vector<int32_t> near;
      REQUIRE(
          index.Of(asked, k, Context{}, [&](int64_t, auto, auto rows) { near.assign(rows.begin(), rows.end()); }).ok());
      const auto a = NeighborGaps(index, Metric{}, k, asked, Context{});
      REQUIRE(a.ok());
      for (int64_t j = 0; j < d; ++j) {
        std::vector<double> values;
        double sum = 0;
        for (const int32_t row : near) {
          values.push_back(X(row, j));
          sum += std::pow(X(row, j) - asked(0, j), 2);
        }
        std::sort(values.begin(), values.end());
        CHECK(a->contributions(0, j) == Approx(sum / static_cast<double>(k)));
        CHECK(a->expected(0, j) == Approx((values[(values.size() - 1) / 2] + values[values.size() / 2]) / 2));
      }
      // A row that is among them is left out of its own neighbours.
      const auto own = NeighborGaps(index, Metric{}, k, X.view().Rows(7, 1), Context{});
      std::vector<int32_t> others;
      REQUIRE(index
                  .Of(X.view().Rows(7, 1), k + 1, Context{},
                      [&](int64_t, auto, auto rows) { others.assign(rows.begin() + 1, rows.end()); })
                  .ok());
      double sum = 0;
      for (const int32_t row : others) sum += std::pow(X(row, 0) - X(7, 0), 2);
      CHECK(own->contributions(0, 0) == Approx(sum / static_cast<double>(k)));
    }
  }
}

namespace {

/// Rows, how they are weighted, and the plain formula of the means.
struct WeightedRows {
  std::vector<double> rows, weights;  // no weights: all 1
  size_t d;
  double gamma;

  size_t n() const { return rows.size() / d; }
  const double* row(size_t i) const { return rows.data() + i * d; }
  std::vector<double> Plain(const double* x) const {
    std::vector<double> squared(n(), 0), mean(d, 0);
    for (size_t i = 0; i < n(); ++i) {
      for (size_t j = 0; j < d; ++j) squared[i] += std::pow(x[j] - row(i)[j], 2);
    }
    const double nearest = *std::min_element(squared.begin(), squared.end());
    double total = 0;
    for (size_t i = 0; i < n(); ++i) {
      const double weight = std::exp(gamma * (nearest - squared[i])) * (weights.empty() ? 1 : weights[i]);
      total += weight;
      for (size_t j = 0; j < d; ++j) mean[j] += weight * row(i)[j];
    }
    for (double& m : mean) m /= total;
    return mean;
  }
};

/// The largest gap of the means of `x`, rows one after the other, to the plain formula; the same bits are wanted of
/// each row alone and of all forms. `floats`: the rows that must be near enough for the float form.
double MeansAreOff(const WeightedRows& in, const std::vector<double>& x, size_t floats, bool doubles = false) {
  const RowBlocks blocks(in.rows, in.n(), in.d);
  const GaussianMeans means(blocks, in.weights, in.gamma);
  const auto of = [&](const double* const* queries, size_t count, const GaussianMeanForms& forms) {
    std::vector<double> out(count * in.d);
    doubles ? means.OfDoubles(blocks, queries, static_cast<int>(count), out.data(), forms)
            : means.Of(blocks, queries, static_cast<int>(count), out.data(), forms);
    return out;
  };
  double off = 0;
  size_t near = 0;
  for (size_t first = 0; first < x.size() / in.d; first += 4) {
    const double* queries[4];
    const size_t count = std::min<size_t>(4, x.size() / in.d - first);
    for (size_t q = 0; q < count; ++q) queries[q] = x.data() + (first + q) * in.d;
    const std::vector<double> together = of(queries, count, GaussianMeans::Portable());
    if (HasAvx512()) CHECK(of(queries, count, GaussianMeans::Avx512()) == together);
    for (size_t q = 0; q < count; ++q) {
      near += means.NearEnough(queries[q]) ? 1 : 0;
      const auto own = together.begin() + static_cast<int64_t>(q * in.d);
      const std::vector<double> alone = of(queries + q, 1, GaussianMeans::Forms()), wanted = in.Plain(queries[q]);
      CHECK(std::equal(alone.begin(), alone.end(), own));
      for (size_t j = 0; j < in.d; ++j) off = std::max(off, std::fabs(own[static_cast<int64_t>(j)] - wanted[j]));
    }
  }
  CHECK(near == floats);
  return off;
}

/// Of rows that lie some units around the center; as roundings fall, not at worst.
constexpr double kFloatOff = 5e-6;

}  // namespace

TEST_CASE("means weighted by Gaussian kernels: their formula near and far, the same bits in every form") {
  for (const size_t d : {1, 5, 21}) {
    for (const size_t n : {33, 200, 1500}) {
      for (const bool weighted : {false, true}) {
        WeightedRows in{.rows = NormalValues(static_cast<int64_t>(n * d), 1), .weights = {}, .d = d, .gamma = 0.5};
        if (weighted) {
          in.weights = NormalValues(static_cast<int64_t>(n), 3);
          for (double& w : in.weights) w = w < -1 ? 0 : std::exp(3 * w);
        }
        std::vector<double> x = NormalValues(static_cast<int64_t>(6 * d), 2);
        CHECK(MeansAreOff(in, x, 6) < kFloatOff);
        CHECK(MeansAreOff(in, x, 6, true) < 1e-9);
        // All four at once are far, some are, and beyond what vanishes.
        for (size_t q = 0; q < 4; ++q) {
          for (size_t j = 0; j < d; ++j) x[q * d + j] *= 100;
        }
        CHECK(MeansAreOff(in, x, 2) < kFloatOff);
        CHECK(MeansAreOff(in, x, 2, true) < 1e-9);
        in.gamma = 0;
        CHECK(MeansAreOff(in, x, 6) < kFloatOff);
        CHECK(MeansAreOff(in, x, 6, true) < 1e-12);
      }
    }
  }
}

TEST_CASE("means weighted by Gaussian kernels: rows so far that all kernels vanish, in either form") {
  const WeightedRows in{.rows = NormalValues(300, 1), .weights = {}, .d = 1, .gamma = 0.5};
  for (const double away : {8.0, 12.0, 17.0, 1e3, 1e5}) {  // floats hold some 130 powers of two, until 16
    std::vector<double> x = NormalValues(4, 2);
    for (double& v : x) v = away + v / 10;
    const size_t near = away < 1e3 ? 4 : 0;
    CHECK(MeansAreOff(in, x, near) < kFloatOff);
    CHECK(MeansAreOff(in, x, near, true) < 1e-6);
  }
  // At 1e9 squared distances no longer tell the rows apart, in any computation: a mean of them it still is.
  for (const size_t d : {1, 5, 21}) {
    const RowBlocks blocks(NormalValues(static_cast<int64_t>(200 * d), 1), 200, d);
    std::vector<double> x = NormalValues(static_cast<int64_t>(d), 2), mean(d);
    for (double& v : x) v *= 1e9;
    const double* const query = x.data();
    GaussianMeans(blocks, {}, 0.5).Of(blocks, &query, 1, mean.data());
    for (const double m : mean) CHECK(std::fabs(m) < 10);
  }
}

TEST_CASE("means weighted by Gaussian kernels: moved and scaled rows") {
  const WeightedRows in{.rows = NormalValues(40 * 300, 1), .weights = {}, .d = 40, .gamma = 0.05};
  const std::vector<double> x = NormalValues(40 * 4, 2);
  WeightedRows other = in;
  std::vector<double> moved = x;
  for (double& v : other.rows) v += 1e7;
  for (double& v : moved) v += 1e7;
  CHECK(MeansAreOff(other, moved, 4) < kFloatOff);  // centred: as near as before
  // Where only x moves, floats do not hold it; nor where the rows lie far apart for the bandwidth.
  CHECK(MeansAreOff(in, moved, 0) < 0.1);  // the squared distances themselves are known to 0.1
  for (const double scale : {0x1p-300, 0x1p-40, 0x1p40, 0x1p300}) {
    other = in, moved = x;
    for (double& v : other.rows) v *= scale;
    for (double& v : moved) v *= scale;
    other.gamma = in.gamma / scale / scale;
    CHECK(MeansAreOff(other, moved, 4) < kFloatOff * scale);
  }
}

TEST_CASE("means weighted by Gaussian kernels: rows far out among the others") {
  WeightedRows in{.rows = NormalValues(500 * 5, 1), .weights = {}, .d = 5, .gamma = 0.5};
  for (size_t i = 0; i < 20; ++i) in.rows[i * 125] += 1e4 * static_cast<double>(i + 1);
  std::vector<double> x = NormalValues(4 * 5, 2);
  CHECK(MeansAreOff(in, x, 4) < kFloatOff);
  // Next to one of those, among them, and between them and the others: never the mean of the near ones alone.
  std::copy_n(in.row(25), 5, x.begin());
  x[5] += 1.2e4;
  x[10] += 25;
  CHECK(MeansAreOff(in, x, 1) < kFloatOff);
  in.rows[0] = 11.5;  // just too far out for floats, but not for what lies between
  x[0] = 8, x[15] = 6;
  CHECK(MeansAreOff(in, x, 2) < kFloatOff);
}

TEST_CASE("means weighted by Gaussian kernels: bandwidths from nothing to all, repeated rows, constant columns") {
  for (const size_t n : {1, 2, 16, 17, 65, 300}) {  // the second repeats the first
    WeightedRows in{.rows = NormalValues(static_cast<int64_t>(n * 4), 1), .weights = {}, .d = 4, .gamma = 0};
    for (size_t i = 0; i < n; ++i) in.rows[i * 4 + 2] = 3;
    for (size_t i = 1; i < n; i += 3) std::copy_n(in.row(i - 1), 4, in.rows.begin() + static_cast<int64_t>(i * 4));
    const std::vector<double> x = NormalValues(4 * 4, 2);
    for (const double gamma : {1e-300, 1e-12, 1e-3, 3.0}) {
      in.gamma = gamma;
      CHECK(MeansAreOff(in, x, n <= 2 ? 0 : 4) < kFloatOff);
    }
    for (const double gamma : {1e4, 1e12, 1e90}) {
      in.gamma = gamma;
      CHECK(MeansAreOff(in, x, 0) < 1e-9);
    }
    in.gamma = 0.5;
    WeightedRows all_alike = in, heavier = in;
    for (size_t i = 0; i < in.rows.size(); ++i) all_alike.rows[i] = in.rows[i % 4];
    CHECK(MeansAreOff(all_alike, x, 0) < 1e-12);
    heavier.weights.assign(n, 1e-9);
    heavier.weights[n / 2] = 1;
    CHECK(MeansAreOff(heavier, x, n <= 2 ? 0 : 4) < kFloatOff);
    WeightedRows faint = all_alike;
    faint.weights.assign(n, 1e-300);
    CHECK(MeansAreOff(faint, {10, 10, 10, 10}, 0) < 1e-12);  // 1e-300 times e^-200 is 0
  }
}

}  // namespace vedette::outlier
