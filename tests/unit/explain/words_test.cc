#include "explain/words.h"

#include <catch2/catch.hpp>
#include <limits>

namespace vedette::explain {

TEST_CASE("numbers have three significant digits and thousands separators") {
  CHECK(FormatNumber(0) == "0");
  CHECK(FormatNumber(-0.0) == "0");
  CHECK(FormatNumber(0.1 + 0.2) == "0.3");
  CHECK(FormatNumber(1234567) == "1,230,000");
  CHECK(FormatNumber(-1234567) == "-1,230,000");
  CHECK(FormatNumber(999.7) == "1,000");
  CHECK(FormatNumber(12.344) == "12.3");
  CHECK(FormatNumber(0.00123456) == "0.00123");
  CHECK(FormatNumber(100) == "100");
  CHECK(FormatNumber(1e-17) == "1e-17");
  CHECK(FormatNumber(2.5e18) == "2.5e18");
  CHECK(FormatNumber(1e308) == "1e308");
  CHECK(FormatNumber(std::numeric_limits<double>::quiet_NaN()) == "missing");
  CHECK(FormatNumber(std::numeric_limits<double>::infinity()) == "missing");
}

TEST_CASE("what a cell held is shown in full where that is readable") {
  CHECK(FormatActual(940) == "940");
  CHECK(FormatActual(1234567) == "1,234,567");
  CHECK(FormatActual(-1234) == "-1,234");
  CHECK(FormatActual(1234567.891) == "1,234,567.89");
  CHECK(FormatActual(13.24) == "13.24");
  CHECK(FormatActual(0.30000000000000004) == "0.3");
  CHECK(FormatActual(1e300) == "1e300");
  CHECK(FormatActual(-0.0) == "0");
}

TEST_CASE("percentages never claim certainty that is not there") {
  CHECK(FormatPercent(0.9834) == "98%");
  CHECK(FormatPercent(0.9999) == ">99%");
  CHECK(FormatPercent(1) == "100%");
  CHECK(FormatPercent(0) == "0%");
  CHECK(FormatPercent(0.0001) == "<1%");
  CHECK(FormatPercent(std::numeric_limits<double>::quiet_NaN()) == "unknown");
}

TEST_CASE("text from outside cannot steer the terminal") {
  CHECK(SafeText("plain") == "plain");
  CHECK(SafeText("a\033[31mred\nline\ttab") == "a [31mred line tab");
  CHECK(SafeText("bad\xFF utf8") == "bad? utf8");
  CHECK(SafeText("overlong \xC0\xAF") == "overlong ??");
  CHECK(SafeText("right-to-left \xE2\x80\xAE"
                 "evil") == "right-to-left  evil");
  CHECK(SafeText("höhe", 4) == "höhe");
  CHECK(SafeText("abcdef", 4) == "abc…");
  CHECK(SafeText("", 4).empty());
  CHECK(Width("höhe…") == 5);
}

TEST_CASE("counts") {
  CHECK(FormatCount(0) == "0");
  CHECK(FormatCount(999) == "999");
  CHECK(FormatCount(1000) == "1,000");
  CHECK(FormatCount(-1000000) == "-1,000,000");
}

}  // namespace vedette::explain
