#include "outlier/model.h"

#include <fmt/format.h>

#include <algorithm>
#include <catch2/catch.hpp>

#include <cmath>
#include <limits>

#include "base/hash.h"
#include "base/rng.h"
#include "table/csv.h"

namespace vedette::outlier {
namespace {

const Catalog& Algorithms() {
  static const Catalog catalog({AllAlgorithms()});
  return catalog;
}

/// 120 sales: amount about 100 a unit, mostly red; row 50 sells 5 units for 9000 in green.
std::string Sales() {
  Rng rng(4);
  std::string csv = "units,amount,colour,shop\n";
  for (int i = 0; i < 120; ++i) {
    const auto units = static_cast<int>(1 + rng.Below(9));
    const bool odd = i == 50;
    csv += fmt::format("{},{:.2f},{},{}\n", odd ? 5 : units, odd ? 9000.0 : units * 100 + rng.Normal() * 5,
                       odd ? "green" : (rng.Below(4) == 0 ? "blue" : "red"), "shop" + std::to_string(i % 3));
  }
  return csv;
}

struct Fixture {
  table::Table table;
  Matrix X;
  std::unique_ptr<Model> model;
};

Fixture Make(const std::string& algorithm, table::PrepareOptions prepare = {}, const FitOptions& base = {}) {
  Fixture f;
  auto file = table::ReadCsvText(Sales());
  REQUIRE(file.ok());
  f.table = std::move(file->table);
  auto preparation = table::Preparation::Fit(f.table, prepare);
  REQUIRE(preparation.ok());
  auto X = preparation->Apply(f.table);
  REQUIRE(X.ok());
  f.X = *std::move(X);
  FitOptions options = base;
  options.algorithm = algorithm;
  auto model = Model::Fit(Algorithms(), options, *std::move(preparation), f.X, Context{});
  INFO(model.status());
  REQUIRE(model.ok());
  f.model = *std::move(model);
  return f;
}

const FeatureContribution& Part(const std::vector<FeatureContribution>& row, const std::string& name) {
  const auto it = std::find_if(row.begin(), row.end(), [&](const auto& f) { return f.feature == name; });
  REQUIRE(it != row.end());
  return *it;
}

std::string Resigned(std::string bytes) {
  bytes.resize(bytes.size() - 64);
  return bytes + Sha256Hex(bytes);
}

}  // namespace

TEST_CASE("a model of every algorithm fits, finds the odd row, and reads back with the same scores") {
  for (const Descriptor* d : AllAlgorithms()) {
    DYNAMIC_SECTION(std::string(d->name)) {
      table::PrepareOptions prepare;
      prepare.scaling = d->wants_scaling ? table::Scaling::kStandard : table::Scaling::kNone;
      const Fixture f = Make(std::string(d->name), prepare);
      const std::vector<RowScore> rows = f.model->TrainingRows();
      REQUIRE(rows.size() == 120);
      CHECK(rows[50].anomaly);
      CHECK(rows[50].severity != Severity::kNone);
      CHECK(f.model->training_rows() == 120);
      const auto loaded = Model::Parse(Algorithms(), f.model->Serialize());
      INFO(loaded.status());
      REQUIRE(loaded.ok());
      CHECK((*loaded)->TrainingRows().empty());
      CHECK((*loaded)->params() == f.model->params());
      CHECK((*loaded)->seed() == f.model->seed());
      CHECK((*loaded)->Serialize() == f.model->Serialize());
      const auto a = f.model->Score(f.X, Context{}), b = (*loaded)->Score(f.X, Context{});
      REQUIRE((a.ok() && b.ok()));
      for (size_t i = 0; i < 120; ++i) {
        CHECK((*a)[i].score == (*b)[i].score);
        CHECK((*a)[i].probability == (*b)[i].probability);
        CHECK((*a)[i].severity == (*b)[i].severity);
      }
      const auto x = f.model->Explain(f.X, Context{}, nullptr, &f.table), y = (*loaded)->Explain(f.X, Context{}, nullptr, &f.table);
      REQUIRE((x.ok() && y.ok()));
      CHECK((*x)[50][0].feature == (*y)[50][0].feature);
      CHECK((*x)[50][0].contribution == (*y)[50][0].contribution);
    }
  }
}

TEST_CASE("explanations are in the user's own units, one part per source column") {
  for (const table::Scaling scaling : {table::Scaling::kNone, table::Scaling::kStandard, table::Scaling::kRobust}) {
    table::PrepareOptions prepare;
    prepare.scaling = scaling;
    const Fixture f = Make("ecod", prepare);
    std::string space;
    const auto parts = f.model->Explain(f.X, Context{}, &space, &f.table);
    REQUIRE(parts.ok());
    CHECK(space == "score");
    const auto& row = (*parts)[50];
    REQUIRE(row.size() == 4);
    const auto largest = f.model->Explain(f.X, Context{}, nullptr, &f.table, {}, 2);
    REQUIRE(largest.ok());
    REQUIRE((*largest)[50].size() == 2);
    for (size_t r = 0; r < 2; ++r) {
      CHECK((*largest)[50][r].feature == row[r].feature);
      CHECK((*largest)[50][r].share == row[r].share);
      CHECK((*largest)[50][r].actual_text == row[r].actual_text);
    }
    CHECK(Part(row, "amount").actual == Approx(9000));
    CHECK(Part(row, "amount").actual_text == "9000");
    CHECK(Part(row, "amount").expected > 100);
    CHECK(Part(row, "amount").expected < 1000);
    CHECK(Part(row, "colour").actual_text == "green");
    CHECK(Part(row, "colour").expected_text == "red");
    CHECK(std::isnan(Part(row, "colour").actual));
    double sum = 0, share = 0;
    for (size_t p = 0; p < row.size(); ++p) {
      sum += row[p].contribution;
      share += row[p].share;
      if (p > 0) CHECK(row[p].contribution <= row[p - 1].contribution);
    }
    CHECK(sum == Approx((*f.model->Score(f.X, Context{}))[50].score));
    CHECK(share == Approx(1));
    // Without the table the matrix says the same.
    const auto bare = f.model->Explain(f.X, Context{});
    REQUIRE(bare.ok());
    CHECK(Part((*bare)[50], "colour").actual_text == "green");
    CHECK(Part((*bare)[50], "amount").actual == Approx(9000));
  }
}

TEST_CASE("categories behind one number are said by name") {
  for (const table::Encoding encoding : {table::Encoding::kFrequency, table::Encoding::kOrdinal}) {
    table::PrepareOptions prepare;
    prepare.encoding = encoding;
    prepare.scaling = table::Scaling::kStandard;
    const Fixture f = Make("hbos", prepare);
    const auto parts = f.model->Explain(f.X, Context{});
    REQUIRE(parts.ok());
    CHECK(Part((*parts)[50], "colour").actual_text == "green");
    CHECK(Part((*parts)[50], "colour").expected_text == "red");
    CHECK(std::isnan(Part((*parts)[50], "colour").expected));
  }
}

TEST_CASE("missing cells say so, unseen categories are shown") {
  const Fixture f = Make("ecod");
  auto file = table::ReadCsvText("units,amount,colour,shop\n5,,pink,shop1\n4,400,red,shop1\n");
  REQUIRE(file.ok());
  const auto X = f.model->preparation().Apply(file->table);
  REQUIRE(X.ok());
  const auto parts = f.model->Explain(*X, Context{}, nullptr, &file->table);
  REQUIRE(parts.ok());
  CHECK(std::isnan(Part((*parts)[0], "amount").actual));
  CHECK(Part((*parts)[0], "amount").actual_text.empty());
  CHECK(Part((*parts)[0], "colour").actual_text == "pink");
  CHECK_FALSE(f.model->Explain(X->view().Rows(0, 1), Context{}, nullptr, &file->table).ok());
}

TEST_CASE("the threshold follows the contamination, and can be moved") {
  FitOptions options;
  options.contamination = 0.05;
  Fixture f = Make("ecod", {}, options);
  const auto flagged = [&] {
    const auto rows = f.model->TrainingRows();
    return std::count_if(rows.begin(), rows.end(), [](const RowScore& r) { return r.anomaly; });
  };
  CHECK(flagged() == 6);
  REQUIRE(f.model->SetContamination(0.2).ok());
  CHECK(flagged() == 24);
  CHECK_FALSE(f.model->SetContamination(0).ok());
  CHECK(flagged() == 24);
}

TEST_CASE("the background is made of normal training rows, the same for the same seed") {
  const Fixture f = Make("ecod"), g = Make("ecod");
  CHECK(f.model->background().rows() == 100);
  for (int64_t i = 0; i < 100; ++i) {
    CHECK(f.model->background()(i, 1) < 9000);
    CHECK(f.model->background()(i, 1) == g.model->background()(i, 1));
  }
}

TEST_CASE("what cannot be used is refused in words") {
  const Fixture f = Make("ecod");
  const auto fit = [&](const FitOptions& options, const Matrix& X) {
    return Model::Fit(Algorithms(), options, f.model->preparation(), X, Context{}).status();
  };
  CHECK(fit({.algorithm = "ecodd"}, f.X).code() == absl::StatusCode::kNotFound);
  CHECK(fit({.algorithm = "ecod", .params = {{"k", "1"}}}, f.X).code() == absl::StatusCode::kInvalidArgument);
  CHECK(fit({.algorithm = "ecod", .contamination = 0.9}, f.X).code() == absl::StatusCode::kInvalidArgument);
  CHECK(fit({.algorithm = "ecod"}, Matrix(0, f.X.cols())).code() == absl::StatusCode::kInvalidArgument);
  CHECK(fit({.algorithm = "ecod"}, Matrix(5, 2)).code() == absl::StatusCode::kInvalidArgument);
  Matrix bad = f.X;
  bad(7, 1) = std::nan("");
  const absl::Status missing = fit({.algorithm = "ecod"}, bad);
  CHECK(std::string(missing.message()).find("'amount' of row 7") != std::string::npos);
  bad(7, 1) = std::numeric_limits<double>::infinity();
  CHECK(f.model->Score(bad, Context{}).status().code() == absl::StatusCode::kInvalidArgument);
  CHECK(f.model->Score(Matrix(1, 2), Context{}).status().code() == absl::StatusCode::kInvalidArgument);
  CHECK(f.model->Score(Matrix(0, f.X.cols()), Context{})->empty());
}

TEST_CASE("a detector without native explanation falls back to robust z-scores, and says so") {
  class Plain final : public Detector {
   public:
    absl::Status Fit(MatrixView X, const Context& ctx) override {
      d_ = X.cols;
      scores_.resize(static_cast<size_t>(X.rows));
      return Score(X, scores_, ctx);
    }
    std::span<const double> training_scores() const override { return scores_; }
    absl::Status Score(MatrixView X, std::span<double> scores, const Context&) const override {
      for (int64_t i = 0; i < X.rows; ++i) scores[static_cast<size_t>(i)] = std::fabs(X(i, 1));
      return absl::OkStatus();
    }
    void Save(ByteWriter& out) const override { out.I64(d_); }
    absl::Status Load(ByteReader& in) override {
      d_ = in.I64();
      return in.status();
    }
    int64_t features() const override { return d_; }

   private:
    int64_t d_ = 0;
    std::vector<double> scores_;
  };
  Descriptor plain;
  plain.name = "plain";
  plain.explains = false;
  plain.make = [](const ParamSet&) -> std::unique_ptr<Detector> { return std::make_unique<Plain>(); };
  const Descriptor* const list[] = {&plain};
  const Catalog catalog({list});
  const Fixture f = Make("ecod");
  const auto model = Model::Fit(catalog, {.algorithm = "plain"}, f.model->preparation(), f.X, Context{});
  REQUIRE(model.ok());
  std::string space;
  const auto parts = (*model)->Explain(f.X, Context{}, &space, &f.table);
  REQUIRE(parts.ok());
  CHECK(space == "robust z-score against typical rows");
  CHECK((*parts)[50][0].feature == "amount");
}

TEST_CASE("windows: models read back with the same scores, and explain columns at their lags by the cells of the rows before") {
  table::PrepareOptions prepare;
  prepare.window = 3;
  for (const char* algorithm : {"ecod", "iforest", "knn", "pca"}) {
    CAPTURE(algorithm);
    prepare.scaling = algorithm == std::string("knn") ? table::Scaling::kStandard : table::Scaling::kNone;
    const Fixture f = Make(algorithm, prepare);
    const auto loaded = Model::Parse(Algorithms(), f.model->Serialize());
    REQUIRE(loaded.ok());
    CHECK((*loaded)->preparation().history() == 2);
    const auto a = f.model->Score(f.X, Context{}), b = (*loaded)->Score(f.X, Context{});
    REQUIRE((a.ok() && b.ok()));
    for (size_t i = 0; i < a->size(); ++i) CHECK((*a)[i].score == (*b)[i].score);
    const auto whole = f.model->Explain(f.X, Context{}, nullptr, &f.table);
    REQUIRE(whole.ok());
    const std::vector<int64_t> some = {52, 1, 50};
    const Matrix X = *f.model->preparation().ApplyRows(f.table, some);
    const auto parts = (*loaded)->Explain(X, Context{}, nullptr, &f.table, some);
    REQUIRE(parts.ok());
    for (size_t i = 0; i < some.size(); ++i) {
      const auto& row = (*parts)[i];
      REQUIRE(row.size() == 12);
      for (const FeatureContribution& c : row) {
        const int64_t cell = std::max<int64_t>(0, some[i] - c.lag);
        CHECK(c.actual_text == f.table.columns[static_cast<size_t>(f.table.Find(c.feature))].Text(cell));
        const auto& same = (*whole)[static_cast<size_t>(some[i])];
        const auto it = std::find_if(same.begin(), same.end(), [&](const auto& o) { return o.feature == c.feature && o.lag == c.lag; });
        REQUIRE(it != same.end());
        CHECK(it->actual_text == c.actual_text);
        CHECK(it->contribution == Approx(c.contribution).margin(1e-12));
      }
    }
    CHECK((*parts)[0][0].lag == 2);  // row 50 is the odd one
    CHECK((*parts)[2][0].lag == 0);
    CHECK_FALSE(f.model->Explain(X, Context{}, nullptr, &f.table).ok());
    const std::vector<int64_t> beyond = {0, 1, f.table.rows()};
    CHECK_FALSE(f.model->Explain(X, Context{}, nullptr, &f.table, beyond).ok());
  }
}

TEST_CASE("rows of the table that a model was fitted on score as they did then, also when it is read back") {
  FitOptions options;
  options.source = {.table = "datasets/sales", .rows = {}};
  for (int64_t i = 0; i < 120; ++i) options.source.rows.push_back(3 * i + 1);  // a third of the table
  const Fixture f = Make("knn", {}, options);
  const auto loaded = Model::Parse(Algorithms(), f.model->Serialize());
  REQUIRE(loaded.ok());
  CHECK((*loaded)->Serialize() == f.model->Serialize());
  const std::vector<RowScore> training = f.model->TrainingRows();
  const auto fresh = f.model->Score(f.X, Context{});
  REQUIRE(fresh.ok());
  CHECK(training[7].score > (*fresh)[7].score);  // which finds itself
  const auto scored = [&](const Model& model, std::string_view table, const std::vector<int64_t>& rows) {
    const auto out = model.ScoreRowsOf(table, rows, f.X.view().Rows(7, std::ssize(rows)), Context{});
    REQUIRE(out.ok());
    std::vector<double> scores;
    for (const RowScore& row : *out) scores.push_back(row.score);
    return scores;
  };
  for (const Model* model : {f.model.get(), loaded->get()}) {
    // Rows 7, 8 and 9 of X as rows 22 (the same), 23 (not of the sample) and 28 (the same) of the table.
    CHECK(scored(*model, "datasets/sales", {22, 23, 28}) ==
          std::vector{training[7].score, (*fresh)[8].score, training[9].score});
    CHECK(scored(*model, "datasets/sales", {22, 25, 28}) ==
          std::vector{training[7].score, training[8].score, training[9].score});
    CHECK(scored(*model, "datasets/other", {22}) == std::vector{(*fresh)[7].score});
    CHECK(scored(*model, "", {22}) == std::vector{(*fresh)[7].score});
    CHECK(scored(*model, "datasets/sales", {1 + 3 * 120}) == std::vector{(*fresh)[7].score});
  }
}

TEST_CASE("only algorithms with scores of their own for training rows keep them") {
  FitOptions options;
  options.source.table = "datasets/sales";
  CHECK(Make("knn", {}, options).model->Serialize().size() >= Make("knn").model->Serialize().size() + 120 * 8);
  CHECK(Make("hbos", {}, options).model->Serialize() == Make("hbos").model->Serialize());
  const Fixture all = Make("knn", {}, options);
  const std::vector<int64_t> row = {119};
  const auto last = all.model->ScoreRowsOf("datasets/sales", row, all.X.view().Rows(0, 1), Context{});
  REQUIRE(last.ok());
  CHECK((*last)[0].score == all.model->TrainingRows()[119].score);
  options.algorithm = "knn";
  for (const std::vector<int64_t>& rows : {std::vector<int64_t>{1, 2}, std::vector<int64_t>(120, 5)}) {
    options.source.rows = rows;
    CHECK(absl::IsInvalidArgument(
        Model::Fit(Algorithms(), options, all.model->preparation(), all.X, Context{}).status()));
  }
}

TEST_CASE("damaged models are refused, byte by byte, with and without a valid checksum") {
  FitOptions source;
  source.source.table = "datasets/sales";
  const std::string algorithm = GENERATE("hbos", "knn");
  const Fixture f = Make(algorithm, {}, source);
  const std::string good = f.model->Serialize();
  REQUIRE(good.substr(0, 4) == "VDTM");
  // What knn's has beside hbos' are the training scores, at the end.
  const size_t first = algorithm == "knn" ? good.size() - 1200 : 0;
  for (size_t size = first; size < good.size(); ++size) {
    const absl::Status cut = Model::Parse(Algorithms(), std::string_view(good).substr(0, size)).status();
    if (cut.code() != absl::StatusCode::kDataLoss) FAIL_CHECK("cut at " << size << ": " << cut);
    if (size < 8 || size + 64 >= good.size()) continue;
    const std::string body = good.substr(0, size);
    const absl::Status resigned = Model::Parse(Algorithms(), body + Sha256Hex(body)).status();
    if (resigned.code() != absl::StatusCode::kDataLoss && resigned.code() != absl::StatusCode::kNotFound) {
      FAIL_CHECK("cut and signed at " << size << ": " << resigned);
    }
  }
  Rng rng(6);
  int accepted = 0;
  for (int round = 0; round < (algorithm == "knn" ? 300 : 3000); ++round) {
    std::string bytes = good;
    const uint64_t at = rng.Below(bytes.size());
    bytes[at] = static_cast<char>(bytes[at] ^ (1 << rng.Below(8)));
    CHECK_FALSE(Model::Parse(Algorithms(), bytes).ok());
    if (at + 64 >= bytes.size()) continue;
    const auto model = Model::Parse(Algorithms(), Resigned(bytes));  // only numbers may have changed
    if (!model.ok()) continue;
    ++accepted;
    (void)(*model)->Score(f.X, Context{});
    (void)(*model)->Explain(f.X, Context{}, nullptr, &f.table);
  }
  CHECK(accepted > 0);
  for (int round = 0; round < 200; ++round) {
    std::string noise = "VDTM";
    for (uint64_t i = rng.Below(300); i > 0; --i) noise.push_back(static_cast<char>(rng.Next()));
    CHECK_FALSE(Model::Parse(Algorithms(), noise).ok());
    CHECK_FALSE(Model::Parse(Algorithms(), noise + Sha256Hex(noise)).ok());
  }
}

}  // namespace vedette::outlier
