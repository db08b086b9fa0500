// The k best candidates of one query, sorted by (rank, row): ties go to the lower row.
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

namespace vedette::outlier {

class TopK {
 public:
  explicit TopK(int64_t k) : rank_(static_cast<size_t>(k)), row_(static_cast<size_t>(k)) { Clear(); }
  void Clear() {
    size_ = 0;
    bound_ = std::numeric_limits<double>::infinity();
  }
  /// Nothing above this rank can enter.
  double bound() const { return bound_; }
  int64_t size() const { return size_; }
  std::span<const double> ranks() const { return {rank_.data(), static_cast<size_t>(size_)}; }
  std::span<const int32_t> rows() const { return {row_.data(), static_cast<size_t>(size_)}; }

  /// Offers the rows of one location (ascending), all at `rank`.
  void Offer(double rank, std::span<const int32_t> rows) {
    for (const int32_t row : rows) {
      if (!Insert(rank, row)) return;
    }
  }

 private:
  bool Insert(double rank, int32_t row) {
    const auto k = static_cast<int64_t>(rank_.size());
    int64_t at = size_;
    if (size_ == k) {
      if (rank > rank_[k - 1] || (rank == rank_[k - 1] && row > row_[k - 1])) return false;
      at = k - 1;
    } else {
      ++size_;
    }
    for (; at > 0 && (rank < rank_[at - 1] || (rank == rank_[at - 1] && row < row_[at - 1])); --at) {
      rank_[at] = rank_[at - 1];
      row_[at] = row_[at - 1];
    }
    rank_[at] = rank;
    row_[at] = row;
    if (size_ == k) bound_ = rank_[k - 1];
    return true;
  }

  std::vector<double> rank_;
  std::vector<int32_t> row_;
  int64_t size_ = 0;
  double bound_ = 0;
};

}  // namespace vedette::outlier
