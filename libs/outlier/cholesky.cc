#include "outlier/cholesky.h"

#include <algorithm>
#include <cmath>

#include "base/status.h"
#include "outlier/kernels/simd.h"

namespace vedette::outlier {
namespace {

double Dot(const double* a, const double* b, size_t n) {
  F64x4 sum[2] = {F64x4::Zero(), F64x4::Zero()};
  size_t i = 0;
  for (; i + 8 <= n; i += 8) {
    sum[0] = Fma(F64x4::LoadAny(a + i), F64x4::LoadAny(b + i), sum[0]);
    sum[1] = Fma(F64x4::LoadAny(a + i + 4), F64x4::LoadAny(b + i + 4), sum[1]);
  }
  double lanes[4], rest = 0;
  (sum[0] + sum[1]).Store(lanes);
  for (; i < n; ++i) rest += a[i] * b[i];
  return ((lanes[0] + lanes[2]) + (lanes[1] + lanes[3])) + rest;
}

}  // namespace

absl::StatusOr<std::vector<double>> InverseCholesky(std::span<const double> matrix, size_t d, const Context& ctx,
                                                    double least_pivot) {
  std::vector<double> L(matrix.begin(), matrix.end()), W(d * d, 0);
  for (size_t i = 0; i < d; ++i) {
    if (i % 16 == 0) RETURN_IF_ERROR(ctx.Check());
    for (size_t j = 0; j <= i; ++j) {
      const double sum = L[i * d + j] - Dot(L.data() + i * d, L.data() + j * d, j);
      if (i == j) {
        if (!(sum > least_pivot * matrix[i * d + i]) || !(sum > 0) || !std::isfinite(sum)) return std::vector<double>();
        L[i * d + i] = std::sqrt(sum);
      } else {
        L[i * d + j] = sum / L[j * d + j];
      }
    }
  }
  // Row by row of W: W_i = (e_i - sum over k < i of L_ik W_k) / L_ii.
  for (size_t i = 0; i < d; ++i) {
    if (i % 16 == 0) RETURN_IF_ERROR(ctx.Check());
    double* const row = W.data() + i * d;
    for (size_t k = 0; k < i; ++k) {
      const double factor = L[i * d + k];
      const double* const from = W.data() + k * d;
      for (size_t c = 0; c <= k; ++c) row[c] -= factor * from[c];
    }
    const double inverse = 1 / L[i * d + i];
    for (size_t c = 0; c < i; ++c) row[c] *= inverse;
    row[i] = inverse;
  }
  for (const double w : W) {
    if (!std::isfinite(w)) return std::vector<double>();
  }
  return W;
}

double WhitenedSquare(std::span<const double> W, const double* x, const double* center, size_t d, double* whitened) {
  double square = 0;
  for (size_t i = 0; i < d; ++i) {
    double sum = 0;
    const double* const row = W.data() + i * d;
    for (size_t j = 0; j <= i; ++j) sum += row[j] * (x[j] - center[j]);
    if (whitened != nullptr) whitened[i] = sum;
    square += sum * sum;
  }
  return square;
}

namespace {

template <int kVectors>
void WhitenTile(const double* W, const double* tile, const double* center, size_t d, double* squares) {
  constexpr size_t kLanes = 4 * kVectors;
  static thread_local std::vector<double> gaps;
  gaps.resize(d * kLanes);
  for (size_t j = 0; j < d; ++j) {
    const F64x4 c = F64x4::Set(center[j]);
    for (size_t r = 0; r < kLanes; r += 4)
      (F64x4::LoadAny(tile + j * kLanes + r) - c).Store(gaps.data() + j * kLanes + r);
  }
  F64x4 square[kVectors];
  for (F64x4& s : square) s = F64x4::Zero();
  size_t i = 0;
  for (; i + 2 <= d; i += 2, W += 2 * d) {  // two rows of W at once: each loaded value is used for both
    F64x4 first[kVectors], second[kVectors];
    for (int v = 0; v < kVectors; ++v) first[v] = second[v] = F64x4::Zero();
    const double* gap = gaps.data();
    for (size_t j = 0; j <= i; ++j, gap += kLanes) {
      const F64x4 w = F64x4::Set(W[j]), u = F64x4::Set(W[d + j]);
      for (int v = 0; v < kVectors; ++v) {
        const F64x4 g = F64x4::LoadAny(gap + 4 * v);
        first[v] = Fma(w, g, first[v]);
        second[v] = Fma(u, g, second[v]);
      }
    }
    const F64x4 u = F64x4::Set(W[d + i + 1]);
    for (int v = 0; v < kVectors; ++v) {
      second[v] = Fma(u, F64x4::LoadAny(gap + 4 * v), second[v]);
      square[v] = Fma(second[v], second[v], Fma(first[v], first[v], square[v]));
    }
  }
  if (i < d) {
    F64x4 sum[kVectors];
    for (F64x4& s : sum) s = F64x4::Zero();
    const double* gap = gaps.data();
    for (size_t j = 0; j <= i; ++j, gap += kLanes) {
      const F64x4 w = F64x4::Set(W[j]);
      for (int v = 0; v < kVectors; ++v) sum[v] = Fma(w, F64x4::LoadAny(gap + 4 * v), sum[v]);
    }
    for (int v = 0; v < kVectors; ++v) square[v] = Fma(sum[v], sum[v], square[v]);
  }
  for (int v = 0; v < kVectors; ++v) square[v].Store(squares + 4 * v);
}

}  // namespace

void WhitenedSquares(std::span<const double> W, const double* tile, int lanes, const double* center, size_t d,
                     double* squares) {
  if (lanes == 16)
    WhitenTile<4>(W.data(), tile, center, d, squares);
  else
    WhitenTile<1>(W.data(), tile, center, d, squares);
}

void ApplyPrecision(std::span<const double> W, const double* whitened, size_t d, double* out) {
  for (size_t j = 0; j < d; ++j) out[j] = 0;
  for (size_t i = 0; i < d; ++i) {
    for (size_t j = 0; j <= i; ++j) out[j] += W[i * d + j] * whitened[i];
  }
}

namespace {

/// sum += y[a]' y[b] of the rows of a block that lies feature by feature, for four features a and four features b.
void AddProducts(const double* weighted, const double* y, size_t rows, size_t stride, size_t count_a, size_t count_b,
                 double* sum, size_t d) {
  F64x4 part[4][4];
  for (auto& line : part) {
    for (F64x4& p : line) p = F64x4::Zero();
  }
  for (size_t r = 0; r < rows; r += 4) {
    F64x4 a[4], b[4];
    for (size_t k = 0; k < 4; ++k) a[k] = k < count_a ? F64x4::LoadAny(weighted + k * stride + r) : F64x4::Zero();
    for (size_t k = 0; k < 4; ++k) b[k] = k < count_b ? F64x4::LoadAny(y + k * stride + r) : F64x4::Zero();
    for (size_t i = 0; i < 4; ++i) {
      for (size_t j = 0; j < 4; ++j) part[i][j] = Fma(a[i], b[j], part[i][j]);
    }
  }
  for (size_t i = 0; i < count_a; ++i) {
    for (size_t j = 0; j < count_b; ++j) {
      double lanes[4];
      part[i][j].Store(lanes);
      sum[i * d + j] += (lanes[0] + lanes[2]) + (lanes[1] + lanes[3]);
    }
  }
}

}  // namespace

absl::StatusOr<std::vector<double>> CovarianceOf(size_t n, size_t d, double total, const BlockReader& read,
                                                 const Context& ctx) {
  constexpr size_t kRows = kCovarianceRows;
  std::vector<double> sum(d * d, 0), y(d * kRows), weighted;
  for (size_t begin = 0; begin < n; begin += kRows) {
    RETURN_IF_ERROR(ctx.Check());
    const size_t count = std::min(kRows, n - begin), padded = (count + 3) / 4 * 4;
    const std::span<const double> weights = read(begin, count, y.data());
    for (size_t j = 0; j < d; ++j) std::fill(y.data() + j * kRows + count, y.data() + j * kRows + padded, 0.0);
    const double* left = y.data();
    if (!weights.empty()) {
      weighted.assign(d * kRows, 0);
      for (size_t j = 0; j < d; ++j) {
        for (size_t r = 0; r < count; ++r) weighted[j * kRows + r] = weights[r] * y[j * kRows + r];
      }
      left = weighted.data();
    }
    for (size_t a = 0; a < d; a += 4) {
      for (size_t b = 0; b <= a; b += 4) {
        AddProducts(left + a * kRows, y.data() + b * kRows, padded, kRows, std::min<size_t>(4, d - a),
                    std::min<size_t>(4, d - b), sum.data() + a * d + b, d);
      }
    }
  }
  for (size_t a = 0; a < d; ++a) {
    for (size_t b = 0; b <= a; ++b) sum[a * d + b] = sum[b * d + a] = sum[a * d + b] / total;
  }
  return sum;
}

absl::StatusOr<std::vector<double>> Covariance(std::span<const double> rows, std::span<const double> weights,
                                               double total, const double* center, size_t d, const Context& ctx) {
  const auto read = [&](size_t begin, size_t count, double* y) {
    for (size_t r = 0; r < count; ++r) {
      const double* const row = rows.data() + (begin + r) * d;
      for (size_t j = 0; j < d; ++j) y[j * kCovarianceRows + r] = row[j] - center[j];
    }
    return weights.subspan(begin, count);
  };
  return CovarianceOf(weights.size(), d, total, read, ctx);
}

}  // namespace vedette::outlier
