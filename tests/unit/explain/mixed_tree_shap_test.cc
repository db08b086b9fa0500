// TreeSHAP over forests with categories and missing values, against all coalitions of what the detector itself scores.
#include <algorithm>
#include <bit>
#include <catch2/catch.hpp>
#include <cmath>
#include <limits>

#include "base/rng.h"
#include "explain/methods.h"
#include "explain/tree_shap.h"
#include "outlier/registry.h"

namespace vedette::explain {
namespace {

constexpr double kMissing = std::numeric_limits<double>::quiet_NaN();

/// Two numbers and two columns of categories, with gaps; categories beyond the known ones where `unknown`.
Matrix Table(int64_t n, uint64_t seed, bool unknown) {
  Rng rng(seed);
  Matrix X(n, 4);
  for (int64_t i = 0; i < n; ++i) {
    X(i, 0) = rng.Normal();
    X(i, 1) = static_cast<double>(rng.Below(3));
    X(i, 2) = rng.Below(4) == 0 ? kMissing : rng.Normal();
    X(i, 3) = rng.Below(6) == 0 ? kMissing : static_cast<double>(rng.Below(5));
    if (unknown && i % 4 == 0) X(i, 3) = -1;
    if (unknown && i % 4 == 1) X(i, 0) = kMissing;  // which training never lacks
  }
  return X;
}

struct Fitted {
  std::unique_ptr<outlier::Detector> detector;
  const outlier::ForestSource* source;
  outlier::ForestView forest;
};
Fitted Forest(const Matrix& X, std::vector<int32_t> kinds) {
  auto detector = outlier::MakeMember("iforest", {{"n_estimators", "12"}, {"max_samples", "64"}});
  REQUIRE(detector.ok());
  REQUIRE((*detector)->FitMixed(X, kinds, Context{}).ok());
  const auto* source = dynamic_cast<const outlier::ForestSource*>(detector->get());
  REQUIRE(source != nullptr);
  outlier::ForestView view = source->Forest();
  return {*std::move(detector), source, std::move(view)};
}

/// The detector's mean path length: its score is 2^(-length / c).
double PathLength(const Fitted& fitted, MatrixView row) {
  double score = 0;
  REQUIRE(fitted.detector->Score(row, {&score, 1}, Context{}).ok());
  return -std::log2(score) * fitted.forest.normalizer;
}

/// v(S) of the path-dependent game.
double BothWays(const outlier::TreeView& tree, size_t node, const Matrix& row, uint32_t present) {
  const int32_t f = tree.feature[node];
  if (f < 0) return tree.value[node];
  const auto left = static_cast<size_t>(tree.left[node]), right = static_cast<size_t>(tree.right[node]);
  if ((present >> f & 1) != 0)
    return BothWays(tree, outlier::GoesLeft(tree, node, row(0, f)) ? left : right, row, present);
  return (tree.cover[left] * BothWays(tree, left, row, present) +
          tree.cover[right] * BothWays(tree, right, row, present)) /
         tree.cover[node];
}

std::vector<double> Shapley(const std::vector<double>& v) {
  const int m = std::bit_width(v.size()) - 1;
  std::vector<double> phi(static_cast<size_t>(m), 0);
  for (uint32_t s = 0; s < v.size(); ++s) {
    const int size = std::popcount(s);
    for (int j = 0; j < m; ++j) {
      if ((s >> j & 1) != 0) continue;
      const double weight = std::tgamma(size + 1) * std::tgamma(m - size) / std::tgamma(m + 1);
      phi[static_cast<size_t>(j)] += weight * (v[s | 1U << j] - v[s]);
    }
  }
  return phi;
}

const std::vector<int32_t> kKinds = {0, 3, 0, 6};

}  // namespace

TEST_CASE("tree SHAP over categories and gaps: path-dependent values are those of the definition") {
  const Fitted fitted = Forest(Table(300, 1, false), kKinds);
  const auto shap = TreeShap::Make(fitted.forest);
  REQUIRE(shap.ok());
  const Matrix fresh = Table(24, 2, true), rows = fitted.source->ForestRows(fresh);
  const auto values = shap->PathDependent(rows, Context{});
  REQUIRE(values.ok());
  for (int64_t i = 0; i < fresh.rows(); ++i) {
    Matrix row(1, 4);
    for (int64_t j = 0; j < 4; ++j) row(0, j) = rows(i, j);
    std::vector<double> v(16, 0);
    for (uint32_t s = 0; s < 16; ++s) {
      for (const auto& tree : fitted.forest.trees)
        v[s] += BothWays(tree, 0, row, s) / static_cast<double>(fitted.forest.trees.size());
    }
    const std::vector<double> phi = Shapley(v);
    for (size_t j = 0; j < 4; ++j) CHECK(values->phi(i, static_cast<int64_t>(j)) == Approx(phi[j]).margin(1e-9));
    CHECK(values->output[static_cast<size_t>(i)] == Approx(PathLength(fitted, fresh.view().Rows(i, 1))).epsilon(1e-6));
  }
}

TEST_CASE("tree SHAP over categories and gaps: interventional values are those of the detector's scores") {
  const bool plain = GENERATE(false, true);  // the plain forest meets gaps in new rows only
  Matrix X = Table(300, 3, false);
  std::vector<int32_t> kinds = kKinds;
  if (plain) {
    X = Matrix(300, 4);
    Rng rng(4);
    for (int64_t i = 0; i < 1200; ++i) X.data()[i] = rng.Normal();
    kinds = {0, 0, 0, 0};
  }
  const Fitted fitted = Forest(X, kinds);
  const auto shap = TreeShap::Make(fitted.forest);
  REQUIRE(shap.ok());
  const Matrix fresh = Table(12, 5, true), background = Table(9, 6, false);
  const auto prepared = shap->Prepare(fitted.source->ForestRows(background), Context{});
  REQUIRE(prepared.ok());
  const auto values = shap->Interventional(fitted.source->ForestRows(fresh), *prepared, Context{});
  REQUIRE(values.ok());
  for (int64_t i = 0; i < fresh.rows(); ++i) {
    std::vector<double> v(16, 0);
    for (uint32_t s = 0; s < 16; ++s) {
      for (int64_t b = 0; b < background.rows(); ++b) {
        Matrix mixed(1, 4);
        for (int64_t j = 0; j < 4; ++j) mixed(0, j) = (s >> j & 1) != 0 ? fresh(i, j) : background(b, j);
        v[s] += PathLength(fitted, mixed) / static_cast<double>(background.rows());
      }
    }
    const std::vector<double> phi = Shapley(v);
    for (size_t j = 0; j < 4; ++j)
      CHECK(values->phi(i, static_cast<int64_t>(j)) == Approx(phi[j]).margin(1e-4));  // float32 leaves
    CHECK(values->expected == Approx(v[0]).epsilon(1e-5));
  }
}

namespace {

/// Two numbers and a colour, both with gaps; the last row is beige, as no other.
table::Table Orders() {
  table::Column price{.name = "price", .type = table::ColumnType::kNumeric},
      weight{.name = "weight", .type = table::ColumnType::kNumeric};
  table::Column colour{.name = "colour", .type = table::ColumnType::kCategorical};
  colour.categories = {"red", "green", "beige"};
  Rng rng(8);
  for (int64_t i = 0; i < 200; ++i) {
    price.values.push_back(rng.Normal());
    weight.values.push_back(i % 9 == 0 ? kMissing : rng.Normal());
    colour.codes.push_back(i == 199 ? 2 : i % 11 == 0 ? -1 : static_cast<int32_t>(i % 3 == 0));
  }
  price.values[199] = weight.values[199] = 0;
  return {.columns = {price, weight, colour}};
}

}  // namespace

TEST_CASE("every method explains a row of a model over categories and gaps, or says why it cannot") {
  const outlier::Catalog catalog({outlier::AllAlgorithms()});
  const table::Table table = Orders();
  const auto preparation =
      table::Preparation::Fit(table, {.imputation = table::Imputation::kNone, .encoding = table::Encoding::kNative});
  REQUIRE(preparation.ok());
  const auto X = preparation->Apply(table);
  REQUIRE(X.ok());
  const auto model =
      outlier::Model::Fit(catalog, {.algorithm = "iforest", .contamination = 0.02}, *preparation, *X, Context{});
  REQUIRE(model.ok());
  for (const int64_t at : {199, 0}) {  // the beige one, and one without weight and colour
    const MatrixView row = X->view().Rows(at, 1);
    for (const Method& method : Methods()) {
      INFO(method.name << " of row " << at);
      const auto result = RunMethod(**model, row, method, {}, Context{});
      if (!result.ok()) {
        INFO(result.status());
        CHECK((method.name == "lime" || absl::IsFailedPrecondition(result.status())));
        CHECK(result.status().message().size() > 20);
        continue;
      }
      for (const double c : result->contributions) CHECK(std::isfinite(c));
      if (result->additive) CHECK(result->additivity_error < 1e-6);
      if (at != 199) continue;
      const auto most = std::max_element(result->contributions.begin(), result->contributions.end());
      CHECK(most - result->contributions.begin() == 2);
      if (method.name != "counterfactual") continue;
      REQUIRE(result->counterfactual->found);
      const auto changes = ChangesOf(**model, row, *result->counterfactual, nullptr, Context{});
      REQUIRE(changes.ok());
      REQUIRE(changes->size() == 1);
      CHECK((*changes)[0].feature == "colour");
      CHECK((*changes)[0].from == "beige");
      CHECK((*changes)[0].to == "red");
    }
  }
}

TEST_CASE("tree SHAP refuses trees whose splits are neither on numbers nor on categories") {
  Fitted fitted = Forest(Table(100, 7, false), kKinds);
  for (auto& tree : fitted.forest.trees) tree.codes_left.clear();
  CHECK(TreeShap::Make(fitted.forest).status().code() == absl::StatusCode::kInvalidArgument);
}

}  // namespace vedette::explain
