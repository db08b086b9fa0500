#include "services/benchmark/adapters/pg_benchmark_store.h"

#include "base/status.h"
#include "storage/copy.h"
#include "storage/transaction.h"

namespace vedette::benchmark {
namespace {

using storage::Row;
using storage::Tx;

constexpr char kGroupColumns[] = "peer_group_id, display_name, members, min_members, create_time";

PeerGroup ReadGroup(const Row& r) {
  return {.id = std::string(r.Text("peer_group_id")),
          .display_name = std::string(r.Text("display_name")),
          .members = r.TextArray("members"),
          .min_members = static_cast<int>(r.Int64("min_members")),
          .create_time = r.Time("create_time")};
}

Benchmark ReadBenchmark(const Row& r) {
  return {.entity = std::string(r.Text("entity")),
          .metric = std::string(r.Text("metric")),
          .period_start = r.Time("period_start"),
          .period_end = r.Time("period_end"),
          .value = r.Double("value"),
          .peer_median = r.Double("peer_median"),
          .peer_spread = r.Double("peer_spread"),
          .robust_z = r.Double("robust_z"),
          .percentile = r.Double("percentile"),
          .peer_count = static_cast<int>(r.Int64("peer_count"))};
}

}  // namespace

absl::StatusOr<PeerGroup> PgBenchmarkStore::CreateGroup(const std::string& tenant, const PeerGroup& group) {
  PeerGroup created;
  const absl::Status status = storage::InTenant(*pool_, tenant, [&](Tx& tx) -> absl::Status {
    ASSIGN_OR_RETURN(const auto rows, tx.Exec(fmt::format("insert into peer_groups (tenant_id, peer_group_id, display_name, members, min_members) "
                                                          "values ($1, $2, $3, $4::text[], $5) returning {}", kGroupColumns),
                                              {tx.tenant(), group.id, group.display_name, group.members, group.min_members}));
    created = ReadGroup(rows[0]);
    return absl::OkStatus();
  });
  if (absl::IsAlreadyExists(status)) return absl::AlreadyExistsError(fmt::format("peerGroups/{} exists already", group.id));
  RETURN_IF_ERROR(status);
  return created;
}

absl::StatusOr<PeerGroup> PgBenchmarkStore::GetGroup(const std::string& tenant, const std::string& id) {
  PeerGroup group;
  RETURN_IF_ERROR(storage::InTenant(*pool_, tenant, [&](Tx& tx) -> absl::Status {
    ASSIGN_OR_RETURN(const auto rows, tx.Exec(fmt::format("select {} from peer_groups where tenant_id = $1 and peer_group_id = $2", kGroupColumns),
                                              {tx.tenant(), id}));
    if (rows.empty()) return NotFound("peerGroups/{} does not exist", id);
    group = ReadGroup(rows[0]);
    return absl::OkStatus();
  }));
  return group;
}

absl::StatusOr<std::vector<PeerGroup>> PgBenchmarkStore::ListGroups(const std::string& tenant, const Listing& listing) {
  std::vector<PeerGroup> groups;
  RETURN_IF_ERROR(storage::InTenant(*pool_, tenant, [&](Tx& tx) -> absl::Status {
    ASSIGN_OR_RETURN(const auto rows, tx.Exec(fmt::format("select {} from peer_groups where tenant_id = $1 and peer_group_id > $2 "
                                                          "order by peer_group_id limit {}", kGroupColumns, listing.limit),
                                              {tx.tenant(), listing.cursor.empty() ? std::string() : listing.cursor[0]}));
    groups.clear();
    for (const Row row : rows) groups.push_back(ReadGroup(row));
    return absl::OkStatus();
  }));
  return groups;
}

absl::Status PgBenchmarkStore::Write(const std::string& tenant, const std::string& group_id, const std::vector<Benchmark>& all) {
  if (all.empty()) return absl::OkStatus();
  return storage::InTenant(*pool_, tenant, [&](Tx& tx) -> absl::Status {
    // A member without a value this time must not keep the standing of an earlier refresh.
    RETURN_IF_ERROR(tx.Exec("delete from peer_benchmarks where tenant_id = $1 and peer_group_id = $2 and metric = $3 "
                            "and period_start = $4::timestamptz and period_end = $5::timestamptz",
                            {tx.tenant(), group_id, all[0].metric, all[0].period_start, all[0].period_end}).status());
    ASSIGN_OR_RETURN(auto bulk, storage::BulkInsert::Begin(tx, {.table = "peer_benchmarks",
                                                                .columns = {"tenant_id", "peer_group_id", "metric", "period_start", "period_end",
                                                                            "entity", "value", "peer_median", "peer_spread", "robust_z",
                                                                            "percentile", "peer_count"}}));
    for (const Benchmark& b : all) {
      bulk.Text(tx.tenant());
      bulk.Text(group_id);
      bulk.Text(b.metric);
      bulk.Time(b.period_start);
      bulk.Time(b.period_end);
      bulk.Text(b.entity);
      bulk.Double(b.value);
      bulk.Double(b.peer_median);
      bulk.Double(b.peer_spread);
      bulk.Double(b.robust_z);
      bulk.Double(b.percentile);
      bulk.Int64(b.peer_count);
      RETURN_IF_ERROR(bulk.EndRow());
    }
    return bulk.Finish().status();
  });
}

absl::StatusOr<std::vector<Benchmark>> PgBenchmarkStore::List(const std::string& tenant, const std::string& group_id,
                                                              const Listing& listing) {
  std::vector<Benchmark> all;
  RETURN_IF_ERROR(storage::InTenant(*pool_, tenant, [&](Tx& tx) -> absl::Status {
    storage::Params params(listing.params.begin(), listing.params.end());
    std::string where = "(" + listing.where + ")";
    if (!listing.cursor.empty()) {
      const size_t n = params.size();
      where += fmt::format(" and (period_start < ${0}::timestamptz or (period_start = ${0}::timestamptz and (metric, entity) > (${1}, ${2})))",
                           n + 1, n + 2, n + 3);
      params.insert(params.end(), listing.cursor.begin(), listing.cursor.end());
    }
    params.emplace_back(tx.tenant());
    params.emplace_back(group_id);
    ASSIGN_OR_RETURN(const auto rows,
                     tx.Exec(fmt::format("select entity, metric, period_start, period_end, value, peer_median, peer_spread, robust_z, percentile, "
                                         "peer_count from peer_benchmarks where {} and tenant_id = ${} and peer_group_id = ${} "
                                         "order by period_start desc, metric, entity limit {}",
                                         where, params.size() - 1, params.size(), listing.limit),
                             params));
    all.clear();
    for (const Row row : rows) all.push_back(ReadBenchmark(row));
    return absl::OkStatus();
  }));
  return all;
}

}  // namespace vedette::benchmark
