// The module's training against an independent reference, and what it keeps and refuses.
#include <catch2/catch.hpp>
#include <cmath>
#include <numeric>

#include "neural/dense_network.h"
#include "neural/module_loader.h"
#include "neural_testing.h"

namespace vedette::neural {
namespace {

const Module& Loaded() {
  auto module = Module::Get();
  INFO(module.status());
  REQUIRE(module.ok());
  return **module;
}

std::vector<float> RandomInputs(int64_t rows, int64_t cols, uint64_t seed) {
  Rng rng(seed);
  std::vector<float> out(static_cast<size_t>(rows * cols));
  for (float& v : out) v = static_cast<float>(rng.Normal());
  return out;
}

/// Mean squared error over rows [begin, end) with double parameters: the plain definition.
double Loss(std::span<const int32_t> sizes, const std::vector<double>& parameters, std::span<const float> inputs,
            const std::vector<int64_t>& rows) {
  double sum = 0;
  const auto d = static_cast<size_t>(sizes[0]);
  for (const int64_t row : rows) {
    const std::span<const float> start = inputs.subspan(static_cast<size_t>(row) * d, d);
    std::vector<double> x(start.begin(), start.end());
    const double* p = parameters.data();
    for (size_t l = 1; l < sizes.size(); ++l) {
      const auto in = static_cast<size_t>(sizes[l - 1]), out = static_cast<size_t>(sizes[l]);
      std::vector<double> y(p + in * out, p + in * out + out);
      for (size_t o = 0; o < out; ++o) {
        y[o] += std::inner_product(x.begin(), x.end(), p + o * in, 0.0);
        if (l + 1 < sizes.size()) y[o] = std::max(0.0, y[o]);
      }
      p += (in + 1) * out;
      x = std::move(y);
    }
    for (size_t j = 0; j < d; ++j) sum += (x[j] - start[j]) * (x[j] - start[j]);
  }
  return sum / static_cast<double>(rows.size() * d);
}

/// Adam with gradients by central differences: shares no formula of back-propagation with the module.
std::vector<double> ReferenceTraining(const DenseTraining& t, std::vector<double> p, uint64_t seed) {
  std::vector<double> mean(p.size()), square(p.size());
  int step = 0;
  for (int epoch = 0; epoch < t.epochs; ++epoch) {
    std::vector<int64_t> order(static_cast<size_t>(t.training_rows));
    std::iota(order.begin(), order.end(), 0);
    Rng(seed, 2 + static_cast<uint64_t>(epoch)).Shuffle(order);
    for (int64_t begin = 0; begin < t.training_rows; begin += t.batch_size) {
      const auto end = std::min(begin + t.batch_size, t.training_rows);
      const std::vector<int64_t> batch(order.begin() + begin, order.begin() + end);
      ++step;
      std::vector<double> gradient(p.size());
      for (size_t i = 0; i < p.size(); ++i) {
        constexpr double kH = 1e-6;
        std::vector<double> up = p, down = p;
        up[i] += kH, down[i] -= kH;
        gradient[i] = (Loss(t.sizes, up, t.inputs, batch) - Loss(t.sizes, down, t.inputs, batch)) / (2 * kH);
      }
      for (size_t i = 0; i < p.size(); ++i) {
        mean[i] = 0.9 * mean[i] + 0.1 * gradient[i];
        square[i] = 0.999 * square[i] + 0.001 * gradient[i] * gradient[i];
        p[i] -= t.learning_rate * (mean[i] / (1 - std::pow(0.9, step))) /
                (std::sqrt(square[i] / (1 - std::pow(0.999, step))) + 1e-8);
      }
    }
  }
  return p;
}

TEST_CASE("a load goes on without a caller that was told to stop") {
  std::stop_source stop;
  stop.request_stop();
  Context ctx;
  ctx.stop = stop.get_token();
  const auto left = Module::Get(ctx);
  CHECK((left.ok() || absl::IsCancelled(left.status())));  // a load that was done needs no time
  const auto module = Module::Get();
  REQUIRE(module.ok());
  CHECK(*Module::Get(ctx) == *module);
}

TEST_CASE("the module trains as Adam on the plain definition of the loss does") {
  const std::vector<int32_t> sizes = {3, 5, 2, 5, 3};
  const std::vector<float> inputs = RandomInputs(10, 3, 21);
  DenseTraining t{.sizes = sizes,
                  .inputs = inputs,
                  .training_rows = 10,
                  .batch_size = 4,
                  .epochs = 6,
                  .learning_rate = 0.01,
                  .device = {DeviceKind::kCpu, 0}};
  DenseNetwork network(sizes);
  network.Initialize(9);
  const std::vector<double> start(network.parameters().begin(), network.parameters().end());
  const std::vector<double> expected = ReferenceTraining(t, start, 42);
  auto summary = Loaded().Train(t, network.parameters(), {.seed = 42});
  INFO(summary.status());
  REQUIRE(summary.ok());
  CHECK(summary->epochs == 6);
  CHECK(std::isnan(summary->validation_loss));
  double moved = 0;
  for (size_t i = 0; i < expected.size(); ++i) {
    CHECK(network.parameters()[i] == Approx(expected[i]).margin(1e-4));
    moved = std::max(moved, std::abs(expected[i] - start[i]));
  }
  CHECK(moved > 0.05);
}

TEST_CASE("an early stop gives back the weights of the best epoch") {
  const std::vector<int32_t> sizes = {8, 16, 4, 16, 8};
  // Pure noise: whatever is learnt of the training rows soon makes the held-out rows worse.
  const std::vector<float> inputs = RandomInputs(60, 8, 5);
  DenseTraining t{.sizes = sizes,
                  .inputs = inputs,
                  .training_rows = 30,
                  .validation_rows = 30,
                  .batch_size = 8,
                  .epochs = 400,
                  .patience = 4,
                  .learning_rate = 0.02,
                  .device = {DeviceKind::kCpu, 0}};
  DenseNetwork network(sizes);
  network.Initialize(1);
  auto summary = Loaded().Train(t, network.parameters(), {});
  REQUIRE(summary.ok());
  CHECK(summary->epochs < 400);
  CHECK(summary->epochs == summary->best_epoch + 1 + 4);
  REQUIRE(summary->validation_losses.size() == static_cast<size_t>(summary->epochs));
  const auto best = std::min_element(summary->validation_losses.begin(), summary->validation_losses.end());
  CHECK(best - summary->validation_losses.begin() == summary->best_epoch);
  CHECK(summary->validation_loss == *best);
  CHECK(summary->validation_losses.back() > *best);
  std::vector<int64_t> held_out(30);
  std::iota(held_out.begin(), held_out.end(), 30);
  const std::vector<double> kept(network.parameters().begin(), network.parameters().end());
  CHECK(Loss(sizes, kept, inputs, held_out) == Approx(*best).epsilon(1e-5));
}

TEST_CASE("training reports progress, and stops for a cancel or a deadline with the weights untouched") {
  const std::vector<int32_t> sizes = {4, 3, 4};
  const std::vector<float> inputs = RandomInputs(64, 4, 6);
  DenseTraining t{.sizes = sizes, .inputs = inputs, .training_rows = 64, .epochs = 4, .device = {DeviceKind::kCpu, 0}};
  DenseNetwork network(sizes);
  network.Initialize(1);
  const std::vector<float> start(network.parameters().begin(), network.parameters().end());
  std::stop_source stop;
  Context ctx{.stop = stop.get_token()};
  std::vector<double> seen;
  ctx.progress = [&](double share) {
    seen.push_back(share);
    if (seen.size() == 2) stop.request_stop();
  };
  CHECK(Loaded().Train(t, network.parameters(), ctx).status().code() == absl::StatusCode::kCancelled);
  CHECK(seen == std::vector<double>{0.25, 0.5});
  CHECK(std::ranges::equal(start, network.parameters()));
  CHECK(Loaded().Train(t, network.parameters(), {.deadline = absl::InfinitePast()}).status().code() ==
        absl::StatusCode::kDeadlineExceeded);
  CHECK(std::ranges::equal(start, network.parameters()));
}

TEST_CASE("the module refuses what it cannot do, with a reason") {
  const std::vector<int32_t> sizes = {4, 3, 4};
  const std::vector<float> inputs = RandomInputs(8, 4, 6);
  DenseNetwork network(sizes);
  network.Initialize(1);
  const DenseTraining good{.sizes = sizes, .inputs = inputs, .training_rows = 8, .device = {DeviceKind::kCpu, 0}};
  const auto refused = [&](DenseTraining t, absl::StatusCode code, const char* why) {
    const absl::Status status = Loaded().Train(t, network.parameters(), {}).status();
    INFO(status);
    CHECK(status.code() == code);
    CHECK(status.ToString().find(why) != std::string::npos);
  };
  DenseTraining t = good;
  t.training_rows = 7;
  refused(t, absl::StatusCode::kInvalidArgument, "not 7 rows");
  t = good, t.epochs = 0;
  refused(t, absl::StatusCode::kInvalidArgument, "epochs");
  t = good, t.batch_size = 0;
  refused(t, absl::StatusCode::kInvalidArgument, "batch_size");
  const std::vector<int32_t> crooked = {4, 3, 5};
  t = good, t.sizes = crooked;
  refused(t, absl::StatusCode::kInvalidArgument, "as wide");
  const std::vector<int32_t> wider = {4, 5, 4};
  t = good, t.sizes = wider;
  refused(t, absl::StatusCode::kInvalidArgument, "parameter_count");
  t = good, t.device = {DeviceKind::kCuda, 99};
  refused(t, absl::StatusCode::kFailedPrecondition, "CUDA device 99");
  std::vector<float> huge = inputs;
  for (float& v : huge) v *= 1e30f;
  t = good, t.inputs = huge;
  refused(t, absl::StatusCode::kInvalidArgument, "diverged");
}

TEST_CASE("the module names its build and its devices") {
  CHECK(Loaded().build().starts_with("LibTorch "));
  const std::vector<Device> devices = Loaded().Devices();
  REQUIRE(!devices.empty());
  CHECK(devices[0].Name() == "cpu");
}

}  // namespace
}  // namespace vedette::neural
