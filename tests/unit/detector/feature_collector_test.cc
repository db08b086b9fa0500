// The messages of a feature stream as one block, and what does not fit.
#include "services/detector/adapters/feature_collector.h"

#include <catch2/catch.hpp>
#include <vector>

#include "wire/table_chunk.h"

namespace vedette::detector {
namespace {

using features::v1::StreamFeaturesResponse;

constexpr int64_t kReadings = 40;

table::Table Readings() {
  table::Table t;
  t.columns = {{.name = "v"}, {.name = "w"}, {.name = "note", .type = table::ColumnType::kCategorical}};
  for (int64_t i = 0; i < kReadings; ++i) {
    t.columns[0].values.push_back(static_cast<double>(i % 7) / 2);
    t.columns[1].values.push_back(static_cast<double>(i * i % 11));
    t.columns[2].codes.push_back(static_cast<int32_t>(i));
    t.columns[2].categories.push_back("note " + std::to_string(i));
  }
  return t;
}

/// feature-engine's messages for rows of Readings().
struct Messages {
  explicit Messages(int window) {
    auto fitted = table::Preparation::Fit(table, {.window = window});
    REQUIRE(fitted.ok());
    preparation = *std::move(fitted);
    X = *preparation.Apply(table);
  }
  StreamFeaturesResponse Header() const {
    StreamFeaturesResponse out;
    out.mutable_header()->set_dataset_rows(kReadings);
    out.mutable_header()->set_cols(X.cols());
    ByteWriter bytes;
    preparation.Save(bytes);
    out.mutable_header()->set_preparation(bytes.bytes());
    return out;
  }
  StreamFeaturesResponse Rows(int64_t begin, int64_t count) const {
    StreamFeaturesResponse out;
    auto* const rows = out.mutable_rows();
    for (int64_t i = begin; i < begin + count; ++i) rows->add_row_index(i);
    for (int64_t j = 0; j < X.cols(); ++j) {
      for (int64_t i = begin; i < begin + count; ++i) rows->add_values(X(i, j));
    }
    wire::ToProto(begin, table::SliceRows(table, begin, count), rows->mutable_table());
    return out;
  }
  void AddContext(int64_t begin, int64_t count, StreamFeaturesResponse* to) const {
    wire::ToProto(begin, table::SliceRows(table, begin, count), to->mutable_rows()->mutable_context());
  }

  const table::Table table = Readings();
  table::Preparation preparation;
  Matrix X;
};

absl::StatusOr<FeatureBlock> Collected(const FeatureQuery& query, const std::vector<StreamFeaturesResponse>& messages) {
  FeatureCollector collector(query);
  for (const StreamFeaturesResponse& message : messages) {
    if (const absl::Status added = collector.Add(message); !added.ok()) return added;
  }
  return collector.Take();
}

}  // namespace

TEST_CASE("a feature stream's values are in their place, however its rows are cut") {
  const Messages m(1);
  for (const int64_t step : {1, 7, 30}) {
    std::vector<StreamFeaturesResponse> messages = {m.Header()};
    for (int64_t at = 5; at < 35; at += step) messages.push_back(m.Rows(at, std::min(step, 35 - at)));
    const auto block = Collected({.first_row = 5, .row_count = 30, .include_table = true}, messages);
    INFO(block.status());
    REQUIRE(block.ok());
    CHECK(block->dataset_rows == kReadings);
    CHECK(block->context_rows == 0);
    REQUIRE(block->features.rows() == 30);
    REQUIRE(block->features.cols() == 2);
    REQUIRE(block->table.rows() == 30);
    for (int64_t i = 0; i < 30; ++i) {
      CHECK(block->row_index[static_cast<size_t>(i)] == 5 + i);
      for (int64_t j = 0; j < 2; ++j) CHECK(block->features(i, j) == m.X(5 + i, j));
      CHECK(block->table.columns[2].Text(i) == m.table.columns[2].Text(5 + i));
    }
  }
  // To the end, past the end, a sample.
  CHECK(Collected({.first_row = 38}, {m.Header(), m.Rows(38, 2)})->features.rows() == 2);
  CHECK(Collected({.first_row = 38, .row_count = 10}, {m.Header(), m.Rows(38, 2)})->features.rows() == 2);
  CHECK(Collected({.sample_rows = 3}, {m.Header(), m.Rows(2, 1), m.Rows(9, 2)})->row_index ==
        std::vector<int64_t>{2, 9, 10});
  CHECK(Collected({.first_row = kReadings}, {m.Header()})->features.rows() == 0);
}

TEST_CASE("a feature stream's history comes with the first rows, or before them in pieces") {
  const Messages m(5);
  const FeatureQuery query{.first_row = 10, .row_count = 2, .include_table = true};
  StreamFeaturesResponse with = m.Rows(10, 2), first, second, late = m.Rows(11, 1), more;
  m.AddContext(6, 4, &with);
  m.AddContext(6, 1, &first);
  m.AddContext(7, 3, &second);
  m.AddContext(5, 5, &more);
  m.AddContext(6, 4, &late);
  for (const auto& messages : {std::vector{m.Header(), with}, std::vector{m.Header(), first, second, m.Rows(10, 2)}}) {
    const auto block = Collected(query, messages);
    INFO(block.status());
    REQUIRE(block.ok());
    CHECK(block->context_rows == 4);
    CHECK(block->features.rows() == 2);
    REQUIRE(block->table.rows() == 6);
    for (int64_t i = 0; i < 6; ++i) CHECK(block->table.columns[2].Text(i) == m.table.columns[2].Text(6 + i));
  }
  CHECK(absl::IsDataLoss(Collected(query, {m.Header(), more, m.Rows(10, 2)}).status()));
  CHECK(absl::IsDataLoss(Collected(query, {m.Header(), m.Rows(10, 1), late}).status()));
}

TEST_CASE("a feature stream that does not fit its query or itself is DATA_LOSS") {
  const Messages m(1);
  const FeatureQuery four{.row_count = 4, .include_table = true};
  CHECK(Collected(four, {m.Header(), m.Rows(0, 3), m.Rows(3, 1)}).ok());
  StreamFeaturesResponse cut = m.Rows(0, 4), wide = m.Header(), broken = m.Header(), other = m.Rows(0, 4);
  cut.mutable_rows()->mutable_values()->RemoveLast();
  wide.mutable_header()->set_cols(3);
  broken.mutable_header()->mutable_preparation()->pop_back();
  *other.mutable_rows()->mutable_table() = m.Rows(0, 3).rows().table();
  const std::vector<StreamFeaturesResponse> wrong[] = {{},
                                                       {m.Rows(0, 4)},
                                                       {m.Header()},
                                                       {m.Header(), m.Header(), m.Rows(0, 4)},
                                                       {m.Header(), m.Rows(0, 3)},
                                                       {m.Header(), m.Rows(0, 3), m.Rows(3, 2)},
                                                       {m.Header(), cut},
                                                       {m.Header(), other},
                                                       {wide, m.Rows(0, 4)},
                                                       {broken, m.Rows(0, 4)}};
  for (const auto& messages : wrong) {
    CAPTURE(&messages - wrong);
    CHECK(absl::IsDataLoss(Collected(four, messages).status()));
  }
}

}  // namespace vedette::detector
