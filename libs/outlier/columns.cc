#include "outlier/columns.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <numeric>

#include "outlier/parallel.h"
#include "outlier/state.h"

namespace vedette::outlier {
namespace {

/// Sum of f(values[i]) in eight lanes: a fixed order that the compiler can vectorise.
template <typename F>
double LaneSum(std::span<const double> values, const F& f) {
  constexpr size_t kLanes = 8;
  std::array<double, kLanes> sum{};
  const size_t whole = values.size() / kLanes * kLanes;
  for (size_t i = 0; i < whole; i += kLanes) {
    for (size_t k = 0; k < kLanes; ++k) sum[k] += f(values[i + k]);
  }
  double total = ((sum[0] + sum[4]) + (sum[2] + sum[6])) + ((sum[1] + sum[5]) + (sum[3] + sum[7]));
  for (size_t i = whole; i < values.size(); ++i) total += f(values[i]);
  return total;
}

}  // namespace

double UnitFor(double max_abs) {
  if (max_abs == 0 || (max_abs > 1e-100 && max_abs < 1e100)) return 1;
  // 2^1022 is the largest unit that is finite; the smallest values are then still far from 0.
  return std::ldexp(1.0, std::min(1022, -std::ilogb(max_abs) - 1));
}

double UnitFor(std::span<const double> values) {
  const auto [low, high] = RangeOf(values);
  return UnitFor(std::max(std::fabs(low), std::fabs(high)));
}

Range RangeOf(std::span<const double> values) {
  constexpr size_t kLanes = 16;
  double low[kLanes], high[kLanes];
  std::fill(low, low + kLanes, values[0]);
  std::fill(high, high + kLanes, values[0]);
  const size_t whole = values.size() / kLanes * kLanes;
  for (size_t i = 0; i < whole; i += kLanes) {
    for (size_t k = 0; k < kLanes; ++k) {
      const double x = values[i + k];
      low[k] = x < low[k] ? x : low[k];
      high[k] = x > high[k] ? x : high[k];
    }
  }
  Range range{*std::min_element(low, low + kLanes), *std::max_element(high, high + kLanes)};
  for (size_t i = whole; i < values.size(); ++i) {
    range.low = std::min(range.low, values[i]);
    range.high = std::max(range.high, values[i]);
  }
  return range;
}

namespace {

Moments BlockMoments(std::span<const double> values, double unit) {
  const auto n = static_cast<double>(values.size());
  Moments m;
  m.mean = LaneSum(values, [unit](double x) { return x * unit; }) / n;
  const double mean = m.mean;
  // The second term corrects what rounding left in the mean (Chan, Golub and LeVeque 1983).
  const double residual = LaneSum(values, [=](double x) { return x * unit - mean; });
  m.variance = LaneSum(values,
                       [=](double x) {
                         const double d = x * unit - mean;
                         return d * d;
                       }) /
               n;
  m.variance = std::max(0.0, m.variance - (residual / n) * (residual / n));
  m.mean += residual / n;
  return m;
}

/// f(block) for blocks that stay in the first cache while they are walked several times; their moments, put together by
/// the rule of Chan, Golub and LeVeque (1983).
template <typename F>
Moments MergedMoments(std::span<const double> values, double unit, const F& f) {
  constexpr size_t kBlock = 2048;
  Moments all;
  double square = 0;
  for (size_t begin = 0; begin < values.size(); begin += kBlock) {
    const std::span<const double> block = values.subspan(begin, std::min(kBlock, values.size() - begin));
    f(block);
    const Moments m = BlockMoments(block, unit);
    if (block.size() == values.size()) return m;
    const auto before = static_cast<double>(begin), added = static_cast<double>(block.size());
    const double gap = m.mean - all.mean, share = added / (before + added);
    all.mean += gap * share;
    square += m.variance * added + gap * gap * share * before;
  }
  all.variance = square / static_cast<double>(values.size());
  return all;
}

}  // namespace

Moments MomentsOf(std::span<const double> values, double unit) {
  return MergedMoments(values, unit, [](std::span<const double>) {});
}

double MedianInPlace(std::span<double> values) {
  const size_t half = values.size() / 2;
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(half);
  std::nth_element(values.begin(), middle, values.end());
  if (values.size() % 2 == 1) return *middle;
  return std::midpoint(*std::max_element(values.begin(), middle), *middle);
}

// As Floyd and Rivest (1975): two values of a sample have the rank between them almost surely, and few others.
double ValueOfRank(std::span<const double> values, size_t rank) {
  constexpr size_t kSample = 512, kSlack = 40;
  const auto select = [](std::vector<double>& v, size_t k) {
    std::nth_element(v.begin(), v.begin() + static_cast<std::ptrdiff_t>(k), v.end());
    return v[k];
  };
  std::vector<double> chosen;
  if (values.size() > 4 * kSample) {
    for (size_t k = 0; k < kSample; ++k) chosen.push_back(values[k * values.size() / kSample]);
    std::sort(chosen.begin(), chosen.end());
    const size_t middle = rank * kSample / values.size();
    const double low = chosen[middle - std::min(middle, kSlack)], high = chosen[std::min(middle + kSlack, kSample - 1)];
    chosen.resize(values.size());
    size_t below = 0, between = 0;
    for (const double x : values) {
      chosen[between] = x;
      below += x < low ? 1 : 0;
      between += (x >= low) & (x <= high) ? 1 : 0;
    }
    if (rank >= below && rank < below + between) {
      if (low == high) return low;
      chosen.resize(between);
      return select(chosen, rank - below);
    }
  }
  chosen.assign(values.begin(), values.end());
  return select(chosen, rank);
}

absl::Status Standardizer::FitMeanAndDeviation(MatrixView X, const Context& ctx) {
  const auto d = static_cast<size_t>(X.cols);
  unit_.assign(d, 1);
  center_.assign(d, 0);
  inverse_.assign(d, 1);
  RETURN_IF_ERROR(ParallelBlocks(ctx, X.cols, 1, [&](int64_t begin, int64_t) {
    const auto j = static_cast<size_t>(begin);
    const std::span<const double> column = X.col(begin);
    Range range{column[0], column[0]};
    Moments m = MergedMoments(column, 1, [&](std::span<const double> block) {
      const Range own = RangeOf(block);
      range = {std::min(range.low, own.low), std::max(range.high, own.high)};
    });
    const double unit = UnitFor(std::max(std::fabs(range.low), std::fabs(range.high)));
    if (unit != 1) m = MomentsOf(column, unit);  // no ordinary magnitudes: sums may have overflowed
    const auto n = static_cast<double>(column.size());
    constexpr double kEps = std::numeric_limits<double>::epsilon();
    const double noise = n * m.mean * kEps;
    const bool constant = m.variance <= n * kEps * m.variance + noise * noise;
    unit_[j] = unit;
    center_[j] = m.mean;
    inverse_[j] = constant ? 1.0 : 1.0 / std::sqrt(m.variance);
  }));
  Derive();
  return absl::OkStatus();
}

void Standardizer::Derive() {
  unscaled_center_.clear();
  for (int64_t j = 0; j < size(); ++j) unscaled_center_.push_back(Unscaled(j, 0));
}

void Standardizer::Add(double unit, double center_in_units, double inverse) {
  unit_.push_back(unit);
  center_.push_back(center_in_units);
  inverse_.push_back(inverse);
  unscaled_center_.push_back(Unscaled(size() - 1, 0));
}

namespace {

struct Scale {
  double unit, center, inverse;
};

inline void StandardiseInto(const double* x, size_t count, const Scale& s, double* out) {
  for (size_t r = 0; r < count; ++r) {
    const double z = (x[r] * s.unit - s.center) * s.inverse;
    const double bounded = z > Standardizer::kMaxZ ? Standardizer::kMaxZ : z;
    out[r] = bounded < -Standardizer::kMaxZ ? -Standardizer::kMaxZ : bounded;
  }
}

}  // namespace

void Standardizer::Block(MatrixView X, int64_t column, int64_t begin, std::span<double> out) const {
  const auto c = static_cast<size_t>(column);
  StandardiseInto(X.data + column * X.stride + begin, out.size(), {unit_[c], center_[c], inverse_[c]}, out.data());
}

void Standardizer::Tile(MatrixView X, int64_t begin, double* out) const {
  const auto count = static_cast<size_t>(std::min(kTile, X.rows - begin));
  for (size_t c = 0; c < unit_.size(); ++c, out += kTile) {
    const double* const x = X.data + static_cast<int64_t>(c) * X.stride + begin;
    const Scale scale{unit_[c], center_[c], inverse_[c]};
    if (count == kTile) {
      StandardiseInto(x, kTile, scale, out);  // a length that the compiler knows
    } else {
      StandardiseInto(x, count, scale, out);
      std::fill(out + count, out + kTile, 0.0);
    }
  }
}

void Standardizer::Tiles(MatrixView X, int64_t begin, int64_t tiles, double* out) const {
  for (size_t c = 0; c < unit_.size(); ++c, out += kTile) {
    const double* x = X.data + static_cast<int64_t>(c) * X.stride + begin;
    const Scale scale{unit_[c], center_[c], inverse_[c]};
    for (int64_t t = 0; t < tiles; ++t, x += kTile) StandardiseInto(x, kTile, scale, out + t * size() * kTile);
  }
}

Matrix Standardizer::Centers() const {
  Matrix out = Matrix::ForOverwrite(1, size());
  std::copy(unscaled_center_.begin(), unscaled_center_.end(), out.data());
  return out;
}

void Standardizer::Sizes(MatrixView X, int64_t begin, int64_t count, double factor, double* out, int64_t stride) const {
  const int64_t d = size();
  const double* x = X.data + begin;
  if (count == 1) {  // a row alone: no call, no loop of one
    for (int64_t j = 0; j < d; ++j) out[j * stride] = std::fabs(Z(j, x[j * X.stride])) * factor;
    return;
  }
  for (int64_t j = 0; j < d; ++j, x += X.stride, out += stride) {
    const auto c = static_cast<size_t>(j);
    const double unit = unit_[c], center = center_[c], inverse = inverse_[c];
    for (int64_t i = 0; i < count; ++i) {
      const double size = std::fabs((x[i] * unit - center) * inverse);
      out[i] = (size > kMaxZ ? kMaxZ : size) * factor;
    }
  }
}

void Standardizer::Save(ByteWriter& out) const {
  out.Doubles(unit_);
  out.Doubles(center_);
  out.Doubles(inverse_);
}

void Standardizer::Load(ByteReader& in, int64_t size) {
  unit_ = ReadDoubles(in, "the columns' units", size);
  center_ = ReadDoubles(in, "the columns' centres", size);
  inverse_ = ReadDoubles(in, "the columns' scales", size);
  const auto positive = [](double v) { return v > 0; };
  if (in.ok() &&
      !(std::all_of(unit_.begin(), unit_.end(), positive) && std::all_of(inverse_.begin(), inverse_.end(), positive))) {
    in.Fail("a column's scale is not positive");
  }
  if (in.ok()) Derive();
}

}  // namespace vedette::outlier
