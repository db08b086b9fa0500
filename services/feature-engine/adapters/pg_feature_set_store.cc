#include <fmt/format.h>

#include "base/status.h"
#include "platform/list.h"
#include "services/feature-engine/adapters/pg_stores.h"
#include "storage/transaction.h"

namespace vedette::feature_engine {
namespace {

using storage::Row;
using storage::Tx;
using Type = runtime::FilterField::Type;

constexpr char kFeatureSetColumns[] =
    "id, dataset_id, ignore_columns, imputation, encoding, scaling, window_rows, features, notes, version, create_time";
/// Feature sets with thousands of columns are large: a page ends early rather than exceed what clients receive.
constexpr size_t kPageBytes = 2 << 20;

const platform::ListSpec& FeatureSetList() {
  static const platform::ListSpec spec{
      .columns = kFeatureSetColumns,
      .from = "feature_sets",
      .keys = {{"create_time", "timestamptz"}, {"id", "text"}},
      .descending = true,
      .filter = {.fields = {{.name = "dataset", .sql = "('datasets/' || dataset_id)"},
                            {.name = "create_time", .sql = "create_time", .type = Type::kTimestamp},
                            {.name = "version", .sql = "version", .type = Type::kInteger}}}};
  return spec;
}

template <typename Enum>
Enum Named(std::string_view name, std::initializer_list<Enum> choices) {
  for (const Enum choice : choices) {
    if (Name(choice) == name) return choice;
  }
  return *choices.begin();
}

FeatureSet FeatureSetOf(const Row& row) {
  using table::Encoding, table::Imputation, table::Scaling;
  FeatureSet out{.id = std::string(row.Text("id")), .dataset = std::string(row.Text("dataset_id"))};
  out.options.ignore_columns = row.TextArray("ignore_columns");
  out.options.imputation = Named(row.Text("imputation"), {Imputation::kMedian, Imputation::kMean, Imputation::kNone});
  out.options.encoding =
      Named(row.Text("encoding"), {Encoding::kOneHot, Encoding::kFrequency, Encoding::kOrdinal, Encoding::kNative});
  out.options.scaling = Named(row.Text("scaling"), {Scaling::kNone, Scaling::kStandard, Scaling::kRobust});
  out.options.window = static_cast<int>(row.Int64("window_rows"));
  out.features = row.TextArray("features");
  out.notes = row.TextArray("notes");
  out.version = static_cast<int>(row.Int64("version"));
  out.create_time = row.Time("create_time");
  return out;
}

absl::StatusOr<FeatureSet> Find(Tx& tx, const std::string& id) {
  ASSIGN_OR_RETURN(const storage::Result r,
                   tx.Exec(fmt::format("select {}, preparation from feature_sets where tenant_id = $1 and id = $2",
                                       kFeatureSetColumns),
                           {tx.tenant(), id}));
  if (r.empty()) return NotFound("there is no feature set {}", id);
  FeatureSet out = FeatureSetOf(r[0]);
  out.preparation = r[0].Bytes("preparation");
  return out;
}

}  // namespace

absl::StatusOr<FeatureSet> PgFeatureSetStore::Get(const std::string& tenant, const std::string& id) {
  FeatureSet out;
  const auto get = [&](Tx& tx) -> absl::Status {
    ASSIGN_OR_RETURN(out, Find(tx, id));
    return absl::OkStatus();
  };
  RETURN_IF_ERROR(storage::InTenant(*pool_, tenant, get, storage::kReadOnly));
  return out;
}

absl::StatusOr<FeatureSet> PgFeatureSetStore::Put(const std::string& tenant, const FeatureSet& feature_set) {
  FeatureSet out;
  const auto put = [&](Tx& tx) -> absl::Status {
    const table::PrepareOptions& options = feature_set.options;
    RETURN_IF_ERROR(
        tx.Exec("insert into feature_sets (tenant_id, id, dataset_id, ignore_columns, imputation, encoding, "
                "scaling, window_rows, features, notes, version, preparation) "
                "values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) on conflict do nothing",
                {tenant, feature_set.id, feature_set.dataset, options.ignore_columns, Name(options.imputation),
                 Name(options.encoding), Name(options.scaling), int64_t{options.window}, feature_set.features,
                 feature_set.notes, feature_set.version, storage::Bytes{feature_set.preparation}})
            .status());
    ASSIGN_OR_RETURN(out, Find(tx, feature_set.id));
    return absl::OkStatus();
  };
  RETURN_IF_ERROR(storage::InTenant(*pool_, tenant, put));
  return out;
}

absl::StatusOr<Page<FeatureSet>> PgFeatureSetStore::List(const std::string& tenant, const ListQuery& query) {
  Page<FeatureSet> page;
  const auto list = [&](Tx& tx) -> absl::Status {
    page = {};
    size_t bytes = 0;
    const auto take = [&](const Row& row) {
      bytes += 512 + row.Text("features").size() + row.Text("notes").size();
      if (bytes > kPageBytes && !page.items.empty()) return false;
      page.items.push_back(FeatureSetOf(row));
      return true;
    };
    ASSIGN_OR_RETURN(page.next_page_token,
                     platform::ListRows(tx, FeatureSetList(), {query.page_size, query.page_token, query.filter}, take));
    return absl::OkStatus();
  };
  RETURN_IF_ERROR(storage::InTenant(*pool_, tenant, list, storage::kReadOnly));
  return page;
}

}  // namespace vedette::feature_engine
