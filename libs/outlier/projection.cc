#include "outlier/projection.h"

#include <cstring>

namespace vedette::outlier {
namespace {

using V4 = double __attribute__((vector_size(32)));

V4 LoadV(const double* p) {
  V4 v;
  std::memcpy(&v, p, sizeof v);
  return v;
}

void StoreV(double* p, V4 v) { std::memcpy(p, &v, sizeof v); }

/// kVectors vectors at once: each loaded row value is used for all of them.
template <int kVectors>
void ProjectSome(const double* z, int64_t d, const double* vectors, double* out) {
  V4 sum[kVectors][4] = {};
  for (int64_t j = 0; j < d; ++j) {
    const double* const row = z + j * 16;
    const V4 a = LoadV(row), b = LoadV(row + 4), c = LoadV(row + 8), e = LoadV(row + 12);
    for (int v = 0; v < kVectors; ++v) {
      const double w = vectors[v * d + j];
      sum[v][0] += a * w;
      sum[v][1] += b * w;
      sum[v][2] += c * w;
      sum[v][3] += e * w;
    }
  }
  for (int v = 0; v < kVectors; ++v) {
    for (int q = 0; q < 4; ++q) StoreV(out + v * 16 + q * 4, sum[v][q]);
  }
}

}  // namespace

void ProjectTile(const double* z, int64_t d, const double* vectors, int64_t k, double* out) {
  int64_t c = 0;
  for (; c + 2 <= k; c += 2) ProjectSome<2>(z, d, vectors + c * d, out + c * 16);
  if (c < k) ProjectSome<1>(z, d, vectors + c * d, out + c * 16);
}

}  // namespace vedette::outlier
