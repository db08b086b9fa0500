#include "outlier/cholesky.h"

#include <cmath>

namespace vedette::outlier {

std::vector<double> InverseCholesky(std::span<const double> matrix, size_t d, double least_pivot) {
  std::vector<double> L(matrix.begin(), matrix.end()), W(d * d, 0);
  for (size_t i = 0; i < d; ++i) {
    for (size_t j = 0; j <= i; ++j) {
      double sum = L[i * d + j];
      for (size_t k = 0; k < j; ++k) sum -= L[i * d + k] * L[j * d + k];
      if (i == j) {
        if (!(sum > least_pivot * matrix[i * d + i]) || !(sum > 0) || !std::isfinite(sum)) return {};
        L[i * d + i] = std::sqrt(sum);
      } else {
        L[i * d + j] = sum / L[j * d + j];
      }
    }
  }
  // Column by column of the identity, forward.
  for (size_t c = 0; c < d; ++c) {
    W[c * d + c] = 1 / L[c * d + c];
    for (size_t i = c + 1; i < d; ++i) {
      double sum = 0;
      for (size_t k = c; k < i; ++k) sum += L[i * d + k] * W[k * d + c];
      W[i * d + c] = -sum / L[i * d + i];
    }
  }
  for (const double w : W) {
    if (!std::isfinite(w)) return {};
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

void ApplyPrecision(std::span<const double> W, const double* whitened, size_t d, double* out) {
  for (size_t j = 0; j < d; ++j) out[j] = 0;
  for (size_t i = 0; i < d; ++i) {
    for (size_t j = 0; j <= i; ++j) out[j] += W[i * d + j] * whitened[i];
  }
}

std::vector<double> Covariance(std::span<const double> rows, std::span<const double> weights, double total, const double* center, size_t d) {
  std::vector<double> sum(d * d, 0), y(d);
  for (size_t i = 0; i < weights.size(); ++i) {
    for (size_t j = 0; j < d; ++j) y[j] = rows[i * d + j] - center[j];
    for (size_t a = 0; a < d; ++a) {
      const double wa = weights[i] * y[a];
      double* const row = sum.data() + a * d;
      for (size_t b = 0; b <= a; ++b) row[b] += wa * y[b];
    }
  }
  for (size_t a = 0; a < d; ++a) {
    for (size_t b = 0; b <= a; ++b) sum[a * d + b] = sum[b * d + a] = sum[a * d + b] / total;
  }
  return sum;
}

}  // namespace vedette::outlier
