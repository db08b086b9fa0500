// The canned replies of the shared folder over real HTTP, each with the handling that is listed beside it.
#include <httplib.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>

#include "llm/curl_transport.h"
#include "unit/llm/support.h"

namespace vedette::llm {
namespace {

/// Serves one reply for ever on a free port.
class Stub {
 public:
  explicit Stub(const HttpReply& reply) {
    server_.Post("/v1/chat/completions", [this, reply](const httplib::Request&, httplib::Response& response) {
      ++calls;
      response.status = reply.status;
      std::string type = "application/json";
      for (const auto& [name, value] : reply.headers) {
        if (name == "content-type") type = value;
        else response.set_header(name.c_str(), value);
      }
      response.set_content(reply.body, type.c_str());
    });
    port_ = server_.bind_to_any_port("127.0.0.1");
    thread_ = std::thread([this] { server_.listen_after_bind(); });
  }
  ~Stub() {
    // stop() before the server runs would be lost.
    while (!server_.is_running()) std::this_thread::yield();
    server_.stop();
    thread_.join();
  }
  std::string url() const { return "http://127.0.0.1:" + std::to_string(port_) + "/v1"; }
  std::atomic<int> calls = 0;

 private:
  httplib::Server server_;
  int port_ = 0;
  std::thread thread_;
};

/// Empty, said loudly, when the shared folder is absent.
Json Canned() {
  const std::string path = VEDETTE_SOURCE_DIR "/../shared/oracle/llm_api/responses.json";
  if (!std::filesystem::exists(path)) {
    if (std::getenv("CI") != nullptr) FAIL("the shared folder is absent, and CI needs it");
    WARN("SKIPPED: the shared canned replies are absent");
    return Json::array();
  }
  std::ifstream in(path);
  return Json::parse(in);
}

void Expect(const Json& expect, const Completion& done, int calls, const Bench& b) {
  const std::string outcome = expect["outcome"];
  if (outcome == "ok" || outcome == "warn") {
    CHECK(done.ok);
    CHECK(done.warning == expect.value("reason", ""));
    if (expect.contains("prompt_tokens") && expect["prompt_tokens"].is_number()) CHECK(done.prompt_tokens == expect["prompt_tokens"]);
    if (expect.contains("completion_tokens")) CHECK(done.completion_tokens == expect["completion_tokens"]);
    CHECK(done.prompt_tokens > 0);
    return;
  }
  CHECK_FALSE(done.ok);
  if (outcome == "retry") {
    CHECK(calls == 2);
    REQUIRE(b.sleeps.size() == 1);
    const double wait = absl::ToDoubleSeconds(b.sleeps[0]);
    if (expect.contains("wait_s")) CHECK(wait == Approx(expect["wait_s"].get<double>()));
    if (expect.contains("wait_s_range")) CHECK((wait >= expect["wait_s_range"][0] && wait <= expect["wait_s_range"][1]));
    return;
  }
  if (expect.contains("reason")) CHECK(done.reason == expect["reason"]);
  CHECK(b.sleeps.empty());
  CHECK(calls == 1 + (expect.value("retry", false) ? expect.value("max_retries", 1) : 0));
}

void Play(const std::string& name) {
  for (const Json& entry : Canned()) {
    if (entry["name"] != name) continue;
    HttpReply reply{.status = entry["status"]};
    for (const auto& [header, value] : entry["headers"].items()) reply.headers[header] = value;
    reply.body = entry.contains("raw_body") ? entry["raw_body"].get<std::string>() : entry["body"].dump();
    Stub stub(reply);
    Settings s = TestSettings();
    s.base_url = stub.url();
    s.max_retries = 1;
    const std::string dialect = entry["dialect"];
    if (dialect != "any") s.dialect = ParseDialect(dialect).value();
    s.timeout = absl::Minutes(1);
    Bench b;
    b.Start(s, NewCurlTransport());
    WordingInput input = Finding();
    if (name == "silent_context_cut") input.incidents.push_back(std::string(36000, 'x'));  // about 9000 tokens
    const auto ask = [&] {
      return b.client->Complete("t", WordingRequest(input, {}), [&](const Json& a) { return CheckWording(a, input, {}); });
    };
    const Completion done = ask();
    INFO(name << ": " << done.reason << " after " << stub.calls << " calls");
    Expect(entry["expect"], done, stub.calls, b);
    if (entry["expect"].value("open_circuit", false)) CHECK(ask().reason == "circuit_open");
    return;
  }
}

#define CANNED(name) \
  TEST_CASE("canned reply: " name) { Play(name); }
CANNED("ok")
CANNED("ok_unknown_fields")
CANNED("refusal")
CANNED("truncated")
CANNED("content_filter")
CANNED("reasoning_ate_budget")
CANNED("fenced_json")
CANNED("prose_not_json")
CANNED("schema_violation")
CANNED("invented_feature")
CANNED("empty_choices")
CANNED("no_usage")
CANNED("thinking_field")
CANNED("silent_context_cut")
CANNED("bad_request")
CANNED("context_too_long")
CANNED("context_too_long_new")
CANNED("flat_error_old")
CANNED("unauthorized")
CANNED("model_missing")
CANNED("rate_limited_seconds")
CANNED("rate_limited_ms")
CANNED("rate_limited_no_header")
CANNED("rate_limited_far")
CANNED("quota")
CANNED("server_error")
CANNED("queue_full")
CANNED("html_gateway")
CANNED("should_not_retry")
CANNED("200_with_error")

TEST_CASE("every canned reply has its test") { CHECK((Canned().empty() || Canned().size() == 30)); }

TEST_CASE("over HTTP: an answer arrives, and nobody at the port is unreachable") {
  std::string gone;
  {
    Stub stub(Says(kGood));
    gone = stub.url();
    const HttpReply reply = NewCurlTransport()->Post({.url = gone + "/chat/completions", .body = "{}", .timeout = absl::Seconds(30)});
    CHECK(reply.status == 200);
    CHECK(Read(reply).content == kGood);
  }
  const HttpReply reply = NewCurlTransport()->Post({.url = gone + "/chat/completions", .body = "{}", .timeout = absl::Seconds(30)});
  CHECK(reply.error == TransportError::kUnreachable);
}

TEST_CASE("over HTTP: an endless answer is cut off") {
  Stub stub(Status(200, std::string(kMaxReplyBytes + 1, 'x')));
  const HttpReply reply = NewCurlTransport()->Post({.url = stub.url() + "/chat/completions", .body = "{}", .timeout = absl::Seconds(30)});
  CHECK(reply.error == TransportError::kTooLarge);
}

}  // namespace
}  // namespace vedette::llm
