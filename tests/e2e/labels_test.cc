// Learning from labels, and the log of what was chosen, over REST and the command line.
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <nlohmann/json.hpp>

#include "base/rng.h"
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
json Post(const std::string& path, const json& body) {
  return Rest("-X POST -H 'Content-Type: application/json' -d '" + body.dump() + "' '" + Platform().State().rest +
              path + "'");
}

constexpr int kRows = 400;
bool Fraud(int i) { return i % 10 == 3; }

/// Frauds lie in the middle of the column "band", where nothing is odd without labels; the last 100 rows have none.
struct Cases {
  Cases() : path(fmt::format("/tmp/vedette-e2e-labels-{}.csv", ::getpid())) {
    Rng rng(11);
    std::FILE* out = std::fopen(path.c_str(), "w");
    REQUIRE(out != nullptr);
    std::fputs("band,noise,fraud\n", out);
    for (int i = 0; i < kRows; ++i) {
      const double side = rng.Uniform() < 0.5 ? -1 : 1;
      const double band = Fraud(i) ? 0.2 * rng.Normal() : side * (2 + std::fabs(rng.Normal()));
      fmt::print(out, "{:.4f},{:.4f},{}\n", band, rng.Normal(), i >= 300 ? "" : Fraud(i) ? "1" : "0");
    }
    std::fclose(out);
  }
  ~Cases() { std::remove(path.c_str()); }
  const std::string path;
};

jobs::v1::Job Analysed(const std::string& dataset, const json& detector) {
  const json job = Post("/v1/" + dataset + ":analyze", {{"detector", detector}});
  INFO(job.dump());
  REQUIRE(job.contains("name"));
  return Platform().Await(job["name"]);
}

}  // namespace

TEST_CASE("rows without a label are judged by those that have one; the label is no feature") {
  const Cases cases;
  const Ran upload = Platform().Vedette(
      "upload " + cases.path + " --analyze --algorithm xgbod --label-column fraud --contamination 0.1 --quiet");
  INFO(upload.out);
  REQUIRE(upload.code == 0);
  const size_t at = upload.out.find("datasets/");
  REQUIRE(at != std::string::npos);
  const std::string dataset = upload.out.substr(at, upload.out.find(':', at) - at);

  const jobs::v1::Job job =
      Analysed(dataset, {{"algorithm", "xgbod"}, {"label_column", "fraud"}, {"contamination", 0.1}});
  INFO(job.ShortDebugString());
  REQUIRE(job.state() == jobs::v1::Job::SUCCEEDED);
  CHECK(job.model_cache_hit());  // the same as the command line asked for
  CHECK(job.detector().label_column() == "fraud");
  const std::vector<int64_t> found = Platform().AnomalousRows(job.name());
  int right = 0;
  for (int i = 300; i < kRows; ++i) right += std::binary_search(found.begin(), found.end(), i) == Fraud(i);
  CHECK(right >= 95);
  const json page =
      Rest("--get --data-urlencode 'filter=job=\"" + job.name() + "\"' '" + Platform().State().rest + "/v1/anomalies'");
  REQUIRE_FALSE(page["anomalies"].empty());
  for (const json& f : page["anomalies"][0]["anomalous_features"]) CHECK(f["feature_name"] != "fraud");

  const auto error = [&](const json& detector) {
    const jobs::v1::Job failed = Analysed(dataset, detector);
    CHECK(failed.state() == jobs::v1::Job::FAILED);
    return failed.error();
  };
  CHECK_THAT(error({{"algorithm", "xgbod"}}), Catch::Contains("label_column"));
  CHECK_THAT(error({{"algorithm", "xgbod"}, {"label_column", "band"}}), Catch::Contains("row 0 says"));
  CHECK_THAT(error({{"algorithm", "knn"}, {"label_column", "fraud"}}), Catch::Contains("knn learns without labels"));
  const Ran missing = Platform().Vedette("upload " + cases.path + " --analyze --algorithm xgbod");
  CHECK(missing.code == 2);
  CHECK_THAT(missing.out, Catch::Contains("--label-column is missing"));
}

TEST_CASE("every choice of a model is listed with all that was weighed") {
  const Cases cases;
  const Ran upload = Platform().Vedette("upload " + cases.path + " --analyze --ignore-columns fraud --quiet");
  INFO(upload.out);
  REQUIRE(upload.code == 0);
  const json newest = Rest("'" + Platform().State().rest + "/v1/modelSelections?page_size=1'");
  INFO(newest.dump(1));
  REQUIRE(newest["selections"].size() == 1);
  const json& s = newest["selections"][0];
  CHECK(s["name"].get<std::string>().starts_with("modelSelections/"));
  CHECK(s["requested_algorithm"] == "auto");
  CHECK(s["selection"]["picks"].size() >= 1);
  CHECK(s["selection"]["picks"][0]["algorithm"] == s["algorithm"]);
  CHECK_FALSE(s["selection"]["profile"].empty());
  const jobs::v1::Job job = Platform().GetJob(s["job"]);
  CHECK(job.algorithm() == s["algorithm"]);
  CHECK(job.model() == s["model"]);

  const auto list = [&](const std::string& filter) {
    return Rest("--get --data-urlencode 'filter=" + filter + "' '" + Platform().State().rest + "/v1/modelSelections'");
  };
  CHECK(list("job = \"" + job.name() + "\"")["selections"].size() == 1);
  CHECK(list("job = \"" + job.name() + "\" AND algorithm = \"none\"")["selections"].empty());
  CHECK(list("nonsense = 1")["error"]["status"] == "INVALID_ARGUMENT");
  const Ran cli = Platform().Vedette("selections list --page-size 1");
  INFO(cli.out);
  CHECK(cli.code == 0);
  CHECK_THAT(cli.out,
             Catch::Contains(job.name()) && Catch::Contains("(chosen)") && Catch::Contains("expected quality"));
}

}  // namespace vedette::testing
