#include "services/explainer/adapters/json.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

namespace vedette::explainer {
namespace {

using nlohmann::json;

constexpr double kNone = std::numeric_limits<double>::quiet_NaN();
constexpr std::array kDirections = {explain::Direction::kHigh, explain::Direction::kLow, explain::Direction::kDifferent,
                                    explain::Direction::kMissing, explain::Direction::kUsual};

std::string Dump(const json& j) { return j.dump(-1, ' ', false, json::error_handler_t::replace); }

void Set(json& j, const char* key, double value) {
  if (std::isfinite(value)) j[key] = value;
}
void Set(json& j, const char* key, const std::optional<double>& value) { Set(j, key, value.value_or(kNone)); }

double Number(const json& j, const char* key, double otherwise = kNone) {
  const auto it = j.find(key);
  return it != j.end() && it->is_number() ? it->get<double>() : otherwise;
}
std::optional<double> Optional(const json& j, const char* key) {
  const double value = Number(j, key);
  return std::isfinite(value) ? std::optional(value) : std::nullopt;
}
std::string Text(const json& j, const char* key) {
  const auto it = j.find(key);
  return it != j.end() && it->is_string() ? it->get<std::string>() : "";
}
bool Flag(const json& j, const char* key, bool otherwise = false) {
  const auto it = j.find(key);
  return it != j.end() && it->is_boolean() ? it->get<bool>() : otherwise;
}
std::vector<std::string> Texts(const json& j, const char* key) {
  std::vector<std::string> out;
  const auto it = j.find(key);
  if (it == j.end() || !it->is_array()) return out;
  for (const json& item : *it) {
    if (item.is_string()) out.push_back(item.get<std::string>());
  }
  return out;
}
json Array(const std::vector<std::string>& texts) {
  json list = json::array();
  for (const std::string& text : texts) list.push_back(Clean(text));
  return list;
}

}  // namespace

std::string Clean(std::string text) {
  std::erase(text, '\0');
  return text;
}

std::string ContributionsToJson(const std::vector<explain::Contribution>& contributions) {
  json list = json::array();
  for (const explain::Contribution& c : contributions) {
    json j = {{"feature", Clean(c.feature_name)},
              {"actual_text", Clean(c.actual_text)},
              {"expected_text", Clean(c.expected_text)},
              {"direction", explain::DirectionName(c.direction)},
              {"numeric", c.numeric}};
    Set(j, "contribution", c.contribution);
    Set(j, "share", c.share);
    Set(j, "actual", c.actual);
    Set(j, "expected", c.expected);
    Set(j, "percentile", c.percentile);
    Set(j, "standard_error", c.standard_error);
    Set(j, "high", c.high);
    Set(j, "low", c.low);
    if (c.lag != 0) j["lag"] = c.lag;
    list.push_back(std::move(j));
  }
  return Dump(list);
}

std::vector<explain::Contribution> ContributionsFromJson(std::string_view text) {
  std::vector<explain::Contribution> out;
  const json list = json::parse(text, nullptr, false);
  if (!list.is_array()) return out;
  for (const json& j : list) {
    if (!j.is_object()) continue;
    explain::Contribution c;
    c.feature_name = Text(j, "feature");
    c.contribution = Number(j, "contribution", 0);
    c.share = Number(j, "share", 0);
    c.actual = Number(j, "actual");
    c.expected = Number(j, "expected");
    c.percentile = Number(j, "percentile");
    c.standard_error = Number(j, "standard_error");
    c.high = Number(j, "high");
    c.low = Number(j, "low");
    c.lag = static_cast<int>(std::clamp<double>(Number(j, "lag", 0), 0, table::kMaxWindow));
    c.actual_text = Text(j, "actual_text");
    c.expected_text = Text(j, "expected_text");
    c.numeric = Flag(j, "numeric", true);
    const std::string direction = Text(j, "direction");
    for (const explain::Direction d : kDirections) {
      if (explain::DirectionName(d) == direction) c.direction = d;
    }
    out.push_back(std::move(c));
  }
  return out;
}

std::string DetailsToJson(const StoredExplanation& e) {
  json j = json::object();
  j["explained"] = e.explained;
  if (!e.background.empty()) {
    j["background"] = e.background;
    j["background_rows"] = e.background_rows;
  }
  Set(j, "expected", e.expected);
  Set(j, "output", e.output);
  Set(j, "additivity_error", e.additivity_error);
  Set(j, "r2", e.r2);
  j["exact"] = e.exact;
  if (e.explanation.features_left_out > 0) j["features_left_out"] = e.explanation.features_left_out;
  if (!e.warnings.empty()) j["warnings"] = Array(e.warnings);
  return Dump(j);
}

void DetailsFromJson(std::string_view text, StoredExplanation* out) {
  const json j = json::parse(text, nullptr, false);
  if (!j.is_object()) return;
  out->explained = Text(j, "explained");
  out->background = Text(j, "background");
  out->background_rows = static_cast<int64_t>(Number(j, "background_rows", 0));
  out->expected = Optional(j, "expected");
  out->output = Optional(j, "output");
  out->additivity_error = Optional(j, "additivity_error");
  out->r2 = Optional(j, "r2");
  out->exact = Flag(j, "exact");
  out->explanation.features_left_out = static_cast<int64_t>(Number(j, "features_left_out", 0));
  out->warnings = Texts(j, "warnings");
}

std::string CounterfactualToJson(const WordedCounterfactual& c) {
  json j = {
      {"found", c.found}, {"already_normal", c.already_normal}, {"minimal", c.minimal}, {"changes", json::array()}};
  Set(j, "score", c.score);
  Set(j, "threshold", c.threshold);
  for (const auto& change : c.changes) {
    j["changes"].push_back(
        {{"feature", Clean(change.feature)}, {"from", Clean(change.from)}, {"to", Clean(change.to)}});
  }
  j["frozen"] = Array(c.frozen);
  return Dump(j);
}

std::optional<WordedCounterfactual> CounterfactualFromJson(std::string_view text) {
  const json j = json::parse(text, nullptr, false);
  if (!j.is_object()) return std::nullopt;
  WordedCounterfactual c;
  c.found = Flag(j, "found");
  c.already_normal = Flag(j, "already_normal");
  c.minimal = Flag(j, "minimal");
  c.score = Number(j, "score", 0);
  c.threshold = Number(j, "threshold", 0);
  c.frozen = Texts(j, "frozen");
  if (const auto changes = j.find("changes"); changes != j.end() && changes->is_array()) {
    for (const json& change : *changes) {
      if (change.is_object()) c.changes.push_back({Text(change, "feature"), Text(change, "from"), Text(change, "to")});
    }
  }
  return c;
}

std::string SignatureToJson(const Signature& signature) {
  json j = json::object();
  for (const auto& [feature, share] : signature) j[Clean(feature)] = share;
  return Dump(j);
}

Signature SignatureFromJson(std::string_view text) {
  Signature out;
  const json j = json::parse(text, nullptr, false);
  if (!j.is_object()) return out;
  for (const auto& [feature, share] : j.items()) {
    if (share.is_number()) out[feature] = share.get<double>();
  }
  return out;
}

}  // namespace vedette::explainer
