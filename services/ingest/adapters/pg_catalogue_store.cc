#include "services/ingest/adapters/pg_catalogue_store.h"

#include <algorithm>

#include "base/status.h"
#include "services/ingest/adapters/pg_list.h"
#include "storage/transaction.h"

namespace vedette::ingest {
namespace {

using storage::Row;
using storage::Tx;
using Type = runtime::FilterField::Type;

absl::Status Taken(const absl::Status& status, std::string_view collection, const std::string& id) {
  if (!absl::IsAlreadyExists(status)) return status;
  return absl::AlreadyExistsError(fmt::format("{}/{} is there already", collection, id));
}

const platform::ListSpec& TenantList() {
  static const platform::ListSpec spec{
      .columns = "id, display_name, tier, create_time", .from = "tenants", .keys = {{"id", "text"}}};
  return spec;
}

const platform::ListSpec& EntityList() {
  static const platform::ListSpec spec{
      .columns = "id, kind, display_name, external_id, peer_group, attributes, create_time",
      .from = "entities",
      .keys = {{"id", "text"}},
      .filter = {.fields = {{.name = "kind", .sql = "kind"},
                            {.name = "external_id", .sql = "external_id"},
                            {.name = "peer_group", .sql = "peer_group"},
                            {.name = "display_name", .sql = "display_name"}},
                 .search_sql = {"display_name"}}};
  return spec;
}

const platform::ListSpec& MetricList() {
  static const platform::ListSpec spec{
      .columns = "id, display_name, category, unit, standard, direction",
      .from =
          "(select id, display_name, category, unit, true as standard, direction from standard_metrics union all "
          "select id, display_name, category, unit, false, direction from metrics) m",
      .keys = {{"id", "text"}},
      .filter = {.fields = {{.name = "display_name", .sql = "display_name"},
                            {.name = "category", .sql = "category"},
                            {.name = "unit", .sql = "unit"},
                            {.name = "standard", .sql = "standard", .type = Type::kBool},
                            {.name = "direction",
                             .sql = "direction",
                             .type = Type::kEnum,
                             .values = {"DIRECTION_UNSPECIFIED", "BOTH", "HIGH", "LOW"},
                             .sql_values = {"0", "1", "2", "3"}}},
                 .search_sql = {"display_name"}}};
  return spec;
}

Tenant TenantOf(const Row& row) {
  return {.id = std::string(row.Text("id")),
          .display_name = std::string(row.Text("display_name")),
          .tier = std::string(row.Text("tier")),
          .create_time = row.Time("create_time")};
}

Entity EntityOf(const Row& row) {
  return {.id = std::string(row.Text("id")),
          .kind = std::string(row.Text("kind")),
          .display_name = std::string(row.Text("display_name")),
          .external_id = std::string(row.Text("external_id")),
          .peer_group = std::string(row.Text("peer_group")),
          .attributes_json = std::string(row.Text("attributes")),
          .create_time = row.Time("create_time")};
}

Metric MetricOf(const Row& row) {
  return {.id = std::string(row.Text("id")),
          .display_name = std::string(row.Text("display_name")),
          .category = std::string(row.Text("category")),
          .unit = std::string(row.Text("unit")),
          .standard = row.Bool("standard"),
          .direction = static_cast<Direction>(std::clamp<int64_t>(row.Int64("direction"), 0, 3))};
}

}  // namespace

// The registry of tenants is in no tenant; who may come here is decided by the permission tenants.admin.
absl::StatusOr<Tenant> PgCatalogueStore::CreateTenant(const Tenant& tenant) {
  Tenant out;
  const auto create = [&](Tx& tx) -> absl::Status {
    ASSIGN_OR_RETURN(const storage::Result r,
                     tx.Exec("insert into tenants (id, display_name, tier) values ($1, $2, $3) "
                             "returning id, display_name, tier, create_time",
                             {tenant.id, tenant.display_name, tenant.tier}));
    out = TenantOf(r[0]);
    return absl::OkStatus();
  };
  RETURN_IF_ERROR(Taken(storage::AsService(*pool_, create), "tenants", tenant.id));
  return out;
}

absl::StatusOr<Page<Tenant>> PgCatalogueStore::ListTenants(const ListQuery& query) {
  Page<Tenant> page;
  const auto list = [&](Tx& tx) -> absl::Status {
    ASSIGN_OR_RETURN(page, ListPage<Tenant>(tx, TenantList(), query, TenantOf));
    return absl::OkStatus();
  };
  RETURN_IF_ERROR(storage::AsService(*pool_, list, storage::kReadOnly));
  return page;
}

absl::StatusOr<Entity> PgCatalogueStore::CreateEntity(const std::string& tenant, const Entity& entity) {
  Entity out;
  const auto create = [&](Tx& tx) -> absl::Status {
    ASSIGN_OR_RETURN(
        const storage::Result r,
        tx.Exec("insert into entities (tenant_id, id, kind, display_name, external_id, peer_group, attributes) "
                "values ($1, $2, $3, $4, $5, $6, $7) "
                "returning id, kind, display_name, external_id, peer_group, attributes, create_time",
                {tenant, entity.id, entity.kind, entity.display_name, entity.external_id, entity.peer_group,
                 entity.attributes_json}));
    out = EntityOf(r[0]);
    return absl::OkStatus();
  };
  RETURN_IF_ERROR(Taken(storage::InTenant(*pool_, tenant, create), "entities", entity.id));
  return out;
}

absl::StatusOr<Page<Entity>> PgCatalogueStore::ListEntities(const std::string& tenant, const ListQuery& query) {
  Page<Entity> page;
  const auto list = [&](Tx& tx) -> absl::Status {
    ASSIGN_OR_RETURN(page, ListPage<Entity>(tx, EntityList(), query, EntityOf));
    return absl::OkStatus();
  };
  RETURN_IF_ERROR(storage::InTenant(*pool_, tenant, list, storage::kReadOnly));
  return page;
}

absl::StatusOr<Metric> PgCatalogueStore::CreateMetric(const std::string& tenant, const Metric& metric) {
  Metric out;
  const auto create = [&](Tx& tx) -> absl::Status {
    ASSIGN_OR_RETURN(
        const storage::Result r,
        tx.Exec("insert into metrics (tenant_id, id, display_name, category, unit, direction) "
                "select $1, $2, $3, $4, $5, $6 where not exists (select from standard_metrics where id = $2) "
                "returning id, display_name, category, unit, false as standard, direction",
                {tenant, metric.id, metric.display_name, metric.category, metric.unit,
                 static_cast<int64_t>(metric.direction)}));
    if (r.empty()) return absl::AlreadyExistsError("");
    out = MetricOf(r[0]);
    return absl::OkStatus();
  };
  RETURN_IF_ERROR(Taken(storage::InTenant(*pool_, tenant, create), "metrics", metric.id));
  return out;
}

absl::StatusOr<Page<Metric>> PgCatalogueStore::ListMetrics(const std::string& tenant, const ListQuery& query) {
  Page<Metric> page;
  const auto list = [&](Tx& tx) -> absl::Status {
    ASSIGN_OR_RETURN(page, ListPage<Metric>(tx, MetricList(), query, MetricOf));
    return absl::OkStatus();
  };
  RETURN_IF_ERROR(storage::InTenant(*pool_, tenant, list, storage::kReadOnly));
  return page;
}

}  // namespace vedette::ingest
