#include "explain/integrated_gradients.h"

#include <catch2/catch.hpp>
#include <cmath>
#include <limits>

#include "base/rng.h"

namespace vedette::explain {
namespace {

using RowFunction = std::function<double(const std::vector<double>&)>;
using RowGradient = std::function<std::vector<double>(const std::vector<double>&)>;

std::vector<double> Row(MatrixView X, int64_t i) {
  std::vector<double> row;
  for (int64_t j = 0; j < X.cols; ++j) row.push_back(X(i, j));
  return row;
}

ScoreFn Each(const RowFunction& f) {
  return [f](MatrixView X, std::span<double> out, const Context& ctx) {
    for (int64_t i = 0; i < X.rows; ++i) out[static_cast<size_t>(i)] = f(Row(X, i));
    return ctx.Check();
  };
}

GradientFn Each(const RowGradient& g) {
  return [g](MatrixView X, Matrix& out, const Context& ctx) {
    for (int64_t i = 0; i < X.rows; ++i) {
      const std::vector<double> slope = g(Row(X, i));
      for (int64_t j = 0; j < X.cols; ++j) out(i, j) = slope[static_cast<size_t>(j)];
    }
    return ctx.Check();
  };
}

IntegratedGradientsResult Run(const RowFunction& f, const RowGradient& g, const std::vector<double>& row,
                              const std::vector<double>& baseline, const IntegratedGradientsOptions& options = {}) {
  const auto got = IntegratedGradients(Each(f), Each(g), row, baseline, options, Context{});
  REQUIRE(got.ok());
  double sum = got->expected;
  for (const double phi : got->phi) sum += phi;
  CHECK(std::fabs(sum - got->output) <= got->missed + 1e-12);
  return *got;
}

}  // namespace

TEST_CASE("integrated gradients of a linear and of a quadratic score have their closed forms at once") {
  const std::vector<double> row = {2, -1, 4}, baseline = {1, 1, 1};
  const auto linear = Run([](const auto& x) { return 3 * x[0] - 2 * x[1] + 0.5 * x[2] + 7; },
                          [](const auto&) {
                            return std::vector<double>{3, -2, 0.5};
                          },
                          row, baseline);
  const std::vector<double> want = {3, 4, 1.5};
  for (size_t j = 0; j < 3; ++j) CHECK(std::fabs(linear.phi[j] - want[j]) < 1e-12);
  CHECK(linear.gradients == 32);
  CHECK(linear.within_tolerance);
  // x0^2 + x0 x1: phi0 = (x0^2 - b0^2) + (x0 - b0) (x1 + b1) / 2, phi1 = (x1 - b1) (x0 + b0) / 2.
  const auto square = Run([](const auto& x) { return x[0] * x[0] + x[0] * x[1]; },
                          [](const auto& x) {
                            return std::vector<double>{2 * x[0] + x[1], x[0], 0};
                          },
                          row, baseline);
  CHECK(std::fabs(square.phi[0] - 3) < 1e-12);
  CHECK(std::fabs(square.phi[1] + 3) < 1e-12);
  CHECK(square.phi[2] == 0);
}

TEST_CASE("kinks are halved until the parts are complete") {
  // A random network of one hidden layer of 40 ReLUs, squared: kinks anywhere on the way.
  Rng rng(3);
  std::vector<std::vector<double>> w(40);
  std::vector<double> bias, out;
  for (auto& unit : w) {
    for (int j = 0; j < 5; ++j) unit.push_back(rng.Normal());
    bias.push_back(rng.Normal());
    out.push_back(rng.Normal());
  }
  const auto inner = [&](const std::vector<double>& x, size_t u) {
    double sum = bias[u];
    for (size_t j = 0; j < 5; ++j) sum += w[u][j] * x[j];
    return sum;
  };
  const auto network = [&](const std::vector<double>& x) {
    double sum = 0;
    for (size_t u = 0; u < 40; ++u) sum += out[u] * std::max(0.0, inner(x, u));
    return sum;
  };
  const RowFunction f = [&](const auto& x) { return network(x) * network(x); };
  const RowGradient g = [&](const auto& x) {
    std::vector<double> slope(5);
    const double value = network(x);
    for (size_t u = 0; u < 40; ++u) {
      if (inner(x, u) <= 0) continue;
      for (size_t j = 0; j < 5; ++j) slope[j] += 2 * value * out[u] * w[u][j];
    }
    return slope;
  };
  std::vector<double> row, baseline;
  for (int j = 0; j < 5; ++j) row.push_back(3 * rng.Normal()), baseline.push_back(rng.Normal());
  const auto got = Run(f, g, row, baseline, {.tolerance = 1e-8, .gradients = 100000});
  CHECK(got.within_tolerance);
  CHECK(got.gradients > 32);
  // The plain rule with very many steps.
  std::vector<double> plain(5);
  const int steps = 50000;
  for (int s = 0; s < steps; ++s) {
    std::vector<double> x(5);
    for (size_t j = 0; j < 5; ++j) x[j] = baseline[j] + (s + 0.5) / steps * (row[j] - baseline[j]);
    const std::vector<double> slope = g(x);
    for (size_t j = 0; j < 5; ++j) plain[j] += slope[j] * (row[j] - baseline[j]) / steps;
  }
  const double size = std::fabs(got.output - got.expected);
  for (size_t j = 0; j < 5; ++j) CHECK(std::fabs(got.phi[j] - plain[j]) < 1e-4 * size);
  // With few gradients it says by how much it missed.
  const auto rough = Run(f, g, row, baseline, {.tolerance = 1e-8, .gradients = 32});
  CHECK_FALSE(rough.within_tolerance);
  CHECK(rough.gradients == 32);
  CHECK(rough.missed > got.missed);
}

TEST_CASE("what does not move gets nothing; hostile input is answered") {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const auto got = Run([](const auto& x) { return 2 * x[1]; },
                       [](const auto&) {
                         return std::vector<double>{5, 2};
                       },
                       {nan, 3}, {0, 1});
  CHECK(got.phi[0] == 0);
  CHECK(std::fabs(got.phi[1] - 4) < 1e-12);
  const auto code = [](const std::vector<double>& row, const std::vector<double>& baseline,
                       const IntegratedGradientsOptions& o, double slope) {
    return IntegratedGradients(Each([](const auto& x) { return x[0]; }),
                               Each([slope](const auto&) { return std::vector<double>{slope}; }), row, baseline, o,
                               Context{})
        .status()
        .code();
  };
  CHECK(code({1}, {0}, {}, 1) == absl::StatusCode::kOk);
  CHECK(code({}, {}, {}, 1) == absl::StatusCode::kInvalidArgument);
  CHECK(code({1}, {0, 0}, {}, 1) == absl::StatusCode::kInvalidArgument);
  CHECK(code({1}, {0}, {.gradients = 1}, 1) == absl::StatusCode::kInvalidArgument);
  CHECK(code({1}, {0}, {.tolerance = 0}, 1) == absl::StatusCode::kInvalidArgument);
  CHECK(code({1}, {0}, {}, nan) == absl::StatusCode::kInvalidArgument);
}

TEST_CASE("a deadline keeps what the rounds before it gave") {
  int calls = 0;
  const GradientFn gradient = [&](MatrixView X, Matrix& out, const Context&) -> absl::Status {
    if (++calls == 2) return absl::DeadlineExceededError("the deadline passed");
    for (int64_t i = 0; i < X.rows; ++i) out(i, 0) = X(i, 0) > 0.3 ? 1 : 0;
    return absl::OkStatus();
  };
  const std::vector<double> row = {1}, baseline = {0};
  const auto got = IntegratedGradients(Each([](const auto& x) { return std::max(0.0, x[0] - 0.3); }), gradient, row,
                                       baseline, {}, Context{});
  REQUIRE(got.ok());
  CHECK(got->cut_short);
  CHECK_FALSE(got->within_tolerance);
  CHECK(got->gradients == 32);
}

}  // namespace vedette::explain
