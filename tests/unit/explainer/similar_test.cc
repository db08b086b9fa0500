#include "services/explainer/core/similar.h"

#include <catch2/catch.hpp>

namespace vedette::explainer {
namespace {

explain::Contribution Part(std::string name, double share, explain::Direction direction = explain::Direction::kHigh) {
  explain::Contribution c;
  c.feature_name = std::move(name);
  c.contribution = c.share = share;
  c.direction = direction;
  return c;
}

SimilarIncident Incident(std::string id, Signature signature, std::string entity = "", std::string outcome = "",
                         int64_t second = 0) {
  Finding f;
  f.anomaly_id = std::move(id);
  f.signature = std::move(signature);
  f.entity = std::move(entity);
  f.detect_time = absl::FromUnixSeconds(second);
  return {.finding = std::move(f), .similarity = 0, .outcome = std::move(outcome), .outcome_confidence = 0};
}

}  // namespace

TEST_CASE("a signature has the features that push, those that are low by themselves") {
  const std::vector<explain::Contribution> parts = {Part("price", 0.7), Part("units", 0.3, explain::Direction::kLow),
                                                    Part("other", 0)};
  const Signature s = SignatureOf(parts);
  CHECK(s == Signature{{"price", 0.7}, {"units (low)", 0.3}});
  CHECK(DriversOf(s) == std::vector<std::string>{"price", "units (low)"});
  CHECK(DriversOf(s, 1) == std::vector<std::string>{"price"});
  CHECK(SignatureOf({}).empty());
  std::vector<explain::Contribution> many;
  for (int i = 0; i < 100; ++i) many.push_back(Part(std::to_string(i), 0.01));
  CHECK(SignatureOf(many).size() == 16);
}

TEST_CASE("windows: one incident looks the same from every row whose window it is in") {
  const auto seen_from = [](int lag) {
    std::vector<explain::Contribution> parts = {Part("price", 0.6), Part("price", 0.2),
                                                Part("units", 0.2, explain::Direction::kLow)};
    parts[0].lag = lag;
    parts[1].lag = lag + 1;
    return SignatureOf(parts);
  };
  const Signature s = seen_from(0);
  REQUIRE(s.size() == 2);
  CHECK(s.at("price") == Approx(0.8));
  CHECK(s.at("units (low)") == Approx(0.2));
  CHECK(s == seen_from(3));

  // High, then as low: the two are there, and another such incident resembles it.
  Finding a, b;
  std::vector<explain::Contribution> swing = {Part("price", 0.5), Part("price", 0.5, explain::Direction::kLow)};
  swing[1].lag = 1;
  a.signature = SignatureOf(swing);
  std::swap(swing[0].share, swing[1].share);
  swing[0].share += 0.001;
  b.signature = SignatureOf(swing);
  CHECK(a.signature == Signature{{"price", 0.5}, {"price (low)", 0.5}});
  CHECK(Similarity(a, b) > 0.99);
}

TEST_CASE("similarity is the cosine, less for another entity, nothing without a signature") {
  const Finding high = Incident("a", {{"price", 1}}).finding, low = Incident("b", {{"price", -1}}).finding;
  CHECK(Similarity(high, high) == Approx(1));
  CHECK(Similarity(high, low) == Approx(-1));
  CHECK(Similarity(high, Incident("c", {{"price", 3}, {"units", 4}}).finding) == Approx(0.6));
  CHECK(Similarity(high, Incident("d", {}).finding) == 0);
  const Finding here = Incident("e", {{"price", 1}}, "entities/a").finding,
                there = Incident("f", {{"price", 1}}, "entities/b").finding;
  CHECK(Similarity(here, there) == Approx(0.9));
  CHECK(Similarity(here, here) == Approx(1));
  CHECK(Similarity(here, high) == Approx(1));  // one of them names none
}

TEST_CASE("the nearest come first, judged before others, newest before older, far ones not at all") {
  const Finding finding = Incident("x", {{"price", 1}}).finding;
  const auto nearest = NearestOf(
      finding,
      {Incident("old", {{"price", 1}}, "", "", 1), Incident("low", {{"price", -1}}),
       Incident("new", {{"price", 1}}, "", "", 2), Incident("far", {{"price", 1}, {"units", 9}}),
       Incident("judged", {{"price", 1}}, "", "FALSE_ALARM", 0), Incident("near", {{"price", 1}, {"units", 0.5}})},
      10);
  std::vector<std::string> ids;
  for (const auto& n : nearest) ids.push_back(n.finding.anomaly_id);
  CHECK(ids == std::vector<std::string>{"judged", "new", "old", "near"});
  CHECK(NearestOf(finding, {Incident("a", {{"price", 1}}), Incident("b", {{"price", 1}})}, 1).size() == 1);
}

}  // namespace vedette::explainer
