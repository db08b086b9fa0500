#include <fmt/format.h>

#include <optional>

#include "base/ids.h"
#include "base/status.h"
#include "platform/list.h"
#include "services/feature-engine/adapters/pg_stores.h"
#include "storage/transaction.h"

namespace vedette::feature_engine {
namespace {

using storage::Row;
using storage::Tx;
using Type = runtime::FilterField::Type;

constexpr char kBaselineColumns[] =
    "id, scope, metric, count, mean, standard_deviation, median, median_absolute_deviation, minimum, maximum, "
    "percentile_5, percentile_95, valid_from, valid_to, create_time";

const platform::ListSpec& BaselineList() {
  static const platform::ListSpec spec{
      .columns = kBaselineColumns,
      .from = "baselines",
      .keys = {{"id", "uuid"}},  // time-ordered
      .descending = true,
      .filter = {.fields = {{.name = "scope", .sql = "scope"},
                            {.name = "metric", .sql = "metric"},
                            {.name = "create_time", .sql = "create_time", .type = Type::kTimestamp}}}};
  return spec;
}

Baseline BaselineOf(const Row& row) {
  return {.id = std::string(row.Text("id")),
          .scope = std::string(row.Text("scope")),
          .metric = std::string(row.Text("metric")),
          .count = row.Int64("count"),
          .mean = row.Double("mean"),
          .standard_deviation = row.Double("standard_deviation"),
          .median = row.Double("median"),
          .median_absolute_deviation = row.Double("median_absolute_deviation"),
          .minimum = row.Double("minimum"),
          .maximum = row.Double("maximum"),
          .percentile_5 = row.Double("percentile_5"),
          .percentile_95 = row.Double("percentile_95"),
          .valid_from = row.Time("valid_from"),
          .valid_to = row.Time("valid_to"),
          .create_time = row.Time("create_time")};
}

}  // namespace

absl::StatusOr<Baseline> PgBaselineStore::Create(const std::string& tenant, const Baseline& b,
                                                 const std::string& request_id) {
  Baseline out;
  const std::string id = NewUuidV7(absl::Now());
  const std::optional<std::string> request = request_id.empty() ? std::nullopt : std::optional(request_id);
  const auto create = [&](Tx& tx) -> absl::Status {
    ASSIGN_OR_RETURN(
        storage::Result r,
        tx.Exec(fmt::format(
                    "insert into baselines (tenant_id, id, request_id, scope, metric, count, mean, standard_deviation, "
                    "median, median_absolute_deviation, minimum, maximum, percentile_5, percentile_95, valid_from, "
                    "valid_to) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16) "
                    "on conflict (tenant_id, request_id) where request_id is not null do nothing returning {}",
                    kBaselineColumns),
                {tenant, id, request, b.scope, b.metric, b.count, b.mean, b.standard_deviation, b.median,
                 b.median_absolute_deviation, b.minimum, b.maximum, b.percentile_5, b.percentile_95, b.valid_from,
                 b.valid_to}));
    if (r.empty()) {
      ASSIGN_OR_RETURN(
          r, tx.Exec(fmt::format("select {} from baselines where tenant_id = $1 and request_id = $2", kBaselineColumns),
                     {tenant, request}));
    }
    if (r.empty()) return absl::AbortedError("the baseline of this request cannot be seen yet; send it again");
    out = BaselineOf(r[0]);
    return absl::OkStatus();
  };
  RETURN_IF_ERROR(storage::InTenant(*pool_, tenant, create));
  return out;
}

absl::StatusOr<Baseline> PgBaselineStore::Get(const std::string& tenant, const std::string& id) {
  Baseline out;
  const auto get = [&](Tx& tx) -> absl::Status {
    ASSIGN_OR_RETURN(const storage::Result r,
                     tx.Exec(fmt::format("select {} from baselines where tenant_id = $1 and id = $2", kBaselineColumns),
                             {tenant, id}));
    if (r.empty()) return NotFound("there is no baseline {}", id);
    out = BaselineOf(r[0]);
    return absl::OkStatus();
  };
  RETURN_IF_ERROR(storage::InTenant(*pool_, tenant, get, storage::kReadOnly));
  return out;
}

absl::StatusOr<Page<Baseline>> PgBaselineStore::List(const std::string& tenant, const ListQuery& query) {
  Page<Baseline> page;
  const auto list = [&](Tx& tx) -> absl::Status {
    page = {};
    const auto take = [&page](const Row& row) {
      page.items.push_back(BaselineOf(row));
      return true;
    };
    ASSIGN_OR_RETURN(page.next_page_token,
                     platform::ListRows(tx, BaselineList(), {query.page_size, query.page_token, query.filter}, take));
    return absl::OkStatus();
  };
  RETURN_IF_ERROR(storage::InTenant(*pool_, tenant, list, storage::kReadOnly));
  return page;
}

absl::Status PgBaselineStore::Delete(const std::string& tenant, const std::string& id) {
  return storage::InTenant(*pool_, tenant, [&](Tx& tx) -> absl::Status {
    ASSIGN_OR_RETURN(const storage::Result r,
                     tx.Exec("delete from baselines where tenant_id = $1 and id = $2", {tenant, id}));
    return r.affected() == 1 ? absl::OkStatus() : NotFound("there is no baseline {}", id);
  });
}

}  // namespace vedette::feature_engine
