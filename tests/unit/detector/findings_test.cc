// What goes with a finding: every feature up to a number and to so many bytes, and how many there are.
#include "services/detector/core/findings.h"

#include <catch2/catch.hpp>

#include "base/rng.h"

namespace vedette::detector {
namespace {

struct FarOff {
  /// The last row is far off in every column, the further the later the column.
  FarOff(int64_t columns, const std::string& suffix, int window = 1) {
    Rng rng(1);
    table::Table t;
    for (int64_t j = 0; j < columns; ++j) {
      table::Column c;
      c.name = std::to_string(j) + suffix;
      for (int64_t i = 0; i < 60; ++i) c.values.push_back(rng.Normal() + (i == 59 ? 20 + static_cast<double>(j) : 0));
      t.columns.push_back(std::move(c));
    }
    auto preparation = table::Preparation::Fit(t, {.window = window});
    REQUIRE(preparation.ok());
    X = *preparation->Apply(t);
    const outlier::Catalog catalog({outlier::AllAlgorithms()});
    auto fitted =
        outlier::Model::Fit(catalog, {.algorithm = "zscore", .contamination = 0.02}, *preparation, X.view(), Context{});
    REQUIRE(fitted.ok());
    model = std::move(*fitted);
    table = std::move(t);
  }
  Found Explained(int top) const {
    std::vector<int64_t> index(60);
    for (size_t i = 0; i < 60; ++i) index[i] = static_cast<int64_t>(i);
    const auto scores = model->Score(X.view(), Context{});
    REQUIRE(scores.ok());
    std::string space;
    const auto found = ExplainAnomalies(*model, X.view(), table, index, *scores, top, Context{}, &space);
    REQUIRE(found.ok());
    REQUIRE_FALSE(found->empty());
    return found->back();  // the last row; a share of the rows may be more than one
  }
  Matrix X;
  table::Table table;
  std::unique_ptr<outlier::Model> model;
};

size_t Bytes(const Found& f) {
  size_t bytes = 0;
  for (const auto& c : f.features) bytes += c.feature.size() + c.actual_text.size() + c.expected_text.size();
  return bytes;
}

}  // namespace

TEST_CASE("a finding has all features of its row, the largest first") {
  const FarOff f(12, "");
  const Found found = f.Explained(64);
  CHECK(found.row_index == 59);
  CHECK(found.features.size() == 12);
  CHECK(found.feature_count == 12);
  double shares = 0;
  for (const auto& c : found.features) shares += c.share;
  CHECK(shares == Approx(1));
}

TEST_CASE("of many features those that fit, and how many there are") {
  const FarOff many(300, "");
  const Found found = many.Explained(64);
  CHECK(found.features.size() == 64);
  CHECK(found.feature_count == 300);
  const Found few = many.Explained(2);
  CHECK(few.features.size() == 2);
  CHECK(few.features[0].feature == found.features[0].feature);
  CHECK(few.features[1].share == found.features[1].share);  // of all
  CHECK(few.summary == many.Explained(300).summary);

  // Names as long as cells may be: bounded by bytes, but the largest is always there.
  const FarOff wide(100, std::string(3000, 'x'));
  const Found bounded = wide.Explained(1000);
  CHECK(bounded.feature_count == 100);
  CHECK(bounded.features.size() > 10);
  CHECK(bounded.features.size() < 22);
  CHECK(Bytes(bounded) <= kMaxFeatureBytes);
  const FarOff huge(3, std::string(100000, 'x'));
  CHECK(huge.Explained(64).features.size() == 1);
}

TEST_CASE("many wide findings are the same as each alone") {
  const FarOff wide(5, "", 1000);  // 5000 contributions each: not all are explained at once
  auto scores = wide.model->Score(wide.X.view(), Context{});
  REQUIRE(scores.ok());
  std::vector<int64_t> index;
  for (auto& score : *scores) {
    score.anomaly = true;
    index.push_back(std::ssize(index));
  }
  std::string space;
  const auto found = ExplainAnomalies(*wide.model, wide.X.view(), wide.table, index, *scores, 3, Context{}, &space);
  REQUIRE(found.ok());
  REQUIRE(found->size() == index.size());
  for (const int64_t row : {0, 51, 52, 59}) {
    const auto alone = wide.model->Explain(wide.X.view().Rows(row, 1), Context{}, nullptr, &wide.table,
                                           std::span(&row, 1), 3);
    REQUIRE(alone.ok());
    const Found& f = (*found)[static_cast<size_t>(row)];
    CHECK(f.row_index == row);
    REQUIRE(f.features.size() == 3);
    for (size_t r = 0; r < 3; ++r) {
      CHECK(f.features[r].feature == (*alone)[0][r].feature);
      CHECK(f.features[r].contribution == (*alone)[0][r].contribution);
      CHECK(f.features[r].actual_text == (*alone)[0][r].actual_text);
    }
  }
}

}  // namespace vedette::detector
