// Models with windows: the same verdicts however a dataset is cut, and reasons that name the row before.
#include <catch2/catch.hpp>
#include <cmath>

#include "services/detector/core/engine.h"
#include "services/detector/core/findings.h"
#include "table/rows.h"

namespace vedette::detector {
namespace {

constexpr int64_t kLength = 480, kAt = 300;

/// A reading that swings, and one, at kAt, of another time of the turn.
table::Table Swinging() {
  table::Table t;
  t.columns.resize(2);
  t.columns[0].name = "temperature";
  t.columns[1].name = "pressure";
  for (int64_t i = 0; i < kLength; ++i) {
    const double turn = 2 * M_PI * static_cast<double>(i) / 24, jitter = static_cast<double>(i * 7919 % 101) / 1000;
    t.columns[0].values.push_back(20 + 5 * std::sin(turn + (i == kAt ? 4.0 : 0.9)) + jitter);
    t.columns[1].values.push_back(100 + 8 * std::cos(turn) - jitter);
  }
  return t;
}

/// feature-engine as the detector sees it: rows of the range, with their history in the table.
class WindowedRows final : public FeatureSource {
 public:
  explicit WindowedRows(table::Table table) : table_(std::move(table)) {}
  absl::StatusOr<FeatureSet> Create(const std::string&, const table::PrepareOptions& options) override {
    auto preparation = table::Preparation::Fit(table_, options);
    if (!preparation.ok()) return preparation.status();
    preparation_ = *std::move(preparation);
    return FeatureSet{.name = "featureSets/f", .version = 1, .features = {"f"}};
  }
  absl::StatusOr<FeatureBlock> Read(const FeatureQuery& query) override {
    FeatureBlock block{.dataset_rows = table_.rows(), .preparation = preparation_};
    const int64_t count = query.row_count == 0 ? table_.rows() : query.row_count;
    const int64_t begin =
        query.sample_rows > 0 ? query.first_row : std::max<int64_t>(0, query.first_row - preparation_.history());
    block.context_rows = query.first_row - begin;
    block.table = table::SliceRows(table_, begin, block.context_rows + count);
    auto X = preparation_.Apply(block.table, block.context_rows);
    if (!X.ok()) return X.status();
    block.features = *std::move(X);
    for (int64_t i = 0; i < count; ++i) block.row_index.push_back(query.first_row + i);
    return block;
  }

 private:
  table::Table table_;
  table::Preparation preparation_;
};

class KeptModels final : public ModelRegistry {
 public:
  absl::StatusOr<Acquired> Acquire(const ModelKey& asked, absl::Duration) override {
    keys.push_back(asked);
    return Lease{.id = "lease", .expire_time = absl::InfiniteFuture()};
  }
  absl::StatusOr<Lease> Renew(const std::string& id) override {
    return Lease{.id = id, .expire_time = absl::InfiniteFuture()};
  }
  void Release(const std::string&, const absl::Status&) override {}
  absl::StatusOr<std::string> Upload(const std::string&, const std::string& bytes, const Training&) override {
    models_.push_back(bytes);
    return "models/" + std::to_string(models_.size() - 1);
  }
  absl::StatusOr<std::string> Download(const std::string& name) override {
    return models_[static_cast<size_t>(std::stoi(name.substr(7)))];
  }
  std::vector<ModelKey> keys;

 private:
  std::vector<std::string> models_;
};

DetectorSpec Windowed(int window) {
  DetectorSpec spec;
  spec.algorithm = "knn";
  spec.contamination = 0.015;
  spec.prepare.window = window;
  return spec;
}

struct Windows {
  outlier::Catalog catalog{{outlier::AllAlgorithms()}};
  ModelMemory memory{4};
  Engine engine{catalog, memory, {}};
  KeptModels models;
};

}  // namespace

TEST_CASE("windows: scored in any ranges, a dataset has the same findings, which name the row before") {
  Windows w;
  WindowedRows features(Swinging());
  const Remote remote{.tenant = "t", .features = &features, .models = &w.models};
  const auto fitted = w.engine.Fit("datasets/d", Windowed(4), 0, remote, Context{});
  INFO(fitted.status());
  REQUIRE(fitted.ok());
  const auto score = [&](int64_t first, int64_t count) {
    auto out = w.engine.Score({.model = fitted->model,
                               .feature_set = fitted->feature_set,
                               .dataset = "datasets/d",
                               .first_row = first,
                               .row_count = count},
                              remote, Context{});
    INFO(out.status());
    REQUIRE(out.ok());
    return out->anomalies;
  };
  const std::vector<Found> whole = score(0, kLength);
  REQUIRE_FALSE(whole.empty());
  std::vector<Found> pieces;
  for (const int64_t step : {1, 2, 3, 7}) {  // the last cut lies within the windows of kAt
    pieces.clear();
    for (int64_t begin = 0; begin < kLength; begin += step) {
      for (Found& f : score(begin, std::min(step, kLength - begin))) pieces.push_back(std::move(f));
    }
    REQUIRE(pieces.size() == whole.size());
    for (size_t i = 0; i < whole.size(); ++i) {
      CHECK(pieces[i].row_index == whole[i].row_index);
      CHECK(pieces[i].score.score == whole[i].score.score);
      CHECK(pieces[i].summary == whole[i].summary);
      CHECK(pieces[i].raw_data == whole[i].raw_data);
    }
  }
  int named = 0;
  for (const Found& f : whole) {
    if (f.row_index < kAt || f.row_index > kAt + 3) continue;
    ++named;
    CHECK(f.features[0].feature == "temperature");
    CHECK(f.features[0].lag == f.row_index - kAt);
    CHECK(f.features[0].actual_text == Swinging().columns[0].Text(kAt));
    CHECK(f.feature_count == 8);
    CHECK(f.raw_data.at("pressure") == Swinging().columns[1].Text(f.row_index));
  }
  CHECK(named == 4);
}

TEST_CASE("windows: rows that come with the call are a series, with what came before it where that is sent") {
  Windows w;
  const Remote remote{.tenant = "t", .models = &w.models};
  const table::Table all = Swinging();
  const auto detected = w.engine.Detect(all, "hash", Windowed(4), 3, {}, remote, Context{});
  INFO(detected.status());
  REQUIRE(detected.ok());
  REQUIRE(detected->rows.size() == static_cast<size_t>(kLength));
  REQUIRE(w.engine.Detect(all, "hash", Windowed(1), 3, {}, remote, Context{}).ok());
  REQUIRE(w.models.keys.size() == 2);
  CHECK(w.models.keys[0].parameters.at("window") == "4");
  CHECK_FALSE(w.models.keys[1].parameters.contains("window"));  // as before there were windows
  const auto whole = w.engine.ScoreTable(detected->name, all, 3, {}, remote, Context{});
  REQUIRE(whole.ok());
  const int64_t first = kAt + 1;
  const auto part =
      w.engine.ScoreTable(detected->name, table::SliceRows(all, first - 3, 10), 3, {}, remote, Context{}, 3);
  INFO(part.status());
  REQUIRE(part.ok());
  REQUIRE(part->rows.size() == 7);
  for (size_t i = 0; i < 7; ++i) CHECK(part->rows[i].score == whole->rows[static_cast<size_t>(first) + i].score);
  REQUIRE_FALSE(part->anomalies.empty());
  CHECK(part->anomalies[0].row_index == 0);
  CHECK(part->anomalies[0].features[0].lag == 1);
  CHECK(part->anomalies[0].features[0].actual_text == all.columns[0].Text(kAt));
  for (const int64_t context : {int64_t{-1}, int64_t{11}}) {
    CHECK_FALSE(
        w.engine.ScoreTable(detected->name, table::SliceRows(all, 0, 10), 3, {}, remote, Context{}, context).ok());
  }
}

TEST_CASE("windows: rows of one series score the same a few at a time, whatever columns come with them") {
  Windows w;
  const Remote remote{.tenant = "t", .models = &w.models};
  table::Table all = Swinging();
  all.columns.push_back({.name = "valve", .type = table::ColumnType::kCategorical, .categories = {"1", "2", "open"}});
  for (int32_t i = 0; i < kLength; ++i) all.columns[2].codes.push_back(i < kAt ? i % 3 : i % 2);
  const auto detected = w.engine.Detect(all, "hash", Windowed(4), 3, {}, remote, Context{});
  INFO(detected.status());
  REQUIRE(detected.ok());
  const auto whole = w.engine.ScoreTable(detected->name, all, 3, {}, remote, Context{});
  REQUIRE(whole.ok());
  Series series;
  size_t odd = 0;
  for (int64_t begin = 0, count = 1; begin < kLength; begin += count, count = count % 7 + 1) {
    count = std::min(count, kLength - begin);
    table::Table some = table::SliceRows(all, begin, count);
    if (begin % 2 == 1) {  // another order, one more column
      std::swap(some.columns[0], some.columns[1]);
      some.columns.insert(some.columns.begin(),
                          {.name = "more", .values = std::vector<double>(static_cast<size_t>(count))});
    }
    if (table::Column& valve = some.columns.back();
        begin >= kAt && begin % 3 == 0) {  // numbers, where others have texts
      for (int64_t i = 0; i < count; ++i) valve.values.push_back(std::stod(valve.Text(i)));
      valve.type = table::ColumnType::kNumeric;
      valve.codes.clear();
      valve.categories.clear();
    }
    CAPTURE(begin);
    const auto part = w.engine.ScoreTable(detected->name, some, 3, {}, remote, Context{}, 0, &series);
    INFO(part.status());
    REQUIRE(part.ok());
    REQUIRE(part->rows.size() == static_cast<size_t>(count));
    for (size_t i = 0; i < part->rows.size(); ++i)
      CHECK(part->rows[i].score == whole->rows[static_cast<size_t>(begin) + i].score);
    for (const Found& found : part->anomalies) {
      REQUIRE(odd < whole->anomalies.size());
      const Found& same = whole->anomalies[odd++];
      CHECK(begin + found.row_index == same.row_index);
      REQUIRE(found.features.size() == same.features.size());
      for (size_t f = 0; f < found.features.size(); ++f) {
        CHECK(found.features[f].feature == same.features[f].feature);
        CHECK(found.features[f].lag == same.features[f].lag);
        CHECK(found.features[f].actual_text == same.features[f].actual_text);
      }
    }
    CHECK(series.last.rows() == std::min<int64_t>(3, begin + count));
  }
  CHECK(odd == whole->anomalies.size());

  table::Table lacking = table::SliceRows(all, 0, 5);
  lacking.columns.erase(lacking.columns.begin());
  const auto refused = w.engine.ScoreTable(detected->name, lacking, 3, {}, remote, Context{}, 0, &series).status();
  CHECK(absl::IsInvalidArgument(refused));
  CHECK(refused.message().find("no column 'temperature'") != std::string::npos);
  CHECK(series.last.rows() == 3);
  for (const int64_t context : {int64_t{-1}, int64_t{11}}) {
    CHECK_FALSE(
        w.engine.ScoreTable(detected->name, table::SliceRows(all, 0, 10), 3, {}, remote, Context{}, context, &series)
            .ok());
  }
  // Another model begins anew.
  const auto other = w.engine.Detect(all, "hash", Windowed(2), 3, {}, remote, Context{});
  REQUIRE(other.ok());
  REQUIRE(w.engine.ScoreTable(other->name, table::SliceRows(all, 0, 5), 3, {}, remote, Context{}, 0, &series).ok());
  CHECK(series.model == other->name);
  CHECK(series.last.rows() == 1);
}

TEST_CASE("windows: small tables that would make huge matrices are refused, with what would help") {
  Windows w;
  const Remote remote{.tenant = "t", .models = &w.models};
  table::Table large;
  large.columns.resize(1);
  large.columns[0].name = "v";
  for (int64_t i = 0; i < 250'000; ++i) large.columns[0].values.push_back(static_cast<double>(i % 97));
  const auto refused = w.engine.Detect(large, "hash", Windowed(1000), 3, {}, remote, Context{}).status();
  CHECK(absl::IsInvalidArgument(refused));
  CHECK(refused.message().find("250000 rows of 1000 features") != std::string::npos);
}

TEST_CASE("windows: lengths that cannot be are refused") {
  Windows w;
  const Remote remote{.tenant = "t", .models = &w.models};
  for (const int window : {0, -1, 1001, 1000000000}) {
    CHECK(absl::IsInvalidArgument(
        w.engine.Detect(Swinging(), "hash", Windowed(window), 3, {}, remote, Context{}).status()));
  }
}

}  // namespace vedette::detector
