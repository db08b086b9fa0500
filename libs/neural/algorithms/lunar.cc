// LUNAR: a network learns how much each of a row's k nearest distances says, from rows and from made-up anomalies
// around them. Goodge, Hooi, Ng, Ng 2022, whose message passing over the k-nearest-neighbour graph is a network of a
// row's sorted distances. Here that network gives weights (softmax, so that they sum to 1), and the score is the
// weighted mean distance: farther rows keep scoring higher than any that were learnt from. Made-up anomalies: half
// uniform over the columns' ranges, half training rows with noise on some columns. Columns are brought to [0, 1] by
// their ranges. Training rows leave themselves out.
#include <algorithm>
#include <cmath>

#include "base/rng.h"
#include "base/status.h"
#include "neural/algorithms.h"
#include "neural/gradients.h"
#include "neural/module/abi.h"
#include "neural/network_detector.h"
#include "outlier/columns.h"
#include "outlier/cost.h"
#include "outlier/gradient_source.h"
#include "outlier/kernels/neighbors.h"
#include "outlier/parallel.h"
#include "outlier/state.h"

namespace vedette::neural {
namespace {

using outlier::Attribution;
using outlier::ParamSet;
using outlier::ParamSpec;
using outlier::ParamType;

constexpr uint64_t kWeightStream = uint64_t{1} << 40, kSampleStream = uint64_t{1} << 41;  // of Rng(seed, .)
constexpr int64_t kTile = DenseNetwork::kTileRows, kGrain = 8 * kTile;
constexpr double kMaxZ = 1e6;            // ranges; keeps float32 distances finite
constexpr double kPerturbedShare = 0.3;  // of the columns of a training row that becomes an anomaly

constexpr ParamSpec kParams[] = {
    {.name = "n_neighbors",
     .default_value = "10",
     .min = 1,
     .max = 1000,
     .summary = "nearest rows whose distances are weighed"},
    {.name = "hidden",
     .default_value = "64",
     .min = 1,
     .max = 4096,
     .summary = "units of each of the two hidden layers"},
    {.name = "epsilon",
     .type = ParamType::kReal,
     .default_value = "0.1",
     .min = 0.0001,
     .max = 10,
     .summary = "deviation of the noise that makes an anomaly of a row, in ranges of the columns"},
    {.name = "weight_decay",
     .type = ParamType::kReal,
     .default_value = "0.01",
     .min = 0,
     .max = 10,
     .summary = "pull of the network towards equal weights"},
    {.name = "max_samples",
     .default_value = "5000",
     .min = 2,
     .max = 1000000,
     .summary = "rows to learn from at most, evenly spaced, and as many made-up ones"},
    EpochsParam("50"),
    BatchParam("64"),
    RateParam("0.001"),
    kDeviceParam,
    kDeviceIndexParam,
};

class Lunar final : public outlier::Detector, public outlier::GradientSource {
 public:
  explicit Lunar(const ParamSet& p)
      : k_(p.Int("n_neighbors")),
        hidden_(static_cast<int32_t>(p.Int("hidden"))),
        epsilon_(p.Real("epsilon")),
        decay_(p.Real("weight_decay")),
        most_(p.Int("max_samples")),
        epochs_(static_cast<int>(p.Int("epochs"))),
        batch_size_(p.Int("batch_size")),
        learning_rate_(p.Real("learning_rate")),
        device_(DeviceFrom(p)) {}

  absl::Status Fit(MatrixView X, const Context& ctx) override;
  std::span<const double> training_scores() const override { return training_scores_; }
  absl::Status Score(MatrixView X, std::span<double> scores, const Context& ctx) const override;
  absl::StatusOr<Attribution> Explain(MatrixView X, const Context& ctx) const override;
  absl::Status Gradients(MatrixView X, Matrix& gradients, const Context& ctx) const override;
  void Save(ByteWriter& out) const override;
  absl::Status Load(ByteReader& in) override;
  int64_t features() const override { return scaling_.size(); }

 private:
  /// The k nearest distances of each row, nearest first; of fewer rows the last stands for those that are missing.
  using Distances = std::vector<float>;
  /// Visits neighbours.
  auto KeepIn(Distances& out) const {
    return [this, &out](int64_t row, std::span<const double> distances, std::span<const int32_t>) {
      float* const to = out.data() + row * k_;
      for (int64_t r = 0; r < k_; ++r) {
        const auto at = std::min(static_cast<size_t>(r), distances.size() - 1);
        to[r] = distances.empty() ? 0.0f : static_cast<float>(std::min(distances[at] / index_.unit(), 1e30));
      }
    };
  }
  std::vector<int32_t> Sizes() const { return {static_cast<int32_t>(k_), hidden_, hidden_, static_cast<int32_t>(k_)}; }
  void FitRanges(MatrixView X);
  absl::StatusOr<Matrix> Scaled(MatrixView X, const Context& ctx) const;
  Matrix MadeUp(const Matrix& Z, int64_t rows, uint64_t seed) const;
  absl::Status Learn(const Matrix& Z, const Distances& own, const Context& ctx);
  /// Of a tile of the network's outputs.
  void Softmax(const float* out, double* weights) const;
  /// Weights of a tile of distances (feature-major, in units of scale_).
  void Weigh(TileBuffer& tile, TileBuffer& a, TileBuffer& b, double* weights) const;
  absl::Status ScoreDistances(const Distances& distances, std::span<double> scores, const Context& ctx) const;
  /// The derivative of the score by each of the k distances of one row, in place.
  void SlopeByDistances(std::span<double> distances) const;

  int64_t k_;
  int32_t hidden_;
  double epsilon_, decay_;
  int64_t most_;
  int epochs_;
  int64_t batch_size_;
  double learning_rate_;
  Device device_;
  outlier::Standardizer scaling_;  ///< to [0, 1]
  outlier::NeighborIndex index_;
  DenseNetwork network_;
  double scale_ = 1;  ///< mean distance of the training rows to their neighbours: the network's unit
  std::vector<double> training_scores_;
};

void Lunar::FitRanges(MatrixView X) {
  scaling_ = {};
  for (int64_t j = 0; j < X.cols; ++j) {
    const double unit = outlier::UnitFor(X.col(j));
    const outlier::Range range = outlier::RangeOf(X.col(j));
    const double width = range.high * unit - range.low * unit;
    scaling_.Add(unit, range.low * unit, width > 0 ? 1 / width : 1);
  }
}

absl::StatusOr<Matrix> Lunar::Scaled(MatrixView X, const Context& ctx) const {
  Matrix Z(X.rows, X.cols);
  RETURN_IF_ERROR(outlier::ParallelBlocks(ctx, X.rows, 1024, [&](int64_t begin, int64_t end) {
    for (int64_t j = 0; j < X.cols; ++j) {
      for (int64_t i = begin; i < end; ++i) Z(i, j) = std::clamp(scaling_.Z(j, X(i, j)), -kMaxZ, kMaxZ);
    }
  }));
  return Z;
}

/// Even rows uniform over the ranges, odd ones training rows with noise on some columns, on one at least.
Matrix Lunar::MadeUp(const Matrix& Z, int64_t rows, uint64_t seed) const {
  Matrix out(rows, Z.cols());
  Rng rng(seed, kSampleStream);
  for (int64_t i = 0; i < rows; ++i) {
    const auto from = static_cast<int64_t>(rng.Below(static_cast<uint64_t>(Z.rows())));
    const auto always = static_cast<int64_t>(rng.Below(static_cast<uint64_t>(Z.cols())));
    for (int64_t j = 0; j < Z.cols(); ++j) {
      const double uniform = rng.Uniform(), noise = epsilon_ * rng.Normal();
      const bool touched = rng.Uniform() < kPerturbedShare || j == always;
      out(i, j) = i % 2 == 0 ? uniform : Z(from, j) + (touched ? noise : 0);
    }
  }
  return out;
}

absl::Status Lunar::Learn(const Matrix& Z, const Distances& own, const Context& ctx) {
  ASSIGN_OR_RETURN(const Module* module, Module::Get(ctx));
  const int64_t rows = std::min(Z.rows(), most_);
  const Matrix odd = MadeUp(Z, rows, ctx.seed);
  Distances theirs(static_cast<size_t>(rows * k_));
  RETURN_IF_ERROR(index_.Of(odd, k_, ctx, KeepIn(theirs)));

  std::vector<float> inputs, targets;
  for (int64_t i = 0; i < rows; ++i) {
    const auto from = own.begin() + i * Z.rows() / rows * k_;
    inputs.insert(inputs.end(), from, from + k_);
    targets.push_back(0);
  }
  double sum = 0;
  for (const float v : inputs) sum += v;
  scale_ = sum > 0 ? sum / static_cast<double>(inputs.size()) : 1;
  inputs.insert(inputs.end(), theirs.begin(), theirs.end());
  targets.resize(2 * targets.size(), 1.0f);
  for (float& v : inputs) v = static_cast<float>(std::min(v / scale_, kMaxZ));

  network_ = DenseNetwork(Sizes());
  network_.Initialize(ctx.seed, kWeightStream);
  DenseNetwork judge({1, 1});  // from the weighted mean to "made up": slope e^w and offset
  judge.parameters()[1] = -1;
  Learning learning;
  learning.kind = VEDETTE_NEURAL_LUNAR;
  learning.parts = {{.network = &network_}, {.network = &judge}};
  learning.inputs = inputs;
  learning.rows = 2 * rows;
  learning.targets = targets;
  learning.batch_size = batch_size_;
  learning.epochs = epochs_;
  learning.learning_rate = learning_rate_;
  learning.weight_decay = decay_;
  learning.device = device_;
  return module->Learn(learning, ctx);
}

absl::Status Lunar::Fit(MatrixView X, const Context& ctx) {
  if (k_ > DenseNetwork::kMaxWidth || X.rows < 1 || X.cols < 1)
    return InvalidArgument("lunar cannot be fitted on {} rows x {} columns", X.rows, X.cols);
  RETURN_IF_ERROR(ctx.Check());
  FitRanges(X);
  ASSIGN_OR_RETURN(const Matrix Z, Scaled(X, ctx));
  RETURN_IF_ERROR(index_.Build(Z, {}, ctx));
  Distances own(static_cast<size_t>(X.rows * k_));
  RETURN_IF_ERROR(index_.OfTrainingRows(k_, ctx, KeepIn(own)));
  RETURN_IF_ERROR(Learn(Z, own, ctx));
  training_scores_.assign(static_cast<size_t>(X.rows), 0);
  return ScoreDistances(own, training_scores_, ctx);
}

void Lunar::Softmax(const float* out, double* weights) const {
  for (int64_t r = 0; r < kTile; ++r) {
    double most = -HUGE_VAL, total = 0;
    for (int64_t j = 0; j < k_; ++j) most = std::max(most, static_cast<double>(out[j * kTile + r]));
    for (int64_t j = 0; j < k_; ++j) {
      const double e = std::exp(static_cast<double>(out[j * kTile + r]) - most);
      weights[j * kTile + r] = std::isnan(e) ? 1 : e;  // of a network that overflowed
      total += weights[j * kTile + r];
    }
    for (int64_t j = 0; j < k_; ++j) weights[j * kTile + r] /= total;
  }
}

void Lunar::Weigh(TileBuffer& tile, TileBuffer& a, TileBuffer& b, double* weights) const {
  Softmax(network_.Forward(tile, a, b), weights);
}

absl::Status Lunar::ScoreDistances(const Distances& distances, std::span<double> scores, const Context& ctx) const {
  return outlier::ParallelBlocks(ctx, static_cast<int64_t>(scores.size()), kGrain, [&](int64_t begin, int64_t end) {
    TileBuffer tile(k_), a(network_.buffer_width()), b(network_.buffer_width());
    std::vector<double> weights(static_cast<size_t>(k_ * kTile));
    for (int64_t first = begin; first < end; first += kTile) {
      const int64_t rows = std::min(kTile, end - first);
      for (int64_t j = 0; j < k_; ++j) {
        for (int64_t r = 0; r < rows; ++r) {
          tile.data()[j * kTile + r] =
              static_cast<float>(std::min(distances[static_cast<size_t>((first + r) * k_ + j)] / scale_, kMaxZ));
        }
      }
      Weigh(tile, a, b, weights.data());
      for (int64_t r = 0; r < rows; ++r) {
        double sum = 0;
        for (int64_t j = 0; j < k_; ++j) {
          sum += weights[static_cast<size_t>(j * kTile + r)] * distances[static_cast<size_t>((first + r) * k_ + j)];
        }
        scores[static_cast<size_t>(first + r)] = sum;
      }
    }
  });
}

absl::Status Lunar::Score(MatrixView X, std::span<double> scores, const Context& ctx) const {
  RETURN_IF_ERROR(ctx.Check());
  ASSIGN_OR_RETURN(const Matrix Z, Scaled(X, ctx));
  Distances distances(static_cast<size_t>(X.rows * k_));
  RETURN_IF_ERROR(index_.Of(Z, k_, ctx, KeepIn(distances)));
  return ScoreDistances(distances, scores, ctx);
}

/// Weighted squared gaps to the neighbours, in ranges; a training row is not its own neighbour. Expected: the
/// neighbours' weighted mean.
absl::StatusOr<Attribution> Lunar::Explain(MatrixView X, const Context& ctx) const {
  RETURN_IF_ERROR(ctx.Check());
  ASSIGN_OR_RETURN(const Matrix Z, Scaled(X, ctx));
  Attribution out{Matrix(X.rows, X.cols), Matrix(X.rows, X.cols), "squared distance, in ranges of the columns"};
  RETURN_IF_ERROR(
      index_.Of(Z, k_ + 1, ctx, [&](int64_t i, std::span<const double> distances, std::span<const int32_t> rows) {
        if (rows.size() > 1 && distances[0] == 0) rows = rows.subspan(1), distances = distances.subspan(1);
        const auto near = static_cast<int64_t>(std::min(static_cast<size_t>(k_), rows.size()));
        TileBuffer tile(k_), a(network_.buffer_width()), b(network_.buffer_width());
        std::vector<double> weights(static_cast<size_t>(k_ * kTile));
        for (int64_t j = 0; j < k_; ++j) {
          const double distance = distances[static_cast<size_t>(std::min(j, near - 1))] / index_.unit();
          std::fill_n(tile.data() + j * kTile, kTile, static_cast<float>(std::min(distance / scale_, kMaxZ)));
        }
        Weigh(tile, a, b, weights.data());
        for (int64_t j = 0; j < X.cols; ++j) {
          double gaps = 0, mean = 0;
          for (int64_t r = 0; r < k_; ++r) {
            const double value = index_.Value(rows[static_cast<size_t>(std::min(r, near - 1))], j),
                         weight = weights[static_cast<size_t>(r * kTile)];
            gaps += weight * (Z(i, j) - value) * (Z(i, j) - value);
            mean += weight * value;
          }
          out.contributions(i, j) = gaps;
          out.expected(i, j) = scaling_.Unscaled(j, mean);
        }
      }));
  return out;
}

void Lunar::SlopeByDistances(std::span<double> distances) const {
  DenseNetwork::Trace trace = network_.MakeTrace();
  TileBuffer tile(k_), slope(k_), a = BackwardBuffer(network_), b = BackwardBuffer(network_);
  std::vector<double> weights(static_cast<size_t>(k_ * kTile));
  for (int64_t j = 0; j < k_; ++j) {
    const double units = std::min(distances[static_cast<size_t>(j)] / scale_, kMaxZ);
    std::fill_n(tile.data() + j * kTile, kTile, static_cast<float>(units));
  }
  Softmax(network_.ForwardKeeping(tile.data(), trace), weights.data());
  double score = 0;
  for (int64_t j = 0; j < k_; ++j) score += weights[static_cast<size_t>(j * kTile)] * distances[static_cast<size_t>(j)];
  for (int64_t j = 0; j < k_; ++j) {
    const double gap = distances[static_cast<size_t>(j)] - score, weight = weights[static_cast<size_t>(j * kTile)];
    std::fill_n(slope.data() + j * kTile, kTile, static_cast<float>(weight * gap / scale_));
  }
  const float* const through = network_.Backward(slope.data(), trace, a, b);
  for (int64_t j = 0; j < k_; ++j) {
    double& distance = distances[static_cast<size_t>(j)];
    const double by_network = distance / scale_ < kMaxZ ? static_cast<double>(through[j * kTile]) : 0;
    distance = weights[static_cast<size_t>(j * kTile)] + by_network;
  }
}

/// With the nearest rows that the query has: distances in order change without a step where neighbours do.
absl::Status Lunar::Gradients(MatrixView X, Matrix& gradients, const Context& ctx) const {
  RETURN_IF_ERROR(ctx.Check());
  ASSIGN_OR_RETURN(const Matrix Z, Scaled(X, ctx));
  return index_.Of(Z, k_, ctx, [&](int64_t i, std::span<const double> found, std::span<const int32_t> rows) {
    for (int64_t j = 0; j < X.cols; ++j) gradients(i, j) = 0;
    if (rows.empty()) return;
    std::vector<double> distances(static_cast<size_t>(k_)), sums(static_cast<size_t>(X.cols));
    const auto neighbour = [&](size_t r) { return std::min(r, rows.size() - 1); };
    for (size_t r = 0; r < distances.size(); ++r) distances[r] = std::min(found[neighbour(r)] / index_.unit(), 1e30);
    std::vector<double> slopes = distances;
    SlopeByDistances(slopes);
    for (size_t r = 0; r < slopes.size(); ++r) {
      if (!(distances[r] > 0) || distances[r] >= 1e30) continue;
      for (int64_t j = 0; j < X.cols; ++j) {
        sums[static_cast<size_t>(j)] += slopes[r] * (Z(i, j) - index_.Value(rows[neighbour(r)], j)) / distances[r];
      }
    }
    for (int64_t j = 0; j < X.cols; ++j) {
      const double width = scaling_.Unscaled(j, 1) - scaling_.Unscaled(j, 0), slope = sums[static_cast<size_t>(j)] / width;
      const bool moves = !std::isnan(X(i, j)) && std::fabs(Z(i, j)) < kMaxZ;
      if (moves && std::isfinite(slope)) gradients(i, j) = slope;
    }
  });
}

void Lunar::Save(ByteWriter& out) const {
  out.U32(1);
  out.I64(features());
  scaling_.Save(out);
  out.F64(scale_);
  network_.Save(out);
  index_.Save(out);
}

absl::Status Lunar::Load(ByteReader& in) {
  outlier::ReadVersion(in, 1);
  const int64_t d = outlier::ReadInt(in, "the number of columns", 1, outlier::kMaxColumns);
  scaling_.Load(in, d);
  scale_ = outlier::ReadFinite(in, "the scale");
  RETURN_IF_ERROR(in.status());
  if (!(scale_ > 0)) return DataLoss("the scale {} of the distances is not positive", scale_);
  ASSIGN_OR_RETURN(network_, DenseNetwork::Load(in));
  if (!std::ranges::equal(network_.sizes(), Sizes())) {
    return DataLoss("the stored network ({}) is not that of the parameters ({})", fmt::join(network_.sizes(), "-"),
                    fmt::join(Sizes(), "-"));
  }
  RETURN_IF_ERROR(index_.Load(in, {}));
  if (index_.features() != d) return DataLoss("rows of {} columns where {} are needed", index_.features(), d);
  training_scores_.clear();
  return absl::OkStatus();
}

outlier::Cost CostOf(const ParamSet& p, int64_t rows, int64_t features) {
  const double h = static_cast<double>(p.Int("hidden")), k = static_cast<double>(p.Int("n_neighbors")),
               weights = h * (2 * k + h);
  outlier::Cost cost = outlier::NeighborCost(rows, features, p.Int("n_neighbors"), 2e-7 + 1e-10 * weights);
  const double samples = 2 * static_cast<double>(std::min(rows, p.Int("max_samples")));
  cost.fit_bytes += 64 * weights + 8 * samples * k + 8 * static_cast<double>(rows * features);
  cost.model_bytes += 4 * weights;
  const double steps = std::ceil(samples / static_cast<double>(p.Int("batch_size")));
  return cost.PlusFit(1e-2 + static_cast<double>(p.Int("epochs")) * (steps * 2e-5 + samples * 2e-10 * weights) +
                      samples / 2 * outlier::NeighborSeconds(rows, features));
}

}  // namespace

extern const outlier::Descriptor k_lunar;
const outlier::Descriptor k_lunar = {
    .name = "lunar",
    .family = "neural",
    .summary =
        "Weighted distance to the nearest rows, with weights learnt from made-up anomalies: as knn, where the nearest "
        "of the "
        "neighbours say more, or less, than the farther.",
    .paper =
        "Goodge, Hooi, Ng, Ng, \"LUNAR: unifying local outlier detection methods via graph neural networks\", AAAI "
        "2022",
    .params = kParams,
    .deterministic = false,
    .explains = true,
    .own_training_scores = true,
    .fit_cost = "O(n log n d) for few columns, O(n^2 d) for many, + O(epochs samples k)",
    .score_cost = "O(log n d) for few columns, O(n d) for many",
    .cost = CostOf,
    .make = [](const ParamSet& params) -> std::unique_ptr<outlier::Detector> {
      return std::make_unique<Lunar>(params);
    },
    .default_contamination = 0.05,
};

}  // namespace vedette::neural
