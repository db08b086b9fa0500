#include "cli/labels.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <set>

#include "base/status.h"
#include "cli/flags.h"
#include "explain/words.h"

namespace vedette::cli {
namespace {

std::string Lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

bool MeansNormal(const std::string& text, const std::string& positive) {
  static const std::set<std::string> kWords = {"0", "false", "no", "n", "normal", "inlier", "ok"};
  return !positive.empty() || kWords.contains(Lower(text));
}

}  // namespace

bool MeansAnomaly(std::string text, const std::string& positive) {
  if (!positive.empty()) return text == positive;
  static const std::set<std::string> kWords = {"1",         "true",    "yes", "y",     "anomaly",
                                               "anomalous", "outlier", "o",   "fraud", "odd"};
  return kWords.contains(Lower(std::move(text)));
}

absl::StatusOr<std::vector<outlier::Label>> ReadKnownLabels(const table::Table& table, const std::string& name,
                                                            const std::string& positive) {
  const int64_t at = table.Find(name);
  if (at < 0) {
    std::vector<std::string> names;
    for (const auto& column : table.columns) names.push_back(column.name);
    return InvalidArgument("--label: the file has no column '{}'{}", explain::SafeText(name), DidYouMean(name, names));
  }
  const table::Column& column = table.columns[static_cast<size_t>(at)];
  std::vector<outlier::Label> labels(static_cast<size_t>(column.size()), outlier::Label::kUnknown);
  for (int64_t i = 0; i < column.size(); ++i) {
    if (column.IsMissing(i)) continue;
    const std::string text = column.Text(i);
    const bool anomaly = MeansAnomaly(text, positive);
    if (!anomaly && !MeansNormal(text, positive)) {
      return InvalidArgument(
          "--label {}: row {} says '{}', which is neither 1 or true (an anomaly), 0 or false (normal) nor empty (not known); "
          "--positive VALUE says which value means anomaly",
          explain::SafeText(name), i, explain::SafeText(text));
    }
    labels[static_cast<size_t>(i)] = anomaly ? outlier::Label::kAnomaly : outlier::Label::kNormal;
  }
  if (std::count(labels.begin(), labels.end(), outlier::Label::kAnomaly) == 0) {
    return InvalidArgument("--label {}: no row is labelled as an anomaly; --positive VALUE says which value means anomaly",
                           explain::SafeText(name));
  }
  return labels;
}

}  // namespace vedette::cli
