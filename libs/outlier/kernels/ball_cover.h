// Which balls of many small sets cover a row (iNNE): the balls of a set side by side, so that a row alone is as fast as
// many.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace vedette::outlier {

/// Sets of balls, all of `size` balls, each set in falling order of radii. All numbers are finite.
struct Balls {
  int64_t sets = 0, size = 0, features = 0;
  std::vector<double> centers;  ///< [set][ball][feature]
  std::vector<double> radius;   ///< [set][ball]: squared, as a sum of fused squares, feature by feature
  std::vector<double> worth;    ///< [set][ball]: what it says that this is the last ball to cover a row
};

/// The same as the loops read it.
class BallSets {
 public:
  static constexpr int64_t kTogether = 8;  ///< balls side by side: a group

  BallSets() = default;
  /// `outside`: the worth of a row that no ball of a set covers.
  BallSets(const Balls& balls, double outside);
  Balls Plain() const;

  /// What sets of balls take.
  static double Bytes(int64_t sets, int64_t size, int64_t features);

  int64_t sets() const { return sets_; }
  int64_t size() const { return size_; }
  int64_t features() const { return features_; }
  int64_t groups() const { return Groups(size_); }  ///< of a set
  int64_t stride() const { return Groups(features_) * kTogether; }
  /// [set][group][feature][ball of the group]; infinite beyond the last ball.
  const double* lanes() const { return lanes_.data(); }
  /// [set][ball][stride()], zeros beyond the features.
  const double* centers() const { return centers_.data(); }
  /// [set][group][ball of the group], 0 beyond the last.
  const double* radius() const { return radius_.data(); }
  /// [set][group][0] where no ball of the group covers a row, [1 + ball] where that is the last.
  const double* worth() const { return worth_.data(); }

 private:
  static int64_t Groups(int64_t count) { return (count + kTogether - 1) / kTogether; }
  /// f(ball of all, its group of all, its place there) for each ball.
  template <typename F>
  void ForEach(const F& f) const;

  int64_t sets_ = 0, size_ = 0, features_ = 0;
  std::vector<double> lanes_, centers_, radius_, worth_;
};

/// The forms of the loops, all of which give the same bits.
struct BallKernel {
  /// scores[r] = the mean over the sets of the worth of the last ball that covers row r. rows: [count][stride()], zeros
  /// beyond the features.
  void (*score)(const BallSets& balls, const double* rows, int64_t count, double* scores) = nullptr;
  /// The same, and of each row each set's worth shared out by the squared gaps to its nearest center (the first of
  /// several), and the mean of these centers. Both [count][stride()]; what is written beyond the features means
  /// nothing.
  void (*explain)(const BallSets& balls, const double* rows, int64_t count, double* parts, double* expected,
                  double* scores) = nullptr;
};
/// The fastest that this processor can run.
const BallKernel& FastestBalls();
const BallKernel& BallsPortable();
/// Empty where the program was not compiled for such processors.
const BallKernel& BallsAvx512();

}  // namespace vedette::outlier
