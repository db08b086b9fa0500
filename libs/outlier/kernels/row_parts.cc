#include "outlier/kernels/row_parts.h"

#include "outlier/kernels/processor.h"
#include "outlier/kernels/simd.h"

namespace vedette::outlier {
namespace {

/// table[index] of eight values, for whole indices in [0, 8).
F64x4 LookUp(const double* table, F64x4 index) {
  double at[4], out[4];
  index.Store(at);
  for (int i = 0; i < 4; ++i) out[i] = table[static_cast<int>(at[i])];
  return F64x4::LoadAny(out);
}

}  // namespace
}  // namespace vedette::outlier

#include "outlier/kernels/row_parts_impl.h"

namespace vedette::outlier {
namespace {

// A row alone has four lanes: then more sums side by side, so that none waits for the one before it.
constexpr int kAlone = 4, kTogetherLanes = 8;

void QuadraticPortable(const QuadraticForm& form, const double* x, int lanes, double* work, double* parts,
                       int64_t stride) {
  if (lanes == kAlone) return QuadraticGroup<F64x4, 1, 8>(form, x, lanes, work, parts, stride);
  for (int at = 0; at < lanes; at += kTogetherLanes) {
    QuadraticGroup<F64x4, 2, 4>(form, x + at, lanes, work + at, parts + at, stride);
  }
}

void DirectionsPortable(const Directions& form, const double* z, int lanes, double* work, double* parts,
                        int64_t stride) {
  if (lanes == kAlone) return DirectionGroup<F64x4, 1, 8>(form, z, lanes, work, parts, stride);
  for (int at = 0; at < lanes; at += kTogetherLanes) {
    DirectionGroup<F64x4, 2, 4>(form, z + at, lanes, work + at, parts + at, stride);
  }
}

void CentersPortable(const CenterBlocks& centers, const double* x, int lanes, double unscale, double* parts,
                     double* expected, int64_t stride) {
  if (lanes == kAlone) return CenterGroup<F64x4, 1, 8>(centers, x, lanes, unscale, parts, expected, stride);
  for (int at = 0; at < lanes; at += kTogetherLanes) {
    CenterGroup<F64x4, 2, 4>(centers, x + at, lanes, unscale, parts + at, expected + at, stride);
  }
}

/// For rows side by side.
const RowPartsKernel& FastestRowParts() {
  static const RowPartsKernel& kernel = HasAvx512() ? RowPartsAvx512() : RowPartsPortable();
  return kernel;
}

const RowPartsKernel& RowPartsFor(int lanes) { return lanes == kAlone ? RowPartsPortable() : FastestRowParts(); }

}  // namespace

const RowPartsKernel& RowPartsPortable() {
  static constexpr RowPartsKernel kKernel{QuadraticPortable, DirectionsPortable, CentersPortable};
  return kKernel;
}

void QuadraticParts(const QuadraticForm& form, const double* x, int lanes, double* work, double* parts,
                    int64_t stride) {
  RowPartsFor(lanes).quadratic(form, x, lanes, work, parts, stride);
}

void DirectionParts(const Directions& directions, const double* z, int lanes, double* work, double* parts,
                    int64_t stride) {
  RowPartsFor(lanes).directions(directions, z, lanes, work, parts, stride);
}

void CenterParts(const CenterBlocks& centers, const double* x, int lanes, double unscale, double* parts,
                 double* expected, int64_t stride) {
  RowPartsFor(lanes).centers(centers, x, lanes, unscale, parts, expected, stride);
}

}  // namespace vedette::outlier
