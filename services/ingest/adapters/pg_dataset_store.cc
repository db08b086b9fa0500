#include "services/ingest/adapters/pg_dataset_store.h"

#include <fmt/format.h>

#include "base/status.h"
#include "platform/list.h"
#include "services/ingest/adapters/pg_dataset_rows.h"
#include "services/ingest/adapters/pg_upload_store.h"
#include "storage/transaction.h"

namespace vedette::ingest {
namespace {

using storage::Row;
using storage::Tx;
using Type = runtime::FilterField::Type;

/// Datasets with thousands of columns are large: a page ends early rather than exceed what clients receive.
constexpr size_t kPageBytes = 2 << 20;

const platform::ListSpec& DatasetList() {
  static const platform::ListSpec spec{
      .columns = kDatasetColumns,
      .from = "datasets",
      .keys = {{"id", "uuid"}},  // time-ordered
      .descending = true,
      .filter = {
          .fields = {{.name = "display_name", .sql = "display_name"},
                     {.name = "state", .sql = "state", .type = Type::kEnum, .values = {"UPLOADING", "READY", "FAILED"}},
                     {.name = "row_count", .sql = "row_count", .type = Type::kInteger},
                     {.name = "create_time", .sql = "create_time", .type = Type::kTimestamp}},
          .search_sql = {"display_name"}}};
  return spec;
}

}  // namespace

absl::StatusOr<Dataset> PgDatasetStore::Get(const std::string& tenant, const std::string& id) {
  Dataset out;
  const auto get = [&](Tx& tx) -> absl::Status {
    ASSIGN_OR_RETURN(const storage::Result r,
                     tx.Exec(fmt::format("select {} from datasets where tenant_id = $1 and id = $2", kDatasetColumns),
                             {tenant, id}));
    if (r.empty()) return NotFound("there is no dataset {}", id);
    out = DatasetOf(r[0]);
    return absl::OkStatus();
  };
  RETURN_IF_ERROR(storage::InTenant(*pool_, tenant, get, storage::kReadOnly));
  return out;
}

absl::StatusOr<Page<Dataset>> PgDatasetStore::List(const std::string& tenant, const ListQuery& query) {
  Page<Dataset> page;
  const auto list = [&](Tx& tx) -> absl::Status {
    page = {};
    size_t bytes = 0;
    const auto take = [&](const Row& row) {
      bytes += 512 + row.Text("columns").size() + row.Text("bad_cells").size();
      if (bytes > kPageBytes && !page.items.empty()) return false;
      page.items.push_back(DatasetOf(row));
      return true;
    };
    ASSIGN_OR_RETURN(page.next_page_token,
                     platform::ListRows(tx, DatasetList(), {query.page_size, query.page_token, query.filter}, take));
    return absl::OkStatus();
  };
  RETURN_IF_ERROR(storage::InTenant(*pool_, tenant, list, storage::kReadOnly));
  return page;
}

absl::Status PgDatasetStore::Delete(const std::string& tenant, const std::string& id) {
  return storage::InTenant(*pool_, tenant, [&](Tx& tx) -> absl::Status {
    ASSIGN_OR_RETURN(
        const storage::Result r,
        tx.Exec("delete from datasets where tenant_id = $1 and id = $2 returning attempt_id", {tenant, id}));
    if (r.empty()) return NotFound("there is no dataset {}", id);
    return AddGarbage(tx, {.dataset_id = id, .attempt_id = std::string(r[0].Text("attempt_id"))});
  });
}

absl::StatusOr<std::vector<Chunk>> PgDatasetStore::Chunks(const std::string& tenant, const std::string& id,
                                                          int64_t first_row, int64_t row_count) {
  std::vector<Chunk> out;
  const auto find = [&](Tx& tx) -> absl::Status {
    out.clear();
    ASSIGN_OR_RETURN(
        const storage::Result r,
        tx.Exec("select chunk_index, first_row, row_count, object_key from dataset_chunks "
                "where tenant_id = $1 and dataset_id = $2 and first_row < $3::bigint + $4::bigint and first_row >= "
                "coalesce((select max(first_row) from dataset_chunks where tenant_id = $1 and dataset_id = $2 "
                "and first_row <= $3::bigint), 0) order by first_row",
                {tenant, id, first_row, row_count}));
    for (const Row row : r) {
      out.push_back({.index = row.Int64("chunk_index"),
                     .first_row = row.Int64("first_row"),
                     .rows = row.Int64("row_count"),
                     .key = std::string(row.Text("object_key"))});
    }
    return absl::OkStatus();
  };
  RETURN_IF_ERROR(storage::InTenant(*pool_, tenant, find, storage::kReadOnly));
  return out;
}

}  // namespace vedette::ingest
