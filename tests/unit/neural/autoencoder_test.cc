// The autoencoder fitted by the module.
#include <catch2/catch.hpp>
#include <cmath>
#include <thread>

#include "base/thread_pool.h"
#include "neural_testing.h"

namespace vedette::neural {
namespace {

using testing::MakeAutoencoder;

TEST_CASE("rows that break the relation between columns are found and blamed on the right column") {
  const Matrix X = testing::CurveWithBrokenRows(1000);
  auto detector = MakeAutoencoder({{"device", "cpu"}, {"encoding", "2"}});
  const absl::Status status = detector->Fit(X, {});
  INFO(status);
  REQUIRE(status.ok());
  std::vector<bool> odd(1000);
  for (size_t i = 0; i < odd.size(); i += 50) odd[i] = true;
  CHECK(testing::Auc(detector->training_scores(), odd) > 0.98);

  auto parts = detector->Explain(X, {});
  REQUIRE(parts.ok());
  CHECK(parts->space == "reconstruction error");
  int blamed = 0;
  for (int64_t i = 0; i < 1000; i += 50) {
    int64_t worst = 0;
    for (int64_t j = 1; j < 6; ++j) worst = parts->contributions(i, j) > parts->contributions(i, worst) ? j : worst;
    blamed += worst == 0;
  }
  CHECK(blamed >= 18);
  // Expected values are in the units of the matrix: near the actual ones for an ordinary row.
  for (int64_t j = 0; j < 6; ++j) CHECK(parts->expected(1, j) == Approx(X(1, j)).margin(10));
}

TEST_CASE("the same seed gives the same bits, at any thread count, while other fits run, and another seed gives others") {
  const Matrix X = testing::CurveWithBrokenRows(300);
  const testing::Params params = {{"epochs", "4"}, {"device", "cpu"}};
  const auto fit = [&](uint64_t seed, ThreadPool* pool) {
    auto detector = MakeAutoencoder(params);
    const absl::Status status = detector->Fit(X, {.seed = seed, .pool = pool});
    return status.ok() ? testing::SaveBytes(*detector) : status.ToString();
  };
  const std::string first = fit(1, nullptr);
  ThreadPool pool(3);
  CHECK(fit(1, &pool) == first);
  CHECK(fit(2, nullptr) != first);
  std::vector<std::string> beside(3);
  {
    std::vector<std::jthread> threads;
    for (std::string& out : beside) threads.emplace_back([&] { out = fit(1, nullptr); });
  }
  for (const std::string& out : beside) CHECK(out == first);
}

TEST_CASE("a saved autoencoder scores with the same bits after loading") {
  const Matrix X = testing::CurveWithBrokenRows(200);
  auto fitted = MakeAutoencoder({{"epochs", "3"}});
  REQUIRE(fitted->Fit(X, {}).ok());
  const std::string bytes = testing::SaveBytes(*fitted);
  auto loaded = MakeAutoencoder({{"epochs", "3"}});
  ByteReader in(bytes);
  REQUIRE(loaded->Load(in).ok());
  REQUIRE(in.Finish().ok());
  std::vector<double> scores(200);
  REQUIRE(loaded->Score(X, scores, {}).ok());
  CHECK(std::ranges::equal(scores, fitted->training_scores()));
  CHECK(testing::SaveBytes(*loaded) == bytes);
}

TEST_CASE("the sizes follow the number of rows unless they are given") {
  const auto sizes = [](int64_t rows, const testing::Params& params) {
    auto detector = MakeAutoencoder(params);
    REQUIRE(detector->Fit(testing::RandomMatrix(rows, 2, 1), {}).ok());
    const std::string bytes = testing::SaveBytes(*detector);
    ByteReader in(bytes);
    in.U32(), in.Doubles(), in.Doubles();
    return in.I32s();
  };
  CHECK(sizes(999, {{"epochs", "1"}}) == std::vector<int32_t>{2, 64, 32, 4, 32, 64, 2});
  CHECK(sizes(1000, {{"epochs", "1"}}) == std::vector<int32_t>{2, 64, 32, 8, 32, 64, 2});
  CHECK(sizes(20, {{"epochs", "1"}, {"hidden1", "9"}, {"hidden2", "6"}, {"encoding", "2"}}) ==
        std::vector<int32_t>{2, 9, 6, 2, 6, 9, 2});
}

TEST_CASE("odd shapes and values are fitted, or refused with a reason") {
  const auto fit = [](MatrixView X) {
    auto detector = MakeAutoencoder({{"epochs", "2"}});
    absl::Status status = detector->Fit(X, {});
    for (const double s : detector->training_scores()) CHECK(std::isfinite(s));
    return status;
  };
  CHECK(fit(testing::RandomMatrix(1, 3, 1)).ok());
  CHECK(fit(testing::RandomMatrix(2, 1, 1)).ok());
  CHECK(fit(Matrix(40, 3)).ok());  // all zero
  Matrix X = testing::RandomMatrix(40, 3, 1);
  X(3, 1) = 1e308, X(4, 1) = -1e308;
  CHECK(fit(X).ok());
  X(5, 2) = NAN;
  CHECK(fit(X).ToString().find("row 5, column 2") != std::string::npos);
  CHECK(fit(Matrix(0, 3)).code() == absl::StatusCode::kInvalidArgument);
  CHECK(fit(Matrix(3, 0)).code() == absl::StatusCode::kInvalidArgument);
}

TEST_CASE("a fit on real data separates its anomalies") {
  const std::string path = VEDETTE_SOURCE_DIR "/../shared/data/tabular/breastw.csv";
  std::ifstream file(path);
  if (!file) {
    WARN("SKIPPED: the development data is absent: " << path);
    return;
  }
  std::vector<std::vector<double>> rows;
  std::string line;
  std::getline(file, line);
  while (std::getline(file, line)) {
    std::istringstream cells(line);
    rows.emplace_back();
    for (std::string cell; std::getline(cells, cell, ',');) rows.back().push_back(std::stod(cell));
  }
  REQUIRE(rows.size() == 683);
  const auto d = static_cast<int64_t>(rows[0].size()) - 1;
  Matrix X(683, d);
  std::vector<bool> odd(683);
  for (int64_t i = 0; i < 683; ++i) {
    for (int64_t j = 0; j < d; ++j) X(i, j) = rows[static_cast<size_t>(i)][static_cast<size_t>(j)];
    odd[static_cast<size_t>(i)] = rows[static_cast<size_t>(i)].back() == 1;
  }
  auto detector = MakeAutoencoder({{"device", "cpu"}});
  REQUIRE(detector->Fit(X, {}).ok());
  const double auc = testing::Auc(detector->training_scores(), odd);
  INFO("ROC AUC " << auc);
  CHECK(auc > 0.93);
}

}  // namespace
}  // namespace vedette::neural
