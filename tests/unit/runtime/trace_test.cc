#include <catch2/catch.hpp>

#include "runtime/trace.h"

namespace vedette::runtime {

TEST_CASE("traceparent round trip and children") {
  const std::string text = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
  const auto trace = TraceContext::Parse(text);
  REQUIRE(trace);
  CHECK(trace->ToString() == text);
  CHECK(trace->Child().trace_id == trace->trace_id);
  CHECK(trace->Child().span_id != trace->span_id);
  CHECK(TraceContext::Parse(TraceContext::New().ToString()));
  CHECK_FALSE(TraceContext::Parse("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00")->sampled);
  CHECK(TraceContext::Parse("cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-what-comes-later"));
}

TEST_CASE("traceparents that are not well formed") {
  for (const char* bad : {"", "00", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
                          "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
                          "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
                          "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
                          "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
                          "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-x",
                          "00_4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"}) {
    INFO(bad);
    CHECK_FALSE(TraceContext::Parse(bad));
  }
}

}  // namespace vedette::runtime
