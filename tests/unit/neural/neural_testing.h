// Helpers of the neural tests.
#pragma once

#include <catch2/catch.hpp>
#include <fstream>
#include <map>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include "base/matrix.h"
#include "base/rng.h"
#include "neural/algorithms.h"
#include "outlier/params.h"

namespace vedette::neural::testing {

using Params = std::map<std::string, std::string>;

inline std::unique_ptr<outlier::Detector> MakeAutoencoder(const Params& given = {}) {
  for (const outlier::Descriptor* d : Algorithms()) {
    if (d->name != "autoencoder") continue;
    auto params = outlier::ParamSet::Make(d->params, given);
    INFO(params.status());
    REQUIRE(params.ok());
    return d->make(*params);
  }
  FAIL("autoencoder is not listed");
  return nullptr;
}

/// Rows on a curve in 6 columns with a little noise; in every 50th row column 0 breaks the relation
/// within its own range.
inline Matrix CurveWithBrokenRows(int64_t rows, uint64_t seed = 7) {
  Rng rng(seed);
  Matrix X(rows, 6);
  for (int64_t i = 0; i < rows; ++i) {
    const double t = rng.Uniform(-1, 1);
    double values[6] = {t, t * t, -2 * t, 1 - t, t * t * t, 5};
    if (i % 50 == 0) values[0] = t > 0 ? t - 1 : t + 1;  // columns 2, 3 and 4 still tell the true t
    for (int64_t j = 0; j < 6; ++j) X(i, j) = 100 * static_cast<double>(j + 1) + 10 * values[j] + 0.05 * rng.Normal();
  }
  return X;
}

/// Area under the ROC curve, ties counted half.
inline double Auc(std::span<const double> scores, const std::vector<bool>& odd) {
  double wins = 0, pairs = 0;
  for (size_t i = 0; i < scores.size(); ++i) {
    if (!odd[i]) continue;
    for (size_t k = 0; k < scores.size(); ++k) {
      if (odd[k]) continue;
      wins += scores[i] > scores[k] ? 1 : scores[i] == scores[k] ? 0.5 : 0;
      pairs += 1;
    }
  }
  return wins / pairs;
}

inline Matrix RandomMatrix(int64_t rows, int64_t cols, uint64_t seed) {
  Rng rng(seed);
  Matrix X(rows, cols);
  for (int64_t j = 0; j < cols; ++j) {
    for (double& v : X.col(j)) v = rng.Normal();
  }
  return X;
}

inline std::string SaveBytes(const outlier::Detector& detector) {
  ByteWriter out;
  detector.Save(out);
  return out.Take();
}

}  // namespace vedette::neural::testing
