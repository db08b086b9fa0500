// The objectives of several networks, through the module: what each must have learnt, when it stops, and what it
// refuses.
#include <catch2/catch.hpp>
#include <cmath>
#include <vector>

#include "base/rng.h"
#include "neural/dense_network.h"
#include "neural/module/abi.h"
#include "neural/module_loader.h"

namespace vedette::neural {
namespace {

constexpr int64_t kTile = DenseNetwork::kTileRows;

const Module& TheModule() {
  const auto module = Module::Get();
  INFO(module.status());
  REQUIRE(module.ok());
  return **module;
}

/// Rows about (3, -2) with deviation 0.2.
std::vector<float> RowsAboutAPoint(int64_t rows) {
  Rng rng(11);
  std::vector<float> x;
  for (int64_t i = 0; i < rows; ++i) {
    x.push_back(static_cast<float>(3 + 0.2 * rng.Normal()));
    x.push_back(static_cast<float>(-2 + 0.2 * rng.Normal()));
  }
  return x;
}

struct Gan {
  DenseNetwork maker{{2, 8, 2}}, features{{2, 16, 8}}, head{{8, 1}};
  std::vector<float> rows = RowsAboutAPoint(256);

  Gan() {
    maker.Initialize(1, 0);
    features.Initialize(1, 1);
    head.Initialize(1, 2);
    maker.SetActivations(Activation::kTanh, Activation::kLinear);
    features.SetActivations(Activation::kTanh, Activation::kTanh);
  }
  Learning Task(int epochs, double steps) {
    Learning l;
    l.kind = VEDETTE_NEURAL_GAN;
    l.parts = {{.network = &maker}, {.network = &features}, {.network = &head}};
    l.inputs = rows;
    l.rows = 256;
    l.batch_size = 32;
    l.epochs = epochs;
    l.learning_rate = 0.005;
    l.options[0] = steps;
    l.device = {DeviceKind::kCpu, 0};
    return l;
  }
  std::vector<float> All() const {
    std::vector<float> all(maker.parameters().begin(), maker.parameters().end());
    for (const DenseNetwork* n : {&features, &head})
      all.insert(all.end(), n->parameters().begin(), n->parameters().end());
    return all;
  }
  /// Mean of what the maker makes of normal codes.
  std::pair<double, double> Made() const {
    Rng rng(5);
    double x = 0, y = 0;
    TileBuffer in(2), a(8), b(8);
    for (int tile = 0; tile < 20; ++tile) {
      for (int64_t i = 0; i < 2 * kTile; ++i) in.data()[i] = static_cast<float>(rng.Normal());
      const float* const out = maker.Forward(in, a, b);
      for (int64_t r = 0; r < kTile; ++r) x += out[r] / 320.0, y += out[kTile + r] / 320.0;
    }
    return {x, y};
  }
};

TEST_CASE("a generator learns to make rows where the rows lie") {
  Gan gan;
  const auto [x0, y0] = gan.Made();
  REQUIRE(std::hypot(x0 - 3, y0 + 2) > 2);
  REQUIRE(TheModule().Learn(gan.Task(80, 0), {}).ok());
  const auto [x, y] = gan.Made();
  INFO("made " << x << ", " << y);
  CHECK(std::hypot(x - 3, y + 2) < 0.8);
}

TEST_CASE("a generative training is over after its number of steps, and repeats with its seed") {
  Gan start, one, two, more, other;
  REQUIRE(TheModule().Learn(one.Task(1, 5), {}).ok());
  REQUIRE(TheModule().Learn(two.Task(30, 5), {}).ok());
  REQUIRE(TheModule().Learn(more.Task(1, 6), {}).ok());
  CHECK(one.All() != start.All());
  CHECK(one.All() == two.All());
  CHECK(one.All() != more.All());
  Context seeded;
  seeded.seed = 43;
  REQUIRE(TheModule().Learn(other.Task(1, 5), seeded).ok());
  CHECK(one.All() != other.All());
}

TEST_CASE("weights of distances turn to those that tell made-up rows") {
  // The second distance tells, the first is noise.
  Rng rng(3);
  std::vector<float> distances, targets;
  for (int i = 0; i < 600; ++i) {
    distances.push_back(static_cast<float>(rng.Uniform(0.5, 1.5)));
    distances.push_back(static_cast<float>(i % 2 == 0 ? rng.Uniform(0.8, 1.0) : rng.Uniform(1.6, 2.0)));
    targets.push_back(static_cast<float>(i % 2));
  }
  DenseNetwork weights({2, 8, 2}), judge({1, 1});
  weights.Initialize(1);
  Learning l;
  l.kind = VEDETTE_NEURAL_LUNAR;
  l.parts = {{.network = &weights}, {.network = &judge}};
  l.inputs = distances;
  l.rows = 600;
  l.targets = targets;
  l.epochs = 60;
  l.learning_rate = 0.01;
  l.device = {DeviceKind::kCpu, 0};
  REQUIRE(TheModule().Learn(l, {}).ok());
  TileBuffer in(2), a(8), b(8);
  for (int64_t r = 0; r < 2 * kTile; ++r) in.data()[r] = 1;
  const float* const out = weights.Forward(in, a, b);
  CHECK(out[kTile] > out[0] + 1);  // logits: the second weighs e times the first or more

  l.targets = std::span<const float>(targets).first(599);
  CHECK(TheModule().Learn(l, {}).code() == absl::StatusCode::kInvalidArgument);
  l.targets = targets;
  l.parts.pop_back();
  CHECK(TheModule().Learn(l, {}).code() == absl::StatusCode::kInvalidArgument);
}

TEST_CASE("a cancelled training of several networks leaves them as they were") {
  Gan gan;
  const std::vector<float> before = gan.All();
  std::stop_source stop;
  Context ctx;
  ctx.stop = stop.get_token();
  ctx.progress = [&](double) { stop.request_stop(); };  // after the first epoch
  CHECK(TheModule().Learn(gan.Task(1000, 0), ctx).code() == absl::StatusCode::kCancelled);
  CHECK(gan.All() == before);
}

}  // namespace
}  // namespace vedette::neural
