// Sorting a column of doubles together with its row numbers.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace vedette::outlier {

/// Keeps its buffers from column to column; one per thread.
class ColumnSorter {
 public:
  /// order[i] = row of the i-th smallest value; equal values (0 and -0 are equal) in order of rows. No NaN; fewer than
  /// 2^32 values. O(n) for most data: a radix sort over the 32 leading bits of the range that the column really uses,
  /// then a comparison sort inside runs that agree in all of them.
  void Order(std::span<const double> values, std::span<uint32_t> order);
  /// The same, and the values in that order.
  void Sort(std::span<const double> values, std::span<uint32_t> order, std::span<double> sorted);

 private:
  std::vector<uint64_t> packed_, scratch_;
};

}  // namespace vedette::outlier
