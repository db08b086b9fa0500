#include "services/triage/core/anomaly.h"

#include <algorithm>
#include <array>

namespace vedette::triage {
namespace {
constexpr std::array<std::string_view, 4> kStatus = {"OPEN", "ACKNOWLEDGED", "RESOLVED", "DISMISSED"};
constexpr std::array<std::string_view, 4> kVerdict = {"CONFIRMED", "FALSE_ALARM", "EXPECTED", "NEW_TREND"};
constexpr std::array<std::string_view, 3> kOpinion = {"INCONCLUSIVE", "LIKELY_TRUE", "LIKELY_FALSE"};

template <typename Enum, size_t N>
Enum Parse(const std::array<std::string_view, N>& names, std::string_view name) {
  const auto it = std::find(names.begin(), names.end(), name);
  return static_cast<Enum>(it == names.end() ? 0 : it - names.begin());
}
}  // namespace

std::string_view Name(Status status) { return kStatus[static_cast<size_t>(status)]; }
std::string_view Name(Verdict verdict) { return kVerdict[static_cast<size_t>(verdict)]; }
std::string_view Name(Opinion opinion) { return kOpinion[static_cast<size_t>(opinion)]; }
Opinion ParseOpinion(std::string_view name) { return Parse<Opinion>(kOpinion, name); }
Status ParseStatus(std::string_view name) { return Parse<Status>(kStatus, name); }
Verdict ParseVerdict(std::string_view name) { return Parse<Verdict>(kVerdict, name); }

Status StatusAfter(Verdict verdict) {
  switch (verdict) {
    case Verdict::kConfirmed: return Status::kAcknowledged;
    case Verdict::kNewTrend: return Status::kResolved;
    case Verdict::kFalseAlarm:
    case Verdict::kExpected: break;
  }
  return Status::kDismissed;
}

std::optional<double> Anomaly::ActualValue() const {
  for (const Feature& f : features) {
    if (f.actual_number) return f.actual_number;
  }
  return std::nullopt;
}

std::optional<double> Anomaly::ExpectedValue() const {
  for (const Feature& f : features) {
    if (f.actual_number) return f.expected_number;
  }
  return std::nullopt;
}

}  // namespace vedette::triage
