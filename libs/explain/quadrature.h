// Gauss-Legendre quadrature on (0, 1): n points are exact for polynomials up to degree 2 n - 1.
#pragma once

#include <vector>

namespace vedette::explain {

struct Quadrature {
  std::vector<double> nodes;    ///< strictly inside (0, 1), ascending
  std::vector<double> weights;  ///< positive; their sum is 1
};

/// n in [1, 4096]. Nodes are zeros of the Legendre polynomial, by Newton's method to rounding.
Quadrature GaussLegendre(int n);

}  // namespace vedette::explain
