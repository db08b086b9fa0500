#include "outlier/tails.h"

#include <algorithm>
#include <array>
#include <numeric>

#include "outlier/columns.h"
#include "outlier/parallel.h"
#include "outlier/sorting.h"
#include "outlier/state.h"

namespace vedette::outlier {
namespace {

constexpr uint32_t kStateVersion = 1;
constexpr int64_t kBlockRows = 512;

Tails MakeTails(double left, double right, int skew_sign) {
  return {left, right, skew_sign < 0 ? left : (skew_sign > 0 ? right : left + right)};
}

/// out[k] = -log(k / total) for 0 < k <= most.
absl::Status MinusLogs(int64_t most, int64_t total, std::vector<double>& out, const Context& ctx) {
  out.resize(static_cast<size_t>(most) + 1);
  return Blocks(ctx, most, RowsPerLook(8), [&](int64_t begin, int64_t end) {
    for (int64_t k = begin + 1; k <= end; ++k)
      out[static_cast<size_t>(k)] = -std::log(static_cast<double>(k) / static_cast<double>(total));
  });
}

constexpr int kTogether = 4;  // searches

/// For kSearches values at once (their steps do not wait for each other), each in a sorted run of n of its own, without
/// branches that depend on the data: the first index of [0, n) whose value is not less, and the first whose value is
/// greater.
template <int kSearches>
void Bounds(const double* const* sorted, size_t n, const double* x, size_t* low, size_t* high) {
  const double* not_less[kSearches];
  const double* greater[kSearches];
  for (int s = 0; s < kSearches; ++s) not_less[s] = greater[s] = sorted[s];
  size_t left = n;
  while (left > 1) {
    const size_t half = left / 2;
    for (int s = 0; s < kSearches; ++s) {
      // A mask, where a condition would become a jump that is as often wrong as right.
      not_less[s] += half & (size_t{0} - static_cast<size_t>(not_less[s][half - 1] < x[s]));
      greater[s] += half & (size_t{0} - static_cast<size_t>(greater[s][half - 1] <= x[s]));
    }
    left -= half;
  }
  for (int s = 0; s < kSearches; ++s) {
    low[s] = static_cast<size_t>(not_less[s] - sorted[s]) + (*not_less[s] < x[s] ? 1 : 0);
    high[s] = static_cast<size_t>(greater[s] - sorted[s]) + (*greater[s] <= x[s] ? 1 : 0);
  }
}

}  // namespace

EmpiricalTails::Shape EmpiricalTails::ShapeOf(std::span<const double> sorted) {
  Shape s;
  s.unit = UnitFor(std::max(std::fabs(sorted.front()), std::fabs(sorted.back())));
  s.mean = MomentsOf(sorted, s.unit).mean;
  constexpr size_t kLanes = 8;
  std::array<double, kLanes> m2{}, m3{};
  const size_t whole = sorted.size() / kLanes * kLanes;
  for (size_t i = 0; i < whole; i += kLanes) {
    for (size_t k = 0; k < kLanes; ++k) {
      const double d = sorted[i + k] * s.unit - s.mean;
      m2[k] += d * d;
      m3[k] += d * d * d;
    }
  }
  for (size_t i = whole; i < sorted.size(); ++i) {
    const double d = sorted[i] * s.unit - s.mean;
    m2[0] += d * d;
    m3[0] += d * d * d;
  }
  s.m2 = std::accumulate(m2.begin(), m2.end(), 0.0);
  s.m3 = std::accumulate(m3.begin(), m3.end(), 0.0);
  return s;
}

int EmpiricalTails::SkewSign(const Shape& shape, double n) {
  if (n <= 2) return 0;                          // two values are always symmetric
  const double resolution = 1e-15 * shape.mean;  // scipy.stats.skew: no skewness where the variance is only rounding
  if (shape.m2 / n <= resolution * resolution) return 0;
  return shape.m3 < 0 ? -1 : (shape.m3 > 0 ? 1 : 0);
}

int EmpiricalTails::SkewSignWith(const Shape& shape, double x) const {
  const auto n = static_cast<double>(rows_);
  const double delta = x * shape.unit - shape.mean;
  if (std::fabs(delta) > 1e90) return rows_ < 2 ? 0 : (delta < 0 ? -1 : 1);  // its cube outweighs everything else
  const double n1 = n + 1, inverse = 1 / n1;
  Shape with;  // Pebay, "Formulas for robust, one-pass parallel computation of covariances and moments", 2008
  with.mean = shape.mean + delta * inverse;
  with.m2 = shape.m2 + delta * delta * n * inverse;
  with.m3 = shape.m3 + delta * delta * delta * n * (n - 1) * (inverse * inverse) - 3 * delta * shape.m2 * inverse;
  return SkewSign(with, n1);
}

absl::Status EmpiricalTails::Derive(const Context& ctx) {
  RETURN_IF_ERROR(MinusLogs(rows_ + 1, rows_ + 1, minus_log_, ctx));
  median_.clear();
  for (int64_t j = 0; j < cols_; ++j) {
    const std::span<const double> sorted = Sorted(j);
    median_.push_back(std::midpoint(sorted[(sorted.size() - 1) / 2], sorted[sorted.size() / 2]));
  }
  return absl::OkStatus();
}

absl::Status EmpiricalTails::Fit(MatrixView X, std::vector<double>& training_scores, const Context& ctx) {
  RETURN_IF_ERROR(ctx.Check());
  if (X.rows >= int64_t{1} << 32) return absl::InvalidArgumentError("more than 4294967295 rows");
  rows_ = X.rows;
  cols_ = X.cols;
  sorted_ = {};
  sorted_.reserve(static_cast<size_t>(rows_ * cols_));  // memory that is touched column by column, not here
  shapes_.assign(static_cast<size_t>(cols_), {});
  RETURN_IF_ERROR(ScoreTraining(X, training_scores, ctx));
  return Derive(ctx);
}

absl::Status EmpiricalTails::ScoreTraining(MatrixView X, std::vector<double>& scores, const Context& ctx) {
  const auto n = static_cast<size_t>(rows_);
  std::vector<double> minus_log;  // of k / n
  RETURN_IF_ERROR(MinusLogs(rows_, rows_, minus_log, ctx));
  scores.assign(n, 0);
  // As many columns at a time as there are threads; their parts are added in the order of columns whatever that number
  // is.
  const int64_t group = std::min<int64_t>(cols_, ctx.pool == nullptr ? 1 : ctx.pool->threads() + 1);
  struct Lane {
    ColumnSorter sorter;
    std::vector<uint32_t> order;
    std::vector<double> part;
  };
  std::vector<Lane> lanes(static_cast<size_t>(group));
  for (int64_t first = 0; first < cols_; first += group) {
    const int64_t count = std::min(group, cols_ - first);
    sorted_.resize(static_cast<size_t>((first + count) * rows_));
    RETURN_IF_ERROR(ParallelBlocks(ctx, count, 1, [&](int64_t c, int64_t) {
      Lane& lane = lanes[static_cast<size_t>(c)];
      const int64_t j = first + c;
      double* const sorted = sorted_.data() + j * rows_;
      lane.order.resize(n);
      if (!lane.sorter.Sort(X.col(j), lane.order, {sorted, n}, ctx).ok()) return;
      Shape& shape = shapes_[static_cast<size_t>(j)];
      shape = ShapeOf({sorted, n});
      const int sign = SkewSign(shape, static_cast<double>(n));
      if (count > 1) lane.part.resize(n);
      double* const out = count > 1 ? lane.part.data() : scores.data();
      const bool add = count == 1;
      for (size_t begin = 0, end; begin < n; begin = end) {  // runs of equal values
        end = begin + 1;
        while (end < n && sorted[end] == sorted[begin]) ++end;
        const double u = combine_(MakeTails(minus_log[end], minus_log[n - begin], sign));
        for (size_t i = begin; i < end; ++i) {
          double& cell = out[lane.order[i]];
          cell = add ? cell + u : u;
        }
      }
    }));
    RETURN_IF_ERROR(ctx.Check());  // a column's sort may have stopped half-way
    for (int64_t c = 0; c < count && count > 1; ++c) {
      const std::vector<double>& part = lanes[static_cast<size_t>(c)].part;
      for (size_t i = 0; i < n; ++i) scores[i] += part[i];
    }
  }
  return absl::OkStatus();
}

double EmpiricalTails::CellScoreAt(int64_t column, double x, size_t low, size_t high) const {
  const double left = minus_log_[high + 1], right = minus_log_[static_cast<size_t>(rows_) - low + 1];
  return combine_(MakeTails(left, right, SkewSignWith(shapes_[static_cast<size_t>(column)], x)));
}

double EmpiricalTails::CellScore(int64_t column, double x) const {
  const double* const sorted = sorted_.data() + column * rows_;
  size_t low = 0, high = 0;
  Bounds<1>(&sorted, static_cast<size_t>(rows_), &x, &low, &high);
  return CellScoreAt(column, x, low, high);
}

template <typename F>
void EmpiricalTails::EachCellScore(int64_t column, std::span<const double> x, const F& f) const {
  const double* sorted[kTogether];
  std::fill_n(sorted, kTogether, sorted_.data() + column * rows_);
  size_t i = 0, low[kTogether], high[kTogether];
  for (; i + kTogether <= x.size(); i += kTogether) {
    Bounds<kTogether>(sorted, static_cast<size_t>(rows_), x.data() + i, low, high);
    for (size_t s = 0; s < kTogether; ++s) f(i + s, CellScoreAt(column, x[i + s], low[s], high[s]));
  }
  for (; i < x.size(); ++i) f(i, CellScore(column, x[i]));
}

void EmpiricalTails::RowCellScores(MatrixView X, int64_t row, double* out, int64_t stride) const {
  int64_t j = 0;
  for (; j + kTogether <= cols_; j += kTogether) {  // the columns' searches go side by side
    const double* sorted[kTogether];
    double x[kTogether];
    size_t low[kTogether], high[kTogether];
    for (int64_t s = 0; s < kTogether; ++s) {
      sorted[s] = sorted_.data() + (j + s) * rows_;
      x[s] = X(row, j + s);
    }
    Bounds<kTogether>(sorted, static_cast<size_t>(rows_), x, low, high);
    for (int64_t s = 0; s < kTogether; ++s) out[(j + s) * stride] = CellScoreAt(j + s, x[s], low[s], high[s]);
  }
  for (; j < cols_; ++j) out[j * stride] = CellScore(j, X(row, j));
}

absl::Status EmpiricalTails::Score(MatrixView X, std::span<double> scores, const Context& ctx) const {
  return ParallelBlocks(ctx, X.rows, kBlockRows, [&](int64_t begin, int64_t end) {
    double* const out = scores.data();
    std::fill(out + begin, out + end, 0.0);
    const auto count = static_cast<size_t>(end - begin);
    for (int64_t j = 0; j < cols_; ++j) {
      EachCellScore(j, X.col(j).subspan(static_cast<size_t>(begin), count),
                    [&](size_t i, double score) { out[static_cast<size_t>(begin) + i] += score; });
    }
  });
}

absl::StatusOr<Attribution> EmpiricalTails::Explain(MatrixView X, const Context& ctx) const {
  Attribution a{.contributions = Matrix::ForOverwrite(X.rows, X.cols),
                .expected = Matrix::ForOverwrite(1, X.cols),
                .space = "score"};
  std::copy(median_.begin(), median_.end(), a.expected.data());
  RETURN_IF_ERROR(FewOrParallelBlocks(ctx, X.rows, kBlockRows, [&](int64_t begin, int64_t end) {
    if (end - begin == 1) return RowCellScores(X, begin, a.contributions.data() + begin, X.rows);
    const auto first = static_cast<size_t>(begin), count = static_cast<size_t>(end - begin);
    for (int64_t j = 0; j < cols_; ++j) {
      double* const out = a.contributions.col(j).data() + begin;
      EachCellScore(j, X.col(j).subspan(first, count), [out](size_t i, double score) { out[i] = score; });
    }
  }));
  return a;
}

void EmpiricalTails::Save(ByteWriter& out) const {
  out.U32(kStateVersion);
  out.I64(rows_);
  out.I64(cols_);
  out.Doubles(sorted_);
}

absl::Status EmpiricalTails::Load(ByteReader& in) {
  ReadVersion(in, kStateVersion);
  const int64_t rows = ReadInt(in, "the number of rows", 1, (int64_t{1} << 32) - 1);
  const int64_t cols = ReadInt(in, "the number of columns", 1, kMaxColumns);
  sorted_ = ReadDoubles(in, "the sorted columns", rows * cols);
  RETURN_IF_ERROR(in.status());
  rows_ = rows;
  cols_ = cols;
  shapes_.clear();
  for (int64_t j = 0; j < cols_; ++j) {
    if (!std::is_sorted(Sorted(j).begin(), Sorted(j).end())) {
      in.Fail("a column is not sorted");
      return in.status();
    }
    shapes_.push_back(ShapeOf(Sorted(j)));
  }
  return Derive({});
}

}  // namespace vedette::outlier
