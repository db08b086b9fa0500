#include "outlier/kernels/float_map.h"

#include <algorithm>
#include <cfloat>
#include <cmath>

#if defined(__AVX2__)
#include <immintrin.h>
#endif

namespace vedette::outlier {
namespace {

constexpr int64_t kSampleRows = 2048;
constexpr double kLimit = FLT_MAX;

double Median(std::vector<double>& v) {
  const auto middle = v.begin() + static_cast<int64_t>(v.size() / 2);
  std::nth_element(v.begin(), middle, v.end());
  return *middle;
}

// Same operations, in the same order, as the vector loop below: a row maps to the same bits on either path.
float Clamp(double value, double center, double scale) {
  const double y = (value - center) * scale;
  const double above = y > -kLimit ? y : -kLimit;  // NaN fails the comparison
  return static_cast<float>(above < kLimit ? above : kLimit);
}

}  // namespace

FloatMap FloatMap::Fit(MatrixView X) {
  FloatMap map;
  map.center_.resize(X.cols);
  map.scale_.resize(X.cols);
  const int64_t step = std::max<int64_t>(1, X.rows / kSampleRows);
  std::vector<double> values, gaps;
  for (int64_t j = 0; j < X.cols; ++j) {
    values.clear();
    for (int64_t i = 0; i < X.rows && static_cast<int64_t>(values.size()) < kSampleRows; i += step) {
      if (std::isfinite(X(i, j))) values.push_back(X(i, j));
    }
    const double center = values.empty() ? 0 : Median(values);
    gaps.clear();
    for (const double v : values) {
      const double gap = std::abs(v - center);
      if (gap > 0 && std::isfinite(gap)) gaps.push_back(gap);
    }
    if (gaps.empty()) {  // constant in the sample: any other value of the column sets the scale
      for (int64_t i = 0; i < X.rows; ++i) {
        const double gap = std::abs(X(i, j) - center);
        if (gap > 0 && std::isfinite(gap)) gaps.push_back(gap);
        if (gaps.size() == 64) break;
      }
    }
    const double spread = gaps.empty() ? 1 : Median(gaps);
    map.center_[j] = center;
    map.scale_[j] = std::ldexp(1.0, std::clamp(-std::ilogb(spread), -1022, 1022));
  }
  return map;
}

float FloatMap::Map(double value, int64_t feature) const { return Clamp(value, center_[feature], scale_[feature]); }

void FloatMap::MapGroups(MatrixView X, int64_t begin, int64_t count, float* out) const {
  const int64_t d = features();
  const int64_t whole = count / kLanes;
  for (int64_t j = 0; j < d; ++j) {
    const double* column = X.data + j * X.stride + begin;
    const double center = center_[j], scale = scale_[j];
    float* dst = out + j * kLanes;
#if defined(__AVX2__)
    const __m256d c = _mm256_set1_pd(center), s = _mm256_set1_pd(scale);
    const __m256d low = _mm256_set1_pd(-kLimit), high = _mm256_set1_pd(kLimit);
    for (int64_t g = 0; g < whole; ++g, dst += d * kLanes) {
      __m256d a = _mm256_mul_pd(_mm256_sub_pd(_mm256_loadu_pd(column + g * kLanes), c), s);
      __m256d b = _mm256_mul_pd(_mm256_sub_pd(_mm256_loadu_pd(column + g * kLanes + 4), c), s);
      a = _mm256_min_pd(_mm256_max_pd(a, low), high);  // max(NaN, low) = low
      b = _mm256_min_pd(_mm256_max_pd(b, low), high);
      _mm256_store_ps(dst, _mm256_set_m128(_mm256_cvtpd_ps(b), _mm256_cvtpd_ps(a)));
    }
#else
    for (int64_t g = 0; g < whole; ++g, dst += d * kLanes) {
      for (int64_t lane = 0; lane < kLanes; ++lane) dst[lane] = Clamp(column[g * kLanes + lane], center, scale);
    }
#endif
    if (whole * kLanes < count) {
      for (int64_t lane = 0; lane < kLanes; ++lane) {
        dst[lane] = Clamp(column[std::min(whole * kLanes + lane, count - 1)], center, scale);
      }
    }
  }
}

void FloatMap::Save(ByteWriter& out) const {
  out.Doubles(center_);
  out.Doubles(scale_);
}

FloatMap FloatMap::Load(ByteReader& in) {
  FloatMap map;
  map.center_ = in.Doubles();
  map.scale_ = in.Doubles();
  if (!in.ok()) return map;
  const auto usable = [](double s) { return std::isfinite(s) && s > 0; };
  if (map.scale_.size() != map.center_.size() || map.center_.empty()) in.Fail("float map: wrong number of features");
  if (!std::all_of(map.scale_.begin(), map.scale_.end(), usable)) in.Fail("float map: a scale is not positive");
  if (!std::all_of(map.center_.begin(), map.center_.end(), [](double c) { return std::isfinite(c); })) {
    in.Fail("float map: a centre is not finite");
  }
  return map;
}

}  // namespace vedette::outlier
