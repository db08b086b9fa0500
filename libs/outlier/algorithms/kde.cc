// Kernel density estimate: minus the log of the mean of Gaussian kernels on the training rows (a training row counts
// itself, as in PyOD). The bandwidth is in the data's own units.
#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>

#include "outlier/cost.h"
#include "outlier/kernel_means.h"
#include "outlier/kernels/gaussian_sums.h"
#include "outlier/kernels/row_blocks.h"
#include "outlier/row_detector.h"
#include "outlier/state.h"

namespace vedette::outlier {
namespace {

constexpr int kTogether = GaussianMeans::kTogether;  // rows

class Kde final : public RowDetector {
 public:
  explicit Kde(const ParamSet& params) : bandwidth_(params.Real("bandwidth")) {}

 private:
  absl::Status Learn(std::span<const double> rows, int64_t n, const Context& ctx) override {
    rows_ = RowBlocks(rows, static_cast<size_t>(n), d(), ctx);
    means_ = GaussianMeans(rows_, {}, Inverse(), ctx);
    return ctx.Check();
  }
  double Inverse() const {
    const double h = bandwidth_ * unit().unit();
    return std::min(1 / (2 * h * h), 1e90);
  }

  /// Of rows far from all, the kernels are summed again, relative to the nearest: else they would vanish.
  void Densities(const double* const* x, int count, double* scores) const {
    constexpr double kVanishing = 300;
    const double inverse = Inverse(), log_h = std::log(bandwidth_) + 0.5 * std::log(2 * std::numbers::pi);
    GaussianSum sums[kTogether];
    GaussianSums(rows_, nullptr, inverse, x, nullptr, count, sums);
    for (int q = 0; q < count; ++q) {
      double taken = 0;
      if (sums[q].nearest * inverse > kVanishing) {
        const double nearest = sums[q].nearest;
        GaussianSums(rows_, nullptr, inverse, x + q, &nearest, 1, sums + q);
        taken = nearest * inverse;
      }
      scores[q] =
          Finite(taken - std::log(sums[q].sum / static_cast<double>(rows_.rows())) + static_cast<double>(d()) * log_h);
    }
  }
  double ScoreRow(std::span<const double> x) const override {
    const double* const row = x.data();
    double score = 0;
    Densities(&row, 1, &score);
    return score;
  }
  void ScoreRows(MatrixView X, int64_t begin, int64_t end, double* scores) const override {
    std::vector<double> values(kTogether * d());
    const double* x[kTogether];
    for (int q = 0; q < kTogether; ++q) x[q] = values.data() + static_cast<size_t>(q) * d();
    for (int64_t at = begin; at < end; at += kTogether) {
      const int count = static_cast<int>(std::min<int64_t>(kTogether, end - at));
      for (int q = 0; q < count; ++q) unit().Read(X, at + q, values.data() + static_cast<size_t>(q) * d());
      Densities(x, count, scores + (at - begin));
    }
  }

  /// The gradient of the score along the way to the row's kernel-weighted mean: each feature's squared gap to that
  /// mean, in bandwidths.
  bool ExplainRows(MatrixView X, int64_t begin, int64_t end, const RowParts& out) const override {
    const double inverse = Inverse();
    KernelMeanParts(unit(), X, begin, end, means_, rows_, out,
                    [inverse](double x, double mean) { return Finite((x - mean) * (x - mean) * inverse); });
    return true;
  }
  std::string_view space() const override { return "half the squared distance to the rows nearby, in bandwidths"; }
  int64_t BlockRows() const override {
    return std::max<int64_t>(1, 1'000'000 / static_cast<int64_t>(rows_.padded() * (d() + 8))) * kTogether;
  }

  void SaveState(ByteWriter& out) const override {
    out.I64(static_cast<int64_t>(rows_.rows()));
    std::vector<double> rows;
    rows.reserve(rows_.rows() * d());
    for (size_t i = 0; i < rows_.rows(); ++i) {
      for (size_t j = 0; j < d(); ++j) rows.push_back(rows_.at(i, j));
    }
    out.Doubles(rows);
  }
  void LoadState(ByteReader& in) override {
    const int64_t n = ReadInt(in, "the number of rows", 1, int64_t{1} << 31);
    const std::vector<double> rows = ReadDoubles(in, "the rows", n * features());
    for (const double v : rows) {
      if (std::fabs(v) > RowUnit::kMaxValue) return in.Fail("a value is out of range");
    }
    if (!in.ok()) return;
    rows_ = RowBlocks(rows, static_cast<size_t>(n), d());
    means_ = GaussianMeans(rows_, {}, Inverse());
  }

  double bandwidth_;
  RowBlocks rows_;
  GaussianMeans means_;
};

constexpr ParamSpec kParams[] = {
    {.name = "bandwidth",
     .type = ParamType::kReal,
     .default_value = "1",
     .min = 1e-6,
     .max = 1e6,
     .summary = "Standard deviation of the kernels, in the units of the data: 1 suits standardised columns."},
};

}  // namespace

extern const Descriptor k_kde;
const Descriptor k_kde = {
    .name = "kde",
    .family = "probabilistic",
    .summary =
        "How thinly the training rows lie around a row, by Gaussian kernels: any shape of normal data, in few columns. "
        "Needs "
        "comparable scales; every row is compared with all.",
    .paper = "L. J. Latecki, A. Lazarevic, D. Pokrajac, Outlier detection with kernel density functions, MLDM, 2007",
    .params = kParams,
    .deterministic = true,
    .wants_scaling = true,
    .fit_cost = "O(n^2 d)",
    .score_cost = "O(n d)",
    .cost = [](const ParamSet&, int64_t n, int64_t d) -> Cost {
      const double row = kRowFloor + 1e-9 * static_cast<double>(n) * (1 + 0.15 * static_cast<double>(d));
      const double bytes = kBytesFloor + static_cast<double>(12 * (n + 64) * (d + 1));  // in double, and in float32
      return {.fit_seconds = kFitFloor + static_cast<double>(n) * row,
              .score_seconds_per_row = row,
              .fit_bytes = 2 * bytes,
              .model_bytes = bytes};
    },
    .make = [](const ParamSet& params) -> std::unique_ptr<Detector> { return std::make_unique<Kde>(params); },
};

}  // namespace vedette::outlier
