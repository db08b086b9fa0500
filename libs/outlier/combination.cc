#include "outlier/combination.h"

#include <algorithm>
#include <cmath>

namespace vedette::outlier {

double Average(std::span<const double> scores) {
  double sum = 0;
  for (const double s : scores) sum += s / static_cast<double>(scores.size());
  return sum;
}

double Maximum(std::span<const double> scores) { return *std::max_element(scores.begin(), scores.end()); }

double Median(std::span<const double> scores) {
  std::vector<double> sorted(scores.begin(), scores.end());
  std::sort(sorted.begin(), sorted.end());
  const size_t n = sorted.size();
  return sorted[(n - 1) / 2] / 2 + sorted[n / 2] / 2;
}

double Weighted(std::span<const double> scores, std::span<const double> weights) {
  double total = 0, sum = 0;
  for (const double w : weights) total += w;
  for (size_t i = 0; i < scores.size(); ++i) sum += scores[i] * (weights[i] / total);
  return sum;
}

double AverageOfMaximum(std::span<const double> scores, std::span<const int32_t> bucket, int64_t buckets) {
  std::vector<double> most(static_cast<size_t>(buckets), -INFINITY);
  for (size_t i = 0; i < scores.size(); ++i) {
    double& m = most[static_cast<size_t>(bucket[i])];
    m = std::max(m, scores[i]);
  }
  return Average(most);
}

std::vector<double> GroupMeans(std::span<const double> scores, std::span<const int32_t> bucket, int64_t buckets) {
  std::vector<double> sum(static_cast<size_t>(buckets), 0), count(static_cast<size_t>(buckets), 0);
  for (size_t i = 0; i < scores.size(); ++i) {
    sum[static_cast<size_t>(bucket[i])] += scores[i];
    count[static_cast<size_t>(bucket[i])] += 1;
  }
  for (size_t b = 0; b < sum.size(); ++b) sum[b] /= count[b];
  return sum;
}

double MaximumOfAverage(std::span<const double> scores, std::span<const int32_t> bucket, int64_t buckets) {
  return Maximum(GroupMeans(scores, bucket, buckets));
}

double MajorityVote(std::span<const double> scores, std::span<const double> thresholds) {
  double votes = 0;
  for (size_t i = 0; i < scores.size(); ++i) votes += scores[i] > thresholds[i];
  return votes / static_cast<double>(scores.size());
}

double UpperRank(std::span<const double> ranks, double power) {
  double sum = 0;
  for (const double r : ranks) sum += std::pow(r, power) / static_cast<double>(ranks.size());
  return sum;
}

double RankAmong(double score, std::span<const double> sorted) {
  const auto [low, high] = std::equal_range(sorted.begin(), sorted.end(), score);
  const auto below = static_cast<double>(low - sorted.begin()), tied = static_cast<double>(high - low);
  return (below + tied / 2) / static_cast<double>(sorted.size());
}

}  // namespace vedette::outlier
