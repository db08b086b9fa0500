// One-class support vector machine (Schoelkopf et al. 2001): the smallest region in the kernel's space that holds about
// 1 - nu of the training rows; the score is how far outside a row lies, rho - sum alpha_i k(x_i, x).
//
// Solved (kernels/one_class_solver.h) to a violation of `tol` with 0 <= alpha <= 1, sum alpha = nu n: the scaling of
// libsvm, which PyOD uses (it stops at 1e-3, too early where no two rows are alike: the order of its scores is then
// that of its steps). Above max_rows training rows, evenly spaced ones are fitted on, and all are scored.
#include <algorithm>
#include <cmath>
#include <limits>

#include "base/status.h"
#include "outlier/cost.h"
#include "outlier/kernel_means.h"
#include "outlier/kernels/kernel_function.h"
#include "outlier/kernels/one_class_solver.h"
#include "outlier/row_detector.h"
#include "outlier/state.h"

namespace vedette::outlier {
namespace {

class OneClassSvm final : public RowDetector {
 public:
  explicit OneClassSvm(const ParamSet& params)
      : nu_(params.Real("nu")),
        gamma_(params.Real("gamma")),
        tolerance_(params.Real("tol")),
        most_rows_(params.Int("max_rows")) {
    kernel_.kind = KernelOf(params.Choice("kernel"));
    kernel_.degree = static_cast<double>(params.Int("degree"));
    kernel_.coef0 = params.Real("coef0");
  }

 private:
  absl::Status Learn(std::span<const double> rows, int64_t n, const Context& ctx) override {
    const int64_t used = std::min(n, most_rows_);
    const std::vector<int64_t> order = EvenlySpacedOrder(rows, n, features(), used);
    std::vector<double> some;
    for (const int64_t i : order)
      some.insert(some.end(), rows.begin() + i * features(), rows.begin() + (i + 1) * features());
    kernel_.gamma = KernelGamma(gamma_, some, d(), unit().unit());
    const auto count = static_cast<size_t>(used);
    ASSIGN_OR_RETURN(const OneClassFit fit, SolveOneClass(kernel_, some, count, d(), nu_, tolerance_, ctx));
    rho_ = fit.rho;
    std::vector<double> alpha;
    vectors_.clear();
    for (size_t i = 0; i < count; ++i) {
      if (fit.alpha[i] <= 0) continue;
      alpha.push_back(fit.alpha[i]);
      vectors_.insert(vectors_.end(), some.begin() + static_cast<int64_t>(i * d()),
                      some.begin() + static_cast<int64_t>((i + 1) * d()));
    }
    expansion_ = KernelExpansion(kernel_, vectors_, std::move(alpha), d());
    means_ = Means(ctx);
    training_.clear();
    if (used < n) return absl::OkStatus();
    // The gradients are the scores of the rows that were fitted on, to the last bit.
    training_.resize(count);
    for (size_t i = 0; i < count; ++i) training_[static_cast<size_t>(order[i])] = Finite(rho_ - fit.gradient[i]);
    return absl::OkStatus();
  }
  absl::StatusOr<std::vector<double>> TrainingScores(std::span<const double>, int64_t, const Context&) override {
    return std::move(training_);
  }

  double ScoreRow(std::span<const double> x) const override {
    const double* const row = x.data();
    double sum = 0;
    expansion_.Sums(&row, 1, &sum);
    return rho_ - sum;
  }
  void ScoreRows(MatrixView X, int64_t begin, int64_t end, double* scores) const override {
    constexpr int kTogether = KernelExpansion::kTogether;
    std::vector<double> values(kTogether * d());
    const double* x[kTogether];
    for (int q = 0; q < kTogether; ++q) x[q] = values.data() + static_cast<size_t>(q) * d();
    for (int64_t at = begin; at < end; at += kTogether) {
      const int count = static_cast<int>(std::min<int64_t>(kTogether, end - at));
      for (int q = 0; q < count; ++q) unit().Read(X, at + q, values.data() + static_cast<size_t>(q) * d());
      double sums[kTogether];
      expansion_.Sums(x, count, sums);
      for (int q = 0; q < count; ++q) scores[at - begin + q] = Finite(rho_ - sums[q]);
    }
  }

  /// Other kernels than Gaussian ones say nothing of distance: all support vectors count.
  GaussianMeans Means(const Context& ctx) const {
    return {expansion_.blocks(), expansion_.weights(), kernel_.kind == Kernel::kRbf ? kernel_.gamma : 0, ctx};
  }
  /// Squared gaps to the mean of the support vectors, weighed by their kernels on the row.
  bool ExplainRows(MatrixView X, int64_t begin, int64_t end, const RowParts& out) const override {
    KernelMeanParts(unit(), X, begin, end, means_, expansion_.blocks(), out, [this](double x, double mean) {
      const double gap = unit().Unscaled(x - mean);
      return Finite(gap * gap);
    });
    return true;
  }
  std::string_view space() const override { return "squared distance"; }
  int64_t BlockRows() const override { return expansion_.BlockRows(); }

  void SaveState(ByteWriter& out) const override {
    out.F64(rho_);
    out.F64(kernel_.gamma);
    out.Doubles(std::vector<double>(expansion_.weights().begin(), expansion_.weights().end()));
    out.Doubles(vectors_);
  }
  void LoadState(ByteReader& in) override {
    rho_ = ReadFinite(in, "rho");
    kernel_.gamma = ReadFinite(in, "gamma");
    std::vector<double> alpha = in.Doubles();
    vectors_ = ReadDoubles(in, "the support vectors", static_cast<int64_t>(alpha.size()) * features());
    if (!in.ok()) return;
    if (alpha.empty() || !(kernel_.gamma > 0)) return in.Fail("there are no support vectors, or gamma is not positive");
    for (const double a : alpha) {
      if (!(a > 0 && a <= 1)) return in.Fail("a weight is out of range");
    }
    for (const double v : vectors_) {
      if (std::fabs(v) > RowUnit::kMaxValue) return in.Fail("a support vector is out of range");
    }
    expansion_ = KernelExpansion(kernel_, vectors_, std::move(alpha), d());
    means_ = Means({});
  }

  double nu_, gamma_, tolerance_;
  int64_t most_rows_;
  KernelFunction kernel_;
  double rho_ = 0;
  std::vector<double> vectors_, training_;
  KernelExpansion expansion_;
  GaussianMeans means_;
};

constexpr ParamSpec kParams[] = {
    {.name = "nu",
     .type = ParamType::kReal,
     .default_value = "0.5",
     .min = 0.001,
     .max = 1,
     .summary = "Most of the training rows that may lie outside, and least that are support vectors, as a share."},
    {.name = "kernel",
     .type = ParamType::kChoice,
     .default_value = "rbf",
     .choices = "rbf|linear|poly|sigmoid",
     .summary = "How alike two rows are."},
    {.name = "gamma",
     .type = ParamType::kReal,
     .default_value = "scale",
     .min = -1,
     .max = 1e6,
     .choices = "auto=0|scale=-1",
     .summary = "Of rbf, poly and sigmoid; scale is 1 / (columns x variance of all values); auto, PyOD's default, is 1 "
                "/ columns, "
                "which suits standardised columns only."},
    {.name = "degree",
     .type = ParamType::kInt,
     .default_value = "3",
     .min = 1,
     .max = 20,
     .summary = "Of the poly kernel; not used by others."},
    {.name = "coef0",
     .type = ParamType::kReal,
     .default_value = "0",
     .min = -1e6,
     .max = 1e6,
     .summary = "Added inside the poly and sigmoid kernels."},
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
    .summary =
        "How far outside the smallest region that holds most rows, bent by a kernel: any shape of one normal class. "
        "Needs "
        "standardised columns (raw units make the rbf kernel useless), and slows with the square of the rows.",
    .paper =
        "B. Schoelkopf et al., Estimating the support of a high-dimensional distribution, Neural Computation, 2001",
    .params = kParams,
    .deterministic = true,
    .wants_scaling = true,
    .fit_cost = "O(n^2 d) up to max_rows, then O(n)",
    .score_cost = "O(v d), v the support vectors",
    .cost = [](const ParamSet& p, int64_t n, int64_t d) -> Cost {
      const double used = static_cast<double>(std::min(n, p.Int("max_rows")));
      // Of more than some thousand rows, parts of the kernel matrix are computed again and again.
      const double row = 1e-6 + 1e-9 * used * (1 + used / 10000) * (0.25 + 0.02 * static_cast<double>(d));
      const double score = kRowFloor + row * (0.1 + p.Real("nu"));
      return {.fit_seconds = kFitFloor + used * row + static_cast<double>(n) * score,
              .score_seconds_per_row = score,
              .fit_bytes = kBytesFloor + std::min(8 * used * used, 2.7e8) + 28 * used * static_cast<double>(d),
              .model_bytes = kBytesFloor + 20 * used * static_cast<double>(d)};
    },
    .make = [](const ParamSet& params) -> std::unique_ptr<Detector> { return std::make_unique<OneClassSvm>(params); },
};

}  // namespace vedette::outlier
