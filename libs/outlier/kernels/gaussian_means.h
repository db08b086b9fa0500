// Means of rows weighted by Gaussian kernels: where the training rows near a row lie.
//
// In float32 for rows that lie near the others, in double for the rest. Float32 rows are centred (medians) and kept as
// parts of the largest gap to the center; squared distances are taken as |x|^2 + |y|^2 - 2 x.y, which costs one fused
// multiply-add a value. How much that may lose is bounded row by row: with u = 2^-24, and squares in the kernel's
// binary logarithms, the partial sums of 2 x.y, each of which is rounded once, are together at most sum_j (d - j)
// (x_j^2 + y_j^2), j from 0, and the other roundings (of x, y, |y|^2 and the sums of the three terms) cost 1, 3, 1 and
// 3 times |x|^2 + |y|^2. Where u log(2) times all this is above 9.5e-5, the double form is taken: for such x, and for
// such y ("far" ones, which the float form leaves out) unless they are so far from x that they count for nothing.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/context.h"
#include "outlier/kernels/aligned.h"
#include "outlier/kernels/row_blocks.h"

namespace vedette::outlier {

/// What a form is given. Kernels of float are 2^(weight + x.y + shift), where x holds 2 factor x already; those of
/// double weight 2^(factor (shift - |x - y|^2)).
template <typename Value>
struct GaussianMeanRows {
  static constexpr int kWidth = sizeof(Value) == sizeof(float) ? 16 : 8;

  const Value* values = nullptr;     ///< blocks of kWidth rows, feature by feature
  const Value* weights = nullptr;    ///< of float: binary logarithms, less factor |y|^2
  int64_t features = 0, blocks = 0;  ///< of float: a multiple of 4 blocks
  Value factor = 0;                  ///< of double: gamma, for binary logarithms
};

/// What a form gives for each row x.
struct GaussianMeanSums {
  double* means = nullptr;  ///< count x features
  double* most = nullptr;   ///< of float: the largest exponent; of double: minus the least squared distance
};

/// The loops for `count` <= kTogether rows; all forms give the same bits, and a row's do not depend on the others.
struct GaussianMeanForms {
  template <typename Value>
  using Form = void (*)(const GaussianMeanRows<Value>&, const Value* const* x, const Value* shift, int count,
                        const GaussianMeanSums& out);
  Form<float> floats;
  Form<double> doubles;
};

class GaussianMeans {
 public:
  static constexpr int kTogether = 4;
  /// How much a weight of the float form may be off, as a share of itself, if all roundings fall the same way. One of
  /// the double form: 1e-12, and what the rounding of squared distances costs.
  static constexpr double kFloatError = 1e-4;

  GaussianMeans() = default;
  /// weights: one for each row, not all 0, or none: all 1. Keeps the rows as float32 where most of them are near enough
  /// (see above). Not to be used if ctx.Check() was not OK on the way.
  GaussianMeans(const RowBlocks& rows, std::span<const double> weights, double gamma, const Context& ctx = {});

  /// means[q * d + j] = sum over i of w_i row_ij / sum over i of w_i, w_i = weights[i] e^(-gamma |x[q] - row i|^2), for
  /// count <= kTogether rows. `rows` are those of the constructor. A row's bits do not depend on the others. Means are
  /// off by at most kFloatError of how far the rows lie from them (weighted, in the mean) and 5e-6 of how far from the
  /// center; as roundings fall, by some 1e-6 of it.
  void Of(const RowBlocks& rows, const double* const* x, int count, double* means) const {
    Of(rows, x, count, means, Forms());
  }
  void Of(const RowBlocks& rows, const double* const* x, int count, double* means,
          const GaussianMeanForms& forms) const;
  /// In double throughout.
  void OfDoubles(const RowBlocks& rows, const double* const* x, int count, double* means,
                 const GaussianMeanForms& forms = Forms()) const;
  /// Whether x is near enough for the float form; it may yet prove to be too near to rows that are not.
  bool NearEnough(const double* x) const {
    double norm;
    return NearEnough(x, norm);
  }

  static const GaussianMeanForms& Forms();  ///< the fastest that runs here
  static const GaussianMeanForms& Portable();
  static const GaussianMeanForms& Avx512();

 private:
  void KeepFloats(const RowBlocks& rows, double factor, const Context& ctx);
  void FillFloats(const RowBlocks& rows, const std::vector<bool>& near, const Context& ctx);
  double Scaled(double value, size_t feature) const { return (value - center_[feature]) * scale_; }
  bool NearEnough(const double* x, double& norm) const;
  void OfFloats(const RowBlocks& rows, const double* const* x, const double* norms, int count, double* means,
                const GaussianMeanForms& forms) const;

  double gamma_ = 0;
  std::vector<double> weights_;  ///< as shares of the largest, padded with zeros
  // The float form's; empty where there is none.
  std::vector<double> center_;
  double reach_ = 1, scale_ = 1;  ///< the largest gap to the center, and 1 / reach
  double factor_ = 0;             ///< gamma reach^2, of binary logarithms
  double roughness_ = 0;          ///< the largest of the near rows: what their products with x may lose
  double far_ = 0;                ///< the least root of factor |y|^2 of the rows left out
  int64_t blocks_ = 0;
  AlignedArray<float> values_, exponents_;
};

}  // namespace vedette::outlier
