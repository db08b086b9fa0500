// Sorting a column of doubles together with its row numbers, and sorting that can be told to stop.
#pragma once

#include <absl/status/status.h>

#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

#include "base/context.h"
#include "outlier/parallel.h"

namespace vedette::outlier {

/// Keeps its buffers from column to column; one per thread.
class ColumnSorter {
 public:
  /// order[i] = row of the i-th smallest value; equal values (0 and -0 are equal) in order of rows. No NaN; fewer than
  /// 2^32 values. O(n) for most data: a radix sort over the 32 leading bits of the range that the column really uses,
  /// then a comparison sort inside runs that agree in all of them.
  absl::Status Order(std::span<const double> values, std::span<uint32_t> order, const Context& ctx);
  /// The same, and the values in that order.
  absl::Status Sort(std::span<const double> values, std::span<uint32_t> order, std::span<double> sorted,
                    const Context& ctx);

 private:
  absl::Status RadixSort(const Context& ctx);
  void SortRuns(std::span<const double> values, std::span<uint32_t> order) const;

  std::vector<uint64_t> packed_, scratch_;
};

/// std::sort with looks at the context.
template <typename T>
absl::Status SortWatched(std::vector<T>& values, const Context& ctx) {
  constexpr int64_t kRun = int64_t{1} << 15;
  const int64_t n = std::ssize(values);
  RETURN_IF_ERROR(Blocks(ctx, n, kRun,
                         [&](int64_t begin, int64_t end) { std::sort(values.begin() + begin, values.begin() + end); }));
  std::vector<T> merged(n > kRun ? values.size() : 0);
  for (int64_t run = kRun; run < n; run *= 2, values.swap(merged)) {
    RETURN_IF_ERROR(Blocks(ctx, n, 2 * run, [&](int64_t begin, int64_t end) {
      const auto first = values.begin() + begin, middle = values.begin() + std::min(begin + run, end);
      std::merge(first, middle, middle, values.begin() + end, merged.begin() + begin);
    }));
  }
  return absl::OkStatus();
}

}  // namespace vedette::outlier
