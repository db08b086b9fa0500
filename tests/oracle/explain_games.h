// The two scores of the shared KernelSHAP, LIME and counterfactual references.
#pragma once

#include <algorithm>
#include <cmath>
#include <vector>

#include "explain/shapley.h"
#include "oracle/oracle_data.h"

namespace vedette::oracle {

inline Matrix Columns(const Csv& csv, const std::string& prefix, int64_t d) {
  Matrix out(static_cast<int64_t>(csv.rows.size()), d);
  for (int64_t j = 0; j < d; ++j) {
    const auto values = csv.Numbers(prefix + std::to_string(j));
    std::copy(values.begin(), values.end(), out.col(j).begin());
  }
  return out;
}

inline std::vector<double> RowOf(const Matrix& X, int64_t i) {
  std::vector<double> row;
  for (int64_t j = 0; j < X.cols(); ++j) row.push_back(X(i, j));
  return row;
}

template <typename F>
explain::ScoreFn PerRow(F f) {
  return [f](MatrixView X, std::span<double> scores, const Context&) {
    std::vector<double> x(static_cast<size_t>(X.cols));
    for (int64_t i = 0; i < X.rows; ++i) {
      for (int64_t j = 0; j < X.cols; ++j) x[static_cast<size_t>(j)] = X(i, j);
      scores[static_cast<size_t>(i)] = f(x);
    }
    return absl::OkStatus();
  };
}

inline explain::ScoreFn Nonlinear8() {
  return PerRow([](const std::vector<double>& x) {
    return 2 * x[0] * x[1] + std::sin(3 * x[2]) + std::max(x[3], 0.0) * x[4] + std::exp(-x[5] * x[5]) +
           0.5 * x[6] * x[6] - x[7] + x[0] * x[2] * x[5];
  });
}

/// Mean Euclidean distance to the 5 nearest rows.
inline explain::ScoreFn KnnScore(Matrix train) {
  return PerRow([train = std::move(train)](const std::vector<double>& x) {
    std::vector<double> distance(static_cast<size_t>(train.rows()), 0);
    for (int64_t j = 0; j < train.cols(); ++j) {
      for (size_t i = 0; i < distance.size(); ++i) {
        const double gap = train(static_cast<int64_t>(i), j) - x[static_cast<size_t>(j)];
        distance[i] += gap * gap;
      }
    }
    std::partial_sort(distance.begin(), distance.begin() + 5, distance.end());
    double sum = 0;
    for (int i = 0; i < 5; ++i) sum += std::sqrt(distance[static_cast<size_t>(i)]);
    return sum / 5;
  });
}

}  // namespace vedette::oracle
