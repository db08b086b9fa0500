// Models, their keys and the leases to train them.
#pragma once

#include <absl/time/time.h>

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace vedette::model_cache {

/// What makes two models the same.
struct ModelKey {
  std::string subject;  ///< datasets/{dataset}, entities/{entity} or empty
  std::string metric;
  std::vector<std::string> schema;  ///< "name:type", in order
  std::string algorithm;
  std::map<std::string, std::string> parameters;
  std::string feature_set;
  int32_t feature_set_version = 0;
};

/// JSON with sorted keys and no spaces; the tenant is its first key.
std::string CanonicalJson(const std::string& tenant, const ModelKey& key);
/// SHA-256 of it, hexadecimal.
std::string KeyHash(const std::string& tenant, const ModelKey& key);
/// Reads CanonicalJson back (an unreadable text gives an empty key).
ModelKey ParseCanonicalJson(const std::string& json);

enum class State { kActive, kInvalidated, kExpired };
std::string_view Name(State state);
State ParseState(std::string_view name);

struct Model {
  std::string id;  ///< UUID
  std::string key_hash;
  ModelKey key;
  State state = State::kActive;
  int32_t version = 1;
  int64_t size_bytes = 0;
  std::string sha256;
  int64_t training_rows = 0;
  double training_seconds = 0;
  int64_t hit_count = 0;
  std::string invalidation_reason;
  absl::Time create_time;
  absl::Time expire_time;
  std::optional<absl::Time> last_hit_time;
};

struct Lease {
  std::string id;
  std::string key_hash;
  absl::Time expire_time;
};

struct Statistics {
  int64_t hits = 0;
  int64_t misses = 0;
  int64_t models = 0;
  int64_t bytes = 0;
  double average_training_seconds = 0;
};

}  // namespace vedette::model_cache
