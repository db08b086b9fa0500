// Why a row was flagged, over REST and the command line: methods, what would make it normal, and what is near it.
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <chrono>
#include <cmath>
#include <nlohmann/json.hpp>
#include <thread>

#include "e2e/running_platform.h"

namespace vedette::testing {
namespace {

using nlohmann::json;

const RunningPlatform& Platform() { return SharedPlatform(); }

json Rest(const std::string& arguments) {
  const Ran ran = Shell("curl -sS -H 'Authorization: Bearer " + Platform().token() + "' " + arguments);
  INFO(ran.out);
  REQUIRE(ran.code == 0);
  return json::parse(ran.out);
}
json Get(const std::string& path) { return Rest("'" + Platform().State().rest + path + "'"); }
json Post(const std::string& path, const json& body) {
  return Rest("-X POST -H 'Content-Type: application/json' -d '" + body.dump() + "' '" + Platform().State().rest +
              path + "'");
}

/// Shops with a usual price of about 10 and units of about 100, and two rows whose price is far too high, an hour
/// apart.
std::string Shops() {
  std::string text = "entity,day,price,units\n";
  for (int i = 0; i < 300; ++i) {
    const bool odd = i == 100 || i == 250;
    text += fmt::format("shop-{},2024-03-{:02}T{:02}:00:00Z,{:.2f},{:.1f}\n", i % 5, 1 + i / 24, i % 24,
                        odd ? 500 + i / 10.0 : 10 + std::sin(i), 100 + std::cos(i) * 3);
  }
  return text;
}

/// The anomalies of the two odd rows.
std::vector<json> Analyse(const std::string& algorithm) {
  const std::string file = fmt::format("/tmp/vedette-e2e-explain-{}.csv", ::getpid());
  std::FILE* out = std::fopen(file.c_str(), "w");
  REQUIRE(out != nullptr);
  std::fputs(Shops().c_str(), out);
  std::fclose(out);
  const json dataset = Rest("-H 'Content-Type: text/csv' --data-binary @" + file + " '" + Platform().State().rest +
                            "/v1/datasets:upload?display_name=shops'");
  std::remove(file.c_str());
  const json job =
      Post("/v1/" + dataset["name"].get<std::string>() + ":analyze",
           {{"detector",
             {{"algorithm", algorithm}, {"contamination", 0.01}, {"prepare", {{"ignore_columns", {"entity"}}}}}}});
  INFO(job.dump());
  REQUIRE(Platform().Await(job["name"]).state() == jobs::v1::Job::SUCCEEDED);
  const json page = Rest("--get --data-urlencode 'filter=job=\"" + job["name"].get<std::string>() +
                         "\"' --data-urlencode 'order_by=row_index' '" + Platform().State().rest + "/v1/anomalies'");
  std::vector<json> odd;
  for (const json& a : page["anomalies"]) {
    if (a["row_index"] == "100" || a["row_index"] == "250") odd.push_back(a);
  }
  INFO(page.dump());
  REQUIRE(odd.size() == 2);
  return odd;
}

}  // namespace

TEST_CASE("an anomaly is explained by every method that fits, over REST, and what was computed is listed") {
  const std::vector<json> odd = Analyse("iforest");
  const std::string anomaly = "/v1/" + odd[1]["name"].get<std::string>();
  CHECK(odd[1]["entity"] == "entities/shop-0");
  for (const std::string method :
       {"native", "shap", "tree_shap", "exact", "kernel_shap", "lime", "counterfactual", "diffi"}) {
    CAPTURE(method);
    const json e = Post(anomaly + ":explain", {{"method", method}, {"numbers_only", true}});
    INFO(e.dump(1));
    REQUIRE(e.contains("contributions"));
    CHECK(e["degraded_reason"] == "");
    CHECK(e["method"] == (method == "shap" ? "tree_shap" : method));
    CHECK(e["contributions"].size() == 2);
    if (method == "lime") continue;  // so far out a forest's score is flat: a local model has nothing to say
    CHECK(e["contributions"][0]["feature_name"] == "price");
    CHECK(e["contributions"][0]["direction"] == "high");
    CHECK(e["contributions"][0]["percentile"] == 100);
    if (e.contains("additivity_error")) CHECK(e["additivity_error"].get<double>() < 1e-9);
  }
  const json listed = Get(anomaly + "/explanations");
  INFO(listed.dump());
  CHECK(listed["explanations"].size() == 7);
  CHECK(listed["explanations"][0]["method"] == "native");  // it came with the finding

  const json batch =
      Post("/v1/anomalies:batchExplain",
           {{"anomalies", {odd[0]["name"], "anomalies/018f4e1c-0000-7000-8000-000000000001", odd[1]["name"]}},
            {"method", "tree_shap"},
            {"numbers_only", true}});
  INFO(batch.dump(1));
  REQUIRE(batch["results"].size() == 3);
  CHECK(batch["results"][0]["explanation"]["method"] == "tree_shap");
  CHECK(batch["results"][1]["error"]["code"] == "NOT_FOUND");
  CHECK(batch["results"][2]["explanation"]["name"] == listed["explanations"][1]["name"]);

  const Ran stream = Shell("curl -sS -X POST -H 'Authorization: Bearer " + Platform().token() +
                           "' -H 'Content-Type: application/json' -d '" +
                           json{{"anomalies", {odd[0]["name"], odd[1]["name"]}}, {"numbers_only", true}}.dump() +
                           "' '" + Platform().State().rest + "/v1/anomalies:streamExplanations'");
  INFO(stream.out);
  CHECK(std::count(stream.out.begin(), stream.out.end(), '\n') == 2);
  CHECK_THAT(stream.out, Catch::Contains("\"explanation\""));
  const json wrong = Post(anomaly + ":explain", {{"method", "magic"}});
  CHECK(wrong["error"]["status"] == "INVALID_ARGUMENT");
  const json unfit = Post(anomaly + ":explain", {{"frozen_columns", {"nonsense"}}});
  CHECK(unfit["error"]["status"] == "INVALID_ARGUMENT");
}

TEST_CASE("what is near an anomaly: what would make it normal, incidents like it and their outcome, changes, peers") {
  const json release = Post("/v1/changeEvents",
                            {{"kind", "release"}, {"title", "New price list"}, {"event_time", "2024-03-11T09:00:00Z"}});
  INFO(release.dump());
  REQUIRE(release.contains("name"));
  json members = json::array();
  for (int i = 0; i < 5; ++i) members.push_back(fmt::format("entities/shop-{}", i));
  const json group = Post("/v1/peerGroups?peer_group_id=shops", {{"display_name", "shops"}, {"members", members}});
  INFO(group.dump());
  json values = json::array();
  for (int i = 0; i < 5; ++i)
    values.push_back({{"entity", members[static_cast<size_t>(i)]}, {"value", i == 0 ? 30.0 : 10.0 + i}});
  const json standing = Post("/v1/peerGroups/shops:refresh", {{"metric", "metrics/price"},
                                                              {"period_start", "2024-03-01T00:00:00Z"},
                                                              {"period_end", "2024-04-01T00:00:00Z"},
                                                              {"values", values}});
  INFO(standing.dump());

  const std::vector<json> odd = Analyse("knn");
  const json verdict =
      Post("/v1/" + odd[0]["name"].get<std::string>() + "/feedback", {{"feedback", {{"verdict", "FALSE_ALARM"}}}});
  INFO(verdict.dump());
  const std::string anomaly = "/v1/" + odd[1]["name"].get<std::string>();
  json e;
  // The verdict comes as a fact: a moment later.
  for (int i = 0; i < 3000; ++i) {
    e = Post(anomaly + ":explain", json::object());
    if (!e["similar_incidents"].empty() && e["similar_incidents"][0]["outcome"] != "") break;
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  INFO(e.dump(1));
  CHECK_THAT(e["degraded_reason"].get<std::string>(), !Catch::Contains("no "));
  CHECK(e["text_source"] == "template");
  REQUIRE(e["counterfactual"]["found"] == true);
  REQUIRE(e["counterfactual"]["changes"].size() == 1);
  CHECK(e["counterfactual"]["changes"][0]["feature_name"] == "price");
  CHECK(e["counterfactual"]["verified_score"].get<double>() <= e["counterfactual"]["threshold"].get<double>());
  CHECK(e["similar_incidents"][0]["anomaly"] == odd[0]["name"]);
  CHECK(e["similar_incidents"][0]["outcome"] == "FALSE_ALARM");
  REQUIRE(e["change_events"].size() == 1);
  CHECK(e["change_events"][0]["title"] == "New price list");
  CHECK(e["change_events"][0]["hours_before"] == 1);
  // shop-0 is seen every five hours; the reading before was normal.
  CHECK(e["off_since"]["entity"] == "entities/shop-0");
  CHECK(e["off_since"]["start_time"] == "2024-03-11T10:00:00Z");
  CHECK(e["off_since"]["last_normal_time"] == "2024-03-11T05:00:00Z");
  CHECK_THAT(e["text"].get<std::string>(),
             Catch::Contains("shop-0 has been off since 2024-03-11 10:00 UTC: the reading before, of 2024-03-11 05:00 "
                             "UTC, was normal. Check"));
  REQUIRE(e["peers"].size() == 1);
  CHECK(e["peers"][0]["metric"] == "metrics/price");
  CHECK(e["peers"][0]["value"] == 30);

  const Ran show = Platform().Vedette("anomalies show " + odd[1]["name"].get<std::string>() + " --method kernel_shap");
  INFO(show.out);
  CHECK(show.code == 0);
  CHECK_THAT(show.out, Catch::Contains("Method: kernel_shap") && Catch::Contains("It would be normal with price") &&
                           Catch::Contains("FALSE_ALARM") && Catch::Contains("New price list") &&
                           Catch::Contains("peerGroups/shops") && Catch::Contains("has been off since"));
}

TEST_CASE("asked for later, an explanation is there after a while") {
  const std::vector<json> odd = Analyse("ecod");
  const std::string anomaly = "/v1/" + odd[0]["name"].get<std::string>();
  json e;
  for (int i = 0; i < 3000; ++i) {
    e = Post(anomaly + ":explain", {{"method", "lime"}, {"asynchronous", true}, {"numbers_only", true}});
    INFO(e.dump());
    REQUIRE(e.contains("method"));
    if (e["method"] == "lime") break;
    CHECK_THAT(e["degraded_reason"].get<std::string>(), Catch::Contains("being computed"));
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  CHECK(e["method"] == "lime");
  CHECK(e["contributions"][0]["feature_name"] == "price");
}

}  // namespace vedette::testing
