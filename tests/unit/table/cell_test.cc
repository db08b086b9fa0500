#include "table/cell.h"

#include <catch2/catch.hpp>

#include <cmath>
#include <cstring>
#include <limits>

#include "base/rng.h"
#include "table/csv.h"
#include "table/encoding.h"
#include "table/fast_number.h"

namespace vedette::table {
namespace {

double Number(std::string_view text, DecimalMark mark = DecimalMark::kPoint) {
  double v = std::numeric_limits<double>::quiet_NaN();
  return ParseNumberAs(text, mark, &v) ? v : std::numeric_limits<double>::quiet_NaN();
}
std::string Reason(std::string_view text) {
  double v = 0;
  std::string reason;
  return ParseNumber(text, &v, &reason) ? "" : reason;
}

TEST_CASE("number: as people write them") {
  const std::pair<std::string_view, double> cases[] = {
      {"0", 0}, {"-0", -0.0}, {"7", 7}, {" 7 ", 7}, {"+7", 7}, {"-7.5", -7.5}, {".5", 0.5}, {"5.", 5}, {"1e308", 1e308},
      {"1E-3", 1e-3}, {"4.9e-324", 4.9e-324}, {"1e-400", 0}, {"1,234.5", 1234.5}, {"1,234,567", 1234567}, {"12,345", 12345},
      {"(1,234)", -1234}, {"( 12.5 )", -12.5}, {"12%", 0.12}, {"12.5 %", 0.125}, {"-3%", -0.03}, {"$3.50", 3.5}, {"-$3.50", -3.5},
      {"$-3.50", -3.5}, {"($3.50)", -3.5}, {"3.50 \xE2\x82\xAC", 3.5}, {"\xC2\xA3" "1,000", 1000}, {"\xE2\x88\x92" "5", -5},
      {"1,234.50-", -1234.5}, {"1 234 567", 1234567}, {"1\xC2\xA0" "234,", std::nan("")}, {"1\xE2\x80\xAF" "234", 1234},
      {"1'234.50", 1234.5}, {"123456789012345678901234567890", 123456789012345678901234567890.0}, {"0.1", 0.1},
      {"9007199254740993", 9007199254740992.0}, {"1.7976931348623157e308", std::numeric_limits<double>::max()}};
  for (const auto& [text, value] : cases) {
    CAPTURE(text);
    if (std::isnan(value)) {
      CHECK(std::isnan(Number(text)));
    } else {
      CHECK(Number(text) == value);
      CHECK(std::signbit(Number(text)) == std::signbit(value));
    }
  }
}

TEST_CASE("number: with a decimal comma") {
  CHECK(Number("1,5", DecimalMark::kComma) == 1.5);
  CHECK(Number("1.234,5", DecimalMark::kComma) == 1234.5);
  CHECK(Number("1.234", DecimalMark::kComma) == 1234);
  CHECK(Number("-0,25 %", DecimalMark::kComma) == -0.0025);
  CHECK(std::isnan(Number("1,234.5", DecimalMark::kComma)));
  CHECK(std::isnan(Number("1.5", DecimalMark::kComma)));
}

TEST_CASE("number: refused, with a reason") {
  for (const std::string_view text : {"abc", "1,23", "1,2345", "12,34,567", "0,123", "1.2.3", "1e", "e5", "--5", "1-2", "5 5", "0x10",
                                      "1_000", "$", "%", "()", "(", "1,234 567", ",5", "1,,234", "192.168.1.1", "12abc", "\0"}) {
    CAPTURE(text);
    CHECK(Reason(text) != "");
  }
  CHECK(Reason("1e309") == "too large for a double");
  CHECK(Reason("-1e999") == "too large for a double");
  CHECK(Reason("inf") == "infinite");
  CHECK(Reason("-Infinity") == "infinite");
  CHECK(Reason("NaN") == "not a usable number (nan)");
  CHECK(Reason("  ") == "empty");
  CHECK(Reason(std::string(5000, '9')) != "");
}

TEST_CASE("number: the fast path and the careful one give the same bits") {
  Rng rng(3);
  int fast = 0;
  for (int i = 0; i < 200000; ++i) {
    std::string text = rng.Below(2) == 0 ? "-" : "";
    const uint64_t before = rng.Below(12), after = rng.Below(12);
    for (uint64_t k = 0; k < before; ++k) text += static_cast<char>('0' + rng.Below(10));
    if (rng.Below(4) != 0) text += '.';
    for (uint64_t k = 0; k < after; ++k) text += static_cast<char>('0' + rng.Below(10));
    if (rng.Below(50) == 0) text.insert(rng.Below(text.size() + 1), 1, "e-+x, .\""[rng.Below(8)]);
    char padded[64 + kNumberPadding] = {};
    std::memset(padded, '3', sizeof padded);
    std::memcpy(padded, text.data(), text.size());
    double a = 0;
    if (!FastNumber(padded, padded + text.size(), '.', &a)) continue;
    ++fast;
    CAPTURE(text);
    const double b = std::strtod(text.c_str(), nullptr);
    if (std::bit_cast<uint64_t>(a) != std::bit_cast<uint64_t>(b)) CHECK(a == b);
    if (std::bit_cast<uint64_t>(a) != std::bit_cast<uint64_t>(Number(text))) CHECK(a == Number(text));
  }
  CHECK(fast > 150000);
}

TEST_CASE("number: written so that it reads back") {
  Rng rng(5);
  for (int i = 0; i < 20000; ++i) {
    const double v = std::bit_cast<double>(rng.Next());
    if (!std::isfinite(v)) continue;
    if (Number(FormatNumber(v)) != v) CHECK(FormatNumber(v) == "");
  }
  CHECK(FormatNumber(0.1) == "0.1");
  CHECK(FormatNumber(-7) == "-7");
}

TEST_CASE("missing: the documented spellings and no others") {
  for (const std::string_view text : {"", " ", "NA", "n/a", "N/A", "#N/A", "null", "NULL", "None", "nil", "-", "--", ".", "?", "nan", "NaN",
                                      "\\N", "<NA>", "missing", "#REF!", "\xC2\xA0"}) {
    CAPTURE(text);
    CHECK(IsMissingText(text));
  }
  for (const std::string_view text : {"0", "no", "nano", "x", "---", "none of it", "false"}) CHECK_FALSE(IsMissingText(text));
}

double Time(std::string_view text, DateOrder order = DateOrder::kMonthFirst) {
  double s = 0;
  return ParseTimestamp(text, order, &s) ? s : std::numeric_limits<double>::quiet_NaN();
}

TEST_CASE("time: forms") {
  const double day = 1706659200;  // 2024-01-31
  for (const std::string_view text : {"2024-01-31", "2024/01/31", "2024-1-31", "31.01.2024", "31. 1. 2024", "31.1.2024", "31 Jan 2024", "31-Jan-2024",
                                      "Jan 31, 2024", "January 31 2024", "01/31/2024", "2024-01-31T00:00:00Z", "2024-01-31 00:00",
                                      "2024-01-31T02:00:00+02:00", "2024-01-30 22:00:00-0200", "2024-01-31 12:00 AM", "31 January, 2024",
                                      "2024-01-31 00:00:00 UTC"}) {
    CAPTURE(text);
    CHECK(Time(text) == day);
  }
  CHECK(Time("31/01/2024", DateOrder::kDayFirst) == day);
  CHECK(std::isnan(Time("31/01/2024")));
  CHECK(Time("2024-01") == 1704067200);
  CHECK(Time("1969-12-31T23:59:59.5Z") == -0.5);
  CHECK(Time("2024-02-29") == 1709164800);
  CHECK(Time("2024-01-31 01:02:03.25 PM") == day + 13 * 3600 + 123.25);
}

TEST_CASE("time: refused") {
  for (const std::string_view text : {"", "2024", "20240131", "2023-02-29", "2024-13-01", "2024-00-10", "2024-01-32", "2024-01-31T24:00", "2024-01-31T10",
                                      "12:30", "31-01-24", "2024-01-31x", "2024-01-31T10:00+2", "Janvier 3, 2024", "1.2.3", "0000-01-01", "may be later",
                                      "2024-01T10:00", "0001-01-01T00:00+02:00"}) {
    CAPTURE(text);
    CHECK(std::isnan(Time(text)));
  }
}

TEST_CASE("time: written so that it reads back, to the microsecond") {
  CHECK(FormatTimestamp(1706659200.25) == "2024-01-31T00:00:00.25Z");
  CHECK(FormatTimestamp(-0.5) == "1969-12-31T23:59:59.5Z");
  CHECK(FormatTimestamp(253402300799.0) == "9999-12-31T23:59:59Z");
  CHECK(FormatTimestamp(1e300).empty());
  Rng rng(9);
  for (int i = 0; i < 20000; ++i) {
    const double t = Time(FormatTimestamp(rng.Uniform(-6e10, 2.5e11)));
    if (Time(FormatTimestamp(t)) != t) CHECK(Time(FormatTimestamp(t)) == t);
  }
}

TEST_CASE("encoding: UTF-8 is told from what only looks like it") {
  CHECK(IsUtf8("plain"));
  CHECK(IsUtf8("\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80"));
  for (const std::string_view bad : {"\xE9", "\xC0\x80", "\xED\xA0\x80", "\xF4\x90\x80\x80", "\xE2\x82", "\x80"}) CHECK_FALSE(IsUtf8(bad));
  CHECK(Windows1252ToUtf8("\x80\xE9\x81") == "\xE2\x82\xAC\xC3\xA9\xC2\x81");
  CHECK(Printable("a\nb\xE9", 64) == "a?b\xC3\xA9");
  CHECK(Printable("\xC3\xA9\xC3\xA9", 3) == "\xC3\xA9");
}

}  // namespace
}  // namespace vedette::table
