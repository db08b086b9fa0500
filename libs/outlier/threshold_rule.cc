#include "outlier/threshold_rule.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "base/status.h"

namespace vedette::outlier {
namespace {

constexpr double kLargeScores = 1e150;  // squares of larger ones overflow

absl::StatusOr<const ThresholdDescriptor*> FindRule(const std::string& name) {
  std::vector<std::string> names;
  for (const ThresholdDescriptor* rule : AllThresholds()) {
    if (rule->name == name) return rule;
    names.emplace_back(rule->name);
  }
  const std::string near = Nearest(name, names);
  return NotFound("there is no threshold rule '{}'{}; there are {}", name,
                  near.empty() ? "" : fmt::format(" (did you mean '{}'?)", near), fmt::join(names, ", "));
}

}  // namespace

absl::StatusOr<ThresholdRule> ThresholdRule::Parse(std::string_view text) {
  const size_t colon = text.find(':');
  ASSIGN_OR_RETURN(const ThresholdDescriptor* descriptor, FindRule(std::string(text.substr(0, colon))));
  std::map<std::string, std::string> given;
  for (size_t at = colon; at != std::string_view::npos;) {
    const size_t end = text.find(':', at + 1);
    const std::string part(text.substr(at + 1, end == std::string_view::npos ? end : end - at - 1));
    const size_t equals = part.find('=');
    if (equals == std::string::npos && descriptor->params.empty()) {
      return InvalidArgument("threshold {} takes no parameter", descriptor->name);
    }
    const std::string name = equals == std::string::npos ? std::string(descriptor->params[0].name) : part.substr(0, equals);
    if (!given.emplace(name, equals == std::string::npos ? part : part.substr(equals + 1)).second) {
      return InvalidArgument("threshold {}: {} is given twice", descriptor->name, name);
    }
    at = end;
  }
  auto params = ParamSet::Make(descriptor->params, given);
  if (!params.ok()) return Annotate(params.status(), fmt::format("threshold {}", descriptor->name));
  return ThresholdRule(descriptor, *std::move(params));
}

absl::StatusOr<double> ThresholdRule::Find(std::span<const double> sorted) const {
  if (sorted.empty()) return absl::InvalidArgumentError("there are no training scores to derive a threshold from");
  const double magnitude = std::max(std::fabs(sorted.front()), std::fabs(sorted.back()));
  absl::StatusOr<double> found;
  // A power of two: no digit is lost, and rules may square what they get.
  double unit = 1;
  if (magnitude > kLargeScores && !descriptor_->raw) {
    unit = std::ldexp(1.0, std::ilogb(magnitude));
    std::vector<double> scaled(sorted.begin(), sorted.end());
    for (double& s : scaled) s /= unit;
    found = descriptor_->find(scaled, params_);
  } else {
    found = descriptor_->find(sorted, params_);
  }
  if (!found.ok()) return Annotate(found.status(), fmt::format("threshold {}", descriptor_->name));
  constexpr double kMost = std::numeric_limits<double>::max();
  const double threshold = *found * unit;
  return std::isnan(threshold) ? sorted.back() : std::clamp(threshold, -kMost, kMost);
}

std::string ThresholdRule::Text() const {
  std::string text(descriptor_->name);
  for (const auto& [name, value] : params_.Canonical()) text += fmt::format(":{}={}", name, value);
  return text;
}

}  // namespace vedette::outlier
