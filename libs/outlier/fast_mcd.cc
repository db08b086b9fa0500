#include "outlier/fast_mcd.h"

#include <Eigen/Cholesky>
#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "base/rng.h"
#include "base/status.h"
#include "outlier/eigen.h"
#include "outlier/parallel.h"

namespace vedette::outlier {
namespace {

using Eigen::MatrixXd;
using Eigen::VectorXd;

constexpr int64_t kChunk = 256;  // columns per matrix product
constexpr int64_t kSubsetRows = 300;
constexpr int64_t kMaxSubsets = 5;
constexpr int64_t kBest = 10;             // candidates kept from each stage
constexpr int kFirstSteps = 2;            // C-steps of a first look
constexpr int kMaxSteps = 30;             // C-steps until convergence
constexpr double kSingularPivot = 1e-13;  // of a correlation-like matrix: smaller pivots are rounding

/// Sum of log pivots, or -infinity when a pivot is lost in rounding.
double LogDeterminant(const Eigen::LLT<MatrixXd>& llt, double largest) {
  if (llt.info() != Eigen::Success) return -std::numeric_limits<double>::infinity();
  double sum = 0;
  for (Eigen::Index j = 0; j < llt.matrixLLT().rows(); ++j) {
    const double pivot = llt.matrixLLT()(j, j) * llt.matrixLLT()(j, j);
    if (!(pivot > kSingularPivot * largest)) return -std::numeric_limits<double>::infinity();
    sum += std::log(pivot);
  }
  return sum;
}

/// The h columns with the smallest distances (ties: the earlier column), in order of columns.
std::vector<int64_t> Nearest(const VectorXd& distances, int64_t h) {
  std::vector<std::pair<double, int64_t>> keyed(static_cast<size_t>(distances.size()));
  for (Eigen::Index i = 0; i < distances.size(); ++i) keyed[static_cast<size_t>(i)] = {distances[i], i};
  std::pair<double, int64_t> last = {std::numeric_limits<double>::infinity(), distances.size()};
  if (h < distances.size()) {
    std::nth_element(keyed.begin(), keyed.begin() + h, keyed.end());
    last = keyed[static_cast<size_t>(h)];  // the first that is too far
  }
  std::vector<int64_t> rows;
  rows.reserve(static_cast<size_t>(h));
  for (int64_t i = 0; i < distances.size(); ++i) {
    if (std::pair(distances[i], i) < last) rows.push_back(i);
  }
  return rows;
}

/// C-steps from a fit: take the h nearest rows, fit them, until the determinant stops falling. A singular covariance
/// cannot be improved on and ends the search, as in MinCovDet. Stops early (status in ctx) when cancelled.
RobustFit Improve(const MatrixXd& Z, int64_t h, RobustFit fit, int steps, const Context& ctx) {
  for (int step = 0; step < steps && std::isfinite(fit.log_determinant) && ctx.Check().ok(); ++step) {
    RobustFit next = FitRows(Z, Nearest(SquaredDistances(Z, fit.location, fit.covariance, ctx), h), ctx);
    const double gain = fit.log_determinant - next.log_determinant;
    if (gain < 0) break;
    fit = std::move(next);
    if (gain <= 1e-12 * std::max(1.0, std::fabs(fit.log_determinant))) break;
  }
  return fit;
}

/// Keeps the `count` candidates with the smallest determinants (ties: the earlier one).
void KeepBest(std::vector<RobustFit>& candidates, int64_t count) {
  std::stable_sort(candidates.begin(), candidates.end(),
                   [](const RobustFit& a, const RobustFit& b) { return a.log_determinant < b.log_determinant; });
  if (static_cast<int64_t>(candidates.size()) > count) candidates.resize(static_cast<size_t>(count));
}

/// The best of `trials` random starts, each improved by two C-steps.
absl::StatusOr<std::vector<RobustFit>> RandomStarts(const MatrixXd& Z, int64_t h, int64_t trials, uint64_t stream,
                                                    const Context& ctx) {
  std::vector<RobustFit> candidates(static_cast<size_t>(trials));
  RETURN_IF_ERROR(ParallelBlocks(ctx, trials, 1, [&](int64_t t, int64_t) {
    Rng rng(ctx.seed, stream + static_cast<uint64_t>(t));
    std::vector<int64_t> rows = rng.Sample(Z.cols(), h);
    std::sort(rows.begin(), rows.end());
    candidates[static_cast<size_t>(t)] = Improve(Z, h, FitRows(Z, rows, ctx), kFirstSteps, ctx);
  }));
  RETURN_IF_ERROR(ctx.Check());
  KeepBest(candidates, kBest);
  return candidates;
}

/// Every candidate continued on Z: its nearest h rows, then C-steps.
absl::StatusOr<std::vector<RobustFit>> Continue(const MatrixXd& Z, int64_t h, std::vector<RobustFit> candidates,
                                                int steps, int64_t keep, const Context& ctx) {
  RETURN_IF_ERROR(ParallelBlocks(ctx, static_cast<int64_t>(candidates.size()), 1, [&](int64_t c, int64_t) {
    RobustFit& fit = candidates[static_cast<size_t>(c)];
    fit =
        Improve(Z, h, FitRows(Z, Nearest(SquaredDistances(Z, fit.location, fit.covariance, ctx), h), ctx), steps, ctx);
  }));
  RETURN_IF_ERROR(ctx.Check());
  KeepBest(candidates, keep);
  return candidates;
}

MatrixXd Columns(const MatrixXd& Z, const std::vector<int64_t>& columns, size_t begin, size_t end) {
  MatrixXd out(Z.rows(), static_cast<Eigen::Index>(end - begin));
  for (size_t i = begin; i < end; ++i) out.col(static_cast<Eigen::Index>(i - begin)) = Z.col(columns[i]);
  return out;
}

/// More than 500 rows: candidates from up to five random subsets, pooled on their union, then on all rows.
absl::StatusOr<RobustFit> Nested(const MatrixXd& Z, int64_t h, const Context& ctx) {
  const int64_t n = Z.cols();
  const int64_t subsets = std::min(kMaxSubsets, n / kSubsetRows);
  const int64_t subset_rows = n < kMaxSubsets * kSubsetRows ? n / subsets : kSubsetRows;
  const double share = static_cast<double>(h) / static_cast<double>(n);
  const auto part = [share](int64_t rows) {
    return std::min(rows, static_cast<int64_t>(std::ceil(static_cast<double>(rows) * share)));
  };
  std::vector<int64_t> chosen = Rng(ctx.seed, 0).Sample(n, subsets * subset_rows);
  std::vector<RobustFit> pool;
  for (int64_t s = 0; s < subsets; ++s) {
    const MatrixXd subset =
        Columns(Z, chosen, static_cast<size_t>(s * subset_rows), static_cast<size_t>((s + 1) * subset_rows));
    ASSIGN_OR_RETURN(std::vector<RobustFit> best,
                     RandomStarts(subset, part(subset_rows), std::max<int64_t>(10, 500 / subsets),
                                  static_cast<uint64_t>(1 + s * 1000), ctx));
    std::move(best.begin(), best.end(), std::back_inserter(pool));
  }
  const MatrixXd merged = Columns(Z, chosen, 0, chosen.size());
  ASSIGN_OR_RETURN(pool, Continue(merged, part(merged.cols()), std::move(pool), kMaxSteps, kBest, ctx));
  // On all rows: a first look at each, then the best one until it converges.
  ASSIGN_OR_RETURN(pool, Continue(Z, h, std::move(pool), kFirstSteps, 1, ctx));
  RobustFit best = Improve(Z, h, std::move(pool.front()), kMaxSteps, ctx);
  RETURN_IF_ERROR(ctx.Check());
  return best;
}

/// One column: the shortest interval that holds h values, exactly.
RobustFit ShortestHalf(const MatrixXd& Z, int64_t h, const Context& ctx) {
  const auto n = static_cast<size_t>(Z.cols());
  std::vector<double> sorted(Z.data(), Z.data() + n);
  std::sort(sorted.begin(), sorted.end());
  double location = 0;
  if (h >= Z.cols()) {
    location = std::accumulate(sorted.begin(), sorted.end(), 0.0) / static_cast<double>(n);
  } else {
    const auto width = static_cast<size_t>(h);
    double shortest = std::numeric_limits<double>::infinity(), sum = 0, count = 0;
    for (size_t i = 0; i + width < n; ++i) {
      const double gap = sorted[i + width] - sorted[i];
      if (gap < shortest) {
        shortest = gap;
        sum = count = 0;
      }
      if (gap == shortest) {
        sum += 0.5 * (sorted[i] + sorted[i + width]);
        ++count;
      }
    }
    location = sum / count;
  }
  RobustFit fit = FitRows(Z, Nearest((Z.row(0).transpose().array() - location).abs().matrix(), h), ctx);
  fit.location[0] = location;
  return fit;
}

}  // namespace

RobustFit FitRows(const MatrixXd& Z, const std::vector<int64_t>& rows, const Context& ctx) {
  const auto count = static_cast<double>(rows.size());
  RobustFit fit;
  fit.location = VectorXd::Zero(Z.rows());
  for (size_t r = 0; r < rows.size(); ++r) {
    if (r % kChunk == 0 && !ctx.Check().ok()) break;
    fit.location += Z.col(rows[r]);
  }
  fit.location /= count;
  fit.covariance = MatrixXd::Zero(Z.rows(), Z.rows());
  for (size_t begin = 0; begin < rows.size() && ctx.Check().ok(); begin += kChunk) {
    MatrixXd chunk = Columns(Z, rows, begin, std::min(rows.size(), begin + kChunk));
    chunk.colwise() -= fit.location;
    fit.covariance.selfadjointView<Eigen::Lower>().rankUpdate(chunk);
  }
  fit.covariance /= count;
  fit.covariance.triangularView<Eigen::StrictlyUpper>() = fit.covariance.transpose();
  fit.log_determinant = LogDeterminant(fit.covariance.llt(), fit.covariance.diagonal().maxCoeff());
  return fit;
}

absl::StatusOr<MatrixXd> InverseRoot(const MatrixXd& covariance, const Context& ctx) {
  const Eigen::Index d = covariance.rows();
  ASSIGN_OR_RETURN(const SymmetricEigen eigen,
                   EigenOf({covariance.data(), static_cast<size_t>(d * d)}, static_cast<size_t>(d), ctx));
  const Eigen::Map<const VectorXd> values(eigen.values.data(), d);
  const Eigen::Map<const MatrixXd> vectors(eigen.vectors.data(), d, d);
  const double cutoff = static_cast<double>(d) * std::numeric_limits<double>::epsilon() * values.cwiseAbs().maxCoeff();
  Eigen::Index first = 0;  // eigenvalues ascend
  while (first < d && !(values[first] > cutoff)) ++first;
  const Eigen::Index r = d - first;
  return MatrixXd(vectors.rightCols(r) * values.tail(r).cwiseSqrt().cwiseInverse().asDiagonal());
}

VectorXd SquaredDistances(const MatrixXd& Z, const VectorXd& location, const MatrixXd& covariance, const Context& ctx) {
  VectorXd out = VectorXd::Zero(Z.cols());
  const Eigen::LLT<MatrixXd> llt(covariance);
  const bool regular = std::isfinite(LogDeterminant(llt, covariance.diagonal().maxCoeff()));
  MatrixXd root;
  if (!regular) {
    absl::StatusOr<MatrixXd> found = InverseRoot(covariance, ctx);
    if (!found.ok()) return out;  // cancelled
    root = *std::move(found);
  }
  for (Eigen::Index begin = 0; begin < Z.cols() && ctx.Check().ok(); begin += kChunk) {
    const Eigen::Index count = std::min<Eigen::Index>(kChunk, Z.cols() - begin);
    MatrixXd chunk = Z.middleCols(begin, count).colwise() - location;
    if (regular) {
      llt.matrixL().solveInPlace(chunk);
    } else {
      chunk = (root.transpose() * chunk).eval();
    }
    out.segment(begin, count) = chunk.colwise().squaredNorm().transpose();
  }
  return out;
}

absl::StatusOr<RobustFit> FastMcd(const MatrixXd& Z, int64_t h, const Context& ctx) {
  if (Z.rows() == 1) return ShortestHalf(Z, h, ctx);
  if (Z.cols() > 500) return Nested(Z, h, ctx);
  ASSIGN_OR_RETURN(std::vector<RobustFit> best, RandomStarts(Z, h, 30, 1, ctx));
  ASSIGN_OR_RETURN(best, Continue(Z, h, std::move(best), kMaxSteps, 1, ctx));
  return std::move(best.front());
}

}  // namespace vedette::outlier
