// Kernel PCA reconstruction error (Hoffmann 2007): how far a row's image in the kernel's space lies from the leading
// principal components there: k(x, x) - 2 mean k(x, .) + mean k - sum of squared projections.
//
// PyOD keeps all components by default, which leaves nothing but rounding errors on the training rows; ours keeps those
// that hold `variance_share` of the variance, unless n_components says how many. Of more than max_rows training rows
// evenly spaced ones are the reference; all are scored alike.
#include <algorithm>
#include <cmath>

#include "base/status.h"
#include "outlier/cost.h"
#include "outlier/eigen.h"
#include "outlier/kernels/fast_exp.h"
#include "outlier/kernels/row_blocks.h"
#include "outlier/parallel.h"
#include "outlier/row_detector.h"
#include "outlier/state.h"

namespace vedette::outlier {
namespace {

class KernelPca final : public RowDetector {
 public:
  explicit KernelPca(const ParamSet& params)
      : linear_(params.Choice("kernel") == "linear"),
        asked_gamma_(params.Real("gamma")),
        asked_components_(params.Int("n_components")),
        share_(params.Real("variance_share")),
        most_rows_(params.Int("max_rows")) {}

 private:
  absl::Status Learn(std::span<const double> rows, int64_t n, const Context& ctx) override {
    const int64_t used = std::min(n, most_rows_);
    reference_.clear();
    for (int64_t i = 0; i < used; ++i) {
      const auto row = rows.begin() + i * n / used * features();
      reference_.insert(reference_.end(), row, row + features());
    }
    SetScale();
    const auto m = static_cast<size_t>(used);
    blocks_ = RowBlocks(reference_, m, d());
    std::vector<double> K(m * m), row(blocks_.padded());
    mean_.assign(m, 0);
    all_ = 0;
    for (size_t i = 0; i < m; ++i) {
      if (i % 16 == 0) RETURN_IF_ERROR(ctx.Check());
      Row(reference_.data() + i * d(), row);
      for (size_t j = 0; j < m; ++j) {
        K[i * m + j] = row[j];
        mean_[i] += row[j] / static_cast<double>(m);
      }
      all_ += mean_[i] / static_cast<double>(m);
    }
    double trace = 0;
    for (size_t i = 0; i < m; ++i) {
      for (size_t j = 0; j < m; ++j) K[i * m + j] += all_ - mean_[i] - mean_[j];
      trace += K[i * m + i];
    }
    ASSIGN_OR_RETURN(const SymmetricEigen eigen, EigenOf(K, m, ctx));
    Select(eigen, m, trace);
    return absl::OkStatus();
  }

  /// gamma for values in units of unit().
  void SetScale() {
    const double own = std::clamp(1 / (unit().unit() * unit().unit()), 1e-200, 1e200);
    if (asked_gamma_ > 0) {
      gamma_ = std::min(asked_gamma_ * own, 1e200);
    } else if (asked_gamma_ == 0) {
      gamma_ = std::min(own / static_cast<double>(d()), 1e200);
    } else {
      double mean = 0, variance = 0;
      for (const double v : reference_) mean += v / static_cast<double>(reference_.size());
      for (const double v : reference_) variance += (v - mean) * (v - mean) / static_cast<double>(reference_.size());
      gamma_ = variance > 0 && std::isfinite(1 / variance) ? 1 / (static_cast<double>(d()) * variance) : 1;
    }
  }

  void Select(const SymmetricEigen& eigen, size_t m, double trace) {
    components_.clear();
    double held = 0;
    for (size_t k = m; k-- > 0;) {
      const double value = eigen.values[k], inverse = value > 0 ? 1 / std::sqrt(value) : 0;
      const auto have = static_cast<int64_t>(components_.size() / m);
      if (!(value > 1e-12 * eigen.values.back()) ||
          (asked_components_ > 0 ? have >= asked_components_ : held >= share_ * trace))
        break;
      for (size_t i = 0; i < m; ++i) components_.push_back(eigen.vectors[k * m + i] * inverse);
      held += value;
    }
  }

  void Row(const double* x, std::vector<double>& out) const {
    if (linear_) return blocks_.Products(x, out.data());
    blocks_.SquaredDistances(x, out.data());
    for (double& v : out) {
      const double exponent = std::max(-gamma_ * v, -700.0);
      v = exponent <= -700 ? 0 : ExpOfNegative(exponent);
    }
  }

  double ScoreRow(std::span<const double> x) const override {
    std::vector<double> row(blocks_.padded());
    Row(x.data(), row);
    const size_t m = mean_.size();
    double self = linear_ ? 0 : 1, mean = 0;
    for (size_t j = 0; j < d() && linear_; ++j) self += x[j] * x[j];
    for (size_t i = 0; i < m; ++i) mean += row[i] / static_cast<double>(m);
    double error = self - 2 * mean + all_;
    for (size_t i = 0; i < m; ++i) row[i] += all_ - mean - mean_[i];
    for (size_t at = 0; at < components_.size(); at += m) {
      constexpr size_t kLanes = 8;
      double lanes[kLanes] = {}, projection = 0;
      size_t i = 0;
      for (; i + kLanes <= m; i += kLanes) {
        for (size_t r = 0; r < kLanes; ++r) lanes[r] += components_[at + i + r] * row[i + r];
      }
      for (; i < m; ++i) projection += components_[at + i] * row[i];
      for (const double lane : lanes) projection += lane;
      error -= projection * projection;
    }
    return std::isnan(error) ? std::numeric_limits<double>::max() : error;
  }
  int64_t BlockRows() const override {
    return std::max<int64_t>(1,
                             4'000'000 / static_cast<int64_t>(blocks_.padded() * (d() + 8) + components_.size() + 1));
  }

  /// Squared gaps to the reference rows nearby, by their kernels.
  bool ExplainRow(std::span<const double> x, std::span<double> parts,
                  std::span<double> expected, double*) const override {
    std::vector<double> squared(blocks_.padded());
    blocks_.SquaredDistances(x.data(), squared.data());
    const double nearest = *std::min_element(squared.begin(), squared.begin() + static_cast<int64_t>(mean_.size()));
    std::fill(expected.begin(), expected.end(), 0.0);
    double total = 0;
    for (size_t i = 0; i < mean_.size(); ++i) {
      const double exponent = linear_ ? 0 : (nearest - squared[i]) * gamma_;
      const double weight = exponent < -600 ? 0 : ExpOfNegative(exponent);
      total += weight;
      for (size_t j = 0; j < d(); ++j) expected[j] += weight * reference_[i * d() + j];
    }
    for (size_t j = 0; j < d(); ++j) {
      expected[j] /= total;
      const double gap = unit().Unscaled(x[j] - expected[j]);
      parts[j] = gap * gap;
    }
    return true;
  }
  std::string_view space() const override { return "squared distance to the rows nearby"; }

  void SaveState(ByteWriter& out) const override {
    out.F64(gamma_);
    out.F64(all_);
    for (const auto* v : {&mean_, &reference_, &components_}) out.Doubles(*v);
  }
  void LoadState(ByteReader& in) override {
    gamma_ = ReadFinite(in, "gamma");
    all_ = ReadFinite(in, "the mean kernel");
    mean_ = in.Doubles();
    const auto m = static_cast<int64_t>(mean_.size());
    reference_ = ReadDoubles(in, "the reference rows", m * features());
    components_ = in.Doubles();
    if (!in.ok()) return;
    if (m == 0 || components_.size() % mean_.size() != 0 || !(gamma_ > 0))
      return in.Fail("the components do not fit the reference rows");
    for (const auto* v : {&mean_, &components_}) {
      for (const double x : *v) {
        if (!(std::fabs(x) < 1e220)) return in.Fail("a component is out of range");
      }
    }
    for (const double v : reference_) {
      if (std::fabs(v) > RowUnit::kMaxValue) return in.Fail("a reference row is out of range");
    }
    blocks_ = RowBlocks(reference_, mean_.size(), d());
  }

  bool linear_;
  double asked_gamma_;
  int64_t asked_components_;
  double share_;
  int64_t most_rows_;
  double gamma_ = 1, all_ = 0;
  RowBlocks blocks_;
  std::vector<double> mean_, reference_, components_;
};

constexpr ParamSpec kParams[] = {
    {.name = "kernel",
     .type = ParamType::kChoice,
     .default_value = "rbf",
     .choices = "rbf|linear",
     .summary = "How alike two rows are."},
    {.name = "gamma",
     .type = ParamType::kReal,
     .default_value = "scale",
     .min = -1,
     .max = 1e6,
     .choices = "auto=0|scale=-1",
     .summary = "Of rbf; scale is 1 / (columns x variance of all values), auto is 1 / columns."},
    {.name = "n_components",
     .type = ParamType::kInt,
     .default_value = "auto",
     .min = 0,
     .max = 10000,
     .choices = "auto=0",
     .summary = "Components that a row is rebuilt from; auto is as many as hold variance_share."},
    {.name = "variance_share",
     .type = ParamType::kReal,
     .default_value = "0.9",
     .min = 0.01,
     .max = 0.9999,
     .summary = "Share of the variance in the kernel's space that the kept components hold."},
    {.name = "max_rows",
     .type = ParamType::kInt,
     .default_value = "1000",
     .min = 10,
     .max = 5000,
     .summary = "Of more training rows, so many evenly spaced ones are fitted on: the cost grows with the cube."},
};

}  // namespace

extern const Descriptor k_kpca;
const Descriptor k_kpca = {
    .name = "kpca",
    .family = "linear",
    .summary =
        "How badly a row is rebuilt from the main curved directions of variation: normal data on bent surfaces. Needs "
        "comparable "
        "scales; fitted on at most a thousand rows.",
    .paper = "H. Hoffmann, Kernel PCA for novelty detection, Pattern Recognition, 2007",
    .params = kParams,
    .deterministic = true,
    .wants_scaling = true,
    .fit_cost = "O(r^3 + n r (d + c)), r the reference rows, c the components",
    .score_cost = "O(r (d + c))",
    .cost = [](const ParamSet& p, int64_t n, int64_t d) -> Cost {
      const double r = static_cast<double>(std::min(n, p.Int("max_rows"))),
                   row = kRowFloor + 1e-9 * r * (4 + static_cast<double>(d) + r / 20);
      return {.fit_seconds = kFitFloor + 4e-9 * r * r * r + static_cast<double>(n) * row,
              .score_seconds_per_row = row,
              .fit_bytes = kBytesFloor + 24 * r * r + 8 * static_cast<double>(n * d),
              .model_bytes = kBytesFloor + 8 * r * (static_cast<double>(d) + r / 5)};
    },
    .make = [](const ParamSet& params) -> std::unique_ptr<Detector> { return std::make_unique<KernelPca>(params); },
};

}  // namespace vedette::outlier
