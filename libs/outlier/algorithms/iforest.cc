// Isolation forest (Liu, Ting, Zhou 2008, 2012): rows that random splits isolate early are anomalous.
//
// score(x) = 2^(-E[h(x)] / c(psi)), in (0, 1); PyOD's and scikit-learn's scores are this one up to a constant. Rows and
// thresholds are compared as float32 after a monotone map per feature (kernels/float_map.h).
#include <algorithm>
#include <bit>
#include <cmath>
#include <numeric>

#include "base/rng.h"
#include "outlier/cost.h"
#include "outlier/detector.h"
#include "outlier/forest_view.h"
#include "outlier/kernels/aligned.h"
#include "outlier/kernels/float_map.h"
#include "outlier/kernels/isolation_tree.h"
#include "outlier/kernels/packed_forest.h"
#include "outlier/parallel.h"
#include "outlier/state.h"

namespace vedette::outlier {
namespace {

constexpr uint32_t kVersion = 1;
constexpr int64_t kMaxTrees = 10000;
constexpr int64_t kMaxSamples = 1000000;

class IsolationForest : public Detector, public ForestSource {
 public:
  explicit IsolationForest(const ParamSet& params)
      : n_estimators_(params.Int("n_estimators")),
        max_samples_(params.Int("max_samples")),
        max_features_(params.Real("max_features")),
        bootstrap_(params.Bool("bootstrap")) {}

  absl::Status Fit(MatrixView X, const Context& ctx) override;
  std::span<const double> training_scores() const override { return training_scores_; }
  absl::Status Score(MatrixView X, std::span<double> scores, const Context& ctx) const override;
  absl::StatusOr<Attribution> Explain(MatrixView X, const Context& ctx) const override;
  void Save(ByteWriter& out) const override;
  absl::Status Load(ByteReader& in) override;
  int64_t features() const override { return map_.features(); }
  ForestView Forest() const override;
  Matrix ForestRows(MatrixView X) const override;

 private:
  IsolationTree GrowTree(MatrixView X, uint64_t seed, int64_t index) const;

  int64_t n_estimators_, max_samples_;
  double max_features_;
  bool bootstrap_;

  FloatMap map_;
  int64_t psi_ = 0;  // rows that each tree was grown on
  std::vector<IsolationTree> trees_;
  PackedForest packed_;
  std::vector<double> training_scores_;
};

// The depth at which a tree of psi rows stops: the height of a balanced tree.
int MaxDepth(int64_t psi) { return psi <= 2 ? 1 : std::bit_width(static_cast<uint64_t>(psi - 1)); }

IsolationTree IsolationForest::GrowTree(MatrixView X, uint64_t seed, int64_t index) const {
  Rng rng(seed, static_cast<uint64_t>(index));
  std::vector<int64_t> rows;
  if (bootstrap_) {
    rows.resize(psi_);
    for (int64_t& row : rows) row = static_cast<int64_t>(rng.Below(static_cast<uint64_t>(X.rows)));
  } else {
    rows = rng.Sample(X.rows, psi_);
  }
  std::vector<int32_t> candidates;
  const auto share = static_cast<int64_t>(max_features_ * static_cast<double>(X.cols));
  if (share >= X.cols) {
    candidates.resize(X.cols);
    std::iota(candidates.begin(), candidates.end(), 0);
  } else {
    for (const int64_t j : rng.Sample(X.cols, std::max<int64_t>(1, share)))
      candidates.push_back(static_cast<int32_t>(j));
  }
  std::vector<float> sample(static_cast<size_t>(X.cols * psi_));
  for (const int32_t j : candidates) {
    float* column = sample.data() + j * psi_;
    for (int64_t i = 0; i < psi_; ++i) column[i] = map_.Map(X(rows[i], j), j);
  }
  return IsolationTree::Grow(sample, psi_, std::move(candidates), MaxDepth(psi_), rng);
}

absl::Status IsolationForest::Fit(MatrixView X, const Context& ctx) {
  map_ = FloatMap::Fit(X);
  psi_ = std::min(max_samples_, X.rows);
  trees_.resize(n_estimators_);
  RETURN_IF_ERROR(ParallelBlocks(ctx, n_estimators_, 4, [&](int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; ++t) trees_[t] = GrowTree(X, ctx.seed, t);
  }));
  packed_ = PackedForest(trees_, X.cols);
  training_scores_.resize(X.rows);
  return Score(X, training_scores_, ctx);
}

absl::Status IsolationForest::Score(MatrixView X, std::span<double> scores, const Context& ctx) const {
  const double norm = AveragePathLength(psi_);
  const int64_t block = packed_.block_rows();
  // Pieces of several blocks share one buffer, and take a few milliseconds at 100 trees.
  const int64_t blocks_per_piece = std::max<int64_t>(1, 2048 * 100 / (block * static_cast<int64_t>(trees_.size())));
  return ParallelBlocks(ctx, X.rows, block * blocks_per_piece, [&](int64_t begin, int64_t end) {
    const AlignedArray<float> groups(block * X.cols);
    for (int64_t at = begin; at < end; at += block) {
      const int64_t rows = std::min(block, end - at);
      map_.MapGroups(X, at, rows, groups.get());
      const int64_t filled = (rows + 7) / 8 * 8 * X.cols, padded = (rows + 63) / 64 * 64 * X.cols;
      std::fill(groups.get() + filled, groups.get() + padded, 0.0F);
      packed_.PathLengths(groups.get(), rows, scores.subspan(at, rows));
      for (int64_t i = at; i < at + rows; ++i) scores[i] = norm > 0 ? std::exp2(-scores[i] / norm) : 0.5;
    }
  });
}

// A split's part is by how much it shortened the path that was to be expected: mean path length of the sample rows
// below the node, less that below the child which the row falls into (Saabas 2014, for path lengths). Summed over a
// path the parts telescope, so a row's contributions add up to the forest's mean path length less the row's own.
absl::StatusOr<Attribution> IsolationForest::Explain(MatrixView X, const Context& ctx) const {
  Attribution out{Matrix(X.rows, X.cols), Matrix(X.rows, X.cols), "path length"};
  const double weight = 1.0 / static_cast<double>(trees_.size());
  RETURN_IF_ERROR(ParallelBlocks(ctx, X.rows, 64, [&](int64_t begin, int64_t end) {
    std::vector<float> row(X.cols);
    for (int64_t i = begin; i < end; ++i) {
      for (int64_t j = 0; j < X.cols; ++j) {
        row[j] = map_.Map(X(i, j), j);
        out.expected(i, j) = map_.center(j);
      }
      for (const IsolationTree& tree : trees_) {
        size_t node = 0;
        while (tree.feature[node] >= 0) {
          const int32_t f = tree.feature[node];
          const size_t child = row[f] <= tree.threshold[node] ? node + 1 : tree.right[node];
          out.contributions(i, f) += weight * (tree.path_length[node] - tree.path_length[child]);
          node = child;
        }
      }
    }
  }));
  return out;
}

TreeView ViewOf(const IsolationTree& tree) {
  const size_t nodes = tree.feature.size();
  TreeView view;
  view.feature.resize(nodes);
  view.left.assign(nodes, -1);
  view.right.assign(nodes, -1);
  view.threshold.assign(tree.threshold.begin(), tree.threshold.end());
  view.cover.resize(nodes);
  view.value.resize(nodes);
  std::vector<int> depth(nodes, 0);
  for (size_t node = 0; node < nodes; ++node) {
    view.feature[node] = tree.feature[node] < 0 ? -1 : tree.feature[node];
    if (tree.feature[node] < 0) continue;
    view.left[node] = static_cast<int32_t>(node + 1);
    view.right[node] = tree.right[node];
    depth[node + 1] = depth[static_cast<size_t>(tree.right[node])] = depth[node] + 1;
  }
  for (size_t node = nodes; node-- > 0;) {  // children come after their parent
    if (tree.feature[node] < 0) {
      view.cover[node] = -static_cast<double>(tree.feature[node]);
      view.value[node] = depth[node] + AveragePathLength(-static_cast<int64_t>(tree.feature[node]));
      continue;
    }
    const auto left = static_cast<size_t>(view.left[node]), right = static_cast<size_t>(view.right[node]);
    view.cover[node] = view.cover[left] + view.cover[right];
    view.value[node] =
        (view.cover[left] * view.value[left] + view.cover[right] * view.value[right]) / view.cover[node];
  }
  return view;
}

ForestView IsolationForest::Forest() const {
  ForestView view{.features = map_.features(), .normalizer = AveragePathLength(psi_)};
  for (const IsolationTree& tree : trees_) view.trees.push_back(ViewOf(tree));
  return view;
}

Matrix IsolationForest::ForestRows(MatrixView X) const {
  Matrix rows(X.rows, X.cols);
  for (int64_t j = 0; j < X.cols; ++j) {
    for (int64_t i = 0; i < X.rows; ++i) rows(i, j) = map_.Map(X(i, j), j);
  }
  return rows;
}

void IsolationForest::Save(ByteWriter& out) const {
  out.U32(kVersion);
  map_.Save(out);
  out.I64(psi_);
  out.I64(static_cast<int64_t>(trees_.size()));
  for (const IsolationTree& tree : trees_) tree.Save(out);
}

absl::Status IsolationForest::Load(ByteReader& in) {
  ReadVersion(in, kVersion);
  map_ = FloatMap::Load(in);
  psi_ = ReadInt(in, "the sample size", 1, kMaxSamples);
  const int64_t count = ReadInt(in, "the number of trees", 1, kMaxTrees);
  RETURN_IF_ERROR(in.status());
  trees_.clear();
  for (int64_t t = 0; t < count && in.ok(); ++t) {
    trees_.push_back(IsolationTree::Load(in, map_.features(), MaxDepth(psi_)));
  }
  RETURN_IF_ERROR(in.status());
  packed_ = PackedForest(trees_, map_.features());
  training_scores_.clear();
  return absl::OkStatus();
}

constexpr ParamSpec kParams[] = {
    {.name = "n_estimators",
     .type = ParamType::kInt,
     .default_value = "100",
     .min = 1,
     .max = kMaxTrees,
     .summary = "Number of trees; the paper finds that 100 are enough."},
    {.name = "max_samples",
     .type = ParamType::kInt,
     .default_value = "256",
     .min = 1,
     .max = kMaxSamples,
     .summary = "Rows that each tree is grown on (all rows when there are fewer); the paper advises 256, small samples "
                "keep anomalies from masking each other."},
    {.name = "max_features",
     .type = ParamType::kReal,
     .default_value = "1.0",
     .min = 0,
     .max = 1,
     .summary = "Share of the features that each tree may use, at least one feature."},
    {.name = "bootstrap",
     .type = ParamType::kBool,
     .default_value = "false",
     .summary = "Draw the rows of a tree with replacement."},
};

}  // namespace

extern const Descriptor k_iforest;
const Descriptor k_iforest = {
    .name = "iforest",
    .family = "ensemble",
    .summary =
        "Rows that few random splits isolate are anomalous: fast, robust, any scale of features; misses anomalies "
        "that only stand out within a dense region or along a slanted structure.",
    .paper = "Liu, Ting, Zhou: Isolation Forest. ICDM 2008; Isolation-Based Anomaly Detection. TKDD 6(1), 2012",
    .params = kParams,
    .deterministic = false,
    .fit_cost = "O(trees psi log psi)",
    .score_cost = "O(trees log psi)",
    .cost = [](const ParamSet& p, int64_t n, int64_t d) -> Cost {
      // A row visits about 8 nodes of each tree of 256 rows, 0.3 ns each when rows go side by side.
      const double trees = static_cast<double>(p.Int("n_estimators")), psi = static_cast<double>(std::min<int64_t>(n, 256));
      const double depth = std::log2(psi + 2), row = kRowFloor + 3e-10 * trees * depth;
      const double model = kBytesFloor + 32 * trees * psi;
      return {.fit_seconds = kFitFloor + 1.5e-8 * trees * psi * depth + static_cast<double>(n) * row,
              .score_seconds_per_row = row,
              .fit_bytes = model + 4 * static_cast<double>(n * (d + 2)),
              .model_bytes = model};
    },
    .make = [](const ParamSet& params) -> std::unique_ptr<Detector> {
      return std::make_unique<IsolationForest>(params);
    },
};

}  // namespace vedette::outlier
