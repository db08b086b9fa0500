// Autoencoder: a network squeezed to a few units in its middle learns to reproduce the rows; what it cannot reproduce is odd.
// Hawkins, He, Williams, Baxter, "Outlier detection using replicator neural networks", DaWaK 2002. Layers
// n-64-32-8-32-64-n, ReLU inside, mean squared error on standardised columns, Adam, early stop on rows held out.
// Fit: O(epochs n (64 d + 2304)), in the LibTorch module; score and explain: one forward pass in dense_network, no Torch.
// Fails when odd rows are common enough to be learnt, or when few rows leave the network undertrained (everything odd).
#include <algorithm>
#include <atomic>
#include <cmath>
#include <memory>
#include <numeric>
#include <utility>

#include "base/rng.h"
#include "base/status.h"
#include "base/thread_pool.h"
#include "neural/algorithms.h"
#include "neural/dense_network.h"
#include "neural/gradients.h"
#include "neural/module_loader.h"
#include "neural/standardizer.h"
#include "outlier/gradient_source.h"

namespace vedette::neural {
namespace {

using outlier::Attribution;
using outlier::ParamSet;
using outlier::ParamSpec;
using outlier::ParamType;

constexpr uint32_t kStateVersion = 1;
constexpr int64_t kGrain = 64 * DenseNetwork::kTileRows;  // rows a piece of ParallelFor
constexpr int64_t kFewRows = 1000, kManyRows = 10000;
constexpr size_t kSizes = 7;       // input, hidden1, hidden2, encoding, hidden2, hidden1, output
constexpr uint64_t kSplitStream = 1;  // of Rng(seed, .); 0 is the weights', 2 and up are the epochs'
constexpr double kLargestError = 1e15;  // standardised units; keeps the scores of a broken network finite

constexpr ParamSpec kParams[] = {
    {.name = "hidden1", .default_value = "64", .min = 1, .max = 4096, .summary = "units of the first and the last hidden layer"},
    {.name = "hidden2", .default_value = "32", .min = 1, .max = 4096, .summary = "units of the second and the fourth hidden layer"},
    {.name = "encoding", .default_value = "0", .min = 0, .max = 4096,
     .summary = "units of the middle layer; 0: 8, or 4 below 1000 rows"},
    {.name = "epochs", .default_value = "0", .min = 0, .max = 100000,
     .summary = "passes over the rows at most; 0: 50, or 30 below 1000 rows"},
    {.name = "batch_size", .default_value = "0", .min = 0, .max = 1 << 20,
     .summary = "rows a step of the optimiser; 0: 32, or 256 above 10000 rows"},
    {.name = "validation_split", .type = ParamType::kReal, .default_value = "0.2", .min = 0, .max = 0.5,
     .summary = "share of the rows held out to decide when to stop; 0: run all epochs"},
    {.name = "patience", .default_value = "5", .min = 0, .max = 100000,
     .summary = "stop after this many epochs without a lower validation loss; 0: run all; the best epoch is kept either way"},
    {.name = "learning_rate", .type = ParamType::kReal, .default_value = "0.001", .min = 1e-7, .max = 1,
     .summary = "step size of the optimiser, Adam"},
    {.name = "device", .type = ParamType::kChoice, .default_value = "auto", .choices = "auto|cpu|cuda",
     .summary = "where to fit; auto: a CUDA device when there is one. Scores of fits on different devices differ slightly"},
    {.name = "device_index", .default_value = "0", .min = 0, .max = 127, .summary = "number of the CUDA device to fit on"},
};

struct Options {
  explicit Options(const ParamSet& p)
      : hidden1(static_cast<int32_t>(p.Int("hidden1"))),
        hidden2(static_cast<int32_t>(p.Int("hidden2"))),
        encoding(static_cast<int32_t>(p.Int("encoding"))),
        epochs(p.Int("epochs")),
        batch_size(p.Int("batch_size")),
        validation_split(p.Real("validation_split")),
        patience(p.Int("patience")),
        learning_rate(p.Real("learning_rate")) {
    const std::string& kind = p.Choice("device");
    device.kind = kind == "cuda" ? DeviceKind::kCuda : kind == "cpu" ? DeviceKind::kCpu : DeviceKind::kAuto;
    device.index = static_cast<int>(p.Int("device_index"));
  }

  std::vector<int32_t> Sizes(int64_t features, int32_t middle) const {
    const auto d = static_cast<int32_t>(features);
    return {d, hidden1, hidden2, middle, hidden2, hidden1, d};
  }

  int32_t hidden1, hidden2, encoding;
  int64_t epochs, batch_size;
  double validation_split;
  int64_t patience;
  double learning_rate;
  Device device;
};

class Autoencoder final : public outlier::Detector, public outlier::GradientSource {
 public:
  explicit Autoencoder(const ParamSet& params) : options_(params) {}

  absl::Status Fit(MatrixView X, const Context& ctx) override;
  std::span<const double> training_scores() const override { return training_scores_; }
  absl::Status Score(MatrixView X, std::span<double> scores, const Context& ctx) const override {
    return Reconstruct(X, scores, nullptr, ctx);
  }
  absl::StatusOr<Attribution> Explain(MatrixView X, const Context& ctx) const override;
  absl::Status Gradients(MatrixView X, Matrix& gradients, const Context& ctx) const override;
  void Save(ByteWriter& out) const override;
  absl::Status Load(ByteReader& in) override;
  int64_t features() const override { return scaling_.features(); }

 private:
  /// Rows in random order, standardised, row-major: the last of them are held out.
  absl::StatusOr<std::vector<float>> TrainingInputs(MatrixView X, const Context& ctx) const;
  /// Scores of X and, when asked for, each feature's part and what the network made of it.
  absl::Status Reconstruct(MatrixView X, std::span<double> scores, Attribution* parts, const Context& ctx) const;

  Options options_;
  Standardizer scaling_;
  DenseNetwork network_;
  TrainingSummary summary_;
  std::vector<double> training_scores_;
};

absl::StatusOr<std::vector<float>> Autoencoder::TrainingInputs(MatrixView X, const Context& ctx) const {
  std::vector<int64_t> place(static_cast<size_t>(X.rows));  // of each row of X
  std::iota(place.begin(), place.end(), 0);
  Rng(ctx.seed, kSplitStream).Shuffle(place);
  std::vector<float> out(static_cast<size_t>(X.rows * X.cols));
  std::atomic<bool> stopped{false};
  ParallelFor(ctx.pool, X.rows, kGrain, [&](int64_t begin, int64_t end) {
    if (stopped.load(std::memory_order_relaxed) || !ctx.Check().ok()) {
      stopped.store(true, std::memory_order_relaxed);
      return;
    }
    for (int64_t j = 0; j < X.cols; ++j) {
      for (int64_t i = begin; i < end; ++i) {
        out[static_cast<size_t>(place[static_cast<size_t>(i)] * X.cols + j)] = scaling_.Apply(j, X(i, j));
      }
    }
  });
  if (stopped) return ctx.Check();
  return out;
}

absl::Status Autoencoder::Fit(MatrixView X, const Context& ctx) {
  if (X.rows < 1 || X.cols < 1) return InvalidArgument("an autoencoder cannot be fitted on {} rows x {} columns", X.rows, X.cols);
  if (X.cols > DenseNetwork::kMaxWidth) {
    return InvalidArgument("{} columns: an autoencoder takes {} at most", X.cols, DenseNetwork::kMaxWidth);
  }
  RETURN_IF_ERROR(ctx.Check());
  ASSIGN_OR_RETURN(scaling_, Standardizer::Fit(X, ctx));
  ASSIGN_OR_RETURN(const Module* module, Module::Get(ctx));

  const bool few = X.rows < kFewRows;
  const int32_t middle = options_.encoding > 0 ? options_.encoding : few ? 4 : 8;
  network_ = DenseNetwork(options_.Sizes(X.cols, middle));
  network_.Initialize(ctx.seed);

  ASSIGN_OR_RETURN(const std::vector<float> inputs, TrainingInputs(X, ctx));
  DenseTraining training;
  training.sizes = network_.sizes();
  training.inputs = inputs;
  training.validation_rows = static_cast<int64_t>(static_cast<double>(X.rows) * options_.validation_split);
  training.training_rows = X.rows - training.validation_rows;
  training.batch_size = options_.batch_size > 0 ? options_.batch_size : X.rows > kManyRows ? 256 : 32;
  training.epochs = static_cast<int>(options_.epochs > 0 ? options_.epochs : few ? 30 : 50);
  training.patience = static_cast<int>(options_.patience);
  training.learning_rate = options_.learning_rate;
  training.device = options_.device;
  ASSIGN_OR_RETURN(summary_, module->Train(training, network_.parameters(), ctx));

  training_scores_.resize(static_cast<size_t>(X.rows));
  return Score(X, training_scores_, ctx);
}

absl::Status Autoencoder::Reconstruct(MatrixView X, std::span<double> scores, Attribution* parts, const Context& ctx) const {
  constexpr int64_t kTile = DenseNetwork::kTileRows;
  std::atomic<bool> stopped{false};
  ParallelFor(ctx.pool, X.rows, kGrain, [&](int64_t begin, int64_t end) {
    TileBuffer in(X.cols), a(network_.buffer_width()), b(network_.buffer_width());
    for (int64_t first = begin; first < end; first += kTile) {
      if (stopped.load(std::memory_order_relaxed) || !ctx.Check().ok()) {
        stopped.store(true, std::memory_order_relaxed);
        return;
      }
      const int64_t rows = std::min(kTile, end - first);
      for (int64_t j = 0; j < X.cols; ++j) {
        for (int64_t r = 0; r < rows; ++r) in.data()[j * kTile + r] = scaling_.Apply(j, X(first + r, j));
      }
      const float* out = network_.Forward(in, a, b);
      for (int64_t r = 0; r < rows; ++r) {
        double sum = 0;
        for (int64_t j = 0; j < X.cols; ++j) {
          const double made = out[j * kTile + r];
          const double error = std::abs(made - in.data()[j * kTile + r]);
          const double bounded = error < kLargestError ? error : kLargestError;  // also when it is NaN
          const double part = bounded * bounded / static_cast<double>(X.cols);
          sum += part;
          if (parts != nullptr) {
            parts->contributions(first + r, j) = part;
            parts->expected(first + r, j) = scaling_.Invert(j, made);
          }
        }
        scores[static_cast<size_t>(first + r)] = sum;
      }
    }
  });
  return stopped ? ctx.Check() : absl::OkStatus();
}

absl::StatusOr<Attribution> Autoencoder::Explain(MatrixView X, const Context& ctx) const {
  Attribution parts{Matrix(X.rows, X.cols), Matrix(X.rows, X.cols), "reconstruction error"};
  std::vector<double> scores(static_cast<size_t>(X.rows));
  RETURN_IF_ERROR(Reconstruct(X, scores, &parts, ctx));
  return parts;
}

/// Of the mean over the columns of (made - in)^2: the error's slope goes back through the network, less itself.
absl::Status Autoencoder::Gradients(MatrixView X, Matrix& gradients, const Context& ctx) const {
  const auto tile = [&](const TileBuffer& in, int64_t, float* gradient) {
    const int64_t d = network_.outputs();
    DenseNetwork::Trace trace = network_.MakeTrace();
    TileBuffer slope(d), back(d), a = BackwardBuffer(network_), b = BackwardBuffer(network_);
    ErrorSlope(network_.ForwardKeeping(in.data(), trace), in, d, slope.data());
    std::copy_n(slope.data(), d * DenseNetwork::kTileRows, back.data());
    const float* through = network_.Backward(back.data(), trace, a, b);
    for (int64_t i = 0; i < d * DenseNetwork::kTileRows; ++i) gradient[i] = through[i] - slope.data()[i];
  };
  return GradientsOfTiles(scaling_, X, tile, gradients, ctx);
}

void Autoencoder::Save(ByteWriter& out) const {
  out.U32(kStateVersion);
  scaling_.Save(out);
  network_.Save(out);
  out.I64(summary_.epochs);
  out.I64(summary_.best_epoch);
  out.F64(summary_.training_loss);
  out.F64(summary_.validation_loss);
  out.U8(summary_.device.kind == DeviceKind::kCuda ? 1 : 0);
  out.U32(static_cast<uint32_t>(summary_.device.index));
}

absl::Status Autoencoder::Load(ByteReader& in) {
  const uint32_t version = in.U32();
  RETURN_IF_ERROR(in.status());
  if (version != kStateVersion) return DataLoss("state version {} of an autoencoder is not known", version);
  ASSIGN_OR_RETURN(scaling_, Standardizer::Load(in));
  ASSIGN_OR_RETURN(network_, DenseNetwork::Load(in));
  summary_ = {};
  summary_.epochs = static_cast<int>(in.I64());
  summary_.best_epoch = static_cast<int>(in.I64());
  summary_.training_loss = in.F64();
  summary_.validation_loss = in.F64();
  summary_.device.kind = in.U8() == 1 ? DeviceKind::kCuda : DeviceKind::kCpu;
  summary_.device.index = static_cast<int>(in.U32());
  RETURN_IF_ERROR(in.status());

  const std::span<const int32_t> sizes = network_.sizes();
  const int32_t middle = sizes.size() == kSizes && options_.encoding == 0 ? sizes[kSizes / 2] : options_.encoding;
  if (!std::ranges::equal(sizes, options_.Sizes(scaling_.features(), middle))) {
    return DataLoss("the stored network ({}) is not the one of the parameters: {} features, hidden1 {}, hidden2 {}, encoding {}",
                    fmt::join(sizes, "-"), scaling_.features(), options_.hidden1, options_.hidden2, options_.encoding);
  }
  training_scores_.clear();
  return absl::OkStatus();
}

outlier::Cost CostOf(const ParamSet& p, int64_t rows, int64_t features) {
  const auto size = [&](const char* name) { return static_cast<double>(p.Int(name)); };
  const bool few = rows < kFewRows;
  const double middle = size("encoding") > 0 ? size("encoding") : 8, epochs = size("epochs") > 0 ? size("epochs") : few ? 30 : 50;
  const double weights = 2 * (static_cast<double>(features) * size("hidden1") + size("hidden1") * size("hidden2") + size("hidden2") * middle);
  // A step takes about 10 us whatever its rows, which large batches share; then forward, back and the optimiser's part.
  const double batch = size("batch_size") > 0 ? size("batch_size") : 32;
  const double n = static_cast<double>(rows), d = static_cast<double>(features);
  return {.fit_seconds = 1e-2 + epochs * n * (1e-5 / std::min(batch, 32.0) + 1.2e-10 * weights),
          .score_seconds_per_row = 2e-8 + 1e-10 * weights,
          .fit_bytes = 4096 + 8 * n * d + 64 * weights,
          .model_bytes = 4096 + 4 * weights + 16 * d};
}

}  // namespace

extern const outlier::Descriptor k_autoencoder;
const outlier::Descriptor k_autoencoder = {
    .name = "autoencoder",
    .family = "neural",
    .summary = "Rows that a small network cannot reproduce; finds broken relations between columns that single columns do not "
               "show; weak below a few hundred rows.",
    .paper = "Hawkins, He, Williams, Baxter, \"Outlier detection using replicator neural networks\", DaWaK 2002",
    .params = kParams,
    .deterministic = false,
    .explains = true,
    .wants_scaling = false,
    .fit_cost = "O(epochs n d)",
    .score_cost = "O(d)",
    .cost = CostOf,
    .make = [](const ParamSet& params) -> std::unique_ptr<outlier::Detector> { return std::make_unique<Autoencoder>(params); },
    .default_contamination = 0.05,
};

}  // namespace vedette::neural
