// Rotation-based outlier detection (Almardeny, Boujnah, Cleary 2020): every three columns are a space in which a row is a vector
// from the geometric median; |v|^3 cos(g) sin(g)^2, g its angle to the median's own direction, is the volume that it sweeps when
// turned round. Its distance from the median of all, in median absolute deviations, through a sigmoid, is the row's score in
// that space, and the mean over the spaces its score.
//
// Columns are first scaled by median and quartiles. With up to three columns there is one space and no sigmoid. Medians and
// deviations are those of the training rows. Of more than max_subspaces spaces, so many are drawn (always the same).
#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>

#include "base/rng.h"
#include "outlier/columns.h"
#include "outlier/cost.h"
#include "outlier/parallel.h"
#include "outlier/row_detector.h"
#include "outlier/sorting.h"
#include "outlier/state.h"

namespace vedette::outlier {
namespace {

constexpr double kHalfPi = std::numbers::pi / 2;
constexpr uint64_t kDrawSeed = 42;

double Quantile(std::span<const double> values, double q) {
  const double at = q * static_cast<double>(values.size() - 1);
  const auto below = static_cast<size_t>(at);
  const double low = ValueOfRank(values, below), high = ValueOfRank(values, std::min(below + 1, values.size() - 1));
  return low + (at - static_cast<double>(below)) * (high - low);
}

/// Three columns, and what was learned of them.
struct Space {
  int32_t column[3] = {-1, -1, -1};  ///< -1: always 0
  double center[3] = {0, 0, 0};      ///< the geometric median
  double acute[2] = {0.001, 0.955};  ///< range of the angles up to a right one, and of the others
  double obtuse[2] = {kHalfPi + 0.001, 2.186};
  double median = 0, deviation = 1;  ///< of the swept volumes
};

class Rod final : public RowDetector {
 public:
  explicit Rod(const ParamSet& params) : most_spaces_(params.Int("max_subspaces")) {}

 private:
  absl::Status Learn(std::span<const double> rows, int64_t n, const Context& ctx) override {
    const auto count = static_cast<size_t>(n);
    center_.assign(d(), 0);
    scale_.assign(d(), 1);
    RETURN_IF_ERROR(ParallelBlocks(ctx, d() > 3 ? features() : 0, 1, [&](int64_t column, int64_t) {
      const auto j = static_cast<size_t>(column);
      std::vector<double> values(count);
      for (size_t i = 0; i < count; ++i) values[i] = rows[i * d() + j];
      center_[j] = Quantile(values, 0.5);
      const double spread = Quantile(values, 0.75) - Quantile(values, 0.25);
      if (spread > 1e-150) scale_[j] = 1 / spread;
    }));
    std::vector<double> Z;
    Z.reserve(rows.size());
    RETURN_IF_ERROR(EachRow(count, 4 * features(), ctx, [&](size_t i) {
      for (size_t j = 0; j < d(); ++j) Z.push_back(Scaled(j, rows[i * d() + j]));
    }));
    Choose();
    RETURN_IF_ERROR(ParallelBlocks(ctx, static_cast<int64_t>(spaces_.size()), 1, [&](int64_t s, int64_t) {
      (void)Fit(spaces_[static_cast<size_t>(s)], Z, count, ctx);  // fails where ctx says so
    }));
    return ctx.Check();
  }

  /// f(i) for all rows, in their order.
  template <typename F>
  static absl::Status EachRow(size_t n, int64_t cells, const Context& ctx, const F& f) {
    return Blocks(ctx, static_cast<int64_t>(n), RowsPerLook(cells), [&](int64_t begin, int64_t end) {
      for (auto i = static_cast<size_t>(begin); i < static_cast<size_t>(end); ++i) f(i);
    });
  }

  double Scaled(size_t j, double x) const {
    // Up to three columns keep their own units.
    const double z = d() > 3 ? (x - center_[j]) * scale_[j] : x / unit().unit();
    return std::clamp(z, -1e60, 1e60);
  }

  void Choose() {
    spaces_.clear();
    const auto columns = static_cast<int32_t>(d());
    if (columns <= 3) {
      spaces_.emplace_back();
      for (int32_t j = 0; j < columns; ++j) spaces_[0].column[j] = j;
      return;
    }
    const double all = static_cast<double>(columns) * (columns - 1) * (columns - 2) / 6;
    if (all <= static_cast<double>(most_spaces_)) {
      for (int32_t a = 0; a < columns; ++a) {
        for (int32_t b = a + 1; b < columns; ++b) {
          for (int32_t c = b + 1; c < columns; ++c) spaces_.push_back({.column = {a, b, c}});
        }
      }
      return;
    }
    Rng rng(kDrawSeed);
    for (int64_t s = 0; s < most_spaces_; ++s) {
      std::vector<int64_t> drawn = rng.Sample(columns, 3);
      std::sort(drawn.begin(), drawn.end());
      spaces_.push_back({.column = {static_cast<int32_t>(drawn[0]), static_cast<int32_t>(drawn[1]), static_cast<int32_t>(drawn[2])}});
    }
  }

  static void Take(const Space& space, const double* z, double* v) {
    for (int k = 0; k < 3; ++k) v[k] = space.column[k] < 0 ? 0 : z[space.column[k]];
  }
  static double Norm(const double* v) { return std::sqrt(v[0] * v[0] + v[1] * v[1] + v[2] * v[2]); }

  absl::Status Fit(Space& space, const std::vector<double>& Z, size_t n, const Context& ctx) const {
    std::vector<double> points(3 * n);
    RETURN_IF_ERROR(EachRow(n, 16, ctx, [&](size_t i) { Take(space, Z.data() + i * d(), points.data() + 3 * i); }));
    RETURN_IF_ERROR(GeometricMedian(points, space.center, ctx));
    RETURN_IF_ERROR(EachRow(n, 64, ctx, [&](size_t i) {
      double v[3], angle = 0;
      for (int k = 0; k < 3; ++k) v[k] = points[3 * i + static_cast<size_t>(k)] - space.center[k];
      if (!Angle(space, v, &angle)) return;
      double* const range = angle <= kHalfPi ? space.acute : space.obtuse;
      range[0] = std::min(range[0], angle);
      range[1] = std::max(range[1], angle);
    }));
    std::vector<double> volume(n);
    RETURN_IF_ERROR(EachRow(n, 128, ctx, [&](size_t i) { volume[i] = Volume(space, points.data() + 3 * i); }));
    std::vector<double> work = volume;
    space.median = MedianInPlace(work);
    for (double& w : work) w = std::fabs(w - space.median);
    RETURN_IF_ERROR(ctx.Check());
    space.deviation = MedianInPlace(work);
    return absl::OkStatus();
  }

  /// Weiszfeld's iteration as amended by Vardi and Zhang (2000), over the distinct points.
  static absl::Status GeometricMedian(const std::vector<double>& points, double* center, const Context& ctx) {
    std::vector<std::array<double, 3>> distinct(points.size() / 3);
    for (size_t i = 0; i < distinct.size(); ++i) distinct[i] = {points[3 * i], points[3 * i + 1], points[3 * i + 2]};
    RETURN_IF_ERROR(SortWatched(distinct, ctx));
    distinct.erase(std::unique(distinct.begin(), distinct.end()), distinct.end());
    for (int k = 0; k < 3; ++k) {
      center[k] = 0;
      for (const auto& p : distinct) center[k] += p[static_cast<size_t>(k)] / static_cast<double>(distinct.size());
    }
    for (int round = 0; round < 1000; ++round) {
      RETURN_IF_ERROR(ctx.Check());
      double weights = 0, target[3] = {0, 0, 0}, here = 0;
      for (const auto& p : distinct) {
        const double v[3] = {p[0] - center[0], p[1] - center[1], p[2] - center[2]}, distance = Norm(v);
        if (!(distance > 0)) {
          here += 1;
          continue;
        }
        weights += 1 / distance;
        for (int k = 0; k < 3; ++k) target[k] += p[static_cast<size_t>(k)] / distance;
      }
      if (!(weights > 0)) return absl::OkStatus();
      double pull[3], next[3], step[3];
      for (int k = 0; k < 3; ++k) {
        target[k] /= weights;
        pull[k] = (target[k] - center[k]) * weights;
      }
      const double strength = Norm(pull), hold = here == 0 ? 0 : (strength > 0 ? here / strength : 0);
      for (int k = 0; k < 3; ++k) {
        next[k] = std::max(0.0, 1 - hold) * target[k] + std::min(1.0, hold) * center[k];
        step[k] = next[k] - center[k];
        center[k] = next[k];
      }
      if (Norm(step) < 1e-5) break;
    }
    return absl::OkStatus();
  }

  static bool Angle(const Space& space, const double* v, double* angle) {
    const double own = Norm(space.center), length = Norm(v);
    if (!(own > 0)) {
      *angle = kHalfPi;
      return true;
    }
    if (!(length * own > 0)) return false;
    const double cosine = (v[0] / length) * (space.center[0] / own) + (v[1] / length) * (space.center[1] / own) + (v[2] / length) * (space.center[2] / own);
    *angle = std::acos(std::clamp(cosine, -1.0, 1.0));
    return true;
  }
  static double Volume(const Space& space, const double* point) {
    double v[3], angle = 0;
    for (int k = 0; k < 3; ++k) v[k] = point[k] - space.center[k];
    if (!Angle(space, v, &angle)) return 0;
    const bool acute = angle <= kHalfPi;
    const double* const range = acute ? space.acute : space.obtuse;
    const double low = acute ? 0.001 : kHalfPi + 0.001, high = acute ? 0.955 : 2.186;
    const double g = low + (angle - range[0]) / (range[1] - range[0]) * (high - low), length = std::min(Norm(v), 1e90);
    return length * length * length * std::cos(g) * std::sin(g) * std::sin(g);
  }
  double SpaceScore(const Space& space, const double* z) const {
    double point[3];
    Take(space, z, point);
    const double gap = std::fabs(Volume(space, point) - space.median);
    const double deviations = space.deviation > 0 ? std::min(0.6745 * gap / space.deviation, 1e290) : (gap > 0 ? 1e290 : 0);
    return d() > 3 ? 1 / (1 + std::exp(-deviations)) : deviations;
  }
  double ScoreRow(std::span<const double> x) const override {
    std::vector<double> z(d());
    for (size_t j = 0; j < d(); ++j) z[j] = Scaled(j, x[j]);
    double sum = 0;
    for (const Space& space : spaces_) sum += SpaceScore(space, z.data());
    return sum / static_cast<double>(spaces_.size());
  }
  int64_t BlockRows() const override {
    return std::clamp<int64_t>(100'000 / static_cast<int64_t>(spaces_.size() + 1), 1, 1024);
  }

  /// Each space's score above that of the median row, shared out by the squared gaps to the geometric median.
  bool ExplainRow(std::span<const double> x, std::span<double> parts, std::span<double> expected,
                  double* score) const override {
    std::vector<double> z(d()), sum(d(), 0), count(d(), 0);
    for (size_t j = 0; j < d(); ++j) z[j] = Scaled(j, x[j]);
    std::fill(parts.begin(), parts.end(), 0.0);
    *score = 0;
    for (const Space& space : spaces_) {
      const double own = SpaceScore(space, z.data()), above = own - (d() > 3 ? 0.5 : 0);
      *score += own;
      double gap[3], total = 0;
      for (int k = 0; k < 3; ++k) {
        gap[k] = space.column[k] < 0 ? 0 : std::pow(z[static_cast<size_t>(space.column[k])] - space.center[k], 2);
        total += gap[k];
      }
      for (int k = 0; k < 3; ++k) {
        if (space.column[k] < 0) continue;
        const auto j = static_cast<size_t>(space.column[k]);
        if (total > 0) parts[j] += above * (gap[k] / total) / static_cast<double>(spaces_.size());
        sum[j] += space.center[k];
        count[j] += 1;
      }
    }
    *score /= static_cast<double>(spaces_.size());
    for (size_t j = 0; j < d(); ++j) {
      const double middle = count[j] > 0 ? sum[j] / count[j] : 0;
      expected[j] = d() > 3 ? center_[j] + middle / scale_[j] : middle * unit().unit();
    }
    return true;
  }
  bool ExplainsWithScore() const override { return true; }
  std::string_view space() const override { return "score above the middle"; }

  void SaveState(ByteWriter& out) const override {
    out.Doubles(center_);
    out.Doubles(scale_);
    out.I64(static_cast<int64_t>(spaces_.size()));
    for (const Space& s : spaces_) {
      for (const int32_t column : s.column) out.U32(static_cast<uint32_t>(column));
      for (const double v : {s.center[0], s.center[1], s.center[2], s.acute[0], s.acute[1], s.obtuse[0], s.obtuse[1], s.median, s.deviation}) out.F64(v);
    }
  }
  void LoadState(ByteReader& in) override {
    center_ = ReadDoubles(in, "the medians", features());
    scale_ = ReadDoubles(in, "the scales", features());
    const int64_t count = ReadInt(in, "the number of spaces", 1, std::max<int64_t>(most_spaces_, 1));
    if (in.ok() && static_cast<double>(in.remaining()) < 84.0 * static_cast<double>(count)) in.Fail("the spaces are cut off");
    spaces_.assign(in.ok() ? static_cast<size_t>(count) : 0, {});
    for (Space& s : spaces_) {
      for (int32_t& column : s.column) column = static_cast<int32_t>(in.U32());
      for (double* v : {&s.center[0], &s.center[1], &s.center[2], &s.acute[0], &s.acute[1], &s.obtuse[0], &s.obtuse[1], &s.median, &s.deviation}) {
        *v = ReadFinite(in, "a space's number");
      }
      if (!in.ok()) return;
      for (const int32_t column : s.column) {
        if (column < -1 || column >= features()) return in.Fail("a space's column is not there");
      }
      if (!(s.acute[0] < s.acute[1] && s.obtuse[0] < s.obtuse[1] && s.deviation >= 0)) return in.Fail("a space's range is empty");
      for (const double c : s.center) {
        if (std::fabs(c) > 1e100) return in.Fail("a space's median is out of range");
      }
    }
    for (const double s : scale_) {
      if (!(s > 0 && s < 1e160)) return in.Fail("a scale is out of range");
    }
  }

  int64_t most_spaces_;
  std::vector<double> center_, scale_;
  std::vector<Space> spaces_;
};

constexpr ParamSpec kParams[] = {
    {.name = "max_subspaces",
     .type = ParamType::kInt,
     .default_value = "2000",
     .min = 1,
     .max = 1000000,
     .summary = "Most sets of three columns that are looked at; 23 columns have 1771 sets, and more are drawn from."},
};

}  // namespace

extern const Descriptor k_rod;
const Descriptor k_rod = {
    .name = "rod",
    .family = "proximity",
    .summary = "The volume that a row sweeps when turned about the geometric median, in every three columns: no neighbours, no "
               "parameters to tune. Slow in many columns; blind to local anomalies.",
    .paper = "Y. Almardeny, N. Boujnah, F. Cleary, A novel outlier detection method for multivariate data, IEEE TKDE, 2020",
    .params = kParams,
    .deterministic = true,
    .fit_cost = "O(n s), s the sets of three columns, times the steps to the medians",
    .score_cost = "O(s)",
    .cost = [](const ParamSet& p, int64_t n, int64_t d) -> Cost {
      const double side = static_cast<double>(std::max<int64_t>(3, d));
      const double spaces = std::min(static_cast<double>(p.Int("max_subspaces")), side * (side - 1) * (side - 2) / 6);
      const double row = kRowFloor + 9e-8 * spaces;
      return {.fit_seconds = kFitFloor + 8 * static_cast<double>(n) * row,
              .score_seconds_per_row = row,
              .fit_bytes = kBytesFloor + 100 * spaces + 100 * static_cast<double>(n) + 16 * static_cast<double>(n * d),
              .model_bytes = kBytesFloor + 90 * spaces + 16 * side};
    },
    .make = [](const ParamSet& params) -> std::unique_ptr<Detector> { return std::make_unique<Rod>(params); },
};

}  // namespace vedette::outlier
