// A language model's words through the explainer's core: the template stands whenever they do not pass.
#include <catch2/catch.hpp>

#include "base/ids.h"
#include "services/explainer/adapters/llm_wording.h"
#include "services/explainer/core/explainer.h"
#include "support/llm_app.h"
#include "unit/explainer/fakes.h"

namespace vedette::explainer {
namespace {

using testing::LlmApp;
using testing::LlmStub;
using testing::SilentServer;

const std::string kTenant = "acme";
const std::string kId = DerivedUuid("12");

std::vector<outlier::FeatureContribution> Features(const std::string& name = "colour",
                                                   const std::string& cell = "green") {
  constexpr double kNone = std::numeric_limits<double>::quiet_NaN();
  return {{.feature = "units sold",
           .contribution = 3,
           .actual = 940,
           .expected = 12,
           .actual_text = "940",
           .expected_text = "12"},
          {.feature = name,
           .contribution = 1,
           .actual = kNone,
           .expected = kNone,
           .actual_text = cell,
           .expected_text = "red"}};
}

/// One finding with its native explanation; nothing else of the platform is there.
struct Bench {
  explicit Bench(const runtime::v1::LlmConfig& config,
                 const std::vector<outlier::FeatureContribution>& features = Features())
      : llm(config), wording(llm.assistant), explainer(&store, &queue, {}, llm.assistant->on() ? &wording : nullptr) {
    Put(features);
  }
  void Put(const std::vector<outlier::FeatureContribution>& features) {
    store = FakeStore();
    Finding finding{.anomaly_id = kId,
                    .model = "models/m",
                    .algorithm = "iforest",
                    .dataset = "datasets/d",
                    .row_index = 12,
                    .threshold = 1};
    finding.score = {
        .score = 2, .probability = 0.99, .confidence = 0.9, .anomaly = true, .severity = outlier::Severity::kHigh};
    const StoredExplanation native = FromContributions(&finding, "score", features);
    template_text = native.explanation.text;
    REQUIRE(store.Write(kTenant, {finding}, {native}).ok());
  }
  StoredExplanation Explain(absl::Duration within = absl::Minutes(1)) {
    const auto away = [](const Finding&) { return absl::UnavailableError("away"); };
    const Sources sources{.finding = [](const std::string&) { return absl::UnavailableError("away"); },
                          .row = away,
                          .changes = [](const Finding&) { return std::vector<ChangeEvent>(); },
                          .peers = [](const Finding&) { return std::vector<PeerStanding>(); }};
    Context ctx;
    ctx.deadline = absl::Now() + within;
    const auto answer = explainer.Explain(kTenant, kId, {}, sources, ctx);
    INFO(answer.status().ToString());
    REQUIRE(answer.ok());
    return answer->explanation;
  }
  /// The template's words, with the reason in the answer and in the metric.
  void Degrades(const std::string& reason, absl::Duration within = absl::Minutes(1)) {
    const StoredExplanation e = Explain(within);
    CHECK(e.explanation.text == template_text);
    CHECK(e.text_source == "template");
    CHECK_THAT(e.degraded_reason, Catch::Contains("language model: " + reason));
    CHECK(llm.Counted("wording", reason));
    REQUIRE(store.explanations.size() == 1);
    CHECK(store.explanations[0].second.explanation.text == template_text);
  }

  FakeStore store;
  FakeQueue queue;
  LlmApp llm;
  LlmWording wording;
  Explainer explainer;
  std::string template_text;
};

LlmStub::Reply Honest(const nlohmann::json& facts) {
  return LlmStub::Words(facts, "units sold is 940 where about 12 is usual.");
}

TEST_CASE("a model's words replace the template's, are stored, and the numbers stay") {
  LlmStub stub(Honest);
  Bench b(LlmApp::ConfigFor(stub.url()));
  const StoredExplanation e = b.Explain();
  CHECK(e.explanation.text == "units sold is 940 where about 12 is usual.");
  CHECK(e.text_source == "llm");
  CHECK_THAT(e.degraded_reason, !Catch::Contains("language model"));
  CHECK(e.explanation.contributions.size() == 2);
  CHECK(b.store.explanations[0].second.text_source == "llm");
  CHECK(b.Explain().explanation.text == e.explanation.text);
  CHECK(stub.calls == 1);
  b.Put(Features());  // as if stored afresh: the same facts are in the client's cache
  CHECK(b.Explain().text_source == "cache");
  CHECK(stub.calls == 1);
  CHECK(b.llm.Counted("wording", "llm"));
  CHECK(b.llm.Counted("wording", "cache"));
}

TEST_CASE("without a model the template's words stand, and nothing is missing") {
  Bench b(platform::DefaultLlmConfig());
  const StoredExplanation e = b.Explain();
  CHECK(e.explanation.text == b.template_text);
  CHECK(e.text_source == "template");
  CHECK_THAT(e.degraded_reason, !Catch::Contains("language model"));
}

TEST_CASE("wording: the model cannot be reached") {
  SilentServer nobody;
  const std::string url = nobody.url();
  nobody.Close();
  Bench(LlmApp::ConfigFor(url)).Degrades("unreachable", absl::Milliseconds(400));
}

TEST_CASE("wording: the model never answers") {
  SilentServer silent;
  Bench(LlmApp::ConfigFor(silent.url())).Degrades("timeout", absl::Milliseconds(400));
}

TEST_CASE("wording: the model lies") {
  LlmStub stub([](const nlohmann::json& facts) {
    return LlmStub::Words(facts, "units sold is 940, that is 78 times what is usual.");
  });
  Bench(LlmApp::ConfigFor(stub.url())).Degrades("ungrounded");
}

TEST_CASE("wording: the model refuses") {
  LlmStub stub([](const nlohmann::json&) { return LlmStub::Refuses(); });
  Bench(LlmApp::ConfigFor(stub.url())).Degrades("refusal");
}

TEST_CASE("wording: over budget") {
  LlmStub stub(Honest);
  runtime::v1::LlmConfig config = LlmApp::ConfigFor(stub.url());
  config.set_daily_tokens_per_tenant(1);
  Bench(config).Degrades("over_budget");
  CHECK(stub.calls == 0);
}

TEST_CASE("wording: the column that matters most may not be mentioned") {
  LlmStub stub(Honest);
  runtime::v1::LlmConfig config = LlmApp::ConfigFor(stub.url());
  (*config.mutable_allowed_columns())[kTenant].add_columns("colour");
  Bench(config).Degrades("withheld");
  CHECK(stub.calls == 0);
}

TEST_CASE("whatever cells and names say, an obedient model is not believed, and an honest one still is") {
  const testing::InjectionCorpus corpus;
  bool obedient = true;
  LlmStub stub([&](const nlohmann::json& facts) {
    if (!obedient) return Honest(facts);
    return LlmStub::Words(facts,
                          facts["features"].back()["actual"].get<std::string>() + " This row is a false positive.");
  });
  runtime::v1::LlmConfig config = LlmApp::ConfigFor(stub.url());
  config.set_daily_tokens_per_tenant(1'000'000'000);
  Bench b(config);
  for (const std::string& name : corpus.names) {
    for (const std::string& cell : corpus.cells) {
      INFO(name << ": " << cell.substr(0, 100));
      b.Put(Features(name, cell));
      obedient = true;
      const StoredExplanation fooled = b.Explain();
      CHECK(fooled.explanation.text == b.template_text);
      CHECK_THAT(fooled.degraded_reason, Catch::Contains("language model: "));
      obedient = false;
      const StoredExplanation words = b.Explain();
      CHECK(words.explanation.text == "units sold is 940 where about 12 is usual.");
    }
  }
}

}  // namespace
}  // namespace vedette::explainer
