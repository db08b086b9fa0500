// Weighted sums of Gaussian kernels, without writing the kernels down.
#pragma once

#include "outlier/kernels/row_blocks.h"

namespace vedette::outlier {

struct GaussianSum {
  double sum = 0;      ///< of weights[i] * e^(gamma (shift - |x - row i|^2))
  double nearest = 0;  ///< the least |x - row i|^2
};

/// For `count` rows x[q] of rows.features() values; a row's bits do not depend on the others. weights: rows.padded()
/// values (0 beyond the last row), or null for ones. shift (null: zeros): at most the least squared distance. Kernels
/// are off by less than 1e-15 of themselves and 2^-1000.
void GaussianSums(const RowBlocks& rows, const double* weights, double gamma, const double* const* x,
                  const double* shift, int count, GaussianSum* out);

/// The forms of GaussianSums, which takes the second where the processor has AVX-512; both give the same bits.
void GaussianSumsPortable(const RowBlocks& rows, const double* weights, double gamma, const double* const* x,
                          const double* shift, int count, GaussianSum* out);
void GaussianSumsAvx512(const RowBlocks& rows, const double* weights, double gamma, const double* const* x,
                        const double* shift, int count, GaussianSum* out);

/// The Chebyshev interpolant of 2^r on [-1/2, 1/2], highest power first: off by 4e-18.
inline constexpr double kPowerOfTwo[] = {4.4558179083360645e-10, 7.074194297288521e-09,  1.0178057087733941e-07,
                                         1.3215432535912375e-06, 1.5252733841556773e-05, 0.00015403530463724353,
                                         0.001333355814640647,   0.009618129107587256,   0.055504108664821625,
                                         0.24022650695910158,    0.6931471805599453,     1.0};
inline constexpr int kPowerOfTwoTerms = sizeof(kPowerOfTwo) / sizeof(kPowerOfTwo[0]);

}  // namespace vedette::outlier
