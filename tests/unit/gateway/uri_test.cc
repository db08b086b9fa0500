#include "services/gateway/core/uri.h"

#include <catch2/catch.hpp>

namespace vedette::gateway {

TEST_CASE("a target is split at the first question mark", "[gateway]") {
  const auto target = SplitTarget("/v1/jobs?filter=a?b");
  REQUIRE(target);
  CHECK(target->path == "/v1/jobs");
  CHECK(target->query == "filter=a?b");
  CHECK(SplitTarget("/")->query.empty());
  CHECK_FALSE(SplitTarget(""));
  CHECK_FALSE(SplitTarget("*"));
  CHECK_FALSE(SplitTarget("http://host/v1"));
  CHECK_FALSE(SplitTarget("/a b"));
  CHECK_FALSE(SplitTarget("/a#b"));
  CHECK_FALSE(SplitTarget("/a\x01"));
}

TEST_CASE("segments that name no resource are refused", "[gateway]") {
  CHECK(DecodeSegment("abc") == "abc");
  CHECK(DecodeSegment("a%3Ab") == "a:b");
  CHECK(DecodeSegment("a+b") == "a+b");
  CHECK(DecodeSegment("%C3%A4") == "ä");
  for (const char* hostile : {"", ".", "..", "%2e%2E", "a%2Fb", "a%5cb", "%00", "a%0d%0ab", "%7f", "%", "%1", "%zz",
                              "%ff", "%C0%AF", "%ED%A0%80"}) {
    INFO(hostile);
    CHECK_FALSE(DecodeSegment(hostile));
  }
}

TEST_CASE("a query is decoded in order", "[gateway]") {
  const auto query = ParseQuery("filter=severity+%3E%3D+HIGH&&page_size=5&flag");
  REQUIRE(query.ok());
  CHECK(*query == std::vector<std::pair<std::string, std::string>>{
                      {"filter", "severity >= HIGH"}, {"page_size", "5"}, {"flag", ""}});
  CHECK_FALSE(ParseQuery("a=%").ok());
  CHECK_FALSE(ParseQuery("a=%ff").ok());
  CHECK_FALSE(ParseQuery("a=%00").ok());
  std::string many;
  for (int i = 0; i <= kMaxQueryParameters; ++i) many += "a=1&";
  CHECK_FALSE(ParseQuery(many).ok());
}

TEST_CASE("UTF-8 is checked as the standard says", "[gateway]") {
  CHECK(IsUtf8("plain ä € \xF0\x9F\x98\x80 \xF4\x8F\xBF\xBF"));
  for (const char* bad : {"\x80", "\xC0\x80", "\xC2", "\xE0\x80\x80", "\xED\xA0\x80", "\xF0\x80\x80\x80",
                          "\xF4\x90\x80\x80", "\xF5\x80\x80\x80", "a\xE2\x82"}) {
    CHECK_FALSE(IsUtf8(bad));
  }
}

}  // namespace vedette::gateway
