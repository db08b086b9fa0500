#include "outlier/data_profile.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>
#include <string>

#include "outlier/columns.h"
#include "outlier/registry.h"

namespace vedette::outlier {
namespace {

constexpr int64_t kProfileRows = 20000, kLandmarkRows = 1000, kPairFeatures = 50, kPairRows = 2000, kLags = 60;
constexpr size_t kDiscrete = 20;
constexpr double kMostKurtosis = 20;

std::vector<double> Thinned(std::span<const double> column, int64_t most) {
  const int64_t n = static_cast<int64_t>(column.size());
  const int64_t take = std::min(n, most);
  std::vector<double> out;
  out.reserve(static_cast<size_t>(take));
  for (int64_t i = 0; i < take; ++i) out.push_back(column[static_cast<size_t>(i * n / take)]);
  return out;
}

double At(const std::vector<double>& sorted, double q) {
  return sorted.empty() ? 0 : sorted[static_cast<size_t>(q * static_cast<double>(sorted.size() - 1))];
}

double QuantileOf(std::vector<double> values, double q) {
  std::sort(values.begin(), values.end());
  return At(values, q);
}

double BowleySkewness(const std::vector<double>& sorted) {
  if (sorted.size() < 4) return 0;
  const double q1 = At(sorted, 0.25), q2 = At(sorted, 0.5), q3 = At(sorted, 0.75);
  return q3 > q1 && std::isfinite(q3 - q1) ? std::min(1.0, std::fabs((q3 / 2 + q1 / 2 - q2) / (q3 / 2 - q1 / 2))) : 0;
}

double MoorsKurtosis(const std::vector<double>& sorted) {
  if (sorted.size() < 8) return 0;
  const auto e = [&](int k) { return At(sorted, k / 8.0) / 8; };
  const double width = e(6) - e(2);
  return width > 0 ? std::min(kMostKurtosis, ((e(7) - e(5)) + (e(3) - e(1))) / width) : kMostKurtosis;
}

/// Share of values beyond 3.5 robust deviations (MAD) from the median.
double OutlierShare(const std::vector<double>& sorted) {
  if (sorted.empty()) return 0;
  const double median = At(sorted, 0.5);
  std::vector<double> off;
  for (const double v : sorted) off.push_back(std::fabs(v / 2 - median / 2));
  const double mad = QuantileOf(off, 0.5);
  if (!(mad > 0)) return 0;
  return static_cast<double>(std::count_if(off.begin(), off.end(), [&](double v) { return v > 3.5 * 1.4826 * mad; })) /
         static_cast<double>(off.size());
}

/// Standardised, with 0 for what is missing; constant columns are all 0.
std::vector<double> Standardised(std::vector<double> v) {
  double most = 0;
  for (const double x : v) most = std::isfinite(x) ? std::max(most, std::fabs(x)) : most;
  const double unit = UnitFor(most);
  double sum = 0, squares = 0, count = 0;
  for (double& x : v) {
    x *= unit;
    if (std::isfinite(x)) sum += x, ++count;
  }
  const double mean = count > 0 ? sum / count : 0;
  for (double& x : v) {
    x = std::isfinite(x) ? x - mean : 0;
    squares += x * x;
  }
  const double sd = count > 0 ? std::sqrt(squares / count) : 0;
  for (double& x : v) x = sd > 1e-12 * std::fabs(mean) ? x / sd : 0;
  return v;
}

double MeanProduct(const std::vector<double>& a, const std::vector<double>& b, size_t lag = 0) {
  double sum = 0;
  for (size_t i = 0; i + lag < a.size(); ++i) sum += a[i] * b[i + lag];
  return a.size() > lag ? sum / static_cast<double>(a.size() - lag) : 0;
}

/// Correlations and dimension: sum of eigenvalues squared over the sum of their squares is trace(C)^2 / |C|_F^2.
void ProfilePairs(MatrixView X, DataProfile* out) {
  const int64_t d = std::min(X.cols, kPairFeatures);
  std::vector<std::vector<double>> z;
  for (int64_t k = 0; k < d; ++k) z.push_back(Standardised(Thinned(X.col(k * X.cols / d), kPairRows)));
  double sum = 0, pairs = 0, trace = 0, frobenius = 0;
  for (size_t a = 0; a < z.size(); ++a) {
    for (size_t b = a; b < z.size(); ++b) {
      const double r = MeanProduct(z[a], z[b]);
      frobenius += (a == b ? 1 : 2) * r * r;
      if (a == b) trace += r;
      else sum += std::fabs(r), ++pairs;
    }
  }
  out->correlation = pairs > 0 ? std::min(1.0, sum / pairs) : 0;
  out->dimension = frobenius > 0 ? std::min(1.0, trace * trace / frobenius / static_cast<double>(d)) : 0;
}

/// Rows in the order of the file: the first 2000, neighbours in time side by side.
void ProfileOrder(MatrixView X, DataProfile* out) {
  const int64_t d = std::min<int64_t>(X.cols, 20), n = std::min(X.rows, kPairRows);
  if (n < 20) return;
  std::vector<double> number(static_cast<size_t>(n)), trends, seasons;
  std::iota(number.begin(), number.end(), 0.0);
  number = Standardised(number);
  for (int64_t k = 0; k < d; ++k) {
    const auto column = X.col(k * X.cols / d);
    std::vector<double> z = Standardised({column.begin(), column.begin() + n});
    const double slope = MeanProduct(z, number);
    trends.push_back(std::min(1.0, std::fabs(slope)));
    for (size_t i = 0; i < z.size(); ++i) z[i] -= slope * number[i];
    double most = 0;
    for (int64_t lag = 2; lag <= std::min(kLags, n / 3); ++lag) most = std::max(most, MeanProduct(z, z, static_cast<size_t>(lag)));
    seasons.push_back(std::min(1.0, most));
  }
  out->trend = QuantileOf(trends, 0.5);
  out->seasonality = QuantileOf(seasons, 0.5);
}

std::vector<double> Ranks(std::span<const double> v) {
  std::vector<size_t> order(v.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return v[a] < v[b]; });
  std::vector<double> out(v.size());
  for (size_t i = 0; i < order.size(); ++i) out[order[i]] = static_cast<double>(i);
  return out;
}

/// Two landmarks, one that looks at columns and one that looks at neighbours: where they disagree, anomalies are local or
/// lie in dependencies.
void ProfileLandmarks(MatrixView X, DataProfile* out) {
  const int64_t n = std::min(X.rows, kLandmarkRows);
  if (n < 20 || X.cols < 2 || X.cols > 1000) return;
  Matrix sample(n, X.cols);
  for (int64_t j = 0; j < X.cols; ++j) {
    const std::vector<double> z = Standardised(Thinned(X.col(j), kLandmarkRows));
    std::copy(z.begin(), z.end(), sample.col(j).begin());
  }
  std::vector<std::vector<double>> ranks;
  for (const std::string_view name : {"ecod", "knn"}) {
    auto detector = MakeMember(name);
    if (!detector.ok() || !(*detector)->Fit(sample.view(), Context{}).ok()) return;
    ranks.push_back(Standardised(Ranks((*detector)->training_scores())));
  }
  out->disagreement = std::clamp((1 - MeanProduct(ranks[0], ranks[1])) / 2, 0.0, 1.0);
}

/// Quantities of single columns; `numeric` says which are not categories.
void ProfileColumns(MatrixView X, const std::vector<bool>& numeric, DataProfile* out) {
  std::vector<double> skewness, kurtosis;
  double discrete = 0, odd = 0;
  for (int64_t j = 0; j < X.cols; ++j) {
    if (!numeric[static_cast<size_t>(j)]) continue;
    std::vector<double> values = Thinned(X.col(j), kProfileRows);
    std::erase_if(values, [](double v) { return !std::isfinite(v); });
    std::sort(values.begin(), values.end());
    skewness.push_back(BowleySkewness(values));
    kurtosis.push_back(MoorsKurtosis(values));
    odd += OutlierShare(values);
    values.erase(std::unique(values.begin(), values.end()), values.end());
    discrete += values.size() <= kDiscrete;
  }
  if (skewness.empty()) return;
  const auto count = static_cast<double>(skewness.size());
  out->discrete_share = discrete / count;
  out->outlier_share = odd / count;
  out->kurtosis = QuantileOf(kurtosis, 0.5);
  out->skewness_upper = QuantileOf(skewness, 0.75);
  out->skewness = QuantileOf(std::move(skewness), 0.5);
}

DataProfile Profile(MatrixView X, const std::vector<bool>& numeric) {
  DataProfile out;
  out.rows = X.rows;
  out.features = X.cols;
  if (X.rows == 0 || X.cols == 0) return out;
  ProfileColumns(X, numeric, &out);
  ProfilePairs(X, &out);
  ProfileOrder(X, &out);
  ProfileLandmarks(X, &out);
  return out;
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

DataProfile ProfileOf(MatrixView X) { return Profile(X, std::vector<bool>(static_cast<size_t>(X.cols), true)); }

DataProfile ProfileOf(const table::Table& table, const table::Preparation& preparation, MatrixView X) {
  std::vector<bool> numeric;
  for (const auto& feature : preparation.features()) {
    const int64_t source = table.Find(feature.source_column);
    numeric.push_back(source < 0 || table.columns[static_cast<size_t>(source)].type != table::ColumnType::kCategorical);
  }
  DataProfile out = Profile(X, numeric);
  out.missing_share = MissingShare(table, preparation);
  if (X.cols > 0) {
    out.categorical_share =
        static_cast<double>(std::count(numeric.begin(), numeric.end(), false)) / static_cast<double>(X.cols);
  }
  return out;
}

std::vector<double> MetaFeatures(const DataProfile& p) {
  const double n = static_cast<double>(std::max<int64_t>(1, p.rows)), d = static_cast<double>(std::max<int64_t>(1, p.features));
  return {std::log10(n), std::log10(d), p.discrete_share, p.skewness, p.skewness_upper, std::log1p(p.kurtosis),
          p.correlation, p.dimension, p.outlier_share, p.disagreement};
}

std::vector<std::string_view> MetaFeatureNames() {
  return {"log_rows", "log_features", "discrete", "skewness", "skewness_upper", "log_kurtosis", "correlation", "dimension",
          "outlier_share", "disagreement"};
}

}  // namespace vedette::outlier
