#include "generate/generate.h"

#include <algorithm>
#include <iterator>

#include "base/status.h"
#include "generate/rows.h"

namespace vedette::generate {
namespace {

constexpr int64_t kMaxRows = 1'000'000'000'000;
constexpr int64_t kMaxPeriods = 1'000'000;

constexpr KindInfo kKinds[] = {
    {Kind::kTelemetry, "telemetry", "devices x hours: battery, signal, temperature, latency, crashes, app version, with a release half-way",
     "spike drift dropout level_shift", 100, 336, 1},
    {Kind::kTable, "table", "orders with numbers and categories that depend on each other", "global local cluster dependency", 10000, 0, 1},
    {Kind::kStatements, "statements", "properties x months x accounts: amount against budget",
     "sign_flip duplicate missing_month unit_error period_shift", 50, 36, 12},
    {Kind::kRetail, "retail", "store-product pairs x days: units sold, on hand, price, promotion", "demand_spike phantom_stock", 200, 180, 1},
};

absl::Status Check(const Options& o, const KindInfo& info) {
  if (o.rows < 0 || o.rows > kMaxRows) return InvalidArgument("rows is {}; it must be 0 to {}", o.rows, kMaxRows);
  if (o.entities < 0 || o.entities > kMaxRows) return InvalidArgument("entities is {}; it must be 0 to {}", o.entities, kMaxRows);
  const int64_t max_periods = info.default_periods == 0 ? 0 : kMaxPeriods;
  if (o.periods < 0 || o.periods > max_periods) {
    return max_periods == 0 ? InvalidArgument("{} has no periods", info.name)
                            : InvalidArgument("periods is {}; it must be 0 to {}", o.periods, max_periods);
  }
  if (!(o.anomaly_rate >= 0 && o.anomaly_rate <= 0.5)) {
    return InvalidArgument("anomaly_rate is {}; it must be in [0, 0.5]", o.anomaly_rate);
  }
  return absl::OkStatus();
}

}  // namespace

std::span<const KindInfo> Kinds() { return kKinds; }

const KindInfo& InfoOf(Kind kind) {
  return *std::find_if(std::begin(kKinds), std::end(kKinds), [kind](const KindInfo& info) { return info.kind == kind; });
}

absl::StatusOr<Kind> KindByName(std::string_view name) {
  std::string known;
  for (const KindInfo& info : kKinds) {
    if (info.name == name) return info.kind;
    known += known.empty() ? "" : ", ";
    known += info.name;
  }
  return InvalidArgument("'{}' is not a kind of data; there are {}", name, known);
}

absl::Status Generate(const Options& options, const std::function<absl::Status(std::string_view)>& write) {
  const KindInfo& info = InfoOf(options.kind);
  RETURN_IF_ERROR(Check(options, info));
  Options o = options;
  if (o.periods == 0) o.periods = info.default_periods;
  const int64_t per_entity = std::max<int64_t>(1, o.periods) * info.rows_per_period;
  if (o.entities == 0) o.entities = o.rows > 0 ? (o.rows + per_entity - 1) / per_entity : info.default_entities;
  if (o.rows == 0) o.rows = kMaxRows;
  RowWriter out(o.rows, write);
  switch (o.kind) {
    case Kind::kTelemetry:
      WriteTelemetry(o, out);
      break;
    case Kind::kTable:
      WriteTable(o, out);
      break;
    case Kind::kStatements:
      WriteStatements(o, out);
      break;
    case Kind::kRetail:
      WriteRetail(o, out);
      break;
  }
  return out.Finish();
}

}  // namespace vedette::generate
