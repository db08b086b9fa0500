#include "outlier/reranker.h"

#include <catch2/catch.hpp>

namespace vedette::outlier {
namespace {

struct FakeReranker : Reranker {
  RerankAnswer answer;
  RerankQuestion asked;
  RerankAnswer Rerank(const RerankQuestion& question, const Context&) override {
    asked = question;
    return answer;
  }
};

Selection Two() {
  Pick a{.algorithm = "iforest", .params = {}, .reason = "first", .expected_quality = 0.8, .cost = {}};
  Pick b{.algorithm = "knn", .params = {{"n_neighbors", "9"}}, .reason = "second", .expected_quality = 0.7, .cost = {}};
  return {"iforest", {}, "first", {a, b}, {}};
}

}  // namespace

TEST_CASE("a reranker may only put valid proposals in another order") {
  FakeReranker fake;
  DataProfile profile;
  profile.rows = 77;
  fake.answer = {.picks = {{"made_up", "because"}, {"knn", "local anomalies"}, {"knn", "again"}},
                 .why_not = "",
                 .prompt = "{}",
                 .answer = "[]"};
  const Selection s = Reranked(Two(), profile, fake, Context{});
  CHECK(fake.asked.sample_size == 77);
  CHECK(fake.asked.available.size() == 2);
  REQUIRE(s.picks.size() == 2);
  CHECK(s.algorithm == "knn");
  CHECK(s.params.at("n_neighbors") == "9");
  CHECK(s.reason == "local anomalies");
  CHECK(s.picks[1].algorithm == "iforest");
  CHECK(s.review.outcome == "reordered");
  CHECK(s.review.prompt == "{}");
  CHECK(s.review.answer == "[]");
  fake.answer = {.picks = {{"iforest", "as you say"}}};
  CHECK(Reranked(Two(), profile, fake, Context{}).review.outcome == "confirmed");
  fake.answer = {.picks = {{"rm -rf", "x"}}};
  const Selection refused = Reranked(Two(), profile, fake, Context{});
  CHECK(refused.reason == "first");
  CHECK_FALSE(refused.review.outcome.empty());
  fake.answer = {.picks = {}, .why_not = "timeout"};
  const Selection unanswered = Reranked(Two(), profile, fake, Context{});
  CHECK(unanswered.algorithm == "iforest");
  CHECK(unanswered.review.outcome == "timeout");
}

}  // namespace vedette::outlier
