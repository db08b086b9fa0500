#include "outlier/kernels/one_class_solver.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <list>
#include <numeric>

#include "outlier/kernels/gaussian_sums.h"
#include "outlier/kernels/simd.h"
#include "outlier/parallel.h"

namespace vedette::outlier {
namespace {

constexpr size_t kCacheBytes = 256u << 20;
constexpr size_t kLeastRows = 2000;  // fewer are solved at once
constexpr size_t kSums = 16;
constexpr double kUnbounded = std::numeric_limits<double>::infinity();

/// Kernel rows of some rows among each other, the least recently used dropped first.
class KernelCache {
 public:
  KernelCache(const KernelFunction& kernel, std::span<const double> rows, size_t n, size_t d)
      : kernel_(kernel),
        blocks_(rows, n, d),
        rows_(rows),
        d_(d),
        at_(n, used_.end()),
        most_(std::max<size_t>(2, kCacheBytes / (blocks_.padded() * sizeof(double)))) {}

  const double* Row(size_t i) {
    if (at_[i] != used_.end()) {
      used_.splice(used_.begin(), used_, at_[i]);
      return at_[i]->second.data();
    }
    if (used_.size() < most_) {
      used_.emplace_front(i, std::vector<double>(blocks_.padded() + kSums));
    } else {
      at_[used_.back().first] = used_.end();
      used_.splice(used_.begin(), used_, std::prev(used_.end()));
      used_.front().first = i;
    }
    at_[i] = used_.begin();
    kernel_.Row(blocks_, rows_.data() + i * d_, used_.front().second.data());
    return used_.front().second.data();
  }

 private:
  using List = std::list<std::pair<size_t, std::vector<double>>>;
  const KernelFunction& kernel_;
  RowBlocks blocks_;
  std::span<const double> rows_;
  size_t d_;
  List used_;
  std::vector<List::iterator> at_;
  size_t most_;
};

/// Index of the least of n values (n a multiple of kSums), the first of equal ones.
template <typename Value>
size_t LeastOf(size_t n, const Value& value, double* least) {
  F64x4 best[4], index[4], here[4];
  for (int v = 0; v < 4; ++v) {
    best[v] = F64x4::Set(kUnbounded), index[v] = F64x4::Zero();
    const double first[4] = {4.0 * v, 4.0 * v + 1, 4.0 * v + 2, 4.0 * v + 3};
    here[v] = F64x4::LoadAny(first);
  }
  const F64x4 step = F64x4::Set(kSums);
  for (size_t t = 0; t < n; t += kSums) {
    for (int v = 0; v < 4; ++v) {
      const F64x4 x = value(t + static_cast<size_t>(4 * v));
      index[v] = WhereNotAbove(best[v], x, index[v], here[v]);
      best[v] = Min(best[v], x);
      here[v] = here[v] + step;
    }
  }
  double bests[kSums], indices[kSums];
  for (int v = 0; v < 4; ++v) best[v].Store(bests + 4 * v), index[v].Store(indices + 4 * v);
  size_t at = 0;
  for (size_t i = 1; i < kSums; ++i) {
    if (bests[i] < bests[at] || (bests[i] == bests[at] && indices[i] < indices[at])) at = i;
  }
  *least = bests[at];
  return static_cast<size_t>(indices[at]);
}

/// Sequential minimal optimisation over a few rows.
class Minimiser {
 public:
  Minimiser(const KernelFunction& kernel, std::span<const double> rows, std::vector<double> alpha,
            std::vector<double> gradient, size_t d)
      : n_(alpha.size()),
        padded_((n_ + kSums - 1) / kSums * kSums),
        cache_(kernel, rows, n_, d),
        alpha_(std::move(alpha)),
        gradient_(std::move(gradient)),
        diagonal_(padded_, 0),
        may_rise_(padded_, kUnbounded),
        may_fall_(padded_, kUnbounded) {
    gradient_.resize(padded_, 0);
    for (size_t t = 0; t < n_; ++t) {
      diagonal_[t] = kernel.Self(rows.data() + t * d, d);
      Mark(t);
    }
  }
  const std::vector<double>& alpha() const { return alpha_; }

  /// Moves the pair that violates most; false when none violates by more than the tolerance.
  bool Step(double tolerance) {
    double low = 0, fall = 0, gain = 0;
    const double* const g = gradient_.data();
    const size_t up = LeastOf(
        padded_, [&](size_t t) { return F64x4::LoadAny(g + t) + F64x4::LoadAny(&may_rise_[t]); }, &low);
    if (!(low < kUnbounded)) return false;
    LeastOf(
        padded_, [&](size_t t) { return F64x4::LoadAny(&may_fall_[t]) - F64x4::LoadAny(g + t); }, &fall);
    if (!(-fall - low >= tolerance)) return false;
    const double* const row = cache_.Row(up);
    const F64x4 own = F64x4::Set(low), self = F64x4::Set(diagonal_[up]), two = F64x4::Set(2), least = F64x4::Set(1e-12);
    const size_t down = LeastOf(
        padded_,
        [&](size_t t) {
          const F64x4 violation = Max(F64x4::LoadAny(g + t) - F64x4::LoadAny(&may_fall_[t]) - own, F64x4::Zero());
          const F64x4 curvature = Max(self + F64x4::LoadAny(&diagonal_[t]) - two * F64x4::LoadAny(row + t), least);
          return F64x4::Zero() - violation * violation / curvature;
        },
        &gain);
    if (!(gain < 0)) return false;
    const double curvature = std::max(diagonal_[up] + diagonal_[down] - 2 * row[down], 1e-12);
    // Both move by the same amount, one up and one down, within [0, 1].
    const double move = std::min({(g[down] - g[up]) / curvature, 1 - alpha_[up], alpha_[down]});
    if (!(move > 0)) return false;
    alpha_[up] = move == 1 - alpha_[up] ? 1 : alpha_[up] + move;
    alpha_[down] = move == alpha_[down] ? 0 : alpha_[down] - move;
    Mark(up);
    Mark(down);
    const double* const second = cache_.Row(down);  // the cache holds two rows at least: the first stays
    const F64x4 by = F64x4::Set(move);
    for (size_t t = 0; t < padded_; t += 4) {
      Fma(by, F64x4::LoadAny(row + t) - F64x4::LoadAny(second + t), F64x4::LoadAny(g + t)).Store(&gradient_[t]);
    }
    return true;
  }

 private:
  /// 0 where alpha may rise (fall), else infinite. Lanes beyond the last row may not move.
  void Mark(size_t t) {
    may_rise_[t] = alpha_[t] < 1 ? 0 : kUnbounded;
    may_fall_[t] = alpha_[t] > 0 ? 0 : kUnbounded;
  }

  size_t n_, padded_;
  KernelCache cache_;
  std::vector<double> alpha_, gradient_, diagonal_, may_rise_, may_fall_;
};

std::vector<double> RowsAt(std::span<const double> rows, const std::vector<size_t>& which, size_t d) {
  std::vector<double> out;
  out.reserve(which.size() * d);
  for (const size_t i : which)
    out.insert(out.end(), rows.begin() + static_cast<int64_t>(i * d), rows.begin() + static_cast<int64_t>((i + 1) * d));
  return out;
}

KernelExpansion Expansion(const KernelFunction& kernel, std::span<const double> rows, std::span<const double> weights,
                          size_t d) {
  std::vector<size_t> which;
  std::vector<double> own;
  for (size_t i = 0; i < weights.size(); ++i) {
    if (weights[i] != 0) which.push_back(i), own.push_back(weights[i]);
  }
  return KernelExpansion(kernel, RowsAt(rows, which, d), std::move(own), d);
}

/// How far the gradients are from the optimum, and the offset between those that may rise and those that may fall: the
/// mean gradient of the alphas inside the bounds, else the middle of what the bounds allow.
struct Margin {
  double violation = 0, rho = 0;
};
Margin MarginOf(const std::vector<double>& alpha, const std::vector<double>& gradient) {
  double free = 0, sum = 0, low = kUnbounded, high = -kUnbounded, most_full = -kUnbounded, least_empty = kUnbounded;
  for (size_t i = 0; i < alpha.size(); ++i) {
    if (alpha[i] < 1) low = std::min(low, gradient[i]);
    if (alpha[i] > 0) high = std::max(high, gradient[i]);
    if (alpha[i] >= 1)
      most_full = std::max(most_full, gradient[i]);
    else if (alpha[i] <= 0)
      least_empty = std::min(least_empty, gradient[i]);
    else
      free += 1, sum += gradient[i];
  }
  Margin m{.violation = high - low};
  if (free > 0)
    m.rho = sum / free;
  else if (std::isfinite(most_full) && std::isfinite(least_empty))
    m.rho = most_full / 2 + least_empty / 2;
  else
    m.rho = std::isfinite(most_full) ? most_full : least_empty;
  if (!std::isfinite(m.rho)) m.rho = 0;
  return m;
}

class Problem {
 public:
  Problem(const KernelFunction& kernel, std::span<const double> rows, size_t n, size_t d, double nu, double tolerance,
          const Context& ctx)
      : kernel_(kernel),
        rows_(rows),
        n_(n),
        d_(d),
        total_(nu * static_cast<double>(n)),
        nu_(nu),
        tolerance_(tolerance),
        ctx_(ctx) {}

  absl::StatusOr<OneClassFit> Solve() {
    RETURN_IF_ERROR(Begin());
    RETURN_IF_ERROR(AllGradients());
    size_t active = std::max(kLeastRows, n_ / 8);
    for (int round = 0; round < 200; ++round) {
      const Margin margin = MarginOf(fit_.alpha, fit_.gradient);
      fit_.rho = margin.rho;
      if (margin.violation < tolerance_) {
        if (exact_) break;
        RETURN_IF_ERROR(AllGradients());
        continue;
      }
      ASSIGN_OR_RETURN(const bool moved, Improve(Nearest(margin.rho, active)));
      if (!moved && active >= n_) break;
      active = std::min(n_, active + active / 2);
    }
    if (!exact_) {
      RETURN_IF_ERROR(AllGradients());
      fit_.rho = MarginOf(fit_.alpha, fit_.gradient).rho;
    }
    return std::move(fit_);
  }

 private:
  /// All rows' alphas: 1 for those that lie farthest out by a solution for a quarter of the rows; of few rows, for the
  /// first.
  absl::Status Begin() {
    std::vector<size_t> order(n_);
    std::iota(order.begin(), order.end(), size_t{0});
    if (n_ > kLeastRows) {
      std::vector<size_t> which;
      for (size_t i = 0; i < n_; i += 4) which.push_back(i);
      const std::vector<double> part = RowsAt(rows_, which, d_);
      ASSIGN_OR_RETURN(const OneClassFit fit, Problem(kernel_, part, which.size(), d_, nu_, 1e-3, ctx_).Solve());
      std::vector<double> inside(n_);
      RETURN_IF_ERROR(Expansion(kernel_, part, fit.alpha, d_).AllSums(rows_, n_, inside, ctx_));
      std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return inside[a] < inside[b]; });
    }
    fit_.alpha.assign(n_, 0);
    const auto full = static_cast<size_t>(total_);
    for (size_t i = 0; i < n_ && i <= full; ++i)
      fit_.alpha[order[i]] = i < full ? 1 : total_ - static_cast<double>(full);
    return absl::OkStatus();
  }

  absl::Status AllGradients() {
    fit_.gradient.assign(n_, 0);
    exact_ = true;
    return Expansion(kernel_, rows_, fit_.alpha, d_).AllSums(rows_, n_, fit_.gradient, ctx_);
  }

  /// The rows, in their order, that lie farthest on the wrong side of the margin or nearest to it on their own.
  std::vector<size_t> Nearest(double rho, size_t count) const {
    std::vector<size_t> which(n_);
    std::iota(which.begin(), which.end(), size_t{0});
    if (count >= n_) return which;
    std::vector<double> away(n_);
    for (size_t i = 0; i < n_; ++i) {
      const double gap = fit_.gradient[i] - rho, alpha = fit_.alpha[i];
      away[i] = alpha >= 1 ? -gap : (alpha <= 0 ? gap : -std::fabs(gap));
    }
    std::nth_element(which.begin(), which.begin() + static_cast<int64_t>(count), which.end(),
                     [&](size_t a, size_t b) { return away[a] != away[b] ? away[a] < away[b] : a < b; });
    which.resize(count);
    std::sort(which.begin(), which.end());
    return which;
  }

  /// Solves for some rows, and lets all gradients follow. Returns whether any alpha moved.
  absl::StatusOr<bool> Improve(const std::vector<size_t>& which) {
    std::vector<double> alpha, gradient;
    for (const size_t i : which) alpha.push_back(fit_.alpha[i]), gradient.push_back(fit_.gradient[i]);
    const std::vector<double> rows = RowsAt(rows_, which, d_);
    Minimiser minimiser(kernel_, rows, std::move(alpha), std::move(gradient), d_);
    const int64_t most = std::max<int64_t>(10'000'000, 100 * static_cast<int64_t>(n_));
    const double inner = which.size() < n_ ? tolerance_ / 2 : tolerance_;
    const int64_t often = std::clamp<int64_t>(8'000'000 / static_cast<int64_t>(which.size() * (d_ + 8)), 1, 16);
    for (; steps_ < most; ++steps_) {
      if (steps_ % often == 0) RETURN_IF_ERROR(ctx_.Check());
      if (!minimiser.Step(inner)) break;
    }
    std::vector<double> change(which.size());
    bool moved = false;
    for (size_t a = 0; a < which.size(); ++a) {
      change[a] = minimiser.alpha()[a] - fit_.alpha[which[a]];
      fit_.alpha[which[a]] = minimiser.alpha()[a];
      moved |= change[a] != 0;
    }
    if (!moved) return false;
    std::vector<double> follow(n_);
    RETURN_IF_ERROR(Expansion(kernel_, rows, change, d_).AllSums(rows_, n_, follow, ctx_));
    for (size_t i = 0; i < n_; ++i) fit_.gradient[i] += follow[i];
    exact_ = false;
    return true;
  }

  const KernelFunction& kernel_;
  std::span<const double> rows_;
  size_t n_, d_;
  double total_, nu_, tolerance_;
  const Context& ctx_;
  OneClassFit fit_;
  bool exact_ = false;
  int64_t steps_ = 0;
};

}  // namespace

KernelExpansion::KernelExpansion(const KernelFunction& kernel, std::span<const double> rows,
                                 std::vector<double> weights, size_t d)
    : kernel_(kernel), size_(weights.size()), blocks_(rows, weights.size(), d), weights_(std::move(weights)) {
  weights_.resize(blocks_.padded(), 0);
}

int64_t KernelExpansion::BlockRows() const {
  return std::max<int64_t>(1, 1'000'000 / static_cast<int64_t>(blocks_.padded() * (blocks_.features() + 8) + 1)) *
         kTogether;
}

void KernelExpansion::Sums(const double* const* x, int count, double* out) const {
  if (kernel_.kind == Kernel::kRbf) {
    GaussianSum sums[kTogether];
    GaussianSums(blocks_, weights_.data(), kernel_.gamma, x, nullptr, count, sums);
    for (int q = 0; q < count; ++q) out[q] = sums[q].sum;
    return;
  }
  std::vector<double> row(blocks_.padded());
  for (int q = 0; q < count; ++q) {
    kernel_.Row(blocks_, x[q], row.data());
    double sum[4] = {};
    for (size_t i = 0; i < size_; ++i) sum[i % 4] += weights_[i] * row[i];
    out[q] = (sum[0] + sum[2]) + (sum[1] + sum[3]);
  }
}

absl::Status KernelExpansion::AllSums(std::span<const double> rows, size_t n, std::span<double> out,
                                      const Context& ctx) const {
  const size_t d = blocks_.features();
  return ParallelBlocks(ctx, static_cast<int64_t>(n), BlockRows(), [&](int64_t begin, int64_t end) {
    const double* x[kTogether];
    for (int64_t at = begin; at < end; at += kTogether) {
      const int count = static_cast<int>(std::min<int64_t>(kTogether, end - at));
      for (int q = 0; q < count; ++q) x[q] = rows.data() + static_cast<size_t>(at + q) * d;
      Sums(x, count, out.data() + at);
    }
  });
}

absl::StatusOr<OneClassFit> SolveOneClass(const KernelFunction& kernel, std::span<const double> rows, size_t n,
                                          size_t d, double nu, double tolerance, const Context& ctx) {
  return Problem(kernel, rows, n, d, nu, tolerance, ctx).Solve();
}

}  // namespace vedette::outlier
