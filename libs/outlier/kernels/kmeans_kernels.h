// The inner loops of k-means: which center is nearest, in float32, and how much the candidates of a start would gain.
#pragma once

#include <cstddef>
#include <cstdint>

namespace vedette::outlier {

/// Sixteen rows against groups of eight centers. The value of a row x and a center c is a lower bound of |x - c|^2 -
/// |x|^2 (but for an error that depends on the row alone): norm(c) - 2 x.c, in float32.
struct CenterTile {
  static constexpr size_t kRows = 16, kCenters = 8;
  const float* rows = nullptr;     ///< [feature][kRows]
  const float* centers = nullptr;  ///< [group][feature][kCenters] of -2 c
  const float* norms = nullptr;    ///< [group][kCenters]; infinite for centers that fill up a group
  const float* doubt = nullptr;    ///< [group][kCenters]: how far the value may be below the true one
  size_t features = 0, groups = 0;
};

/// Of each row: the least value, the second, the doubt of the least one's center, and that center.
struct CenterFound {
  alignas(64) float first[CenterTile::kRows];
  alignas(64) float second[CenterTile::kRows];
  alignas(64) float doubt[CenterTile::kRows];
  alignas(64) float center[CenterTile::kRows];
};

/// Four rows that may become centers, against blocks of eight rows (see RowBlocks).
struct CandidateBlocks {
  static constexpr size_t kCandidates = 4;
  const double* values = nullptr;  ///< [block][feature][8]
  size_t features = 0, blocks = 0;
  const double* candidates[kCandidates] = {};
  const double* nearest = nullptr;   ///< squared distance of each row to its nearest center
  double* trial[kCandidates] = {};   ///< the same if the candidate were a center, too
  double sums[kCandidates][8] = {};  ///< of `trial` are added to these, over the rows with the same index modulo 8
};

/// Rows side by side against centers in double: the least squared distance of each row, terms in the order of the
/// features, and, where `nearest` is not null, which center's it is (the first of several).
struct ExactTile {
  const double* rows = nullptr;     ///< [feature][lanes]
  int lanes = 0;                    ///< 4 or 16
  const double* centers = nullptr;  ///< [group][feature][8]
  size_t features = 0, count = 0;   ///< count: of centers
  double* squared = nullptr;        ///< [lanes]
  double* nearest = nullptr;        ///< [lanes]
};

struct KMeansKernel {
  void (*nearest)(const CenterTile& tile, CenterFound& found) = nullptr;
  void (*candidates)(CandidateBlocks& blocks) = nullptr;
  void (*exact)(const ExactTile& tile) = nullptr;
};

/// The fastest that this processor can run; all give the same bits.
const KMeansKernel& FastestKMeansKernel();
void NearestCentersPortable(const CenterTile& tile, CenterFound& found);
void NearestCentersAvx512(const CenterTile& tile, CenterFound& found);
void TryCandidatesPortable(CandidateBlocks& blocks);
void TryCandidatesAvx512(CandidateBlocks& blocks);
void ExactCentersPortable(const ExactTile& tile);
void ExactCentersAvx512(const ExactTile& tile);

}  // namespace vedette::outlier
