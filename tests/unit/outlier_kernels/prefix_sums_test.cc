// Dissimilarities that grow with their set are those of the whole set, computed plainly.
#include "outlier/kernels/prefix_sums.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>

#include "base/rng.h"

namespace vedette::outlier {
namespace {

double Quantile(const std::vector<double>& sorted, double share) {
  const double place = share * static_cast<double>(sorted.size() - 1);
  const auto low = static_cast<size_t>(place);
  const size_t high = std::min(low + 1, sorted.size() - 1);
  return sorted[low] + (place - static_cast<double>(low)) * (sorted[high] - sorted[low]);
}

double Plain(std::vector<double> values, Measure measure) {
  const auto n = static_cast<double>(values.size());
  std::sort(values.begin(), values.end());
  if (measure == Measure::kQuartiles) return Quantile(values, 0.75) - Quantile(values, 0.25);
  double mean = 0, sum = 0;
  for (const double v : values) mean += v / n;
  for (const double v : values) sum += measure == Measure::kVariance ? (v - mean) * (v - mean) : std::fabs(v - mean);
  return sum / n;
}

}  // namespace

TEST_CASE("dissimilarities of growing sets are those of the whole set") {
  Rng rng(11);
  for (const int64_t n : {1, 2, 3, 8, 50, 131}) {
    for (const bool whole : {false, true}) {  // whole numbers: many equal values
      std::vector<double> values;
      for (int64_t i = 0; i < n; ++i) values.push_back(whole ? std::floor(3 * rng.Normal()) : rng.Normal());
      std::vector<double> sorted = values;
      std::sort(sorted.begin(), sorted.end());
      PrefixSums growing(sorted);
      std::vector<double> so_far;
      for (const double v : values) {
        std::vector<double> before = so_far;
        std::sort(before.begin(), before.end());
        const std::vector<double> more = {v, 1.5, -0.25};
        so_far.push_back(v);
        growing.Add(static_cast<int32_t>(std::lower_bound(sorted.begin(), sorted.end(), v) - sorted.begin()));
        std::vector<double> joined = before;
        joined.insert(joined.end(), more.begin(), more.end());
        const SortedValues own(std::move(before));
        for (const Measure measure : {Measure::kDeviation, Measure::kVariance, Measure::kQuartiles}) {
          CHECK(growing.Dissimilarity(measure) == Approx(Plain(so_far, measure)).epsilon(1e-12).margin(1e-13));
          CHECK(own.DissimilarityWith(more, measure) == Approx(Plain(joined, measure)).epsilon(1e-12).margin(1e-13));
        }
      }
    }
  }
}

}  // namespace vedette::outlier
