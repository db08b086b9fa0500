// Tail probabilities of each column's empirical distribution: what ECOD and COPOD are made of.
#pragma once

#include <absl/status/status.h>

#include <cmath>
#include <cstdint>
#include <span>
#include <vector>

#include "base/bytes.h"
#include "base/context.h"
#include "base/matrix.h"
#include "outlier/detector.h"

namespace vedette::outlier {

/// -log of the two tail probabilities of one value, and the tail that its column's skewness points to.
struct Tails {
  double left = 0;    ///< -log(share of values <= x)
  double right = 0;   ///< -log(share of values >= x)
  double skewed = 0;  ///< left when the skewness is negative, right when positive, left + right when it is zero
};

/// The score of a row is the sum over columns of combine(tails).
using CombineTails = double (*)(const Tails& tails);

/// Meaning as PyOD 3.6.5: a training row is judged by the distribution of the training rows; a new row by that of the
/// training rows and itself, which PyOD does by concatenation and this by binary search in the sorted columns and by
/// moments that are updated for one more value. So a new row's score never depends on its batch.
class EmpiricalTails {
 public:
  explicit EmpiricalTails(CombineTails combine) : combine_(combine) {}

  absl::Status Fit(MatrixView X, std::vector<double>& training_scores, const Context& ctx);
  absl::Status Score(MatrixView X, std::span<double> scores, const Context& ctx) const;
  /// Contributions add up to the score; the expected value is the column's median.
  absl::StatusOr<Attribution> Explain(MatrixView X, const Context& ctx) const;
  void Save(ByteWriter& out) const;
  absl::Status Load(ByteReader& in);
  int64_t features() const { return cols_; }

 private:
  /// Of the values times `unit`: mean and sums of squared and cubed deviations.
  struct Shape {
    double unit = 1, mean = 0, m2 = 0, m3 = 0;
  };
  std::span<const double> Sorted(int64_t column) const {
    return {sorted_.data() + column * rows_, static_cast<size_t>(rows_)};
  }
  static Shape ShapeOf(std::span<const double> sorted);
  static int SkewSign(const Shape& shape, double n);
  /// The sign of the skewness after x has joined the column's values.
  int SkewSignWith(const Shape& shape, double x) const;
  double CellScore(int64_t column, double x) const;
  /// f(i, CellScore of x[i]).
  template <typename F>
  void EachCellScore(int64_t column, std::span<const double> x, const F& f) const;
  /// out[j * stride] = CellScore of the row's value of column j.
  void RowCellScores(MatrixView X, int64_t row, double* out, int64_t stride) const;
  double CellScoreAt(int64_t column, double x, size_t low, size_t high) const;
  absl::Status Derive(const Context& ctx);
  absl::Status ScoreTraining(MatrixView X, std::vector<double>& scores, const Context& ctx);

  CombineTails combine_;
  int64_t rows_ = 0, cols_ = 0;
  std::vector<double> sorted_;  ///< cols_ runs of rows_ ascending values
  std::vector<Shape> shapes_;
  std::vector<double> minus_log_;  ///< derived: of k / (rows + 1)
  std::vector<double> median_;     ///< derived: of each column
};

}  // namespace vedette::outlier
