#include "services/feature-engine/core/engine.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <cstring>
#include <set>

#include "fakes.h"
#include "services/feature-engine/core/sampling.h"

namespace vedette::feature_engine {
namespace {

// counter 1, 2, 3...; price with gaps; colour of 4.
table::Table Shop(int64_t rows) {
  table::Table t;
  t.columns.resize(3);
  t.columns[0].name = "counter";
  t.columns[1].name = "price";
  t.columns[2] = {
      .name = "colour", .type = table::ColumnType::kCategorical, .categories = {"red", "green", "blue", "grey"}};
  for (int64_t i = 0; i < rows; ++i) {
    t.columns[0].values.push_back(static_cast<double>(i + 1));
    t.columns[1].values.push_back(i % 11 == 5 ? NAN : std::sin(static_cast<double>(i)) * 10);
    t.columns[2].codes.push_back(i % 13 == 0 ? -1 : static_cast<int32_t>(i * 7 % 4));
  }
  return table::SliceRows(t, 0, rows);  // a table's categories are in order of first appearance
}

struct Collected {
  FeatureHeader header;
  std::vector<int64_t> rows;
  std::vector<std::vector<double>> columns;
  std::vector<size_t> message_rows;
  table::TableBuilder table;

  FeatureSink Sink() {
    return {.header =
                [this](const FeatureHeader& h) {
                  header = h;
                  columns.resize(static_cast<size_t>(h.cols));
                  return absl::OkStatus();
                },
            .rows = [this](FeatureRows&& r) -> absl::Status {
              rows.insert(rows.end(), r.row_index.begin(), r.row_index.end());
              message_rows.push_back(r.row_index.size());
              for (int64_t j = 0; j < r.values.cols(); ++j) {
                const auto column = r.values.col(j);
                columns[static_cast<size_t>(j)].insert(columns[static_cast<size_t>(j)].end(), column.begin(),
                                                       column.end());
              }
              return r.table ? table.Append(*r.table) : absl::OkStatus();
            }};
  }
};

struct Setup {
  explicit Setup(int64_t rows, EngineOptions options = {})
      : shop(Shop(rows)), source(shop, 64), engine(&sets, &baselines, options) {}
  table::Table shop;
  FakeSource source;
  FakeFeatureSets sets;
  FakeBaselines baselines;
  Engine engine;
};

bool SameBits(const std::vector<double>& a, std::span<const double> b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * 8) == 0;
}

TEST_CASE("of the table only the columns that are named, beside the whole matrix") {
  Setup s(100, {});
  const auto set = s.engine.CreateFeatureSet("acme", "d1", {}, s.source, {});
  REQUIRE(set.ok());
  Collected got;
  const std::string third = s.shop.columns[2].name;
  REQUIRE(s.engine
              .StreamFeatures("acme",
                              {.feature_set = set->id, .include_table = true, .table_columns = {third, "nowhere"}},
                              s.source, {}, got.Sink())
              .ok());
  const table::Table table = got.table.Take();
  REQUIRE(table.cols() == 1);
  CHECK(table.columns[0].name == third);
  CHECK(table.rows() == 100);
  CHECK(got.columns.size() == set->features.size());
}

TEST_CASE("the feature matrix is the preparation applied to the table, bit for bit, however it is cut") {
  Setup s(1000, {.message_bytes = 700});
  const auto set = s.engine.CreateFeatureSet("acme", "d1", {.scaling = table::Scaling::kRobust}, s.source, {});
  REQUIRE(set.ok());
  const auto local = table::Preparation::Fit(s.shop, {.scaling = table::Scaling::kRobust});
  REQUIRE(local.ok());
  const Matrix wanted = *local->Apply(s.shop);
  Collected got;
  REQUIRE(
      s.engine.StreamFeatures("acme", {.feature_set = set->id, .include_table = true}, s.source, {}, got.Sink()).ok());
  CHECK(got.header.dataset_rows == 1000);
  CHECK(got.header.cols == wanted.cols());
  CHECK(got.header.preparation == SavePreparation(*local));
  REQUIRE(got.rows.size() == 1000);
  CHECK(got.rows.front() == 0);
  CHECK(std::is_sorted(got.rows.begin(), got.rows.end()));
  for (int64_t j = 0; j < wanted.cols(); ++j) CHECK(SameBits(got.columns[static_cast<size_t>(j)], wanted.col(j)));
  const table::Table table = got.table.Take();
  CHECK(table.columns[0].values == s.shop.columns[0].values);
  CHECK(table.columns[2].Text(777) == s.shop.columns[2].Text(777));
  CHECK(*std::max_element(got.message_rows.begin(), got.message_rows.end()) < 30);

  Collected part;
  REQUIRE(
      s.engine
          .StreamFeatures("acme", {.feature_set = set->id, .first_row = 60, .row_count = 10}, s.source, {}, part.Sink())
          .ok());
  CHECK(part.rows == std::vector<int64_t>{60, 61, 62, 63, 64, 65, 66, 67, 68, 69});
  CHECK(SameBits(part.columns[0], wanted.col(0).subspan(60, 10)));
}

TEST_CASE("the same dataset and options give the same feature set, without reading again") {
  Setup s(100);
  const auto first =
      s.engine.CreateFeatureSet("acme", "d1", {.ignore_columns = {"price", "counter", "price"}}, s.source, {});
  REQUIRE(first.ok());
  CHECK(s.source.reads == 1);
  const auto again = s.engine.CreateFeatureSet("acme", "d1", {.ignore_columns = {"counter", "price"}}, s.source, {});
  CHECK(again->id == first->id);
  CHECK(s.source.reads == 1);
  CHECK(first->id.size() == 32);
  const std::set<std::string> ids{first->id,
                                  FeatureSetId("acme", "d1", {}),
                                  FeatureSetId("acme", "d2", {}),
                                  FeatureSetId("other", "d1", {}),
                                  FeatureSetId("acme", "d1", {.scaling = table::Scaling::kStandard}),
                                  FeatureSetId("acme", "d1", {.encoding = table::Encoding::kOrdinal}),
                                  FeatureSetId("acme", "d1", {.imputation = table::Imputation::kMean})};
  CHECK(ids.size() == 7);
}

TEST_CASE("a sample has exactly as many rows as asked, in order, by its seed") {
  Setup s(1000);
  const auto set = s.engine.CreateFeatureSet("acme", "d1", {}, s.source, {});
  const auto sample = [&](FeatureQuery query) {
    query.feature_set = set->id;
    Collected got;
    REQUIRE(s.engine.StreamFeatures("acme", query, s.source, {}, got.Sink()).ok());
    CHECK(std::is_sorted(got.rows.begin(), got.rows.end()));
    CHECK(std::adjacent_find(got.rows.begin(), got.rows.end()) == got.rows.end());
    return got.rows;
  };
  const auto one = sample({.sample_rows = 100, .seed = 1});
  CHECK(one.size() == 100);
  CHECK(one == sample({.sample_rows = 100, .seed = 1}));
  CHECK(one != sample({.sample_rows = 100, .seed = 2}));
  CHECK(sample({.sample_rows = 5000, .seed = 1}).size() == 1000);
  const auto ranged = sample({.first_row = 500, .row_count = 50, .sample_rows = 20, .seed = 3});
  CHECK(ranged.size() == 20);
  CHECK(ranged.front() >= 500);
  CHECK(ranged.back() < 550);
}

TEST_CASE("selection sampling takes every row equally often") {
  std::vector<int> taken(20);
  for (uint64_t seed = 0; seed < 4000; ++seed) {
    SequentialSampler sampler(20, 5, seed);
    int count = 0;
    for (int& t : taken) {
      const bool take = sampler.Take();
      t += take ? 1 : 0;
      count += take ? 1 : 0;
    }
    REQUIRE(count == 5);
  }
  for (const int t : taken) CHECK(std::abs(t - 1000) < 140);  // 5 standard deviations
}

TEST_CASE("a large dataset is fitted on a sample, row numbers are still recognised") {
  Setup s(5000, {.max_fit_cells = 1500});
  const auto set = s.engine.CreateFeatureSet("acme", "d1", {}, s.source, {});
  REQUIRE(set.ok());
  CHECK(std::find(set->features.begin(), set->features.end(), "counter") == set->features.end());
  CHECK(std::find(set->features.begin(), set->features.end(), "price") != set->features.end());
  CHECK(set->notes.back() == "fitted on 500 of 5000 rows, drawn at random");
}

TEST_CASE("what is wrong is said") {
  Setup s(100);
  CHECK(absl::IsNotFound(s.engine.CreateFeatureSet("acme", "none", {}, s.source, {}).status()));
  const auto unknown = s.engine.CreateFeatureSet("acme", "d1", {.ignore_columns = {"prise"}}, s.source, {});
  CHECK(absl::IsInvalidArgument(unknown.status()));
  CHECK(Message(unknown.status()).find("'prise'") != std::string_view::npos);
  CHECK(absl::IsInvalidArgument(
      s.engine.CreateFeatureSet("acme", "d1", {.ignore_columns = {"price", "colour", "counter"}}, s.source, {})
          .status()));
  const auto set = s.engine.CreateFeatureSet("acme", "d1", {}, s.source, {});
  Collected got;
  CHECK(absl::IsNotFound(s.engine.StreamFeatures("other", {.feature_set = set->id}, s.source, {}, got.Sink())));
  CHECK(absl::IsInvalidArgument(
      s.engine.StreamFeatures("acme", {.feature_set = set->id, .first_row = -1}, s.source, {}, got.Sink())));
  CHECK(absl::IsOutOfRange(
      s.engine.StreamFeatures("acme", {.feature_set = set->id, .first_row = 101}, s.source, {}, got.Sink())));
  REQUIRE(s.engine.StreamFeatures("acme", {.feature_set = set->id, .first_row = 100}, s.source, {}, got.Sink()).ok());
  CHECK(got.rows.empty());
  table::Table other = s.shop;
  other.columns[1].name = "cost";
  FakeSource lacking(other, 10);
  CHECK_FALSE(s.engine.StreamFeatures("acme", {.feature_set = set->id, .dataset = "d2"}, lacking, {}, got.Sink()).ok());
  const auto windowed = s.engine.CreateFeatureSet("acme", "d1", {.window = 3}, s.source, {});
  REQUIRE(windowed.ok());
  for (table::Column& column : other.columns) column.name += "!";
  FakeSource strange(other, 10);
  const auto missing =
      s.engine.StreamFeatures("acme", {.feature_set = windowed->id, .dataset = "d2"}, strange, {}, got.Sink());
  CHECK(absl::IsInvalidArgument(missing));
  CHECK(Message(missing).find("no column 'price'") != std::string_view::npos);
  std::stop_source stop;
  stop.request_stop();
  CHECK(absl::IsCancelled(
      s.engine.StreamFeatures("acme", {.feature_set = set->id}, s.source, {.stop = stop.get_token()}, got.Sink())));
}

TEST_CASE("windows: the matrix of any range and sample is that of the whole table, with the true rows before") {
  for (const int64_t run : {7, 64, 1000}) {
    Setup s(300, {.message_bytes = 900});
    s.source = FakeSource(s.shop, run);
    const table::PrepareOptions options{.imputation = table::Imputation::kMean, .window = 5};
    const auto set = s.engine.CreateFeatureSet("acme", "d1", options, s.source, {});
    REQUIRE(set.ok());
    CHECK(set->options.window == 5);
    const auto local = table::Preparation::Fit(s.shop, options);
    REQUIRE(local.ok());
    const Matrix wanted = *local->Apply(s.shop);
    CHECK(set->features.size() == static_cast<size_t>(wanted.cols()));
    struct Asked {
      int64_t first, count, sample;
    };
    for (const Asked a : {Asked{0, 0, 0},
                          {0, 3, 0},
                          {2, 1, 0},
                          {4, 90, 0},
                          {63, 2, 0},
                          {299, 1, 0},
                          {0, 0, 40},
                          {50, 200, 30},
                          {1, 299, 300}}) {
      CAPTURE(run, a.first, a.count, a.sample);
      Collected got;
      std::optional<table::Table> context;
      FeatureSink sink = got.Sink();
      sink.rows = [&got, &context, take = sink.rows](FeatureRows&& r) {
        if (r.context) {
          CHECK(got.rows.empty());  // only with the first rows
          CHECK_FALSE(context);
          context = r.context;
        }
        return take(std::move(r));
      };
      const FeatureQuery query{.feature_set = set->id,
                               .first_row = a.first,
                               .row_count = a.count,
                               .sample_rows = a.sample,
                               .seed = 3,
                               .include_table = true};
      REQUIRE(s.engine.StreamFeatures("acme", query, s.source, {}, sink).ok());
      const int64_t range = a.count == 0 ? 300 - a.first : a.count;
      REQUIRE(static_cast<int64_t>(got.rows.size()) == (a.sample == 0 ? range : std::min(range, a.sample)));
      CHECK(got.rows.front() >= a.first);
      CHECK(got.rows.back() < a.first + range);
      for (int64_t j = 0; j < wanted.cols(); ++j) {
        for (size_t i = 0; i < got.rows.size(); ++i) {
          const double x = got.columns[static_cast<size_t>(j)][i], y = wanted(got.rows[i], j);
          REQUIRE(std::memcmp(&x, &y, sizeof x) == 0);
        }
      }
      const table::Table table = got.table.Take();
      REQUIRE(table.rows() == static_cast<int64_t>(got.rows.size()));
      for (size_t i = 0; i < got.rows.size(); ++i)
        CHECK(table.columns[0].values[i] == static_cast<double>(got.rows[i] + 1));
      const int64_t before = a.sample > 0 ? 0 : std::min<int64_t>(4, a.first);
      REQUIRE((context ? context->rows() : 0) == before);
      for (int64_t i = 0; i < before; ++i)
        CHECK(context->columns[2].Text(i) == s.shop.columns[2].Text(a.first - before + i));
    }
  }
}

TEST_CASE("windows: history too large for one message comes in pieces before the rows") {
  Setup s(60, {.context_bytes = 2000});
  table::Column text{.name = "text", .type = table::ColumnType::kCategorical};
  for (int32_t i = 0; i < 60; ++i) {
    text.codes.push_back(i);
    text.categories.push_back(fmt::format("{} {}", i, std::string(i == 23 ? 5000 : i < 23 ? 10 : 400, 'x')));
  }
  s.shop.columns.push_back(text);
  text.name = "ignored";
  s.shop.columns.push_back(text);
  s.source = FakeSource(s.shop, 7);
  const auto set = s.engine.CreateFeatureSet(
      "acme", "d1", {.ignore_columns = {"ignored"}, .drop_identifiers = false, .window = 31}, s.source, {});
  REQUIRE(set.ok());
  table::TableBuilder context, cells;
  int64_t next = 10, pieces = 0, rows = 0;
  const FeatureSink sink{.header = [](const FeatureHeader&) { return absl::OkStatus(); },
                         .rows = [&](FeatureRows&& r) -> absl::Status {
                           rows += std::ssize(r.row_index);
                           if (!r.context) {
                             REQUIRE(r.table);
                             return cells.Append(*r.table);
                           }
                           CHECK(r.row_index.empty());
                           CHECK(rows == 0);
                           CHECK_FALSE(r.table);
                           CHECK(r.context_first == next);
                           CHECK((table::TableBytes(*r.context) <= 2000 || r.context->rows() == 1));
                           next += r.context->rows();
                           ++pieces;
                           return context.Append(*r.context);
                         }};
  const FeatureQuery query{.feature_set = set->id, .first_row = 40, .row_count = 9, .include_table = true};
  REQUIRE(s.engine.StreamFeatures("acme", query, s.source, {}, sink).ok());
  CHECK(next == 40);
  CHECK(rows == 9);
  CHECK(pieces > 5);
  const table::Table before = context.Take(), own = cells.Take();
  REQUIRE(before.rows() == 30);
  REQUIRE(own.rows() == 9);
  for (int64_t i = 0; i < 9; ++i) {
    for (size_t j = 0; j < 5; ++j) CHECK(own.columns[j].Text(i) == s.shop.columns[j].Text(40 + i));
  }
  for (int64_t i = 0; i < 30; ++i) {
    for (size_t j = 0; j < 4; ++j) CHECK(before.columns[j].Text(i) == s.shop.columns[j].Text(10 + i));
    CHECK(before.columns[4].name == "ignored");
    CHECK(before.columns[4].IsMissing(i));
  }
}

TEST_CASE("windows: part of a feature set's identity; without them ids are what they were") {
  CHECK(FeatureSetId("acme", "d1", {.window = 2}) != FeatureSetId("acme", "d1", {}));
  CHECK(FeatureSetId("acme", "d1", {.window = 2}) != FeatureSetId("acme", "d1", {.window = 3}));
  CHECK(FeatureSetId("acme", "d1", {.window = 1}) == FeatureSetId("acme", "d1", {}));
  CHECK(FeatureSetId("acme", "d1", {}) == "c97b71be2892a458831fae91732e7703");
  Setup s(50);
  for (const int window : {0, -1, 1001, 1000000000}) {
    CHECK(absl::IsInvalidArgument(s.engine.CreateFeatureSet("acme", "d1", {.window = window}, s.source, {}).status()));
  }
}

TEST_CASE("baselines of columns and series") {
  Setup s(1000);
  const auto b = s.engine.CreateBaseline("acme", {.scope = "datasets/d1", .metric = "counter"}, "", s.source, {});
  REQUIRE(b.ok());
  CHECK(b->count == 1000);
  CHECK(b->mean == Approx(500.5));
  CHECK(s.engine.CreateBaseline("acme", {.scope = "entities/e1", .metric = "metrics/m1"}, "", s.source, {})->mean == 2);
  CHECK(s.source.series == "e1 m1");
  CHECK(absl::IsInvalidArgument(
      s.engine.CreateBaseline("acme", {.scope = "datasets/d1", .metric = "colour"}, "", s.source, {}).status()));
  CHECK(absl::IsInvalidArgument(
      s.engine.CreateBaseline("acme", {.scope = "datasets/d1", .metric = "x"}, "", s.source, {}).status()));
}

}  // namespace
}  // namespace vedette::feature_engine
