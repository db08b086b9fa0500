#include "services/detector/core/findings.h"

#include <algorithm>
#include <string_view>

#include "base/status.h"
#include "explain/explanation.h"
#include "table/rows.h"

namespace vedette::detector {
namespace {

bool IsResourceId(std::string_view id) {
  const auto alnum = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'); };
  return !id.empty() && id.size() <= 128 && alnum(id.front()) && std::all_of(id.begin(), id.end(), [&](char c) {
    return alnum(c) || c == '.' || c == '_' || c == ':' || c == '-';
  });
}

/// "entities/{id}" from a cell that holds an id or the whole name; "" when it holds neither.
std::string NameIn(std::string_view collection, std::string_view cell) {
  if (cell.starts_with(collection)) cell.remove_prefix(collection.size());
  return IsResourceId(cell) ? fmt::format("{}{}", collection, cell) : "";
}

/// Bytes of the numbers of one feature, as a message has them and with room for their names as JSON has them.
constexpr size_t kFeatureBytes = 128;
/// Contributions that are held at a time: some tens of megabytes.
constexpr int64_t kContributions = 1 << 18;

void KeepLargest(size_t count, std::vector<outlier::FeatureContribution>* features) {
  size_t kept = 0, bytes = 0;
  for (const outlier::FeatureContribution& f : *features) {
    bytes += f.feature.size() + f.actual_text.size() + f.expected_text.size() + kFeatureBytes;
    if (kept == count || (kept > 0 && bytes > kMaxFeatureBytes)) break;
    ++kept;
  }
  features->resize(kept);
}

/// Of all its features, of which `found` has the largest.
std::string Summary(const outlier::Model& model, const std::string& space, const Found& found) {
  double shares = 0;
  for (const auto& feature : found.features) shares += feature.share;
  const int64_t left_out = found.feature_count - std::ssize(found.features);
  return explain::Explain({.subject = fmt::format("Row {}", found.row_index),
                           .score = found.score,
                           .threshold = model.scale().threshold(),
                           .space = space,
                           .features = found.features,
                           .features_left_out = left_out,
                           .share_left_out = left_out > 0 && shares > 0 ? std::max(0.0, 1 - shares) : 0})
      .text;
}

/// What the row says of where and when it belongs: columns "entity" and "metric", and its first timestamp.
void Place(const table::Table& rows, int64_t row, Found* found) {
  for (const table::Column& column : rows.columns) {
    if (column.name == "entity") found->entity = NameIn("entities/", column.Text(row));
    if (column.name == "metric") found->metric = NameIn("metrics/", column.Text(row));
    if (column.type == table::ColumnType::kTimestamp && found->time == absl::InfinitePast() && !column.IsMissing(row)) {
      found->time = absl::UnixEpoch() + absl::Seconds(column.values[static_cast<size_t>(row)]);
    }
  }
}

}  // namespace

absl::StatusOr<std::vector<Found>> ExplainAnomalies(const outlier::Model& model, MatrixView features,
                                                    const table::Table& table, std::span<const int64_t> row_index,
                                                    std::span<const outlier::RowScore> scores, int top_features,
                                                    const Context& ctx, std::string* space, int64_t context_rows) {
  std::vector<int64_t> odd, cells;
  for (size_t i = 0; i < scores.size(); ++i) {
    if (!scores[i].anomaly) continue;
    odd.push_back(static_cast<int64_t>(i));
    cells.push_back(context_rows + odd.back());
  }
  std::vector<Found> found;
  if (odd.empty()) return found;
  const table::Table rows = table::TakeRows(table, cells);
  // Where rows have windows, the text tells of a column's part at all lags.
  const size_t columns = model.ExplainedColumns(), top = static_cast<size_t>(top_features);
  const size_t most = model.preparation().history() > 0 ? columns : std::max(top, explain::kFeaturesNamed);
  // Many at a time, since that costs little more than one, and as few as hold what is bounded: of a wide window each row has
  // thousands of contributions, most of which are dropped at once.
  const auto together = static_cast<size_t>(std::clamp<int64_t>(kContributions / features.cols, 1, 4096));
  for (size_t begin = 0; begin < odd.size(); begin += together) {
    const size_t count = std::min(together, odd.size() - begin);
    Matrix picked(static_cast<int64_t>(count), features.cols);
    for (int64_t j = 0; j < features.cols; ++j) {
      for (size_t i = 0; i < count; ++i) picked(static_cast<int64_t>(i), j) = features(odd[begin + i], j);
    }
    ASSIGN_OR_RETURN(auto contributions, model.Explain(picked.view(), ctx, space, &table,
                                                       std::span(cells).subspan(begin, count), most));
    for (size_t i = 0; i < count; ++i) {
      Found f;
      f.row_index = row_index[static_cast<size_t>(odd[begin + i])];
      f.score = scores[static_cast<size_t>(odd[begin + i])];
      f.features = std::move(contributions[i]);
      f.feature_count = static_cast<int64_t>(columns);
      f.summary = Summary(model, *space, f);
      KeepLargest(top, &f.features);
      const auto row = static_cast<int64_t>(begin + i);
      for (const table::Column& column : rows.columns) f.raw_data[column.name] = column.Text(row);
      Place(rows, row, &f);
      found.push_back(std::move(f));
    }
  }
  return found;
}

}  // namespace vedette::detector
