#include "outlier/row_detector.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "outlier/columns.h"
#include "outlier/kernels/aligned.h"
#include "outlier/parallel.h"
#include "outlier/state.h"

namespace vedette::outlier {

double RowDetector::Finite(double score) {
  constexpr double kMost = std::numeric_limits<double>::max();
  return score > kMost ? kMost : (score < -kMost ? -kMost : score);
}

absl::Status RowUnit::Fit(MatrixView X, const Context& ctx) {
  double most = 0;
  for (int64_t j = 0; j < X.cols; ++j) {
    RETURN_IF_ERROR(Blocks(ctx, X.rows, RowsPerLook(1), [&](int64_t begin, int64_t end) {
      const Range range = RangeOf(X.Rows(begin, end - begin).col(j));
      most = std::max({most, std::fabs(range.low), std::fabs(range.high)});
    }));
  }
  unit_ = UnitFor(most);
  features_ = X.cols;
  return absl::OkStatus();
}

void RowUnit::Read(MatrixView X, int64_t row, double* out) const {
  for (int64_t j = 0; j < features_; ++j) out[j] = std::clamp(X(row, j) * unit_, -kMaxValue, kMaxValue);
}

absl::StatusOr<std::vector<double>> RowUnit::ReadAll(MatrixView X, const Context& ctx) const {
  constexpr int64_t kBlock = 128;  // columns of a block of rows stay in cache while they are turned into rows
  std::vector<double> rows;
  rows.reserve(static_cast<size_t>(X.rows * X.cols));  // memory that is touched block by block, not here
  PreferLargePages(rows.data(), rows.capacity() * sizeof(double));
  double column[kBlock];
  RETURN_IF_ERROR(Blocks(ctx, X.rows, kBlock, [&](int64_t begin, int64_t end) {
    const int64_t count = end - begin;
    rows.resize(static_cast<size_t>(end * X.cols));
    for (int64_t j = 0; j < X.cols; ++j) {
      Column(X, j, begin, count, column);
      double* out = rows.data() + begin * X.cols + j;
      for (int64_t i = 0; i < count; ++i, out += X.cols) *out = column[i];
    }
  }));
  return rows;
}

double RowUnit::Unscaled(double value) const {
  constexpr double kMost = std::numeric_limits<double>::max();
  const double out = value / unit_;
  return out > kMost ? kMost : (out < -kMost ? -kMost : out);
}

void RowUnit::Save(ByteWriter& out) const {
  out.F64(unit_);
  out.I64(features_);
}

void RowUnit::Load(ByteReader& in) {
  unit_ = ReadFinite(in, "the unit");
  features_ = ReadInt(in, "the number of columns", 1, kMaxColumns);
  if (in.ok() && !(unit_ > 0)) in.Fail("the unit is not positive");
}

absl::Status RowDetector::Fit(MatrixView X, const Context& ctx) {
  RETURN_IF_ERROR(ctx.Check());
  RETURN_IF_ERROR(unit_.Fit(X, ctx));
  training_scores_.clear();
  RETURN_IF_ERROR(LearnFrom(X, ctx));
  if (!training_scores_.empty()) return ctx.Check();
  training_scores_.resize(static_cast<size_t>(X.rows));
  return ScoreInto(X, training_scores_, ctx);
}

absl::Status RowDetector::Learn(std::span<const double>, int64_t, const Context&) {
  return absl::InternalError("neither Learn nor LearnFrom is implemented");
}

absl::Status RowDetector::LearnFrom(MatrixView X, const Context& ctx) {
  ASSIGN_OR_RETURN(const std::vector<double> rows, unit_.ReadAll(X, ctx));
  RETURN_IF_ERROR(Learn(rows, X.rows, ctx));
  ASSIGN_OR_RETURN(training_scores_, TrainingScores(rows, X.rows, ctx));
  return absl::OkStatus();
}

absl::StatusOr<std::vector<double>> RowDetector::TrainingScores(std::span<const double>, int64_t, const Context&) {
  return std::vector<double>();
}

absl::Status RowDetector::Score(MatrixView X, std::span<double> scores, const Context& ctx) const {
  return ScoreInto(X, scores, ctx);
}

absl::Status RowDetector::ScoreInto(MatrixView X, std::span<double> scores, const Context& ctx) const {
  RETURN_IF_ERROR(ctx.Check());
  return ParallelBlocks(ctx, X.rows, BlockRows(),
                        [&](int64_t begin, int64_t end) { ScoreRows(X, begin, end, scores.data() + begin); });
}

void RowDetector::ScoreRows(MatrixView X, int64_t begin, int64_t end, double* scores) const {
  std::vector<double> x(d());
  for (int64_t i = begin; i < end; ++i) {
    unit_.Read(X, i, x.data());
    scores[i - begin] = Finite(ScoreRow(x));
  }
}

double TileDetector::ScoreRow(std::span<const double> x) const {
  std::vector<double> values(x.size() * RowTile::kNarrow);
  for (size_t j = 0; j < x.size(); ++j) std::fill_n(values.data() + j * RowTile::kNarrow, RowTile::kNarrow, x[j]);
  double scores[RowTile::kNarrow];
  ScoreTile({values.data(), RowTile::kNarrow}, scores);
  return scores[0];
}

void TileDetector::ScoreRows(MatrixView X, int64_t begin, int64_t end, double* scores) const {
  // Several tiles at once, as many as stay in cache: of each column a stretch is read that is long enough to be fetched
  // ahead.
  constexpr int64_t kWide = RowTile::kWide, kMostTiles = 16, kValues = 1 << 14;
  const int64_t tile = X.cols * kWide, most = (end - begin + kWide - 1) / kWide;
  const int64_t tiles = std::clamp<int64_t>(kValues / tile, 1, std::clamp<int64_t>(most, 1, kMostTiles));
  const AlignedArray<double> values(tiles * tile);
  double out[kWide];
  for (int64_t at = begin; at < end; at += tiles * kWide) {
    const int64_t count = std::min(tiles * kWide, end - at), whole = count / kWide, rest = count % kWide;
    const int lanes = rest <= RowTile::kNarrow ? RowTile::kNarrow : RowTile::kWide;  // of the last tile
    if (rest > 0) std::fill_n(values.get() + whole * tile, tile, 0.0);               // lanes beyond the last row
    for (int64_t j = 0; j < X.cols; ++j) {
      double* column = values.get() + j * kWide;
      for (int64_t t = 0; t < whole; ++t, column += tile) unit().Column(X, j, at + t * kWide, kWide, column);
      if (rest > 0) unit().Column(X, j, at + whole * kWide, rest, values.get() + whole * tile + j * lanes);
    }
    for (int64_t row = 0; row < count; row += kWide) {
      const bool last = row / kWide == whole;
      ScoreTile({values.get() + row / kWide * tile, last ? lanes : RowTile::kWide}, out);
      for (int64_t i = 0; i < (last ? rest : kWide); ++i) scores[at - begin + row + i] = Finite(out[i]);
    }
  }
}

void RowDetector::Save(ByteWriter& out) const {
  out.U32(state_version());
  unit_.Save(out);
  SaveState(out);
}

absl::Status RowDetector::Load(ByteReader& in) {
  ReadVersion(in, state_version());
  unit_.Load(in);
  training_scores_.clear();
  if (in.ok()) LoadState(in);
  return in.status();
}

}  // namespace vedette::outlier
