#include "neural/dense_network.h"

#include <catch2/catch.hpp>
#include <cmath>
#include <limits>

#include "base/rng.h"
#include "neural/standardizer.h"
#include "neural_testing.h"

namespace vedette::neural {
namespace {

/// The same network in double, one row, no tricks.
std::vector<double> Naive(const DenseNetwork& network, std::vector<double> x) {
  const float* p = network.parameters().data();
  for (size_t l = 1; l < network.sizes().size(); ++l) {
    const auto in = static_cast<size_t>(network.sizes()[l - 1]), out = static_cast<size_t>(network.sizes()[l]);
    std::vector<double> y(out);
    for (size_t o = 0; o < out; ++o) {
      y[o] = p[in * out + o];
      for (size_t k = 0; k < in; ++k) y[o] += static_cast<double>(p[o * in + k]) * x[k];
      if (l + 1 < network.sizes().size()) y[o] = std::max(0.0, y[o]);
    }
    p += (in + 1) * out;
    x = std::move(y);
  }
  return x;
}

TEST_CASE("a tile of rows goes through a network as each row alone does in double") {
  for (const std::vector<int32_t>& sizes : {std::vector<int32_t>{5, 64, 32, 8, 32, 64, 5}, {1, 1, 1}, {7, 3, 7}, {2, 2}}) {
    DenseNetwork network(sizes);
    network.Initialize(3);
    TileBuffer in(network.inputs()), a(network.buffer_width()), b(network.buffer_width());
    Rng rng(5);
    for (int64_t i = 0; i < network.inputs() * DenseNetwork::kTileRows; ++i) in.data()[i] = static_cast<float>(rng.Normal());
    const float* out = network.Forward(in, a, b);
    for (int64_t r = 0; r < DenseNetwork::kTileRows; ++r) {
      std::vector<double> x;
      for (int64_t j = 0; j < network.inputs(); ++j) x.push_back(in.data()[j * DenseNetwork::kTileRows + r]);
      const std::vector<double> expected = Naive(network, x);
      for (size_t j = 0; j < expected.size(); ++j) {
        CHECK(out[static_cast<int64_t>(j) * DenseNetwork::kTileRows + r] == Approx(expected[j]).epsilon(1e-5).margin(1e-6));
      }
    }
  }
}

TEST_CASE("networks start within the bounds of torch.nn.Linear and differ by seed") {
  DenseNetwork a({16, 4, 16}), b({16, 4, 16}), c({16, 4, 16});
  a.Initialize(1);
  b.Initialize(1);
  c.Initialize(2);
  CHECK(std::ranges::equal(a.parameters(), b.parameters()));
  CHECK_FALSE(std::ranges::equal(a.parameters(), c.parameters()));
  for (size_t i = 0; i < 17 * 4; ++i) CHECK(std::abs(a.parameters()[i]) <= 0.25f);
  for (size_t i = 17 * 4; i < a.parameters().size(); ++i) CHECK(std::abs(a.parameters()[i]) <= 0.5f);
}

TEST_CASE("standardising keeps its promises at the ends of the number line") {
  Matrix X(3, 5);
  const double kMax = std::numeric_limits<double>::max(), kMin = std::numeric_limits<double>::denorm_min();
  const double columns[5][3] = {{1, 2, 3}, {7, 7, 7}, {kMax, -kMax, 0}, {kMin, 0, 0}, {0.1, 0.1, 0.1}};
  for (int64_t j = 0; j < 5; ++j) {
    for (int64_t i = 0; i < 3; ++i) X(i, j) = columns[j][i];
  }
  auto scaling = Standardizer::Fit(X, {});
  REQUIRE(scaling.ok());
  CHECK(scaling->Apply(0, 3) == Approx(std::sqrt(1.5)));
  CHECK(scaling->Invert(0, std::sqrt(1.5)) == Approx(3));
  CHECK(scaling->Apply(1, 7) == 0.0f);
  CHECK(scaling->Apply(1, 9) == 2.0f);
  CHECK(scaling->Apply(4, 0.1) == 0.0f);
  for (int64_t j = 0; j < 5; ++j) {
    CHECK(scaling->Apply(j, std::nan("")) == 0.0f);
    CHECK(std::abs(scaling->Apply(j, INFINITY)) <= 1e6f);
    for (int64_t i = 0; i < 3; ++i) CHECK(std::isfinite(scaling->Apply(j, X(i, j))));
    CHECK(std::isfinite(scaling->Invert(j, 1e6)));
  }
  X(2, 3) = INFINITY;
  auto bad = Standardizer::Fit(X, {});
  CHECK(bad.status().code() == absl::StatusCode::kInvalidArgument);
  CHECK(bad.status().ToString().find("row 2, column 3") != std::string::npos);
}

}  // namespace
}  // namespace vedette::neural
