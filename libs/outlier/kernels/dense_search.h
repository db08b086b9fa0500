// Exact Euclidean nearest neighbours for many features: every pair is looked at, fast.
//
// A float32 matrix product gives |x - y|^2 = |x|^2 + |y|^2 - 2 x.y for tiles of queries and rows; no matrix of
// distances is kept. Products in float32 lose digits where rows nearly coincide, so they only ever rule pairs OUT: with
//     c = (features + 8) 2^-23,   lower(x, y) = (1 - c)(|x|^2 + |y|^2) - 2 x.y <= |x - y|^2
// (a bound on every rounding of the product and of its operands), a pair with lower > k-th best so far cannot enter.
// The few others are measured again in double from the rows themselves: the result is exact.
//
// A query starts without a bound, and would measure the first k rows, then every row that beats one of them: about
// k ln(rows / k). So its values for the first rows are kept; the rows fall into 16 to 128 classes, and the
// k-th smallest of the classes' least bounds, plus what float32 may have lost, is one that the k-th best distance
// cannot exceed. Up to kFewQueries queries, as when rows are scored one by one, go over the rows alone: a tile of
// one query would cost as much as a full one.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "outlier/kernels/aligned.h"
#include "outlier/kernels/kd_tree.h"
#include "outlier/kernels/top_k.h"
#include "outlier/kernels/unique_rows.h"

namespace vedette::outlier {

/// Computes lower(x, y) - (1 - c)|x|^2 for groups of queries against panels of rows: keeps it, or reports which pairs
/// may enter.
struct DenseTile {
  const float* panel = nullptr;    ///< [feature][kPanelRows] of the rows
  const float* norms = nullptr;    ///< (1 - c)|y|^2 of the rows
  const float* queries = nullptr;  ///< [feature][group] of -2 x
  const float* bounds = nullptr;   ///< per query: k-th best - (1 - c)|x|^2
  int64_t features = 0;
  uint32_t* masks = nullptr;  ///< per query: bit r is set where lower <= bound for row r
  float* kept = nullptr;      ///< when not null: [query][kept_stride], the values go there instead; 64-byte aligned
  int64_t kept_stride = 0;
};

/// Computes the same values for a single query, which needs no group of others beside it.
struct DenseRow {
  const float* panels = nullptr;  ///< one after the other
  const float* norms = nullptr;   ///< (1 - c)|y|^2 of their rows
  const float* query = nullptr;   ///< [feature] of -2 x
  int64_t features = 0;
  int64_t panel_count = 0;
  float* out = nullptr;  ///< [panel_count * kPanelRows]; 64-byte aligned
};

struct DenseKernel {
  int64_t group = 0;                         ///< queries of a tile
  bool (*tile)(const DenseTile&) = nullptr;  ///< whether any bit is set; false where values are kept
  void (*row)(const DenseRow&) = nullptr;
};

inline constexpr int64_t kPanelRows = 32;

/// Kernels that this processor can run, the fastest last. All find the same neighbours.
std::span<const DenseKernel> DenseKernels();
bool DenseTilePortable(const DenseTile& tile);
bool DenseTileAvx2(const DenseTile& tile);
bool DenseTileAvx512(const DenseTile& tile);
void DenseRowPortable(const DenseRow& row);
void DenseRowAvx2(const DenseRow& row);
void DenseRowAvx512(const DenseRow& row);

class DenseSearch {
 public:
  static constexpr int64_t kTileQueries = 48;
  static constexpr int64_t kFewQueries = 4;

  DenseSearch() = default;
  /// Keeps a reference to `rows`. Not to be searched if `stop` was true on the way.
  DenseSearch(const UniqueRows& rows, const StopFn& stop);

  /// Offers to tops[i] every location that may be among the best of queries[i] (rows of rows.stride() doubles,
  /// aligned).
  void Search(std::span<const double* const> queries, std::span<TopK> tops, const StopFn& stop,
              const DenseKernel* kernel = nullptr) const;

 private:
  bool FindCenter(const StopFn& stop);
  /// Writes (row - center) * scale as float32 to out[j * step] times `factor`; returns its squared norm, or infinity
  /// when it is out of float32's safe range (then zeros are written).
  double Pack(const double* row, float factor, int64_t step, float* out) const;
  void SearchTile(std::span<const double* const> queries, std::span<TopK> tops, const StopFn& stop,
                  const DenseKernel& kernel) const;
  void SearchOne(const double* query, TopK& top, const StopFn& stop, const DenseKernel& kernel) const;
  struct Candidates;
  struct Tile;
  /// Offers to the tile's queries what may be among their best of the first panels; returns how many panels that were.
  int64_t Seed(Tile& tile, const DenseKernel& kernel, const StopFn& stop) const;
  bool CanSeed(int64_t rows, int64_t k) const;
  float SeedBound(const float* values, int64_t rows, int64_t k, double norm) const;
  void Measure(Candidates& candidates, const double* query, TopK& top) const;
  float Bound(double rank, double norm) const;

  const UniqueRows* rows_ = nullptr;
  std::vector<double> center_;
  double scale_ = 1, margin_ = 0;
  double largest_norm_ = 0;  // of a row; infinite when one is out of range
  AlignedArray<float> panels_, norms_;
  int64_t panel_count_ = 0;
  std::vector<int32_t> slots_;  // locations in a shuffled order: bounds tighten early however the data is sorted
};

}  // namespace vedette::outlier
