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

TEST_CASE("the gradient by the inputs is that of finite differences in double, for every activation") {
  for (const Activation hidden : {Activation::kTanh, Activation::kSigmoid, Activation::kRelu, Activation::kLinear}) {
    DenseNetwork network({5, 9, 6, 3});
    network.Initialize(3);
    network.SetActivations(hidden, Activation::kTanh);
    const auto squash = [](Activation activation, double x) {
      switch (activation) {
        case Activation::kTanh: return std::tanh(x);
        case Activation::kSigmoid: return 1 / (1 + std::exp(-x));
        case Activation::kRelu: return std::max(0.0, x);
        default: return x;
      }
    };
    // Sum of (o + 1) times output o, in double.
    const auto loss = [&](std::vector<double> x) {
      const float* p = network.parameters().data();
      for (size_t l = 1; l < network.sizes().size(); ++l) {
        const auto in = static_cast<size_t>(network.sizes()[l - 1]), out = static_cast<size_t>(network.sizes()[l]);
        std::vector<double> y(out);
        for (size_t o = 0; o < out; ++o) {
          y[o] = p[in * out + o];
          for (size_t k = 0; k < in; ++k) y[o] += static_cast<double>(p[o * in + k]) * x[k];
          y[o] = squash(l + 1 < network.sizes().size() ? hidden : Activation::kTanh, y[o]);
        }
        p += (in + 1) * out;
        x = std::move(y);
      }
      return x[0] + 2 * x[1] + 3 * x[2];
    };
    constexpr int64_t kTile = DenseNetwork::kTileRows;
    TileBuffer in(5), out(3), a(9), b(9);
    Rng rng(8);
    for (int64_t i = 0; i < 5 * kTile; ++i) in.data()[i] = static_cast<float>(2 * rng.Normal());
    for (int64_t i = 0; i < 3 * kTile; ++i) out.data()[i] = static_cast<float>(i / kTile + 1);
    DenseNetwork::Trace trace = network.MakeTrace();
    const float* const values = network.ForwardKeeping(in.data(), trace);
    TileBuffer c(9), e(9);
    const float* const plain = network.Forward(in, c, e);
    CHECK(std::equal(values, values + 3 * kTile, plain));
    const float* const gradient = network.Backward(out.data(), trace, a, b);
    for (int64_t r = 0; r < kTile; ++r) {
      std::vector<double> x;
      for (int64_t j = 0; j < 5; ++j) x.push_back(in.data()[j * kTile + r]);
      CHECK(values[r] + 2 * values[kTile + r] + 3 * values[2 * kTile + r] == Approx(loss(x)).epsilon(1e-5).margin(1e-5));
      for (size_t j = 0; j < 5; ++j) {
        std::vector<double> up = x, down = x;
        up[j] += 1e-6;
        down[j] -= 1e-6;
        CHECK(gradient[static_cast<int64_t>(j) * kTile + r] == Approx((loss(up) - loss(down)) / 2e-6).epsilon(1e-3).margin(1e-4));
      }
    }
  }
}

TEST_CASE("tanh and the sigmoid are right at every size, and never NaN") {
  for (const Activation activation : {Activation::kTanh, Activation::kSigmoid}) {
    DenseNetwork network({1, 1});
    network.parameters()[0] = 1;
    network.SetActivations(Activation::kLinear, activation);
    TileBuffer in(1), a(1), b(1);
    for (const float size : {0.0f, 1e-30f, 1e-5f, 0.059f, 0.061f, 0.5f, 3.0f, 8.9f, 9.1f, 88.0f, 1e30f}) {
      for (int64_t r = 0; r < DenseNetwork::kTileRows; ++r) in.data()[r] = r % 2 == 0 ? size : -size;
      const float* const out = network.Forward(in, a, b);
      for (int64_t r = 0; r < 2; ++r) {
        const double x = in.data()[r], right = activation == Activation::kTanh ? std::tanh(x) : 1 / (1 + std::exp(-x));
        CHECK(out[r] == Approx(right).epsilon(2e-6).margin(1e-37));
      }
    }
    in.data()[0] = std::numeric_limits<float>::quiet_NaN();
    CHECK_FALSE(std::isnan(network.Forward(in, a, b)[0]));
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
