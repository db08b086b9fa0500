// From a score to a decision: threshold rules, false discoveries, rejection, and what of it the answers say.
#include <catch2/catch.hpp>
#include <cmath>
#include <limits>

#include "base/rng.h"
#include "outlier/registry.h"
#include "services/detector/adapters/proto.h"
#include "services/detector/core/engine.h"

namespace vedette::detector {
namespace {

/// Models by key, in memory; every lease is granted.
class Models final : public ModelRegistry {
 public:
  absl::StatusOr<Acquired> Acquire(const ModelKey& key, absl::Duration) override {
    std::string text = key.subject + "/" + key.algorithm;
    for (const auto& [name, value] : key.parameters) text += "/" + name + "=" + value;
    if (const auto found = names_.find(text); found != names_.end()) return Hit{found->second};
    return Lease{.id = text, .expire_time = absl::InfiniteFuture()};
  }
  absl::StatusOr<Lease> Renew(const std::string& id) override {
    return Lease{.id = id, .expire_time = absl::InfiniteFuture()};
  }
  void Release(const std::string&, const absl::Status&) override {}
  absl::StatusOr<std::string> Upload(const std::string& id, const std::string& bytes, const Training&) override {
    const std::string name = "models/" + std::to_string(names_.size());
    names_[id] = name;
    bytes_[name] = bytes;
    return name;
  }
  absl::StatusOr<std::string> Download(const std::string& model) override { return bytes_.at(model); }
  size_t size() const { return names_.size(); }

 private:
  std::map<std::string, std::string> names_, bytes_;
};

/// Every fiftieth row is far off where `odd`.
table::Table Readings(int64_t n, uint64_t seed, bool odd = true) {
  table::Column a{.name = "a", .type = table::ColumnType::kNumeric},
      b{.name = "b", .type = table::ColumnType::kNumeric};
  Rng rng(seed);
  for (int64_t i = 0; i < n; ++i) {
    a.values.push_back(rng.Normal() + (odd && i % 50 == 7 ? 8 : 0));
    b.values.push_back(rng.Normal());
  }
  return {.columns = {a, b}};
}

struct Bench {
  outlier::Catalog catalog{{outlier::AllAlgorithms()}};
  ModelMemory memory{4};
  Engine engine{catalog, memory, {}};
  Models models;
  absl::StatusOr<InlineOutcome> Detect(const table::Table& table, DetectorSpec spec,
                                       const outlier::DecisionOptions& decision = {}) {
    return engine.Detect(table, "hash", spec, 3, decision, {.tenant = "t", .models = &models}, Context{});
  }
};
DetectorSpec Knn(std::string threshold = "") {
  DetectorSpec spec;
  spec.algorithm = "knn";
  spec.threshold = std::move(threshold);
  return spec;
}

}  // namespace

TEST_CASE("a threshold rule of the request decides, and is part of the model's identity") {
  Bench bench;
  const table::Table table = Readings(400, 1);
  const auto by_share = bench.Detect(table, Knn()), by_rule = bench.Detect(table, Knn("mad:3")),
             again = bench.Detect(table, Knn("mad:factor=3.0"));
  INFO(by_rule.status());
  REQUIRE((by_share.ok() && by_rule.ok() && again.ok()));
  CHECK(by_share->model->scale().rule().empty());
  CHECK(by_rule->model->scale().rule().starts_with("mad:"));
  CHECK(by_rule->model->scale().threshold() != by_share->model->scale().threshold());
  CHECK(bench.models.size() == 2);  // "mad:3" and its long form are one
  for (const auto& row : by_rule->rows) CHECK(row.anomaly == (row.score > by_rule->model->scale().threshold()));
}

TEST_CASE("rules that cannot be are refused by name") {
  Bench bench;
  const table::Table table = Readings(100, 2);
  for (const char* wrong : {"nonsense", "mad:-1", "mad:x=1", "mad:3:3", ":"}) {
    const auto status = bench.Detect(table, Knn(wrong)).status();
    INFO(wrong << ": " << status);
    CHECK((absl::IsInvalidArgument(status) || absl::IsNotFound(status)));
    CHECK(status.message().find("detector.threshold") != std::string::npos);
  }
  DetectorSpec both = Knn("mad");
  both.contamination = 0.1;
  CHECK(absl::IsInvalidArgument(bench.Detect(table, both).status()));
  CHECK(absl::IsInvalidArgument(bench.Detect(table, Knn(), {.false_discovery_rate = 1}).status()));
  CHECK(absl::IsInvalidArgument(bench.Detect(table, Knn(), {.false_discovery_rate = std::nan("")}).status()));
  CHECK(absl::IsInvalidArgument(bench.Detect(table, Knn(), {.rejection_tolerance = -1}).status()));
  CHECK(bench.models.size() == 0);
}

TEST_CASE("a false discovery rate decides about the rows of the answer together") {
  Bench bench;
  const auto trained = bench.Detect(Readings(1000, 3, false), Knn());
  REQUIRE(trained.ok());
  const table::Table fresh = Readings(200, 4);
  const Remote remote{.tenant = "t", .models = &bench.models};
  const auto found = bench.engine.ScoreTable("models/0", fresh, 3, {.false_discovery_rate = 0.2}, remote, Context{});
  REQUIRE(found.ok());
  const outlier::ScoreScale& scale = found->model->scale();
  std::vector<double> scores;
  for (const auto& row : found->rows) scores.push_back(row.score);
  const std::vector<bool> expected = scale.Discoveries(scores, 0.2);
  size_t count = 0;
  for (size_t i = 0; i < expected.size(); ++i) {
    CHECK(found->rows[i].anomaly == expected[i]);
    CHECK((found->rows[i].severity == outlier::Severity::kNone) == !expected[i]);
    count += expected[i];
  }
  CHECK(count >= 3);  // four rows were planted
  CHECK(found->anomalies.size() == count);
  const auto strict = bench.engine.ScoreTable("models/0", fresh, 3, {.false_discovery_rate = 1e-9}, remote, Context{});
  REQUIRE(strict.ok());
  CHECK(strict->anomalies.empty());
}

TEST_CASE("answers say score, both probabilities, confidence, p-value, label and rejection") {
  Bench bench;
  const auto outcome = bench.Detect(Readings(300, 5), Knn(), {.rejection_tolerance = 4});
  REQUIRE(outcome.ok());
  v1::DetectResponse response;
  ToProto(*outcome, response.mutable_rows());
  REQUIRE(response.rows_size() == 300);
  const outlier::ScoreScale& scale = outcome->model->scale();
  int rejected = 0;
  for (const v1::RowResult& row : response.rows()) {
    CHECK(row.probability() == scale.Probability(row.score()));
    CHECK(row.linear_probability() == scale.LinearProbability(row.score()));
    CHECK(row.confidence() == scale.Confidence(row.score()));
    CHECK(row.p_value() == scale.PValue(row.score()));
    CHECK(row.anomaly() == (row.score() > scale.threshold()));
    CHECK(row.rejected() == scale.Rejects(row.score(), 4));
    rejected += row.rejected();
  }
  CHECK(rejected > 0);
  CHECK(rejected < 100);
  const auto without = bench.Detect(Readings(300, 5), Knn());
  REQUIRE(without.ok());
  for (const auto& row : without->rows) CHECK_FALSE(row.rejected);
}

TEST_CASE("what a request leaves open is as the algorithm wants it") {
  Bench bench;
  table::Table table = Readings(200, 6);
  table.columns[0].values[3] = std::numeric_limits<double>::quiet_NaN();
  table::Column colour{.name = "colour", .type = table::ColumnType::kCategorical};
  colour.categories = {"red", "green"};
  for (int64_t i = 0; i < 200; ++i) colour.codes.push_back(static_cast<int32_t>(i % 2));
  table.columns.push_back(colour);
  common::v1::DetectorSpec request;
  request.set_algorithm("iforest");
  const auto forest = bench.Detect(table, *FromProto(request));
  INFO(forest.status());
  REQUIRE(forest.ok());
  CHECK(forest->model->preparation().category_counts() == std::vector<int32_t>{0, 0, 2});
  CHECK(std::isnan(forest->model->preparation().features()[0].fill));
  request.mutable_prepare()->set_encoding("one_hot");
  request.mutable_prepare()->set_imputation("median");
  const auto asked = bench.Detect(table, *FromProto(request));
  REQUIRE(asked.ok());
  CHECK(asked->model->preparation().features().size() == 4);
  request.clear_prepare();
  request.set_algorithm("ecod");
  const auto ecod = bench.Detect(table, *FromProto(request));
  REQUIRE(ecod.ok());
  CHECK(ecod->model->preparation().features().size() == 4);
  request.mutable_prepare()->set_encoding("native");
  CHECK(absl::IsInvalidArgument(bench.Detect(table, *FromProto(request)).status()));
}

TEST_CASE("threshold rules are listed with their parameters") {
  for (const outlier::ThresholdDescriptor* d : outlier::AllThresholds()) {
    v1::ThresholdRule rule;
    ToProto(*d, &rule);
    INFO(rule.name());
    CHECK(outlier::ThresholdRule::Parse(rule.name()).ok());
    CHECK(!rule.summary().empty());
    CHECK(rule.parameters_size() == static_cast<int>(d->params.size()));
  }
}

}  // namespace vedette::detector
