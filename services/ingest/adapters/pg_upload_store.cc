#include "services/ingest/adapters/pg_upload_store.h"

#include <fmt/format.h>

#include <optional>
#include <utility>

#include "base/ids.h"
#include "base/status.h"
#include "services/ingest/adapters/pg_dataset_rows.h"
#include "storage/copy.h"
#include "storage/outbox.h"
#include "vedette/events/v1/events.pb.h"

namespace vedette::ingest {
namespace {

using storage::Row;
using storage::Tx;

constexpr char kThisAttempt[] = "where tenant_id = $1 and id = $2 and attempt_id = $3 and state = 'UPLOADING'";

absl::Status Superseded(const UploadAttempt& attempt) {
  return absl::AbortedError(fmt::format(
      "the upload of dataset {} was given up, or taken over by a repetition of its request", attempt.dataset_id));
}

std::optional<std::string> NullIfEmpty(const std::string& text) {
  return text.empty() ? std::nullopt : std::optional<std::string>(text);
}

absl::Status InsertChunks(Tx& tx, const std::string& dataset_id, const std::vector<Chunk>& chunks) {
  ASSIGN_OR_RETURN(auto bulk, storage::BulkInsert::Begin(tx, {.table = "dataset_chunks",
                                                              .columns = {"tenant_id", "dataset_id", "first_row",
                                                                          "row_count", "chunk_index", "object_key"}}));
  for (const Chunk& chunk : chunks) {
    bulk.Text(tx.tenant());
    bulk.Text(dataset_id);
    bulk.Int64(chunk.first_row);
    bulk.Int64(chunk.rows);
    bulk.Int64(chunk.index);
    bulk.Text(chunk.key);
    RETURN_IF_ERROR(bulk.EndRow());
  }
  return bulk.Finish().status();
}

absl::Status AddReadyFact(Tx& tx, const Dataset& dataset) {
  events::v1::DatasetReady fact;
  fact.set_tenant(tx.tenant());
  fact.set_dataset("datasets/" + dataset.id);
  fact.set_row_count(dataset.row_count);
  storage::OutboxMessage message;
  message.id = "dataset.ready/" + dataset.id;
  message.subject = "facts.dataset.ready";
  message.type = "vedette.dataset.ready.v1";
  message.payload = fact.SerializeAsString();
  message.headers["subject"] = fact.dataset();
  return storage::Outbox::Add(tx, std::move(message)).status();
}

// The dataset that was made for this request before, if any: finished, or taken over.
absl::Status Resume(Tx& tx, const UploadRequest& request, const std::string& attempt_id,
                    UploadStore::Started* started) {
  ASSIGN_OR_RETURN(
      const storage::Result found,
      tx.Exec(fmt::format("select attempt_id, {} from datasets where tenant_id = $1 and request_id = $2 for update",
                          kDatasetColumns),
              {tx.tenant(), request.request_id}));
  if (found.empty()) return absl::AbortedError("the dataset of this request was removed just now; send it again");
  Dataset dataset = DatasetOf(found[0]);
  const UploadAttempt earlier{.dataset_id = dataset.id, .attempt_id = std::string(found[0].Text("attempt_id"))};
  if (dataset.state != DatasetState::kUploading) {
    *started = {.attempt = earlier, .finished = std::move(dataset)};
    return absl::OkStatus();
  }
  RETURN_IF_ERROR(AddGarbage(tx, earlier));
  *started = {.attempt = {.dataset_id = dataset.id, .attempt_id = attempt_id}, .finished = std::nullopt};
  return tx
      .Exec(
          "update datasets set attempt_id = $3, display_name = $4, touch_time = now(), size_bytes = 0 "
          "where tenant_id = $1 and id = $2",
          {tx.tenant(), dataset.id, attempt_id, request.display_name})
      .status();
}

}  // namespace

absl::Status AddGarbage(Tx& tx, const UploadAttempt& attempt) {
  return tx
      .Exec("insert into garbage (tenant_id, prefix) values ($1, $2) on conflict do nothing",
            {tx.tenant(), attempt.Prefix(tx.tenant())})
      .status();
}

absl::StatusOr<UploadStore::Started> PgUploadStore::Begin(const std::string& tenant, const UploadRequest& request) {
  const absl::Time now = absl::Now();
  const UploadAttempt fresh{.dataset_id = NewUuidV7(now), .attempt_id = NewUuidV7(now)};
  Started started;
  RETURN_IF_ERROR(storage::InTenant(*pool_, tenant, [&](Tx& tx) -> absl::Status {
    ASSIGN_OR_RETURN(
        const storage::Result added,
        tx.Exec("insert into datasets (tenant_id, id, attempt_id, request_id, display_name, state) "
                "values ($1, $2, $3, $4, $5, 'UPLOADING') "
                "on conflict (tenant_id, request_id) where request_id is not null do nothing",
                {tenant, fresh.dataset_id, fresh.attempt_id, NullIfEmpty(request.request_id), request.display_name}));
    started = {.attempt = fresh, .finished = std::nullopt};
    return added.affected() == 1 ? absl::OkStatus() : Resume(tx, request, fresh.attempt_id, &started);
  }));
  return started;
}

absl::Status PgUploadStore::Touch(const std::string& tenant, const UploadAttempt& attempt, int64_t bytes) {
  return storage::InTenant(*pool_, tenant, [&](Tx& tx) -> absl::Status {
    ASSIGN_OR_RETURN(const storage::Result r,
                     tx.Exec(fmt::format("update datasets set touch_time = now(), size_bytes = $4 {}", kThisAttempt),
                             {tenant, attempt.dataset_id, attempt.attempt_id, bytes}));
    return r.affected() == 1 ? absl::OkStatus() : Superseded(attempt);
  });
}

absl::StatusOr<Dataset> PgUploadStore::Commit(const std::string& tenant, const UploadAttempt& attempt, Dataset dataset,
                                              const std::vector<Chunk>& chunks) {
  std::vector<std::string> notes;
  for (const std::string& note : dataset.notes) notes.push_back(CleanText(note));
  Dataset stored;
  const auto commit = [&](Tx& tx) -> absl::Status {
    ASSIGN_OR_RETURN(
        const storage::Result r,
        tx.Exec(
            fmt::format(
                "update datasets set state = 'READY', row_count = $4, columns = $5, size_bytes = $6, "
                "bad_cell_count = $7, bad_cells = $8, notes = $9, sha256 = $10, touch_time = now() {} returning {}",
                kThisAttempt, kDatasetColumns),
            {tenant, attempt.dataset_id, attempt.attempt_id, dataset.row_count, ColumnsToJson(dataset.columns),
             dataset.size_bytes, dataset.bad_cell_count, BadCellsToJson(dataset.bad_cells), notes, dataset.sha256}));
    if (r.empty()) return Superseded(attempt);
    stored = DatasetOf(r[0]);
    RETURN_IF_ERROR(InsertChunks(tx, attempt.dataset_id, chunks));
    return AddReadyFact(tx, stored);
  };
  RETURN_IF_ERROR(storage::InTenant(*pool_, tenant, commit));
  on_ready_();
  return stored;
}

absl::Status PgUploadStore::Fail(const std::string& tenant, const UploadAttempt& attempt, const Dataset& dataset) {
  std::vector<std::string> notes;
  for (const std::string& note : dataset.notes) notes.push_back(CleanText(note));
  return storage::InTenant(*pool_, tenant, [&](Tx& tx) -> absl::Status {
    ASSIGN_OR_RETURN(
        const storage::Result r,
        tx.Exec(fmt::format("update datasets set state = 'FAILED', size_bytes = $4, bad_cell_count = $5, "
                            "bad_cells = $6, notes = $7, sha256 = $8, error = $9, touch_time = now() {}",
                            kThisAttempt),
                {tenant, attempt.dataset_id, attempt.attempt_id, dataset.size_bytes, dataset.bad_cell_count,
                 BadCellsToJson(dataset.bad_cells), notes, dataset.sha256, CleanText(dataset.error)}));
    return r.affected() == 1 ? AddGarbage(tx, attempt) : Superseded(attempt);
  });
}

absl::Status PgUploadStore::Discard(const std::string& tenant, const UploadAttempt& attempt) {
  return storage::InTenant(*pool_, tenant, [&](Tx& tx) -> absl::Status {
    ASSIGN_OR_RETURN(const storage::Result r, tx.Exec(fmt::format("delete from datasets {}", kThisAttempt),
                                                      {tenant, attempt.dataset_id, attempt.attempt_id}));
    return r.affected() == 1 ? AddGarbage(tx, attempt) : Superseded(attempt);
  });
}

absl::StatusOr<int64_t> PgGarbageStore::AbandonUploads(absl::Time before) {
  int64_t count = 0;
  RETURN_IF_ERROR(storage::AsService(*pool_, [&](Tx& tx) -> absl::Status {
    ASSIGN_OR_RETURN(const storage::Result r,
                     tx.Exec("with gone as (delete from datasets where state = 'UPLOADING' and touch_time < $1 "
                             "returning tenant_id, id, attempt_id) "
                             "insert into garbage (tenant_id, prefix) "
                             "select tenant_id, 'datasets/' || tenant_id || '/' || id || '/' || attempt_id from gone "
                             "on conflict do nothing",
                             {before}));
    count = r.affected();
    return absl::OkStatus();
  }));
  return count;
}

absl::StatusOr<std::vector<Garbage>> PgGarbageStore::List(absl::Time before, int limit) {
  std::vector<Garbage> out;
  RETURN_IF_ERROR(storage::AsService(*pool_, [&](Tx& tx) -> absl::Status {
    out.clear();
    ASSIGN_OR_RETURN(
        const storage::Result r,
        tx.Exec("select tenant_id, prefix from garbage where create_time < $1 order by create_time limit $2",
                {before, limit}));
    for (const Row row : r) out.push_back({std::string(row.Text("tenant_id")), std::string(row.Text("prefix"))});
    return absl::OkStatus();
  }));
  return out;
}

absl::Status PgGarbageStore::Forget(const Garbage& garbage) {
  return storage::AsService(*pool_, [&](Tx& tx) -> absl::Status {
    return tx.Exec("delete from garbage where tenant_id = $1 and prefix = $2", {garbage.tenant, garbage.prefix})
        .status();
  });
}

}  // namespace vedette::ingest
