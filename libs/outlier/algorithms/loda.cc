// LODA (Pevny 2016): sparse random projections, a histogram of each; the score is the mean of minus the log of the
// probability of the bins that a row falls in. A value beyond a histogram's range falls in an empty bin.
//
// PyOD 3.6.5 looks values up one bin too far (its search skips the first edge's bin); `lookup=pyod` does the same for
// comparison, the default does not.
#include <algorithm>
#include <cmath>

#include "base/rng.h"
#include "outlier/cost.h"
#include "outlier/parallel.h"
#include "outlier/row_detector.h"
#include "outlier/state.h"

namespace vedette::outlier {
namespace {

constexpr double kEmpty = 1e-12;  // added to every count

class Loda final : public RowDetector {
 public:
  explicit Loda(const ParamSet& params)
      : bins_(params.Int("n_bins")), cuts_(params.Int("n_random_cuts")), as_pyod_(params.Choice("lookup") == "pyod") {}

 private:
  absl::Status Learn(std::span<const double> rows, int64_t n, const Context& ctx) override {
    const auto bins = static_cast<size_t>(bins_), cuts = static_cast<size_t>(cuts_);
    projection_.assign(cuts * d(), 0);
    used_.assign(cuts, {});
    low_.assign(cuts, 0);
    width_.assign(cuts, 0);
    log_.assign(cuts * bins, 0);
    const int64_t kept = std::max<int64_t>(1, static_cast<int64_t>(std::sqrt(static_cast<double>(d()))));
    return ParallelBlocks(ctx, cuts_, 1, [&](int64_t begin, int64_t) {
      const auto c = static_cast<size_t>(begin);
      Rng rng(ctx.seed, c);
      double* const w = projection_.data() + c * d();
      for (const int64_t j : rng.Sample(features(), kept)) w[j] = rng.Normal();
      ListColumns(c);
      std::vector<double> values(static_cast<size_t>(n));
      for (size_t i = 0; i < values.size(); ++i) values[i] = Project(rows.data() + i * d(), c);
      const auto [least, most] = std::minmax_element(values.begin(), values.end());
      // As numpy's histogram: a range of no width is widened by one half to both sides.
      low_[c] = *least == *most ? *least - 0.5 : *least;
      width_[c] = ((*least == *most ? *most + 0.5 : *most) - low_[c]) / static_cast<double>(bins_);
      std::vector<double> counts(bins, kEmpty);
      for (const double v : values) counts[Bin(v, c, false)] += 1;
      double sum = 0;
      for (const double count : counts) sum += count;
      for (size_t b = 0; b < bins; ++b) log_[c * bins + b] = std::log(counts[b] / sum);
    });
  }

  double Project(const double* x, size_t c) const {
    double sum = 0;
    for (const auto& [j, w] : used_[c]) sum += x[j] * w;
    return sum;
  }
  /// The few columns that a projection uses.
  void ListColumns(size_t c) {
    used_[c].clear();
    for (size_t j = 0; j < d(); ++j) {
      if (projection_[c * d() + j] != 0) used_[c].emplace_back(j, projection_[c * d() + j]);
    }
  }
  /// Of a value within the range; with `shifted`, as PyOD finds it.
  size_t Bin(double v, size_t c, bool shifted) const {
    const double at = width_[c] > 0 ? (v - low_[c]) / width_[c] : 0;
    double bin = shifted ? std::ceil(at) : std::floor(at);
    if (shifted) bin = std::min(bin, static_cast<double>(bins_ - 1));
    return static_cast<size_t>(std::clamp(bin, 0.0, static_cast<double>(bins_ - 1)));
  }
  double LogProbability(double v, size_t c) const {
    const double at = v - low_[c];
    if (!as_pyod_ && (at < -1e-9 * width_[c] || at > width_[c] * (static_cast<double>(bins_) + 1e-9))) return std::log(kEmpty);
    return log_[c * static_cast<size_t>(bins_) + Bin(v, c, as_pyod_)];
  }

  double ScoreRow(std::span<const double> x) const override {
    double sum = 0;
    for (size_t c = 0; c < low_.size(); ++c) sum -= LogProbability(Project(x.data(), c), c);
    return sum / static_cast<double>(cuts_);
  }

  /// How much rarer the row is where a feature is part of a projection than where it is not (Pevny 2016, section 3.3).
  bool ExplainRow(std::span<const double> x, double, std::span<double> parts, std::span<double> expected) const override {
    std::vector<double> with(d()), without(d()), count(d());
    for (size_t c = 0; c < low_.size(); ++c) {
      const double rare = -LogProbability(Project(x.data(), c), c);
      const double* const w = projection_.data() + c * d();
      for (size_t j = 0; j < d(); ++j) {
        if (w[j] != 0) with[j] += rare, count[j] += 1;
        else without[j] += rare;
      }
    }
    for (size_t j = 0; j < d(); ++j) {
      const double others = static_cast<double>(cuts_) - count[j];
      parts[j] = count[j] == 0 ? 0 : with[j] / count[j] - (others > 0 ? without[j] / others : 0);
      expected[j] = center_[j];
    }
    return true;
  }
  std::string_view space() const override { return "mean of -log probability, with the feature less without it"; }

  absl::StatusOr<std::vector<double>> TrainingScores(std::span<const double> rows, int64_t n, const Context&) override {
    center_.assign(d(), 0);
    std::vector<double> column(static_cast<size_t>(n));
    for (size_t j = 0; j < d(); ++j) {
      for (size_t i = 0; i < column.size(); ++i) column[i] = rows[i * d() + j];
      std::nth_element(column.begin(), column.begin() + n / 2, column.end());
      center_[j] = column[static_cast<size_t>(n / 2)];
    }
    return std::vector<double>();
  }

  void SaveState(ByteWriter& out) const override {
    for (const auto* v : {&projection_, &low_, &width_, &log_, &center_}) out.Doubles(*v);
  }
  void LoadState(ByteReader& in) override {
    projection_ = ReadDoubles(in, "the projections", cuts_ * features());
    low_ = ReadDoubles(in, "the histograms' lower ends", cuts_);
    width_ = ReadDoubles(in, "the bins' widths", cuts_);
    log_ = ReadDoubles(in, "the bins' probabilities", cuts_ * bins_);
    center_ = ReadDoubles(in, "the centres", features());
    for (const double w : projection_) {
      if (std::fabs(w) > 100) return in.Fail("a projection is out of range");
    }
    if (!in.ok()) return;
    used_.assign(static_cast<size_t>(cuts_), {});
    for (size_t c = 0; c < used_.size(); ++c) ListColumns(c);
    for (const double l : log_) {
      if (!(l <= 0 && l > -1000)) return in.Fail("a probability is out of range");
    }
  }

  int64_t bins_, cuts_;
  bool as_pyod_;
  std::vector<std::vector<std::pair<size_t, double>>> used_;
  std::vector<double> projection_, low_, width_, log_, center_;
};

constexpr ParamSpec kParams[] = {
    {.name = "n_bins", .type = ParamType::kInt, .default_value = "10", .min = 2, .max = 1000, .summary = "Bins of each histogram."},
    {.name = "n_random_cuts",
     .type = ParamType::kInt,
     .default_value = "100",
     .min = 1,
     .max = 10000,
     .summary = "Number of random projections; more make the score steadier."},
    {.name = "lookup",
     .type = ParamType::kChoice,
     .default_value = "right",
     .choices = "right|pyod",
     .summary = "pyod looks values up one bin too far, as PyOD 3.6.5 does: for comparison only."},
};

}  // namespace

extern const Descriptor k_loda;
const Descriptor k_loda = {
    .name = "loda",
    .family = "ensemble",
    .summary = "How rare a row is in the histograms of a hundred sparse random projections: very fast, any number of rows. Weak where "
               "columns differ much in scale, and on local anomalies.",
    .paper = "T. Pevny, Loda: Lightweight on-line detector of anomalies, Machine Learning, 2016",
    .params = kParams,
    .deterministic = false,
    .wants_scaling = true,
    .fit_cost = "O(n k d), k the projections",
    .score_cost = "O(k d)",
    .cost = [](const ParamSet& p, int64_t n, int64_t d) -> Cost {
      const double k = static_cast<double>(p.Int("n_random_cuts"));
      return PassCost(n, d, 4 + 3 * k, 1 + 1.5 * k, 8 * k * static_cast<double>(d + p.Int("n_bins")));
    },
    .make = [](const ParamSet& params) -> std::unique_ptr<Detector> { return std::make_unique<Loda>(params); },
};

}  // namespace vedette::outlier
