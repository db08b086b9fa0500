// Samples of rows that arrive in order.
#pragma once

#include <cstdint>
#include <vector>

#include "base/rng.h"
#include "table/table.h"

namespace vedette::feature_engine {

/// Exactly min(k, n) of n rows, each subset equally likely, decided row by row with no memory (selection sampling,
/// algorithm S; Knuth, TAOCP vol. 2, 3.4.2). The same n, k and seed give the same rows.
class SequentialSampler {
 public:
  SequentialSampler(int64_t n, int64_t k, uint64_t seed) : left_(n), wanted_(k < n ? k : n), rng_(seed) {}
  /// Whether the next row belongs to the sample. Call at most n times.
  bool Take() {
    // Beyond this point the rest is decided: no random number is drawn.
    if (wanted_ == 0) return false;
    const bool take = wanted_ == left_ || static_cast<int64_t>(rng_.Below(static_cast<uint64_t>(left_))) < wanted_;
    --left_;
    if (take) --wanted_;
    return take;
  }

 private:
  int64_t left_;
  int64_t wanted_;
  Rng rng_;
};

/// Finds the columns of whole numbers that grow by exactly 1 from row to row over a whole dataset: row numbers. A
/// sample of the rows no longer shows it.
class RowNumberFinder {
 public:
  void Add(const table::Table& rows);
  /// Names of such columns; empty below 8 rows.
  std::vector<std::string> Found() const;

 private:
  struct State {
    std::string name;
    double last = 0;
    bool row_number = false;
  };
  std::vector<State> columns_;
  int64_t rows_ = 0;
};

}  // namespace vedette::feature_engine
