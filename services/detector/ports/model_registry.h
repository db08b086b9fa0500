#pragma once

#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include <cstdint>
#include <map>
#include <string>
#include <variant>
#include <vector>

namespace vedette::detector {

struct ModelKey {
  std::string subject;
  std::vector<std::string> schema;
  std::string algorithm;
  std::map<std::string, std::string> parameters;
  std::string feature_set;
  int32_t feature_set_version = 0;
};

struct Hit {
  std::string model;  ///< models/{model}
};
struct Lease {
  std::string id;
  absl::Time expire_time;
};
/// Somebody else is training.
struct Busy {};
using Acquired = std::variant<Hit, Lease, Busy>;

struct Training {
  int64_t rows = 0;
  double seconds = 0;
};

/// model-cache, as one caller sees it.
class ModelRegistry {
 public:
  virtual ~ModelRegistry() = default;
  virtual absl::StatusOr<Acquired> Acquire(const ModelKey& key, absl::Duration wait) = 0;
  /// ABORTED when the lease was lost.
  virtual absl::StatusOr<Lease> Renew(const std::string& lease_id) = 0;
  virtual void Release(const std::string& lease_id, const absl::Status& why) = 0;
  /// The name of the stored model.
  virtual absl::StatusOr<std::string> Upload(const std::string& lease_id, const std::string& bytes, const Training& training) = 0;
  virtual absl::StatusOr<std::string> Download(const std::string& model) = 0;
};

}  // namespace vedette::detector
