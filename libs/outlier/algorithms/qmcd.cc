// Quasi-Monte Carlo discrepancy (Fang et al. 2001): how much a row adds to the wrap-around discrepancy of the rows scaled to the
// unit cube, (1/n^2) sum over rows of prod over columns of 3/2 - |gap| + gap^2, less (4/3)^d. Where the training scores lean
// to the low side (negative skewness, or light tails), rows in dense places have the high values and the scores are turned
// round, as in PyOD.
//
// A new row outside the cube scores as the nearest place inside, plus its excess times the range of the training scores
// (PyOD's formula gives far rows the lowest scores where they are turned round).
#include <algorithm>
#include <cmath>

#include "outlier/cost.h"
#include "outlier/parallel.h"
#include "outlier/row_detector.h"
#include "outlier/state.h"

namespace vedette::outlier {
namespace {

constexpr size_t kWidth = 8;  // rows side by side

class Qmcd final : public RowDetector {
 public:
  explicit Qmcd(const ParamSet& params) : most_rows_(params.Int("max_rows")) {}

 private:
  absl::Status Learn(std::span<const double> rows, int64_t n, const Context& ctx) override {
    low_.assign(d(), 0);
    span_.assign(d(), 1);
    for (size_t j = 0; j < d(); ++j) {
      double least = rows[j], most = rows[j];
      for (size_t i = 0; i < static_cast<size_t>(n); ++i) {
        least = std::min(least, rows[i * d() + j]);
        most = std::max(most, rows[i * d() + j]);
      }
      low_[j] = least;
      if (most > least) span_[j] = most - least;
    }
    used_ = std::min(n, most_rows_);
    cube_.assign(static_cast<size_t>((used_ + 7) / 8 * 8) * d(), 0);
    for (int64_t i = 0; i < used_; ++i) {
      const double* const row = rows.data() + i * n / used_ * features();
      for (size_t j = 0; j < d(); ++j) cube_[(static_cast<size_t>(i) / kWidth * d() + j) * kWidth + static_cast<size_t>(i) % kWidth] = (row[j] - low_[j]) / span_[j];
    }
    flipped_ = false;
    turn_ = 0;
    range_ = 0;
    std::vector<double> scores(static_cast<size_t>(n));
    RETURN_IF_ERROR(ParallelBlocks(ctx, n, BlockRows(), [&](int64_t begin, int64_t end) {
      for (auto i = static_cast<size_t>(begin); i < static_cast<size_t>(end); ++i) scores[i] = ScoreRow({rows.data() + i * d(), d()});
    }));
    Orient(scores);
    return absl::OkStatus();
  }

  void Orient(const std::vector<double>& scores) {
    const auto n = static_cast<double>(scores.size());
    double mean = 0, m2 = 0, m3 = 0, m4 = 0;
    for (const double s : scores) mean += s / n;
    for (const double s : scores) {
      const double e = s - mean;
      m2 += e * e / n, m3 += e * e * e / n, m4 += e * e * e * e / n;
    }
    const auto [least, most] = std::minmax_element(scores.begin(), scores.end());
    range_ = *most - *least;
    const double skewness = m3 / std::pow(m2, 1.5), kurtosis = m4 / (m2 * m2) - 3;
    flipped_ = m2 > 0 && (skewness < 0 || kurtosis < 0);
    turn_ = *most + *least;
  }

  double ScoreRow(std::span<const double> x) const override {
    std::vector<double> z(d());
    double excess = 0;
    for (size_t j = 0; j < d(); ++j) {
      const double at = (x[j] - low_[j]) / span_[j];
      z[j] = std::clamp(at, 0.0, 1.0);
      excess += std::fabs(at - z[j]);
    }
    double sum = 0;
    for (size_t block = 0; block * kWidth < static_cast<size_t>(used_); ++block) {
      double product[kWidth];
      std::fill(product, product + kWidth, 1.0);
      const double* values = cube_.data() + block * d() * kWidth;
      for (size_t j = 0; j < d(); ++j, values += kWidth) {
        for (size_t r = 0; r < kWidth; ++r) {
          const double gap = std::fabs(z[j] - values[r]);
          product[r] *= 1.5 - gap + gap * gap;
        }
      }
      const size_t count = std::min(kWidth, static_cast<size_t>(used_) - block * kWidth);
      for (size_t r = 0; r < count; ++r) sum += product[r];
    }
    const auto n = static_cast<double>(used_);
    double score = sum / n / n - std::pow(4.0 / 3.0, static_cast<double>(d()));
    if (flipped_) score = turn_ - score;
    return score + std::min(excess, 1e200) * range_;
  }
  int64_t BlockRows() const override { return std::max<int64_t>(1, 2'000'000 / (used_ * features() + 1)); }

  void SaveState(ByteWriter& out) const override {
    out.I64(used_);
    out.U8(flipped_ ? 1 : 0);
    out.F64(turn_);
    out.F64(range_);
    for (const auto* v : {&low_, &span_, &cube_}) out.Doubles(*v);
  }
  void LoadState(ByteReader& in) override {
    used_ = ReadInt(in, "the number of rows", 1, int64_t{1} << 31);
    flipped_ = in.U8() == 1;
    turn_ = ReadFinite(in, "the turn");
    range_ = ReadFinite(in, "the range");
    low_ = ReadDoubles(in, "the least values", features());
    span_ = ReadDoubles(in, "the ranges", features());
    cube_ = ReadDoubles(in, "the rows", (used_ + 7) / 8 * 8 * features());
    for (const double s : span_) {
      if (!(s > 0)) return in.Fail("a range is not positive");
    }
    for (const double v : cube_) {
      if (!(v >= 0 && v <= 1)) return in.Fail("a row lies outside the cube");
    }
  }

  int64_t most_rows_, used_ = 1;
  bool flipped_ = false;
  double turn_ = 0, range_ = 0;
  std::vector<double> low_, span_, cube_;
};

constexpr ParamSpec kParams[] = {
    {.name = "max_rows",
     .type = ParamType::kInt,
     .default_value = "50000",
     .min = 10,
     .max = 1000000,
     .summary = "Of more training rows, so many evenly spaced ones are what rows are compared with: the cost grows with the square."},
};

}  // namespace

extern const Descriptor k_qmcd;
const Descriptor k_qmcd = {
    .name = "qmcd",
    .family = "probabilistic",
    .summary = "How much a row disturbs the even filling of the unit cube: all columns count alike, no scale, no neighbours. Coarse in "
               "many columns; slows with the square of the rows.",
    .paper = "K.-T. Fang, C.-X. Ma, Wrap-around L2-discrepancy of random sampling, Latin hypercube and uniform designs, J. Complexity, 2001",
    .params = kParams,
    .deterministic = true,
    .explains = false,
    .fit_cost = "O(n^2 d) up to max_rows, then O(n)",
    .score_cost = "O(r d), r the reference rows",
    .cost = [](const ParamSet& p, int64_t n, int64_t d) -> Cost {
      const double r = static_cast<double>(std::min(n, p.Int("max_rows"))), side = static_cast<double>(d), row = kRowFloor + 8e-10 * r * side;
      return {.fit_seconds = kFitFloor + 2 * static_cast<double>(n) * row,
              .score_seconds_per_row = row,
              .fit_bytes = kBytesFloor + 8 * (r + static_cast<double>(n)) * side,
              .model_bytes = kBytesFloor + 8 * (r + 8) * side};
    },
    .make = [](const ParamSet& params) -> std::unique_ptr<Detector> { return std::make_unique<Qmcd>(params); },
};

}  // namespace vedette::outlier
