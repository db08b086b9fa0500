#include "cli/labels.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "base/status.h"
#include "cli/flags.h"
#include "explain/words.h"
#include "outlier/labels.h"

namespace vedette::cli {

bool MeansAnomaly(std::string text, const std::string& positive) {
  return outlier::LabelOf(text, positive) == outlier::Label::kAnomaly;
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
    const std::optional<outlier::Label> label = outlier::LabelOf(text, positive);
    if (!label) {
      return InvalidArgument(
          "--label {}: row {} says '{}', which is neither 1 or true (an anomaly), 0 or false (normal) nor empty (not known); "
          "--positive VALUE says which value means anomaly",
          explain::SafeText(name), i, explain::SafeText(text));
    }
    labels[static_cast<size_t>(i)] = *label;
  }
  if (std::count(labels.begin(), labels.end(), outlier::Label::kAnomaly) == 0) {
    return InvalidArgument("--label {}: no row is labelled as an anomaly; --positive VALUE says which value means anomaly",
                           explain::SafeText(name));
  }
  return labels;
}

}  // namespace vedette::cli
