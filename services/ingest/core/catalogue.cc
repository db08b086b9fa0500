#include "services/ingest/core/catalogue.h"

#include <absl/time/civil_time.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <set>

namespace vedette::ingest {
namespace {

constexpr size_t kMaxObservations = 100'000;
constexpr size_t kMaxJsonBytes = 16 << 10;

bool IsDigit(char c) { return c >= '0' && c <= '9'; }
bool IsLower(char c) { return c >= 'a' && c <= 'z'; }
bool IsUpper(char c) { return c >= 'A' && c <= 'Z'; }

void CheckText(std::string_view field, std::string_view text, size_t max_bytes, std::vector<Violation>& violations) {
  if (text.size() > max_bytes) {
    violations.push_back(
        {std::string(field), fmt::format("has {} bytes, at most {} are allowed", text.size(), max_bytes)});
  }
  if (text.find('\0') != std::string_view::npos) {
    violations.push_back({std::string(field), "must not contain a zero byte"});
  }
}

void CheckId(std::string_view field, std::string_view id, std::vector<Violation>& violations) {
  if (IsResourceId(id)) return;
  violations.push_back(
      {std::string(field), "must be 1 to 128 of A-Z a-z 0-9 . _ : - and begin with a letter or digit"});
}

void CheckRequired(std::string_view field, std::string_view text, std::vector<Violation>& violations) {
  if (text.empty()) violations.push_back({std::string(field), "is required"});
}

void CheckIndexes(const char* field, std::span<const int32_t> indexes, size_t limit,
                  std::vector<Violation>& violations) {
  for (size_t i = 0; i < indexes.size(); ++i) {
    if (indexes[i] >= 0 && static_cast<size_t>(indexes[i]) < limit) continue;
    violations.push_back(
        {fmt::format("{}[{}]", field, i), fmt::format("is {}, its dictionary has {}", indexes[i], limit)});
    return;
  }
}

}  // namespace

bool IsTenantId(std::string_view id) {
  if (id.empty() || id.size() > 63 || !IsLower(id.front()) || id.back() == '-') return false;
  return std::all_of(id.begin(), id.end(), [](char c) { return IsLower(c) || IsDigit(c) || c == '-'; });
}

bool IsResourceId(std::string_view id) {
  const auto alnum = [](char c) { return IsLower(c) || IsUpper(c) || IsDigit(c); };
  if (id.empty() || id.size() > 128 || !alnum(id.front())) return false;
  return std::all_of(id.begin(), id.end(),
                     [&](char c) { return alnum(c) || c == '.' || c == '_' || c == ':' || c == '-'; });
}

bool IsUuid(std::string_view text) {
  if (text.size() != 36) return false;
  for (size_t i = 0; i < text.size(); ++i) {
    const bool dash = i == 8 || i == 13 || i == 18 || i == 23;
    const char c = text[i];
    if (dash ? c != '-' : !(IsDigit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'))) return false;
  }
  return true;
}

void CheckTenant(const Tenant& tenant, std::vector<Violation>& violations) {
  if (!IsTenantId(tenant.id)) {
    violations.push_back({"tenant_id", "must match ^[a-z]([a-z0-9-]{0,61}[a-z0-9])?$"});
  }
  CheckText("tenant.display_name", tenant.display_name, 200, violations);
  CheckText("tenant.tier", tenant.tier, 40, violations);
}

void CheckEntity(const Entity& entity, std::vector<Violation>& violations) {
  CheckId("entity_id", entity.id, violations);
  CheckRequired("entity.kind", entity.kind, violations);
  CheckText("entity.kind", entity.kind, 64, violations);
  CheckText("entity.display_name", entity.display_name, 200, violations);
  CheckText("entity.external_id", entity.external_id, 200, violations);
  CheckText("entity.peer_group", entity.peer_group, 128, violations);
  CheckText("entity.attributes", entity.attributes_json, kMaxJsonBytes, violations);
}

void CheckMetric(const Metric& metric, std::vector<Violation>& violations) {
  CheckId("metric_id", metric.id, violations);
  CheckText("metric.display_name", metric.display_name, 200, violations);
  CheckText("metric.category", metric.category, 64, violations);
  CheckText("metric.unit", metric.unit, 64, violations);
}

void CheckChangeEvent(const ChangeEvent& event, std::vector<Violation>& violations) {
  CheckRequired("change_event.kind", event.kind, violations);
  CheckText("change_event.kind", event.kind, 64, violations);
  CheckRequired("change_event.title", event.title, violations);
  CheckText("change_event.title", event.title, 500, violations);
  if (!event.entity.empty()) CheckId("change_event.entity", event.entity, violations);
  CheckText("change_event.details", event.details_json, kMaxJsonBytes, violations);
}

void CheckObservations(const ObservationBatch& batch, absl::Time first, absl::Time last,
                       std::vector<Violation>& violations) {
  const size_t n = batch.values.size();
  if (n == 0) violations.push_back({"values", "is required"});
  if (n > kMaxObservations) {
    violations.push_back({"values", fmt::format("has {} entries, at most {} are allowed", n, kMaxObservations)});
  }
  if (batch.entity_index.size() != n || batch.metric_index.size() != n || batch.time_micros.size() != n) {
    violations.push_back(
        {"values", fmt::format("the arrays differ in length: {} values, {} entity_index, {} metric_index, "
                               "{} time_micros",
                               n, batch.entity_index.size(), batch.metric_index.size(), batch.time_micros.size())});
  }
  if (batch.entities.size() > n) violations.push_back({"entities", "has more entries than there are observations"});
  if (batch.metrics.size() > n) violations.push_back({"metrics", "has more entries than there are observations"});
  if (!violations.empty()) return;
  CheckIndexes("entity_index", batch.entity_index, batch.entities.size(), violations);
  CheckIndexes("metric_index", batch.metric_index, batch.metrics.size(), violations);
  const int64_t first_micros = absl::ToUnixMicros(first);
  const int64_t last_micros = absl::ToUnixMicros(last);
  for (size_t i = 0; i < n; ++i) {
    if (!std::isfinite(batch.values[i])) {
      violations.push_back({fmt::format("values[{}]", i), "is not finite"});
      break;
    }
  }
  for (size_t i = 0; i < n; ++i) {
    if (batch.time_micros[i] >= first_micros && batch.time_micros[i] < last_micros) continue;
    violations.push_back(
        {fmt::format("time_micros[{}]", i), fmt::format("{} is outside {} to {}", batch.time_micros[i],
                                                        absl::FormatTime("%Y-%m-%d", first, absl::UTCTimeZone()),
                                                        absl::FormatTime("%Y-%m-%d", last, absl::UTCTimeZone()))});
    break;
  }
}

void CheckUpload(std::string_view display_name, std::string_view request_id, std::string_view format,
                 std::string_view delimiter, std::vector<Violation>& violations) {
  CheckText("metadata.display_name", display_name, 200, violations);
  if (!request_id.empty() && !IsUuid(request_id)) violations.push_back({"metadata.request_id", "must be a UUID"});
  if (!format.empty() && format != "csv") {
    violations.push_back({"metadata.format", fmt::format("'{}' is not known; csv is", format.substr(0, 40))});
  }
  if (!delimiter.empty() && delimiter != "," && delimiter != ";" && delimiter != "\t" && delimiter != "|") {
    violations.push_back({"metadata.delimiter", "must be one of: comma, semicolon, tab, |"});
  }
}

std::vector<absl::CivilMonth> MonthsOf(std::span<const int64_t> time_micros) {
  std::set<absl::CivilMonth> months;
  absl::Time begin, end;  // of the month found last: times mostly come in order
  for (const int64_t micros : time_micros) {
    const absl::Time time = absl::FromUnixMicros(micros);
    if (time >= begin && time < end) continue;
    const absl::CivilMonth month = absl::ToCivilMonth(time, absl::UTCTimeZone());
    begin = absl::FromCivil(month, absl::UTCTimeZone());
    end = absl::FromCivil(month + 1, absl::UTCTimeZone());
    months.insert(month);
  }
  return {months.begin(), months.end()};
}

}  // namespace vedette::ingest
