// Ways to make one score of several, against values worked out by hand; what a text of members may say.
#include "outlier/combination.h"

#include <catch2/catch.hpp>

#include "base/rng.h"
#include "outlier/committee.h"
#include "outlier/registry.h"

namespace vedette::outlier {
namespace {

TEST_CASE("average, maximum, median and weighted mean") {
  const std::vector<double> odd = {3, -1, 7}, even = {4, 1, 2, 10};
  CHECK(Average(odd) == Approx(3));
  CHECK(Maximum(odd) == 7);
  CHECK(Median(odd) == 3);
  CHECK(Median(even) == 3);
  CHECK(Weighted(odd, std::vector<double>{1, 1, 1}) == Approx(3));
  CHECK(Weighted(odd, std::vector<double>{3, 0, 1}) == Approx(4));
}

TEST_CASE("no mean of the largest doubles overflows") {
  const std::vector<double> large(4, 1.7e308);
  CHECK(Average(large) == Approx(1.7e308));
  CHECK(Median(large) == 1.7e308);
  CHECK(Weighted(large, std::vector<double>(4, 2)) == Approx(1.7e308));
}

TEST_CASE("average of maximum and maximum of average differ where a group is mixed") {
  const std::vector<double> scores = {1, 9, 4, 4};
  const std::vector<int32_t> bucket = {0, 0, 1, 1};
  CHECK(AverageOfMaximum(scores, bucket, 2) == Approx(6.5));
  CHECK(MaximumOfAverage(scores, bucket, 2) == Approx(5));
  const std::vector<int32_t> alone = {0, 1, 2, 3};
  CHECK(AverageOfMaximum(scores, alone, 4) == Approx(Average(scores)));
  CHECK(MaximumOfAverage(scores, alone, 4) == Approx(Maximum(scores)));
  const std::vector<int32_t> together = {0, 0, 0, 0};
  CHECK(AverageOfMaximum(scores, together, 1) == Approx(Maximum(scores)));
  CHECK(MaximumOfAverage(scores, together, 1) == Approx(Average(scores)));
}

TEST_CASE("a vote counts scores above the threshold, not at it") {
  CHECK(MajorityVote(std::vector<double>{1, 2, 3, 4}, std::vector<double>{1, 1, 1, 9}) == Approx(0.5));
}

TEST_CASE("ranks among training scores: ties count by half, beyond the ends 0 and 1") {
  const std::vector<double> sorted = {1, 2, 2, 5};
  CHECK(RankAmong(0, sorted) == 0);
  CHECK(RankAmong(2, sorted) == Approx(0.5));
  CHECK(RankAmong(3, sorted) == Approx(0.75));
  CHECK(RankAmong(6, sorted) == 1);
  CHECK(UpperRank(std::vector<double>{0.5, 1}) == Approx((0.0625 + 1) / 2));
  CHECK(UpperRank(std::vector<double>{0.5, 1}, 1) == Approx(0.75));
}

TEST_CASE("members are read from a text, and refused in words") {
  const auto specs = ParseMembers("iforest+knn:n_neighbors=7:scale=standard", "ensemble");
  REQUIRE(specs.ok());
  REQUIRE(specs->size() == 2);
  CHECK((*specs)[1].algorithm == "knn");
  CHECK((*specs)[1].params.at("n_neighbors") == "7");
  CHECK((*specs)[1].standardised);
  CHECK(!(*specs)[0].standardised);
  for (const char* text : {"", "iforest+", "ensemble", "knn:n_neighbors", "knn:n_neighbors=-1", "knn:scale=large", "nonsense"}) {
    INFO(text);
    CHECK(ParseMembers(text, "ensemble").status().code() == absl::StatusCode::kInvalidArgument);
  }
  std::string many = "iforest";
  for (int i = 0; i < 60; ++i) many += "+iforest";
  CHECK(ParseMembers(many, "ensemble").status().code() == absl::StatusCode::kInvalidArgument);
}

TEST_CASE("a committee's explanation has all members' scores, and a saved committee only the members that it can have") {
  Matrix X(40, 3);
  Rng rng(5);
  for (int64_t i = 0; i < 120; ++i) X.data()[i] = rng.Normal();
  auto specs = ParseMembers("knn+qmcd+iforest:n_estimators=10", "ensemble");
  REQUIRE(specs.ok());
  Committee committee;
  REQUIRE(committee.Fit(*specs, X, Context{}).ok());
  const auto scores = committee.Score(X, Context{});
  REQUIRE(scores.ok());
  int64_t rows = 0;
  const auto visit = [&](const Committee::Parts& parts) {
    CHECK(parts.first == rows);
    for (int64_t i = 0; i < parts.raw.rows(); ++i) {
      for (int64_t m = 0; m < 3; ++m) CHECK(parts.raw(i, m) == (*scores)(rows + i, m));
    }
    CHECK(parts.members[0] != nullptr);
    CHECK(parts.members[1] == nullptr);  // qmcd has no parts
    rows += parts.raw.rows();
    return absl::OkStatus();
  };
  REQUIRE(committee.ExplainAll(X, Context{}, visit).ok());
  CHECK(rows == 40);
  ByteWriter state;  // of feature_bagging, whose members are of one algorithm
  state.U32(1);
  committee.Save(state);
  const auto bagging = MakeMember("feature_bagging");
  REQUIRE(bagging.ok());
  ByteReader in(state.bytes());
  CHECK(absl::IsDataLoss((*bagging)->Load(in)));
}

}  // namespace
}  // namespace vedette::outlier
