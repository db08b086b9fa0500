// The elastic net against its optimality conditions (Zou, Hastie 2005), which say all that there is to know of a
// solution.
#include "outlier/kernels/sparse_code.h"

#include <catch2/catch.hpp>
#include <cmath>
#include <vector>

#include "base/rng.h"

namespace vedette::outlier {
namespace {

std::vector<double> Rows(size_t n, size_t d, uint64_t seed) {
  Rng rng(seed);
  std::vector<double> rows(n * d);
  for (double& v : rows) v = rng.Normal();
  return rows;
}

struct Setting {
  size_t n, d;
  double gamma, tau;
};

/// Checks the solution of one problem; returns how many rows were chosen.
size_t CheckOptimal(const std::vector<double>& rows, const std::vector<double>& y, const std::vector<double>& scales,
                    const Setting& s, int64_t left_out, const std::vector<double>* extra) {
  const RowBlocks blocks(rows, s.n, s.d);
  SparseCoder coder;
  coder.Solve({.rows = &blocks,
               .values = rows.data(),
               .y = y,
               .scales = scales,
               .left_out = left_out,
               .extra = extra == nullptr ? nullptr : extra->data(),
               .gamma = s.gamma,
               .tau = s.tau});
  const size_t all = s.n + (extra != nullptr ? 1 : 0);
  const auto row = [&](size_t k) { return k == s.n ? extra->data() : rows.data() + k * s.d; };
  const auto dot = [&](size_t k, const double* v) {
    double sum = 0;
    for (size_t j = 0; j < s.d; ++j) sum += scales[k] * row(k)[j] * v[j];
    return sum;
  };
  std::vector<double> coefficients(all, 0), residual = y;
  for (size_t a = 0; a < coder.chosen().size(); ++a) {
    const auto k = static_cast<size_t>(coder.chosen()[a]);
    REQUIRE(k < all);
    CHECK(static_cast<int64_t>(k) != left_out);
    coefficients[k] = coder.weights()[a] / scales[k];
    for (size_t j = 0; j < s.d; ++j) residual[j] -= coder.weights()[a] * row(k)[j];
  }
  for (size_t j = 0; j < s.d; ++j) CHECK(coder.residual()[j] == Approx(residual[j]).margin(1e-9));
  double most = 0;
  for (size_t k = 0; k < all; ++k) {
    if (static_cast<int64_t>(k) != left_out) most = std::max(most, std::fabs(dot(k, y.data())));
  }
  CHECK(coder.bound() == Approx(most / s.gamma));
  const double ridge = coder.bound() * (1 - s.tau) / s.tau;
  for (size_t k = 0; k < all; ++k) {
    if (static_cast<int64_t>(k) == left_out) continue;
    const double slope = dot(k, residual.data()) - ridge * coefficients[k];
    if (coefficients[k] != 0) {
      CHECK(slope == Approx(coefficients[k] > 0 ? coder.bound() : -coder.bound()).epsilon(1e-7));
    } else {
      CHECK(std::fabs(slope) <= coder.bound() * (1 + 1e-7));
    }
  }
  return coder.chosen().size();
}

}  // namespace

TEST_CASE("a sparse combination meets the optimality conditions") {
  for (const Setting& s :
       {Setting{40, 5, 3, 0.5}, {40, 5, 50, 1}, {300, 3, 50, 0.95}, {7, 20, 10, 1}, {60, 12, 1000, 0.9}}) {
    const std::vector<double> rows = Rows(s.n, s.d, 1), extra = Rows(1, s.d, 2);
    std::vector<double> scales(s.n + 1, 1.0), unequal(s.n + 1);
    for (size_t k = 0; k <= s.n; ++k) unequal[k] = 1 / (1 + static_cast<double>(k % 7));
    for (const int64_t i : {0, 3, 6}) {
      const std::vector<double> y(rows.begin() + i * static_cast<int64_t>(s.d),
                                  rows.begin() + (i + 1) * static_cast<int64_t>(s.d));
      INFO(s.n << " x " << s.d << ", gamma " << s.gamma << ", tau " << s.tau << ", row " << i);
      CHECK(CheckOptimal(rows, y, scales, s, i, nullptr) > 0);
      CheckOptimal(rows, y, unequal, s, i, &extra);
      CheckOptimal(rows, y, scales, s, -1, nullptr);
    }
  }
}

TEST_CASE("equal rows share, a row of zeros and an orthogonal one are made of nothing") {
  const std::vector<double> rows = {1, 0, 1, 0, 0, 1};
  const RowBlocks blocks(rows, 3, 2);
  const std::vector<double> scales(4, 1.0), y = {2, 0}, zero = {0, 0};
  SparseCoder coder;
  coder.Solve({.rows = &blocks, .values = rows.data(), .y = y, .scales = scales, .gamma = 50, .tau = 0.5});
  REQUIRE(coder.chosen().size() == 2);
  CHECK(coder.weights()[0] == Approx(coder.weights()[1]));
  coder.Solve({.rows = &blocks, .values = rows.data(), .y = zero, .scales = scales, .gamma = 50, .tau = 0.5});
  CHECK(coder.chosen().empty());
  const std::vector<double> along = {1, 0, 2, 0};
  const RowBlocks line(along, 2, 2);
  const std::vector<double> across = {0, 3};
  coder.Solve({.rows = &line, .values = along.data(), .y = across, .scales = scales, .gamma = 50, .tau = 0.5});
  CHECK(coder.chosen().empty());
  // gamma = 1 is the penalty at which nothing is left.
  coder.Solve({.rows = &blocks, .values = rows.data(), .y = y, .scales = scales, .gamma = 1, .tau = 0.5});
  CHECK(coder.chosen().empty());
}

}  // namespace vedette::outlier
