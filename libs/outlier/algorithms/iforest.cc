// Isolation forest (Liu, Ting, Zhou 2008, 2012): rows that random splits isolate early are anomalous.
//
// score(x) = 2^(-E[h(x)] / c(psi)), in (0, 1); PyOD's and scikit-learn's scores are this one up to a constant. Rows and
// thresholds are compared as float32 after a monotone map per feature (kernels/float_map.h).
//
// Missing values and categories are split on as they are (kernels/mixed_tree.h says how). Over complete numbers the
// forest is the plain one, and a new row's missing value goes to the side of a split where fewer of the sample's rows
// went.
#include <algorithm>
#include <atomic>
#include <bit>
#include <cfloat>
#include <cmath>
#include <limits>
#include <memory>
#include <mutex>
#include <numeric>

#include "base/rng.h"
#include "base/status.h"
#include "outlier/cost.h"
#include "outlier/detector.h"
#include "outlier/forest_view.h"
#include "outlier/kernels/aligned.h"
#include "outlier/kernels/float_map.h"
#include "outlier/kernels/isolation_tree.h"
#include "outlier/kernels/mixed_tree.h"
#include "outlier/kernels/packed_forest.h"
#include "outlier/kernels/path_parts.h"
#include "outlier/parallel.h"
#include "outlier/state.h"

namespace vedette::outlier {
namespace {

constexpr uint32_t kVersion = 1, kMixedVersion = 2;  // of the state of a plain forest, and of one of mixed trees
constexpr int64_t kMaxTrees = 10000;
constexpr int64_t kMaxSamples = 1000000;
constexpr int32_t kMaxCategories = 4096;

/// norm: c(psi), 0 when trees hold one row.
double ScoreOf(double path_length, double norm) { return norm > 0 ? std::exp2(-path_length / norm) : 0.5; }

class IsolationForest : public Detector, public ForestSource {
 public:
  explicit IsolationForest(const ParamSet& params)
      : n_estimators_(params.Int("n_estimators")),
        max_samples_(params.Int("max_samples")),
        max_features_(params.Real("max_features")),
        bootstrap_(params.Bool("bootstrap")) {}

  absl::Status Fit(MatrixView X, const Context& ctx) override {
    const std::vector<int32_t> numbers(static_cast<size_t>(X.cols), 0);
    return FitMixed(X, numbers, ctx);
  }
  absl::Status FitMixed(MatrixView X, std::span<const int32_t> categories, const Context& ctx) override;
  std::span<const double> training_scores() const override { return training_scores_; }
  absl::Status Score(MatrixView X, std::span<double> scores, const Context& ctx) const override;
  absl::StatusOr<Attribution> Explain(MatrixView X, const Context& ctx) const override;
  void Save(ByteWriter& out) const override;
  absl::Status Load(ByteReader& in) override;
  int64_t features() const override { return map_.features(); }
  ForestView Forest() const override;
  Matrix ForestRows(MatrixView X) const override;

 private:
  struct Drawn {  // what a tree is grown on
    std::vector<int64_t> rows;
    std::vector<int32_t> candidates;
  };
  Drawn Draw(MatrixView X, Rng& rng) const;
  IsolationTree GrowTree(MatrixView X, uint64_t seed, int64_t index) const;
  MixedTree GrowMixedTree(MatrixView X, uint64_t seed, int64_t index) const;
  bool mixed() const { return !mixed_.empty(); }
  /// The value as mixed trees see it: NaN when missing, else a code, -1 for one that is not among the categories, or a
  /// number.
  float MapMixed(double value, int64_t j) const;
  /// The forest as mixed trees, whichever it is.
  std::span<const MixedTree> AsMixed() const;
  /// Rows of X one by one; with `only_missing` those alone that lack a value.
  absl::Status ScoreMixed(std::span<const MixedTree> trees, MatrixView X, bool only_missing, std::span<double> scores,
                          const Context& ctx) const;
  absl::Status LoadMixed(ByteReader& in);
  /// The leaves' parts, made when they are first asked for; null where walking is better.
  std::shared_ptr<const LeafParts> Leaves() const;
  /// Explain of a few rows whose values are all there.
  Attribution ExplainFew(MatrixView X, Attribution out) const;

  int64_t n_estimators_, max_samples_;
  double max_features_;
  bool bootstrap_;

  FloatMap map_;
  int64_t psi_ = 0;  // rows that each tree was grown on
  std::vector<IsolationTree> trees_;
  PackedForest packed_;
  mutable std::mutex derived_mutex_;  // for what is made when it is first asked for
  mutable std::shared_ptr<const LeafParts> leaves_;
  mutable std::vector<MixedTree> as_mixed_;
  std::vector<int32_t> categories_;  // per column: how many categories it has, 0 for numbers
  std::vector<MixedTree> mixed_;     // instead of trees_ and packed_
  std::vector<double> usual_;        // per column, with mixed_: the median, or the commonest category
  std::vector<double> training_scores_;
};

// The depth at which a tree of psi rows stops: the height of a balanced tree.
int MaxDepth(int64_t psi) { return psi <= 2 ? 1 : std::bit_width(static_cast<uint64_t>(psi - 1)); }

bool HasMissing(MatrixView X) {
  for (int64_t j = 0; j < X.cols; ++j) {
    int64_t missing = 0;  // counted, not returned at once: the compiler can vectorise it
    for (const double x : X.col(j)) missing += std::isnan(x) ? 1 : 0;
    if (missing > 0) return true;
  }
  return false;
}

bool HasLowest(const float* values, int64_t count) {
  int32_t found = 0;
  for (int64_t k = 0; k < count; ++k) found += values[k] == -FLT_MAX ? 1 : 0;
  return found > 0;
}

IsolationForest::Drawn IsolationForest::Draw(MatrixView X, Rng& rng) const {
  Drawn drawn;
  if (bootstrap_) {
    drawn.rows.resize(psi_);
    for (int64_t& row : drawn.rows) row = static_cast<int64_t>(rng.Below(static_cast<uint64_t>(X.rows)));
  } else {
    drawn.rows = rng.Sample(X.rows, psi_);
  }
  const auto share = static_cast<int64_t>(max_features_ * static_cast<double>(X.cols));
  if (share >= X.cols) {
    drawn.candidates.resize(X.cols);
    std::iota(drawn.candidates.begin(), drawn.candidates.end(), 0);
  } else {
    for (const int64_t j : rng.Sample(X.cols, std::max<int64_t>(1, share))) {
      drawn.candidates.push_back(static_cast<int32_t>(j));
    }
  }
  return drawn;
}

IsolationTree IsolationForest::GrowTree(MatrixView X, uint64_t seed, int64_t index) const {
  Rng rng(seed, static_cast<uint64_t>(index));
  auto [rows, candidates] = Draw(X, rng);
  std::vector<float> sample(static_cast<size_t>(X.cols * psi_));
  for (const int32_t j : candidates) {
    float* column = sample.data() + j * psi_;
    for (int64_t i = 0; i < psi_; ++i) column[i] = map_.Map(X(rows[i], j), j);
  }
  return IsolationTree::Grow(sample, psi_, std::move(candidates), MaxDepth(psi_), rng);
}

MixedTree IsolationForest::GrowMixedTree(MatrixView X, uint64_t seed, int64_t index) const {
  Rng rng(seed, static_cast<uint64_t>(index));
  auto [rows, candidates] = Draw(X, rng);
  std::vector<float> sample(static_cast<size_t>(X.cols * psi_));
  for (const int32_t j : candidates) {
    for (int64_t i = 0; i < psi_; ++i) sample[static_cast<size_t>(j * psi_ + i)] = MapMixed(X(rows[i], j), j);
  }
  return MixedTree::Grow(sample, psi_, categories_, std::move(candidates), MaxDepth(psi_), rng);
}

float IsolationForest::MapMixed(double value, int64_t j) const {
  if (std::isnan(value)) return std::numeric_limits<float>::quiet_NaN();
  const int32_t known = categories_[static_cast<size_t>(j)];
  if (known == 0) return map_.Map(value, j);
  return value >= 0 && value < known && value == std::floor(value) ? static_cast<float>(value) : -1.0F;
}

/// The median of a column of numbers (of a sample of it), the commonest code of categories.
double UsualValue(MatrixView X, int64_t j, int32_t categories, const FloatMap& map) {
  if (categories == 0) return map.center(j);
  std::vector<int64_t> times(static_cast<size_t>(categories));
  for (const double x : X.col(j)) {
    if (!std::isnan(x)) ++times[static_cast<size_t>(x)];
  }
  return static_cast<double>(std::max_element(times.begin(), times.end()) - times.begin());
}

absl::Status CheckCategories(MatrixView X, std::span<const int32_t> categories) {
  if (static_cast<int64_t>(categories.size()) != X.cols) {
    return InvalidArgument("{} kinds of columns for {} columns", categories.size(), X.cols);
  }
  for (int64_t j = 0; j < X.cols; ++j) {
    const int32_t known = categories[static_cast<size_t>(j)];
    if (known < 0 || known > kMaxCategories)
      return InvalidArgument("column {}: {} categories are out of range", j, known);
    for (int64_t i = 0; i < X.rows && known > 0; ++i) {
      const double x = X(i, j);
      if (std::isnan(x) || (x >= 0 && x < known && x == std::floor(x))) continue;
      return InvalidArgument("column {}, row {}: {} is none of {} categories", j, i, x, known);
    }
  }
  return absl::OkStatus();
}

absl::Status IsolationForest::FitMixed(MatrixView X, std::span<const int32_t> categories, const Context& ctx) {
  RETURN_IF_ERROR(CheckCategories(X, categories));
  map_ = FloatMap::Fit(X);
  RETURN_IF_ERROR(ctx.Check());
  psi_ = std::min(max_samples_, X.rows);
  categories_.assign(categories.begin(), categories.end());
  trees_.clear();
  mixed_.clear();
  leaves_.reset();
  as_mixed_.clear();
  if (std::ranges::count(categories, 0) == X.cols && !HasMissing(X)) {
    trees_.resize(n_estimators_);
    RETURN_IF_ERROR(ParallelBlocks(ctx, n_estimators_, 4, [&](int64_t begin, int64_t end) {
      for (int64_t t = begin; t < end; ++t) trees_[t] = GrowTree(X, ctx.seed, t);
    }));
    packed_ = PackedForest(trees_, X.cols);
  } else {
    std::vector<MixedTree> grown(static_cast<size_t>(n_estimators_));
    RETURN_IF_ERROR(ParallelBlocks(ctx, n_estimators_, 4, [&](int64_t begin, int64_t end) {
      for (int64_t t = begin; t < end; ++t) grown[t] = GrowMixedTree(X, ctx.seed, t);
    }));
    mixed_ = std::move(grown);
    usual_.clear();
    for (int64_t j = 0; j < X.cols; ++j) usual_.push_back(UsualValue(X, j, categories[static_cast<size_t>(j)], map_));
  }
  training_scores_.resize(X.rows);
  return Score(X, training_scores_, ctx);
}

std::span<const MixedTree> IsolationForest::AsMixed() const {
  if (mixed()) return mixed_;
  const std::lock_guard lock(derived_mutex_);
  if (as_mixed_.empty()) {
    for (const IsolationTree& tree : trees_) as_mixed_.push_back(MixedTree::From(tree));
  }
  return as_mixed_;
}

absl::Status IsolationForest::ScoreMixed(std::span<const MixedTree> trees, MatrixView X, bool only_missing,
                                         std::span<double> scores, const Context& ctx) const {
  const double norm = AveragePathLength(psi_);
  return ParallelBlocks(ctx, X.rows, 64, [&](int64_t begin, int64_t end) {
    std::vector<float> rows;
    std::vector<int64_t> scored;
    for (int64_t i = begin; i < end; ++i) {
      bool missing = false;
      for (int64_t j = 0; j < X.cols; ++j) {
        rows.push_back(MapMixed(X(i, j), j));
        missing |= std::isnan(rows.back());
      }
      if (missing || !only_missing)
        scored.push_back(i);
      else
        rows.resize(rows.size() - static_cast<size_t>(X.cols));
    }
    std::vector<double> sums(scored.size(), 0);
    AddPathLengths(trees, rows, categories_, sums);
    for (size_t k = 0; k < sums.size(); ++k)
      scores[scored[k]] = ScoreOf(sums[k] / static_cast<double>(trees.size()), norm);
  });
}

absl::Status IsolationForest::Score(MatrixView X, std::span<double> scores, const Context& ctx) const {
  if (mixed()) return ScoreMixed(mixed_, X, false, scores, ctx);
  const double norm = AveragePathLength(psi_);
  std::atomic<bool> lowest{false};  // a missing value is mapped there
  const int64_t block = packed_.block_rows();
  // Pieces of several blocks share one buffer, and take a few milliseconds at 100 trees.
  const int64_t blocks_per_piece = std::max<int64_t>(1, 2048 * 100 / (block * static_cast<int64_t>(trees_.size())));
  RETURN_IF_ERROR(ParallelBlocks(ctx, X.rows, block * blocks_per_piece, [&](int64_t begin, int64_t end) {
    const AlignedArray<float> groups(block * X.cols);
    for (int64_t at = begin; at < end; at += block) {
      const int64_t rows = std::min(block, end - at);
      map_.MapGroups(X, at, rows, groups.get());
      if (HasLowest(groups.get(), (rows + 7) / 8 * 8 * X.cols)) lowest.store(true, std::memory_order_relaxed);
      const int64_t filled = (rows + 7) / 8 * 8 * X.cols, padded = PackedForest::PaddedRows(rows) * X.cols;
      std::fill(groups.get() + filled, groups.get() + padded, 0.0F);
      packed_.PathLengths(groups.get(), rows, scores.subspan(at, rows));
      for (int64_t i = at; i < at + rows; ++i) scores[i] = ScoreOf(scores[i], norm);
    }
  }));
  return lowest && HasMissing(X) ? ScoreMixed(AsMixed(), X, true, scores, ctx) : absl::OkStatus();
}

std::shared_ptr<const LeafParts> IsolationForest::Leaves() const {
  if (!LeafParts::Fits(packed_, std::ssize(trees_), map_.features())) return nullptr;
  const std::lock_guard lock(derived_mutex_);
  if (leaves_ == nullptr) leaves_ = std::make_shared<const LeafParts>(trees_, packed_, map_.features());
  return leaves_;
}

Attribution IsolationForest::ExplainFew(MatrixView X, Attribution out) const {
  const double weight = 1.0 / static_cast<double>(trees_.size()), norm = AveragePathLength(psi_);
  const AlignedArray<float> groups(PackedForest::PaddedRows(X.rows) * X.cols);
  map_.MapGroups(X, 0, X.rows, groups.get());
  out.scores.resize(static_cast<size_t>(X.rows));
  packed_.PathParts(groups.get(), X.rows, out.contributions.data(), out.scores.data());
  for (double& part : std::span(out.contributions.data(), static_cast<size_t>(X.rows * X.cols))) part *= weight;
  for (double& score : out.scores) score = ScoreOf(score, norm);
  return out;
}

// A split's part is by how much it shortened the path that was to be expected: mean path length of the sample rows
// below the node, less that below the child which the row falls into (Saabas 2014, for path lengths). Summed over a
// path the parts telescope, so a row's contributions add up to the forest's mean path length less the row's own.
absl::StatusOr<Attribution> IsolationForest::Explain(MatrixView X, const Context& ctx) const {
  RETURN_IF_ERROR(ctx.Check());
  Attribution out{.contributions = Matrix::ForOverwrite(X.rows, X.cols),
                  .expected = Matrix::ForOverwrite(1, X.cols),
                  .space = "path length"};
  for (int64_t j = 0; j < X.cols; ++j) out.expected(0, j) = mixed() ? usual_[static_cast<size_t>(j)] : map_.center(j);
  const double weight = 1.0 / static_cast<double>(mixed() ? mixed_.size() : trees_.size());
  const bool one_by_one = mixed() || HasMissing(X);
  if (!one_by_one && X.rows <= PackedForest::kFewRows && packed_.perfect()) return ExplainFew(X, std::move(out));
  if (const auto leaves = one_by_one ? nullptr : Leaves(); leaves != nullptr) {
    out.scores.resize(static_cast<size_t>(X.rows));
    RETURN_IF_ERROR(leaves->Means(map_, packed_, X, out.contributions, out.scores, ctx));
    const double norm = AveragePathLength(psi_);
    for (double& score : out.scores) score = ScoreOf(score, norm);
    return out;
  }
  const std::span<const MixedTree> trees = one_by_one ? AsMixed() : std::span<const MixedTree>();
  const auto d = static_cast<size_t>(X.cols);
  RETURN_IF_ERROR(ParallelBlocks(ctx, X.rows, 128, [&](int64_t begin, int64_t end) {
    const auto count = static_cast<size_t>(end - begin);
    std::vector<float> rows(count * d);
    std::vector<double> parts(count * d);
    for (size_t j = 0; j < d; ++j) {
      const auto column = static_cast<int64_t>(j);
      for (size_t i = 0; i < count; ++i) {
        const double x = X(begin + static_cast<int64_t>(i), column);
        rows[i * d + j] = one_by_one ? MapMixed(x, column) : map_.Map(x, column);
      }
    }
    for (const MixedTree& tree : trees) {
      for (size_t i = 0; i < count; ++i) {
        for (size_t node = 0, child; tree.feature[node] >= 0; node = child) {
          child = tree.Next(node, rows.data() + i * d);
          parts[i * d + static_cast<size_t>(tree.feature[node])] +=
              PathPart(tree.path_length[node], tree.path_length[child]);
        }
      }
    }
    for (size_t t = 0; t < trees_.size() && !one_by_one; ++t) {
      AddPathParts(trees_[t], rows.data(), end - begin, X.cols, parts.data());
    }
    for (size_t j = 0; j < d; ++j) {
      const auto column = static_cast<int64_t>(j);
      for (size_t i = 0; i < count; ++i) {
        const auto row = begin + static_cast<int64_t>(i);
        out.contributions(row, column) = weight * parts[i * d + j];
      }
    }
  }));
  return out;
}

/// Where a split on categories sends each of them, and last those that are not among them.
std::vector<uint8_t> CodesToTheLeft(const MixedTree& tree, size_t node, int32_t categories) {
  std::vector<uint8_t> out;
  for (int32_t code = 0; code < categories; ++code)
    out.push_back(tree.GoesLeft(node, static_cast<float>(code), true) ? 1 : 0);
  out.push_back(tree.GoesLeft(node, -1, true) ? 1 : 0);
  return out;
}

TreeView ViewOf(const MixedTree& tree, std::span<const int32_t> categories) {
  const size_t nodes = tree.feature.size();
  TreeView view;
  view.feature.resize(nodes);
  view.left.assign(nodes, -1);
  view.right.assign(nodes, -1);
  view.threshold.assign(tree.threshold.begin(), tree.threshold.end());
  view.cover.assign(tree.count.begin(), tree.count.end());
  view.value.resize(nodes);
  view.missing_left.assign(nodes, 0);
  view.codes_left.resize(nodes);
  std::vector<int> depth(nodes, 0);
  for (size_t node = 0; node < nodes; ++node) {
    const int32_t f = tree.feature[node];
    view.feature[node] = f < 0 ? -1 : f;
    if (f < 0) continue;
    const auto right = static_cast<size_t>(tree.right[node]);
    view.left[node] = static_cast<int32_t>(node + 1);
    view.right[node] = tree.right[node];
    depth[node + 1] = depth[right] = depth[node] + 1;
    const int32_t known = categories[static_cast<size_t>(f)];
    view.missing_left[node] = tree.GoesLeft(node, std::numeric_limits<float>::quiet_NaN(), known > 0) ? 1 : 0;
    if (tree.missing[node] == MixedTree::kApart) view.threshold[node] = -std::numeric_limits<double>::infinity();
    if (known == 0) continue;
    view.threshold[node] = std::numeric_limits<double>::quiet_NaN();
    view.codes_left[node] = CodesToTheLeft(tree, node, known);
  }
  for (size_t node = nodes; node-- > 0;) {  // children come after their parent
    if (tree.feature[node] < 0) {
      view.value[node] = depth[node] + AveragePathLength(-static_cast<int64_t>(tree.feature[node]));
      continue;
    }
    const auto left = static_cast<size_t>(view.left[node]), right = static_cast<size_t>(view.right[node]);
    view.value[node] = (view.cover[left] * view.value[left] + view.cover[right] * view.value[right]) / view.cover[node];
  }
  return view;
}

ForestView IsolationForest::Forest() const {
  ForestView view{.features = map_.features(), .normalizer = AveragePathLength(psi_)};
  for (const MixedTree& tree : AsMixed()) view.trees.push_back(ViewOf(tree, categories_));
  return view;
}

Matrix IsolationForest::ForestRows(MatrixView X) const {
  Matrix rows(X.rows, X.cols);
  for (int64_t j = 0; j < X.cols; ++j) {
    for (int64_t i = 0; i < X.rows; ++i) {
      const float value = MapMixed(X(i, j), j);
      const int32_t known = categories_[static_cast<size_t>(j)];
      rows(i, j) = known > 0 && value < 0 ? known : value;
    }
  }
  return rows;
}

void IsolationForest::Save(ByteWriter& out) const {
  out.U32(mixed() ? kMixedVersion : kVersion);
  map_.Save(out);
  out.I64(psi_);
  if (mixed()) {
    out.I32s(categories_);
    out.Doubles(usual_);
    out.I64(static_cast<int64_t>(mixed_.size()));
    for (const MixedTree& tree : mixed_) tree.Save(out);
    return;
  }
  out.I64(static_cast<int64_t>(trees_.size()));
  for (const IsolationTree& tree : trees_) tree.Save(out);
}

absl::Status IsolationForest::LoadMixed(ByteReader& in) {
  categories_ = in.I32s();
  usual_ = ReadDoubles(in, "the usual values", map_.features());
  const int64_t count = ReadInt(in, "the number of trees", 1, kMaxTrees);
  if (in.ok() && static_cast<int64_t>(categories_.size()) != map_.features())
    in.Fail("the columns' kinds are incomplete");
  for (const int32_t known : categories_) {
    if (known < 0 || known > kMaxCategories) in.Fail("a number of categories is out of range");
  }
  for (int64_t t = 0; t < count && in.ok(); ++t) mixed_.push_back(MixedTree::Load(in, categories_, MaxDepth(psi_)));
  return in.status();
}

absl::Status IsolationForest::Load(ByteReader& in) {
  const uint32_t version = in.U32();
  if (in.ok() && version != kVersion && version != kMixedVersion) {
    in.Fail(fmt::format("the state has version {}, this program reads {} and {}", version, kVersion, kMixedVersion));
  }
  map_ = FloatMap::Load(in);
  psi_ = ReadInt(in, "the sample size", 1, kMaxSamples);
  trees_.clear();
  mixed_.clear();
  leaves_.reset();
  as_mixed_.clear();
  training_scores_.clear();
  RETURN_IF_ERROR(in.status());
  if (version == kMixedVersion) return LoadMixed(in);
  categories_.assign(static_cast<size_t>(map_.features()), 0);
  const int64_t count = ReadInt(in, "the number of trees", 1, kMaxTrees);
  for (int64_t t = 0; t < count && in.ok(); ++t) {
    trees_.push_back(IsolationTree::Load(in, map_.features(), MaxDepth(psi_)));
  }
  RETURN_IF_ERROR(in.status());
  packed_ = PackedForest(trees_, map_.features());
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
        "Rows that few random splits isolate are anomalous: fast, robust, any scale of features, missing values and "
        "categories as they are; misses anomalies that only stand out within a dense region or along a slanted "
        "structure.",
    .paper = "Liu, Ting, Zhou: Isolation Forest. ICDM 2008; Isolation-Based Anomaly Detection. TKDD 6(1), 2012",
    .params = kParams,
    .deterministic = false,
    .nan = NanPolicy::kNative,
    .categories = true,
    .fit_cost = "O(trees psi log psi)",
    .score_cost = "O(trees log psi)",
    .cost = [](const ParamSet& p, int64_t n, int64_t d) -> Cost {
      // A row visits about 8 nodes of each tree of 256 rows, 0.3 ns each when rows go side by side.
      const double trees = static_cast<double>(p.Int("n_estimators")),
                   psi = static_cast<double>(std::min<int64_t>(n, 256));
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
