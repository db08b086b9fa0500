// Dissimilarity of a growing set of values: average absolute deviation, variance, range between the quartiles, each found anew
// after an addition in the logarithm of the set's size.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace vedette::outlier {

enum class Measure { kDeviation, kVariance, kQuartiles };

/// A set that grows by values of a list that is known beforehand (binary indexed tree, Fenwick 1994).
class PrefixSums {
 public:
  /// `sorted`, ascending, must outlive this.
  explicit PrefixSums(std::span<const double> sorted);
  /// Adds sorted[rank]; a rank may be added again (equal values).
  void Add(int32_t rank);
  double Dissimilarity(Measure measure) const;

 private:
  double At(int64_t k) const;  ///< the k-th smallest
  std::span<const double> sorted_;
  std::vector<int64_t> counts_;
  std::vector<double> sums_;
  int64_t count_ = 0;
  double sum_ = 0, squares_ = 0;
  size_t top_ = 1;
};

/// A set of values that others are added to for one question.
class SortedValues {
 public:
  SortedValues() = default;
  explicit SortedValues(std::vector<double> ascending);
  size_t size() const { return values_.size(); }
  const std::vector<double>& values() const { return values_; }
  /// Of these values and `more` (at least one).
  double DissimilarityWith(std::span<const double> more, Measure measure) const;

 private:
  std::vector<double> values_, sums_;  ///< sums_[i]: of the first i values
  double squares_ = 0;
};

}  // namespace vedette::outlier
