#include "outlier/kernels/kmeans.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/rng.h"
#include "outlier/kernels/row_blocks.h"
#include "outlier/parallel.h"

namespace vedette::outlier {
namespace {

constexpr int64_t kBlock = 1024;
constexpr double kFar = 1e200;  // centers that fill up a vector lie here: nearer to nothing

double Squared(const double* a, const double* b, size_t d) {
  double sum = 0;
  for (size_t j = 0; j < d; ++j) sum += (a[j] - b[j]) * (a[j] - b[j]);
  return sum;
}

struct Run {
  std::span<const double> rows;
  size_t n, d;
  const KMeansOptions& options;
  const Context& ctx;
  const RowBlocks& blocks;

  const double* Row(size_t i) const { return rows.data() + i * d; }

  /// Greedy k-means++: of 2 + log k candidates drawn by squared distance, the one that lowers the sum most.
  absl::StatusOr<std::vector<double>> Start(Rng& rng) const {
    const double* const first = Row(rng.Below(n));
    std::vector<double> centers(first, first + d);
    std::vector<double> nearest(blocks.padded()), best(blocks.padded()), trial(blocks.padded());
    blocks.SquaredDistances(first, nearest.data());
    const int trials = 2 + static_cast<int>(std::log(static_cast<double>(options.clusters)));
    while (static_cast<int64_t>(centers.size() / d) < options.clusters) {
      RETURN_IF_ERROR(ctx.Check());
      double total = 0;
      for (size_t i = 0; i < n; ++i) total += nearest[i];
      if (!(total > 0)) break;  // fewer distinct rows than clusters
      double least = std::numeric_limits<double>::infinity();
      size_t chosen = 0;
      for (int t = 0; t < trials; ++t) {
        double left = rng.Uniform() * total;
        size_t at = 0;
        while (at + 1 < n && (left -= nearest[at]) > 0) ++at;
        blocks.SquaredDistances(Row(at), trial.data());
        double sum = 0;
        for (size_t i = 0; i < n; ++i) sum += trial[i] = std::min(nearest[i], trial[i]);
        if (sum < least) least = sum, chosen = at, best.swap(trial);
      }
      nearest.swap(best);
      centers.insert(centers.end(), Row(chosen), Row(chosen) + d);
    }
    return centers;
  }

  /// Lloyd's rounds with Hamerly's bounds (2010): a row whose own center is surely nearer than any other is not looked at.
  absl::StatusOr<KMeansFit> Lloyd(std::vector<double> centers, double tolerance) const {
    KMeansFit fit{.centers = std::move(centers), .labels = std::vector<int32_t>(n, 0), .sizes = {}, .inertia = 0};
    const size_t k = fit.centers.size() / d;
    Bounds bounds{std::vector<double>(n, std::numeric_limits<double>::infinity()), std::vector<double>(n, 0)};
    for (int64_t round = 0; round < options.iterations; ++round) {
      ASSIGN_OR_RETURN(const bool moved, Assign(fit, bounds));
      if (!moved && round > 0) break;
      std::vector<double> step(k);
      const double shift = Move(fit, step);
      const double most = *std::max_element(step.begin(), step.end());
      for (size_t i = 0; i < n; ++i) {
        bounds.upper[i] += step[static_cast<size_t>(fit.labels[i])];
        bounds.lower[i] -= most;
      }
      if (shift <= tolerance) break;
    }
    const NearestCenter search(fit.centers, k, d);
    std::vector<double> squared(n);
    RETURN_IF_ERROR(ParallelBlocks(ctx, static_cast<int64_t>(n), kBlock, [&](int64_t begin, int64_t end) {
      for (auto i = static_cast<size_t>(begin); i < static_cast<size_t>(end); ++i) {
        fit.labels[i] = static_cast<int32_t>(search.Find(Row(i), &squared[i]));
      }
    }));
    fit.sizes.assign(k, 0);
    for (const int32_t label : fit.labels) ++fit.sizes[static_cast<size_t>(label)];
    for (const double v : squared) fit.inertia += v;
    return fit;
  }

  /// Distances: at most `upper` to a row's own center, at least `lower` to any other.
  struct Bounds {
    std::vector<double> upper, lower;
  };

  absl::StatusOr<bool> Assign(KMeansFit& fit, Bounds& bounds) const {
    const size_t k = fit.centers.size() / d;
    const NearestCenter search(fit.centers, k, d);
    std::vector<double> half(k, std::numeric_limits<double>::infinity());
    for (size_t a = 0; a < k; ++a) {
      for (size_t b = 0; b < k; ++b) {
        if (a != b) half[a] = std::min(half[a], 0.5 * std::sqrt(Squared(fit.centers.data() + a * d, fit.centers.data() + b * d, d)));
      }
    }
    std::atomic<bool> moved{false};
    RETURN_IF_ERROR(ParallelBlocks(ctx, static_cast<int64_t>(n), kBlock, [&](int64_t begin, int64_t end) {
      bool any = false;
      for (auto i = static_cast<size_t>(begin); i < static_cast<size_t>(end); ++i) {
        const auto own = static_cast<size_t>(fit.labels[i]);
        const double safe = std::max(half[own], bounds.lower[i]);
        if (bounds.upper[i] < safe) continue;
        bounds.upper[i] = std::sqrt(Squared(Row(i), fit.centers.data() + own * d, d));
        if (bounds.upper[i] < safe) continue;
        double first = 0, second = 0;
        const size_t nearest = search.FindTwo(Row(i), &first, &second);
        any |= nearest != own;
        fit.labels[i] = static_cast<int32_t>(nearest);
        bounds.upper[i] = std::sqrt(first);
        bounds.lower[i] = std::sqrt(second);
      }
      if (any) moved = true;
    }));
    return moved.load();
  }

  /// Centers to the means of their rows; `step` gets how far each went. An empty cluster takes the row that is farthest from
  /// its center. Returns the sum of squared moves.
  double Move(KMeansFit& fit, std::vector<double>& step) const {
    const size_t k = fit.centers.size() / d;
    std::vector<double> sum(k * d, 0);
    std::vector<int64_t> count(k, 0);
    for (size_t i = 0; i < n; ++i) {
      const auto label = static_cast<size_t>(fit.labels[i]);
      ++count[label];
      for (size_t j = 0; j < d; ++j) sum[label * d + j] += Row(i)[j];
    }
    std::vector<double> far;
    double shift = 0;
    for (size_t c = 0; c < k; ++c) {
      if (count[c] == 0) {
        if (far.empty()) {
          for (size_t i = 0; i < n; ++i) far.push_back(Squared(Row(i), fit.centers.data() + static_cast<size_t>(fit.labels[i]) * d, d));
        }
        const auto at = static_cast<size_t>(std::max_element(far.begin(), far.end()) - far.begin());
        far[at] = -1;
        std::copy(Row(at), Row(at) + d, sum.begin() + static_cast<int64_t>(c * d));
        count[c] = 1;
      }
      double moved = 0;
      for (size_t j = 0; j < d; ++j) {
        const double mean = sum[c * d + j] / static_cast<double>(count[c]), move = mean - fit.centers[c * d + j];
        moved += move * move;
        fit.centers[c * d + j] = mean;
      }
      step[c] = std::sqrt(moved);
      shift += moved;
    }
    return shift;
  }
};

}  // namespace

NearestCenter::NearestCenter(std::span<const double> centers, size_t clusters, size_t d)
    : clusters_(clusters), padded_((clusters + 7) / 8 * 8), d_(d), values_(padded_ * d, kFar) {
  for (size_t c = 0; c < clusters; ++c) {
    for (size_t j = 0; j < d; ++j) values_[(c / 8 * d + j) * 8 + c % 8] = centers[c * d + j];
  }
}

size_t NearestCenter::Find(const double* x, double* squared) const {
  double least = std::numeric_limits<double>::infinity();
  size_t best = 0;
  for (size_t block = 0; block < padded_ / 8; ++block) {
    double sum[8] = {};
    const double* values = values_.data() + block * d_ * 8;
    for (size_t j = 0; j < d_; ++j, values += 8) {
      const double v = x[j];
      for (size_t c = 0; c < 8; ++c) sum[c] += (v - values[c]) * (v - values[c]);
    }
    for (size_t c = 0; c < 8; ++c) {
      if (sum[c] < least && block * 8 + c < clusters_) least = sum[c], best = block * 8 + c;
    }
  }
  *squared = least;
  return best;
}

size_t NearestCenter::FindTwo(const double* x, double* first, double* second) const {
  *first = *second = std::numeric_limits<double>::infinity();
  size_t best = 0;
  for (size_t block = 0; block < padded_ / 8; ++block) {
    double sum[8] = {};
    const double* values = values_.data() + block * d_ * 8;
    for (size_t j = 0; j < d_; ++j, values += 8) {
      const double v = x[j];
      for (size_t c = 0; c < 8; ++c) sum[c] += (v - values[c]) * (v - values[c]);
    }
    for (size_t c = 0; c < 8 && block * 8 + c < clusters_; ++c) {
      if (sum[c] < *first) {
        *second = *first;
        *first = sum[c];
        best = block * 8 + c;
      } else {
        *second = std::min(*second, sum[c]);
      }
    }
  }
  return best;
}

absl::StatusOr<KMeansFit> KMeans(std::span<const double> rows, int64_t n, int64_t d, const KMeansOptions& options, const Context& ctx) {
  const RowBlocks blocks(rows, static_cast<size_t>(n), static_cast<size_t>(d));
  const Run run{rows, static_cast<size_t>(n), static_cast<size_t>(d), options, ctx, blocks};
  double variance = 0;
  for (size_t j = 0; j < run.d; ++j) {
    double mean = 0, sum = 0;
    for (size_t i = 0; i < run.n; ++i) mean += run.Row(i)[j] / static_cast<double>(n);
    for (size_t i = 0; i < run.n; ++i) sum += (run.Row(i)[j] - mean) * (run.Row(i)[j] - mean);
    variance += sum / static_cast<double>(n) / static_cast<double>(d);
  }
  KMeansFit best;
  for (int64_t s = 0; s < options.starts; ++s) {
    RETURN_IF_ERROR(ctx.Check());
    Rng rng(ctx.seed, static_cast<uint64_t>(s));
    ASSIGN_OR_RETURN(std::vector<double> centers, run.Start(rng));
    ASSIGN_OR_RETURN(KMeansFit fit, run.Lloyd(std::move(centers), options.tolerance * variance));
    if (best.centers.empty() || fit.inertia < best.inertia) best = std::move(fit);
  }
  return best;
}

}  // namespace vedette::outlier
