// What native attributions are made of: equal to their formulas, and the same bits in every form.
#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <vector>

#include "base/rng.h"
#include "outlier/kernels/gaussian_means.h"
#include "outlier/kernels/neighbor_gaps.h"
#include "outlier/kernels/row_parts.h"

namespace vedette::outlier {
namespace {

bool HasWideVectors() {
#if defined(__x86_64__)
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq");
#else
  return false;
#endif
}

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
  if (HasWideVectors()) {
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

TEST_CASE("means weighted by Gaussian kernels: their formula near and far, the same bits in every form") {
  for (const size_t d : {1, 5, 21}) {
    for (const size_t n : {1, 33, 200}) {
      const std::vector<double> rows = NormalValues(static_cast<int64_t>(n * d), 1);
      const RowBlocks blocks(rows, n, d);
      const GaussianMeans means(blocks);
      std::vector<double> x = NormalValues(static_cast<int64_t>(4 * d), 2);
      for (size_t j = 0; j < d; ++j) x[d + j] *= 100, x[2 * d + j] *= 1e9;  // far, and beyond what products keep
      const double* queries[4];
      for (size_t q = 0; q < 4; ++q) queries[q] = x.data() + q * d;
      std::vector<double> together(4 * d), alone(d);
      means.Of(blocks, nullptr, 0.5, queries, 4, together.data());
      for (size_t q = 0; q < 4; ++q) {
        means.Of(blocks, nullptr, 0.5, queries + q, 1, alone.data());
        CHECK(std::equal(alone.begin(), alone.end(), together.begin() + static_cast<int64_t>(q * d)));
        std::vector<double> squared(n, 0), wanted(d, 0);
        for (size_t i = 0; i < n; ++i) {
          for (size_t j = 0; j < d; ++j) squared[i] += std::pow(x[q * d + j] - rows[i * d + j], 2);
        }
        const double nearest = *std::min_element(squared.begin(), squared.end());
        double total = 0;
        for (size_t i = 0; i < n; ++i) {
          const double weight = std::exp(0.5 * (nearest - squared[i]));
          total += weight;
          for (size_t j = 0; j < d; ++j) wanted[j] += weight * rows[i * d + j];
        }
        // At 1e9 a squared distance holds the rows' differences to 1e-7 of one, in either computation.
        for (size_t j = 0; j < d && q != 2; ++j)
          CHECK(together[q * d + j] == Approx(wanted[j] / total).epsilon(1e-9).margin(1e-9));
        for (size_t j = 0; j < d; ++j) CHECK(std::fabs(together[q * d + j]) < 10);
      }
      // Without kernels to speak of: the mean of all rows, and of nothing else.
      means.Of(blocks, nullptr, 0, queries, 1, alone.data());
      for (size_t j = 0; j < d; ++j) {
        double sum = 0;
        for (size_t i = 0; i < n; ++i) sum += rows[i * d + j];
        CHECK(alone[j] == Approx(sum / static_cast<double>(n)).margin(1e-12));
      }
      if (!HasWideVectors()) continue;
      std::vector<double> norms(blocks.padded(), 0);
      for (size_t i = 0; i < blocks.padded(); ++i) {
        for (size_t j = 0; j < d; ++j) norms[i] += blocks.at(i, j) * blocks.at(i, j);
      }
      for (const bool by_products : {false, true}) {
        std::vector<double> portable(4 * d), wide(4 * d);
        GaussianMeanRows in{.rows = &blocks, .norms = norms.data(), .gamma = 0.3, .by_products = by_products};
        in.means = portable.data();
        GaussianMeans::Portable(in, queries, 4);
        in.means = wide.data();
        GaussianMeans::Avx512(in, queries, 4);
        for (size_t j = 0; j < d; ++j) {
          CHECK(portable[j] == wide[j]);
          CHECK(portable[3 * d + j] == wide[3 * d + j]);
        }
      }
    }
  }
}

}  // namespace vedette::outlier
