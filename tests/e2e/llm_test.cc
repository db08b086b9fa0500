// A platform with a language model: the stub's words and opinions arrive where a user reads them.
#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "e2e/running_platform.h"
#include "support/llm_stub.h"
#include "vedette/explainer/v1/explainer.grpc.pb.h"

namespace vedette::testing {
namespace {

using nlohmann::json;

std::string First(const RunningPlatform& p, const std::string& job) {
  const auto stub = p.Stub<triage::v1::TriageService>("triage");
  triage::v1::ListAnomaliesRequest request;
  request.set_filter("job = \"" + job + "\"");
  const auto page = runtime::Call(*stub, &triage::v1::TriageService::Stub::ListAnomalies, p.Out(), request);
  INFO(page.status().ToString());
  REQUIRE(page.ok());
  REQUIRE(page->anomalies_size() > 0);
  return page->anomalies(0).name();
}

std::string MetricsOf(const RunningPlatform& p, const std::string& service) {
  for (const auto& s : p.State().services) {
    if (s.name == service) return Shell("curl -sS " + s.metrics).out;
  }
  return "";
}

}  // namespace

TEST_CASE("up with a model's endpoint: its words, its second opinion, over gRPC, REST and the command line") {
  LlmStub stub([](const json& facts) {
    if (facts.contains("allowed_checks")) return LlmStub::Judges("likely_true", "column_1 is far from what is usual.");
    return LlmStub::Words(facts, "What is odd here is column_1.");
  });
  const RunningPlatform p("--llm-url " + stub.url() + " --llm-model stub");
  const Ran upload = p.Vedette(std::string("upload ") + VEDETTE_SOURCE_DIR +
                               "/tests/data/wine.csv --analyze --algorithm ecod --ignore-columns label --quiet");
  INFO(upload.out);
  REQUIRE(upload.code == 0);
  const size_t at = upload.out.find("jobs/");
  REQUIRE(at != std::string::npos);
  const std::string anomaly = First(
      p, upload.out.substr(at, upload.out.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-", at + 5) - at));

  const auto explainer = p.Stub<explainer::v1::ExplainerService>("explainer");
  explainer::v1::ExplainAnomalyRequest why;
  why.set_anomaly(anomaly);
  const auto explained =
      runtime::Call(*explainer, &explainer::v1::ExplainerService::Stub::ExplainAnomaly, p.Out(), why);
  INFO(explained.status().ToString());
  REQUIRE(explained.ok());
  CHECK(explained->text_source() == "llm");
  REQUIRE(explained->contributions_size() > 0);
  // The model was told column_1; the reader gets the name.
  CHECK(explained->text() == "What is odd here is " + explained->contributions(0).feature_name() + ".");
  CHECK_THAT(MetricsOf(p, "explainer"), Catch::Contains("llm_answers_total{") && Catch::Contains("outcome=\"llm\""));

  const Ran asked = p.Vedette("anomalies triage " + anomaly);
  INFO(asked.out);
  CHECK(asked.code == 0);
  CHECK_THAT(asked.out, Catch::Contains("likely true"));
  const Ran show = p.Vedette("anomalies show " + anomaly);
  CHECK_THAT(show.out, Catch::Contains("What is odd here is") && Catch::Contains("Second opinion: likely true"));
  const Ran rest = Shell("curl -sS -H 'Authorization: Bearer " + p.token() + "' --json '{}' '" + p.State().rest +
                         "/v1/" + anomaly + ":triage'");
  INFO(rest.out);
  CHECK(json::parse(rest.out)["opinion"] == "LIKELY_TRUE");
  const Ran stored =
      Shell("curl -sS -H 'Authorization: Bearer " + p.token() + "' '" + p.State().rest + "/v1/" + anomaly + "'");
  const json one = json::parse(stored.out);
  CHECK(one["triage_verdict"]["opinion"] == "LIKELY_TRUE");
  CHECK(one["status"] == "OPEN");
}

}  // namespace vedette::testing
