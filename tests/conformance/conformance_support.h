// What every algorithm of the list is tried on. A new file in libs/outlier/algorithms is covered without any edit here.
#pragma once

#include <catch2/catch.hpp>

#include <algorithm>
#include <bit>
#include <cmath>
#include <memory>
#include <numeric>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "base/rng.h"
#include "base/thread_pool.h"
#include "boosting/algorithms.h"
#include "outlier/registry.h"
#ifdef VEDETTE_NEURAL
#include "neural/algorithms.h"
#endif

namespace vedette::outlier::conformance {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
inline constexpr bool kSanitized = true;
#else
inline constexpr bool kSanitized = false;
#endif

#if defined(__SANITIZE_THREAD__)
inline constexpr bool kThreadSanitized = true;
#else
inline constexpr bool kThreadSanitized = false;
#endif

/// All that this build can fit. Under a sanitizer, which Debian's LibTorch is not built with, the neural ones are left to the
/// optimised build.
inline std::span<const Descriptor* const> Everything() {
  static const Catalog without_neural({AllAlgorithms(), boosting::Algorithms()});
#ifdef VEDETTE_NEURAL
  static const Catalog catalog({AllAlgorithms(), boosting::Algorithms(), neural::Algorithms()});
  if (!kSanitized) return catalog.all();
#endif
  return without_neural.all();
}

/// Dear algorithms with small networks, samples and few passes, so that the suite takes seconds: what is tried here holds at
/// any size.
inline std::map<std::string, std::string> SmallSettings(const Descriptor& d) {
  static const std::map<std::string_view, std::string> kSmall = {
      {"hidden1", "12"}, {"hidden2", "8"}, {"hidden3", "6"}, {"hidden", "12"}, {"epochs", "6"}, {"batch_size", "32"},
      {"waves", "500"}, {"generators", "3"}, {"code_points", "32"}, {"stop_epochs", "4"}, {"steps_per_epoch", "10"}, {"train_steps", "200"}};
  std::map<std::string, std::string> out;
  if (d.name == "loci") return {{"max_rows", "150"}};
  if (d.name == "dif") return {{"n_ensemble", "8"}, {"hidden_1", "40"}, {"hidden_2", "20"}};
  if (d.name == "rrcf") return {{"n_trees", "25"}, {"tree_size", "64"}};
  if (d.name == "kpca") return {{"max_rows", "400"}};  // not fewer than the rows whose order is changed
  // Members that rank the farthest row of a cloud first, which the trees cannot: known anomalies are alike to them.
  if (d.name == "xgbod") return {{"members", "knn_mean:n_neighbors=20:scale=standard+mahalanobis+iforest"}};
  if (d.name == "extended_iforest") return {{"n_estimators", "50"}};
  if (d.family != "neural") return out;
  for (const ParamSpec& spec : d.params) {
    if (const auto it = kSmall.find(spec.name); it != kSmall.end()) out.emplace(spec.name, it->second);
    if (spec.name == "device") out.emplace("device", "cpu");
    // These two find nothing before they have learnt something.
    if (spec.name == "epochs" && (d.name == "ae1svm" || d.name == "alad")) out["epochs"] = "30";
    if (d.name == "alad" && spec.name.starts_with("hidden")) out.erase(std::string(spec.name));  // its critics need their size
  }
  return out;
}

inline std::unique_ptr<Detector> MakeDetector(const Descriptor& d, const std::map<std::string, std::string>& given = {}) {
  std::map<std::string, std::string> all = SmallSettings(d);
  for (const auto& [name, value] : given) all[name] = value;
  const auto params = ParamSet::Make(d.params, all);
  INFO(params.status());
  REQUIRE(params.ok());
  return d.make(*params);
}

/// Labels for algorithms that learn from them: the twentieth of the rows that lie farthest out on any column are known
/// anomalies, every other row is known to be normal in turn or not known.
inline std::vector<Label> Labels(MatrixView X) {
  const int64_t n = X.rows;
  std::vector<double> far(static_cast<size_t>(n));
  for (int64_t j = 0; j < X.cols; ++j) {
    std::vector<double> sorted(X.col(j).begin(), X.col(j).end());
    std::sort(sorted.begin(), sorted.end());
    const double median = sorted[sorted.size() / 2], spread = sorted[sorted.size() * 3 / 4] - sorted[sorted.size() / 4];
    for (int64_t i = 0; i < n; ++i) {
      const double z = spread > 0 ? std::fabs(X(i, j) / spread - median / spread) : 0;
      far[static_cast<size_t>(i)] = std::max(far[static_cast<size_t>(i)], z);
    }
  }
  std::vector<int64_t> order(static_cast<size_t>(n));
  std::iota(order.begin(), order.end(), int64_t{0});
  std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) { return far[static_cast<size_t>(a)] > far[static_cast<size_t>(b)]; });
  std::vector<Label> labels(static_cast<size_t>(n), Label::kUnknown);
  for (size_t k = 0; k < labels.size(); ++k) {
    const bool anomaly = k < std::max<size_t>(1, labels.size() / 20);
    if (anomaly || k % 2 == 1) labels[static_cast<size_t>(order[k])] = anomaly ? Label::kAnomaly : Label::kNormal;
  }
  return labels;
}

/// Fit, or FitLabelled where the algorithm wants labels.
inline absl::Status Fit(const Descriptor& d, Detector& detector, MatrixView X, const Context& ctx = {}) {
  return d.needs_labels ? detector.FitLabelled(X, Labels(X), ctx) : detector.Fit(X, ctx);
}

inline std::unique_ptr<Detector> Fitted(const Descriptor& d, MatrixView X, const Context& ctx = {}) {
  auto detector = MakeDetector(d);
  const absl::Status status = Fit(d, *detector, X, ctx);
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

/// At most `wanted` rows, fewer where the descriptor says that a fit, or scoring them, would take long (and a sanitizer
/// makes it ten times that).
inline int64_t RowsFor(const Descriptor& d, int64_t wanted, int64_t features) {
  const auto defaults = ParamSet::Make(d.params, SmallSettings(d));
  REQUIRE(defaults.ok());
  int64_t n = wanted;
  const double most = kSanitized ? 0.01 : 0.05;
  while (n > 100 && d.cost != nullptr) {
    const Cost cost = d.cost(*defaults, n, features);
    if (cost.fit_seconds <= most && cost.score_seconds_per_row * static_cast<double>(n) <= most) break;
    n = n * 2 / 3;
  }
  return n;
}

/// At most `wanted` new rows for a fit of `fitted` ones, fewer where scoring them would take long, and never so few that several
/// threads have nothing to share.
inline int64_t RowsToScore(const Descriptor& d, int64_t wanted, int64_t fitted, int64_t features) {
  const auto defaults = ParamSet::Make(d.params, SmallSettings(d));
  REQUIRE(defaults.ok());
  if (d.cost == nullptr) return wanted;
  const double row = d.cost(*defaults, fitted, features).score_seconds_per_row, most = kSanitized ? 0.01 : 0.05;
  return std::min(wanted, std::max<int64_t>(100, static_cast<int64_t>(most / row)));
}

inline Matrix Filled(int64_t n, int64_t d, double value) {
  Matrix X(n, d);
  std::fill(X.data(), X.data() + n * d, value);
  return X;
}

}  // namespace vedette::outlier::conformance

/// A section per algorithm: `d` is its descriptor.
#define FOR_EACH_ALGORITHM(d)                             \
  for (const Descriptor* d##_ptr : Everything())          \
    if (const Descriptor& d = *d##_ptr; true)             \
      DYNAMIC_SECTION(std::string(d.name))
