#include "services/feature-engine/core/profile.h"

#include <algorithm>
#include <cmath>
#include <set>
#include <span>
#include <string>
#include <vector>

namespace vedette::feature_engine {
namespace {

constexpr size_t kMaxCorrelated = 100;

double Median(std::vector<double> values) {
  if (values.empty()) return 0;
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  if (values.size() % 2 == 1) return *middle;
  return (*middle + *std::max_element(values.begin(), middle)) / 2;
}

struct Moments {
  double mean = 0;
  double variance = 0;
  double skewness = 0;
  double kurtosis = 0;
};

Moments MomentsOf(std::span<const double> x) {
  const double n = static_cast<double>(x.size());
  Moments m;
  for (const double v : x) m.mean += v / n;
  double third = 0, fourth = 0;
  for (const double v : x) {
    const double d = v - m.mean;
    m.variance += d * d / n;
    third += d * d * d / n;
    fourth += d * d * d * d / n;
  }
  if (m.variance > 0) {
    m.skewness = third / std::pow(m.variance, 1.5);
    m.kurtosis = fourth / (m.variance * m.variance) - 3;
  }
  return m;
}

// Cells beyond three robust standard deviations, of how many.
void CountOutliers(std::span<const double> x, int64_t* outliers, int64_t* cells) {
  const double median = Median({x.begin(), x.end()});
  std::vector<double> deviations;
  deviations.reserve(x.size());
  for (const double v : x) deviations.push_back(std::abs(v - median));
  const double limit = 3 * 1.4826 * Median(deviations);
  if (limit == 0) return;
  *outliers += std::count_if(deviations.begin(), deviations.end(), [limit](double d) { return d > limit; });
  *cells += static_cast<int64_t>(x.size());
}

double MeanAbsCorrelation(MatrixView X, const std::vector<int64_t>& columns, const std::vector<Moments>& moments) {
  std::vector<size_t> chosen;
  const size_t count = std::min(columns.size(), kMaxCorrelated);
  for (size_t i = 0; i < count; ++i) chosen.push_back(i * columns.size() / count);
  double sum = 0;
  int64_t pairs = 0;
  for (size_t a = 0; a < chosen.size(); ++a) {
    for (size_t b = a + 1; b < chosen.size(); ++b) {
      const std::span<const double> x = X.col(columns[chosen[a]]), y = X.col(columns[chosen[b]]);
      const Moments &mx = moments[chosen[a]], &my = moments[chosen[b]];
      double covariance = 0;
      for (size_t i = 0; i < x.size(); ++i) covariance += (x[i] - mx.mean) * (y[i] - my.mean);
      sum += std::abs(covariance / static_cast<double>(x.size()) / std::sqrt(mx.variance * my.variance));
      ++pairs;
    }
  }
  return pairs == 0 ? 0 : sum / static_cast<double>(pairs);
}

double MissingShare(const table::Table& table, const table::Preparation& preparation) {
  int64_t missing = 0, cells = 0;
  for (const table::ColumnSchema& used : preparation.schema()) {
    const int64_t j = table.Find(used.name);
    if (j < 0) continue;
    const table::Column& column = table.columns[static_cast<size_t>(j)];
    for (int64_t i = 0; i < table.rows(); ++i) missing += column.IsMissing(i) ? 1 : 0;
    cells += table.rows();
  }
  return cells == 0 ? 0 : static_cast<double>(missing) / static_cast<double>(cells);
}

}  // namespace

DataProfile ProfileOf(const table::Table& table, const table::Preparation& preparation, MatrixView X) {
  DataProfile out{.rows = X.rows, .features = X.cols};
  out.missing_share = MissingShare(table, preparation);
  std::set<std::string> categorical;
  for (const table::Column& column : table.columns) {
    if (column.type == table::ColumnType::kCategorical) categorical.insert(column.name);
  }
  std::vector<int64_t> numeric;  // that vary
  std::vector<Moments> moments;
  std::vector<double> skewness, kurtosis;
  int64_t from_categories = 0, outliers = 0, cells = 0;
  for (int64_t j = 0; j < X.cols; ++j) {
    if (categorical.contains(preparation.features()[static_cast<size_t>(j)].source_column)) {
      ++from_categories;
      continue;
    }
    CountOutliers(X.col(j), &outliers, &cells);
    const Moments m = MomentsOf(X.col(j));
    if (!(m.variance > 0) || !std::isfinite(m.variance) || !std::isfinite(m.kurtosis)) continue;
    numeric.push_back(j);
    moments.push_back(m);
    skewness.push_back(std::abs(m.skewness));
    kurtosis.push_back(m.kurtosis);
  }
  if (X.cols > 0) out.categorical_share = static_cast<double>(from_categories) / static_cast<double>(X.cols);
  out.median_abs_skewness = Median(std::move(skewness));
  out.median_kurtosis = Median(std::move(kurtosis));
  out.mean_abs_correlation = MeanAbsCorrelation(X, numeric, moments);
  out.outlier_share = cells == 0 ? 0 : static_cast<double>(outliers) / static_cast<double>(cells);
  return out;
}

}  // namespace vedette::feature_engine
