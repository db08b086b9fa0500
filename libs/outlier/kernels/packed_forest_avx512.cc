// The forest kernel for processors with AVX-512, chosen at run time. A unit of its own with target attributes, so that
// the rest of the project keeps its one instruction set; no Eigen type passes through here.
#include "outlier/kernels/packed_forest.h"

#if defined(__x86_64__)
#pragma GCC push_options
#pragma GCC target("avx512f,avx512vl,avx512bw,avx512dq,avx2,fma")
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"  // GCC 12's own intrinsics headers
#pragma GCC diagnostic ignored "-Wuninitialized"        // the same headers at -O2 -g1
#include <immintrin.h>

namespace vedette::outlier {
namespace {

constexpr int64_t kLanes = 8;
constexpr int kVectorsInFlight = 4;

// Entry `node` of a table of 16 words at `table`: the permutation looks at the low four bits of the node only.
inline __m512i Look16(const int32_t* table, __m512i node) {
  return _mm512_permutexvar_epi32(node, _mm512_load_si512(table));
}
inline __m512i Look32(const int32_t* table, __m512i node) {
  return _mm512_permutex2var_epi32(_mm512_load_si512(table), node, _mm512_load_si512(table + 16));
}
inline __m512i Look64(const int32_t* table, __m512i node) {
  const __mmask16 upper = _mm512_test_epi32_mask(node, _mm512_set1_epi32(32));
  return _mm512_mask_blend_epi32(upper, Look32(table, node), Look32(table + 32, node));
}
inline __m512i Look128(const int32_t* table, __m512i node) {
  const __mmask16 upper = _mm512_test_epi32_mask(node, _mm512_set1_epi32(64));
  return _mm512_mask_blend_epi32(upper, Look64(table, node), Look64(table + 64, node));
}

// Two groups of 8 rows make a vector of 16; kVectors vectors in flight hide the latency of the gathers.
template <int kVectors, bool kLeaves>
inline void WalkAvx512(const float* x, int64_t stride, const int32_t* tree, int depth, int32_t* out) {
  const int64_t nodes = int64_t{1} << depth;
  const int32_t* offset = tree + nodes;
  const auto second = static_cast<int32_t>(stride);
  const __m512i lane = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, second, second + 1, second + 2, second + 3, second + 4,
                                         second + 5, second + 6, second + 7);
  __m512i node[kVectors];
  for (int v = 0; v < kVectors; ++v) node[v] = _mm512_set1_epi32(1);
  const auto step = [&](int v, __m512i threshold, __m512i feature) {
    const __m512 value = _mm512_i32gather_ps(_mm512_add_epi32(feature, lane), x + 2 * v * stride, 4);
    const __mmask16 right = _mm512_cmp_ps_mask(value, _mm512_castsi512_ps(threshold), _CMP_GT_OQ);
    const __m512i doubled = _mm512_add_epi32(node[v], node[v]);
    node[v] = _mm512_mask_add_epi32(doubled, right, doubled, _mm512_set1_epi32(1));
  };
  for (int v = 0; v < kVectors; ++v) {  // the root: every row looks at the same feature
    const float* at = x + 2 * v * stride + offset[1];
    const __m512 value = _mm512_insertf32x8(_mm512_castps256_ps512(_mm256_load_ps(at)), _mm256_load_ps(at + stride), 1);
    const __mmask16 right = _mm512_cmp_ps_mask(value, _mm512_castsi512_ps(_mm512_set1_epi32(tree[1])), _CMP_GT_OQ);
    node[v] = _mm512_mask_add_epi32(_mm512_set1_epi32(2), right, _mm512_set1_epi32(2), _mm512_set1_epi32(1));
  }
  for (int level = 1; level < 4; ++level) {
    for (int v = 0; v < kVectors; ++v) step(v, Look16(tree, node[v]), Look16(offset, node[v]));
  }
  if (depth > 4) {
    for (int v = 0; v < kVectors; ++v) step(v, Look16(tree + 16, node[v]), Look16(offset + 16, node[v]));
  }
  if (depth > 5) {
    for (int v = 0; v < kVectors; ++v) step(v, Look32(tree + 32, node[v]), Look32(offset + 32, node[v]));
  }
  if (depth > 6) {
    for (int v = 0; v < kVectors; ++v) step(v, Look64(tree + 64, node[v]), Look64(offset + 64, node[v]));
  }
  if (depth > 7) {
    for (int v = 0; v < kVectors; ++v) step(v, Look128(tree + 128, node[v]), Look128(offset + 128, node[v]));
  }
  for (int level = 8; level < depth; ++level) {
    for (int v = 0; v < kVectors; ++v) {
      step(v, _mm512_i32gather_epi32(node[v], tree, 4), _mm512_i32gather_epi32(node[v], offset, 4));
    }
  }
  for (int v = 0; v < kVectors; ++v) {
    int32_t* sum = out + v * 2 * kLanes;
    if constexpr (kLeaves) {
      _mm512_store_si512(sum, _mm512_sub_epi32(node[v], _mm512_set1_epi32(static_cast<int32_t>(nodes))));
      continue;
    }
    const __m512i length = _mm512_i32gather_epi32(node[v], tree + nodes, 4);  // tree + 2 nodes, less the nodes above
    _mm512_store_si512(sum, _mm512_add_epi32(_mm512_load_si512(sum), length));
  }
}

}  // namespace

void ForestKernelAvx512(const ForestBlock& b) {
  const int64_t words = int64_t{3} << b.depth;
  const int64_t stride = b.features * kLanes;
  for (int64_t t = 0; t < b.tree_count; ++t) {
    for (int64_t g = 0; g < b.group_count; g += 2 * kVectorsInFlight) {
      const float* x = b.groups + g * stride;
      if (b.leaves != nullptr) {
        int32_t* leaves = b.leaves + (t * b.group_count + g) * kLanes;
        WalkAvx512<kVectorsInFlight, true>(x, stride, b.trees + t * words, b.depth, leaves);
      } else {
        WalkAvx512<kVectorsInFlight, false>(x, stride, b.trees + t * words, b.depth, b.sums + g * kLanes);
      }
    }
  }
}

}  // namespace vedette::outlier
#pragma GCC pop_options
#else
namespace vedette::outlier {
void ForestKernelAvx512(const ForestBlock& block) { ForestKernelPortable(block); }
}  // namespace vedette::outlier
#endif
