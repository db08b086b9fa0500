// Algorithms that learn from labels: the column leaves the features, and what is wrong with it is said by row.
#include <catch2/catch.hpp>

#include "base/rng.h"
#include "boosting/algorithms.h"
#include "services/detector/core/engine.h"

namespace vedette::detector {
namespace {

/// Feature sets and rows of one table, as feature-engine has them.
class Features final : public FeatureSource {
 public:
  explicit Features(table::Table table) : table_(std::move(table)) {}
  absl::StatusOr<FeatureSet> Create(const std::string&, const table::PrepareOptions& options) override {
    auto preparation = table::Preparation::Fit(table_, options);
    if (!preparation.ok()) return preparation.status();
    preparation_ = *std::move(preparation);
    FeatureSet set{.name = "featureSets/f", .version = 1};
    for (const table::Feature& f : preparation_.features()) set.features.push_back(f.source_column);
    created = set.features;
    return set;
  }
  absl::StatusOr<FeatureBlock> Read(const FeatureQuery& query) override {
    queries.push_back(query);
    FeatureBlock block{.dataset_rows = table_.rows(), .preparation = preparation_};
    auto X = preparation_.Apply(table_);
    if (!X.ok()) return X.status();
    block.features = *std::move(X);
    for (int64_t i = 0; i < table_.rows(); ++i) block.row_index.push_back(1000 + i);
    if (query.include_table) {
      for (const table::Column& c : table_.columns) {
        const auto& wanted = query.table_columns;
        if (wanted.empty() || std::find(wanted.begin(), wanted.end(), c.name) != wanted.end())
          block.table.columns.push_back(c);
      }
    }
    return block;
  }
  std::vector<std::string> created;
  std::vector<FeatureQuery> queries;

 private:
  table::Table table_;
  table::Preparation preparation_;
};

/// One model at most, every lease granted.
class OneModel final : public ModelRegistry {
 public:
  absl::StatusOr<Acquired> Acquire(const ModelKey& asked, absl::Duration) override {
    key = asked;
    return Lease{.id = "lease", .expire_time = absl::InfiniteFuture()};
  }
  absl::StatusOr<Lease> Renew(const std::string& id) override {
    return Lease{.id = id, .expire_time = absl::InfiniteFuture()};
  }
  void Release(const std::string&, const absl::Status&) override {}
  absl::StatusOr<std::string> Upload(const std::string&, const std::string& bytes, const Training&) override {
    bytes_ = bytes;
    return std::string("models/m");
  }
  absl::StatusOr<std::string> Download(const std::string&) override { return bytes_; }
  ModelKey key;

 private:
  std::string bytes_;
};

constexpr int64_t kRows = 240;
bool Fraud(int64_t i) { return i % 8 == 3; }

/// Frauds lie in the middle of the column "band", where no detector without labels looks. The last 40 rows are not
/// labelled.
table::Table Cases() {
  table::Table t;
  t.columns.resize(3);
  t.columns[0].name = "band";
  t.columns[1].name = "noise";
  t.columns[2] = {.name = "fraud", .type = table::ColumnType::kCategorical, .categories = {"true", "False"}};
  Rng rng(5);
  for (int64_t i = 0; i < kRows; ++i) {
    const double side = rng.Uniform() < 0.5 ? -1 : 1;
    t.columns[0].values.push_back(Fraud(i) ? 0.2 * rng.Normal() : side * (2 + std::fabs(rng.Normal())));
    t.columns[1].values.push_back(rng.Normal());
    t.columns[2].codes.push_back(i >= kRows - 40 ? -1 : Fraud(i) ? 0 : 1);
  }
  return t;
}

struct Learning {
  outlier::Catalog catalog{{outlier::AllAlgorithms(), boosting::Algorithms()}};
  ModelMemory memory{4};
  Engine engine{catalog, memory, {}};
  OneModel models;
};

DetectorSpec Xgbod(std::string column) {
  DetectorSpec spec;
  spec.algorithm = "xgbod";
  spec.label_column = std::move(column);
  spec.contamination = 0.125;
  return spec;
}

}  // namespace

TEST_CASE("labels come from their column, which is no feature; rows without a label are found by those with one") {
  Learning bench;
  Features features(Cases());
  const auto fitted = bench.engine.Fit("datasets/d", Xgbod("fraud"), 0,
                                       {.tenant = "t", .features = &features, .models = &bench.models}, Context{});
  INFO(fitted.status());
  REQUIRE(fitted.ok());
  CHECK(features.created == std::vector<std::string>{"band", "noise"});
  REQUIRE(features.queries.size() == 1);
  CHECK(features.queries[0].table_columns == std::vector<std::string>{"fraud"});
  CHECK(bench.models.key.parameters.at("label_column") == "fraud");

  const auto rows =
      bench.engine.ScoreTable(fitted->model, Cases(), 5, {}, {.tenant = "t", .models = &bench.models}, Context{});
  INFO(rows.status());
  REQUIRE(rows.ok());
  int right = 0;
  for (int64_t i = kRows - 40; i < kRows; ++i) right += rows->rows[static_cast<size_t>(i)].anomaly == Fraud(i);
  CHECK(right >= 38);
  for (const Found& f : rows->anomalies) {
    for (const auto& c : f.features) CHECK(c.feature != "fraud");
  }
}

TEST_CASE("a table that comes with the request is learned from in the same way") {
  Learning bench;
  const auto out =
      bench.engine.Detect(Cases(), "hash", Xgbod("fraud"), 3, {}, {.tenant = "t", .models = &bench.models}, Context{});
  INFO(out.status());
  REQUIRE(out.ok());
  CHECK(bench.models.key.parameters.at("label_column") == "fraud");
  int right = 0;
  for (int64_t i = 0; i < kRows; ++i) right += out->rows[static_cast<size_t>(i)].anomaly == Fraud(i);
  CHECK(right >= kRows - 12);
}

TEST_CASE("what is wrong with labels is said with the row, and who takes none says so") {
  Learning bench;
  const auto message = [&](const DetectorSpec& spec, table::Table table) {
    Features features(std::move(table));
    const auto fitted = bench.engine.Fit("datasets/d", spec, 0,
                                         {.tenant = "t", .features = &features, .models = &bench.models}, Context{});
    CHECK(absl::IsInvalidArgument(fitted.status()));
    return std::string(fitted.status().message());
  };
  CHECK_THAT(message(Xgbod(""), Cases()), Catch::Contains("label_column: xgbod learns from rows whose label is known"));
  DetectorSpec other = Xgbod("fraud");
  other.algorithm = "knn";
  CHECK_THAT(message(other, Cases()), Catch::Contains("knn learns without labels"));
  other.algorithm = "auto";
  CHECK_THAT(message(other, Cases()), Catch::Contains("auto chooses among algorithms that learn without labels"));
  CHECK_THAT(message(Xgbod("nowhere"), Cases()), Catch::Contains("nowhere"));
  table::Table perhaps = Cases();
  perhaps.columns[2].categories[1] = "perhaps";
  CHECK_THAT(message(Xgbod("fraud"), perhaps),
             Catch::Contains("row 1000 says 'perhaps'") && Catch::Contains("empty (not known)"));
  table::Table numbers = Cases();
  numbers.columns[2] = {.name = "fraud", .values = std::vector<double>(kRows, 0)};
  CHECK_THAT(message(Xgbod("fraud"), numbers), Catch::Contains("no row is labelled as an anomaly"));
  numbers.columns[2].values[7] = 0.5;
  CHECK_THAT(message(Xgbod("fraud"), numbers), Catch::Contains("row 1007 says '0.5'"));
}

}  // namespace vedette::detector
