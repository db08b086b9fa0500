#include "outlier/kernels/prefix_sums.h"

#include <algorithm>
#include <cmath>

namespace vedette::outlier {
namespace {

/// From the number and sum of all values and of those up to the mean.
double Deviation(double count, double sum, double below, double sum_below) {
  return std::max(0.0, 2 * (sum / count * below - sum_below) / count);
}

double Variance(double count, double sum, double squares) { return std::max(0.0, squares / count - sum / count * (sum / count)); }

/// Range between the quartiles, by linear interpolation between the order statistics at(k).
template <typename At>
double Quartiles(int64_t count, const At& at) {
  const auto quantile = [&](double share) {
    const double place = share * static_cast<double>(count - 1);
    const auto low = static_cast<int64_t>(place);
    const double part = place - static_cast<double>(low), value = at(low);
    return part > 0 ? value + part * (at(low + 1) - value) : value;
  };
  return std::max(0.0, quantile(0.75) - quantile(0.25));
}

}  // namespace

PrefixSums::PrefixSums(std::span<const double> sorted) : sorted_(sorted), counts_(sorted.size() + 1), sums_(sorted.size() + 1) {
  while (top_ * 2 <= sorted.size()) top_ *= 2;
}

void PrefixSums::Add(int32_t rank) {
  const double value = sorted_[static_cast<size_t>(rank)];
  for (auto i = static_cast<size_t>(rank) + 1; i < counts_.size(); i += i & (~i + 1)) {
    ++counts_[i];
    sums_[i] += value;
  }
  ++count_;
  sum_ += value;
  squares_ += value * value;
}

double PrefixSums::At(int64_t k) const {
  size_t at = 0;
  for (size_t step = top_; step > 0; step /= 2) {
    if (at + step < counts_.size() && counts_[at + step] <= k) k -= counts_[at += step];
  }
  return sorted_[std::min(at, sorted_.size() - 1)];
}

double PrefixSums::Dissimilarity(Measure measure) const {
  const auto count = static_cast<double>(count_);
  if (measure == Measure::kVariance) return Variance(count, sum_, squares_);
  if (measure == Measure::kQuartiles) return Quartiles(count_, [this](int64_t k) { return At(k); });
  const double mean = sum_ / count;
  size_t at = 0;
  int64_t below = 0;
  double sum_below = 0;
  for (size_t step = top_; step > 0; step /= 2) {  // down the tree: the values up to the mean
    if (at + step >= counts_.size() || sorted_[at + step - 1] > mean) continue;
    at += step;
    below += counts_[at];
    sum_below += sums_[at];
  }
  return Deviation(count, sum_, static_cast<double>(below), sum_below);
}

SortedValues::SortedValues(std::vector<double> ascending) : values_(std::move(ascending)), sums_(values_.size() + 1) {
  for (size_t i = 0; i < values_.size(); ++i) {
    sums_[i + 1] = sums_[i] + values_[i];
    squares_ += values_[i] * values_[i];
  }
}

double SortedValues::DissimilarityWith(std::span<const double> more, Measure measure) const {
  const auto count = static_cast<double>(values_.size() + more.size());
  if (measure == Measure::kQuartiles) {
    std::vector<double> others(more.begin(), more.end());
    std::sort(others.begin(), others.end());
    // The k-th smallest of both lists: `taken` of the others are among the k before it.
    const auto at = [&](int64_t k) {
      size_t low = k > static_cast<int64_t>(values_.size()) ? static_cast<size_t>(k) - values_.size() : 0;
      size_t high = std::min(others.size(), static_cast<size_t>(k));
      while (low < high) {
        const size_t taken = (low + high) / 2, own = static_cast<size_t>(k) - taken;
        if (own > 0 && others[taken] < values_[own - 1]) low = taken + 1;
        else high = taken;
      }
      const size_t own = static_cast<size_t>(k) - low;
      if (own >= values_.size()) return others[low];
      return low < others.size() ? std::min(others[low], values_[own]) : values_[own];
    };
    return Quartiles(static_cast<int64_t>(values_.size() + others.size()), at);
  }
  double sum = sums_.empty() ? 0 : sums_.back(), squares = squares_;
  for (const double v : more) sum += v, squares += v * v;
  if (measure == Measure::kVariance) return Variance(count, sum, squares);
  const double mean = sum / count;
  const auto own = static_cast<size_t>(std::upper_bound(values_.begin(), values_.end(), mean) - values_.begin());
  double below = static_cast<double>(own), sum_below = sums_.empty() ? 0 : sums_[own];
  for (const double v : more) {
    if (v <= mean) below += 1, sum_below += v;
  }
  return Deviation(count, sum, below, sum_below);
}

}  // namespace vedette::outlier
