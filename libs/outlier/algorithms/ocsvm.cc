// One-class support vector machine (Schoelkopf et al. 2001): the smallest region in the kernel's space that holds about 1 - nu
// of the training rows; the score is how far outside a row lies, rho - sum alpha_i k(x_i, x).
//
// Solved by sequential minimal optimisation with second-order choice of the pair (Fan, Chen, Lin 2005), 0 <= alpha <= 1, sum
// alpha = nu n, stopped at a violation of `tol`: the scaling of libsvm, which PyOD uses
// (it stops at 1e-3, too early where no two rows are alike: the order of its scores is then that of its steps). Kernel rows are kept in a bounded
// cache. Above max_rows training rows, evenly spaced ones are fitted on, and all are scored.
#include <algorithm>
#include <cmath>
#include <limits>
#include <list>

#include "base/status.h"
#include "outlier/cost.h"
#include "outlier/kernels/kernel_function.h"
#include "outlier/kernels/row_blocks.h"
#include "outlier/row_detector.h"
#include "outlier/state.h"

namespace vedette::outlier {
namespace {

constexpr size_t kCacheBytes = 256u << 20;

/// Kernel rows of the training rows, the least recently used dropped first.
class KernelCache {
 public:
  KernelCache(const KernelFunction& kernel, const RowBlocks& blocks, std::span<const double> rows, size_t d)
      : kernel_(kernel), blocks_(blocks), rows_(rows), d_(d), at_(blocks.rows(), used_.end()),
        most_(std::max<size_t>(2, kCacheBytes / (blocks.padded() * sizeof(double)))) {}

  const double* Row(size_t i) {
    if (at_[i] != used_.end()) {
      used_.splice(used_.begin(), used_, at_[i]);
      return at_[i]->second.data();
    }
    if (used_.size() < most_) {
      used_.emplace_front(i, std::vector<double>(blocks_.padded()));
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
  const RowBlocks& blocks_;
  std::span<const double> rows_;
  size_t d_;
  List used_;
  std::vector<List::iterator> at_;
  size_t most_;
};

class OneClassSvm final : public RowDetector {
 public:
  explicit OneClassSvm(const ParamSet& params)
      : nu_(params.Real("nu")), gamma_(params.Real("gamma")), tolerance_(params.Real("tol")), most_rows_(params.Int("max_rows")) {
    kernel_.kind = KernelOf(params.Choice("kernel"));
    kernel_.degree = static_cast<double>(params.Int("degree"));
    kernel_.coef0 = params.Real("coef0");
  }

 private:
  absl::Status Learn(std::span<const double> rows, int64_t n, const Context& ctx) override {
    const int64_t used = std::min(n, most_rows_);
    const std::vector<double> some = EvenlySpacedSorted(rows, n, features(), used);
    kernel_.gamma = KernelGamma(gamma_, some, d(), unit().unit());
    return Solve(some, static_cast<size_t>(used), ctx);
  }

  absl::Status Solve(const std::vector<double>& rows, size_t n, const Context& ctx) {
    const RowBlocks blocks(rows, n, d());
    KernelCache cache(kernel_, blocks, rows, d());
    std::vector<double> alpha(n, 0), gradient(n, 0), diagonal(n);
    const double total = nu_ * static_cast<double>(n);
    const auto full = static_cast<size_t>(total);
    for (size_t i = 0; i < n && i <= full; ++i) alpha[i] = i < full ? 1 : total - static_cast<double>(full);
    std::vector<double> row(blocks.padded());
    for (size_t i = 0; i < n; ++i) {
      if (i % 16 == 0) RETURN_IF_ERROR(ctx.Check());
      diagonal[i] = kernel_.Self(rows.data() + i * d(), d());
      if (alpha[i] == 0) continue;
      kernel_.Row(blocks, rows.data() + i * d(), row.data());
      for (size_t t = 0; t < n; ++t) gradient[t] += alpha[i] * row[t];
    }
    const int64_t most = std::max<int64_t>(10'000'000, 100 * static_cast<int64_t>(n));
    for (int64_t step = 0; step < most; ++step) {
      if (step % 16 == 0) RETURN_IF_ERROR(ctx.Check());
      if (!Step(cache, diagonal, alpha, gradient)) break;
    }
    Keep(rows, alpha, gradient);
    return absl::OkStatus();
  }

  /// Moves the pair that violates most; false when none violates by more than the tolerance.
  bool Step(KernelCache& cache, const std::vector<double>& diagonal, std::vector<double>& alpha, std::vector<double>& gradient) const {
    const size_t n = alpha.size();
    size_t up = n;
    double most = -std::numeric_limits<double>::infinity(), other = most;
    for (size_t t = 0; t < n; ++t) {
      if (alpha[t] < 1 && -gradient[t] > most) most = -gradient[t], up = t;
    }
    if (up == n) return false;
    const double* const row = cache.Row(up);
    size_t down = n;
    double best = std::numeric_limits<double>::infinity();
    for (size_t t = 0; t < n; ++t) {
      if (!(alpha[t] > 0)) continue;
      other = std::max(other, gradient[t]);
      const double violation = most + gradient[t];
      if (!(violation > 0)) continue;
      const double curvature = std::max(diagonal[up] + diagonal[t] - 2 * row[t], 1e-12);
      const double gain = -(violation * violation) / curvature;
      if (gain < best) best = gain, down = t;
    }
    if (down == n || most + other < tolerance_) return false;
    const double curvature = std::max(diagonal[up] + diagonal[down] - 2 * row[down], 1e-12);
    // Both move by the same amount, one up and one down, within [0, 1].
    const double move = std::min({(gradient[down] - gradient[up]) / curvature, 1 - alpha[up], alpha[down]});
    if (!(move > 0)) return false;
    alpha[up] = move == 1 - alpha[up] ? 1 : alpha[up] + move;
    alpha[down] = move == alpha[down] ? 0 : alpha[down] - move;
    const double* const second = cache.Row(down);  // the cache holds two rows at least: the first stays
    double* const g = gradient.data();
    for (size_t t = 0; t < n; ++t) g[t] += move * (row[t] - second[t]);
    return true;
  }

  /// The support vectors, and rho: the mean gradient of those inside the bounds, else the middle of what the bounds allow.
  void Keep(const std::vector<double>& rows, const std::vector<double>& alpha, const std::vector<double>& gradient) {
    double free = 0, sum = 0, low = -std::numeric_limits<double>::infinity(), high = -low;
    vectors_.clear();
    alpha_.clear();
    for (size_t i = 0; i < alpha.size(); ++i) {
      if (alpha[i] >= 1) low = std::max(low, gradient[i]);
      else if (alpha[i] <= 0) high = std::min(high, gradient[i]);
      else free += 1, sum += gradient[i];
      if (alpha[i] <= 0) continue;
      alpha_.push_back(alpha[i]);
      vectors_.insert(vectors_.end(), rows.begin() + static_cast<int64_t>(i * d()), rows.begin() + static_cast<int64_t>((i + 1) * d()));
    }
    rho_ = free > 0 ? sum / free : (std::isfinite(low) && std::isfinite(high) ? low / 2 + high / 2 : (std::isfinite(low) ? low : high));
    if (!std::isfinite(rho_)) rho_ = 0;
    blocks_ = RowBlocks(vectors_, alpha_.size(), d());
  }

  double ScoreRow(std::span<const double> x) const override {
    std::vector<double> row(blocks_.padded());
    kernel_.Row(blocks_, x.data(), row.data());
    double sum[4] = {};
    for (size_t i = 0; i < alpha_.size(); ++i) sum[i % 4] += alpha_[i] * row[i];
    return rho_ - ((sum[0] + sum[2]) + (sum[1] + sum[3]));
  }

  /// Squared gaps to the mean of the support vectors, weighed by their kernels on the row.
  bool ExplainRow(std::span<const double> x, double, std::span<double> parts, std::span<double> expected) const override {
    std::vector<double> row(blocks_.padded());
    blocks_.SquaredDistances(x.data(), row.data());
    const double nearest = *std::min_element(row.begin(), row.begin() + static_cast<int64_t>(alpha_.size()));
    std::fill(expected.begin(), expected.end(), 0.0);
    double total = 0;
    for (size_t i = 0; i < alpha_.size(); ++i) {
      const double exponent = kernel_.kind == Kernel::kRbf ? (nearest - row[i]) * kernel_.gamma : 0;
      const double weight = exponent < -600 ? 0 : alpha_[i] * ExpOfNegative(exponent);
      total += weight;
      for (size_t j = 0; j < d(); ++j) expected[j] += weight * vectors_[i * d() + j];
    }
    for (size_t j = 0; j < d(); ++j) {
      expected[j] /= total;
      const double gap = unit().Unscaled(x[j] - expected[j]);
      parts[j] = gap * gap;
    }
    return true;
  }
  std::string_view space() const override { return "squared distance"; }
  int64_t BlockRows() const override { return std::max<int64_t>(1, 4'000'000 / static_cast<int64_t>(blocks_.padded() * (d() + 4) + 1)); }

  void SaveState(ByteWriter& out) const override {
    out.F64(rho_);
    out.F64(kernel_.gamma);
    out.Doubles(alpha_);
    out.Doubles(vectors_);
  }
  void LoadState(ByteReader& in) override {
    rho_ = ReadFinite(in, "rho");
    kernel_.gamma = ReadFinite(in, "gamma");
    alpha_ = in.Doubles();
    vectors_ = ReadDoubles(in, "the support vectors", static_cast<int64_t>(alpha_.size()) * features());
    if (!in.ok()) return;
    if (alpha_.empty() || !(kernel_.gamma > 0)) return in.Fail("there are no support vectors, or gamma is not positive");
    for (const double a : alpha_) {
      if (!(a > 0 && a <= 1)) return in.Fail("a weight is out of range");
    }
    for (const double v : vectors_) {
      if (std::fabs(v) > RowUnit::kMaxValue) return in.Fail("a support vector is out of range");
    }
    blocks_ = RowBlocks(vectors_, alpha_.size(), d());
  }

  double nu_, gamma_, tolerance_;
  int64_t most_rows_;
  KernelFunction kernel_;
  double rho_ = 0;
  std::vector<double> alpha_, vectors_;
  RowBlocks blocks_;
};

constexpr ParamSpec kParams[] = {
    {.name = "nu",
     .type = ParamType::kReal,
     .default_value = "0.5",
     .min = 0.001,
     .max = 1,
     .summary = "Most of the training rows that may lie outside, and least that are support vectors, as a share."},
    {.name = "kernel", .type = ParamType::kChoice, .default_value = "rbf", .choices = "rbf|linear|poly|sigmoid", .summary = "How alike two rows are."},
    {.name = "gamma",
     .type = ParamType::kReal,
     .default_value = "scale",
     .min = -1,
     .max = 1e6,
     .choices = "auto=0|scale=-1",
     .summary = "Of rbf, poly and sigmoid; scale is 1 / (columns x variance of all values); auto, PyOD's default, is 1 / columns, "
                "which suits standardised columns only."},
    {.name = "degree", .type = ParamType::kInt, .default_value = "3", .min = 1, .max = 20, .summary = "Of the poly kernel; not used by others."},
    {.name = "coef0", .type = ParamType::kReal, .default_value = "0", .min = -1e6, .max = 1e6, .summary = "Added inside the poly and sigmoid kernels."},
    {.name = "tol",
     .type = ParamType::kReal,
     .default_value = "1e-6",
     .min = 1e-9,
     .max = 1,
     .summary = "The fit ends when no pair of rows violates the optimum by more."},
    {.name = "max_rows",
     .type = ParamType::kInt,
     .default_value = "20000",
     .min = 100,
     .max = 200000,
     .summary = "Of more training rows, so many evenly spaced ones are fitted on: the cost grows with the square."},
};

}  // namespace

extern const Descriptor k_ocsvm;
const Descriptor k_ocsvm = {
    .name = "ocsvm",
    .family = "linear",
    .summary = "How far outside the smallest region that holds most rows, bent by a kernel: any shape of one normal class. Needs "
               "standardised columns (raw units make the rbf kernel useless), and slows with the square of the rows.",
    .paper = "B. Schoelkopf et al., Estimating the support of a high-dimensional distribution, Neural Computation, 2001",
    .params = kParams,
    .deterministic = true,
    .wants_scaling = true,
    .fit_cost = "O(n^2 d) up to max_rows, then O(n)",
    .score_cost = "O(v d), v the support vectors",
    .cost = [](const ParamSet& p, int64_t n, int64_t d) -> Cost {
      const double used = static_cast<double>(std::min(n, p.Int("max_rows"))), row = 1e-9 * used * (4 + 0.5 * static_cast<double>(d));
      const double score = kRowFloor + row * (0.1 + p.Real("nu"));
      return {.fit_seconds = kFitFloor + 3 * used * row + static_cast<double>(n) * score,
              .score_seconds_per_row = score,
              .fit_bytes = kBytesFloor + std::min(8 * used * used, 2.7e8) + 24 * used * static_cast<double>(d),
              .model_bytes = kBytesFloor + 16 * used * static_cast<double>(d)};
    },
    .make = [](const ParamSet& params) -> std::unique_ptr<Detector> { return std::make_unique<OneClassSvm>(params); },
};

}  // namespace vedette::outlier
