// The JSONB columns of anomalies.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "services/triage/core/anomaly.h"

namespace vedette::triage {

std::string FeaturesToJson(const std::vector<Feature>& features);
std::vector<Feature> FeaturesFromJson(std::string_view json);
std::string CellsToJson(const std::map<std::string, std::string>& cells);
std::map<std::string, std::string> CellsFromJson(std::string_view json);
std::string VerdictToJson(const TriageVerdict& verdict);
/// Nothing for what is not an object.
std::optional<TriageVerdict> VerdictFromJson(std::string_view json);

}  // namespace vedette::triage
