// The few special functions that score scales and robust distances need. Thread-safe, unlike std::lgamma.
#pragma once

namespace vedette::outlier {

/// P(B > k) for B ~ Binomial(n, p); k and n whole numbers, 0 <= p <= 1. Absolute error below 1e-12 up to n = 1e6.
double BinomialSurvival(double k, double n, double p);

/// The x for which P(C <= x) = probability, C ~ chi-squared with `degrees` > 0; 0 < probability < 1. Relative error 1e-12.
double ChiSquaredQuantile(double probability, double degrees);

/// The t for which P(T <= t) = probability, T Student's with `degrees` > 0; 0 < probability < 1. Relative error 1e-9.
double StudentQuantile(double probability, double degrees);

}  // namespace vedette::outlier
