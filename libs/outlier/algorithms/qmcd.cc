// Quasi-Monte Carlo discrepancy (Fang et al. 2001): how much a row adds to the wrap-around discrepancy of the rows
// scaled to the unit cube, (1/n^2) sum over rows of prod over columns of 3/2 - |gap| + gap^2, less (4/3)^d. Where the
// training scores lean to the low side (negative skewness, or light tails), rows in dense places have the high values
// and the scores are turned round, as in PyOD.
//
// A new row outside the cube scores as the nearest place inside, plus its excess times the range of the training scores
// (PyOD's formula gives far rows the lowest scores where they are turned round).
#include <algorithm>
#include <cmath>

#include "outlier/cost.h"
#include "outlier/kernels/simd.h"
#include "outlier/parallel.h"
#include "outlier/row_detector.h"
#include "outlier/state.h"

namespace vedette::outlier {
namespace {

constexpr size_t kWidth = 16;      // rows side by side
constexpr size_t kTogether = 4;    // rows that are scored together
constexpr size_t kFeatures = 512;  // whose product surely fits float32
/// 3/2 - g + g^2 = 4/3 (15/16 + (c g - c/2)^2) with c^2 = 3/4: the rows are kept times c, and 4/3 is taken out of the
/// products.
constexpr double kMost = 1e70;  // of hundreds of columns: scores stay finite, and the squares of their gaps
constexpr double kRoot = 0.86602540378443864676;

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
    cube_.assign(static_cast<size_t>(used_) * d(), 0);
    for (int64_t i = 0; i < used_; ++i) {
      const double* const row = rows.data() + i * n / used_ * features();
      for (size_t j = 0; j < d(); ++j) cube_[static_cast<size_t>(i) * d() + j] = (row[j] - low_[j]) / span_[j];
    }
    Derive();
    flipped_ = false;
    turn_ = 0;
    range_ = 0;
    training_.resize(static_cast<size_t>(n));
    RETURN_IF_ERROR(ParallelBlocks(ctx, n, BlockRows(), [&](int64_t begin, int64_t end) {
      for (auto i = static_cast<size_t>(begin); i < static_cast<size_t>(end); i += kTogether) {
        const size_t count = std::min(kTogether, static_cast<size_t>(end) - i);
        const double* x[kTogether];
        for (size_t q = 0; q < count; ++q) x[q] = rows.data() + (i + q) * d();
        double none[kTogether];
        Discrepancies(x, count, training_.data() + i, none);
      }
    }));
    Orient(training_);
    for (double& score : training_) score = Oriented(score, 0);
    return absl::OkStatus();
  }
  absl::StatusOr<std::vector<double>> TrainingScores(std::span<const double>, int64_t, const Context&) override {
    return std::move(training_);
  }

  /// The rows in float32, sixteen side by side. Those that fill the last block are left out of the sums.
  void Derive() {
    const auto used = static_cast<size_t>(used_);
    blocks_.assign((used + kWidth - 1) / kWidth * kWidth * d(), 0.0F);
    for (size_t i = 0; i < used; ++i) {
      for (size_t j = 0; j < d(); ++j)
        blocks_[(i / kWidth * d() + j) * kWidth + i % kWidth] = static_cast<float>(kRoot * cube_[i * d() + j]);
    }
    power_ = std::min(std::pow(4.0 / 3.0, static_cast<double>(d())), kMost);
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

  /// Sums over the rows of the products of kQueries rows, (4/3)^d taken out. z: kQueries x d. Products in float32
  /// (relative error about 1e-7 sqrt(d)), sums in double.
  template <int kQueries>
  void Sums(const float* z, double* sums) const {
    constexpr size_t kFlush = 8;  // blocks that are added up in float32
    const auto used = static_cast<size_t>(used_), blocks = (used + kWidth - 1) / kWidth;
    for (int q = 0; q < kQueries; ++q) sums[q] = 0;
    for (size_t begin = 0; begin < blocks; begin += kFlush) {
      const size_t end = std::min(blocks, begin + kFlush);
      F32x8 total[kQueries];
      for (F32x8& t : total) t = F32x8::Zero();
      for (size_t block = begin; block < end; ++block) {
        F32x8 product[kQueries][2];
        Products<kQueries>(z, block, 0, std::min(d(), kFeatures), product);
        if (d() > kFeatures || (block + 1) * kWidth > used) {
          for (int q = 0; q < kQueries; ++q) sums[q] += SumOfBlock(z + static_cast<size_t>(q) * d(), block, product[q]);
        } else {
          for (int q = 0; q < kQueries; ++q) total[q] = total[q] + (product[q][0] + product[q][1]);
        }
      }
      for (int q = 0; q < kQueries; ++q) {
        float lanes[8];
        total[q].Store(lanes);
        double sum = 0;
        for (const float lane : lanes) sum += static_cast<double>(lane);
        sums[q] += sum;
      }
    }
  }

  /// Over features [first, end) of one block.
  template <int kQueries>
  void Products(const float* z, size_t block, size_t first, size_t end, F32x8 (*product)[2]) const {
    const F32x8 half = F32x8::Set(static_cast<float>(kRoot / 2)), base = F32x8::Set(15.0F / 16);
    for (int q = 0; q < kQueries; ++q) product[q][0] = product[q][1] = F32x8::Set(1);
    const float* values = blocks_.data() + (block * d() + first) * kWidth;
    for (size_t j = first; j < end; ++j, values += kWidth) {
      const F32x8 low = F32x8::LoadAny(values), high = F32x8::LoadAny(values + 8);
      for (int q = 0; q < kQueries; ++q) {
        const F32x8 at = F32x8::Set(z[static_cast<size_t>(q) * d() + j]);
        const F32x8 a = Abs(at - low) - half, b = Abs(at - high) - half;
        product[q][0] = product[q][0] * Fma(a, a, base);
        product[q][1] = product[q][1] * Fma(b, b, base);
      }
    }
  }

  /// Of a last block that is not full, and of many features, of which `begun` holds the first kFeatures.
  double SumOfBlock(const float* z, size_t block, const F32x8* begun) const {
    double products[kWidth];
    float lanes[kWidth];
    begun[0].Store(lanes);
    begun[1].Store(lanes + 8);
    for (size_t r = 0; r < kWidth; ++r) products[r] = static_cast<double>(lanes[r]);
    for (size_t first = kFeatures; first < d(); first += kFeatures) {
      F32x8 product[1][2];
      Products<1>(z, block, first, std::min(d(), first + kFeatures), product);
      product[0][0].Store(lanes);
      product[0][1].Store(lanes + 8);
      for (size_t r = 0; r < kWidth; ++r) products[r] *= static_cast<double>(lanes[r]);
    }
    double sum = 0;
    for (size_t r = 0; r < std::min(kWidth, static_cast<size_t>(used_) - block * kWidth); ++r) sum += products[r];
    return sum;
  }

  /// Before they are turned round; rows outside the cube as the nearest place inside, `excess` away from it.
  void Discrepancies(const double* const* x, size_t count, double* scores, double* excess) const {
    std::vector<float> z(kTogether * d());
    double sums[kTogether];
    for (size_t q = 0; q < count; ++q) {
      excess[q] = 0;
      for (size_t j = 0; j < d(); ++j) {
        const double at = (x[q][j] - low_[j]) / span_[j], inside = std::clamp(at, 0.0, 1.0);
        z[q * d() + j] = static_cast<float>(kRoot * inside);
        excess[q] += std::fabs(at - inside);
      }
    }
    if (count == kTogether) {
      Sums<kTogether>(z.data(), sums);
    } else {
      for (size_t q = 0; q < count; ++q) Sums<1>(z.data() + q * d(), sums + q);
    }
    const auto n = static_cast<double>(used_);
    for (size_t q = 0; q < count; ++q) scores[q] = power_ * (std::min(sums[q], kMost) / n / n - 1);
  }
  double Oriented(double score, double excess) const {
    return (flipped_ ? turn_ - score : score) + std::min(excess, 1e200) * range_;
  }

  double ScoreRow(std::span<const double> x) const override {
    const double* const row = x.data();
    double score = 0, excess = 0;
    Discrepancies(&row, 1, &score, &excess);
    return Oriented(score, excess);
  }
  void ScoreRows(MatrixView X, int64_t begin, int64_t end, double* scores) const override {
    std::vector<double> values(kTogether * d());
    for (int64_t at = begin; at < end; at += kTogether) {
      const auto count = static_cast<size_t>(std::min<int64_t>(kTogether, end - at));
      const double* x[kTogether];
      double excess[kTogether];
      for (size_t q = 0; q < count; ++q) {
        double* const row = values.data() + q * d();
        unit().Read(X, at + static_cast<int64_t>(q), row);
        x[q] = row;
      }
      double* const out = scores + (at - begin);
      Discrepancies(x, count, out, excess);
      for (size_t q = 0; q < count; ++q) out[q] = Finite(Oriented(out[q], excess[q]));
    }
  }
  int64_t BlockRows() const override {
    return std::max<int64_t>(1, 4'000'000 / (used_ * features() + 1)) * static_cast<int64_t>(kTogether);
  }

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
    cube_ = ReadDoubles(in, "the rows", used_ * features());
    for (const double s : span_) {
      if (!(s > 0)) return in.Fail("a range is not positive");
    }
    for (const double v : cube_) {
      if (!(v >= 0 && v <= 1)) return in.Fail("a row lies outside the cube");
    }
    if (in.ok()) Derive();
  }
  uint32_t state_version() const override { return 2; }

  int64_t most_rows_, used_ = 1;
  bool flipped_ = false;
  double turn_ = 0, range_ = 0;
  std::vector<double> low_, span_, cube_, training_;
  std::vector<float> blocks_;  ///< derived
  double power_ = 1;           ///< derived: (4/3)^d
};

constexpr ParamSpec kParams[] = {
    {.name = "max_rows",
     .type = ParamType::kInt,
     .default_value = "50000",
     .min = 10,
     .max = 1000000,
     .summary = "Of more training rows, so many evenly spaced ones are what rows are compared with: the cost grows "
                "with the square."},
};

}  // namespace

extern const Descriptor k_qmcd;
const Descriptor k_qmcd = {
    .name = "qmcd",
    .family = "probabilistic",
    .summary =
        "How much a row disturbs the even filling of the unit cube: all columns count alike, no scale, no neighbours. "
        "Coarse in "
        "many columns; slows with the square of the rows.",
    .paper =
        "K.-T. Fang, C.-X. Ma, Wrap-around L2-discrepancy of random sampling, Latin hypercube and uniform designs, J. "
        "Complexity, 2001",
    .params = kParams,
    .deterministic = true,
    .explains = false,
    .fit_cost = "O(n^2 d) up to max_rows, then O(n)",
    .score_cost = "O(r d), r the reference rows",
    .cost = [](const ParamSet& p, int64_t n, int64_t d) -> Cost {
      const double r = static_cast<double>(std::min(n, p.Int("max_rows"))), side = static_cast<double>(d),
                   row = kRowFloor + 1e-10 * r * (1 + side);
      return {.fit_seconds = kFitFloor + static_cast<double>(n) * row,
              .score_seconds_per_row = row,
              .fit_bytes = kBytesFloor + 8 * (r + static_cast<double>(n)) * side,
              .model_bytes = kBytesFloor + 8 * (r + 8) * side};
    },
    .make = [](const ParamSet& params) -> std::unique_ptr<Detector> { return std::make_unique<Qmcd>(params); },
};

}  // namespace vedette::outlier
