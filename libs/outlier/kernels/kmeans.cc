#include "outlier/kernels/kmeans.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

#include "base/rng.h"
#include "outlier/kernels/aligned.h"
#include "outlier/kernels/kmeans_kernels.h"
#include "outlier/kernels/row_blocks.h"
#include "outlier/kernels/row_parts.h"
#include "outlier/kernels/simd.h"
#include "outlier/parallel.h"

namespace vedette::outlier {
namespace {

constexpr int64_t kBlock = 1024;
constexpr double kFar = 1e200;  // centers that fill up a vector lie here: nearer to nothing
constexpr size_t kTileRows = CenterTile::kRows;

double Squared(const double* a, const double* b, size_t d) {
  double sum = 0;
  for (size_t j = 0; j < d; ++j) sum += (a[j] - b[j]) * (a[j] - b[j]);
  return sum;
}

/// The same in four lanes, where no comparison hangs on the last bit.
double LaneSquared(const double* a, const double* b, size_t d) {
  double sum[4] = {};
  size_t j = 0;
  for (; j + 4 <= d; j += 4) {
    for (size_t r = 0; r < 4; ++r) sum[r] += (a[j + r] - b[j + r]) * (a[j + r] - b[j + r]);
  }
  for (; j < d; ++j) sum[0] += (a[j] - b[j]) * (a[j] - b[j]);
  return (sum[0] + sum[2]) + (sum[1] + sum[3]);
}

/// f(i) for all rows, in their order.
template <typename F>
absl::Status EachRow(size_t n, size_t d, const Context& ctx, const F& f) {
  const int64_t grain = RowsPerLook(static_cast<int64_t>(2 * d));
  return Blocks(ctx, static_cast<int64_t>(n), grain, [&](int64_t begin, int64_t end) {
    for (auto i = static_cast<size_t>(begin); i < static_cast<size_t>(end); ++i) f(i);
  });
}

/// Sum in eight lanes.
double LaneSum(const double* values, size_t n) {
  double sum[8] = {};
  size_t i = 0;
  for (; i + 8 <= n; i += 8) {
    for (size_t r = 0; r < 8; ++r) sum[r] += values[i + r];
  }
  for (; i < n; ++i) sum[0] += values[i];
  return ((sum[0] + sum[4]) + (sum[2] + sum[6])) + ((sum[1] + sum[5]) + (sum[3] + sum[7]));
}

/// The rows in float32, centred and scaled, sixteen side by side: the nearest center of a row is found there, and
/// looked for again in double only where rounding might have decided.
class Screen {
 public:
  Screen(std::span<const double> rows, size_t n, size_t d)
      : rows_(rows),
        n_(n),
        d_(d),
        middle_(d, 0),
        values_(static_cast<int64_t>((n + kTileRows - 1) / kTileRows * kTileRows * d)),
        doubt_((n + kTileRows - 1) / kTileRows * kTileRows, 0.0F) {}

  absl::Status Fill(const Context& ctx) {
    const std::span<const double> rows = rows_;
    const size_t n = n_, d = d_;
    RETURN_IF_ERROR(EachRow(n, d, ctx, [&](size_t i) {
      for (size_t j = 0; j < d; ++j) middle_[j] += rows[i * d + j];
    }));
    for (double& m : middle_) m /= static_cast<double>(n);
    double most = 0;
    RETURN_IF_ERROR(EachRow(n, d, ctx, [&](size_t i) {
      for (size_t j = 0; j < d; ++j) most = std::max(most, std::fabs(rows[i * d + j] - middle_[j]));
    }));
    scale_ = most > 0 ? std::ldexp(1.0, std::clamp(-std::ilogb(most), -400, 400)) : 1;
    // Of |x|^2 + |c|^2 that much, at most, is lost on the way to |c|^2 - 2 x.c: each of the d terms and what is rounded
    // before and after them by 2^-23 of it (see dense_search.h).
    lost_ = 1.01 * static_cast<double>(d + 12) * 0x1p-23;
    std::fill(values_.get() + n / kTileRows * kTileRows * d, values_.get() + values_.size(), 0.0F);
    return EachRow(n, d, ctx, [&](size_t i) {
      double norm = 0;
      for (size_t j = 0; j < d; ++j) {
        const double v = (rows[i * d + j] - middle_[j]) * scale_;
        values_[static_cast<int64_t>((i / kTileRows * d + j) * kTileRows + i % kTileRows)] = static_cast<float>(v);
        norm += v * v;
      }
      doubt_[i] = static_cast<float>(2 * lost_ * norm + kUnderflow);
    });
  }

  /// Centers as Nearest takes them.
  struct Prepared {
    std::vector<float> values, norms, doubt;
  };
  Prepared Prepare(const std::vector<double>& centers) const {
    constexpr size_t kGroup = CenterTile::kCenters;
    const size_t k = centers.size() / d_, padded = (k + kGroup - 1) / kGroup * kGroup;
    Prepared out{std::vector<float>(padded * d_, 0.0F),
                 std::vector<float>(padded, std::numeric_limits<float>::infinity()), std::vector<float>(padded, 0.0F)};
    for (size_t c = 0; c < k; ++c) {
      double norm = 0;
      for (size_t j = 0; j < d_; ++j) {
        const double v = std::clamp((centers[c * d_ + j] - middle_[j]) * scale_, -4.0, 4.0);
        out.values[(c / kGroup * d_ + j) * kGroup + c % kGroup] = static_cast<float>(-2 * v);
        norm += v * v;
      }
      out.norms[c] = static_cast<float>((1 - lost_) * norm);
      out.doubt[c] = static_cast<float>(2 * lost_ * norm);
    }
    return out;
  }

  /// labels[r] = nearest of k centers to row 16 tile + r, of equally near ones the lowest.
  void Nearest(size_t tile, const Prepared& prepared, const std::vector<double>& centers, size_t k,
               int32_t* labels) const {
    CenterFound found;
    kernel_.nearest({.rows = values_.get() + tile * d_ * kTileRows,
                     .centers = prepared.values.data(),
                     .norms = prepared.norms.data(),
                     .doubt = prepared.doubt.data(),
                     .features = d_,
                     .groups = prepared.norms.size() / CenterTile::kCenters},
                    found);
    const size_t begin = tile * kTileRows, count = std::min(kTileRows, n_ - begin);
    unsigned doubtful = 0;
    for (size_t r = 0; r < kTileRows; r += 8) {
      const F32x8 most =
          F32x8::LoadAny(found.first + r) + F32x8::LoadAny(found.doubt + r) + F32x8::LoadAny(doubt_.data() + begin + r);
      doubtful |= F32x8::LoadAny(found.second + r).NotAbove(most) << r;
    }
    int32_t nearest[kTileRows];
    for (size_t r = 0; r < kTileRows; ++r) nearest[r] = static_cast<int32_t>(found.center[r]);
    for (doubtful &= k > 1 ? (1U << count) - 1 : 0; doubtful != 0; doubtful &= doubtful - 1) {
      const auto r = static_cast<size_t>(std::countr_zero(doubtful));
      nearest[r] = Exactly(begin + r, centers, k);
    }
    if (count == kTileRows) {
      std::copy_n(nearest, kTileRows, labels);  // a length that the compiler knows
    } else {
      std::copy_n(nearest, count, labels);
    }
  }

 private:
  static constexpr double kUnderflow = 1e-36;  // more than what products below float32's range can lose

  int32_t Exactly(size_t row, const std::vector<double>& centers, size_t k) const {
    double least = std::numeric_limits<double>::infinity();
    size_t best = 0;
    for (size_t c = 0; c < k; ++c) {
      const double squared = Squared(rows_.data() + row * d_, centers.data() + c * d_, d_);
      if (squared < least) least = squared, best = c;
    }
    return static_cast<int32_t>(best);
  }

  std::span<const double> rows_;
  size_t n_, d_;
  std::vector<double> middle_;
  AlignedArray<float> values_;
  std::vector<float> doubt_;  // of each row: what the values of two centers may have lost by it
  double scale_ = 1, lost_ = 0;
  const KMeansKernel& kernel_ = FastestKMeansKernel();
};

struct Run {
  std::span<const double> rows;
  size_t n, d;
  const KMeansOptions& options;
  const Context& ctx;
  const RowBlocks& blocks;
  const Screen& screen;

  const double* Row(size_t i) const { return rows.data() + i * d; }

  /// Greedy k-means++: of 2 + log k candidates drawn by squared distance, the one that lowers the sum most.
  absl::StatusOr<std::vector<double>> Start(Rng& rng) const {
    constexpr int kTogether = CandidateBlocks::kCandidates;
    const double* const first = Row(rng.Below(n));
    std::vector<double> centers(first, first + d);
    const auto padded = static_cast<int64_t>(blocks.padded());
    std::vector<double> nearest(blocks.padded()), best(blocks.padded());
    const AlignedArray<double> trial(kTogether * padded);
    const auto grain = static_cast<size_t>(RowsPerLook(static_cast<int64_t>(2 * d)) + 7) / 8 * 8;
    for (size_t at = 0; at < blocks.padded(); at += grain) {
      RETURN_IF_ERROR(ctx.Check());
      blocks.SquaredDistances(first, at, std::min(blocks.padded(), at + grain), nearest.data());
    }
    const int trials = 2 + static_cast<int>(std::log(static_cast<double>(options.clusters)));
    while (static_cast<int64_t>(centers.size() / d) < options.clusters) {
      RETURN_IF_ERROR(ctx.Check());
      std::vector<double> share;  // of each block of rows
      for (size_t begin = 0; begin < n; begin += kBlock)
        share.push_back(LaneSum(nearest.data() + begin, std::min<size_t>(kBlock, n - begin)));
      double total = 0;
      for (const double s : share) total += s;
      if (!(total > 0)) break;  // fewer distinct rows than clusters
      double least = std::numeric_limits<double>::infinity();
      size_t chosen = 0;
      for (int t = 0; t < trials; t += kTogether) {
        const int count = std::min(kTogether, trials - t);
        size_t at[kTogether];
        for (int q = 0; q < kTogether; ++q)
          at[q] = q < count ? Drawn(rng.Uniform() * total, share, nearest) : at[count - 1];
        ASSIGN_OR_RETURN(const CandidateBlocks candidates, Candidates(at, nearest, trial.get()));
        const double* improved = nullptr;
        for (int q = 0; q < count; ++q) {
          const double sum = TrialSum(candidates, static_cast<size_t>(q));
          if (sum < least) least = sum, chosen = at[q], improved = candidates.trial[q];
        }
        if (improved != nullptr) std::copy_n(improved, padded, best.begin());
      }
      nearest.swap(best);
      centers.insert(centers.end(), Row(chosen), Row(chosen) + d);
    }
    return centers;
  }

  /// Distances to the nearest center if the rows `at` were centers, too: four times padded() in `trial`.
  absl::StatusOr<CandidateBlocks> Candidates(const size_t* at, const std::vector<double>& nearest,
                                             double* trial) const {
    CandidateBlocks out{.features = d};
    for (size_t q = 0; q < CandidateBlocks::kCandidates; ++q) {
      out.candidates[q] = Row(at[q]);
      out.trial[q] = trial + q * blocks.padded();
    }
    const auto some = [&](CandidateBlocks piece, size_t first, size_t count) {
      piece.values = blocks.block(first);
      piece.blocks = count;
      piece.nearest = nearest.data() + first * 8;
      for (double*& to : piece.trial) to += first * 8;
      FastestKMeansKernel().candidates(piece);
      return piece;
    };
    const auto grain = static_cast<size_t>(RowsPerLook(static_cast<int64_t>(16 * d)) + 1) / 2 * 2;  // blocks
    for (size_t first = 0; first < n / 8; first += grain) {
      RETURN_IF_ERROR(ctx.Check());
      const CandidateBlocks piece = some(out, first, std::min(grain, n / 8 - first));
      std::copy_n(&piece.sums[0][0], CandidateBlocks::kCandidates * 8, &out.sums[0][0]);
    }
    if (n % 8 == 0) return out;
    // The last rows fill no block: their sums are added like LaneSum's.
    const CandidateBlocks last = some(out, n / 8, 1);
    for (size_t q = 0; q < CandidateBlocks::kCandidates; ++q) {
      for (size_t i = 0; i < n % 8; ++i) out.sums[q][0] += last.trial[q][i];
    }
    return out;
  }
  static double TrialSum(const CandidateBlocks& candidates, size_t q) {
    const double* const s = candidates.sums[q];
    return ((s[0] + s[4]) + (s[2] + s[6])) + ((s[1] + s[5]) + (s[3] + s[7]));
  }

  /// The row in which the running sum of `nearest` passes `left`.
  size_t Drawn(double left, const std::vector<double>& share, const std::vector<double>& nearest) const {
    size_t block = 0;
    while (block + 1 < share.size() && left > share[block]) left -= share[block++];
    size_t at = block * kBlock;
    while (at + 1 < n && (left -= nearest[at]) > 0) ++at;
    return at;
  }

  /// Sums and numbers of the clusters' rows.
  struct Sums {
    std::vector<double> sum;
    std::vector<int64_t> count;
  };

  /// Lloyd's rounds. Sums follow the rows that change sides, and are added up anew before a run may end.
  absl::StatusOr<KMeansFit> Lloyd(std::vector<double> centers, double tolerance) const {
    KMeansFit fit{.centers = std::move(centers), .labels = std::vector<int32_t>(n, 0), .sizes = {}, .inertia = 0};
    const size_t k = fit.centers.size() / d;
    std::vector<int32_t> labels(n);
    Sums sums;
    std::vector<int32_t> changes((n + kBlock - 1) / kBlock);  // of each block's labels
    bool fresh = false;
    for (int64_t round = 0; round < options.iterations; ++round) {
      RETURN_IF_ERROR(Assign(fit, labels, changes));
      size_t changed = 0;
      for (const int32_t c : changes) changed += static_cast<size_t>(c);
      if (changed == 0 && fresh) break;
      if (round == 0 || changed == 0 || changed > n / 4) {
        fit.labels = labels;
        ASSIGN_OR_RETURN(sums, AddUp(fit.labels, k));
        fresh = true;
      } else {
        RETURN_IF_ERROR(Follow(labels, changes, fit.labels, sums));
        fresh = false;
      }
      if (Move(sums, fit) > tolerance) continue;
      if (fresh) break;
      ASSIGN_OR_RETURN(sums, AddUp(fit.labels, k));
      fresh = true;
      if (Move(sums, fit) <= tolerance) break;
    }
    RETURN_IF_ERROR(Assign(fit, labels, changes));
    fit.labels.swap(labels);
    fit.sizes.assign(k, 0);
    for (const int32_t label : fit.labels) ++fit.sizes[static_cast<size_t>(label)];
    RETURN_IF_ERROR(EachRow(n, d, ctx, [&](size_t i) {
      fit.inertia += LaneSquared(Row(i), fit.centers.data() + static_cast<size_t>(fit.labels[i]) * d, d);
    }));
    return fit;
  }

  absl::Status Assign(const KMeansFit& fit, std::vector<int32_t>& labels, std::vector<int32_t>& changes) const {
    const Screen::Prepared prepared = screen.Prepare(fit.centers);
    const size_t k = fit.centers.size() / d;
    return ParallelBlocks(ctx, static_cast<int64_t>(n), kBlock, [&](int64_t begin, int64_t end) {
      for (auto i = static_cast<size_t>(begin); i < static_cast<size_t>(end); i += kTileRows) {
        screen.Nearest(i / kTileRows, prepared, fit.centers, k, labels.data() + i);
      }
      int32_t changed = 0;
      for (int64_t i = begin; i < end; ++i)
        changed += labels[static_cast<size_t>(i)] != fit.labels[static_cast<size_t>(i)] ? 1 : 0;
      changes[static_cast<size_t>(begin / kBlock)] = changed;
    });
  }

  absl::StatusOr<Sums> AddUp(const std::vector<int32_t>& labels, size_t k) const {
    Sums sums{std::vector<double>(k * d, 0), std::vector<int64_t>(k, 0)};
    RETURN_IF_ERROR(EachRow(n, d, ctx, [&](size_t i) { Add<1>(i, labels[i], sums); }));
    return sums;
  }
  absl::Status Follow(const std::vector<int32_t>& labels, const std::vector<int32_t>& changes,
                      std::vector<int32_t>& before, Sums& sums) const {
    for (size_t b = 0; b < changes.size(); ++b) {
      RETURN_IF_ERROR(ctx.Check());
      for (size_t i = b * kBlock; changes[b] > 0 && i < std::min(n, (b + 1) * kBlock); ++i) {
        if (labels[i] == before[i]) continue;
        Add<-1>(i, before[i], sums);
        Add<1>(i, labels[i], sums);
        before[i] = labels[i];
      }
    }
    return absl::OkStatus();
  }
  template <int kSign>
  void Add(size_t row, int32_t label, Sums& sums) const {
    sums.count[static_cast<size_t>(label)] += kSign;
    double* const sum = sums.sum.data() + static_cast<size_t>(label) * d;
    const double* const x = Row(row);
    const auto add = [=](size_t columns) {
      for (size_t j = 0; j < columns; ++j) sum[j] += kSign * x[j];
    };
    switch (d) {  // few columns: a length that the compiler knows
      case 1:
        return add(1);
      case 2:
        return add(2);
      case 3:
        return add(3);
      case 4:
        return add(4);
      default:
        return add(d);
    }
  }

  /// Centers to the means of their rows. An empty cluster takes the row that is farthest from its center. Returns the
  /// sum of squared moves.
  double Move(const Sums& sums, KMeansFit& fit) const {
    const size_t k = fit.centers.size() / d;
    std::vector<double> far;
    double shift = 0;
    for (size_t c = 0; c < k; ++c) {
      const double* from = sums.sum.data() + c * d;
      double count = static_cast<double>(sums.count[c]);
      if (sums.count[c] == 0) {
        if (far.empty()) {
          for (size_t i = 0; i < n; ++i)
            far.push_back(Squared(Row(i), fit.centers.data() + static_cast<size_t>(fit.labels[i]) * d, d));
        }
        const auto at = static_cast<size_t>(std::max_element(far.begin(), far.end()) - far.begin());
        far[at] = -1;
        from = Row(at);
        count = 1;
      }
      for (size_t j = 0; j < d; ++j) {
        const double mean = from[j] / count, move = mean - fit.centers[c * d + j];
        shift += move * move;
        fit.centers[c * d + j] = mean;
      }
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

void NearestCenter::FindTile(const double* tile, int lanes, size_t clusters, double* squared, double* nearest) const {
  FastestKMeansKernel().exact({.rows = tile,
                               .lanes = lanes,
                               .centers = values_.data(),
                               .features = d_,
                               .count = clusters,
                               .squared = squared,
                               .nearest = nearest});
}

bool NearestCenter::PartsTile(const double* tile, int lanes, size_t clusters, double unit, double* parts,
                              double* expected, int64_t stride) const {
  if (!std::isfinite(1 / unit)) return false;  // values at the very end of doubles
  const CenterBlocks centers{
      .values = values_.data(), .count = static_cast<int64_t>(clusters), .d = static_cast<int64_t>(d_)};
  CenterParts(centers, tile, lanes, 1 / unit, parts, expected, stride);
  return true;
}

absl::StatusOr<KMeansFit> KMeans(std::span<const double> rows, int64_t n, int64_t d, const KMeansOptions& options,
                                 const Context& ctx) {
  const RowBlocks blocks(rows, static_cast<size_t>(n), static_cast<size_t>(d), ctx);
  Screen screen(rows, static_cast<size_t>(n), static_cast<size_t>(d));
  RETURN_IF_ERROR(screen.Fill(ctx));
  const Run run{rows, static_cast<size_t>(n), static_cast<size_t>(d), options, ctx, blocks, screen};
  // Of the columns, in mean: by row, as the rows lie in memory.
  std::vector<double> mean(run.d, 0), square(run.d, 0);
  RETURN_IF_ERROR(EachRow(run.n, run.d, ctx, [&](size_t i) {
    for (size_t j = 0; j < run.d; ++j) mean[j] += run.Row(i)[j];
  }));
  for (double& m : mean) m /= static_cast<double>(n);
  RETURN_IF_ERROR(EachRow(run.n, run.d, ctx, [&](size_t i) {
    for (size_t j = 0; j < run.d; ++j) square[j] += (run.Row(i)[j] - mean[j]) * (run.Row(i)[j] - mean[j]);
  }));
  double variance = 0;
  for (const double s : square) variance += s / static_cast<double>(n) / static_cast<double>(d);
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
