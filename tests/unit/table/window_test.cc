// Windows of rows: what a row tells of the rows before it.
#include <bit>
#include <catch2/catch.hpp>
#include <cmath>
#include <limits>
#include <numeric>
#include <set>

#include "base/rng.h"
#include "table/prepare.h"
#include "table/rows.h"

namespace vedette::table {
namespace {

constexpr double kNothing = std::numeric_limits<double>::quiet_NaN();

Table Series(int rows, uint64_t seed) {
  Rng rng(seed);
  Column v{.name = "v"}, c{.name = "c", .type = ColumnType::kCategorical, .categories = {"x", "y", "z"}};
  for (int i = 0; i < rows; ++i) {
    v.values.push_back(rng.Below(8) == 0 ? kNothing : rng.Normal());
    c.codes.push_back(static_cast<int32_t>(rng.Below(4)) - 1);
  }
  Table t;
  t.columns = {std::move(v), std::move(c)};
  return t;
}

Preparation Prepared(const Table& table, const PrepareOptions& options) {
  auto p = Preparation::Fit(table, options);
  INFO(p.status().ToString());
  REQUIRE(p.ok());
  return *std::move(p);
}

bool SameBits(double a, double b) { return std::bit_cast<uint64_t>(a) == std::bit_cast<uint64_t>(b); }

bool SameBits(const Matrix& a, const Matrix& b) {
  bool same = a.rows() == b.rows() && a.cols() == b.cols();
  for (int64_t j = 0; same && j < a.cols(); ++j) {
    for (int64_t i = 0; i < a.rows(); ++i) same = same && SameBits(a(i, j), b(i, j));
  }
  return same;
}

const Encoding kEncodings[] = {Encoding::kOneHot, Encoding::kFrequency, Encoding::kOrdinal, Encoding::kNative};

TEST_CASE(
    "windows: columns of a lag are those of lag 0, so many rows before; the first row stands for those before it") {
  const Table t = Series(60, 1);
  for (const Encoding encoding : kEncodings) {
    for (const Imputation imputation : {Imputation::kMedian, Imputation::kNone}) {
      const PrepareOptions options{.imputation = imputation, .encoding = encoding, .scaling = Scaling::kStandard};
      PrepareOptions windowed = options;
      windowed.window = 4;
      const Preparation plain = Prepared(t, options), p = Prepared(t, windowed);
      CHECK(plain.history() == 0);
      CHECK(p.history() == 3);
      const Matrix lag0 = *plain.Apply(t), X = *p.Apply(t);
      const int64_t d = lag0.cols();
      REQUIRE(X.cols() == 4 * d);
      REQUIRE(p.features().size() == static_cast<size_t>(X.cols()));
      for (int64_t f = 0; f < X.cols(); ++f) {
        const Feature &feature = p.features()[static_cast<size_t>(f)],
                      &own = plain.features()[static_cast<size_t>(f % d)];
        CHECK(feature.lag == f / d);
        CHECK(feature.source_column == own.source_column);
        CHECK(feature.category == own.category);
        for (int64_t i = 0; i < X.rows(); ++i) {
          REQUIRE(SameBits(X(i, f), lag0(std::max<int64_t>(0, i - feature.lag), f % d)));
        }
        CHECK(p.category_counts()[static_cast<size_t>(f)] == plain.category_counts()[static_cast<size_t>(f % d)]);
        CHECK(p.CategoryOf(f, 1) == plain.CategoryOf(f % d, 1));
      }
    }
  }
  const Preparation named = Prepared(t, {.window = 2});
  CHECK(named.features()[0].name == "v");
  CHECK(named.features()[1].name.starts_with("c="));
  CHECK(named.features()[4].name == "v[-1]");
  CHECK(named.features()[5].name.starts_with("c[-1]="));
}

TEST_CASE("windows: a row gives the same bits however the table is cut, where its history comes along") {
  const Table t = Series(90, 2);
  for (const Encoding encoding : kEncodings) {
    const Preparation p = Prepared(t, {.encoding = encoding, .scaling = Scaling::kRobust, .window = 5});
    const Matrix whole = *p.Apply(t);
    Rng rng(3);
    for (int round = 0; round < 20; ++round) {
      RowHistory history(p.history());
      for (int64_t begin = 0; begin < t.rows();) {
        const int64_t count = std::min(t.rows() - begin, static_cast<int64_t>(rng.Below(12)));
        const auto run = history.Next(SliceRows(t, begin, count));
        REQUIRE(run.ok());
        CHECK(run->context_rows == std::min<int64_t>(begin, 4));
        const Matrix part = *p.Apply(run->table, run->context_rows);
        REQUIRE(part.rows() == count);
        for (int64_t i = 0; i < count; ++i) {
          for (int64_t f = 0; f < part.cols(); ++f) REQUIRE(SameBits(part(i, f), whole(begin + i, f)));
        }
        begin += count;
      }
    }
    const std::vector<int64_t> some = {80, 0, 3, 4, 4, 61, 89, 59};
    const Matrix picked = *p.ApplyRows(t, some);
    REQUIRE(picked.rows() == 8);
    for (size_t i = 0; i < some.size(); ++i) {
      for (int64_t f = 0; f < picked.cols(); ++f)
        REQUIRE(SameBits(picked(static_cast<int64_t>(i), f), whole(some[i], f)));
    }
  }
}

TEST_CASE("windows: rows that came with other columns give the same bits once their columns are selected") {
  const Table t = Series(40, 11);
  Table named = t;  // categories that look like numbers
  named.columns[1].categories = {"7", "8.5", "z"};
  for (int32_t& code : named.columns[1].codes) code = code == 2 ? 0 : code;
  const Preparation p = Prepared(named, {.encoding = Encoding::kOrdinal, .window = 4});
  const Matrix whole = *p.Apply(named);
  Table swapped;  // another order, one more column, the categories as numbers
  swapped.columns.push_back({.name = "more", .values = std::vector<double>(40, 1)});
  swapped.columns.push_back({.name = "c"});
  for (int64_t i = 0; i < 40; ++i) {
    const std::string text = named.columns[1].Text(i);
    swapped.columns[1].values.push_back(text.empty() ? kNothing : std::stod(text));
  }
  swapped.columns.push_back(named.columns[0]);
  const Table selected = *p.Select(swapped);
  REQUIRE(selected.cols() == 2);
  CHECK(selected.columns[0].name == "v");
  CHECK(selected.columns[1].type == ColumnType::kCategorical);
  CHECK(SameBits(*p.Apply(selected), whole));
  TableBuilder joined;
  for (int64_t i = 0; i < 40; ++i) {
    const auto row = p.Select(SliceRows(i % 3 == 0 ? swapped : named, i, 1));
    REQUIRE(row.ok());
    REQUIRE(joined.Append(*row).ok());
  }
  CHECK(SameBits(*p.Apply(joined.Take()), whole));

  Table empty = swapped, text = swapped, less = swapped;
  empty.columns[2] = {.name = "v", .type = ColumnType::kCategorical, .codes = std::vector<int32_t>(40, -1)};
  text.columns[2] = {
      .name = "v", .type = ColumnType::kCategorical, .codes = std::vector<int32_t>(40, 0), .categories = {"x"}};
  less.columns.pop_back();
  CHECK(SameBits(*p.Apply(*p.Select(empty)), *p.Apply(empty)));
  CHECK(p.Select(text).status() == p.Apply(text).status());
  CHECK(absl::IsInvalidArgument(p.Select(text).status()));
  CHECK(p.Select(less).status().ToString().find("no column 'v'") != std::string::npos);
}

TEST_CASE("windows: a window of one row is none") {
  const Table t = Series(40, 4);
  for (const Encoding encoding : kEncodings) {
    const Preparation plain = Prepared(t, {.encoding = encoding}),
                      one = Prepared(t, {.encoding = encoding, .window = 1});
    ByteWriter a, b;
    plain.Save(a);
    one.Save(b);
    CHECK(a.bytes() == b.bytes());
    CHECK(SameBits(*plain.Apply(t), *one.Apply(t)));
    std::vector<int64_t> all(40);
    std::iota(all.begin(), all.end(), 0);
    CHECK(SameBits(*plain.Apply(t), *one.ApplyRows(t, all)));
    CHECK(one.Apply(t, 10)->rows() == 30);
  }
}

TEST_CASE("windows: lengths and rows out of range say so") {
  const Table t = Series(20, 5);
  for (const int window : {0, -1, 1001, 1000000000, std::numeric_limits<int>::min()}) {
    const auto p = Preparation::Fit(t, {.window = window});
    CHECK(absl::IsInvalidArgument(p.status()));
    CHECK(p.status().ToString().find("window is") != std::string::npos);
  }
  Table wide;
  for (int j = 0; j < 21; ++j) wide.columns.push_back({.name = "f" + std::to_string(j), .values = {1, 2.5}});
  CHECK(Preparation::Fit(wide, {.window = 952}).ok());
  CHECK(Preparation::Fit(wide, {.window = 953}).status().ToString().find("makes 20013 features; there may be 20000") !=
        std::string::npos);
  const Preparation p = Prepared(t, {.window = 3});
  CHECK(absl::IsInvalidArgument(p.Apply(t, -1).status()));
  CHECK(absl::IsInvalidArgument(p.Apply(t, 21).status()));
  CHECK(p.Apply(t, 20)->rows() == 0);
  const int64_t bad[] = {20};
  CHECK(absl::IsInvalidArgument(p.ApplyRows(t, bad).status()));
  CHECK(p.ApplyRows(t, {})->rows() == 0);
}

TEST_CASE("windows: stored and loaded, hostile bytes are DATA_LOSS") {
  const Table t = Series(30, 6);
  const Preparation p = Prepared(t, {.encoding = Encoding::kNative, .scaling = Scaling::kStandard, .window = 3});
  ByteWriter out;
  p.Save(out);
  ByteReader in(out.bytes());
  const auto loaded = Preparation::Load(in);
  REQUIRE(loaded.ok());
  CHECK(in.Finish().ok());
  CHECK(loaded->history() == 2);
  CHECK(loaded->features().back().name == p.features().back().name);
  CHECK(loaded->features().back().lag == 2);
  CHECK(SameBits(*p.Apply(t), *loaded->Apply(t)));
  for (size_t n = 0; n < out.bytes().size(); ++n) {
    ByteReader cut(std::string_view(out.bytes()).substr(0, n));
    CHECK(absl::IsDataLoss(Preparation::Load(cut).status()));
  }
  Rng rng(7);
  for (int round = 0; round < 20000; ++round) {
    std::string bytes = out.bytes();
    for (uint64_t k = 0; k <= rng.Below(4); ++k) bytes[rng.Below(bytes.size())] = static_cast<char>(rng.Below(256));
    ByteReader damaged(bytes);
    const auto result = Preparation::Load(damaged);
    if (!result.ok()) {
      REQUIRE(absl::IsDataLoss(result.status()));
    } else {
      REQUIRE(result->history() < kMaxWindow);
      (void)result->Apply(t);  // must not crash, whatever it says
    }
  }
}

TEST_CASE("window rows: picked rows keep their history, each row once, whatever the runs") {
  const Table t = Series(120, 9);
  for (const int window : {1, 2, 7}) {
    const Preparation p = Prepared(t, {.window = window});
    const Matrix whole = *p.Apply(t);
    Rng rng(10);
    for (int round = 0; round < 30; ++round) {
      RowHistory history(p.history());
      WindowRows picker(p.history());
      std::vector<int64_t> index;
      const auto held = [&](const std::vector<int64_t>& rows) {  // of the table, each once
        std::set<int64_t> all;
        for (const int64_t row : rows) {
          for (int64_t r = std::max<int64_t>(0, row - p.history()); r <= row; ++r) all.insert(r);
        }
        return std::ssize(all);
      };
      const auto check = [&] {
        const WindowRows::Picked picked = picker.Take();
        REQUIRE(picked.table.rows() == held(index));
        const Matrix X = *p.ApplyRows(picked.table, picked.rows);
        REQUIRE(X.rows() == static_cast<int64_t>(index.size()));
        for (size_t i = 0; i < index.size(); ++i) {
          for (int64_t f = 0; f < X.cols(); ++f) REQUIRE(SameBits(X(static_cast<int64_t>(i), f), whole(index[i], f)));
        }
        index.clear();
      };
      for (int64_t begin = 0; begin < t.rows();) {
        const int64_t count = std::min(t.rows() - begin, 1 + static_cast<int64_t>(rng.Below(25)));
        const auto run = history.Next(SliceRows(t, begin, count));
        REQUIRE(run.ok());
        const int64_t first = begin - run->context_rows;
        std::vector<int64_t> some;
        const auto append = [&] {
          REQUIRE(picker.Append(run->table, first, some).ok());
          some.clear();
        };
        for (int64_t i = 0; i < count; ++i) {
          if (rng.Below(3) == 0) {
            some.push_back(run->context_rows + i);
            index.push_back(begin + i);
          }
          if (rng.Below(6) == 0) append();
          if (rng.Below(15) == 0) {
            append();
            if (picker.rows() > 0) check();
          }
        }
        append();
        begin += count;
      }
      if (picker.rows() > 0) check();
    }
  }
}

TEST_CASE("row history: pieces with other columns are refused, no history costs nothing") {
  const Table t = Series(10, 8);
  RowHistory none(0), two(2);
  CHECK(none.Next(SliceRows(t, 0, 5))->context_rows == 0);
  CHECK(none.Next(SliceRows(t, 5, 5))->table.rows() == 5);
  CHECK(two.Next(SliceRows(t, 0, 1))->context_rows == 0);
  CHECK(two.Next(SliceRows(t, 1, 5))->context_rows == 1);
  CHECK(two.Next(SliceRows(t, 6, 1))->context_rows == 2);
  Table other;
  other.columns.push_back({.name = "w", .values = {1}});
  CHECK(absl::IsInvalidArgument(two.Next(std::move(other)).status()));
}

}  // namespace
}  // namespace vedette::table
