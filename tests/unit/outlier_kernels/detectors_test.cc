// What iforest, knn and lof promise beyond the conformance tests that every algorithm passes.
#include <catch2/catch.hpp>
#include <cmath>

#include "base/thread_pool.h"
#include "outlier/kernels/isolation_tree.h"
#include "unit/outlier_kernels/samples.h"

namespace vedette::outlier {
namespace {

constexpr const char* kNames[] = {"iforest", "knn", "lof"};

std::vector<double> Fitted(std::string_view name, MatrixView X, const Context& ctx = {}) {
  const std::unique_ptr<Detector> detector = Make(name);
  REQUIRE(detector != nullptr);
  REQUIRE(detector->Fit(X, ctx).ok());
  return {detector->training_scores().begin(), detector->training_scores().end()};
}

}  // namespace

TEST_CASE("One row, equal rows and extreme rows give finite scores") {
  Matrix extreme = NormalMatrix(40, 3, 1);
  extreme(0, 0) = 1e308;
  extreme(1, 1) = -1e308;
  extreme(2, 2) = 1e-308;
  const Matrix one(1, 2), two = NormalMatrix(2, 2, 1), constant(300, 4);
  for (const char* name : kNames) {
    for (const Matrix* X : std::initializer_list<const Matrix*>{&one, &two, &constant, &extreme}) {
      const std::unique_ptr<Detector> detector = Make(name);
      REQUIRE(detector->Fit(*X, {}).ok());
      std::vector<double> scores(extreme.rows());
      for (const double s : detector->training_scores()) REQUIRE(std::isfinite(s));
      Matrix other(4, X->cols());
      for (int64_t j = 0; j < X->cols(); ++j) {
        other(0, j) = 1e308;
        other(1, j) = -1e308;
        other(2, j) = 1e-308;
      }
      REQUIRE(detector->Score(other, std::span(scores).first(4), {}).ok());
      for (int i = 0; i < 4; ++i) REQUIRE(std::isfinite(scores[i]));
      const absl::StatusOr<Attribution> why = detector->Explain(other, {});
      REQUIRE(why.ok());
      for (int64_t i = 0; i < 4 * X->cols(); ++i) {
        REQUIRE(std::isfinite(why->contributions.data()[i]));
        REQUIRE(std::isfinite(why->Expected(i % 4, i / 4)));
      }
    }
  }
}

TEST_CASE("Saved and loaded detectors score alike, damaged bytes are refused or harmless") {
  const Matrix X = NormalMatrix(300, 5, 2), other = NormalMatrix(50, 5, 3);
  for (const char* name : kNames) {
    const std::unique_ptr<Detector> detector = Make(name), loaded = Make(name);
    REQUIRE(detector->Fit(X, {}).ok());
    ByteWriter out;
    detector->Save(out);
    ByteReader in(out.bytes());
    REQUIRE(loaded->Load(in).ok());
    REQUIRE(in.Finish().ok());
    REQUIRE(loaded->features() == 5);
    std::vector<double> a(50), b(50);
    REQUIRE(detector->Score(other, a, {}).ok());
    REQUIRE(loaded->Score(other, b, {}).ok());
    REQUIRE(a == b);
    Rng rng(4);
    for (int trial = 0; trial < 60; ++trial) {
      std::string bytes = out.bytes();
      if (trial % 2 == 0) bytes.resize(rng.Below(bytes.size()));
      for (int flips = 0; flips < 3 && !bytes.empty(); ++flips) {
        const size_t at = trial % 3 == 0 ? rng.Below(std::min<size_t>(64, bytes.size())) : rng.Below(bytes.size());
        bytes[at] = static_cast<char>(rng.Next());
      }
      const std::unique_ptr<Detector> victim = Make(name);
      ByteReader bad(bytes);
      if (!victim->Load(bad).ok() || victim->features() != 5) continue;
      REQUIRE(victim->Score(other, b, {}).ok());
      for (const double s : b) REQUIRE_FALSE(std::isnan(s));
    }
  }
}

TEST_CASE("Same seed, same bits at any thread count, another seed, another forest") {
  const Matrix X = NormalMatrix(5000, 7, 5);
  ThreadPool pool(3);
  Context threaded;
  threaded.pool = &pool;
  for (const char* name : kNames) REQUIRE(Fitted(name, X) == Fitted(name, X, threaded));
  Context other;
  other.seed = 43;
  REQUIRE(Fitted("iforest", X) != Fitted("iforest", X, other));
}

TEST_CASE("iforest contributions add up to how much shorter a row's path is than the forest's mean") {
  const Matrix X = NormalMatrix(1000, 6, 6);
  Matrix rows = NormalMatrix(8, 6, 7, 0.1);
  rows(0, 4) = 9;
  const std::unique_ptr<Detector> detector = Make("iforest");
  REQUIRE(detector->Fit(X, {}).ok());
  std::vector<double> scores(8);
  REQUIRE(detector->Score(rows, scores, {}).ok());
  const absl::StatusOr<Attribution> why = detector->Explain(rows, {});
  REQUIRE(why.ok());
  std::vector<double> mean;
  for (int64_t i = 0; i < 8; ++i) {
    mean.push_back(-std::log2(scores[i]) * AveragePathLength(256));
    for (int64_t j = 0; j < 6; ++j) mean.back() += why->contributions(i, j);
    REQUIRE(mean[i] == Approx(mean[0]).epsilon(1e-5));
  }
  for (int64_t j = 0; j < 6; ++j) {
    if (j != 4) REQUIRE(why->contributions(0, 4) > why->contributions(0, j));
  }
  REQUIRE(std::abs(why->expected(0, 4)) < 0.3);
}

TEST_CASE("Neighbour methods blame the feature that is off, also for training rows") {
  Matrix X = NormalMatrix(400, 4, 8);
  X(7, 2) = 12;
  for (const char* name : {"knn", "lof"}) {
    const std::unique_ptr<Detector> detector = Make(name);
    REQUIRE(detector->Fit(X, {}).ok());
    const absl::StatusOr<Attribution> why = detector->Explain(X.view().Rows(7, 1), {});
    REQUIRE(why.ok());
    double sum = 0;
    for (int64_t j = 0; j < 4; ++j) sum += why->contributions(0, j);
    REQUIRE(why->contributions(0, 2) > 0.8 * sum);
    REQUIRE(why->expected(0, 2) < 5);
  }
}

TEST_CASE("knn follows its definition for few rows, and each method") {
  Matrix X(4, 1);
  X(1, 0) = 1;
  X(2, 0) = 3;
  X(3, 0) = 10;
  const auto scores = [&X](const char* method) {
    const std::unique_ptr<Detector> detector = Make("knn", {{"method", method}, {"n_neighbors", "9"}});
    REQUIRE(detector->Fit(X, {}).ok());
    return std::vector<double>(detector->training_scores().begin(), detector->training_scores().end());
  };
  REQUIRE(scores("largest") == std::vector<double>{10, 9, 7, 10});
  REQUIRE(scores("median") == std::vector<double>{3, 2, 3, 9});
  REQUIRE(scores("mean")[3] == Approx(26.0 / 3));
}

}  // namespace vedette::outlier
