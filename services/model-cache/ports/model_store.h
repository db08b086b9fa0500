#pragma once

#include <absl/status/statusor.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "services/model-cache/core/model.h"

namespace vedette::model_cache {

/// A List request: `where` is rendered by runtime/filter; the cursor holds the sort keys of the last row given.
struct Listing {
  std::string where = "TRUE";
  std::vector<std::string> params = {};
  std::vector<std::string> cursor = {};
  int limit = 50;
};

/// A hit, the lease to train, or neither: somebody else is training.
using Acquired = std::variant<std::monostate, Model, Lease>;

/// Records. Every method is one transaction.
class ModelStore {
 public:
  virtual ~ModelStore() = default;
  /// Counts a hit or (with a lease) a miss.
  virtual absl::StatusOr<Acquired> Acquire(const std::string& tenant, const ModelKey& key, absl::Duration lease) = 0;
  /// ABORTED when it is not held any more.
  virtual absl::StatusOr<Lease> Renew(const std::string& tenant, const std::string& lease_id, absl::Duration lease) = 0;
  /// OK also when it was not held.
  virtual absl::Status Release(const std::string& tenant, const std::string& lease_id) = 0;
  /// The next version of the lease's key, which becomes the active one; the lease ends. `model` brings id, size, sha256,
  /// training facts and expire_time. ABORTED when the lease is not held any more.
  virtual absl::StatusOr<Model> Commit(const std::string& tenant, const std::string& lease_id, const Model& model) = 0;
  virtual absl::StatusOr<Model> Get(const std::string& tenant, const std::string& id) = 0;
  /// Newest first; cursor: create_time, id.
  virtual absl::StatusOr<std::vector<Model>> List(const std::string& tenant, const Listing& listing) = 0;
  virtual absl::StatusOr<Model> Invalidate(const std::string& tenant, const std::string& id, const std::string& reason) = 0;
  virtual absl::StatusOr<Statistics> Statistics7Days(const std::string& tenant) = 0;
  /// Active models past their time become EXPIRED.
  virtual absl::Status Expire() = 0;
};

/// Bytes of models, by tenant and id. Written once, never changed.
class ModelBytes {
 public:
  class Writer {
   public:
    virtual ~Writer() = default;
    virtual absl::Status Write(std::string_view bytes) = 0;
    /// Visible from now on.
    virtual absl::Status Commit() = 0;
  };
  virtual ~ModelBytes() = default;
  virtual absl::StatusOr<std::unique_ptr<Writer>> Open(const std::string& tenant, const std::string& id) = 0;
  virtual absl::StatusOr<std::shared_ptr<const std::string>> Get(const std::string& tenant, const std::string& id) = 0;
  virtual absl::Status Delete(const std::string& tenant, const std::string& id) = 0;
};

}  // namespace vedette::model_cache
