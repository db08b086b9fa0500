#include "table/prepare.h"

#include <catch2/catch.hpp>

#include <bit>
#include <cmath>
#include <limits>

#include "base/rng.h"
#include "table/csv.h"

namespace vedette::table {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

Table ReadText(std::string_view text) {
  auto file = ReadCsvText(text);
  INFO(file.status().ToString());
  REQUIRE(file.ok());
  return std::move(file->table);
}
Preparation Fitted(const Table& table, const PrepareOptions& options = {}) {
  auto p = Preparation::Fit(table, options);
  INFO(p.status().ToString());
  REQUIRE(p.ok());
  return *std::move(p);
}
std::vector<double> Col(const Matrix& m, int64_t j) { return {m.col(j).begin(), m.col(j).end()}; }
Table Numbers(std::string name, std::vector<double> values) {
  Table t;
  t.columns.push_back({.name = std::move(name), .values = std::move(values)});
  return t;
}
std::string Names(const Preparation& p) {
  std::string out;
  for (const Feature& f : p.features()) out += (out.empty() ? "" : " ") + f.name;
  return out;
}

TEST_CASE("prepare: numbers without missing values pass through bit by bit, in order, constants too") {
  Rng rng(1);
  Table t;
  for (int j = 0; j < 5; ++j) {
    Column c{.name = "f" + std::to_string(j)};
    for (int i = 0; i < 100; ++i) c.values.push_back(j == 3 ? 4.0 : rng.Normal() * 1e5);
    t.columns.push_back(c);
  }
  const Preparation p = Fitted(t);
  const auto m = p.Apply(t);
  REQUIRE(m.ok());
  REQUIRE(m->cols() == 5);
  for (int64_t j = 0; j < 5; ++j) {
    for (int64_t i = 0; i < 100; ++i) {
      CHECK(std::bit_cast<uint64_t>((*m)(i, j)) == std::bit_cast<uint64_t>(t.columns[static_cast<size_t>(j)].values[static_cast<size_t>(i)]));
    }
  }
  CHECK(p.notes().empty());
  CHECK(Fitted(t, {.drop_constant = true}).features().size() == 4);
}

TEST_CASE("prepare: missing and infinite values are imputed") {
  const Table t = Numbers("v", {1, kNan, 3, 8, std::numeric_limits<double>::infinity(), 4});
  CHECK(Col(*Fitted(t).Apply(t), 0) == std::vector<double>{1, 3.5, 3, 8, 3.5, 4});
  CHECK(Col(*Fitted(t, {.imputation = Imputation::kMean}).Apply(t), 0) == std::vector<double>{1, 4, 3, 8, 4, 4});
  const Matrix none = *Fitted(t, {.imputation = Imputation::kNone}).Apply(t);
  CHECK(std::isnan(none(1, 0)));
  CHECK(std::isnan(none(4, 0)));
  CHECK(none(2, 0) == 3);
}

TEST_CASE("prepare: scaling as scikit-learn has it") {
  const Table t = Numbers("v", {1, 2, 3, 4, 10});
  const Matrix z = *Fitted(t, {.scaling = Scaling::kStandard}).Apply(t);
  const double sd = std::sqrt((9 + 4 + 1 + 0 + 36) / 5.0);  // mean 4, ddof 0
  CHECK(z(0, 0) == Approx(-3 / sd).epsilon(1e-15));
  CHECK(z(4, 0) == Approx(6 / sd).epsilon(1e-15));
  const Preparation robust = Fitted(t, {.scaling = Scaling::kRobust});
  CHECK(robust.features()[0].offset == 3);
  CHECK(robust.features()[0].scale == 2);
  CHECK(Col(*robust.Apply(t), 0) == std::vector<double>{-1, -0.5, 0, 0.5, 3.5});
  for (const Scaling scaling : {Scaling::kStandard, Scaling::kRobust}) {
    const Table constant = Numbers("v", {0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1});
    const Preparation p = Fitted(constant, {.scaling = scaling});
    CHECK(p.features()[0].scale == 1);
    CHECK(std::abs((*p.Apply(constant))(0, 0)) < 1e-15);
    const Table huge = Numbers("v", {1e308, -1e308, 1.5e308, -1.7e308, 3});
    const Matrix m = *Fitted(huge, {.scaling = scaling}).Apply(huge);
    for (const double v : Col(m, 0)) CHECK(std::isfinite(v));
  }
  const Matrix tiny = *Fitted(Numbers("v", {1e-200, 2e-200, 5e-200}), {.scaling = Scaling::kStandard}).Apply(Numbers("v", {2e-200}));
  CHECK(std::isfinite(tiny(0, 0)));
}

TEST_CASE("prepare: categories as one-hot, frequency and ordinal, missing and unseen ones") {
  const Table t = ReadText("c,v\nred,1\nblue,2\nred,3\n,4\n");
  const Table other = ReadText("v,c\n1,green\n2,blue\n3,\n4,red\n");
  const Preparation hot = Fitted(t);
  CHECK(Names(hot) == "c=red c=blue v");
  CHECK(hot.features()[1].category == "blue");
  CHECK(Col(*hot.Apply(t), 0) == std::vector<double>{1, 0, 1, 0});
  const Matrix m = *hot.Apply(other);
  CHECK(Col(m, 0) == std::vector<double>{0, 0, 0, 1});
  CHECK(Col(m, 1) == std::vector<double>{0, 1, 0, 0});
  CHECK(Col(*Fitted(t, {.encoding = Encoding::kFrequency}).Apply(other), 0) == std::vector<double>{0, 0.25, 0.25, 0.5});
  CHECK(Col(*Fitted(t, {.encoding = Encoding::kOrdinal}).Apply(other), 0) == std::vector<double>{-1, 1, 0, 0});
  const Matrix none = *Fitted(t, {.imputation = Imputation::kNone, .encoding = Encoding::kOrdinal}).Apply(other);
  CHECK(std::isnan(none(2, 0)));
  const Preparation few = Fitted(t, {.one_hot_max = 1});
  CHECK(Names(few) == "c v");
  CHECK(few.notes()[0].find("2 categories: encoded by their frequency") != std::string::npos);
}

TEST_CASE("prepare: categories as they are, for algorithms that split on them") {
  const Table t = ReadText("c,v\nred,1\nblue,20\nred,3\n,4\n"), other = ReadText("v,c\n1,green\n2,blue\n3,\n,red\n");
  const Preparation p = Fitted(t, {.imputation = Imputation::kNone, .encoding = Encoding::kNative, .scaling = Scaling::kStandard});
  CHECK(Names(p) == "c v");
  CHECK(p.category_counts() == std::vector<int32_t>{2, 0});
  const Matrix m = *p.Apply(other);
  CHECK(m(0, 0) == -1);
  CHECK(m(1, 0) == 1);
  CHECK(std::isnan(m(2, 0)));
  CHECK(m(3, 0) == 0);
  CHECK(std::isnan(m(3, 1)));
  CHECK(p.CategoryOf(0, 1) == "blue");
  CHECK(p.CategoryOf(0, -1).empty());
  CHECK(Fitted(t).category_counts() == std::vector<int32_t>{0, 0, 0});
  // More categories than one_hot_max are a frequency, no category.
  const Preparation few = Fitted(t, {.encoding = Encoding::kNative, .one_hot_max = 1});
  CHECK(few.category_counts() == std::vector<int32_t>{0, 0});
  CHECK(few.notes()[0].find("2 categories: encoded by their frequency") != std::string::npos);
  // Stored as version 2, everything else still as version 1, which older programs read.
  ByteWriter native, hot;
  p.Save(native);
  Fitted(t).Save(hot);
  CHECK(native.bytes()[4] == 2);
  CHECK(hot.bytes()[4] == 1);
  ByteReader in(native.bytes());
  const auto loaded = Preparation::Load(in);
  REQUIRE(loaded.ok());
  CHECK(loaded->category_counts() == p.category_counts());
  std::string lied = native.bytes();
  lied[4] = 1;
  ByteReader older(lied);
  CHECK(absl::IsDataLoss(Preparation::Load(older).status()));
}

TEST_CASE("prepare: identifiers, times and empty columns are left out, and said so") {
  const Table t = ReadText(
      "name,n,order_id,when,empty,v,w\na,1,17,2024-01-01,,5,5\nb,2,12,2024-01-02,,7,6\nc,3,90,2024-01-03,,6,7\nd,4,3,2024-01-04,,9,8\n"
      "e,5,4,2024-01-05,,2,9\nf,6,5,2024-01-06,,4,10\ng,7,61,2024-01-07,,3,12\nh,8,7,2024-01-08,,1,13\n");
  const Preparation p = Fitted(t);
  CHECK(Names(p) == "v w");
  REQUIRE(p.notes().size() == 5);
  CHECK(p.notes()[0] == "column 'name' is left out: it is an identifier: its text differs in every row");
  CHECK(p.notes()[1] == "column 'n' is left out: it numbers the rows (it grows by 1 from row to row)");
  CHECK(p.notes()[2].find("identifier by its name") != std::string::npos);
  CHECK(p.notes()[3].find("point in time") != std::string::npos);
  CHECK(p.notes()[4].find("has no values") != std::string::npos);
  CHECK(SchemaOf(t).size() == 7);
  CHECK(p.schema().size() == 2);
  CHECK(Fitted(t, {.drop_identifiers = false}).schema().size() == 5);
  CHECK(Names(Fitted(t, {.ignore_columns = {"v"}})) == "w");
}

TEST_CASE("prepare: when nothing is left, the error says what happened to each column") {
  const auto p = Preparation::Fit(ReadText("t,k\n2024-01-01,x\n2024-01-02,x\n"), {.drop_constant = true});
  REQUIRE(absl::IsInvalidArgument(p.status()));
  const std::string text = p.status().ToString();
  CHECK(text.find("'t' is left out: it is a point in time") != std::string::npos);
  CHECK(text.find("'k' is left out: it has the same value everywhere") != std::string::npos);
  CHECK(absl::IsInvalidArgument(Preparation::Fit(Table{}, {}).status()));
}

TEST_CASE("prepare: columns are found by name, a missing one and text for numbers are errors that name it") {
  const Preparation p = Fitted(ReadText("a,b\n1,5\n2,3\n"));
  CHECK(Col(*p.Apply(ReadText("x,b,a\n0,7,8\n")), 0) == std::vector<double>{8});
  CHECK(p.Apply(ReadText("a\n1\n")).status().ToString().find("no column 'b'") != std::string::npos);
  CHECK(p.Apply(ReadText("a,b\n1,text\n")).status().ToString().find("'b' is categorical, but was numeric") != std::string::npos);
  CHECK(p.Apply(Table{}).status().ToString().find("no column 'a'") != std::string::npos);
  const Preparation codes = Fitted(ReadText("c\n7\nx\n7\nx\n"));
  CHECK(Col(*codes.Apply(ReadText("c\n7\n8\n")), 0) == std::vector<double>{1, 0});
}

TEST_CASE("prepare: a row gives the same result alone and in any batch") {
  Rng rng(2);
  Table t;
  Column v{.name = "v"}, c{.name = "c", .type = ColumnType::kCategorical, .categories = {"x", "y", "z"}};
  for (int i = 0; i < 200; ++i) {
    v.values.push_back(rng.Below(10) == 0 ? kNan : rng.Normal());
    c.codes.push_back(static_cast<int32_t>(rng.Below(4)) - 1);
  }
  t.columns = {v, c};
  for (const Encoding encoding : {Encoding::kOneHot, Encoding::kFrequency, Encoding::kOrdinal, Encoding::kNative}) {
    const Preparation p = Fitted(t, {.encoding = encoding, .scaling = Scaling::kRobust});
    const Matrix whole = *p.Apply(t);
    for (int i = 0; i < 200; ++i) {
      Table one;
      one.columns = {v, c};
      one.columns[0].values = {v.values[static_cast<size_t>(i)]};
      one.columns[1].codes = {c.codes[static_cast<size_t>(i)]};
      const Matrix m = *p.Apply(one);
      for (int64_t j = 0; j < m.cols(); ++j) CHECK(std::bit_cast<uint64_t>(m(0, j)) == std::bit_cast<uint64_t>(whole(i, j)));
    }
  }
}

TEST_CASE("prepare: stored and loaded, hostile bytes are DATA_LOSS") {
  const Table t = ReadText("c,k,v\nred,a,1\nblue,b,2.5\nred,a,\n,b,4\n");
  const Preparation p = Fitted(t, {.ignore_columns = {"k"}, .encoding = Encoding::kFrequency, .scaling = Scaling::kStandard});
  ByteWriter out;
  p.Save(out);
  ByteReader in(out.bytes());
  const auto loaded = Preparation::Load(in);
  REQUIRE(loaded.ok());
  CHECK(in.Finish().ok());
  CHECK(Names(*loaded) == Names(p));
  CHECK(loaded->notes() == p.notes());
  const Matrix a = *p.Apply(t), b = *loaded->Apply(t);
  for (int64_t j = 0; j < a.cols(); ++j) CHECK(Col(a, j) == Col(b, j));
  for (size_t n = 0; n < out.bytes().size(); ++n) {
    ByteReader cut(std::string_view(out.bytes()).substr(0, n));
    CHECK(absl::IsDataLoss(Preparation::Load(cut).status()));
  }
  Rng rng(4);
  for (int round = 0; round < 20000; ++round) {
    std::string bytes = out.bytes();
    for (uint64_t k = 0; k <= rng.Below(4); ++k) bytes[rng.Below(bytes.size())] = static_cast<char>(rng.Below(256));
    ByteReader damaged(bytes);
    const auto result = Preparation::Load(damaged);
    if (!result.ok()) {
      REQUIRE(absl::IsDataLoss(result.status()));
    } else {
      (void)result->Apply(t);  // must not crash, whatever it says
    }
  }
}

}  // namespace
}  // namespace vedette::table
