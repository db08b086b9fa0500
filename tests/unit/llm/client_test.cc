#include <catch2/catch.hpp>

#include <semaphore>

#include "unit/llm/support.h"

namespace vedette::llm {
namespace {

Wording Ask(Bench& b, absl::Duration within = absl::Hours(1), const std::string& tenant = "t") {
  return Word(*b.client, tenant, Finding(), {}, b.clock.Now() + within);
}

TEST_CASE("a good answer is used, cached per tenant and seen by the observer") {
  Bench b;
  b.Start(TestSettings(), {{Says(kGood)}});
  const Wording first = Ask(b);
  CHECK(first.ok);
  CHECK(first.text == "bytes_out is far above normal");
  CHECK_FALSE(first.cached);
  CHECK(Ask(b).cached);
  CHECK(b.transport->seen.size() == 1);
  CHECK_FALSE(Ask(b, absl::Hours(1), "other").cached);
  REQUIRE(b.observed.size() == 3);
  CHECK(b.observed[0].prompt_tokens == 800);
  CHECK(b.observed[1].prompt_tokens == 0);
  b.clock.Advance(absl::Hours(25));
  CHECK_FALSE(Ask(b).cached);
}

TEST_CASE("the length cap, seed and schema are what the dialect knows") {
  const ChatRequest r = WordingRequest(Finding(), {});
  Settings s = TestSettings();
  const Json ollama = Json::parse(RequestBody(s, r));
  CHECK(ollama["max_tokens"] == 512);
  CHECK_FALSE(ollama.contains("max_completion_tokens"));
  CHECK(ollama["response_format"]["json_schema"]["schema"]["required"].size() == 4);
  s.dialect = Dialect::kOpenAi;
  s.json_schema = false;
  const Json openai = Json::parse(RequestBody(s, r));
  CHECK(openai["max_completion_tokens"] == 512);
  CHECK_FALSE(openai.contains("max_tokens"));
  CHECK_FALSE(openai.contains("temperature"));
  CHECK(openai["response_format"]["type"] == "json_object");
}

TEST_CASE("a slow server costs the caller's deadline and no more") {
  Bench b;
  b.Start(TestSettings(), {{Says(kGood), absl::Seconds(30)}});
  const absl::Time start = b.clock.Now();
  const Wording w = Ask(b, absl::Seconds(2));
  CHECK_FALSE(w.ok);
  CHECK(w.degraded_reason == "timeout");
  CHECK(b.clock.Now() - start == absl::Seconds(2));
  Ask(b);  // without one of the caller's, the setting's
  CHECK(b.clock.Now() - start == absl::Seconds(12));
}

TEST_CASE("an unreachable server is tried three times, then left alone until the circuit closes") {
  Bench b;
  Settings s = TestSettings();
  s.breaker_failures = 2;
  b.Start(s, {{Broken(TransportError::kUnreachable)}, {Broken(TransportError::kUnreachable)}, {Broken(TransportError::kUnreachable)},
              {Broken(TransportError::kUnreachable)}, {Broken(TransportError::kUnreachable)}, {Broken(TransportError::kUnreachable)},
              {Says(kGood)}});
  CHECK(Ask(b).degraded_reason == "unreachable");
  CHECK(b.transport->seen.size() == 3);
  REQUIRE(b.sleeps.size() == 2);
  CHECK((b.sleeps[0] > absl::Seconds(0.375) && b.sleeps[0] <= absl::Seconds(0.5)));
  CHECK((b.sleeps[1] > absl::Seconds(0.75) && b.sleeps[1] <= absl::Seconds(1)));
  CHECK(Ask(b).degraded_reason == "unreachable");
  CHECK(Ask(b).degraded_reason == "circuit_open");
  CHECK(b.transport->seen.size() == 6);
  b.clock.Advance(absl::Seconds(31));
  CHECK(Ask(b).ok);
}

TEST_CASE("over budget the model is not asked; the next day it is") {
  Bench b;
  Settings s = TestSettings();
  s.cache_entries = 0;
  s.daily_tokens_per_tenant = 1500;  // a call reserves over 1000 and uses 860: the second does not fit
  b.Start(s, {{Says(kGood)}});
  CHECK(Ask(b).ok);
  CHECK(Ask(b).degraded_reason == "over_budget");
  CHECK(Ask(b, absl::Hours(1), "other").ok);
  CHECK(b.transport->seen.size() == 2);
  b.clock.Advance(absl::Hours(24));
  CHECK(Ask(b).ok);
}

TEST_CASE("with every slot taken the caller is told busy, and not made to wait for the deadline") {
  struct Gate final : Transport {
    HttpReply Post(const HttpRequest&) override {
      entered.release();
      leave.acquire();
      return Says(kGood);
    }
    std::binary_semaphore entered{0}, leave{0};
  };
  Bench b;
  Settings s = TestSettings();
  s.max_concurrent = 1;
  s.slot_wait = absl::Milliseconds(1);
  auto transport = std::make_unique<Gate>();
  Gate& gate = *transport;
  b.Start(s, std::move(transport));
  bool first = false;
  std::thread other([&] { first = Ask(b).ok; });
  gate.entered.acquire();
  CHECK(Ask(b, absl::Hours(1), "other").degraded_reason == "busy");
  gate.leave.release();
  other.join();
  CHECK(first);
}

TEST_CASE("a wait that does not fit the deadline is not begun") {
  Bench b;
  b.Start(TestSettings(), {{Status(429, "{}", {{"retry-after", "7"}})}});
  CHECK(Ask(b, absl::Seconds(3)).degraded_reason == "rate_limited");
  CHECK(b.sleeps.empty());
}

TEST_CASE("an answer against the schema is asked for once more") {
  Bench b;
  b.Start(TestSettings(), {{Says("{\"headline\":5}")}, {Says(kGood)}});
  CHECK(Ask(b).ok);
  CHECK(b.observed[0].attempts == 2);
  CHECK(b.observed[0].prompt_tokens == 1600);
}

TEST_CASE("a lying or refusing model leaves the template, with the reason") {
  Bench b;
  Settings s = TestSettings();
  const auto headline = [](const std::string& text) {
    Json answer = Json::parse(kGood);
    answer["headline"] = text;
    return Says(answer.dump());
  };
  b.Start(s, {{headline("bytes_out is 77 times above normal")}, {Says("", "content_filter")}, {Says("{", "length")},
              {headline("bytes_out is 940,000, expected about 12,000 (62%)")}});
  CHECK(Ask(b).degraded_reason == "ungrounded");
  CHECK(Ask(b).degraded_reason == "content_filter");
  CHECK(Ask(b).degraded_reason == "length");
  CHECK(Ask(b).text == "bytes_out is 940,000, expected about 12,000 (62%)");
}

TEST_CASE("the key travels in its header only, and not unencrypted to others") {
  Bench b;
  Settings s = TestSettings();
  s.api_key = "sk-secret";
  CHECK(Validate(s).ok());
  b.Start(s, {{Status(401, "{}")}});
  CHECK(Ask(b).degraded_reason == "auth");
  CHECK(b.transport->seen[0].body.find("sk-secret") == std::string::npos);
  CHECK(b.transport->seen[0].headers.back() == "Authorization: Bearer sk-secret");
  CHECK(Ask(b).degraded_reason == "circuit_open");
  s.base_url = "http://llm.example.com/v1";
  const absl::Status bad = Validate(s);
  CHECK_FALSE(bad.ok());
  CHECK(bad.ToString().find("sk-secret") == std::string::npos);
  s.base_url = "https://llm.example.com/v1";
  CHECK(Validate(s).ok());
}

}  // namespace
}  // namespace vedette::llm
