#include "services/gateway/adapters/transcoder.h"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "base/status.h"
#include "runtime/status.h"
#include "vedette/ingest/v1/ingest.pb.h"
#include "vedette/jobs/v1/jobs.pb.h"
#include "vedette/triage/v1/triage.pb.h"

namespace vedette::gateway {
namespace {

using nlohmann::json;

const Api& TheApi() {
  static const Api* const api = Api::LoadBuiltIn()->release();
  return *api;
}

const Binding& Find(std::string_view rpc) {
  for (const Binding& binding : TheApi().bindings()) {
    if (binding.rpc->name() == rpc) return binding;
  }
  FAIL("no RPC " << rpc);
  std::abort();
}

template <typename Message>
Message Request(std::string_view rpc, const NamedValues& variables, const NamedValues& query,
                std::string_view body = "") {
  const Transcoder transcoder(TheApi());
  const auto bytes = transcoder.Request(Find(rpc), variables, query, body);
  INFO(bytes.status().ToString());
  REQUIRE(bytes.ok());
  Message message;
  REQUIRE(message.ParseFromString(*bytes));
  return message;
}

std::string Refused(std::string_view rpc, const NamedValues& variables, const NamedValues& query,
                    std::string_view body = "") {
  const Transcoder transcoder(TheApi());
  const absl::Status status = transcoder.Request(Find(rpc), variables, query, body).status();
  CHECK(status.code() == absl::StatusCode::kInvalidArgument);
  return std::string(status.message());
}

bool Contains(const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; }

}  // namespace

TEST_CASE("a whole body, in both spellings of names", "[gateway]") {
  for (
      const char* body :
      {R"({"display_name":"May","detector":{"algorithm":"iforest","parameters":{"trees":"50"},"seed":"7"},"chunk_rows":500})",
       R"({"displayName":"May","detector":{"algorithm":"iforest","parameters":{"trees":"50"},"seed":7},"chunkRows":"500"})"}) {
    const auto request =
        Request<jobs::v1::AnalyzeDatasetRequest>("AnalyzeDataset", {{"dataset", "datasets/7"}}, {}, body);
    CHECK(request.dataset() == "datasets/7");
    CHECK(request.display_name() == "May");
    CHECK(request.detector().algorithm() == "iforest");
    CHECK(request.detector().parameters().at("trees") == "50");
    CHECK(request.detector().seed() == 7);
    CHECK(request.chunk_rows() == 500);
  }
}

TEST_CASE("the path wins over the body, and the body may be missing", "[gateway]") {
  CHECK(Request<jobs::v1::AnalyzeDatasetRequest>("AnalyzeDataset", {{"dataset", "datasets/7"}}, {},
                                                 R"({"dataset":"datasets/8"})")
            .dataset() == "datasets/7");
  CHECK(Request<jobs::v1::CancelJobRequest>("CancelJob", {{"name", "jobs/1"}}, {}).name() == "jobs/1");
}

TEST_CASE("a body that is one field, and the others in the query", "[gateway]") {
  const auto request = Request<ingest::v1::CreateEntityRequest>(
      "CreateEntity", {}, {{"entity_id", "p1"}}, R"({"kind":"property","attributes":{"rooms":12,"tags":["a"]}})");
  CHECK(request.entity_id() == "p1");
  CHECK(request.entity().kind() == "property");
  CHECK(request.entity().attributes().fields().at("rooms").number_value() == 12);
  CHECK(Contains(Refused("CreateEntity", {}, {{"entity.kind", "x"}}, "{}"), "belongs into the body"));
}

TEST_CASE("query parameters of all kinds", "[gateway]") {
  const auto list = Request<triage::v1::ListAnomaliesRequest>(
      "ListAnomalies", {}, {{"filter", "severity >= HIGH AND job = \"jobs/1\""}, {"pageSize", "5"}});
  CHECK(list.filter() == "severity >= HIGH AND job = \"jobs/1\"");
  CHECK(list.page_size() == 5);
  const auto observations =
      Request<ingest::v1::ListObservationsRequest>("ListObservations", {{"entity", "entities/e"}},
                                                   {{"start_time", "2024-05-01T00:00:00Z"}, {"metric", "metrics/m"}});
  CHECK(observations.start_time().seconds() == 1714521600);
  CHECK(observations.entity() == "entities/e");

  ingest::v1::Metric metric;
  CHECK(SetFieldFromText(&metric, "direction", "HIGH").ok());
  CHECK(metric.direction() == ingest::v1::Metric::HIGH);
  CHECK(SetFieldFromText(&metric, "direction", "3").ok());
  CHECK(metric.direction() == ingest::v1::Metric::LOW);
  CHECK(SetFieldFromText(&metric, "standard", "true").ok());
  CHECK(metric.standard());
  CHECK_FALSE(SetFieldFromText(&metric, "standard", "yes").ok());
  CHECK(Contains(std::string(SetFieldFromText(&metric, "direction", "UP").message()), "HIGH"));

  jobs::v1::AnalyzeDatasetRequest nested;
  CHECK(SetFieldFromText(&nested, "detector.prepare.ignore_columns", "id").ok());
  CHECK(SetFieldFromText(&nested, "detector.prepare.ignoreColumns", "day").ok());
  CHECK(SetFieldFromText(&nested, "detector.contamination", "0.05").ok());
  CHECK(nested.detector().prepare().ignore_columns_size() == 2);
  CHECK(nested.detector().contamination() == 0.05);
  CHECK_FALSE(SetFieldFromText(&nested, "detector.parameters.trees", "5").ok());
  CHECK_FALSE(SetFieldFromText(&nested, "detector.parameters", "5").ok());
  CHECK_FALSE(SetFieldFromText(&nested, "detector", "{}").ok());
  CHECK_FALSE(SetFieldFromText(&nested, "dataset.x", "5").ok());
  CHECK_FALSE(SetFieldFromText(&nested, "", "5").ok());
}

TEST_CASE("what is not known is refused, with the nearest name and all mistakes at once", "[gateway]") {
  const std::string message =
      Refused("ListAnomalies", {},
              {{"page_sise", "5"}, {"filtr", "x"}, {"page_token", "a"}, {"page_token", "b"}, {"order_by", "x"}});
  CHECK(Contains(message, "page_sise: unknown field; did you mean page_size?"));
  CHECK(Contains(message, "did you mean filter?"));
  CHECK(Contains(message, "page_token: given twice"));
  CHECK(Contains(Refused("ListAnomalies", {}, {{"page_size", "many"}}), "page_size: \"many\" is not a int32"));
  CHECK(Contains(Refused("ListAnomalies", {}, {{"page_size", "99999999999"}}), "page_size"));
  CHECK(Contains(Refused("ListAnomalies", {}, {}, "{}"), "takes no body"));
  CHECK(Contains(Refused("AnalyzeDataset", {{"dataset", "datasets/7"}}, {{"chunk_rows", "5"}}, "{}"),
                 "belongs into the body"));
  CHECK(Contains(Refused("AnalyzeDataset", {{"dataset", "datasets/7"}}, {},
                         R"({"detector":{"algoritm":"x","prepare":{"skaling":"none"}}})"),
                 "detector.algoritm: unknown field; did you mean algorithm?; detector.prepare.skaling: unknown field; "
                 "did you mean scaling?"));
  CHECK(Contains(Refused("AnalyzeDataset", {{"dataset", "d"}}, {}, R"({"detector":{"seed":"x"}})"), "seed"));
}

TEST_CASE("JSON is read strictly", "[gateway]") {
  for (const char* body :
       {"{", "{} {}", "{'a':1}", "{a:1}", "[1,]", "\"x", "{\"display_name\":\"\xff\"}", "nul", "//x\n{}"}) {
    INFO(body);
    CHECK(Contains(Refused("AnalyzeDataset", {{"dataset", "d"}}, {}, body), "not JSON"));
  }
  CHECK(Contains(Refused("AnalyzeDataset", {{"dataset", "d"}}, {}, std::string(100000, '[')), "nested deeper"));
  CHECK_FALSE(Refused("AnalyzeDataset", {{"dataset", "d"}}, {}, "[]").empty());
}

TEST_CASE("answers show every field under the protos' names", "[gateway]") {
  triage::v1::Anomaly anomaly;
  anomaly.set_name("anomalies/1");
  anomaly.set_row_index(12);
  anomaly.set_anomaly_score(0.75);
  anomaly.set_severity(common::v1::SEVERITY_HIGH);
  anomaly.add_anomalous_features()->set_feature_name("rent");
  (*anomaly.mutable_metadata()->mutable_fields())["sheet"].set_string_value("May");
  anomaly.mutable_detect_time()->set_seconds(1714521600);
  const Transcoder transcoder(TheApi());
  const auto text = transcoder.Response(Find("GetAnomaly"), anomaly.SerializeAsString());
  REQUIRE(text.ok());
  CHECK(text->find('\n') == std::string::npos);
  const json value = json::parse(*text);
  CHECK(value["row_index"] == "12");
  CHECK(value["anomaly_score"] == 0.75);
  CHECK(value["probability"] == 0.0);
  CHECK(value["severity"] == "SEVERITY_HIGH");
  CHECK(value["status"] == "STATUS_UNSPECIFIED");
  CHECK(value["anomalous_features"][0]["feature_name"] == "rent");
  CHECK(value["detection_methods"] == json::array());
  CHECK(value["metadata"]["sheet"] == "May");
  CHECK(value["detect_time"] == "2024-05-01T00:00:00Z");
  CHECK_FALSE(value.contains("actual_value"));
  CHECK_FALSE(value.contains("create_time"));
  CHECK(*transcoder.Response(Find("DeleteDataset"), "") == "{}");
}

}  // namespace vedette::gateway
