#pragma once

#include <functional>

#include "services/ingest/ports/garbage_store.h"
#include "services/ingest/ports/upload_store.h"
#include "storage/transaction.h"

namespace vedette::ingest {

/// Thread-safe. `on_ready` is called after a dataset became READY (to wake the outbox relay).
class PgUploadStore final : public UploadStore {
 public:
  PgUploadStore(storage::Pool* pool, std::function<void()> on_ready) : pool_(pool), on_ready_(std::move(on_ready)) {}

  absl::StatusOr<Started> Begin(const std::string& tenant, const UploadRequest& request) override;
  absl::Status Touch(const std::string& tenant, const UploadAttempt& attempt, int64_t bytes) override;
  absl::StatusOr<Dataset> Commit(const std::string& tenant, const UploadAttempt& attempt, Dataset dataset,
                                 const std::vector<Chunk>& chunks) override;
  absl::Status Fail(const std::string& tenant, const UploadAttempt& attempt, const Dataset& dataset) override;
  absl::Status Discard(const std::string& tenant, const UploadAttempt& attempt) override;

 private:
  storage::Pool* pool_;
  std::function<void()> on_ready_;
};

/// Thread-safe.
class PgGarbageStore final : public GarbageStore {
 public:
  explicit PgGarbageStore(storage::Pool* pool) : pool_(pool) {}

  absl::StatusOr<int64_t> AbandonUploads(absl::Time before) override;
  absl::StatusOr<std::vector<Garbage>> List(absl::Time before, int limit) override;
  absl::Status Forget(const Garbage& garbage) override;

 private:
  storage::Pool* pool_;
};

/// Marks an attempt's objects as garbage, in the transaction that makes them so.
absl::Status AddGarbage(storage::Tx& tx, const UploadAttempt& attempt);

}  // namespace vedette::ingest
