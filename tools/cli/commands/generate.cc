// vedette generate: synthetic data with anomalies that are known.
#include "generate/generate.h"

#include <fmt/format.h>

#include "base/status.h"
#include "cli/command.h"
#include "cli/output.h"
#include "explain/words.h"

namespace vedette::cli {
namespace {

constexpr Flag kFlags[] = {
    {.name = "rows",
     .type = FlagType::kInt,
     .value_name = "N",
     .min = 1,
     .max = 1e12,
     .doc = "stop after so many rows (default: all entities and periods)",
     .letter = 'n'},
    {.name = "entities",
     .type = FlagType::kInt,
     .value_name = "N",
     .min = 1,
     .max = 1e9,
     .doc = "devices, properties or store-product pairs (default: the kind's)"},
    {.name = "periods",
     .type = FlagType::kInt,
     .value_name = "N",
     .min = 1,
     .max = 1e7,
     .doc = "hours, months or days (default: the kind's)"},
    {.name = "anomaly-rate",
     .type = FlagType::kReal,
     .value_name = "X",
     .default_value = "0.01",
     .min = 0,
     .max = 0.5,
     .doc = "expected share of anomalous rows"},
    {.name = "seed",
     .type = FlagType::kInt,
     .value_name = "N",
     .default_value = "42",
     .min = 0,
     .max = 9e18,
     .doc = "the same seed gives the same bytes"},
    {.name = "output",
     .type = FlagType::kText,
     .value_name = "FILE",
     .doc = "write there instead of standard output",
     .letter = 'o'},
};

std::vector<std::string> KindNames() {
  std::vector<std::string> names;
  for (const auto& info : generate::Kinds()) names.emplace_back(info.name);
  return names;
}

void Check(const Args& args, std::vector<std::string>* mistakes) {
  const std::vector<std::string> names = KindNames();
  const std::string& kind = args.At(0);
  if (kind.empty() || std::find(names.begin(), names.end(), kind) != names.end()) return;
  mistakes->push_back(fmt::format("unknown kind of data '{}'{}: must be one of {}", explain::SafeText(kind),
                                  DidYouMean(kind, names), fmt::join(names, ", ")));
}

absl::StatusOr<int> Run(const Args& args) {
  generate::Options options;
  ASSIGN_OR_RETURN(options.kind, generate::KindByName(args.At(0)));
  options.rows = args.Int("rows");
  options.entities = args.Int("entities");
  options.periods = args.Int("periods");
  options.anomaly_rate = args.Real("anomaly-rate");
  options.seed = static_cast<uint64_t>(args.Int("seed"));
  ASSIGN_OR_RETURN(Output out, Output::Open(args.Text("output")));
  RETURN_IF_ERROR(generate::Generate(options, [&out](std::string_view text) {
    out.Write(text);
    return out.Healthy();
  }));
  RETURN_IF_ERROR(out.Commit());
  return kOk;
}

constexpr Positional kPositionals[] = {{"KIND", "telemetry, table, statements or retail"}};
const FlagGroup kGroups[] = {{"Options", kFlags}};
constexpr Example kExamples[] = {
    {"vedette generate retail -o retail.csv", "stores and products, day by day"},
    {"vedette detect retail.csv --ignore-columns label,anomaly_kind", "look for what was planted"},
    {"vedette evaluate retail.csv --label label --ignore-columns anomaly_kind -a iforest,ecod", "and see who finds it"},
};

}  // namespace

extern const Command k_generate;
const Command k_generate = {
    .name = "generate",
    .section = Section::kOther,
    .order = 1,
    .summary = "Write synthetic data with known anomalies.",
    .usage = "vedette generate telemetry|table|statements|retail [options]",
    .details =
        "Telemetry of devices, a plain table, monthly statements of properties, or daily sales and stock of stores. "
        "The "
        "last two columns are the truth: label (1 = anomaly) and anomaly_kind.",
    .positionals = kPositionals,
    .flags = kGroups,
    .examples = kExamples,
    .check = Check,
    .run = Run,
};

}  // namespace vedette::cli
