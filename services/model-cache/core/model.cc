#include "services/model-cache/core/model.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "base/hash.h"

namespace vedette::model_cache {
namespace {
constexpr std::array<std::string_view, 3> kStates = {"ACTIVE", "INVALIDATED", "EXPIRED"};
}

std::string CanonicalJson(const std::string& tenant, const ModelKey& key) {
  // ordered_json for the tenant's place; everything below it is sorted: maps by key, the schema by its own order.
  nlohmann::ordered_json j;
  j["tenant"] = tenant;
  j["algorithm"] = key.algorithm;
  j["feature_set"] = key.feature_set;
  j["feature_set_version"] = key.feature_set_version;
  j["metric"] = key.metric;
  j["parameters"] = nlohmann::ordered_json::object();
  for (const auto& [name, value] : key.parameters) j["parameters"][name] = value;
  j["schema"] = key.schema;
  j["subject"] = key.subject;
  return j.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

std::string KeyHash(const std::string& tenant, const ModelKey& key) { return Sha256Hex(CanonicalJson(tenant, key)); }

ModelKey ParseCanonicalJson(const std::string& text) {
  ModelKey key;
  const auto j = nlohmann::json::parse(text, nullptr, false);
  if (!j.is_object()) return key;
  key.algorithm = j.value("algorithm", "");
  key.feature_set = j.value("feature_set", "");
  key.feature_set_version = j.value("feature_set_version", 0);
  key.metric = j.value("metric", "");
  key.subject = j.value("subject", "");
  if (const auto it = j.find("parameters"); it != j.end() && it->is_object()) {
    for (const auto& [name, value] : it->items()) {
      if (value.is_string()) key.parameters[name] = value.get<std::string>();
    }
  }
  if (const auto it = j.find("schema"); it != j.end() && it->is_array()) {
    for (const auto& column : *it) {
      if (column.is_string()) key.schema.push_back(column.get<std::string>());
    }
  }
  return key;
}

std::string_view Name(State state) { return kStates[static_cast<size_t>(state)]; }
State ParseState(std::string_view name) {
  const auto it = std::find(kStates.begin(), kStates.end(), name);
  return static_cast<State>(it == kStates.end() ? 1 : it - kStates.begin());
}

}  // namespace vedette::model_cache
