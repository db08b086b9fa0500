#include "neural/network_detector.h"

#include <algorithm>
#include <cmath>

#include "base/status.h"
#include "outlier/cost.h"
#include "outlier/parallel.h"
#include "outlier/state.h"

namespace vedette::neural {
namespace {

constexpr uint32_t kStateVersion = 1;
constexpr int64_t kTileRows = DenseNetwork::kTileRows;
constexpr double kLargestScore = 1e30;  // keeps the scores of a broken network finite
constexpr uint64_t kWeightStream = uint64_t{1} << 40;  // of Rng(seed, .): + the number of the network

double Bounded(double score) { return std::isnan(score) ? kLargestScore : std::clamp(score, -kLargestScore, kLargestScore); }

}  // namespace

Device DeviceFrom(const outlier::ParamSet& params) {
  const std::string& kind = params.Choice("device");
  return {kind == "cuda" ? DeviceKind::kCuda : kind == "cpu" ? DeviceKind::kCpu : DeviceKind::kAuto,
          static_cast<int>(params.Int("device_index"))};
}

outlier::Cost NetworkCost(int64_t rows, int64_t features, double weights, double passes, double row_weights) {
  const double n = static_cast<double>(rows), d = static_cast<double>(features);
  // Forward, back and the optimiser's step, on the processor (module/host_tensor); small batches take longer a row.
  return {.fit_seconds = 1e-2 + n * passes * (3e-7 + 1.2e-10 * weights),
          .score_seconds_per_row = outlier::kRowFloor + 1e-10 * row_weights + 2e-9 * d,
          .fit_bytes = outlier::kBytesFloor + 8 * n * d + 64 * weights,
          .model_bytes = outlier::kBytesFloor + 4 * weights + 16 * d};
}

absl::StatusOr<std::vector<float>> NetworkDetector::Inputs(MatrixView X, const Context& ctx) const {
  std::vector<float> out(static_cast<size_t>(X.rows * X.cols));
  RETURN_IF_ERROR(outlier::ParallelBlocks(ctx, X.rows, grain(), [&](int64_t begin, int64_t end) {
    for (int64_t j = 0; j < X.cols; ++j) {
      for (int64_t i = begin; i < end; ++i) out[static_cast<size_t>(i * X.cols + j)] = scaling_.Apply(j, X(i, j));
    }
  }));
  return out;
}

absl::Status NetworkDetector::FitNetworks(MatrixView X, std::span<const float> targets, const Context& ctx) {
  constexpr int64_t kMostColumns = 16384;  // widths are multiples of the columns in some designs
  if (X.rows < 1 || X.cols < 1) return InvalidArgument("a network cannot be fitted on {} rows x {} columns", X.rows, X.cols);
  if (X.cols > kMostColumns) return InvalidArgument("{} columns: this network takes {} at most", X.cols, kMostColumns);
  RETURN_IF_ERROR(ctx.Check());
  ASSIGN_OR_RETURN(scaling_, Standardizer::Fit(X, ctx));  // refuses what is not finite, whether it is used or not
  if (!standardizes_) scaling_ = Standardizer::Identity(X.cols);
  ASSIGN_OR_RETURN(const Module* module, Module::Get(ctx));
  ASSIGN_OR_RETURN(const std::vector<float> inputs, Inputs(X, ctx));

  const std::vector<Design> designs = Designs(static_cast<int32_t>(X.cols));
  networks_.clear();
  targets_.assign(targets.begin(), targets.end());
  Learning learning;
  for (size_t i = 0; i < designs.size(); ++i) {
    networks_.emplace_back(designs[i].sizes);
    networks_.back().Initialize(ctx.seed, kWeightStream + i);
    networks_.back().SetActivations(designs[i].hidden, designs[i].output);
  }
  learning.inputs = inputs;
  learning.rows = X.rows;
  learning.batch_size = batch_size_;
  learning.epochs = epochs_;
  learning.learning_rate = learning_rate_;
  learning.device = device_;
  RETURN_IF_ERROR(Prepare(learning, ctx));
  learning.targets = targets_;
  for (size_t i = 0; i < designs.size(); ++i) {
    learning.parts.push_back({&networks_[i], designs[i].use_bias, designs[i].fixed});
  }
  RETURN_IF_ERROR(module->Learn(learning, ctx));
  networks_.resize(kept());
  targets_ = {};
  Finish();
  training_scores_.resize(static_cast<size_t>(X.rows));
  return Score(X, training_scores_, ctx);
}

absl::Status NetworkDetector::ScoreTiles(MatrixView X, std::span<double> scores, outlier::Attribution* parts,
                                         const Context& ctx) const {
  RETURN_IF_ERROR(ctx.Check());
  return outlier::ParallelBlocks(ctx, X.rows, grain(), [&](int64_t begin, int64_t end) {
    TileBuffer in(X.cols), made(parts != nullptr ? X.cols : 0);
    std::vector<double> contributions(parts != nullptr ? static_cast<size_t>(X.cols * kTileRows) : 0);
    const Parts buffers{contributions.data(), made.data()};
    for (int64_t first = begin; first < end; first += kTileRows) {
      const int64_t rows = std::min(kTileRows, end - first);
      for (int64_t j = 0; j < X.cols; ++j) {
        for (int64_t r = 0; r < rows; ++r) in.data()[j * kTileRows + r] = scaling_.Apply(j, X(first + r, j));
      }
      double tile[kTileRows] = {};
      ScoreTile(in, rows, tile, parts != nullptr ? &buffers : nullptr);
      for (int64_t r = 0; r < rows; ++r) scores[static_cast<size_t>(first + r)] = Bounded(tile[r]);
      for (int64_t j = 0; parts != nullptr && j < X.cols; ++j) {
        for (int64_t r = 0; r < rows; ++r) {
          parts->contributions(first + r, j) = Bounded(contributions[static_cast<size_t>(j * kTileRows + r)]);
          parts->expected(first + r, j) = scaling_.Invert(j, made.data()[j * kTileRows + r]);
        }
      }
    }
  });
}

absl::StatusOr<outlier::Attribution> NetworkDetector::ExplainTiles(MatrixView X, std::string_view space, const Context& ctx) const {
  outlier::Attribution parts{Matrix(X.rows, X.cols), Matrix(X.rows, X.cols), space};
  std::vector<double> scores(static_cast<size_t>(X.rows));
  RETURN_IF_ERROR(ScoreTiles(X, scores, &parts, ctx));
  return parts;
}

void NetworkDetector::Save(ByteWriter& out) const {
  out.U32(kStateVersion);
  scaling_.Save(out);
  for (const DenseNetwork& network : networks_) network.Save(out);
  out.Floats(extras_);
}

absl::Status NetworkDetector::Load(ByteReader& in) {
  outlier::ReadVersion(in, kStateVersion);
  RETURN_IF_ERROR(in.status());
  ASSIGN_OR_RETURN(scaling_, Standardizer::Load(in));
  if (scaling_.features() < 1 || scaling_.features() > DenseNetwork::kMaxWidth) {
    return DataLoss("a network of {} features", scaling_.features());
  }
  const std::vector<Design> designs = Designs(static_cast<int32_t>(scaling_.features()));
  networks_.clear();
  for (size_t i = 0; i < kept(); ++i) {
    ASSIGN_OR_RETURN(DenseNetwork network, DenseNetwork::Load(in));
    if (!std::ranges::equal(network.sizes(), designs[i].sizes)) {
      return DataLoss("stored network {} ({}) is not that of the parameters ({})", i, fmt::join(network.sizes(), "-"),
                      fmt::join(designs[i].sizes, "-"));
    }
    network.SetActivations(designs[i].hidden, designs[i].output);
    networks_.push_back(std::move(network));
  }
  extras_ = in.Floats();
  RETURN_IF_ERROR(in.status());
  if (extras_.size() != extras() || !std::all_of(extras_.begin(), extras_.end(), [](float v) { return std::isfinite(v); })) {
    return DataLoss("{} numbers beside the networks, or one is not finite; {} are needed", extras_.size(), extras());
  }
  training_scores_.clear();
  Finish();
  return absl::OkStatus();
}

}  // namespace vedette::neural
