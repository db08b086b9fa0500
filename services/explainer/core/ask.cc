#include "services/explainer/core/ask.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "base/ids.h"
#include "base/status.h"
#include "services/explainer/core/explanation.h"

namespace vedette::explainer {
namespace {

constexpr size_t kMaxColumns = 1000;
constexpr size_t kMaxName = 1000;
constexpr int64_t kMaxSamples = 1000000;

bool IsName(const std::string& text) {
  return !text.empty() && text.size() <= kMaxName && text.find('\0') == std::string::npos;
}
bool TakesSamples(const std::string& method) {
  return method == "kernel_shap" || method == "lime" || method == "integrated_gradients";
}
bool HasMode(const explain::Method& method, const std::string& mode) {
  return fmt::format("|{}|", method.modes).find(fmt::format("|{}|", mode)) != std::string::npos;
}

absl::Status CheckMethod(Ask* ask) {
  if (ask->method.empty()) ask->method = kNative;
  auto& options = ask->options;
  if (ask->method == kShap) {
    return options.mode.empty() ? absl::OkStatus()
                                : InvalidArgument("mode: shap takes the mode that fits; name tree_shap for one");
  }
  const auto method = explain::FindMethod(ask->method);
  if (!method.ok())
    return InvalidArgument("method: {}; shap stands for one that gives Shapley values", Message(method.status()));
  if (options.mode.empty()) options.mode = (*method)->modes.substr(0, (*method)->modes.find('|'));
  if (!options.mode.empty() && !HasMode(**method, options.mode)) {
    return InvalidArgument("mode: {} has {}", ask->method,
                           (*method)->modes.empty() ? "no modes" : fmt::format("the modes {}", (*method)->modes));
  }
  if (options.samples != 0 && !TakesSamples(ask->method)) return InvalidArgument("samples: {} takes none", ask->method);
  return absl::OkStatus();
}

}  // namespace

absl::Status Check(Ask* ask) {
  RETURN_IF_ERROR(CheckMethod(ask));
  auto& o = ask->options;
  const int64_t least = ask->method == "lime" ? 10 : 2;
  if (o.samples != 0 && (o.samples < least || o.samples > kMaxSamples)) {
    return InvalidArgument("samples: {} is not within {}-{}", o.samples, least, kMaxSamples);
  }
  if (o.frozen.size() > kMaxColumns)
    return InvalidArgument("frozen_columns: {}, at most {}", o.frozen.size(), kMaxColumns);
  if (o.ranges.size() > kMaxColumns)
    return InvalidArgument("allowed_ranges: {}, at most {}", o.ranges.size(), kMaxColumns);
  for (const std::string& name : o.frozen) {
    if (!IsName(name)) return InvalidArgument("frozen_columns: a name has 1 to {} bytes, none of them 0", kMaxName);
  }
  std::sort(o.frozen.begin(), o.frozen.end());
  o.frozen.erase(std::unique(o.frozen.begin(), o.frozen.end()), o.frozen.end());
  std::sort(o.ranges.begin(), o.ranges.end(), [](const auto& a, const auto& b) { return a.column < b.column; });
  for (size_t i = 0; i < o.ranges.size(); ++i) {
    const explain::AllowedRange& r = o.ranges[i];
    if (!IsName(r.column)) return InvalidArgument("allowed_ranges: a name has 1 to {} bytes, none of them 0", kMaxName);
    if (i > 0 && r.column == o.ranges[i - 1].column)
      return InvalidArgument("allowed_ranges: '{}' comes twice", r.column);
    if (!(r.low <= r.high))
      return InvalidArgument("allowed_ranges: '{}': no value lies between {} and {}", r.column, r.low, r.high);
  }
  return absl::OkStatus();
}

std::string ConfigOf(const Ask& ask) {
  nlohmann::json config = nlohmann::json::object();  // keys in order
  const auto& o = ask.options;
  if (!o.mode.empty()) config["mode"] = o.mode;
  if (o.samples > 0) config["samples"] = o.samples;
  if (ask.method == kNative || ask.method == "diffi" || o.mode == "path_dependent") return config.dump();
  config["background_rows"] = o.background_rows;
  if (ask.method != kCounterfactual) return config.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  if (!o.frozen.empty()) config["frozen"] = o.frozen;
  for (const explain::AllowedRange& r : o.ranges) {
    auto& range = config["ranges"][r.column];
    range = nlohmann::json::object();
    if (std::isfinite(r.low)) range["low"] = r.low;
    if (std::isfinite(r.high)) range["high"] = r.high;
  }
  return config.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

std::string ExplanationId(const std::string& anomaly_id, const std::string& method, const std::string& model,
                          const std::string& config) {
  const std::string base = fmt::format("{}/{}/{}", anomaly_id, method, model);
  return DerivedUuid(config == "{}" ? base : fmt::format("{}/{}", base, config));
}

}  // namespace vedette::explainer
