// Rows that tell of the rows before them: contributions by column and lag.
#include <fmt/format.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <numbers>
#include <set>

#include "base/rng.h"
#include "explain/methods.h"
#include "table/rows.h"

namespace vedette::explain {
namespace {

constexpr int kWindow = 6;

/// Two sensors that swing together, 24 rows a turn, and a mode. `broken`: rows whose temperature is that of half a turn
/// later: a value like any other, only not between its neighbours.
table::Table Sensors(int rows, uint64_t seed, const std::set<int>& broken = {}) {
  Rng rng(seed);
  table::Column temperature{.name = "temperature"}, pressure{.name = "pressure"};
  table::Column mode{.name = "mode", .type = table::ColumnType::kCategorical, .categories = {"day", "night"}};
  for (int i = 0; i < rows; ++i) {
    const double turn = 2 * std::numbers::pi * i / 24, half = broken.contains(i) ? std::numbers::pi : 0;
    temperature.values.push_back(20 + 5 * std::sin(turn + 0.4 + half) + 0.1 * rng.Normal());
    pressure.values.push_back(100 + 8 * std::cos(turn) + 0.2 * rng.Normal());
    mode.codes.push_back(i % 24 < 12 ? 0 : 1);
  }
  return {.columns = {std::move(temperature), std::move(pressure), std::move(mode)}};
}

std::unique_ptr<outlier::Model> Fitted(const std::string& algorithm, const table::Table& rows, int window) {
  const outlier::Catalog catalog({outlier::AllAlgorithms()});
  auto preparation = table::Preparation::Fit(rows, {.scaling = table::Scaling::kStandard, .window = window});
  REQUIRE(preparation.ok());
  const auto X = preparation->Apply(rows);
  REQUIRE(X.ok());
  auto model =
      outlier::Model::Fit(catalog, {.algorithm = algorithm, .contamination = 0.01}, *preparation, *X, Context{});
  INFO(model.status());
  REQUIRE(model.ok());
  return *std::move(model);
}

/// The row with its history, as explanations want it.
table::Table WithHistory(const table::Table& all, int64_t row, int64_t history) {
  const int64_t begin = std::max<int64_t>(0, row - history);
  return table::SliceRows(all, begin, row - begin + 1);
}

Explanation Explained(const outlier::Model& model, const table::Table& all, int64_t row, const std::string& method,
                      MethodResult* numbers = nullptr) {
  const table::Table cells = WithHistory(all, row, model.preparation().history());
  const auto X = model.preparation().Apply(cells, cells.rows() - 1);
  REQUIRE(X.ok());
  const auto result = RunMethod(model, *X, **FindMethod(method), {}, Context{});
  INFO(result.status());
  REQUIRE(result.ok());
  const auto score = model.Score(*X, Context{});
  auto words = ExplainWith(model, *X, *result, (*score)[0], fmt::format("Row {}", row), &cells, Context{});
  INFO(words.status());
  REQUIRE(words.ok());
  if (numbers != nullptr) *numbers = *result;
  return *std::move(words);
}

}  // namespace

TEST_CASE("windows: a reading that only does not follow its neighbours is found, and named at its lag") {
  const table::Table usual = Sensors(720, 1);
  std::set<int> broken;
  for (int i = 1; i < 10; ++i) broken.insert(40 * i + 7 * i % 24);
  const table::Table odd = Sensors(440, 2, broken);
  const auto alone = Fitted("knn", usual, 1), model = Fitted("knn", usual, kWindow);
  const auto all = model->Score(*model->preparation().Apply(odd), Context{});
  const auto without = alone->Score(*alone->preparation().Apply(odd), Context{});
  REQUIRE((all.ok() && without.ok()));
  int found = 0, named = 0, found_alone = 0, count = 0;
  for (const int at : broken) {
    for (int lag = 0; lag < kWindow; ++lag) {
      const size_t row = static_cast<size_t>(at + lag);
      ++count;
      found += (*all)[row].anomaly;
      found_alone += (*without)[row].anomaly;
      const Explanation e = Explained(*model, odd, at + lag, "native");
      const Contribution& top = e.contributions.front();
      named += top.feature_name == "temperature" && top.lag == lag;
      if (top.lag != lag || top.feature_name != "temperature") continue;
      const auto cell = static_cast<size_t>(at);
      CHECK(top.actual == odd.columns[0].values[cell]);  // what the cell said, bit by bit
    }
  }
  CAPTURE(found, named, found_alone, count);
  CHECK(found > 0.95 * count);
  CHECK(named > 0.95 * count);
  CHECK(found_alone < 0.3 * count);
}

TEST_CASE("windows: every method has a part for each column and lag, and names the planted one") {
  const table::Table usual = Sensors(480, 3), odd = Sensors(120, 4, {60});
  for (const char* algorithm : {"knn", "iforest"}) {
    const auto model = Fitted(algorithm, usual, 4);
    const SourceColumns players = SourceColumnsOf(*model);
    REQUIRE(players.names.size() == 12);
    CHECK(players.per_lag == 3);
    CHECK(players.Find("pressure", 2) == 7);
    CHECK(players.Find("mode", 3) == 11);
    CHECK(players.Find("mode", 4) == 12);
    CHECK(players.Find("none", 0) == 12);
    CHECK(players.features[11].size() == 2);  // a one-hot column moves as a whole
    for (const Method& method : Methods()) {
      CAPTURE(algorithm, std::string(method.name));
      const bool of_forests = method.name == "tree_shap" || method.name == "diffi";
      if (method.name == "integrated_gradients" || (of_forests && algorithm != std::string("iforest"))) continue;
      MethodResult result;
      const Explanation e = Explained(*model, odd, 62, std::string(method.name), &result);
      REQUIRE(result.contributions.size() == 12);
      REQUIRE(e.contributions.size() == 12);
      if (result.additive) CHECK(result.additivity_error < 1e-9);
      if (method.name == "counterfactual" || algorithm != std::string("knn")) continue;
      CHECK(e.contributions[0].feature_name == "temperature");
      CHECK(e.contributions[0].lag == 2);
      CHECK(e.text.find("temperature 2 rows before is ") != std::string::npos);
    }
  }
}

TEST_CASE("windows: a counterfactual changes the row itself, never those before it") {
  const table::Table usual = Sensors(480, 5), odd = Sensors(120, 6, {60});
  const auto model = Fitted("knn", usual, 4);
  for (const int64_t row : {60, 62}) {
    const table::Table cells = WithHistory(odd, row, 3);
    const auto X = model->preparation().Apply(cells, cells.rows() - 1);
    const auto found = CounterfactualOf(*model, *X, {}, Context{});
    REQUIRE(found.ok());
    CAPTURE(row);
    CHECK(found->found == (row == 60));
    const size_t per_lag = X->cols() / 4;
    for (size_t j = per_lag; j < found->row.size(); ++j) CHECK(found->row[j] == (*X)(0, static_cast<int64_t>(j)));
    const auto changes = ChangesOf(*model, *X, *found, &cells, Context{});
    REQUIRE(changes.ok());
    if (row == 60) {
      REQUIRE(changes->size() == 1);
      CHECK((*changes)[0].feature == "temperature");
      CHECK((*changes)[0].from == cells.columns[0].Text(3));
    }
    const auto frozen = CounterfactualOf(*model, *X, {.frozen = {"temperature"}}, Context{});
    REQUIRE(frozen.ok());
    CHECK_FALSE(frozen->found);
  }
}

TEST_CASE("windows: the first row stands for those before it") {
  const table::Table usual = Sensors(240, 7);
  const auto model = Fitted("knn", usual, 4);
  const Explanation e = Explained(*model, usual, 1, "native");
  REQUIRE(e.contributions.size() == 12);
  for (const Contribution& c : e.contributions) {
    const int64_t cell = std::max(0, 1 - c.lag);
    CHECK(c.actual_text == usual.columns[static_cast<size_t>(usual.Find(c.feature_name))].Text(cell));
  }
}

TEST_CASE("windows: in words, a feature once, at its strongest row, with the share of all its rows") {
  const auto part = [](std::string name, int lag, double contribution, double actual, double expected) {
    outlier::FeatureContribution f{.feature = std::move(name), .lag = lag, .contribution = contribution};
    f.actual = actual;
    f.expected = expected;
    f.actual_text = fmt::format("{}", actual);
    return f;
  };
  Request request{.subject = "Row 9",
                  .score = {.score = 4, .probability = 0.98, .anomaly = true, .severity = outlier::Severity::kHigh},
                  .threshold = 2};
  request.features = {part("temperature", 0, 1, 7, 5), part("temperature", 3, 3, 8.2, 5.1), part("flow", 1, 2, 4, 10),
                      part("flow", 0, -1, 10, 10), part("level", 2, 0, 1, 1)};
  const Explanation e = Explain(request);
  CHECK(e.text.find(
            " temperature 3 rows before is 8.2, 61% above the expected 5.1 (50% of the deviation, 67% over 2 rows).") !=
        std::string::npos);
  CHECK(e.text.find(" flow 1 row before is 4, 60% below the expected 10 (33% of the deviation).") != std::string::npos);
  CHECK(e.text.find("Check temperature (3 rows before) first, then flow (1 row before).") != std::string::npos);
  CHECK(e.text.find("temperature is 7") == std::string::npos);
  CHECK(ShortPhrase(e.contributions[0]) == "temperature 3 rows before: 8.2, expected about 5.1");
  CHECK(ShortPhrase(e.contributions[2]) == "temperature 7, expected about 5");
  CHECK(FeatureTag(e.contributions[0]) == "temperature[-3]");
  CHECK(FeatureTag(e.contributions[0], 10) == "tempe…[-3]");
  CHECK(FeatureTag(e.contributions[2]) == "temperature");
  const std::vector<FeatureShare> shares = SharesByFeature(e.contributions);
  REQUIRE(shares.size() == 3);
  CHECK(shares[0].feature == "temperature");
  CHECK(shares[0].share == Approx(4.0 / 6));
  CHECK(shares[0].lags == 2);
  CHECK(shares[1].lags == 1);
  // Ten equal parts of one feature are one driver, of ten features none.
  request.features.clear();
  for (int lag = 0; lag < 10; ++lag) request.features.push_back(part("temperature", lag, 1, 7, 5));
  for (int j = 0; j < 5; ++j) request.features.push_back(part(fmt::format("f{}", j), 0, 0.1, 7, 5));
  CHECK_FALSE(Explain(request).no_single_driver);
}

}  // namespace vedette::explain
