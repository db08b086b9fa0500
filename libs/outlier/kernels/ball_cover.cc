#include "outlier/kernels/ball_cover.h"

#include <algorithm>

#include "outlier/kernels/processor.h"
#include "outlier/kernels/simd.h"
// After it.
#include "outlier/kernels/ball_cover_impl.h"

namespace vedette::outlier {

template <typename F>
void BallSets::ForEach(const F& f) const {
  for (int64_t ball = 0; ball < sets_ * size_; ++ball) {
    const int64_t k = ball % size_;
    f(ball, ball / size_ * groups() + k / kTogether, k % kTogether);
  }
}

BallSets::BallSets(const Balls& balls, double outside)
    : sets_(balls.sets), size_(balls.size), features_(balls.features) {
  const int64_t all = sets_ * groups();
  lanes_.assign(static_cast<size_t>(all * features_ * kTogether), std::numeric_limits<double>::infinity());
  centers_.assign(static_cast<size_t>(sets_ * size_ * stride()), 0);
  radius_.assign(static_cast<size_t>(all * kTogether), 0);
  worth_.assign(static_cast<size_t>(all * (kTogether + 1)), outside);
  ForEach([&](int64_t ball, int64_t group, int64_t lane) {
    const double* const center = balls.centers.data() + ball * features_;
    for (int64_t j = 0; j < features_; ++j) {
      lanes_[static_cast<size_t>((group * features_ + j) * kTogether + lane)] = center[j];
    }
    std::copy_n(center, features_, centers_.data() + ball * stride());
    radius_[static_cast<size_t>(group * kTogether + lane)] = balls.radius[static_cast<size_t>(ball)];
    worth_[static_cast<size_t>(group * (kTogether + 1) + lane + 1)] = balls.worth[static_cast<size_t>(ball)];
  });
}

double BallSets::Bytes(int64_t sets, int64_t size, int64_t features) {
  const auto lanes = static_cast<double>(Groups(size) * kTogether), stride = static_cast<double>(Groups(features) * kTogether);
  return 8 * static_cast<double>(sets) * (lanes * static_cast<double>(features + 3) + static_cast<double>(size) * stride);
}

Balls BallSets::Plain() const {
  const auto balls = static_cast<size_t>(sets_ * size_);
  Balls out{sets_, size_, features_, std::vector<double>(balls * static_cast<size_t>(features_)),
            std::vector<double>(balls), std::vector<double>(balls)};
  ForEach([&](int64_t ball, int64_t group, int64_t lane) {
    std::copy_n(centers_.data() + ball * stride(), features_, out.centers.data() + ball * features_);
    out.radius[static_cast<size_t>(ball)] = radius_[static_cast<size_t>(group * kTogether + lane)];
    out.worth[static_cast<size_t>(ball)] = worth_[static_cast<size_t>(group * (kTogether + 1) + lane + 1)];
  });
  return out;
}

const BallKernel& BallsPortable() {
  static constexpr BallKernel kKernel{ScoreBalls<F64x4, 2>, ExplainBalls<F64x4, 2>};
  return kKernel;
}

const BallKernel& FastestBalls() {
  static const BallKernel& kernel = HasAvx512() && BallsAvx512().score != nullptr ? BallsAvx512() : BallsPortable();
  return kernel;
}

}  // namespace vedette::outlier
