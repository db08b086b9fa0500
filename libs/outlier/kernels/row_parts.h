// Native attributions of many rows side by side: the parts of quadratic forms, of distances to directions, and of
// distances to the nearest of a few centers.
//
// Rows come in tiles, feature by feature: the value of row r on feature j is tile[j * lanes + r], lanes 4 or 16. Their
// parts go to out[j * stride + r]; they are finite. A row's bits depend neither on the tile's width nor on its other
// rows.
#pragma once

#include <cstddef>
#include <cstdint>

namespace vedette::outlier {

/// factor z' A' A z, z_j = scale_j (x_j - center_j).
struct QuadraticForm {
  const double* A = nullptr;  ///< d x d, row-major, zero above the diagonal
  const double* center = nullptr;
  const double* scale = nullptr;  ///< null: ones; else |z_j| is bounded by 1e100
  int64_t d = 0;
  double factor = 1;
};
/// factor z_j (A' A z)_j, which add up to that. work: 2 d x lanes.
void QuadraticParts(const QuadraticForm& form, const double* x, int lanes, double* work, double* parts, int64_t stride);

/// sum over c of weights[c] |z - v_c|, |v_c| = 1.
struct Directions {
  const double* vectors = nullptr;  ///< count x d, row-major
  const double* squares = nullptr;  ///< of their parts; each 1 / d for a vector that is all zeros
  const double* weights = nullptr;
  int64_t count = 0, d = 0;
};
/// sum over c of weights[c] (z_j - v_cj)^2 / |z - v_c|, which add up to that. work: count x lanes.
void DirectionParts(const Directions& directions, const double* z, int lanes, double* work, double* parts,
                    int64_t stride);

/// Centers in blocks of eight, feature by feature: center c has values[(c / 8 * d + j) * 8 + c % 8].
struct CenterBlocks {
  const double* values = nullptr;
  int64_t count = 0, d = 0;
};
/// (unscale (x_j - c_j))^2 of the nearest center c (the first of several), and c_j.
void CenterParts(const CenterBlocks& centers, const double* x, int lanes, double unscale, double* parts,
                 double* expected, int64_t stride);

/// The forms of the above: all give the same bits.
struct RowPartsKernel {
  void (*quadratic)(const QuadraticForm&, const double* x, int lanes, double* work, double* parts,
                    int64_t stride) = nullptr;
  void (*directions)(const Directions&, const double* z, int lanes, double* work, double* parts,
                     int64_t stride) = nullptr;
  void (*centers)(const CenterBlocks&, const double* x, int lanes, double unscale, double* parts, double* expected,
                  int64_t stride) = nullptr;
};
/// Fastest for rows side by side; `portable` is for any machine, and for rows alone.
const RowPartsKernel& RowPartsPortable();
/// Empty where the program was not compiled for such processors.
const RowPartsKernel& RowPartsAvx512();

}  // namespace vedette::outlier
