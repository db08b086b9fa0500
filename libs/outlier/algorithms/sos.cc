// Stochastic outlier selection (Janssens et al. 2012): every row binds itself to others with probabilities that fall with the
// distance, each row's reach set so that it binds to about `perplexity` others; the score is the probability that no row binds
// itself to this one.
//
// A new row is scored as if it had joined the reference rows, their reaches kept. Of more than max_rows training rows evenly
// spaced ones are the reference, and the others are scored as new.
#include <algorithm>
#include <cmath>

#include "outlier/cost.h"
#include "outlier/kernels/fast_exp.h"
#include "outlier/kernels/row_blocks.h"
#include "outlier/parallel.h"
#include "outlier/row_detector.h"
#include "outlier/state.h"

namespace vedette::outlier {
namespace {

constexpr int kMostTries = 200;
constexpr double kNowhere = 1e140;  // times the largest beta still finite

class Sos final : public RowDetector {
 public:
  explicit Sos(const ParamSet& params) : perplexity_(params.Real("perplexity")), tolerance_(params.Real("eps")), most_rows_(params.Int("max_rows")) {}

 private:
  absl::Status Learn(std::span<const double> rows, int64_t n, const Context& ctx) override {
    const int64_t used = std::min(n, most_rows_);
    reference_.clear();
    for (int64_t i = 0; i < used; ++i) {
      const auto row = rows.begin() + i * n / used * features();
      reference_.insert(reference_.end(), row, row + features());
    }
    const auto count = static_cast<size_t>(used);
    blocks_ = RowBlocks(reference_, count, d());
    beta_.assign(count, 1);
    total_.assign(count, 0);
    RETURN_IF_ERROR(ParallelBlocks(ctx, used, BlockRows(), [&](int64_t begin, int64_t end) {
      std::vector<double> distance(blocks_.padded());
      for (auto i = static_cast<size_t>(begin); i < static_cast<size_t>(end); ++i) {
        Distances(reference_.data() + i * d(), distance);
        distance[i] = kNowhere;  // a row does not bind to itself
        for (size_t j = blocks_.rows(); j < distance.size(); ++j) distance[j] = kNowhere;
        FindReach(distance, i);
      }
    }));
    // Each reference row's own score leaves itself out. Kept apart, because a row that joins again would bind to its copy.
    training_.assign(static_cast<size_t>(n), 0);
    RETURN_IF_ERROR(ParallelBlocks(ctx, n, BlockRows(), [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        // The reference row that this training row is, if any.
        int64_t self = (i * used + n - 1) / n;
        if (self >= used || self * n / used != i) self = -1;
        training_[static_cast<size_t>(i)] = Unbound(rows.data() + i * features(), self);
      }
    }));
    return absl::OkStatus();
  }
  absl::StatusOr<std::vector<double>> TrainingScores(std::span<const double>, int64_t, const Context&) override {
    return std::move(training_);
  }

  void Distances(const double* x, std::vector<double>& out) const {
    blocks_.SquaredDistances(x, out.data());
    for (double& v : out) v = std::min(std::sqrt(v) / unit().unit(), 1e150);
  }

  /// exp(-beta distance), at most kMostExponent deep.
  static double Affinity(double beta, double distance) {
    const double exponent = -beta * distance;
    return exponent > -690 ? ExpOfNegative(exponent) : 0;
  }

  /// The precision at which the entropy of row i's affinities is log(perplexity), by bisection, as in t-SNE.
  void FindReach(const std::vector<double>& distance, size_t i) {
    std::vector<double> affinity(distance.size());
    double beta = 1, low = 0, high = 0;
    for (int attempt = 0; attempt <= kMostTries; ++attempt) {
      double sums[RowBlocks::kWidth] = {}, weights[RowBlocks::kWidth] = {};
      for (size_t j = 0; j < distance.size(); ++j) affinity[j] = -beta * distance[j];
      ExpAllOfNegative(affinity.data(), affinity.size());
      for (size_t block = 0; block < distance.size(); block += RowBlocks::kWidth) {
        for (size_t r = 0; r < RowBlocks::kWidth; ++r) {
          sums[r] += affinity[block + r];
          weights[r] += distance[block + r] * affinity[block + r];
        }
      }
      double sum = 0, weighted = 0;
      for (size_t r = 0; r < RowBlocks::kWidth; ++r) sum += sums[r], weighted += weights[r];
      beta_[i] = beta;
      total_[i] = sum;
      if (!(sum > 0)) {  // all others are out of reach
        high = beta;
        beta = low > 0 ? (beta + low) / 2 : beta / 10;
        continue;
      }
      const double difference = std::log(sum) + beta * weighted / sum - std::log(perplexity_);
      if (std::fabs(difference) <= tolerance_) return;
      if (difference > 0) {
        low = beta;
        beta = high > 0 ? (beta + high) / 2 : beta * 2;
      } else {
        high = beta;
        beta = low > 0 ? (beta + low) / 2 : beta / 2;
      }
      beta = std::clamp(beta, 1e-150, 1e150);
    }
  }

  /// The product over the reference rows of 1 - (probability that it binds to x).
  double Unbound(const double* x, int64_t self) const {
    std::vector<double> distance(blocks_.padded());
    Distances(x, distance);
    double log_sum = 0;
    for (size_t i = 0; i < blocks_.rows(); ++i) {
      if (static_cast<int64_t>(i) == self) continue;
      const double a = Affinity(beta_[i], distance[i]);
      // A training row is among those that row i's total counts; a new one joins them.
      const double total = self >= 0 ? total_[i] : total_[i] + a;
      if (a > 0 && total > 0) log_sum += std::log1p(-std::min(a / total, 1.0));
    }
    return std::exp(log_sum);
  }
  double ScoreRow(std::span<const double> x) const override { return Unbound(x.data(), -1); }
  int64_t BlockRows() const override { return std::max<int64_t>(1, 1'000'000 / static_cast<int64_t>(blocks_.padded() * (d() + 20) + 1)); }

  /// The mean gap to the rows that bind most, by their affinities.
  bool ExplainRow(std::span<const double> x, std::span<double> parts, std::span<double> expected, double*) const override {
    std::vector<double> distance(blocks_.padded());
    Distances(x.data(), distance);
    size_t nearest = 0;
    for (size_t i = 1; i < blocks_.rows(); ++i) {
      if (distance[i] < distance[nearest]) nearest = i;
    }
    std::fill(expected.begin(), expected.end(), 0.0);
    double sum = 0;
    for (size_t i = 0; i < blocks_.rows(); ++i) {
      const double weight = Affinity(beta_[nearest], distance[i] - distance[nearest]);
      sum += weight;
      for (size_t j = 0; j < d(); ++j) expected[j] += weight * reference_[i * d() + j];
    }
    for (size_t j = 0; j < d(); ++j) {
      expected[j] /= sum;
      const double gap = unit().Unscaled(x[j] - expected[j]);
      parts[j] = gap * gap;
    }
    return true;
  }
  std::string_view space() const override { return "squared distance"; }

  void SaveState(ByteWriter& out) const override {
    for (const auto* v : {&beta_, &total_, &reference_}) out.Doubles(*v);
  }
  void LoadState(ByteReader& in) override {
    beta_ = in.Doubles();
    const auto n = static_cast<int64_t>(beta_.size());
    total_ = ReadDoubles(in, "the sums of affinities", n);
    reference_ = ReadDoubles(in, "the reference rows", n * features());
    if (!in.ok()) return;
    if (n == 0) return in.Fail("there are no reference rows");
    for (int64_t i = 0; i < n; ++i) {
      const auto at = static_cast<size_t>(i);
      if (!(beta_[at] > 0 && beta_[at] < 1e200 && total_[at] >= 0)) return in.Fail("a reach is out of range");
    }
    for (const double v : reference_) {
      if (std::fabs(v) > RowUnit::kMaxValue) return in.Fail("a reference row is out of range");
    }
    blocks_ = RowBlocks(reference_, beta_.size(), d());
  }

  double perplexity_, tolerance_;
  int64_t most_rows_;
  RowBlocks blocks_;
  std::vector<double> reference_, beta_, total_, training_;
};

constexpr ParamSpec kParams[] = {
    {.name = "perplexity",
     .type = ParamType::kReal,
     .default_value = "4.5",
     .min = 1,
     .max = 1000,
     .summary = "To how many others a row binds itself, about: the number of neighbours, made smooth."},
    {.name = "eps",
     .type = ParamType::kReal,
     .default_value = "1e-5",
     .min = 1e-12,
     .max = 0.1,
     .summary = "How near the entropy of a row's bindings must come to the perplexity's."},
    {.name = "max_rows",
     .type = ParamType::kInt,
     .default_value = "5000",
     .min = 10,
     .max = 50000,
     .summary = "Of more training rows, so many evenly spaced ones are what rows are compared with: the cost grows with the square."},
};

}  // namespace

extern const Descriptor k_sos;
const Descriptor k_sos = {
    .name = "sos",
    .family = "probabilistic",
    .summary = "The probability that no row would choose this one as a neighbour: a score with a meaning, in [0, 1]. Groups of "
               "anomalies choose each other; slows with the square of the rows.",
    .paper = "J. Janssens et al., Stochastic outlier selection, Tilburg technical report TiCC TR 2012-001, 2012",
    .params = kParams,
    .deterministic = true,
    .own_training_scores = true,
    .wants_scaling = true,
    .fit_cost = "O(n^2 (d + steps)) up to max_rows, then O(n)",
    .score_cost = "O(r d), r the reference rows",
    .cost = [](const ParamSet& p, int64_t n, int64_t d) -> Cost {
      const double r = static_cast<double>(std::min(n, p.Int("max_rows"))), side = static_cast<double>(d);
      const double row = kRowFloor + 1e-9 * r * (25 + side);
      return {.fit_seconds = kFitFloor + 1e-9 * r * r * (60 + side) + static_cast<double>(n) * row,
              .score_seconds_per_row = row,
              .fit_bytes = kBytesFloor + 16 * r * (side + 2) + 8 * static_cast<double>(n) * (side + 1),
              .model_bytes = kBytesFloor + 8 * r * (side + 2)};
    },
    .make = [](const ParamSet& params) -> std::unique_ptr<Detector> { return std::make_unique<Sos>(params); },
};

}  // namespace vedette::outlier
