// vedette algorithms: the catalog, from the descriptors.
#include <fmt/format.h>
#include <unistd.h>

#include <charconv>

#include "base/status.h"
#include "cli/command.h"
#include "cli/output.h"
#include "cli/recipe.h"
#include "cli/terminal.h"

namespace vedette::cli {
namespace {

constexpr Flag kFlags[] = {
    {.name = "format",
     .type = FlagType::kChoice,
     .default_value = "table",
     .choices = "table|json",
     .doc = "how the list is written",
     .letter = 'f'},
};

std::string_view TypeName(outlier::ParamType type) {
  switch (type) {
    case outlier::ParamType::kInt:
      return "int";
    case outlier::ParamType::kReal:
      return "real";
    case outlier::ParamType::kBool:
      return "bool";
    case outlier::ParamType::kChoice:
      return "choice";
    case outlier::ParamType::kText:
      return "text";
  }
  return "";
}

bool HasRange(const outlier::ParamSpec& p) {
  return p.type == outlier::ParamType::kInt || p.type == outlier::ParamType::kReal;
}

/// The default as a JSON value of its type.
Json DefaultJson(const outlier::ParamSpec& p) {
  if (p.type == outlier::ParamType::kBool) return p.default_value == "true";
  if (p.type == outlier::ParamType::kChoice || p.type == outlier::ParamType::kText) return p.default_value;
  double value = 0;
  const auto [end, error] =
      std::from_chars(p.default_value.data(), p.default_value.data() + p.default_value.size(), value);
  if (error != std::errc()) return p.default_value;
  return p.type == outlier::ParamType::kInt ? Json(static_cast<int64_t>(value)) : Json(value);
}

Json ToJson(const outlier::Descriptor& d) {
  Json json;
  json["name"] = d.name;
  json["family"] = d.family;
  json["summary"] = d.summary;
  json["paper"] = d.paper;
  json["deterministic"] = d.deterministic;
  json["incremental"] = d.incremental;
  json["needs_labels"] = d.needs_labels;
  json["explains"] = d.explains;
  json["takes_missing_values"] = d.nan == outlier::NanPolicy::kNative;
  json["takes_categories"] = d.categories;
  json["wants_scaling"] = d.wants_scaling;
  json["fit_cost"] = d.fit_cost;
  json["score_cost"] = d.score_cost;
  json["parameters"] = Json::array();
  for (const auto& p : d.params) {
    Json param;
    param["name"] = p.name;
    param["type"] = TypeName(p.type);
    param["default"] = DefaultJson(p);
    if (HasRange(p)) {
      param["min"] = p.min;
      param["max"] = p.max;
    }
    if (p.type == outlier::ParamType::kChoice) param["choices"] = Split(p.choices, '|');
    param["summary"] = p.summary;
    json["parameters"].push_back(std::move(param));
  }
  return json;
}

void Paragraph(std::string_view label, std::string_view text, size_t width) {
  const auto lines = Wrap(text, width - 16);
  for (size_t i = 0; i < lines.size(); ++i) fmt::print("{:<16}{}\n", i == 0 ? label : "", lines[i]);
}

/// What a fit with the default parameters takes on one core, at two sizes.
void PrintCosts(const outlier::Descriptor& d) {
  const auto defaults = outlier::ParamSet::Make(d.params, {});
  if (d.cost == nullptr || !defaults.ok()) return;
  for (const int64_t rows : {int64_t{10'000}, int64_t{1'000'000}}) {
    const outlier::Cost cost = d.cost(*defaults, rows, 20);
    fmt::print("{:<16}about {:.2g} s and {:.2g} MB to fit {} rows x 20, then {:.2g} rows/s\n", "", cost.fit_seconds,
               cost.fit_bytes / 1e6, rows, 1 / cost.score_seconds_per_row);
  }
}

void PrintOne(const outlier::Descriptor& d, size_t width) {
  Paragraph(d.name, d.summary, width);
  Paragraph("family", d.family, width);
  Paragraph("paper", d.paper, width);
  Paragraph("random", d.deterministic ? "no: the same scores for every seed" : "yes: --seed decides", width);
  Paragraph("missing values", d.nan == outlier::NanPolicy::kNative ? "taken as they are" : "filled before", width);
  Paragraph("categories", d.categories ? "taken as they are" : "made numbers before", width);
  Paragraph("scaling", d.wants_scaling ? "standardised unless --scaling says otherwise" : "not needed", width);
  if (d.needs_labels) Paragraph("labels", "needed: --label names the column that holds them", width);
  Paragraph("further rows", d.incremental ? "can be learned without the earlier ones" : "need a new fit", width);
  Paragraph("cost", fmt::format("fit {}, score {} a row", d.fit_cost, d.score_cost), width);
  PrintCosts(d);
  if (d.params.empty()) {
    fmt::print("\nNo parameters.\n");
    return;
  }
  fmt::print("\nParameters (--param NAME=VALUE)\n");
  for (const auto& p : d.params) {
    const std::string range = HasRange(p)                           ? fmt::format("{} to {}", p.min, p.max)
                              : p.type == outlier::ParamType::kBool ? "true or false"
                                                                    : std::string(p.choices);
    fmt::print("  {:<20} {}, default {}, {}\n", p.name, TypeName(p.type), p.default_value, range);
    for (const auto& line : Wrap(p.summary, width - 6)) fmt::print("      {}\n", line);
  }
}

void PrintList(size_t width) {
  fmt::print("{:<14} {:<14} {}\n", "name", "family", "what it finds");
  for (const auto* d : Algorithms().all()) {
    const auto lines = Wrap(d->summary, width - 30);
    fmt::print("{:<14} {:<14} {}\n", d->name, d->family, lines[0]);
    for (size_t i = 1; i < lines.size(); ++i) fmt::print("{:<29} {}\n", "", lines[i]);
  }
  fmt::print("\n'vedette algorithms NAME' documents one, with its parameters.\n");
}

void Check(const Args& args, std::vector<std::string>* mistakes) {
  if (args.At(0).empty()) return;
  if (const auto found = Algorithms().Find(args.At(0)); !found.ok()) mistakes->emplace_back(Message(found.status()));
}

absl::StatusOr<int> Run(const Args& args) {
  const auto width = static_cast<size_t>(TerminalWidth(STDOUT_FILENO));
  std::vector<const outlier::Descriptor*> chosen(Algorithms().all().begin(), Algorithms().all().end());
  if (!args.At(0).empty()) {
    ASSIGN_OR_RETURN(const auto* one, Algorithms().Find(args.At(0)));
    chosen = {one};
  }
  if (args.Text("format") == "json") {
    Json all = Json::array();
    for (const auto* d : chosen) all.push_back(ToJson(*d));
    fmt::print("{}\n", Dump(all, 2));
  } else if (!args.At(0).empty()) {
    PrintOne(*chosen[0], width);
  } else {
    PrintList(width);
  }
  return kOk;
}

constexpr Positional kPositionals[] = {{"NAME", "document this algorithm", false}};
const FlagGroup kGroups[] = {{"Options", kFlags}};
constexpr Example kExamples[] = {
    {"vedette algorithms", "all of them"},
    {"vedette algorithms iforest", "one, with its parameters"},
    {"vedette algorithms --format json", "for programs"},
};

}  // namespace

extern const Command k_algorithms;
const Command k_algorithms = {
    .name = "algorithms",
    .section = Section::kModels,
    .order = 4,
    .summary = "List the algorithms, or document one.",
    .usage = "vedette algorithms [NAME] [--format table|json]",
    .positionals = kPositionals,
    .flags = kGroups,
    .examples = kExamples,
    .check = Check,
    .run = Run,
};

}  // namespace vedette::cli
