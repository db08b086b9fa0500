#include "outlier/kernels/gaussian_means.h"

#include <absl/container/fixed_array.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>

#include "base/status.h"
#include "outlier/kernels/processor.h"
#include "outlier/kernels/simd.h"
#include "outlier/parallel.h"
// After them.
#include "outlier/kernels/gaussian_means_impl.h"

namespace vedette::outlier {
namespace {

/// What is rounded with no regard to the number of features; see the header.
constexpr double kOtherRoundings = 8;
/// The most of a row x and a row y together; the rest of the error is left to the logarithms of weights.
constexpr double kMostRough = 0.95 * GaussianMeans::kFloatError / (0x1p-24 * std::numbers::ln2);
/// Exponents below which kernels are not told apart. Doubles are then summed again, relative to the largest; rows as
/// far as that from all others hardly ever lie near enough for floats.
constexpr double kVanishingFloat = -120, kVanishingDouble = -400;
/// What is smaller than the largest weight by so many powers of two counts for nothing.
constexpr double kNothing = 60;
constexpr float kNoWeight = -1e30F;

/// Of a row's gap to the center on feature j, squared and in binary logarithms: what it adds to the roughness.
double Rough(double square, size_t j, size_t d) { return square * (static_cast<double>(d - j) + kOtherRoundings); }

/// The medians of the columns, of evenly spaced rows.
std::vector<double> Medians(const RowBlocks& rows) {
  constexpr size_t kSample = 1024;
  const size_t count = std::min(kSample, rows.rows());
  std::vector<double> center(rows.features()), values(count);
  for (size_t j = 0; j < center.size(); ++j) {
    for (size_t i = 0; i < count; ++i) values[i] = rows.at(i * rows.rows() / count, j);
    std::nth_element(values.begin(), values.begin() + static_cast<int64_t>(count / 2), values.end());
    center[j] = values[count / 2];
  }
  return center;
}

}  // namespace

const GaussianMeanForms& GaussianMeans::Portable() {
  static constexpr GaussianMeanForms kForms = {MeansOfRows<F32x8, 1, 1, 2, 4, 4>, MeansOfRows<F64x4, 1, 1, 2, 4, 1>};
  return kForms;
}

const GaussianMeanForms& GaussianMeans::Forms() { return HasAvx512() ? Avx512() : Portable(); }

GaussianMeans::GaussianMeans(const RowBlocks& rows, std::span<const double> weights, double gamma, const Context& ctx)
    : gamma_(gamma), weights_(rows.padded(), 0) {
  // As shares of the largest: however far all rows are, their sum is not 0.
  const double largest = weights.empty() ? 1 : *std::max_element(weights.begin(), weights.end());
  for (size_t i = 0; i < rows.rows(); ++i) weights_[i] = weights.empty() ? 1 : weights[i] / largest;
  KeepFloats(rows, gamma * std::numbers::log2e, ctx);
}

void GaussianMeans::KeepFloats(const RowBlocks& rows, double factor, const Context& ctx) {
  const size_t d = rows.features();
  const auto n = static_cast<int64_t>(rows.rows());
  std::vector<double> center = Medians(rows);
  double largest = 0, least_far = std::numeric_limits<double>::infinity();
  std::vector<bool> near(rows.rows());
  const absl::Status looked = Blocks(ctx, n, RowsPerLook(rows.features()), [&](int64_t begin, int64_t end) {
    for (auto i = static_cast<size_t>(begin); i < static_cast<size_t>(end); ++i) {
      double rough = 0, norm = 0, reach = 0;
      for (size_t j = 0; j < d; ++j) {
        const double gap = rows.at(i, j) - center[j], square = gap * gap * factor;
        rough += Rough(square, j, d);
        norm += square;
        reach = std::max(reach, std::fabs(gap));
      }
      near[i] = rough <= kMostRough / 2;
      if (near[i])
        largest = std::max(largest, reach), roughness_ = std::max(roughness_, rough);
      else
        least_far = std::min(least_far, norm);
    }
  });
  // Rows that are all alike, or so far apart that floats would serve few: the double form, for all.
  if (!looked.ok() || largest < 1e-100 || 2 * std::count(near.begin(), near.end(), true) < n) return;
  center_ = std::move(center);
  reach_ = largest;
  scale_ = 1 / largest;
  factor_ = factor * largest * largest;
  far_ = std::sqrt(least_far);
  FillFloats(rows, near, ctx);
}

void GaussianMeans::FillFloats(const RowBlocks& rows, const std::vector<bool>& near, const Context& ctx) {
  constexpr int64_t kWidth = GaussianMeanRows<float>::kWidth, kBlocks = 4;
  const auto n = static_cast<int64_t>(rows.rows()), d = static_cast<int64_t>(rows.features());
  blocks_ = (n + kBlocks * kWidth - 1) / (kBlocks * kWidth) * kBlocks;
  values_ = AlignedArray<float>(blocks_ * kWidth * d);
  exponents_ = AlignedArray<float>(blocks_ * kWidth);
  std::fill_n(values_.get(), values_.size(), 0.0F);
  std::fill_n(exponents_.get(), exponents_.size(), kNoWeight);
  (void)Blocks(ctx, n, RowsPerLook(d), [&](int64_t begin, int64_t end) {  // the caller asks ctx
    for (int64_t i = begin; i < end; ++i) {
      const auto row = static_cast<size_t>(i);
      if (!near[row] || !(weights_[row] > 0)) continue;
      float* to = values_.get() + i / kWidth * kWidth * d + i % kWidth;
      double norm = 0;  // of the rounded values: it is their distances that the products give
      for (size_t j = 0; j < rows.features(); ++j, to += kWidth) {
        *to = static_cast<float>(Scaled(rows.at(row, j), j));
        norm += static_cast<double>(*to) * static_cast<double>(*to);
      }
      const double exponent = std::log2(weights_[row]) - factor_ * norm;
      exponents_[i] = static_cast<float>(std::max(exponent, double{kNoWeight}));
    }
  });
}

bool GaussianMeans::NearEnough(const double* x, double& norm) const {
  if (center_.empty()) return false;
  double rough = 0, sum = 0;
  for (size_t j = 0; j < center_.size(); ++j) {
    const double v = Scaled(x[j], j);
    rough += Rough(v * v, j, center_.size());
    sum += v * v;
  }
  norm = factor_ * sum;
  return roughness_ + factor_ * rough <= kMostRough;  // not for NaN
}

void GaussianMeans::OfDoubles(const RowBlocks& rows, const double* const* x, int count, double* means,
                              const GaussianMeanForms& forms) const {
  const GaussianMeanRows<double> in{.values = rows.block(0),
                                    .weights = weights_.data(),
                                    .features = static_cast<int64_t>(rows.features()),
                                    .blocks = static_cast<int64_t>(rows.padded() / RowBlocks::kWidth),
                                    .factor = gamma_ * std::numbers::log2e};
  double most[kTogether], shift[kTogether] = {};
  forms.doubles(in, x, shift, count, {means, most});
  for (int q = 0; q < count; ++q) {
    if (most[q] * in.factor >= kVanishingDouble) continue;
    const double nearest = -most[q];
    forms.doubles(in, x + q, &nearest, 1, {means + static_cast<size_t>(q) * rows.features(), most});
  }
}

void GaussianMeans::OfFloats(const RowBlocks& rows, const double* const* x, const double* norms, int count,
                             double* means, const GaussianMeanForms& forms) const {
  const size_t d = center_.size();
  const GaussianMeanRows<float> in{
      .values = values_.get(), .weights = exponents_.get(), .features = static_cast<int64_t>(d), .blocks = blocks_};
  absl::FixedArray<float, 512> work(static_cast<size_t>(count) * d);
  const float* rounded[kTogether];
  float shift[kTogether];
  double most[kTogether];
  for (size_t q = 0; q < static_cast<size_t>(count); ++q) {
    float* const to = work.data() + q * d;
    for (size_t j = 0; j < d; ++j) to[j] = static_cast<float>(2 * factor_ * Scaled(x[q][j], j));
    rounded[q] = to;
    shift[q] = static_cast<float>(-norms[q]);
  }
  forms.floats(in, rounded, shift, count, {means, most});
  for (int q = 0; q < count; ++q) {
    double* const own = means + static_cast<size_t>(q) * d;
    const double gap = far_ - std::sqrt(norms[q]);  // at least, to any row that was left out
    if (most[q] < kVanishingFloat || gap < 0 || gap * gap < kNothing - most[q])
      OfDoubles(rows, x + q, 1, own, forms);
    else
      for (size_t j = 0; j < d; ++j) own[j] = center_[j] + own[j] * reach_;
  }
}

void GaussianMeans::Of(const RowBlocks& rows, const double* const* x, int count, double* means,
                       const GaussianMeanForms& forms) const {
  bool in_floats[kTogether];
  double norms[kTogether] = {};
  for (int q = 0; q < count; ++q) in_floats[q] = NearEnough(x[q], norms[q]);
  for (int q = 0, next; q < count; q = next) {  // those alike together
    for (next = q + 1; next < count && in_floats[next] == in_floats[q];) ++next;
    double* const own = means + static_cast<size_t>(q) * rows.features();
    if (in_floats[q])
      OfFloats(rows, x + q, norms + q, next - q, own, forms);
    else
      OfDoubles(rows, x + q, next - q, own, forms);
  }
}

}  // namespace vedette::outlier
