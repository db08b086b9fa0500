// Rows looked at together with those before them, from an uploaded file to the words, over the command line and REST.
#include <fmt/format.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cmath>
#include <nlohmann/json.hpp>

#include "e2e/running_platform.h"

namespace vedette::testing {
namespace {

using nlohmann::json;

constexpr int kOff = 250;

/// Readings that swing, and one, in row kOff, that is like others but does not follow from those before it.
struct Readings {
  Readings() : path(fmt::format("/tmp/vedette-e2e-windows-{}.csv", ::getpid())) {
    std::FILE* out = std::fopen(path.c_str(), "w");
    REQUIRE(out != nullptr);
    std::fputs("temperature,pressure\n", out);
    for (int i = 0; i < 480; ++i) {
      const double turn = 2 * M_PI * i / 24, jitter = (i * 7919 % 101) / 1000.0;
      fmt::print(out, "{:.3f},{:.3f}\n", 20 + 5 * std::sin(turn + (i == kOff ? 4.0 : 0.9)) + jitter,
                 100 + 8 * std::cos(turn) - jitter);
    }
    std::fclose(out);
  }
  ~Readings() { std::remove(path.c_str()); }
  const std::string path;
};

json Explained(const std::string& anomaly, const json& body) {
  const RunningPlatform& platform = SharedPlatform();
  const Ran ran = Shell("curl -sS -H 'Authorization: Bearer " + platform.token() +
                        "' -X POST -H 'Content-Type: application/json' -d '" + body.dump() + "' '" +
                        platform.State().rest + "/v1/" + anomaly + ":explain'");
  INFO(ran.out);
  REQUIRE(ran.code == 0);
  return json::parse(ran.out);
}

}  // namespace

TEST_CASE("a reading that does not follow from those before it is found from every row whose window it is in") {
  const Readings readings;
  const RunningPlatform& platform = SharedPlatform();
  // A task ends at row 251: windows reach over the cut.
  const Ran upload = platform.Vedette("upload " + readings.path +
                                      " --analyze -a knn --window 4 --contamination 0.015 --chunk-rows 126 --quiet");
  INFO(upload.out);
  REQUIRE(upload.code == 0);
  const size_t at = upload.out.find("datasets/");
  const std::string dataset = upload.out.substr(at, upload.out.find(':', at) - at);
  int found = 0;
  const Ran page =
      Shell("curl -sS -H 'Authorization: Bearer " + platform.token() + "' --get --data-urlencode 'filter=dataset=\"" +
            dataset + "\"' '" + platform.State().rest + "/v1/anomalies?page_size=100'");
  INFO(page.out);
  const json anomalies = json::parse(page.out);
  for (const json& a : anomalies["anomalies"]) {
    const int row = std::stoi(a["row_index"].get<std::string>());
    if (row < kOff || row > kOff + 3) continue;
    ++found;
    const int lag = row - kOff;
    CHECK(a["anomalous_features"][0]["feature_name"] == "temperature");
    CHECK(a["anomalous_features"][0].value("lag", 0) == lag);
    if (lag != 2) continue;
    CHECK_THAT(a["summary"].get<std::string>(), Catch::Contains("temperature 2 rows before is "));
    for (const char* method : {"native", "shap"}) {
      const json e = Explained(a["name"], {{"method", method}});
      INFO(e.dump(1));
      REQUIRE(e["contributions"].size() == 8);
      CHECK(e["contributions"][0]["feature_name"] == "temperature");
      CHECK(e["contributions"][0]["lag"] == 2);
      CHECK(e["contributions"][0]["actual_value"] == a["anomalous_features"][0]["actual_value"]);
      CHECK(e["degraded_reason"] == "");
      CHECK_THAT(e["text"].get<std::string>(), Catch::Contains("temperature 2 rows before is "));
      CHECK_FALSE(e["counterfactual"].value("found", false));  // the row itself is not what is off
    }
    const Ran shown = platform.Vedette("anomalies show " + a["name"].get<std::string>());
    INFO(shown.out);
    CHECK_THAT(shown.out, Catch::Contains("temperature 2 rows before: "));
  }
  CHECK(found == 4);
}

}  // namespace vedette::testing
