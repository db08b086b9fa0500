// The main job, in every way that a user can start it.
#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>
#include <set>

#include "e2e/running_platform.h"
#include "vedette/explainer/v1/explainer.grpc.pb.h"

namespace vedette::testing {
namespace {

using nlohmann::json;

const std::string kWine = std::string(VEDETTE_SOURCE_DIR) + "/tests/data/wine.csv";

/// The first word that starts like a resource name.
std::string Find(const std::string& text, const std::string& prefix) {
  const size_t at = text.find(prefix);
  if (at == std::string::npos) return "";
  return text.substr(at, text.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-/", at + prefix.size()) - at);
}

std::string Curl(const std::string& arguments) {
  const RunningPlatform& p = SharedPlatform();
  const Ran ran = Shell("curl -sS -H 'Authorization: Bearer " + p.token() + "' " + arguments);
  INFO(ran.out);
  REQUIRE(ran.code == 0);
  return ran.out;
}

}  // namespace

TEST_CASE("every service is SERVING after up") {
  const Ran status = SharedPlatform().Vedette("status --format json");
  INFO(status.out);
  CHECK(status.code == 0);
  const json j = json::parse(status.out);
  CHECK(j["well"] == true);
  CHECK(j["services"].size() == 11);
}

TEST_CASE("upload --analyze finds what detect finds in the file") {
  const RunningPlatform& p = SharedPlatform();
  // knn leaves a row out of its own neighbours, for as long as it is a row of the training.
  const std::string algorithm = GENERATE("iforest", "knn");
  const Ran upload = p.Vedette("upload " + kWine + " --analyze --algorithm " + algorithm + " --ignore-columns label --chunk-rows 10 --quiet");
  INFO(upload.out);
  REQUIRE(upload.code == 0);
  CHECK_THAT(upload.out, Catch::Contains("SUCCEEDED"));
  const std::string job = Find(upload.out, "jobs/");
  const std::vector<int64_t> rows = p.AnomalousRows(job);

  const Ran detect = Shell(std::string(VEDETTE_BIN_DIR) + "/vedette detect " + kWine + " --algorithm " + algorithm + " --ignore-columns label --format json --quiet");
  REQUIRE(detect.code == 0);
  const json found = json::parse(detect.out);
  std::set<int64_t> expected;
  const json& list = found.is_array() ? found : found.contains("anomalies") ? found["anomalies"] : found["rows"];
  for (const json& row : list) expected.insert(row["row_index"].get<int64_t>());
  CHECK(std::set<int64_t>(rows.begin(), rows.end()) == expected);
  CHECK(rows.size() == expected.size());
  CHECK_FALSE(rows.empty());

  const Ran list_command = p.Vedette("anomalies list --filter 'job = \"" + job + "\"'");
  INFO(list_command.out);
  CHECK(list_command.code == 0);
  const std::string anomaly = Find(list_command.out, "anomalies/");
  REQUIRE_FALSE(anomaly.empty());
  const Ran show = p.Vedette("anomalies show " + anomaly);
  INFO(show.out);
  CHECK(show.code == 0);
  CHECK_THAT(show.out, Catch::Contains("expected"));
}

TEST_CASE("a second analysis of the same data takes the model from the cache") {
  const RunningPlatform& p = SharedPlatform();
  const Ran upload = p.Vedette("upload " + kWine + " --quiet");
  REQUIRE(upload.code == 0);
  const std::string dataset = Find(upload.out, "datasets/");
  const auto stub = p.Stub<jobs::v1::JobService>("job-orchestrator");
  jobs::v1::AnalyzeDatasetRequest request;
  request.set_dataset(dataset);
  const auto analyze = [&] {
    auto job = runtime::Call(*stub, &jobs::v1::JobService::Stub::AnalyzeDataset, p.Out(), request);
    INFO(job.status().ToString());
    REQUIRE(job.ok());
    return p.Await(job->name());
  };
  const jobs::v1::Job first = analyze(), second = analyze();
  CHECK(first.state() == jobs::v1::Job::SUCCEEDED);
  CHECK_FALSE(first.model_cache_hit());
  CHECK(second.model_cache_hit());
  CHECK(second.model() == first.model());
  CHECK_FALSE(first.selection_reason().empty());
  CHECK(p.AnomalousRows(second.name()) == p.AnomalousRows(first.name()));
}

TEST_CASE("the same over REST") {
  const RunningPlatform& p = SharedPlatform();
  const std::string rest = p.State().rest;
  const json dataset = json::parse(Curl("-H 'Content-Type: text/csv' --data-binary @" + kWine + " '" + rest + "/v1/datasets:upload?display_name=wine'"));
  INFO(dataset.dump(1));
  REQUIRE(dataset.contains("name"));
  CHECK(dataset["state"] == "READY");
  const json job = json::parse(Curl("-X POST -H 'Content-Type: application/json' -d '{\"detector\": {\"algorithm\": \"ecod\", \"prepare\": {\"ignore_columns\": [\"label\"]}}}' '" +
                                    rest + "/v1/" + dataset["name"].get<std::string>() + ":analyze'"));
  INFO(job.dump(1));
  REQUIRE(job.contains("name"));
  const std::string name = job["name"];
  CHECK(p.Await(name).state() == jobs::v1::Job::SUCCEEDED);
  CHECK(json::parse(Curl("'" + rest + "/v1/" + name + "'"))["state"] == "SUCCEEDED");
  const json page = json::parse(Curl("--get --data-urlencode 'filter=job=\"" + name + "\"' -d page_size=2 '" + rest + "/v1/anomalies'"));
  INFO(page.dump(1));
  REQUIRE(page["anomalies"].size() == 2);
  const json one = json::parse(Curl("'" + rest + "/v1/" + page["anomalies"][0]["name"].get<std::string>() + "'"));
  CHECK(one["anomalous_features"].size() > 0);
  CHECK(one["raw_data"].size() > 0);
  const json why = json::parse(Curl("--json '{}' '" + rest + "/v1/" + one["name"].get<std::string>() + ":explain'"));
  CHECK(why["text"].get<std::string>().size() > 20);
  CHECK(Shell("curl -s -o /dev/null -w '%{http_code}' '" + rest + "/v1/anomalies'").out == "401");
}

TEST_CASE("a job that cannot be done fails with the reason") {
  const RunningPlatform& p = SharedPlatform();
  const Ran upload = p.Vedette("upload " + kWine + " --analyze --algorithm knn --param n_neighbors=5 --ignore-columns nonsense --quiet");
  INFO(upload.out);
  CHECK(upload.code == 1);
  CHECK_THAT(upload.out, Catch::Contains("nonsense"));
}

TEST_CASE("mistakes on the command line are told at once, without asking the platform") {
  const Ran ran = SharedPlatform().Vedette("upload " + kWine + " --algorithm iforst --chunk-rows -3");
  CHECK(ran.code == 2);
  CHECK_THAT(ran.out, Catch::Contains("iforest") && Catch::Contains("chunk-rows"));
}

}  // namespace vedette::testing
