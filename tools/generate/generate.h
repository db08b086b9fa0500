// Synthetic data with known anomalies, as CSV text: for demonstrations, for the load bench, and to measure whether a
// detector finds what is there. The same options give the same bytes; an entity's rows depend on the seed and its
// number alone, so asking for more entities leaves the first ones as they are.
#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <cstdint>
#include <functional>
#include <span>
#include <string_view>

namespace vedette::generate {

enum class Kind { kTelemetry, kTable, kStatements, kRetail };

struct KindInfo {
  Kind kind;
  std::string_view name;
  std::string_view summary;        ///< one line for a help page
  std::string_view anomaly_kinds;  ///< what the last column may say, separated by blanks
  int64_t default_entities;
  int64_t default_periods;         ///< 0: the kind has no periods
  int64_t rows_per_period;         ///< rows of one entity in one period
};
/// All kinds; the one list that help, validation and the generators share.
std::span<const KindInfo> Kinds();
absl::StatusOr<Kind> KindByName(std::string_view name);
const KindInfo& InfoOf(Kind kind);

struct Options {
  Kind kind = Kind::kTable;
  int64_t rows = 0;           ///< stop after so many data rows; 0: entities x periods x rows_per_period
  int64_t entities = 0;       ///< devices, properties, store-product pairs, rows of a table; 0: the default, or what `rows` needs
  int64_t periods = 0;        ///< hours, months, days; 0: the kind's default
  double anomaly_rate = 0.01;  ///< expected share of the rows with label 1, in [0, 0.5]
  uint64_t seed = 42;
};

/// Writes a header and rows, in pieces of about 64 KiB, to `write`; its error ends the work and is returned. The last
/// two columns are `label` (0 or 1) and `anomaly_kind` (empty for label 0). INVALID_ARGUMENT names a bad option.
absl::Status Generate(const Options& options, const std::function<absl::Status(std::string_view)>& write);

}  // namespace vedette::generate
