// The k best candidates of one query, sorted by (rank, row): ties go to the lower row.
#pragma once

#include <absl/container/inlined_vector.h>

#include <algorithm>
#include <cstdint>
#include <limits>
#include <span>

#include "outlier/kernels/simd.h"

namespace vedette::outlier {

class TopK {
 public:
  /// Up to 28 candidates need no memory of their own: there is one of these a query.
  static constexpr size_t kInline = 32;

  /// Of the rows of one location, at most `per_location` are taken, the lowest.
  explicit TopK(int64_t k, size_t per_location = std::numeric_limits<size_t>::max())
      : k_(k),
        per_location_(per_location),
        chunks_((k + 3) / 4),
        rank_(static_cast<size_t>(4 + 4 * chunks_)),
        row_(static_cast<size_t>(4 + 4 * chunks_)) {
    Clear();
  }
  void Clear() {
    size_ = 0;
    bound_ = std::numeric_limits<double>::infinity();
    std::fill(rank_.begin(), rank_.end(), bound_);
    std::fill(row_.begin(), row_.end(), std::numeric_limits<int32_t>::max());
    rank_[kFront - 1] = -bound_;
  }
  /// Nothing above this rank can enter.
  double bound() const { return bound_; }
  int64_t k() const { return k_; }
  int64_t size() const { return size_; }
  bool full() const { return size_ == k_; }
  /// Nothing above `rank` is wanted.
  void Limit(double rank) { bound_ = std::min(bound_, rank); }
  /// Nothing but `rank` is wanted.
  void Only(double rank) { floor_ = bound_ = rank; }
  std::span<const double> ranks() const { return {rank_.data() + kFront, static_cast<size_t>(size_)}; }
  std::span<const int32_t> rows() const { return {row_.data() + kFront, static_cast<size_t>(size_)}; }

  /// Offers the rows of one location (ascending), all at `rank`.
  void Offer(double rank, std::span<const int32_t> rows) {
    rows = rows.first(std::min(rows.size(), per_location_));
    if (rows.size() > 1 && InsertTogether(rank, rows)) return;
    for (const int32_t row : rows) {
      if (!Insert(rank, row)) return;
    }
  }

  /// Offers one row; false when it does not enter.
  bool Offer(double rank, int32_t row) { return Insert(rank, row); }

 private:
  static constexpr int64_t kFront = 4;  // one slot that is never above, before the best; four keep the rest aligned

  // All rows in one move; false, and nothing done, where the rank is not new.
  bool InsertTogether(double rank, std::span<const int32_t> rows) {
    if (rank > bound_ || rank < floor_) return true;
    double* ranks = rank_.data() + kFront;
    const int64_t at = std::lower_bound(ranks, ranks + size_, rank) - ranks;
    if (at < size_ && ranks[at] == rank) return false;
    const int64_t count = std::min(static_cast<int64_t>(rows.size()), k_ - at);
    const int64_t moved = std::min(size_ - at, k_ - at - count);
    int32_t* own = row_.data() + kFront;
    std::copy_backward(ranks + at, ranks + at + moved, ranks + at + moved + count);
    std::copy_backward(own + at, own + at + moved, own + at + moved + count);
    std::fill_n(ranks + at, count, rank);
    std::copy_n(rows.begin(), count, own + at);
    size_ = std::min(k_, size_ + count);
    bound_ = std::min(bound_, ranks[k_ - 1]);
    return true;
  }

  bool Insert(double rank, int32_t row) {
    if (rank < floor_) return true;
    const double* ranks = rank_.data() + kFront;
    const int32_t* rows = row_.data() + kFront;
    if (size_ == k_) {
      if (rank > ranks[k_ - 1] || (rank == ranks[k_ - 1] && row > rows[k_ - 1])) return false;
    } else {
      if (rank > bound_) return false;
      ++size_;
    }
    Shift(rank, row);
    bound_ = std::min(bound_, ranks[k_ - 1]);
    return true;
  }

#if VEDETTE_F64X4_AVX2
  // From the worst to the best, four at a time and without a branch that the data decides: slot i keeps its entry where
  // that is not above the new one, else takes the new one where slot i - 1 is not above it, else the entry of slot i
  // - 1.
  void Shift(double rank, int32_t row) {
    double* ranks = rank_.data() + kFront;
    int32_t* rows = row_.data() + kFront;
    const __m256d x = _mm256_set1_pd(rank);
    const __m128i y = _mm_set1_epi32(row);
    const __m256i even = _mm256_setr_epi32(0, 2, 4, 6, 0, 2, 4, 6);
    for (int64_t i = (size_ - 1) / 4 * 4; i >= 0; i -= 4) {  // what is beyond size_ is infinite and stays so
      const __m256d here = _mm256_loadu_pd(ranks + i), before = _mm256_loadu_pd(ranks + i - 1);
      const __m256d tie = _mm256_or_pd(_mm256_cmp_pd(here, x, _CMP_EQ_OQ), _mm256_cmp_pd(before, x, _CMP_EQ_OQ));
      if (_mm256_movemask_pd(tie) != 0) return ShiftOne(i + 3, rank, row);
      const __m256d keep = _mm256_cmp_pd(here, x, _CMP_LT_OQ), take = _mm256_cmp_pd(before, x, _CMP_LT_OQ);
      if (chunks_ > 8 && _mm256_movemask_pd(keep) == 15) return;
      const auto narrow = [even](__m256d mask) {
        return _mm_castsi128_ps(_mm256_castsi256_si128(_mm256_permutevar8x32_epi32(_mm256_castpd_si256(mask), even)));
      };
      const __m128 row_here = _mm_loadu_ps(reinterpret_cast<const float*>(rows + i));
      const __m128 row_before = _mm_loadu_ps(reinterpret_cast<const float*>(rows + i - 1));
      _mm256_storeu_pd(ranks + i, _mm256_blendv_pd(_mm256_blendv_pd(before, x, take), here, keep));
      _mm_storeu_ps(
          reinterpret_cast<float*>(rows + i),
          _mm_blendv_ps(_mm_blendv_ps(row_before, _mm_castsi128_ps(y), narrow(take)), row_here, narrow(keep)));
    }
  }
#else
  void Shift(double rank, int32_t row) { ShiftOne(size_ - 1, rank, row); }
#endif

  void ShiftOne(int64_t at, double rank, int32_t row) {
    double* ranks = rank_.data() + kFront;
    int32_t* rows = row_.data() + kFront;
    for (; at > 0 && (rank < ranks[at - 1] || (rank == ranks[at - 1] && row < rows[at - 1])); --at) {
      ranks[at] = ranks[at - 1];
      rows[at] = rows[at - 1];
    }
    ranks[at] = rank;
    rows[at] = row;
  }

  int64_t k_;
  size_t per_location_;
  int64_t chunks_;
  absl::InlinedVector<double, kInline> rank_;  // beyond k: candidates that fell out, or infinity
  absl::InlinedVector<int32_t, kInline> row_;
  int64_t size_ = 0;
  double bound_ = 0, floor_ = -std::numeric_limits<double>::infinity();
};

}  // namespace vedette::outlier
