// Exact Euclidean neighbours of rows that are put together from two (outlier/coalitions.h), thousands at a time.
//
// The squared distance of coalition S against background row b to a fitted row t is a sum over players, of the part of
// the row or of that of b. Players go in groups of four; per group, the sums of its 16 possible choices are tabulated
// for 64 fitted rows at a time, and a coalition adds one entry of each group: a quarter of the additions, and no
// products. Sums are of float32 and of what is never negative, so that they are off by a small share of themselves:
//     |sum - distance^2| <= c distance^2,   c = (columns + 8) 2^-23.
// They rule rows out; the few others are measured in double from the rows themselves, as every search does: the result
// is exact, and the same bits as NeighborIndex::Of.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "outlier/coalitions.h"
#include "outlier/kernels/aligned.h"
#include "outlier/kernels/kd_tree.h"
#include "outlier/kernels/kth_bound.h"
#include "outlier/kernels/top_k.h"
#include "outlier/kernels/unique_rows.h"

namespace vedette::outlier {

/// For a panel of fitted rows: each coalition's sum of one entry of every group, and the least sum of rows lane, lane +
/// 8, lane + 16 ... for 8 lanes. All forms give the same bits.
struct CoalitionSums {
  static constexpr int64_t kPanel = 64;                     ///< fitted rows
  static constexpr int kGroup = 4, kChoices = 1 << kGroup;  ///< players of a group, and its entries
  const float* table = nullptr;                             ///< [group][choice][kPanel], 64-byte aligned
  int64_t groups = 0;
  const uint64_t* masks = nullptr;
  int64_t count = 0;
  float* sums = nullptr;  ///< [coalition][sums_stride], 64-byte aligned
  int64_t sums_stride = 0;
  float* least = nullptr;  ///< [coalition][least_stride], 32-byte aligned
  int64_t least_stride = 0;
};
using CoalitionKernel = void (*)(const CoalitionSums&);
void CoalitionSumsPortable(const CoalitionSums& sums);  ///< F32x8: AVX2 where the project is compiled for it
void CoalitionSumsAvx512(const CoalitionSums& sums);
/// Kernels that this processor can run, the fastest last.
std::span<const CoalitionKernel> CoalitionKernels();

class CoalitionSearch {
  static constexpr int64_t kPanel = CoalitionSums::kPanel;
  static constexpr int64_t kPanels = 16, kBlock = kPanels * kPanel;  // tabulated together; their sums are kept
  static constexpr int64_t kStride = kBlock + 16;  // of their sums: neighbours at 4 KiB would share lines of the cache
  static constexpr int64_t kRound = 64;            // coalitions that then take their rows
  static constexpr int kGroup = CoalitionSums::kGroup, kChoices = CoalitionSums::kChoices;

 public:
  static constexpr int64_t kMaxPlayers = 64;
  static constexpr int64_t kMaxValues = int64_t{1} << 21;  ///< fitted cells: 16 MiB of them are kept by column
  static constexpr int64_t kMaxNeighbors = kMostSeeded;
  static constexpr int64_t kMasks = 1024;  ///< coalitions that may be searched together; the more, the cheaper each

  static bool Fits(const UniqueRows& fitted, const CoalitionRows& rows) {
    return fitted.locations() * fitted.stride() <= kMaxValues && std::ssize(rows.players) <= kMaxPlayers;
  }
  /// Needs Fits. Keeps a reference to `fitted`, whose values are in units of 1 / `unit`.
  CoalitionSearch(const UniqueRows& fitted, double unit, const CoalitionRows& rows);

  /// Memory of a search, to be used again by the next on the same thread: half a megabyte for 21 columns.
  struct Scratch {
    explicit Scratch(const CoalitionSearch& search)
        : table(kPanels * search.groups_ * kChoices * kPanel),
          sums(kRound * kStride),
          least(kRound * kPanels * 8),
          query(search.fitted_->stride()) {}
    AlignedArray<float> table;  ///< [panel][group][choice][kPanel]
    AlignedArray<float> sums;   ///< [coalition][kStride]: [panel][kPanel]
    AlignedArray<float> least;  ///< [coalition][panel][lane]: the least sum of rows lane, lane + 8, lane + 16...
    AlignedArray<double> query;
    int32_t slots[kBlock];
    double ranks[kBlock];
  };

  int64_t background() const { return background_; }
  /// The row itself, as UniqueRows keeps rows: stride() doubles.
  void Compose(int64_t b, uint64_t mask, double* out) const;
  /// Offers to tops[m] every location that may be among the best of masks[m] against background row b. At most kMasks
  /// masks; every top has the same k <= kMaxNeighbors.
  /// `kernel` null: the fastest.
  void Search(int64_t b, std::span<const uint64_t> masks, std::span<TopK> tops, Scratch& scratch, const StopFn& stop,
              CoalitionKernel kernel = nullptr) const;

 private:
  std::span<const int32_t> ColumnsOf(int64_t player) const {
    return {columns_.data() + begin_[player], static_cast<size_t>(begin_[player + 1] - begin_[player])};
  }
  /// The part of some columns of `query` in the squared distances to a panel's rows, as float32.
  void Part(std::span<const int32_t> columns, const double* query, int64_t panel, float* out) const;
  void Tabulate(int64_t b, int64_t panel, float* table) const;
  float SeedBound(const Scratch& scratch, int64_t m, int64_t panels, int64_t k) const;
  void Take(int64_t m, int64_t first, int64_t panels, TopK& top, Scratch& scratch) const;
  float Bound(double squared, double slack) const;

  const UniqueRows* fitted_;
  int64_t background_, players_, groups_, panels_;
  double margin_, scale_ = 1;                   // of squared distances in float32
  std::vector<int32_t> columns_, begin_;        // of each player, and last those that nobody names
  AlignedArray<double> row_, background_rows_;  // stride() doubles each
  AlignedArray<double> values_;                 // [panel][column][kPanel] of the fitted rows
  AlignedArray<float> row_parts_;               // [panel][player][kPanel]
};

}  // namespace vedette::outlier
