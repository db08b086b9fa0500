#include "outlier/selection.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "base/status.h"

namespace vedette::outlier {
namespace {

constexpr int64_t kProfileRows = 20000;
constexpr int64_t kFewRows = 50;
constexpr int64_t kManyFeatures = 1000;
constexpr size_t kDiscrete = 20;

std::vector<double> Thinned(std::span<const double> column) {
  const int64_t n = static_cast<int64_t>(column.size());
  const int64_t take = std::min(n, kProfileRows);
  std::vector<double> out;
  out.reserve(static_cast<size_t>(take));
  for (int64_t i = 0; i < take; ++i) {
    const double v = column[static_cast<size_t>(i * n / take)];
    if (std::isfinite(v)) out.push_back(v);
  }
  return out;
}

double BowleySkewness(const std::vector<double>& sorted) {
  if (sorted.size() < 4) return 0;
  const auto at = [&](double q) { return sorted[static_cast<size_t>(q * static_cast<double>(sorted.size() - 1))]; };
  const double q1 = at(0.25), q2 = at(0.5), q3 = at(0.75);
  return q3 > q1 ? std::fabs((q3 + q1 - 2 * q2) / (q3 - q1)) : 0;
}

double MissingShare(const table::Table& table, const table::Preparation& preparation) {
  std::set<std::string> used;
  for (const auto& f : preparation.features()) used.insert(f.source_column);
  int64_t cells = 0, missing = 0;
  const int64_t take = std::min(table.rows(), kProfileRows);
  for (const auto& column : table.columns) {
    if (!used.contains(column.name)) continue;
    for (int64_t i = 0; i < take; ++i) missing += column.IsMissing(i * table.rows() / take);
    cells += take;
  }
  return cells == 0 ? 0 : static_cast<double>(missing) / static_cast<double>(cells);
}

}  // namespace

DataProfile ProfileOf(const table::Table& table, const table::Preparation& preparation, MatrixView X) {
  DataProfile out;
  out.rows = X.rows;
  out.features = X.cols;
  out.missing_share = MissingShare(table, preparation);
  std::vector<double> skewness;
  int64_t categorical = 0, discrete = 0;
  for (int64_t j = 0; j < X.cols; ++j) {
    const auto& feature = preparation.features()[static_cast<size_t>(j)];
    const int64_t source = table.Find(feature.source_column);
    if (source >= 0 && table.columns[static_cast<size_t>(source)].type == table::ColumnType::kCategorical) {
      ++categorical;
      continue;
    }
    std::vector<double> values = Thinned(X.col(j));
    std::sort(values.begin(), values.end());
    skewness.push_back(BowleySkewness(values));
    values.erase(std::unique(values.begin(), values.end()), values.end());
    discrete += values.size() <= kDiscrete;
  }
  if (X.cols > 0) out.categorical_share = static_cast<double>(categorical) / static_cast<double>(X.cols);
  if (!skewness.empty()) {
    out.discrete_share = static_cast<double>(discrete) / static_cast<double>(skewness.size());
    std::nth_element(skewness.begin(), skewness.begin() + static_cast<int64_t>(skewness.size() / 2), skewness.end());
    out.skewness = skewness[skewness.size() / 2];
  }
  return out;
}

Selection Select(const DataProfile& profile) {
  if (profile.features == 1) {
    return {"mad",
            "a single column: the distance from its median, in median absolute deviations, says it all",
            {"mad", "zscore", "hbos"}};
  }
  if (profile.rows < kFewRows) {
    return {"ecod",
            fmt::format("only {} rows: each column's own tails need no sampling and no parameters", profile.rows),
            {"ecod", "copod", "knn"}};
  }
  if (profile.features > kManyFeatures) {
    return {"ecod",
            fmt::format("{} features: one pass over each column, where distances and random splits lose their meaning",
                        profile.features),
            {"ecod", "hbos", "pca"}};
  }
  if (profile.categorical_share > 0.5) {
    return {"iforest",
            "most features come from categories: random splits need no distance between them",
            {"iforest", "hbos", "ecod"}};
  }
  return {"iforest",
          profile.skewness > 0.3 ? "several columns, some skewed: random splits need no scaling and no distance"
                                 : "several columns: the best average on public data, and no scaling to choose",
          {"iforest", "knn", "ecod"}};
}

}  // namespace vedette::outlier
