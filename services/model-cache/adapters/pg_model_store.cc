#include "services/model-cache/adapters/pg_model_store.h"

#include "base/ids.h"
#include "base/status.h"
#include "storage/transaction.h"

namespace vedette::model_cache {
namespace {

using storage::Row;
using storage::Tx;

constexpr char kColumns[] =
    "model_id, key_hash, model_key, state, version, size_bytes, sha256, training_rows, training_seconds, hit_count, "
    "invalidation_reason, create_time, expire_time, last_hit_time";

Model Read(const Row& r) {
  Model m;
  m.id = r.Text("model_id");
  m.key_hash = r.Text("key_hash");
  m.key = ParseCanonicalJson(std::string(r.Text("model_key")));
  m.state = ParseState(r.Text("state"));
  m.version = static_cast<int32_t>(r.Int64("version"));
  m.size_bytes = r.Int64("size_bytes");
  m.sha256 = r.Text("sha256");
  m.training_rows = r.Int64("training_rows");
  m.training_seconds = r.Double("training_seconds");
  m.hit_count = r.Int64("hit_count");
  m.invalidation_reason = r.Text("invalidation_reason");
  m.create_time = r.Time("create_time");
  m.expire_time = r.Time("expire_time");
  m.last_hit_time = r.OptionalTime("last_hit_time");
  return m;
}

absl::Status CountDay(Tx& tx, bool hit) {
  return tx.Exec("insert into cache_days as d (tenant_id, day, hits, misses) values ($1, current_date, $2, $3) "
                 "on conflict (tenant_id, day) do update set hits = d.hits + excluded.hits, misses = d.misses + excluded.misses",
                 {tx.tenant(), hit ? 1 : 0, hit ? 0 : 1}).status();
}

double Seconds(absl::Duration d) { return absl::ToDoubleSeconds(d); }

}  // namespace

absl::StatusOr<Acquired> PgModelStore::Acquire(const std::string& tenant, const ModelKey& key, absl::Duration lease) {
  const std::string json = CanonicalJson(tenant, key), hash = KeyHash(tenant, key);
  Acquired acquired;
  RETURN_IF_ERROR(storage::InTenant(*pool_, tenant, [&](Tx& tx) -> absl::Status {
    acquired = std::monostate();
    ASSIGN_OR_RETURN(const auto hit,
                     tx.Exec(fmt::format("update models set hit_count = hit_count + 1, last_hit_time = now() "
                                         "where tenant_id = $1 and key_hash = $2 and state = 'ACTIVE' and expire_time > now() returning {}", kColumns),
                             {tx.tenant(), hash}));
    if (!hit.empty()) {
      acquired = Read(hit[0]);
      return CountDay(tx, true);
    }
    ASSIGN_OR_RETURN(const auto taken,
                     tx.Exec("insert into leases as l (tenant_id, key_hash, lease_id, model_key, expire_time) "
                             "values ($1, $2, $3::uuid, $4::jsonb, now() + make_interval(secs => $5)) "
                             "on conflict (tenant_id, key_hash) do update set lease_id = excluded.lease_id, expire_time = excluded.expire_time "
                             "where l.expire_time < now() returning lease_id, key_hash, expire_time",
                             {tx.tenant(), hash, NewUuid(), json, Seconds(lease)}));
    if (taken.empty()) return absl::OkStatus();
    acquired = Lease{std::string(taken[0].Text("lease_id")), hash, taken[0].Time("expire_time")};
    return CountDay(tx, false);
  }));
  return acquired;
}

absl::StatusOr<Lease> PgModelStore::Renew(const std::string& tenant, const std::string& lease_id, absl::Duration lease) {
  Lease renewed;
  RETURN_IF_ERROR(storage::InTenant(*pool_, tenant, [&](Tx& tx) -> absl::Status {
    ASSIGN_OR_RETURN(const auto rows, tx.Exec("update leases set expire_time = now() + make_interval(secs => $3) "
                                              "where tenant_id = $1 and lease_id = $2::uuid returning key_hash, expire_time",
                                              {tx.tenant(), lease_id, Seconds(lease)}));
    if (rows.empty()) return absl::AbortedError("the lease was lost to somebody else");
    renewed = {lease_id, std::string(rows[0].Text("key_hash")), rows[0].Time("expire_time")};
    return absl::OkStatus();
  }, {.max_attempts = 1}));
  return renewed;
}

absl::Status PgModelStore::Release(const std::string& tenant, const std::string& lease_id) {
  return storage::InTenant(*pool_, tenant, [&](Tx& tx) -> absl::Status {
    return tx.Exec("delete from leases where tenant_id = $1 and lease_id = $2::uuid", {tx.tenant(), lease_id}).status();
  });
}

absl::StatusOr<Model> PgModelStore::Commit(const std::string& tenant, const std::string& lease_id, const Model& model) {
  Model stored;
  bool lost = false;
  const absl::Status committed = storage::InTenant(*pool_, tenant, [&](Tx& tx) -> absl::Status {
    lost = false;
    // A lease that ran out but that nobody took is still good: the work is done, and done once.
    ASSIGN_OR_RETURN(const auto lease, tx.Exec("delete from leases where tenant_id = $1 and lease_id = $2::uuid returning key_hash, model_key",
                                               {tx.tenant(), lease_id}));
    if (lease.empty()) {
      lost = true;
      return absl::OkStatus();
    }
    const std::string hash(lease[0].Text("key_hash")), json(lease[0].Text("model_key"));
    const ModelKey key = ParseCanonicalJson(json);
    RETURN_IF_ERROR(tx.Exec("update models set state = 'INVALIDATED', invalidation_reason = 'replaced by a newer version' "
                            "where tenant_id = $1 and key_hash = $2 and state = 'ACTIVE'", {tx.tenant(), hash}).status());
    ASSIGN_OR_RETURN(const auto rows,
                     tx.Exec(fmt::format("insert into models (tenant_id, model_id, key_hash, model_key, subject, algorithm, version, size_bytes, sha256, "
                                         "training_rows, training_seconds, expire_time) select $1, $2::uuid, $3, $4::jsonb, $5, $6, "
                                         "coalesce(max(version), 0) + 1, $7, $8, $9, $10, $11::timestamptz from models "
                                         "where tenant_id = $1 and key_hash = $3 returning {}", kColumns),
                             {tx.tenant(), model.id, hash, json, key.subject, key.algorithm, model.size_bytes, model.sha256,
                              model.training_rows, model.training_seconds, model.expire_time}));
    stored = Read(rows[0]);
    return absl::OkStatus();
  });
  RETURN_IF_ERROR(committed);
  if (lost) return absl::AbortedError("the lease was lost to somebody else");
  return stored;
}

absl::StatusOr<Model> PgModelStore::Get(const std::string& tenant, const std::string& id) {
  Model model;
  RETURN_IF_ERROR(storage::InTenant(*pool_, tenant, [&](Tx& tx) -> absl::Status {
    ASSIGN_OR_RETURN(const auto rows, tx.Exec(fmt::format("select {} from models where tenant_id = $1 and model_id = $2::uuid", kColumns),
                                              {tx.tenant(), id}));
    if (rows.empty()) return NotFound("models/{} does not exist", id);
    model = Read(rows[0]);
    return absl::OkStatus();
  }));
  return model;
}

absl::StatusOr<std::vector<Model>> PgModelStore::List(const std::string& tenant, const Listing& listing) {
  std::vector<Model> models;
  RETURN_IF_ERROR(storage::InTenant(*pool_, tenant, [&](Tx& tx) -> absl::Status {
    storage::Params params(listing.params.begin(), listing.params.end());
    std::string where = "(" + listing.where + ")";
    if (!listing.cursor.empty()) {
      where += fmt::format(" and (create_time, model_id) < (${}::timestamptz, ${}::uuid)", params.size() + 1, params.size() + 2);
      params.insert(params.end(), listing.cursor.begin(), listing.cursor.end());
    }
    params.emplace_back(tx.tenant());
    ASSIGN_OR_RETURN(const auto rows, tx.Exec(fmt::format("select {} from models where {} and tenant_id = ${} order by create_time desc, model_id desc limit {}",
                                                          kColumns, where, params.size(), listing.limit),
                                              params));
    models.clear();
    for (const Row row : rows) models.push_back(Read(row));
    return absl::OkStatus();
  }));
  return models;
}

absl::StatusOr<Model> PgModelStore::Invalidate(const std::string& tenant, const std::string& id, const std::string& reason) {
  Model model;
  const absl::Status done = storage::InTenant(*pool_, tenant, [&](Tx& tx) -> absl::Status {
    // An invalidated or expired model keeps its first reason.
    RETURN_IF_ERROR(tx.Exec("update models set state = 'INVALIDATED', invalidation_reason = $3 "
                            "where tenant_id = $1 and model_id = $2::uuid and state = 'ACTIVE'",
                            {tx.tenant(), id, reason.empty() ? "on request" : reason}).status());
    ASSIGN_OR_RETURN(const auto rows, tx.Exec(fmt::format("select {} from models where tenant_id = $1 and model_id = $2::uuid", kColumns),
                                              {tx.tenant(), id}));
    if (rows.empty()) return NotFound("models/{} does not exist", id);
    model = Read(rows[0]);
    return absl::OkStatus();
  });
  RETURN_IF_ERROR(done);
  return model;
}

absl::StatusOr<Statistics> PgModelStore::Statistics7Days(const std::string& tenant) {
  Statistics s;
  RETURN_IF_ERROR(storage::InTenant(*pool_, tenant, [&](Tx& tx) -> absl::Status {
    ASSIGN_OR_RETURN(const auto days, tx.Exec("select coalesce(sum(hits), 0)::bigint as hits, coalesce(sum(misses), 0)::bigint as misses "
                                              "from cache_days where tenant_id = $1 and day > current_date - 7", {tx.tenant()}));
    ASSIGN_OR_RETURN(const auto models, tx.Exec("select count(*) as models, coalesce(sum(size_bytes), 0)::bigint as bytes, "
                                                "coalesce(avg(training_seconds), 0)::float8 as seconds from models "
                                                "where tenant_id = $1 and state = 'ACTIVE'", {tx.tenant()}));
    s = {.hits = days[0].Int64("hits"),
         .misses = days[0].Int64("misses"),
         .models = models[0].Int64("models"),
         .bytes = models[0].Int64("bytes"),
         .average_training_seconds = models[0].Double("seconds")};
    return absl::OkStatus();
  }));
  return s;
}

absl::Status PgModelStore::Expire() {
  return storage::AsService(*pool_, [](Tx& tx) -> absl::Status {
    return tx.Exec("update models set state = 'EXPIRED' where state = 'ACTIVE' and expire_time < now()").status();
  });
}

}  // namespace vedette::model_cache
