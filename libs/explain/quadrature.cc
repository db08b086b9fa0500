#include "explain/quadrature.h"

#include <cmath>
#include <cstddef>
#include <numbers>

namespace vedette::explain {

Quadrature GaussLegendre(int n) {
  Quadrature out{std::vector<double>(static_cast<size_t>(n)), std::vector<double>(static_cast<size_t>(n))};
  for (int i = 0; i < n; ++i) {
    // On (-1, 1), where Chebyshev's zeros are close guesses; then moved to (0, 1).
    double x = std::cos(std::numbers::pi * (i + 0.75) / (n + 0.5)), slope = 1;
    for (int step = 0; step < 100; ++step) {
      double p = 1, before = 0;
      for (int k = 1; k <= n; ++k) {
        const double next = ((2 * k - 1) * x * p - (k - 1) * before) / k;
        before = p;
        p = next;
      }
      slope = n * (x * p - before) / (x * x - 1);
      const double change = p / slope;
      x -= change;
      if (std::fabs(change) < 1e-16) break;
    }
    out.nodes[static_cast<size_t>(i)] = (1 - x) / 2;
    out.weights[static_cast<size_t>(i)] = 1 / ((1 - x * x) * slope * slope);
  }
  return out;
}

}  // namespace vedette::explain
