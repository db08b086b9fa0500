#include "outlier/reranker.h"

#include <catch2/catch.hpp>

namespace vedette::outlier {
namespace {

struct FakeReranker : Reranker {
  absl::StatusOr<std::vector<RerankedPick>> answer;
  RerankQuestion asked;
  absl::StatusOr<std::vector<RerankedPick>> Rerank(const RerankQuestion& question, const Context&) override {
    asked = question;
    return answer;
  }
};

Selection Two() {
  Pick a{.algorithm = "iforest", .params = {}, .reason = "first", .expected_quality = 0.8, .cost = {}};
  Pick b{.algorithm = "knn", .params = {{"n_neighbors", "9"}}, .reason = "second", .expected_quality = 0.7, .cost = {}};
  return {"iforest", {}, "first", {a, b}};
}

}  // namespace

TEST_CASE("a reranker may only put valid proposals in another order") {
  FakeReranker fake;
  DataProfile profile;
  profile.rows = 77;
  fake.answer = std::vector<RerankedPick>{{"made_up", "because"}, {"knn", "local anomalies"}, {"knn", "again"}};
  const Selection s = Reranked(Two(), profile, fake, Context{});
  CHECK(fake.asked.sample_size == 77);
  CHECK(fake.asked.available.size() == 2);
  REQUIRE(s.picks.size() == 2);
  CHECK(s.algorithm == "knn");
  CHECK(s.params.at("n_neighbors") == "9");
  CHECK(s.reason == "local anomalies");
  CHECK(s.picks[1].algorithm == "iforest");
  fake.answer = std::vector<RerankedPick>{{"rm -rf", "x"}};
  CHECK(Reranked(Two(), profile, fake, Context{}).reason == "first");
  fake.answer = absl::UnavailableError("no answer");
  CHECK(Reranked(Two(), profile, fake, Context{}).algorithm == "iforest");
}

}  // namespace vedette::outlier
