// Location and scale of a column, with the conventions of numpy and scikit-learn.
#pragma once

#include <vector>

namespace vedette::table {

/// Neumaier's compensated sum, so that the order of rows hardly matters. Finite for finite values. NaN when empty.
double Mean(const std::vector<double>& values);

/// Linear interpolation between order statistics (numpy's default; type 7 of Hyndman and Fan, "Sample Quantiles in
/// Statistical Packages", 1996). q in [0, 1]; NaN when empty. All values finite.
double Quantile(std::vector<double> values, double q);

struct LocationScale {
  double location = 0;
  double scale = 1;
};
/// Mean and standard deviation with ddof 0. Scale 1 for a constant column, up to rounding errors, as scikit-learn's
/// StandardScaler has it: variance <= n eps variance + (n mean eps)^2.
LocationScale StandardScale(const std::vector<double>& values);
/// Median and interquartile range; scale 1 when that is (almost) zero: below 10 eps, as scikit-learn's RobustScaler.
LocationScale RobustScale(std::vector<double> values);

}  // namespace vedette::table
