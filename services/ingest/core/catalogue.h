// What is measured: tenants, entities, metrics, observations, and what changed in the world.
#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace vedette::ingest {

struct Tenant {
  std::string id;
  std::string display_name;
  std::string tier;
  absl::Time create_time;
};

struct Entity {
  std::string id;
  std::string kind;
  std::string display_name;
  std::string external_id;
  std::string peer_group;
  std::string attributes_json = "{}";  ///< an object
  absl::Time create_time;
};

enum class Direction { kUnspecified, kBoth, kHigh, kLow };

struct Metric {
  std::string id;
  std::string display_name;
  std::string category;
  std::string unit;
  bool standard = false;
  Direction direction = Direction::kUnspecified;
};

struct ChangeEvent {
  std::string id;
  std::string kind;
  std::string title;
  std::string entity;  ///< id, or empty: all
  absl::Time event_time;
  std::string details_json = "{}";  ///< an object
};

/// Columnar; the four arrays have one entry an observation.
struct ObservationBatch {
  std::vector<std::string> entities;  ///< ids; dictionary of entity_index
  std::vector<std::string> metrics;   ///< ids; dictionary of metric_index
  std::vector<int32_t> entity_index;
  std::vector<int32_t> metric_index;
  std::vector<int64_t> time_micros;
  std::vector<double> values;
};

struct WriteResult {
  int64_t written = 0;
  int64_t duplicates = 0;
};

struct Observation {
  int64_t time_micros = 0;
  double value = 0;
};

/// One mistake in a request: where, and what would be right.
struct Violation {
  std::string field;
  std::string description;
};

// Each adds what is wrong with the thing to `violations`; a field's name is given as the request's.
void CheckTenant(const Tenant& tenant, std::vector<Violation>& violations);
void CheckEntity(const Entity& entity, std::vector<Violation>& violations);
void CheckMetric(const Metric& metric, std::vector<Violation>& violations);
void CheckChangeEvent(const ChangeEvent& event, std::vector<Violation>& violations);
/// Times must lie in [first, last).
void CheckObservations(const ObservationBatch& batch, absl::Time first, absl::Time last,
                       std::vector<Violation>& violations);
/// display_name at most 200 bytes of text; request_id a UUID or empty; format csv or empty; delimiter one of , ; tab |
void CheckUpload(std::string_view display_name, std::string_view request_id, std::string_view format,
                 std::string_view delimiter, std::vector<Violation>& violations);

/// The months (UTC) that the times fall in, each once, in order.
std::vector<absl::CivilMonth> MonthsOf(std::span<const int64_t> time_micros);

/// ^[a-z]([a-z0-9-]{0,61}[a-z0-9])?$
bool IsTenantId(std::string_view id);
/// 1 to 128 of [A-Za-z0-9._:-], beginning with a letter or digit: ids that a user chooses.
bool IsResourceId(std::string_view id);
bool IsUuid(std::string_view text);

}  // namespace vedette::ingest
