// Gradients of the networks' scores, from stored states: no module is needed.
#include <catch2/catch.hpp>
#include <cmath>

#include "explain/integrated_gradients.h"
#include "neural/dense_network.h"
#include "neural_testing.h"
#include "outlier/columns.h"
#include "outlier/gradient_source.h"
#include "outlier/kernels/neighbors.h"

namespace vedette::neural {
namespace {

constexpr int32_t kColumns = 4;

std::unique_ptr<outlier::Detector> Make(const std::string& name, const testing::Params& given) {
  for (const outlier::Descriptor* d : Algorithms()) {
    if (d->name != name) continue;
    auto params = outlier::ParamSet::Make(d->params, given);
    INFO(params.status());
    REQUIRE(params.ok());
    return d->make(*params);
  }
  FAIL(name << " is not listed");
  return nullptr;
}

/// The state of an algorithm as its Save writes it, with random networks of these sizes, and `extras` numbers beside
/// them.
std::unique_ptr<outlier::Detector> Random(const std::string& name, const testing::Params& params,
                                          const std::vector<std::vector<int32_t>>& sizes, size_t extras = 0) {
  ByteWriter out;
  out.U32(1);
  out.Doubles(std::vector<double>{10, -3, 0.5, 0});
  out.Doubles(std::vector<double>{2, 0.5, 1, 4});
  for (size_t i = 0; i < sizes.size(); ++i) {
    DenseNetwork network(sizes[i]);
    network.Initialize(11, i);
    for (float& w : network.parameters()) w *= 2;
    network.Save(out);
  }
  if (name == "autoencoder") {
    out.I64(1), out.I64(0), out.F64(0), out.F64(0), out.U8(0), out.U32(0);
  } else {
    out.Floats(std::vector<float>(extras, 0.25F));
  }
  auto detector = Make(name, params);
  const std::string bytes = out.Take();
  ByteReader in(bytes);
  const absl::Status loaded = detector->Load(in);
  INFO(name << ": " << loaded);
  REQUIRE(loaded.ok());
  REQUIRE(in.Finish().ok());
  return detector;
}

/// lunar's state: ranges of the columns, the unit of distances, a random network of 3 distances, and 60 rows in [0, 1].
std::unique_ptr<outlier::Detector> RandomLunar() {
  Matrix Z = testing::RandomMatrix(60, kColumns, 8);
  for (int64_t j = 0; j < kColumns; ++j) {
    for (double& z : Z.col(j)) z = 0.5 + 0.15 * z;
  }
  outlier::NeighborIndex index;
  REQUIRE(index.Build(Z, {}, {}).ok());
  outlier::Standardizer ranges;
  const double lows[] = {4, -4.5, -2.5, -12}, widths[] = {12, 3, 6, 24};
  for (size_t j = 0; j < 4; ++j) ranges.Add(1, lows[j], 1 / widths[j]);
  DenseNetwork network({3, 6, 6, 3});
  network.Initialize(11);
  for (float& w : network.parameters()) w *= 3;
  ByteWriter out;
  out.U32(1);
  out.I64(kColumns);
  ranges.Save(out);
  out.F64(0.2);
  network.Save(out);
  index.Save(out);
  const std::string bytes = out.Take();
  ByteReader in(bytes);
  auto detector = Make("lunar", {{"n_neighbors", "3"}, {"hidden", "6"}});
  REQUIRE(detector->Load(in).ok());
  REQUIRE(in.Finish().ok());
  return detector;
}

std::vector<std::pair<std::string, std::unique_ptr<outlier::Detector>>> All() {
  std::vector<std::pair<std::string, std::unique_ptr<outlier::Detector>>> out;
  out.emplace_back("autoencoder", Random("autoencoder", {{"hidden1", "6"}, {"hidden2", "5"}, {"encoding", "2"}},
                                         {{4, 6, 5, 2, 5, 6, 4}}));
  out.emplace_back("vae", Random("vae", {{"hidden1", "6"}, {"hidden2", "5"}, {"hidden3", "3"}, {"latent", "2"}},
                                 {{4, 6, 5, 3, 4}, {2, 3, 5, 6, 4}}));
  out.emplace_back("deep_svdd", Random("deep_svdd", {{"hidden1", "6"}, {"hidden2", "3"}}, {{4, 6, 3}}, 3));
  out.emplace_back("devnet", Random("devnet", {{"hidden", "6"}}, {{4, 6, 1}}));
  out.emplace_back("so_gaal", Random("so_gaal", {{"hidden", "6"}}, {{4, 6, 1}}));
  out.emplace_back("ae1svm", Random("ae1svm", {{"hidden1", "6"}, {"hidden2", "5"}, {"waves", "30"}},
                                    {{4, 6, 5}, {5, 6, 4}, {5, 30}, {30, 1}}));
  out.emplace_back("alad", Random("alad", {{"hidden1", "6"}, {"hidden2", "5"}, {"latent", "2"}},
                                  {{4, 6, 5, 2}, {2, 5, 6, 4}, {6, 6, 5, 1}, {8, 6, 5}}));
  out.emplace_back("lunar", RandomLunar());
  return out;
}

Matrix Rows(int64_t rows) {
  Matrix X = testing::RandomMatrix(rows, kColumns, 5);
  const double means[] = {10, -3, 0.5, 0}, deviations[] = {2, 0.5, 1, 4};
  for (int64_t j = 0; j < kColumns; ++j) {
    for (double& x : X.col(j)) x = means[j] + deviations[j] * x;
  }
  return X;
}

}  // namespace

TEST_CASE("gradients are the slopes of the scores, and a row's bits do not depend on its batch") {
  const Matrix X = Rows(70);
  for (const auto& [name, detector] : All()) {
    CAPTURE(name);
    const auto* source = dynamic_cast<const outlier::GradientSource*>(detector.get());
    REQUIRE(source != nullptr);
    Matrix gradients(70, kColumns), alone(1, kColumns);
    REQUIRE(source->Gradients(X, gradients, {}).ok());
    int agree = 0, compared = 0;
    for (int64_t i = 0; i < 70; ++i) {
      REQUIRE(source->Gradients(X.view().Rows(i, 1), alone, {}).ok());
      for (int64_t j = 0; j < kColumns; ++j) {
        CHECK(alone(0, j) == gradients(i, j));
        Matrix two(2, kColumns);
        for (int64_t k = 0; k < kColumns; ++k) two(0, k) = two(1, k) = X(i, k);
        const double step = 2e-3;
        two(0, j) -= step, two(1, j) += step;
        std::vector<double> scores(2);
        REQUIRE(detector->Score(two, scores, {}).ok());
        const double slope = (scores[1] - scores[0]) / (2 * step);
        agree += std::fabs(slope - gradients(i, j)) <= 2e-3 * (1 + std::fabs(slope)) ? 1 : 0;
        ++compared;
      }
    }
    CHECK(agree >= compared * 95 / 100);  // the others have a kink within the step
  }
}

TEST_CASE("integrated gradients of every network are complete within the tolerance") {
  const Matrix X = Rows(5);
  for (const auto& [name, detector] : All()) {
    CAPTURE(name);
    const auto& source = dynamic_cast<const outlier::GradientSource&>(*detector);
    for (int64_t i = 0; i < 4; ++i) {
      std::vector<double> row, baseline;
      for (int64_t j = 0; j < kColumns; ++j) row.push_back(X(i, j)), baseline.push_back(X(4, j));
      const auto got = explain::IntegratedGradients(
          [&, d = detector.get()](MatrixView rows, std::span<double> out, const Context& c) {
            return d->Score(rows, out, c);
          },
          [&](MatrixView rows, Matrix& out, const Context& c) { return source.Gradients(rows, out, c); }, row, baseline,
          {}, Context{});
      REQUIRE(got.ok());
      CAPTURE(got->missed, got->gradients, got->expected, got->output);
      CHECK(got->within_tolerance);
    }
  }
}

TEST_CASE("a linear network's integrated gradients are its weights times the way") {
  // devnet with one hidden unit that is always on: score = 2 * (sum of w z + 100) + 1.
  DenseNetwork network({kColumns, 1, 1});
  const float weights[] = {1, -2, 0.5F, 3, 100, 2, 1};
  std::copy(std::begin(weights), std::end(weights), network.parameters().begin());
  ByteWriter out;
  out.U32(1);
  out.Doubles(std::vector<double>{10, -3, 0.5, 0});
  out.Doubles(std::vector<double>{2, 0.5, 1, 4});
  network.Save(out);
  out.Floats(std::vector<float>());
  const std::string bytes = out.Take();
  ByteReader in(bytes);
  auto detector = Make("devnet", {{"hidden", "1"}});
  REQUIRE(detector->Load(in).ok());
  const auto& source = dynamic_cast<const outlier::GradientSource&>(*detector);
  const std::vector<double> row = {12, -2, 0.5, 4}, baseline = {10, -3, 0.5, 0};
  const auto got = explain::IntegratedGradients(
      [&](MatrixView rows, std::span<double> o, const Context& c) { return detector->Score(rows, o, c); },
      [&](MatrixView rows, Matrix& o, const Context& c) { return source.Gradients(rows, o, c); }, row, baseline, {},
      Context{});
  REQUIRE(got.ok());
  const std::vector<double> want = {2, -8, 0, 6};  // 2 w (x - b) / deviation
  for (size_t j = 0; j < 4; ++j) CHECK(std::fabs(got->phi[j] - want[j]) < 1e-5);
  CHECK(got->gradients == 32);
}

TEST_CASE("a missing value and one beyond the limit have no slope") {
  Matrix X = Rows(1);
  X(0, 0) = std::nan("");
  X(0, 1) = 1e300;
  for (const auto& [name, detector] : All()) {
    CAPTURE(name);
    Matrix gradients(1, kColumns);
    REQUIRE(dynamic_cast<const outlier::GradientSource&>(*detector).Gradients(X, gradients, {}).ok());
    CHECK(gradients(0, 0) == 0);
    CHECK(gradients(0, 1) == 0);
    for (int64_t j = 0; j < kColumns; ++j) CHECK(std::isfinite(gradients(0, j)));
  }
}

}  // namespace vedette::neural
