#include "services/gateway/adapters/openapi.h"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>
#include <set>

namespace vedette::gateway {
namespace {

using nlohmann::json;

/// Every "$ref" below `value`.
void References(const json& value, std::set<std::string>* out) {
  if (value.is_object() && value.contains("$ref") && value["$ref"].is_string())
    out->insert(value["$ref"].get<std::string>());
  if (value.is_structured()) {
    for (const auto& [key, entry] : value.items()) References(entry, out);
  }
}

}  // namespace

TEST_CASE("the OpenAPI document describes every binding and hangs together", "[gateway]") {
  const auto api = Api::LoadBuiltIn();
  REQUIRE(api.ok());
  const json document = json::parse(OpenApiDocument(**api, "0.1.0"));
  CHECK(document["openapi"] == "3.0.3");
  size_t operations = 0;
  std::set<std::string> ids;
  for (const auto& [path, methods] : document["paths"].items()) {
    for (const auto& [method, operation] : methods.items()) {
      ++operations;
      CHECK(ids.insert(operation["operationId"]).second);
      for (const json& parameter : operation.value("parameters", json::array())) {
        if (parameter["in"] == "path")
          CHECK(path.find("{" + parameter["name"].get<std::string>() + "}") != std::string::npos);
      }
    }
  }
  CHECK(operations == (*api)->bindings().size() + 1);  // and the upload
  std::set<std::string> references;
  References(document, &references);
  CHECK(references.size() > 20);
  for (const std::string& reference : references) {
    INFO(reference);
    CHECK(document.contains(json::json_pointer(reference.substr(1))));
  }
  const json& get = document["paths"]["/v1/jobs/{job}"]["get"];
  CHECK(get["tags"][0] == "JobService");
  const json& list = document["paths"]["/v1/anomalies"]["get"];
  CHECK(list["parameters"].size() == 4);
  CHECK(list["parameters"][0]["description"] == "0: 50; at most 1000.");
  CHECK(document["paths"]["/v1/jobs/{job}:watch"]["get"]["responses"]["200"]["content"].contains("text/event-stream"));
  CHECK(document["paths"]["/v1/datasets:upload"]["post"]["requestBody"]["content"].contains("multipart/form-data"));
  CHECK(document["components"]["schemas"]["jobs.Job"]["properties"]["rows_scored"]["format"] == "int64");
}

TEST_CASE("the landing page lists the endpoints and runs no scripts", "[gateway]") {
  const auto api = Api::LoadBuiltIn();
  const std::string page = LandingPage(**api, "0.1.0<");
  CHECK(page.find("/v1/datasets/{dataset}:analyze") != std::string::npos);
  CHECK(page.find("0.1.0&lt;") != std::string::npos);
  CHECK(page.find("<script") == std::string::npos);
}

}  // namespace vedette::gateway
