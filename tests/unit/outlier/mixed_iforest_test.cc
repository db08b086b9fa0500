// iforest over categories and missing values: what it finds, what it blames, and that complete numbers are as they
// were.
#include <algorithm>
#include <bit>
#include <catch2/catch.hpp>
#include <cmath>
#include <limits>

#include "base/rng.h"
#include "base/thread_pool.h"
#include "outlier/model.h"

namespace vedette::outlier {
namespace {

constexpr double kMissing = std::numeric_limits<double>::quiet_NaN();
constexpr int64_t kRows = 600, kOdd = 123;

const Descriptor& IForest() {
  static const Catalog catalog({AllAlgorithms()});
  return **catalog.Find("iforest");
}
std::unique_ptr<Detector> Make() { return IForest().make(*ParamSet::Make(IForest().params, {})); }

/// Three correlated numbers and a category of three; every row is usual.
Matrix Usual(int64_t n, uint64_t seed) {
  Rng rng(seed);
  Matrix X(n, 4);
  for (int64_t i = 0; i < n; ++i) {
    const double common = rng.Normal();
    for (int64_t j = 0; j < 3; ++j) X(i, j) = common + 0.5 * rng.Normal();
    X(i, 3) = static_cast<double>(rng.Below(3));
  }
  return X;
}
const std::vector<int32_t> kKinds = {0, 0, 0, 4};  // the fourth category is rare, or absent

std::vector<double> Scores(const Detector& detector, MatrixView X, const Context& ctx = {}) {
  std::vector<double> out(static_cast<size_t>(X.rows));
  REQUIRE(detector.Score(X, out, ctx).ok());
  return out;
}
std::unique_ptr<Detector> FittedMixed(MatrixView X, const Context& ctx = {}) {
  auto detector = Make();
  const absl::Status status = detector->FitMixed(X, kKinds, ctx);
  INFO(status);
  REQUIRE(status.ok());
  return detector;
}
int64_t RowsAbove(std::span<const double> scores, double s) {
  return std::count_if(scores.begin(), scores.end(), [s](double x) { return x > s; });
}
bool SameBits(const std::vector<double>& a, const std::vector<double>& b) {
  return a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin(), [](double x, double y) {
           return std::bit_cast<uint64_t>(x) == std::bit_cast<uint64_t>(y);
         });
}
int64_t MostBlamed(const Detector& detector, MatrixView row) {
  const auto parts = detector.Explain(row, Context{});
  REQUIRE(parts.ok());
  int64_t most = 0;
  for (int64_t j = 1; j < row.cols; ++j) {
    if (parts->contributions(0, j) > parts->contributions(0, most)) most = j;
  }
  return most;
}
Matrix OneRow(std::vector<double> values) {
  Matrix row(1, static_cast<int64_t>(values.size()));
  std::copy(values.begin(), values.end(), row.data());
  return row;
}

}  // namespace

TEST_CASE("iforest finds a row that is odd by its category alone, and blames the category") {
  Matrix X = Usual(250, 1);                        // every tree sees every row
  for (int64_t j = 0; j < 3; ++j) X(kOdd, j) = 0;  // as usual as can be
  X(kOdd, 3) = 3;
  const auto detector = FittedMixed(X);
  CHECK(RowsAbove(detector->training_scores(), detector->training_scores()[kOdd]) < 250 / 50);
  CHECK(MostBlamed(*detector, X.view().Rows(kOdd, 1)) == 3);
}

TEST_CASE("iforest ranks a category of one row in a hundred high where trees see a part of the rows") {
  Matrix X = Usual(kRows, 1);
  for (int64_t i = 7; i < kRows; i += 100) {
    for (int64_t j = 0; j < 3; ++j) X(i, j) = 0;
    X(i, 3) = 3;
  }
  const auto detector = FittedMixed(X);
  for (int64_t i = 7; i < kRows; i += 100) {
    CHECK(RowsAbove(detector->training_scores(), detector->training_scores()[static_cast<size_t>(i)]) < kRows / 10);
  }
}

TEST_CASE("iforest finds a row that is odd by what it lacks alone, and blames that") {
  Matrix X = Usual(kRows, 2);
  for (int64_t j = 0; j < 3; ++j) X(kOdd, j) = 0;
  X(kOdd, 1) = kMissing;
  const auto detector = FittedMixed(X);
  CHECK(RowsAbove(detector->training_scores(), detector->training_scores()[kOdd]) < kRows / 50);
  CHECK(MostBlamed(*detector, X.view().Rows(kOdd, 1)) == 1);
}

TEST_CASE("iforest: new rows with a category or a gap that training never had score above the same rows without") {
  const auto detector = FittedMixed(Usual(kRows, 3));
  const double usual = Scores(*detector, OneRow({0, 0, 0, 1}))[0];
  CHECK(Scores(*detector, OneRow({0, 0, 0, -1}))[0] > usual);
  CHECK(Scores(*detector, OneRow({0, 0, 0, 3}))[0] > usual);
  CHECK(Scores(*detector, OneRow({0, kMissing, 0, 1}))[0] > usual);
  CHECK(Scores(*detector, OneRow({0, 0, 0, 77}))[0] == Scores(*detector, OneRow({0, 0, 0, -1}))[0]);
}

TEST_CASE("iforest: gaps that are common are not odd") {
  Matrix X = Usual(kRows, 4);
  Rng rng(5);
  for (int64_t i = 0; i < kRows; ++i) {
    if (rng.Below(2) == 0) X(i, 0) = kMissing;
  }
  const auto detector = FittedMixed(X);
  double with = 0, without = 0;
  int64_t gaps = 0;
  for (int64_t i = 0; i < kRows; ++i) {
    const bool gap = std::isnan(X(i, 0));
    (gap ? with : without) += detector->training_scores()[static_cast<size_t>(i)];
    gaps += gap;
  }
  CHECK(std::fabs(with / static_cast<double>(gaps) - without / static_cast<double>(kRows - gaps)) < 0.02);
}

TEST_CASE("iforest: complete numbers give the bits that they always gave, whichever way they come") {
  Matrix X(kRows, 3);
  Rng rng(6);
  for (int64_t i = 0; i < kRows * 3; ++i) X.data()[i] = rng.Normal();
  const auto plain = Make(), mixed = Make();
  REQUIRE(plain->Fit(X, Context{}).ok());
  REQUIRE(mixed->FitMixed(X, std::vector<int32_t>{0, 0, 0}, Context{}).ok());
  ByteWriter a, b;
  plain->Save(a);
  mixed->Save(b);
  CHECK(a.bytes() == b.bytes());
  // A row with a gap changes nothing for its neighbours, and scores alone as among them.
  const std::vector<double> before = Scores(*plain, X);
  Matrix gap = X;
  gap(7, 1) = kMissing;
  std::vector<double> after = Scores(*plain, gap);
  CHECK(after[7] == Scores(*plain, gap.view().Rows(7, 1))[0]);
  CHECK(std::isfinite(after[7]));
  after[7] = before[7];
  CHECK(SameBits(before, after));
}

TEST_CASE("iforest over mixed columns: the same bits at any thread count, in any batch, saved and loaded") {
  Matrix X = Usual(kRows, 7);
  for (int64_t i = 0; i < kRows; i += 9) X(i, i % 4) = kMissing;
  const std::vector<double> scores = Scores(*FittedMixed(X), X);
  for (const int threads : {1, 3}) {
    ThreadPool pool(threads);
    Context ctx;
    ctx.pool = &pool;
    CHECK(SameBits(scores, Scores(*FittedMixed(X, ctx), X, ctx)));
  }
  const auto detector = FittedMixed(X);
  CHECK(SameBits(scores, {detector->training_scores().begin(), detector->training_scores().end()}));
  std::vector<double> single;
  for (int64_t i = 0; i < kRows; ++i) single.push_back(Scores(*detector, X.view().Rows(i, 1))[0]);
  CHECK(SameBits(scores, single));
  ByteWriter out;
  detector->Save(out);
  const auto loaded = Make();
  ByteReader in(out.bytes());
  REQUIRE(loaded->Load(in).ok());
  REQUIRE(in.Finish().ok());
  CHECK(SameBits(scores, Scores(*loaded, X)));
}

TEST_CASE("iforest over mixed columns: bad categories are refused by column and row") {
  Matrix X = Usual(50, 8);
  X(11, 3) = 4;
  const absl::Status status = Make()->FitMixed(X, kKinds, Context{});
  CHECK(status.code() == absl::StatusCode::kInvalidArgument);
  CHECK(status.message().find("column 3, row 11") != std::string::npos);
  CHECK(Make()->FitMixed(X, std::vector<int32_t>{0, 0}, Context{}).code() == absl::StatusCode::kInvalidArgument);
  CHECK(Make()->FitMixed(X, std::vector<int32_t>{0, 0, 0, -1}, Context{}).code() == absl::StatusCode::kInvalidArgument);
}

namespace {

table::Table Orders(int64_t n) {
  table::Column price{.name = "price", .type = table::ColumnType::kNumeric},
      colour{.name = "colour", .type = table::ColumnType::kCategorical};
  table::Column weight{.name = "weight", .type = table::ColumnType::kNumeric};
  colour.categories = {"red", "green", "beige"};
  Rng rng(10);
  for (int64_t i = 0; i < n; ++i) {
    price.values.push_back(10 + rng.Normal());
    weight.values.push_back(i % 5 == 0 ? kMissing : rng.Normal());
    colour.codes.push_back(i == 50 ? 2 : static_cast<int32_t>(i % 2));
  }
  return {.columns = {price, weight, colour}};
}

}  // namespace

TEST_CASE("a model over a table with categories and gaps as they are") {
  const Catalog catalog({AllAlgorithms()});
  const table::Table table = Orders(400);
  const table::PrepareOptions options{.imputation = table::Imputation::kNone, .encoding = table::Encoding::kNative};
  const auto preparation = table::Preparation::Fit(table, options);
  REQUIRE(preparation.ok());
  CHECK(preparation->category_counts() == std::vector<int32_t>{0, 0, 3});
  const auto X = preparation->Apply(table);
  REQUIRE(X.ok());
  const auto model = Model::Fit(catalog, {.algorithm = "iforest"}, *preparation, *X, Context{});
  INFO(model.status());
  REQUIRE(model.ok());
  const auto scores = (*model)->Score(*X, Context{});
  REQUIRE(scores.ok());
  CHECK((*scores)[50].anomaly);

  SECTION("says the categories by name") {
    const auto why = (*model)->Explain(X->view().Rows(50, 1), Context{});
    REQUIRE(why.ok());
    CHECK((*why)[0][0].feature == "colour");
    CHECK((*why)[0][0].actual_text == "beige");
    CHECK(((*why)[0][0].expected_text == "red" || (*why)[0][0].expected_text == "green"));
  }
  SECTION("is stored whole") {
    const auto loaded = Model::Parse(catalog, (*model)->Serialize());
    INFO(loaded.status());
    REQUIRE(loaded.ok());
    table::Table fresh = Orders(3);
    fresh.columns[2].categories = {"mauve", "green", "red"};  // one unknown, one by another code
    const auto row = (*loaded)->preparation().Apply(fresh), same = (*model)->preparation().Apply(fresh);
    REQUIRE((row.ok() && same.ok()));
    CHECK((*row)(0, 2) == -1);
    const auto a = (*loaded)->Score(*row, Context{}), b = (*model)->Score(*same, Context{});
    REQUIRE((a.ok() && b.ok()));
    for (size_t i = 0; i < 3; ++i) CHECK((*a)[i].score == (*b)[i].score);
  }
  SECTION("is refused for algorithms that take no categories") {
    const auto wrong = Model::Fit(catalog, {.algorithm = "ecod"}, *preparation, *X, Context{});
    CHECK(wrong.status().code() == absl::StatusCode::kInvalidArgument);
  }
}

}  // namespace vedette::outlier
