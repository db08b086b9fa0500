// KernelSHAP: a weighted regression on coalitions (see shapley.h).
#include <Eigen/Cholesky>
#include <Eigen/Core>
#include <algorithm>
#include <bit>
#include <cmath>
#include <numeric>
#include <unordered_set>

#include "base/rng.h"
#include "base/status.h"
#include "explain/shapley.h"

namespace vedette::explain {
namespace {

constexpr size_t kMaxPlayers = 64;
constexpr int64_t kMaxCoalitions = 1000000;
constexpr uint64_t kStream = 0x6b65726e;  // of the generator, so that other uses of the seed draw other numbers

/// A pair of complementary coalitions: `mask` and all without it, each with this weight.
struct Pair {
  uint64_t mask = 0;
  double weight = 0;
};

uint64_t AllOf(size_t m) { return m == 64 ? ~uint64_t{0} : (uint64_t{1} << m) - 1; }

double Choose(size_t n, size_t k) {
  double ways = 1;
  for (size_t i = 1; i <= k; ++i) ways = ways * static_cast<double>(n - k + i) / static_cast<double>(i);
  return ways;
}

/// Calls f(mask) for every subset of `size` of m players, in increasing order (Gosper's hack).
template <typename F>
void ForSubsets(size_t m, size_t size, const F& f) {
  const uint64_t all = AllOf(m);
  uint64_t s = AllOf(size);
  while (true) {
    f(s);
    if (s == (all & (all << (m - size)))) return;
    const uint64_t low = s & (~s + 1), ripple = s + low;
    s = (((ripple ^ s) >> 2) / low) | ripple;
  }
}

/// Which coalitions to evaluate. A size's share of the kernel's weight is (m - 1) / (s (m - s)), all its coalitions
/// alike; sizes come in pairs s, m - s.
struct Plan {
  std::vector<Pair> pairs;
  size_t enumerated = 0;
  bool complete = false;
};

Plan MakePlan(size_t m, int64_t budget, uint64_t seed) {
  Plan plan;
  const size_t pair_sizes = m / 2;
  std::vector<double> share(pair_sizes + 1, 0);
  for (size_t s = 1; s <= pair_sizes; ++s) {
    share[s] = static_cast<double>(m - 1) / (static_cast<double>(s) * static_cast<double>(m - s));
    if (2 * s == m) share[s] /= 2;  // in units of one of the two sizes of a pair
  }
  int64_t left = std::max<int64_t>(1, budget / 2);
  size_t size = 1;
  double open = std::accumulate(share.begin() + 1, share.end(), 0.0);
  for (; size <= pair_sizes; ++size) {
    const double count = Choose(m, size) / (2 * size == m ? 2 : 1);  // pairs
    // The budget that this size would get by its share of what is open must cover it.
    if (static_cast<double>(left) * share[size] / open < count * (1 - 1e-9)) break;
    ForSubsets(m, size, [&](uint64_t mask) {
      if (2 * size == m && (mask & 1) == 0) return;  // its complement comes
      plan.pairs.push_back({mask, share[size] / count});
    });
    left -= static_cast<int64_t>(count);
    open -= share[size];
  }
  plan.enumerated = plan.pairs.size();
  plan.complete = size > pair_sizes;
  if (plan.complete || left <= 0) return plan;
  // What is left is dealt out to the open sizes by their shares, so that no size is over- or underdrawn by chance; the
  // coalitions of a size are drawn without replacement.
  Rng rng(seed, kStream);
  std::vector<size_t> order(m);
  std::iota(order.begin(), order.end(), 0);
  double passed = 0;
  int64_t drawn = 0;
  for (size_t s = size; s <= pair_sizes; ++s) {
    passed += share[s];
    const auto until = static_cast<int64_t>(std::llround(static_cast<double>(left) * passed / open));
    const double count = Choose(m, s) / (2 * s == m ? 2 : 1);
    const auto take = std::min(until - drawn, static_cast<int64_t>(std::min(count, 1e9)));
    drawn = until;
    std::unordered_set<uint64_t> seen;
    while (static_cast<int64_t>(seen.size()) < take) {
      for (size_t i = 0; i < s; ++i) std::swap(order[i], order[i + rng.Below(m - i)]);
      uint64_t mask = 0;
      for (size_t i = 0; i < s; ++i) mask |= uint64_t{1} << order[i];
      if (2 * s == m && (mask & 1) == 0) mask = AllOf(m) & ~mask;
      if (seen.insert(mask).second) plan.pairs.push_back({mask, share[s] / static_cast<double>(take)});
    }
  }
  // In random order, so that a deadline cuts all sizes alike.
  for (size_t i = plan.pairs.size(); i > plan.enumerated + 1; --i) {
    std::swap(plan.pairs[i - 1], plan.pairs[plan.enumerated + rng.Below(i - plan.enumerated)]);
  }
  return plan;
}

/// Solves the regression with the sum constraint: the last player is eliminated, so that the sum is exact.
void Solve(std::span<const Pair> pairs, std::span<const double> values, size_t m, size_t sampled_from, double total,
           ShapleyValues* out, std::span<const int64_t> moving) {
  const auto k = static_cast<Eigen::Index>(m) - 1;
  Eigen::MatrixXd A = Eigen::MatrixXd::Zero(k, k);
  Eigen::VectorXd b = Eigen::VectorXd::Zero(k), z(k);
  const auto design = [&](uint64_t mask, double* offset) {
    const double last = static_cast<double>(mask >> (m - 1) & 1);
    for (Eigen::Index j = 0; j < k; ++j) z[j] = static_cast<double>(mask >> j & 1) - last;
    *offset = last * total;
  };
  // A complement's row is the negative of its partner's, up to the offset: the two are averaged into one equation.
  const auto target = [&](size_t i, double offset) {
    return ((values[2 * i] - values[2 * i + 1]) + total) / 2 - offset;
  };
  double offset = 0;
  for (size_t i = 0; i < pairs.size(); ++i) {
    design(pairs[i].mask, &offset);
    A.selfadjointView<Eigen::Lower>().rankUpdate(z, pairs[i].weight);
    b += pairs[i].weight * target(i, offset) * z;
  }
  // What too few coalitions leave open is settled towards small values.
  const double ridge = 1e-12 * A.diagonal().maxCoeff();
  A.diagonal().array() += ridge;
  const Eigen::LDLT<Eigen::MatrixXd, Eigen::Lower> solver(A);
  const Eigen::VectorXd phi = solver.solve(b);
  for (Eigen::Index j = 0; j < k; ++j) out->phi[static_cast<size_t>(moving[static_cast<size_t>(j)])] = phi[j];
  out->phi[static_cast<size_t>(moving[m - 1])] = total - phi.sum();
  if (sampled_from >= pairs.size()) return;
  // Sandwich: the spread of the sampled pairs' estimating equations.
  Eigen::MatrixXd meat = Eigen::MatrixXd::Zero(k, k);
  for (size_t i = sampled_from; i < pairs.size(); ++i) {
    design(pairs[i].mask, &offset);
    const double residual = pairs[i].weight * (target(i, offset) - z.dot(phi));
    meat.selfadjointView<Eigen::Lower>().rankUpdate(z, residual * residual);
  }
  const Eigen::MatrixXd half = solver.solve(Eigen::MatrixXd(meat.selfadjointView<Eigen::Lower>()));
  const Eigen::MatrixXd covariance = solver.solve(half.transpose());
  const auto sampled = static_cast<double>(pairs.size() - sampled_from);
  const double correction = sampled > static_cast<double>(m) ? sampled / (sampled - static_cast<double>(k)) : 1;
  const auto error = [&](double variance) { return std::sqrt(std::max(0.0, correction * variance)); };
  for (Eigen::Index j = 0; j < k; ++j) {
    out->standard_error[static_cast<size_t>(moving[static_cast<size_t>(j)])] = error(covariance(j, j));
  }
  out->standard_error[static_cast<size_t>(moving[m - 1])] = error(covariance.sum());
}

/// Values of pairs (mask, complement alternating), in pieces, until the deadline comes near; returns how many.
absl::StatusOr<size_t> EvaluatePairs(const CoalitionValues& value, std::span<const Pair> pairs, size_t m,
                                     std::vector<double>& values, const Context& ctx) {
  const size_t piece = value.together() ? 512 : 128;
  values.assign(2 * pairs.size(), 0);
  const absl::Time start = absl::Now();
  for (size_t begin = 0; begin < pairs.size(); begin += piece) {
    const size_t end = std::min(begin + piece, pairs.size());
    std::vector<uint64_t> masks;
    for (size_t i = begin; i < end; ++i) {
      masks.push_back(pairs[i].mask);
      masks.push_back(AllOf(m) & ~pairs[i].mask);
    }
    const absl::Status status = value.Evaluate(masks, std::span(values).subspan(2 * begin, masks.size()), ctx);
    if (absl::IsDeadlineExceeded(status) && begin >= m) return begin;
    RETURN_IF_ERROR(status);
    // Stop while there is still time for the answer: before a piece that would take more than what is left.
    if (ctx.deadline == absl::InfiniteFuture() || end == pairs.size() || end < m) continue;
    const absl::Duration per_pair = (absl::Now() - start) / static_cast<int64_t>(end);
    if (absl::Now() + per_pair * static_cast<int64_t>(2 * piece) > ctx.deadline) return end;
  }
  return pairs.size();
}

}  // namespace

absl::StatusOr<ShapleyValues> KernelShap(const Game& game, const KernelShapOptions& options, const Context& ctx) {
  if (options.coalitions < 2 || options.coalitions > kMaxCoalitions) {
    return InvalidArgument("{} coalitions, 2 to {} are possible", options.coalitions, kMaxCoalitions);
  }
  ASSIGN_OR_RETURN(const CoalitionValues value, CoalitionValues::Make(game));
  const size_t m = value.moving().size();
  if (m > kMaxPlayers)
    return InvalidArgument("{} features differ from the background, at most {} can be explained", m, kMaxPlayers);
  ShapleyValues out;
  out.phi.assign(value.players(), 0);
  out.standard_error.assign(value.players(), 0);
  const uint64_t ends[] = {0, AllOf(m)};
  double v[2] = {0, 0};
  RETURN_IF_ERROR(value.Evaluate(ends, v, ctx));
  out.expected = v[0];
  out.output = v[1];
  out.coalitions = 2;
  out.exact = m <= 1;
  if (m == 1) out.phi[static_cast<size_t>(value.moving()[0])] = v[1] - v[0];
  if (m <= 1) return out;
  Plan plan = MakePlan(m, options.coalitions, ctx.seed);
  std::vector<double> values;
  ASSIGN_OR_RETURN(const size_t done, EvaluatePairs(value, plan.pairs, m, values, ctx));
  out.cut_short = done < plan.pairs.size();
  out.exact = plan.complete && !out.cut_short;
  out.coalitions += static_cast<int64_t>(2 * done);
  for (double& x : values) x -= v[0];
  // Cut short before the sampling began, what was enumerated is itself a part of the whole.
  const size_t sampled_from = out.exact ? done : done <= plan.enumerated ? 0 : plan.enumerated;
  Solve(std::span(plan.pairs).first(done), values, m, sampled_from, v[1] - v[0], &out, value.moving());
  return out;
}

}  // namespace vedette::explain
