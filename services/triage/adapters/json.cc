#include "services/triage/adapters/json.h"

#include <algorithm>
#include <nlohmann/json.hpp>

namespace vedette::triage {
namespace {

using nlohmann::json;

/// Cells may hold any bytes; JSONB takes valid UTF-8 without NUL only.
std::string Clean(std::string text) {
  std::erase(text, '\0');
  return text;
}

std::string Dump(const json& j) { return j.dump(-1, ' ', false, json::error_handler_t::replace); }

}  // namespace

std::string FeaturesToJson(const std::vector<Feature>& features) {
  json list = json::array();
  for (const Feature& f : features) {
    json j = {{"name", Clean(f.name)},
              {"contribution", f.contribution},
              {"share", f.share},
              {"actual", Clean(f.actual)},
              {"expected", Clean(f.expected)}};
    if (f.actual_number) j["actual_number"] = *f.actual_number;
    if (f.expected_number) j["expected_number"] = *f.expected_number;
    if (f.lag != 0) j["lag"] = f.lag;
    list.push_back(std::move(j));
  }
  return Dump(list);
}

std::vector<Feature> FeaturesFromJson(std::string_view text) {
  std::vector<Feature> features;
  const json list = json::parse(text, nullptr, false);
  if (!list.is_array()) return features;
  const auto number = [](const json& j, const char* key) -> std::optional<double> {
    const auto it = j.find(key);
    return it != j.end() && it->is_number() ? std::optional(it->get<double>()) : std::nullopt;
  };
  for (const json& j : list) {
    if (!j.is_object()) continue;
    Feature f;
    f.name = j.value("name", "");
    f.contribution = number(j, "contribution").value_or(0);
    f.share = number(j, "share").value_or(0);
    f.actual = j.value("actual", "");
    f.expected = j.value("expected", "");
    f.actual_number = number(j, "actual_number");
    f.expected_number = number(j, "expected_number");
    f.lag = static_cast<int>(std::clamp(number(j, "lag").value_or(0), 0.0, 1e6));
    features.push_back(std::move(f));
  }
  return features;
}

std::string CellsToJson(const std::map<std::string, std::string>& cells) {
  json j = json::object();
  for (const auto& [name, value] : cells) j[Clean(name)] = Clean(value);
  return Dump(j);
}

std::map<std::string, std::string> CellsFromJson(std::string_view text) {
  std::map<std::string, std::string> cells;
  const json j = json::parse(text, nullptr, false);
  if (!j.is_object()) return cells;
  for (const auto& [name, value] : j.items()) {
    if (value.is_string()) cells[name] = value.get<std::string>();
  }
  return cells;
}

std::string VerdictToJson(const TriageVerdict& v) {
  return Dump({{"opinion", Name(v.opinion)},
               {"confidence", v.confidence},
               {"reason", Clean(v.reason)},
               {"next_checks", v.next_checks},
               {"source", v.source},
               {"degraded_reason", v.degraded_reason},
               {"create_time_us", absl::ToUnixMicros(v.create_time)}});
}

std::optional<TriageVerdict> VerdictFromJson(std::string_view text) {
  const json j = json::parse(text, nullptr, false);
  if (!j.is_object()) return std::nullopt;
  TriageVerdict v;
  v.opinion = ParseOpinion(j.value("opinion", ""));
  v.confidence = j.value("confidence", 0.0);
  v.reason = j.value("reason", "");
  v.next_checks = j.value("next_checks", std::vector<std::string>());
  v.source = j.value("source", kNoSource);
  v.degraded_reason = j.value("degraded_reason", "");
  v.create_time = absl::FromUnixMicros(j.value("create_time_us", int64_t{0}));
  return v;
}

}  // namespace vedette::triage
