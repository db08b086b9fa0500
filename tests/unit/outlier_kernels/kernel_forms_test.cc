// Kernels that have a form for AVX-512 give the same bits in every form (see also dense_search_test.cc,
// forest_test.cc).
#include <algorithm>
#include <catch2/catch.hpp>
#include <vector>

#include "base/rng.h"
#include "outlier/kernels/gaussian_sums.h"
#include "outlier/kernels/kmeans_kernels.h"

namespace vedette::outlier {
namespace {

bool HasAvx512() {
#if defined(__x86_64__)
  return __builtin_cpu_supports("avx512f");
#else
  return false;
#endif
}

template <typename T>
std::vector<T> Normal(size_t count, uint64_t seed) {
  Rng rng(seed);
  std::vector<T> out(count);
  for (T& v : out) v = static_cast<T>(rng.Normal());
  return out;
}

}  // namespace

TEST_CASE("sums of Gaussian kernels: the same bits in every form") {
  if (!HasAvx512()) return;
  for (const size_t d : {1, 4, 21}) {
    for (const size_t n : {3, 33, 130}) {
      const RowBlocks blocks(Normal<double>(n * d, 1), n, d);
      std::vector<double> weights = Normal<double>(blocks.padded(), 2);
      const std::vector<double> x = Normal<double>(7 * d, 3);
      const double* queries[7];
      for (size_t q = 0; q < 7; ++q) queries[q] = x.data() + q * d;
      const std::vector<double> shift(7, 1e-3);
      for (const double* const w : {static_cast<const double*>(nullptr), static_cast<const double*>(weights.data())}) {
        GaussianSum portable[7], fast[7];
        GaussianSumsPortable(blocks, w, 0.3, queries, shift.data(), 7, portable);
        GaussianSumsAvx512(blocks, w, 0.3, queries, shift.data(), 7, fast);
        for (size_t q = 0; q < 7; ++q) {
          CHECK(portable[q].sum == fast[q].sum);
          CHECK(portable[q].nearest == fast[q].nearest);
        }
      }
    }
  }
}

TEST_CASE("k-means: candidates and nearest centers have the same bits in every form") {
  if (!HasAvx512()) return;
  for (const size_t d : {1, 5, 30}) {
    for (const size_t blocks : {1, 2, 7}) {
      const std::vector<double> rows = Normal<double>(blocks * 8 * d, 1), x = Normal<double>(4 * d, 2);
      std::vector<double> nearest = Normal<double>(blocks * 8, 3);
      for (double& v : nearest) v = v * v * static_cast<double>(d);
      std::vector<double> trial[2];
      CandidateBlocks made[2];
      for (int form = 0; form < 2; ++form) {
        trial[form].assign(blocks * 32, -1);
        made[form] = {.values = rows.data(), .features = d, .blocks = blocks, .nearest = nearest.data()};
        for (size_t q = 0; q < 4; ++q) {
          made[form].candidates[q] = x.data() + q * d;
          made[form].trial[q] = trial[form].data() + q * blocks * 8;
        }
      }
      TryCandidatesPortable(made[0]);
      TryCandidatesAvx512(made[1]);
      CHECK(trial[0] == trial[1]);
      for (size_t q = 0; q < 4; ++q) CHECK(std::equal(made[0].sums[q], made[0].sums[q] + 8, made[1].sums[q]));
    }
    for (const size_t groups : {1, 3}) {
      const std::vector<float> rows = Normal<float>(16 * d, 4), centers = Normal<float>(groups * 8 * d, 5);
      const std::vector<float> norms = Normal<float>(groups * 8, 6), doubt = Normal<float>(groups * 8, 7);
      const CenterTile tile{rows.data(), centers.data(), norms.data(), doubt.data(), d, groups};
      CenterFound portable, fast;
      NearestCentersPortable(tile, portable);
      NearestCentersAvx512(tile, fast);
      const auto same = [](const float* a, const float* b) { return std::equal(a, a + CenterTile::kRows, b); };
      CHECK(same(portable.first, fast.first));
      CHECK(same(portable.second, fast.second));
      CHECK(same(portable.doubt, fast.doubt));
      CHECK(same(portable.center, fast.center));
    }
  }
}

}  // namespace vedette::outlier
