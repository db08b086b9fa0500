// Rows looked at together with those before them, from an uploaded file to the words, over the command line and REST.
#include <fmt/format.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cmath>
#include <nlohmann/json.hpp>

#include "e2e/running_platform.h"
#include "vedette/detector/v1/detector.grpc.pb.h"

namespace vedette::testing {
namespace {

using nlohmann::json;

constexpr int kOff = 250;

using Detector = detector::v1::DetectorService;

/// Readings that swing, and one, in row kOff, that is like others but does not follow from those before it.
struct Readings {
  Readings() : path(fmt::format("/tmp/vedette-e2e-windows-{}.csv", ::getpid())) {
    std::FILE* out = std::fopen(path.c_str(), "w");
    REQUIRE(out != nullptr);
    std::fputs("temperature,pressure\n", out);
    for (int i = 0; i < 480; ++i) {
      const double turn = 2 * M_PI * i / 24, jitter = (i * 7919 % 101) / 1000.0;
      temperature.push_back(20 + 5 * std::sin(turn + (i == kOff ? 4.0 : 0.9)) + jitter);
      pressure.push_back(100 + 8 * std::cos(turn) - jitter);
      fmt::print(out, "{},{}\n", temperature.back(), pressure.back());
    }
    std::fclose(out);
  }
  ~Readings() { std::remove(path.c_str()); }

  detector::v1::ScoreRequest Rows(const std::string& model, size_t begin, size_t end) const {
    detector::v1::ScoreRequest out;
    out.set_model(model);
    out.mutable_table()->set_rows(static_cast<int64_t>(end - begin));
    for (const auto& [name, values] : {std::pair("temperature", &temperature), std::pair("pressure", &pressure)}) {
      auto* const column = out.mutable_table()->add_columns();
      column->set_name(name);
      column->set_type(common::v1::COLUMN_TYPE_NUMERIC);
      for (size_t i = begin; i < end; ++i) column->add_values((*values)[i]);
    }
    return out;
  }

  const std::string path;
  std::vector<double> temperature, pressure;
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

/// Sent a few at a time, rows score as they do all together: the service keeps those before them.
void CheckStream(const Readings& readings, const std::string& model) {
  const RunningPlatform& platform = SharedPlatform();
  const size_t n = readings.pressure.size();
  const auto stub = platform.Stub<Detector>("detector");
  const auto whole = runtime::Call(*stub, &Detector::Stub::Score, platform.Out(), readings.Rows(model, 0, n));
  INFO(whole.status());
  REQUIRE(whole.ok());
  REQUIRE(whole->rows_size() == static_cast<int>(n));
  runtime::ClientCall call(platform.Out());
  const auto stream = stub->ScoreStream(call.context());
  for (size_t begin = 0, count = 1; begin < n; begin += count, count = count % 7 + 1) {
    const size_t end = std::min(n, begin + count);
    detector::v1::ScoreStreamRequest message;
    *message.mutable_request() = readings.Rows(begin == 0 ? model : "", begin, end);
    if (begin % 2 == 1) {  // columns are found by name, here as in one message
      auto* const columns = message.mutable_request()->mutable_table()->mutable_columns();
      *columns->Add() = columns->Get(0);
      columns->Mutable(0)->set_name("more");
    }
    detector::v1::ScoreStreamResponse answer;
    REQUIRE(stream->Write(message));
    REQUIRE(stream->Read(&answer));
    REQUIRE(answer.response().rows_size() == static_cast<int>(end - begin));
    for (size_t i = begin; i < end; ++i) {
      const auto& own = answer.response().rows(static_cast<int>(i - begin));
      INFO("row " << i);
      CHECK(own.score() == whole->rows(static_cast<int>(i)).score());
      if (i == kOff + 2) {
        REQUIRE(own.features_size() > 0);
        CHECK(own.features(0).feature_name() == "temperature");
        CHECK(own.features(0).lag() == 2);
      }
    }
  }
  CHECK(stream->WritesDone());
  CHECK(stream->Finish().ok());
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
  CheckStream(readings, anomalies["anomalies"][0]["model"]);
}

}  // namespace vedette::testing
