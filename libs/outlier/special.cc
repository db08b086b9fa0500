#include "outlier/special.h"

#include <math.h>  // lgamma_r

#include <algorithm>
#include <cmath>

namespace vedette::outlier {
namespace {

/// std::lgamma writes the global `signgam`, which is a race between threads.
double LogGamma(double x) {
  int sign = 0;
  return lgamma_r(x, &sign);
}

double Guard(double v) { return std::fabs(v) < 1e-300 ? 1e-300 : v; }

/// Continued fraction of the incomplete beta function by Lentz's method (DLMF 8.17.22; Press et al., section 6.4).
double BetaFraction(double a, double b, double x) {
  double c = 1;
  double d = 1 / Guard(1 - (a + b) * x / (a + 1));
  double h = d;
  const int limit = 200 + static_cast<int>(20 * std::sqrt(std::min(1e10, std::max(a, b))));  // needs about sqrt(max(a, b))
  for (int m = 1; m <= limit; ++m) {
    const double even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m));
    d = 1 / Guard(1 + even * d);
    c = Guard(1 + even / c);
    h *= d * c;
    const double odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1));
    d = 1 / Guard(1 + odd * d);
    c = Guard(1 + odd / c);
    const double step = d * c;
    h *= step;
    if (std::fabs(step - 1) < 1e-16) break;
  }
  return h;
}

/// Regularised incomplete beta function I_x(a, b); a, b > 0.
double RegularizedBeta(double a, double b, double x) {
  if (x <= 0) return 0;
  if (x >= 1) return 1;
  const double front = std::exp(LogGamma(a + b) - LogGamma(a) - LogGamma(b) + a * std::log(x) + b * std::log1p(-x));
  if (x < (a + 1) / (a + b + 2)) return std::clamp(front * BetaFraction(a, b, x) / a, 0.0, 1.0);
  return std::clamp(1 - front * BetaFraction(b, a, 1 - x) / b, 0.0, 1.0);
}

/// Regularised lower incomplete gamma function P(a, x): series below a + 1, continued fraction above (DLMF 8.11.4, 8.9.2).
double RegularizedGamma(double a, double x) {
  if (x <= 0) return 0;
  const double front = std::exp(a * std::log(x) - x - LogGamma(a));
  if (x < a + 1) {
    double term = 1 / a, sum = term;
    for (int k = 1; k < 100000 && term > sum * 1e-17; ++k) sum += term *= x / (a + k);
    return std::min(1.0, front * sum);
  }
  double b = x + 1 - a;
  double c = 1e300;
  double d = 1 / b;
  double h = d;
  for (int k = 1; k < 100000; ++k) {
    const double an = -k * (k - a);
    b += 2;
    d = 1 / Guard(an * d + b);
    c = Guard(b + an / c);
    const double step = d * c;
    h *= step;
    if (std::fabs(step - 1) < 1e-16) break;
  }
  return std::clamp(1 - front * h, 0.0, 1.0);
}

}  // namespace

double BinomialSurvival(double k, double n, double p) {
  if (k >= n) return 0;
  if (k < 0) return 1;
  return RegularizedBeta(k + 1, n - k, p);
}

double ChiSquaredQuantile(double probability, double degrees) {
  double low = 0, high = degrees + 10 * std::sqrt(2 * degrees) + 10;
  while (RegularizedGamma(degrees / 2, high / 2) < probability && high < 1e300) high *= 2;
  for (int i = 0; i < 200 && high - low > 1e-14 * high; ++i) {
    const double middle = (low + high) / 2;
    (RegularizedGamma(degrees / 2, middle / 2) < probability ? low : high) = middle;
  }
  return (low + high) / 2;
}

double StudentQuantile(double probability, double degrees) {
  const double tail = std::min(probability, 1 - probability);
  if (!(tail > 0) || !(degrees > 0)) return 0;
  // P(|T| > t) = I_x(degrees / 2, 1 / 2) with x = degrees / (degrees + t^2): bisection of ln t.
  double low = std::log(1e-12), high = std::log(1e12);
  for (int i = 0; i < 100; ++i) {
    const double middle = 0.5 * (low + high), t = std::exp(middle);
    const double beyond = 0.5 * RegularizedBeta(degrees / 2, 0.5, degrees / (degrees + t * t));
    (beyond > tail ? low : high) = middle;
  }
  const double t = tail >= 0.5 ? 0 : std::exp(0.5 * (low + high));
  return probability < 0.5 ? -t : t;
}

}  // namespace vedette::outlier
