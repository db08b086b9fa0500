#include "outlier/projection.h"

#include "outlier/kernels/simd.h"

namespace vedette::outlier {
namespace {

/// kVectors vectors at once: each loaded row value is used for all of them.
template <int kVectors, int kParts>
void ProjectSome(const double* z, int64_t d, const double* vectors, double* out) {
  constexpr int kLanes = 4 * kParts;
  F64x4 sum[kVectors][kParts];
  for (auto& row : sum) {
    for (F64x4& s : row) s = F64x4::Zero();
  }
  for (int64_t j = 0; j < d; ++j) {
    F64x4 x[kParts];
    for (int q = 0; q < kParts; ++q) x[q] = F64x4::LoadAny(z + j * kLanes + 4 * q);
    for (int v = 0; v < kVectors; ++v) {
      const F64x4 w = F64x4::Set(vectors[v * d + j]);
      for (int q = 0; q < kParts; ++q) sum[v][q] = Fma(x[q], w, sum[v][q]);
    }
  }
  for (int v = 0; v < kVectors; ++v) {
    for (int q = 0; q < kParts; ++q) sum[v][q].Store(out + v * kLanes + q * 4);
  }
}

template <int kTogether, int kParts>
void Project(const double* z, int64_t d, const double* vectors, int64_t k, double* out) {
  constexpr int kLanes = 4 * kParts;
  int64_t c = 0;
  for (; c + kTogether <= k; c += kTogether) {
    ProjectSome<kTogether, kParts>(z, d, vectors + c * d, out + c * kLanes);
  }
  for (; c < k; ++c) ProjectSome<1, kParts>(z, d, vectors + c * d, out + c * kLanes);
}

}  // namespace

void ProjectTile(const double* z, int64_t d, const double* vectors, int64_t k, double* out, int lanes) {
  lanes == 4 ? Project<8, 1>(z, d, vectors, k, out) : Project<2, 4>(z, d, vectors, k, out);
}

}  // namespace vedette::outlier
