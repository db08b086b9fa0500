#include "cli/platform/why.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "cli/terminal.h"
#include "explain/words.h"

namespace vedette::cli {
namespace {

using explainer::v1::Explanation;

/// Features that fit one screen.
constexpr int kShown = 12;

std::string Cell(const std::string& text) { return text.empty() ? "missing" : explain::SafeText(text, 24); }

std::string Numbers(const Explanation& e) {
  std::string out = fmt::format("Method: {}{}; contributions measure {}.", e.method(),
                                e.mode().empty() ? "" : fmt::format(" ({})", e.mode()), e.space());
  if (e.has_additivity_error()) {
    out += fmt::format(" Expected {} + contributions = {} ({}); additivity error {:.1e}.",
                       explain::FormatNumber(e.expected_value(), 4), explain::FormatNumber(e.output_value(), 4),
                       e.explained_output(), e.additivity_error());
  }
  if (!e.background().empty()) out += fmt::format(" Background: {}, {} rows.", e.background(), e.background_rows());
  for (const std::string& warning : e.warnings()) out += fmt::format(" Note: {}.", explain::SafeText(warning, 200));
  return out;
}

std::string WhatIf(const explainer::v1::Counterfactual& c) {
  if (c.already_normal()) return "";
  if (!c.found()) return "No change of a few columns towards usual values makes this row normal.";
  std::vector<std::string> changes;
  for (const auto& change : c.changes()) {
    changes.push_back(fmt::format("{} {} instead of {}", explain::SafeText(change.feature_name(), 24),
                                  Cell(change.to_value()), Cell(change.from_value())));
  }
  return fmt::format("It would be normal with {} (score {}).", fmt::join(changes, ", "),
                     explain::FormatNumber(c.verified_score(), 4));
}

std::vector<std::string> Nearby(const Explanation& e) {
  std::vector<std::string> lines;
  for (const auto& s : e.similar_incidents()) {
    lines.push_back(fmt::format("Similar ({}): {}, row {}, {}", explain::FormatPercent(s.similarity()), s.anomaly(),
                                explain::FormatCount(s.row_index()),
                                s.outcome().empty() ? "not judged yet" : s.outcome()));
  }
  for (const auto& c : e.change_events()) {
    lines.push_back(fmt::format("Changed {} h before: {} ({})", explain::FormatNumber(c.hours_before()),
                                explain::SafeText(c.title(), 60), explain::SafeText(c.kind(), 24)));
  }
  for (const auto& p : e.peers()) {
    lines.push_back(fmt::format("Peers ({}): {} is {}, their median {}; not below {:.0f}% of {}", p.peer_group(),
                                p.metric(), explain::FormatNumber(p.value(), 4),
                                explain::FormatNumber(p.peer_median(), 4), p.percentile(), p.peer_count()));
  }
  return lines;
}

}  // namespace

std::string Phrase(const common::v1::FeatureContribution& f) {
  const std::string before = f.lag() <= 0 ? "" : fmt::format(" {} row{} before:", f.lag(), f.lag() == 1 ? "" : "s");
  return fmt::format("{}{} {}, expected {}", explain::SafeText(f.feature_name(), 24), before, Cell(f.actual_value()),
                     explain::SafeText(f.expected_value(), 24));
}

std::string WhyText(const Explanation& e, size_t width) {
  std::string out;
  const auto add = [&](const std::string& text) {
    for (const std::string& line : Wrap(text, width)) out += line + "\n";
  };
  add(e.text());
  if (e.text_source() == "llm" || e.text_source() == "cache") add("(Worded by a language model; the numbers are not.)");
  out += "\n";
  const int shown = std::min(kShown, e.contributions_size());
  for (int i = 0; i < shown; ++i) {
    out += fmt::format("  {:>4}  {}\n", explain::FormatPercent(e.contributions(i).share()), Phrase(e.contributions(i)));
  }
  const int more = e.contributions_size() - shown + e.features_left_out();
  if (more > 0) out += fmt::format("        and {} further features (--format json)\n", explain::FormatCount(more));
  out += "\n";
  if (e.has_counterfactual()) add(WhatIf(e.counterfactual()));
  for (const std::string& line : Nearby(e)) out += line + "\n";
  add(Numbers(e));
  if (!e.degraded_reason().empty()) add(fmt::format("Missing: {}.", explain::SafeText(e.degraded_reason(), 2000)));
  return out;
}

}  // namespace vedette::cli
