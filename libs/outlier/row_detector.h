// The frame of detectors whose score is a function of one row and of the fitted state: what such an algorithm adds is
// the fit, the score of a row, and its parts.
#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>

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

  absl::Status Fit(MatrixView X, const Context& ctx);
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
  absl::StatusOr<std::vector<double>> ReadAll(MatrixView X, const Context& ctx) const;
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

/// Where the parts of some rows go: those of their row i on feature j to [j * stride + i].
struct RowParts {
  double* contributions;
  double* expected;  ///< in units of the detector's unit(); null where Usual() says it all
  int64_t stride;
  double* scores = nullptr;  ///< of the rows; null unless ExplainsWithScore()

  RowParts From(int64_t row) const {
    return {contributions + row, expected == nullptr ? nullptr : expected + row, stride,
            scores == nullptr ? nullptr : scores + row};
  }
};

/// Derive, implement Learn, ScoreRow, SaveState and LoadState, and ExplainRow (or ExplainRows, for many at once) where
/// the descriptor says that it explains.
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
  /// Parts of the score, not NaN (infinite ones are bounded by the caller), and expected values, in units of unit(),
  /// which nobody reads where Usual() has them; `score` as ScoreRow gives it, where ExplainsWithScore(). Returns false
  /// when the algorithm has none. Thread-safe.
  virtual bool ExplainRow(std::span<const double> x, std::span<double> contributions, std::span<double> expected,
                          double* score) const;
  /// Whether explaining a row finds its score on the way.
  virtual bool ExplainsWithScore() const { return false; }
  /// Expected values that are the same for all rows, in units of unit(). Default: none.
  virtual std::span<const double> Usual() const { return {}; }
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
  /// Parts of rows [begin, end) of X: ExplainRow of each. All are finite, but for the scores.
  virtual bool ExplainRows(MatrixView X, int64_t begin, int64_t end, const RowParts& out) const;
  static double Finite(double score);

 private:
  absl::Status ScoreInto(MatrixView X, std::span<double> scores, const Context& ctx) const;
  RowUnit unit_;
  std::vector<double> training_scores_;
};

/// The frame of those that score many rows at once: implement ScoreTile instead of ScoreRow, and ExplainTile instead of
/// ExplainRow where that is faster. A row's bits must not depend on its tile's other rows or width.
class TileDetector : public RowDetector {
 protected:
  virtual void ScoreTile(const RowTile& tile, double* scores) const = 0;
  /// Writes all lanes; contributions are finite. Returns false, and ExplainRow is asked, where it is not implemented.
  virtual bool ExplainTile(const RowTile& tile, const RowParts& out) const;
  bool ExplainRows(MatrixView X, int64_t begin, int64_t end, const RowParts& out) const final;
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
