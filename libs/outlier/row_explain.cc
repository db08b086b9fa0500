// Native attributions in the frame of row_detector.h.
#include <absl/container/fixed_array.h>

#include <algorithm>
#include <atomic>
#include <memory>

#include "outlier/parallel.h"
#include "outlier/row_detector.h"

namespace vedette::outlier {
namespace {

constexpr size_t kWork = 512;  // doubles on the stack, enough for a few rows of a table of usual width

/// Rows [at, at + count) of X as tiles of kWide rows, one after the other: a stretch of each column is long enough to
/// be fetched ahead.
void ReadTiles(const RowUnit& unit, MatrixView X, int64_t at, int64_t count, double* values) {
  constexpr int64_t kWide = RowTile::kWide;
  for (int64_t j = 0; j < X.cols; ++j, values += kWide) {
    double* tile = values;
    for (int64_t r = 0; r < count; r += kWide, tile += X.cols * kWide) unit.Column(X, j, at + r, kWide, tile);
  }
}

/// A tile that is not full: lanes beyond the last row hold the first.
void ReadTile(const RowUnit& unit, MatrixView X, int64_t at, int64_t count, int64_t lanes, double* values) {
  for (int64_t j = 0; j < X.cols; ++j, values += lanes) {
    double first;
    unit.Column(X, j, at, 1, &first);
    std::fill_n(values, lanes, first);
    if (count > 1) unit.Column(X, j, at, count, values);
  }
}

/// from[j * lanes + r] to to[j * stride + r], r < count.
void CopyTile(const double* from, int64_t lanes, int64_t cols, int64_t count, double* to, int64_t stride) {
  for (int64_t j = 0; j < cols; ++j, from += lanes, to += stride) {
    to[0] = from[0];  // all there is of a row alone
    if (count > 1) std::copy_n(from, count, to);
  }
}

}  // namespace

bool RowDetector::ExplainRow(std::span<const double>, std::span<double>, std::span<double>, double*) const {
  return false;
}

bool RowDetector::ExplainRows(MatrixView X, int64_t begin, int64_t end, const RowParts& out) const {
  absl::FixedArray<double, kWork> work(3 * d());
  const std::span<double> all(work.data(), work.size());
  const std::span<double> x = all.first(d()), parts = all.subspan(d(), d()), expected = all.last(d());
  for (int64_t i = begin; i < end; ++i) {
    unit_.Read(X, i, x.data());
    const RowParts own = out.From(i - begin);
    double score = 0;
    if (!ExplainRow(x, parts, expected, &score)) return false;
    if (own.scores != nullptr) *own.scores = score;
    for (size_t j = 0; j < d(); ++j) {
      const int64_t at = static_cast<int64_t>(j) * out.stride;
      own.contributions[at] = Finite(parts[j]);
      if (own.expected != nullptr) own.expected[at] = expected[j];
    }
  }
  return true;
}

bool TileDetector::ExplainTile(const RowTile&, const RowParts&) const { return false; }

bool TileDetector::ExplainRows(MatrixView X, int64_t begin, int64_t end, const RowParts& out) const {
  constexpr int64_t kWide = RowTile::kWide, kNarrow = RowTile::kNarrow, kMostTiles = 16, kValues = 1 << 14;
  const int64_t whole = (end - begin) / kWide * kWide, cells = X.cols * kWide;
  if (whole > 0) {
    const int64_t together = kWide * std::clamp<int64_t>(kValues / cells, 1, std::min(kMostTiles, whole / kWide));
    const std::unique_ptr<double[]> values(new double[static_cast<size_t>(together * X.cols)]);
    for (int64_t at = begin; at < begin + whole; at += together) {
      const int64_t count = std::min(together, begin + whole - at);
      ReadTiles(unit(), X, at, count, values.get());
      for (int64_t r = 0; r < count; r += kWide) {
        const RowTile tile{values.get() + r * X.cols, RowTile::kWide};
        if (!ExplainTile(tile, out.From(at + r - begin))) return RowDetector::ExplainRows(X, begin, end, out);
      }
    }
  }
  const int64_t count = end - begin - whole;
  if (count == 0) return true;
  const int64_t lanes = count <= kNarrow ? kNarrow : kWide, tile = X.cols * lanes;
  absl::FixedArray<double, kWork> work(static_cast<size_t>(3 * tile));
  ReadTile(unit(), X, begin + whole, count, lanes, work.data());
  double scores[kWide];
  const RowParts full{work.data() + tile, out.expected == nullptr ? nullptr : work.data() + 2 * tile, lanes,
                      out.scores == nullptr ? nullptr : scores};
  if (!ExplainTile({work.data(), static_cast<int>(lanes)}, full)) return RowDetector::ExplainRows(X, begin, end, out);
  CopyTile(full.contributions, lanes, X.cols, count, out.contributions + whole, out.stride);
  if (out.expected != nullptr) CopyTile(full.expected, lanes, X.cols, count, out.expected + whole, out.stride);
  if (out.scores != nullptr) std::copy_n(scores, count, out.scores + whole);
  return true;
}

absl::StatusOr<Attribution> RowDetector::Explain(MatrixView X, const Context& ctx) const {
  const std::span<const double> usual = Usual();
  Attribution a{.contributions = Matrix::ForOverwrite(X.rows, X.cols),
                .expected = Matrix::ForOverwrite(usual.empty() ? X.rows : 1, X.cols),
                .space = space()};
  if (unit_.unit() == 1) {
    std::copy(usual.begin(), usual.end(), a.expected.data());
  } else {
    for (size_t j = 0; j < usual.size(); ++j) a.expected(0, static_cast<int64_t>(j)) = unit_.Unscaled(usual[j]);
  }
  if (ExplainsWithScore()) a.scores.resize(static_cast<size_t>(X.rows));
  const RowParts all{a.contributions.data(), usual.empty() ? a.expected.data() : nullptr, X.rows,
                     ExplainsWithScore() ? a.scores.data() : nullptr};
  std::atomic<bool> explained{true};
  RETURN_IF_ERROR(FewOrParallelBlocks(ctx, X.rows, BlockRows(), [&](int64_t begin, int64_t end) {
    const RowParts out = all.From(begin);
    if (!ExplainRows(X, begin, end, out)) return explained.store(false);
    for (int64_t i = 0; out.scores != nullptr && i < end - begin; ++i) out.scores[i] = Finite(out.scores[i]);
    if (out.expected == nullptr || unit_.unit() == 1) return;
    for (int64_t j = 0; j < X.cols; ++j) {
      double* const column = out.expected + j * out.stride;
      for (int64_t i = 0; i < end - begin; ++i) column[i] = unit_.Unscaled(column[i]);
    }
  }));
  if (!explained) return Detector::Explain(X, ctx);
  return a;
}

}  // namespace vedette::outlier
