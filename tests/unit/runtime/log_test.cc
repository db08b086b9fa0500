#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "runtime/log.h"

namespace vedette::runtime {
namespace {

std::vector<std::string> lines;

struct Capture {
  Capture() {
    lines.clear();
    SetLogSink([](std::string_view line) { lines.emplace_back(line); });
  }
  ~Capture() {
    SetLogSink(nullptr);
    InitLog("vedette", Severity::kInfo, LogFormat::kText);
  }
};

TEST_CASE("a log line is one JSON object") {
  const Capture capture;
  InitLog("triage", Severity::kInfo, LogFormat::kJson);
  LogInfo("two\nlines \"quoted\" \x01", {{"rows", 5}, {"share", 0.5}, {"ok", true}, {"who", std::string("a\\b")},
                                         {"odd", std::numeric_limits<double>::quiet_NaN()}});
  LogDebug("not shown");
  REQUIRE(lines.size() == 1);
  const auto line = nlohmann::json::parse(lines[0]);
  CHECK(line["service"] == "triage");
  CHECK(line["severity"] == "INFO");
  CHECK(line["message"] == "two\nlines \"quoted\" \x01");
  CHECK(line["rows"] == 5);
  CHECK(line["share"] == 0.5);
  CHECK(line["ok"] == true);
  CHECK(line["who"] == "a\\b");
  CHECK(line["odd"].is_null());
  CHECK(line["time"].get<std::string>().ends_with("Z"));
  CHECK_FALSE(line.contains("tenant"));
}

TEST_CASE("lines within a scope carry its identifiers") {
  const Capture capture;
  InitLog("triage", Severity::kInfo, LogFormat::kJson);
  {
    const LogScope outer("t1", "r1", "acme");
    {
      const LogScope inner("t2", "r2", "");
      LogWarning("inner");
    }
    LogWarning("outer");
  }
  LogWarning("none");
  REQUIRE(lines.size() == 3);
  CHECK(nlohmann::json::parse(lines[0])["trace_id"] == "t2");
  CHECK_FALSE(nlohmann::json::parse(lines[0]).contains("tenant"));
  CHECK(nlohmann::json::parse(lines[1])["tenant"] == "acme");
  CHECK_FALSE(nlohmann::json::parse(lines[2]).contains("trace_id"));
}

}  // namespace
}  // namespace vedette::runtime
