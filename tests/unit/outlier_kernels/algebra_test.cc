// Sums of kernels, the one-class programme, eigenvalues and k-means against plain computations.
#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <vector>

#include "base/rng.h"
#include "outlier/cholesky.h"
#include "outlier/eigen.h"
#include "outlier/kernels/gaussian_sums.h"
#include "outlier/kernels/kmeans.h"
#include "outlier/kernels/one_class_solver.h"

namespace vedette::outlier {
namespace {

std::vector<double> Values(size_t count, uint64_t seed, double scale = 1) {
  Rng rng(seed);
  std::vector<double> out(count);
  for (double& v : out) v = scale * rng.Normal();
  return out;
}

double Squared(const double* a, const double* b, size_t d) {
  double sum = 0;
  for (size_t j = 0; j < d; ++j) sum += (a[j] - b[j]) * (a[j] - b[j]);
  return sum;
}

}  // namespace

TEST_CASE("sums of Gaussian kernels are those of the plain loop, for any number of rows at a time") {
  for (const size_t d : {1, 3, 9}) {
    for (const size_t n : {1, 7, 8, 33}) {
      const std::vector<double> rows = Values(n * d, 1), x = Values(5 * d, 2);
      const RowBlocks blocks(rows, n, d);
      std::vector<double> weights = Values(n, 3);
      weights.resize(blocks.padded(), 0);
      const double* queries[5];
      for (size_t q = 0; q < 5; ++q) queries[q] = x.data() + q * d;
      GaussianSum all[5], one;
      GaussianSums(blocks, weights.data(), 0.7, queries, nullptr, 5, all);
      for (size_t q = 0; q < 5; ++q) {
        double sum = 0, size = 0, nearest = INFINITY;
        for (size_t i = 0; i < n; ++i) {
          const double squared = Squared(queries[q], rows.data() + i * d, d), kernel = std::exp(-0.7 * squared);
          sum += weights[i] * kernel;
          size += std::fabs(weights[i]) * kernel;
          nearest = std::min(nearest, squared);
        }
        CHECK(std::fabs(all[q].sum - sum) <= 1e-14 * size);
        CHECK(all[q].nearest == Approx(nearest).epsilon(1e-14));
        GaussianSums(blocks, weights.data(), 0.7, queries + q, nullptr, 1, &one);
        CHECK(one.sum == all[q].sum);
        CHECK(one.nearest == all[q].nearest);
      }
    }
  }
}

TEST_CASE("the one-class programme is solved to its tolerance, whatever the size of its parts") {
  constexpr size_t kColumns = 3;
  for (const Kernel kind : {Kernel::kRbf, Kernel::kLinear}) {
    for (const size_t n : {1, 2, 50, 1001, 2500}) {
      for (const double nu : {0.01, 0.3, 1.0}) {
        const KernelFunction kernel{.kind = kind, .gamma = 0.4};
        const std::vector<double> rows = Values(n * kColumns, n);
        INFO(n << " rows, nu " << nu);
        const auto fit = SolveOneClass(kernel, rows, n, kColumns, nu, 1e-6, Context{});
        REQUIRE(fit.ok());
        double total = 0, low = INFINITY, high = -INFINITY;
        for (size_t i = 0; i < n; ++i) {
          const double alpha = fit->alpha[i];
          CHECK((alpha >= 0 && alpha <= 1));
          total += alpha;
          double gradient = 0;
          for (size_t k = 0; k < n && n < 200; ++k) {
            double product = 0;
            for (size_t j = 0; j < kColumns; ++j) product += rows[i * kColumns + j] * rows[k * kColumns + j];
            const double squared = Squared(rows.data() + i * kColumns, rows.data() + k * kColumns, kColumns);
            gradient += fit->alpha[k] * (kind == Kernel::kRbf ? std::exp(-0.4 * squared) : product);
          }
          if (n < 200) CHECK(fit->gradient[i] == Approx(gradient).epsilon(1e-10).margin(1e-10));
          if (alpha < 1) low = std::min(low, fit->gradient[i]);
          if (alpha > 0) high = std::max(high, fit->gradient[i]);
        }
        CHECK(total == Approx(nu * static_cast<double>(n)).epsilon(1e-9));
        CHECK(high - low < 2e-6);
      }
    }
  }
}

TEST_CASE("eigenvectors of symmetric matrices, also of rank one, of zeros and of extreme size") {
  for (const size_t n : {1, 2, 3, 10, 60}) {
    for (const double scale : {1.0, 1e-200, 1e150}) {
      for (const bool flat : {false, true}) {
        std::vector<double> A(n * n), v = Values(n * n, n);
        for (size_t a = 0; a < n; ++a) {
          for (size_t b = 0; b < n; ++b) A[a * n + b] = scale * (flat ? v[a] * v[b] : v[a * n + b] + v[b * n + a]);
        }
        const auto eigen = EigenOf(A, n, Context{});
        REQUIRE(eigen.ok());
        CHECK(std::is_sorted(eigen->values.begin(), eigen->values.end()));
        for (size_t k = 0; k < n; ++k) {
          const double* const x = eigen->vectors.data() + k * n;
          for (size_t a = 0; a < n; ++a) {
            double image = 0, product = 0;
            for (size_t b = 0; b < n; ++b) {
              image += A[a * n + b] * x[b];
              product += x[b] * eigen->vectors[a * n + b];
            }
            CHECK(std::fabs(image - eigen->values[k] * x[a]) <= 1e-12 * scale * static_cast<double>(n));
            CHECK(std::fabs(product - (a == k ? 1 : 0)) < 1e-12);
          }
        }
      }
    }
  }
  const auto zero = EigenOf(std::vector<double>(16, 0.0), 4, Context{});
  REQUIRE(zero.ok());
  CHECK(zero->values == std::vector<double>(4, 0.0));
}

TEST_CASE("the eigenvalues and covariances of large matrices stop when they are told to") {
  std::stop_source stop;
  stop.request_stop();
  Context ctx;
  ctx.stop = stop.get_token();
  const std::vector<double> A(2000 * 2000, 1.0), ones(2000, 1.0);
  CHECK(EigenOf(A, 2000, ctx).status().code() == absl::StatusCode::kCancelled);
  CHECK(Covariance(A, ones, 1, ones.data(), 2000, ctx).status().code() == absl::StatusCode::kCancelled);
  CHECK(InverseCholesky(A, 2000, ctx).status().code() == absl::StatusCode::kCancelled);
}

TEST_CASE("inverse Cholesky factors whiten, one row at a time and side by side") {
  constexpr size_t kColumns = 7, kRows = 50;
  const std::vector<double> rows = Values(kRows * kColumns, 5), ones(kRows, 1.0), zero(kColumns, 0.0);
  const auto covariance = Covariance(rows, ones, kRows, zero.data(), kColumns, Context{});
  REQUIRE(covariance.ok());
  for (size_t a = 0; a < kColumns; ++a) {
    for (size_t b = 0; b < kColumns; ++b) {
      double sum = 0;
      for (size_t i = 0; i < kRows; ++i) sum += rows[i * kColumns + a] * rows[i * kColumns + b] / kRows;
      CHECK((*covariance)[a * kColumns + b] == Approx(sum).epsilon(1e-12).margin(1e-14));
    }
  }
  const auto W = InverseCholesky(*covariance, kColumns, Context{});
  REQUIRE(W.ok());
  double mean = 0;
  std::vector<double> tile(kColumns * 4), squares(4);
  for (size_t i = 0; i < kRows; ++i) {
    const double square = WhitenedSquare(*W, rows.data() + i * kColumns, zero.data(), kColumns);
    mean += square / kRows;
    for (size_t j = 0; j < kColumns; ++j)
      std::fill_n(tile.begin() + static_cast<int64_t>(4 * j), 4, rows[i * kColumns + j]);
    WhitenedSquares(*W, tile.data(), 4, zero.data(), kColumns, squares.data());
    for (const double s : squares) CHECK(s == Approx(square).epsilon(1e-12));
  }
  CHECK(mean == Approx(kColumns).epsilon(1e-10));
}

TEST_CASE("k-means leaves every row with its nearest center, however large or close the values") {
  for (const double scale : {1.0, 1e90, 1e-90}) {
    for (const double offset : {0.0, 1e6}) {
      constexpr size_t kRows = 500, kColumns = 3;
      std::vector<double> rows = Values(kRows * kColumns, 4);
      for (size_t i = 0; i < rows.size(); ++i) rows[i] = scale * (rows[i] + offset + (i / kColumns % 5 == 0 ? 6 : 0));
      rows[0] = scale * 1e9;  // one row far from all: the others share few digits
      const auto fit = KMeans(rows, kRows, kColumns, {.clusters = 6, .starts = 3}, Context{});
      REQUIRE(fit.ok());
      const size_t k = fit->sizes.size();
      double inertia = 0;
      for (size_t i = 0; i < kRows; ++i) {
        const auto own = static_cast<size_t>(fit->labels[i]);
        const double at = Squared(rows.data() + i * kColumns, fit->centers.data() + own * kColumns, kColumns);
        for (size_t c = 0; c < k; ++c)
          CHECK(at <= Squared(rows.data() + i * kColumns, fit->centers.data() + c * kColumns, kColumns));
        inertia += at;
      }
      CHECK(fit->inertia == Approx(inertia).epsilon(1e-9));
    }
  }
}

}  // namespace vedette::outlier
