// The second opinion of a language model on what `auto` proposes, from canned HTTP replies to what is logged of it.
#include <catch2/catch.hpp>

#include "services/detector/adapters/llm_reranker.h"
#include "services/detector/adapters/proto.h"
#include "unit/llm/support.h"

namespace vedette::detector {
namespace {

outlier::DataProfile SomeProfile() {
  outlier::DataProfile p;
  p.rows = 800;
  p.features = 6;
  p.skewness = 0.4;
  p.seasonality = 0.7;
  return p;
}

struct Asked {
  Choice choice;
  std::vector<llm::HttpRequest> requests;
};

/// What becomes of the rules' picks when the server answers so.
Asked Ask(llm::HttpReply reply) {
  ManualClock clock{absl::Now()};
  llm::Surroundings surroundings;
  surroundings.clock = &clock;
  surroundings.sleep = [&clock](absl::Duration wait, std::stop_token) { clock.Advance(wait); };
  auto scripted =
      std::make_unique<llm::ScriptedTransport>(&clock, std::deque<llm::ScriptedTransport::Step>{{std::move(reply)}});
  const llm::ScriptedTransport& transport = *scripted;
  llm::Assistant assistant(
      std::make_unique<llm::Client>(llm::TestSettings(), std::move(scripted), std::move(surroundings)), {}, {});
  LlmReranker reranker(assistant, "acme");
  REQUIRE(reranker.IfOn() == &reranker);
  const outlier::DataProfile profile = SomeProfile();
  const Context ctx{.deadline = absl::Now() + absl::Minutes(1)};
  return {{profile, outlier::Reranked(outlier::Select(profile), profile, reranker, ctx)}, transport.seen};
}

std::vector<std::string> Names(const outlier::Selection& selection) {
  std::vector<std::string> names;
  for (const outlier::Pick& pick : selection.picks) names.push_back(pick.algorithm);
  return names;
}

std::string Ranking(const std::vector<std::string>& order, const std::string& reason = "It suits the data better.") {
  return llm::Json{{"order", order}, {"reason", reason}}.dump();
}

}  // namespace

TEST_CASE("a model's answer changes the order of the proposals, and the log has what was asked and answered") {
  const outlier::Selection rules = outlier::Select(SomeProfile());
  const std::vector<std::string> names = Names(rules);
  REQUIRE(names.size() == 3);
  const Asked asked = Ask(llm::Says(Ranking({names[2], names[0], names[1]})));
  const outlier::Selection& chosen = asked.choice.selection;
  CHECK(Names(chosen) == std::vector<std::string>{names[2], names[0], names[1]});
  CHECK(chosen.algorithm == names[2]);
  CHECK(chosen.params == rules.picks[2].params);
  CHECK(chosen.reason == "It suits the data better.");
  CHECK(chosen.picks[1].reason == rules.picks[0].reason);

  common::v1::ModelSelection logged;
  ToProto(asked.choice, &logged);
  CHECK(logged.review() == "reordered");
  REQUIRE(logged.picks_size() == 3);
  CHECK(logged.picks(0).algorithm() == names[2]);
  for (const auto& pick : logged.picks()) {
    CHECK_FALSE(pick.reason().empty());
    CHECK(pick.expected_quality() > 0.5);
    CHECK(pick.fit_seconds() > 0);
    CHECK(pick.score_seconds_per_row() > 0);
  }
  CHECK(logged.profile().size() == outlier::MetaFeatureNames().size());
  const llm::Json prompt = llm::Json::parse(logged.review_prompt()), answer = llm::Json::parse(logged.review_answer());
  CHECK(prompt["candidates"].size() == 3);
  CHECK(prompt["meta_features"].contains("sample_size"));
  CHECK(prompt["meta_features"].contains("feature_count"));
  CHECK(prompt["meta_features"].contains("seasonality"));
  CHECK(prompt["meta_features"].contains("trend"));
  CHECK(prompt["meta_features"].contains("volatility"));
  CHECK(answer["order"][0] == names[2]);
  CHECK(asked.requests.size() == 1);
}

TEST_CASE("an answer that names anything else, or none at all, leaves the rules' order, and the log says why") {
  const outlier::Selection rules = outlier::Select(SomeProfile());
  const std::vector<std::string> names = Names(rules);
  const auto unchanged = [&](llm::HttpReply reply, const std::string& why) {
    const Asked asked = Ask(std::move(reply));
    CHECK(Names(asked.choice.selection) == names);
    CHECK(asked.choice.selection.reason == rules.reason);
    CHECK(asked.choice.selection.review.outcome == why);
    CHECK_FALSE(asked.choice.selection.review.prompt.empty());
  };
  unchanged(llm::Says(Ranking({names[2], "os.system", names[1]})), "schema");
  unchanged(llm::Says(Ranking({names[2], names[1]})), "schema");
  unchanged(llm::Says(Ranking({names[2], names[2], names[1]})), "schema");
  unchanged(llm::Says(Ranking({names[2], names[1], names[0]}, "Its AUC is 0.9731 on 41 sets.")), "ungrounded");
  unchanged(llm::Says("the first one"), "not_json");
  unchanged(llm::Status(401), "auth");
  unchanged(llm::Broken(llm::TransportError::kUnreachable), "unreachable");
}

TEST_CASE("a model that is off is not asked") {
  llm::Assistant off;
  LlmReranker reranker(off, "acme");
  CHECK(reranker.IfOn() == nullptr);
}

}  // namespace vedette::detector
