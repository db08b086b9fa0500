#include <stdlib.h>

#include <catch2/catch.hpp>

#include "base/status.h"
#include "runtime/log.h"
#include "support/llm_app.h"

namespace vedette::platform {
namespace {

using testing::LlmApp;
using testing::LlmStub;

llm::WordingInput Finding() {
  return {.subject = "Row 12",
          .severity = "high",
          .detector = "iforest",
          .features = {{.name = "units sold", .direction = "high", .actual = "940", .expected = "12", .share = "62%"}}};
}

std::string Mistake(const std::function<void(runtime::v1::LlmConfig*)>& change) {
  runtime::v1::LlmConfig config = LlmApp::ConfigFor("http://127.0.0.1:1/v1");
  change(&config);
  const absl::Status status = ValidateLlm(config);
  CHECK_FALSE(status.ok());
  return std::string(Message(status));
}

TEST_CASE("the default configuration is off, valid and asks nobody") {
  CHECK(ValidateLlm(DefaultLlmConfig()).ok());
  LlmApp app(DefaultLlmConfig());
  CHECK_FALSE(app.assistant->on());
  CHECK(app.assistant->Word("acme", Finding(), absl::InfiniteFuture()).degraded_reason == "off");
  CHECK(app.Counted("wording", "off"));
}

TEST_CASE("a bad configuration is answered with the field, never with a secret") {
  using Config = runtime::v1::LlmConfig;
  CHECK_THAT(Mistake([](Config* c) { c->clear_model(); }), Catch::Contains("llm.model"));
  CHECK_THAT(Mistake([](Config* c) { c->set_dialect("palm"); }), Catch::Contains("llm.dialect"));
  CHECK_THAT(Mistake([](Config* c) { c->set_base_url("ftp://x"); }), Catch::Contains("llm.base_url"));
  CHECK_THAT(Mistake([](Config* c) { c->set_base_url("https://x/v1?key=1"); }), Catch::Contains("llm.base_url"));
  CHECK_THAT(Mistake([](Config* c) { c->set_max_output_tokens(15); }), Catch::Contains("llm.max_output_tokens: 15"));
  CHECK_THAT(Mistake([](Config* c) { c->set_timeout_ms(600'001); }), Catch::Contains("llm.timeout_ms"));
  CHECK_THAT(Mistake([](Config* c) { c->set_daily_tokens_per_tenant(0); }),
             Catch::Contains("llm.daily_tokens_per_tenant"));
  CHECK_THAT(Mistake([](Config* c) { c->set_max_concurrent(4'000'000'000); }), Catch::Contains("llm.max_concurrent"));
  CHECK_THAT(Mistake([](Config* c) { c->set_cache_entries(2'000'000); }), Catch::Contains("llm.cache_entries"));
  CHECK_THAT(Mistake([](Config* c) { c->set_max_cell_chars(7); }), Catch::Contains("llm.max_cell_chars"));
  const std::string key = Mistake([](Config* c) { c->set_api_key_env("sk-secret"); });
  CHECK_THAT(key, Catch::Contains("llm.api_key_env") && !Catch::Contains("sk-secret"));
  // Before any key is read: it would travel unencrypted.
  CHECK_THAT(Mistake([](Config* c) {
               c->set_base_url("http://llm.example.com/v1");
               c->set_api_key_file("/run/secrets/key");
             }),
             Catch::Contains("https"));
}

TEST_CASE("the key comes from a file or the environment, reaches the server, and is in no log, metric or error") {
  LlmStub stub([](const nlohmann::json& facts) { return LlmStub::Words(facts, "units sold is far above normal."); });
  const testing::ScratchDir dir;
  runtime::v1::LlmConfig config = LlmApp::ConfigFor(stub.url());
  config.set_api_key_file(dir.Write("key", "sk-from-file\n"));
  CHECK_THAT(runtime::PrintConfig(config), !Catch::Contains("sk-from-file"));
  static std::string log;
  log.clear();
  runtime::SetLogSink([](std::string_view line) { log += line; });
  {
    LlmApp app(config, runtime::Severity::kDebug);
    CHECK(app.assistant->Word("acme", Finding(), absl::InfiniteFuture()).ok);
    CHECK(stub.authorization() == "Bearer sk-from-file");
    CHECK_THAT(app.app->metrics().Scrape(), !Catch::Contains("sk-from-file"));
  }
  config.clear_api_key_file();
  config.set_api_key_env("VEDETTE_TEST_LLM_KEY");
  ::setenv("VEDETTE_TEST_LLM_KEY", "sk-from-env", 1);
  {
    LlmApp app(config, runtime::Severity::kDebug);
    CHECK(app.assistant->Word("acme", Finding(), absl::InfiniteFuture()).ok);
    CHECK(stub.authorization() == "Bearer sk-from-env");
  }
  ::unsetenv("VEDETTE_TEST_LLM_KEY");
  testing::Keys keys;
  auto app = testing::MustCreate("llm-test", keys.ServerConfig());
  CHECK(absl::IsNotFound(OpenLlm(*app, nullptr, config).status()));
  runtime::SetLogSink(nullptr);
  CHECK_THAT(log, Catch::Contains("language model") && !Catch::Contains("sk-from"));
}

TEST_CASE("answers, calls, tokens and times are counted by use") {
  LlmStub stub([](const nlohmann::json& facts) { return LlmStub::Words(facts, "units sold is far above normal."); });
  LlmApp app(LlmApp::ConfigFor(stub.url()));
  const llm::Wording first = app.assistant->Word("acme", Finding(), absl::InfiniteFuture());
  CHECK(first.text == "units sold is far above normal.");
  CHECK(app.assistant->Word("acme", Finding(), absl::InfiniteFuture()).cached);
  CHECK(app.Counted("wording", "llm"));
  CHECK(app.Counted("wording", "cache"));
  const std::string metrics = app.app->metrics().Scrape();
  CHECK_THAT(metrics, Catch::Contains("llm_calls_total{") && Catch::Contains("llm_tokens_total{") &&
                          Catch::Contains("llm_seconds_bucket{"));
}

TEST_CASE("by default no name and no text of the tenant's is sent, and the reader still gets them") {
  LlmStub stub(
      [](const nlohmann::json& facts) { return LlmStub::Words(facts, "column_1 is not usual_text_1 but text_1."); });
  runtime::v1::LlmConfig config = LlmApp::ConfigFor(stub.url());
  config.set_raw_strings(false);
  LlmApp app(config);
  llm::WordingInput input = Finding();
  input.features = {{.name = "patient",
                     .direction = "different",
                     .actual = "Jane Roe",
                     .expected = "John Doe",
                     .numeric = false,
                     .share = "90%"}};
  CHECK(app.assistant->Word("acme", input, absl::InfiniteFuture()).text == "patient is not John Doe but Jane Roe.");
  for (const char* secret : {"patient", "Jane", "Doe", "acme"})
    CHECK_THAT(stub.bodies().at(0), !Catch::Contains(secret));
}

TEST_CASE("a tenant's list of columns holds, * stands for the others, and an empty list lets nothing out") {
  LlmStub stub([](const nlohmann::json& facts) { return LlmStub::Words(facts, "units sold is far above normal."); });
  runtime::v1::LlmConfig config = LlmApp::ConfigFor(stub.url());
  (*config.mutable_allowed_columns())["acme"].add_columns("units sold");
  (*config.mutable_allowed_columns())["mute"];
  (*config.mutable_allowed_columns())["*"].add_columns("price");
  LlmApp app(config);
  llm::WordingInput input = Finding();
  input.features.push_back({.name = "salary", .direction = "high", .actual = "7", .expected = "6", .share = "1%"});
  CHECK(app.assistant->Word("acme", input, absl::InfiniteFuture()).ok);
  CHECK_THAT(stub.bodies().at(0), !Catch::Contains("salary"));
  CHECK(app.assistant->Word("mute", input, absl::InfiniteFuture()).degraded_reason == "withheld");
  CHECK(app.assistant->Word("other", input, absl::InfiniteFuture()).degraded_reason == "withheld");
  CHECK(stub.calls == 1);
  CHECK(app.Counted("wording", "withheld", 2));
}

TEST_CASE("every reason is a label, and an unknown one is other") {
  CHECK(llm::OutcomeLabel(false, false, "ungrounded") == "ungrounded");
  CHECK(llm::OutcomeLabel(false, false, "said by a server") == "other");
  CHECK(llm::OutcomeLabel(true, false, "prompt_truncated") == "llm");
  CHECK(llm::OutcomeLabel(true, true, "") == "cache");
}

TEST_CASE("a quarter of what is left, at most two seconds, stays for the caller") {
  const absl::Time now = absl::FromUnixSeconds(1'800'000'000);
  CHECK(llm::AnswerBy(now + absl::Seconds(4), now) == now + absl::Seconds(3));
  CHECK(llm::AnswerBy(now + absl::Minutes(1), now) == now + absl::Seconds(58));
  CHECK(llm::AnswerBy(now - absl::Seconds(1), now) == now - absl::Seconds(1));
  CHECK(llm::AnswerBy(absl::InfiniteFuture(), now) == absl::InfiniteFuture());
}

}  // namespace
}  // namespace vedette::platform
