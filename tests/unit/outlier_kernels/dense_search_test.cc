// Single queries and tiles, with and without a seed, find what measuring every row finds.
#include "outlier/kernels/dense_search.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <utility>
#include <vector>

#include "outlier/kernels/metric.h"
#include "unit/outlier_kernels/samples.h"

namespace vedette::outlier {
namespace {

std::vector<int32_t> Nearest(const UniqueRows& rows, const double* query, int64_t k) {
  const RankOf<MetricKind::kEuclidean> rank{2};
  std::vector<std::pair<double, int32_t>> all;
  for (int64_t i = 0; i < rows.locations(); ++i) {
    const double r = rank.Between(query, rows.at(i), rows.stride());
    for (const int32_t row : rows.members(i)) all.emplace_back(r, row);
  }
  std::sort(all.begin(), all.end());
  std::vector<int32_t> out;
  for (int64_t i = 0; i < std::min(k, static_cast<int64_t>(all.size())); ++i) out.push_back(all[i].second);
  return out;
}

}  // namespace

TEST_CASE("dense search is exact for any number of queries and neighbours, in every kernel") {
  // One panel, a part of one, more than a seed's; ordinary rows, repeated rows, and one beyond float32's range.
  for (const int64_t n : {5, 32, 70, 1100, 2500}) {
    for (const int64_t d : {1, 6, 21}) {
      Matrix X = n == 70 ? GridMatrix(n, d, 2, 1) : NormalMatrix(n, d, n + d);
      if (n == 1100) X(17, 0) = 1e40;
      const UniqueRows rows = *UniqueRows::Of(X, 1, {});
      const DenseSearch search(rows, [] { return false; });
      for (const int64_t k : {1, 8, 9, 25, 100, 101}) {
        for (const size_t count : {size_t{1}, size_t{4}, size_t{5}, size_t{53}}) {
          std::vector<const double*> queries;
          for (size_t q = 0; q < count; ++q) queries.push_back(rows.at(static_cast<int64_t>(q) * 7 % rows.locations()));
          for (const DenseKernel& kernel : DenseKernels()) {
            std::vector<TopK> tops(count, TopK(k));
            search.Search(
                queries, tops, [] { return false; }, &kernel);
            size_t wrong = 0;
            for (size_t q = 0; q < count; q += 13) {
              const std::vector<int32_t> found(tops[q].rows().begin(), tops[q].rows().end());
              wrong += found != Nearest(rows, queries[q], k);
            }
            INFO("n " << n << ", d " << d << ", k " << k << ", queries " << count);
            REQUIRE(wrong == 0);
          }
        }
      }
    }
  }
}

}  // namespace vedette::outlier
