// What every algorithm of the list is tried on. A new file in libs/outlier/algorithms is covered without any edit here.
#pragma once

#include <catch2/catch.hpp>

#include <algorithm>
#include <bit>
#include <cmath>
#include <memory>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "base/rng.h"
#include "base/thread_pool.h"
#include "outlier/registry.h"

namespace vedette::outlier::conformance {

inline std::unique_ptr<Detector> MakeDetector(const Descriptor& d, const std::map<std::string, std::string>& given = {}) {
  const auto params = ParamSet::Make(d.params, given);
  INFO(params.status());
  REQUIRE(params.ok());
  return d.make(*params);
}

inline std::unique_ptr<Detector> Fitted(const Descriptor& d, MatrixView X, const Context& ctx = {}) {
  auto detector = MakeDetector(d);
  const absl::Status status = detector->Fit(X, ctx);
  INFO(status);
  REQUIRE(status.ok());
  REQUIRE(detector->features() == X.cols);
  REQUIRE(static_cast<int64_t>(detector->training_scores().size()) == X.rows);
  return detector;
}

inline std::vector<double> Scores(const Detector& detector, MatrixView X, const Context& ctx = {}) {
  std::vector<double> scores(static_cast<size_t>(X.rows), std::nan(""));
  REQUIRE(detector.Score(X, scores, ctx).ok());
  return scores;
}

inline std::vector<double> Training(const Detector& detector) {
  return {detector.training_scores().begin(), detector.training_scores().end()};
}

inline bool AllFinite(const std::vector<double>& v) {
  return std::all_of(v.begin(), v.end(), [](double x) { return std::isfinite(x); });
}

inline bool SameBits(const std::vector<double>& a, const std::vector<double>& b) {
  return a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin(), [](double x, double y) {
    return std::bit_cast<uint64_t>(x) == std::bit_cast<uint64_t>(y);
  });
}

/// A correlated normal cloud: column j = 0.6 * common + 0.8 * own, times base^(j % 3).
inline Matrix Cloud(int64_t n, int64_t d, uint64_t seed = 7, double base = 10) {
  Rng rng(seed);
  Matrix X(n, d);
  for (int64_t i = 0; i < n; ++i) {
    const double common = rng.Normal();
    for (int64_t j = 0; j < d; ++j) X(i, j) = (0.6 * common + 0.8 * rng.Normal()) * std::pow(base, static_cast<double>(j % 3));
  }
  return X;
}

inline Matrix Filled(int64_t n, int64_t d, double value) {
  Matrix X(n, d);
  std::fill(X.data(), X.data() + n * d, value);
  return X;
}

}  // namespace vedette::outlier::conformance

/// A section per algorithm: `d` is its descriptor.
#define FOR_EACH_ALGORITHM(d)                             \
  for (const Descriptor* d##_ptr : AllAlgorithms())       \
    if (const Descriptor& d = *d##_ptr; true)             \
      DYNAMIC_SECTION(std::string(d.name))
