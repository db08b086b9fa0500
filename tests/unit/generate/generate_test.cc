#include "generate/generate.h"

#include <catch2/catch.hpp>

#include <sstream>
#include <string>

#include "table/csv.h"
#include "table/prepare.h"

namespace vedette::generate {
namespace {

std::string Text(const Options& options) {
  std::string text;
  const absl::Status status = Generate(options, [&text](std::string_view piece) {
    text += piece;
    return absl::OkStatus();
  });
  INFO(status.ToString());
  REQUIRE(status.ok());
  return text;
}

table::Table Read(const std::string& text) {
  auto file = table::ReadCsvText(text);
  INFO(file.status().ToString());
  REQUIRE(file.ok());
  CHECK(file->report.bad_cells == 0);
  return std::move(file->table);
}

TEST_CASE("generate: every kind reads as a table, with about the wanted share of labelled rows of every kind") {
  for (const KindInfo& info : Kinds()) {
    CAPTURE(info.name);
    Options options;
    options.kind = info.kind;
    options.rows = 40000;
    options.anomaly_rate = 0.05;
    const table::Table t = Read(Text(options));
    CHECK(t.rows() == 40000);
    REQUIRE(t.Find("label") == t.cols() - 2);
    REQUIRE(t.Find("anomaly_kind") == t.cols() - 1);
    const table::Column& label = t.columns[static_cast<size_t>(t.cols() - 2)];
    const table::Column& kind = t.columns[static_cast<size_t>(t.cols() - 1)];
    int64_t anomalies = 0;
    for (int64_t i = 0; i < t.rows(); ++i) {
      const bool anomalous = label.values[static_cast<size_t>(i)] == 1;
      anomalies += anomalous;
      REQUIRE(anomalous == !kind.IsMissing(i));
    }
    CHECK(static_cast<double>(anomalies) / 40000 == Approx(0.05).margin(0.012));
    std::istringstream names{std::string(info.anomaly_kinds)};
    for (std::string name; names >> name;) {
      CAPTURE(name);
      CHECK(std::count(kind.categories.begin(), kind.categories.end(), name) == 1);
    }
    CHECK(table::Preparation::Fit(t, {.ignore_columns = {"label", "anomaly_kind"}}).ok());
  }
}

TEST_CASE("generate: the same seed gives the same bytes, another seed others, and the first rows never depend on the count") {
  for (const KindInfo& info : Kinds()) {
    CAPTURE(info.name);
    Options options;
    options.kind = info.kind;
    options.rows = 3000;
    const std::string text = Text(options);
    CHECK(text == Text(options));
    options.seed = 43;
    CHECK(text != Text(options));
    options.seed = 42;
    options.rows = 6000;
    CHECK(Text(options).starts_with(text));
  }
}

TEST_CASE("generate: no anomalies when none are wanted") {
  for (const KindInfo& info : Kinds()) {
    const table::Table t = Read(Text({.kind = info.kind, .rows = 5000, .anomaly_rate = 0}));
    for (const double v : t.columns[static_cast<size_t>(t.Find("label"))].values) REQUIRE(v == 0);
  }
}

TEST_CASE("generate: phantom stock sells nothing while the system shows stock") {
  const table::Table t = Read(Text({.kind = Kind::kRetail, .rows = 30000, .anomaly_rate = 0.05}));
  const auto& kind = t.columns[static_cast<size_t>(t.Find("anomaly_kind"))];
  const auto& sold = t.columns[static_cast<size_t>(t.Find("units_sold"))].values;
  const auto& on_hand = t.columns[static_cast<size_t>(t.Find("on_hand"))].values;
  int64_t seen = 0;
  for (int64_t i = 0; i < t.rows(); ++i) {
    if (kind.Text(i) != "phantom_stock") continue;
    ++seen;
    REQUIRE(sold[static_cast<size_t>(i)] == 0);
    REQUIRE(on_hand[static_cast<size_t>(i)] > 0);
  }
  CHECK(seen > 100);
}

TEST_CASE("generate: bad options are named, an error of the receiver ends the work") {
  auto ignore = [](std::string_view) { return absl::OkStatus(); };
  CHECK(absl::IsInvalidArgument(Generate({.anomaly_rate = 0.9}, ignore)));
  CHECK(absl::IsInvalidArgument(Generate({.rows = -1}, ignore)));
  CHECK(absl::IsInvalidArgument(Generate({.kind = Kind::kTable, .periods = 3}, ignore)));
  CHECK(absl::IsInvalidArgument(KindByName("nonsense").status()));
  CHECK(*KindByName("retail") == Kind::kRetail);
  int pieces = 0;
  const absl::Status status = Generate({.kind = Kind::kTable, .rows = 1000000000}, [&pieces](std::string_view) {
    return ++pieces == 3 ? absl::ResourceExhaustedError("full") : absl::OkStatus();
  });
  CHECK(absl::IsResourceExhausted(status));
  CHECK(pieces == 3);
}

}  // namespace
}  // namespace vedette::generate
