// The frame of detectors whose score is a function of one row and of the fitted state: what such an algorithm adds is
// the fit, the score of a row, and its parts.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/context.h"
#include "base/matrix.h"
#include "outlier/detector.h"

namespace vedette::outlier {

/// Rows as the algorithms see them: row by row, times one power of two (1 for ordinary magnitudes, so that ordinary
/// data is left untouched), bounded so that sums of squares stay finite.
class RowUnit {
 public:
  static constexpr double kMaxValue = 1e100;

  void Fit(MatrixView X);
  double unit() const { return unit_; }
  int64_t features() const { return features_; }
  void Read(MatrixView X, int64_t row, double* out) const;
  /// Rows [begin, begin + count) of one column.
  void Column(MatrixView X, int64_t column, int64_t begin, int64_t count, double* out) const {
    const double* const x = X.data + column * X.stride + begin;
    const double unit = unit_;
    for (int64_t i = 0; i < count; ++i) {
      const double v = x[i] * unit, bounded = v > kMaxValue ? kMaxValue : v;
      out[i] = bounded < -kMaxValue ? -kMaxValue : bounded;
    }
  }
  /// All rows of X, row-major.
  std::vector<double> ReadAll(MatrixView X) const;
  /// A value, or a distance, in the data's own units, bounded to finite doubles.
  double Unscaled(double value) const;

  void Save(ByteWriter& out) const;
  void Load(ByteReader& in);

 private:
  double unit_ = 1;
  int64_t features_ = 0;
};

/// Rows that are scored side by side, feature by feature: the value of row r on feature j is values[j * lanes + r].
struct RowTile {
  static constexpr int kNarrow = 4, kWide = 16;
  const double* values;
  int lanes;  ///< kNarrow or kWide
};

/// Derive, implement Learn, ScoreRow, SaveState and LoadState, and ExplainRow where the descriptor says that it
/// explains.
class RowDetector : public Detector {
 public:
  absl::Status Fit(MatrixView X, const Context& ctx) final;
  std::span<const double> training_scores() const final { return training_scores_; }
  absl::Status Score(MatrixView X, std::span<double> scores, const Context& ctx) const final;
  absl::StatusOr<Attribution> Explain(MatrixView X, const Context& ctx) const final;
  void Save(ByteWriter& out) const final;
  absl::Status Load(ByteReader& in) final;
  int64_t features() const final { return unit_.features(); }

 protected:
  /// `rows`: X row by row in units of unit(). Training scores are then ScoreRow of each row, unless TrainingScores says
  /// otherwise.
  virtual absl::Status Learn(std::span<const double> rows, int64_t n, const Context& ctx);
  /// Instead of Learn and TrainingScores, for algorithms that need no copy of all rows: reads X through unit().
  virtual absl::Status LearnFrom(MatrixView X, const Context& ctx);
  /// Not NaN; infinite values are bounded by the caller. Thread-safe.
  virtual double ScoreRow(std::span<const double> x) const = 0;
  /// Scores of the training rows where they differ from ScoreRow (a row is its own neighbour). Default: empty.
  virtual absl::StatusOr<std::vector<double>> TrainingScores(std::span<const double> rows, int64_t n,
                                                             const Context& ctx);
  /// Parts of the score and expected values, in units of unit(). Returns false when the algorithm has none.
  virtual bool ExplainRow(std::span<const double> x, double score, std::span<double> contributions,
                          std::span<double> expected) const;
  virtual std::string_view space() const { return "score"; }
  /// Rows between two looks at the context: at most 100 ms of work.
  virtual int64_t BlockRows() const { return 256; }
  virtual void SaveState(ByteWriter& out) const = 0;
  virtual void LoadState(ByteReader& in) = 0;
  virtual uint32_t state_version() const { return 1; }

  const RowUnit& unit() const { return unit_; }
  size_t d() const { return static_cast<size_t>(unit_.features()); }

  /// Scores of rows [begin, end) of X: ScoreRow of each.
  virtual void ScoreRows(MatrixView X, int64_t begin, int64_t end, double* scores) const;
  static double Finite(double score);

 private:
  absl::Status ScoreInto(MatrixView X, std::span<double> scores, const Context& ctx) const;
  RowUnit unit_;
  std::vector<double> training_scores_;
};

/// The frame of those that score many rows at once: implement ScoreTile instead of ScoreRow. A row's bits must not
/// depend on its tile's other rows or width.
class TileDetector : public RowDetector {
 protected:
  virtual void ScoreTile(const RowTile& tile, double* scores) const = 0;
  double ScoreRow(std::span<const double> x) const final;
  void ScoreRows(MatrixView X, int64_t begin, int64_t end, double* scores) const final;
};

/// Squared Euclidean distance of two rows.
inline double SquaredDistance(const double* a, const double* b, size_t d) {
  double sum = 0;
  for (size_t j = 0; j < d; ++j) sum += (a[j] - b[j]) * (a[j] - b[j]);
  return sum;
}

}  // namespace vedette::outlier
