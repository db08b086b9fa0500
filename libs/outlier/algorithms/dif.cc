// Deep isolation forest (Xu, Pang, Wang, Wang 2023): isolation trees on the outputs of networks that are drawn at
// random and never trained, so that cuts are curved. A row's score is, over 50 networks, the mean of
//     2^(-E[h] / c(psi)) * E[mean |value - threshold| along the path]
// over the network's trees: isolated early, and far from the cuts.
//
// Columns are brought to [0, 1] by the training rows. A network's outputs are standardised and put through tanh; their
// mean and deviation come from the training rows (at most 4096 of them at equal steps, of which the trees' samples are
// drawn too), not from the batch that is scored, as PyOD does it. Networks are drawn anew when a model is loaded: its
// file holds a seed.
#include <algorithm>
#include <bit>
#include <cmath>
#include <numeric>

#include "base/rng.h"
#include "base/status.h"
#include "outlier/columns.h"
#include "outlier/cost.h"
#include "outlier/detector.h"
#include "outlier/kernels/aligned.h"
#include "outlier/kernels/isolation_tree.h"
#include "outlier/kernels/random_network.h"
#include "outlier/parallel.h"
#include "outlier/state.h"

namespace vedette::outlier {
namespace {

constexpr uint32_t kStateVersion = 1;
constexpr int64_t kReferenceRows = 4096, kTile = Standardizer::kTile, kBlockRows = 4 * kTile;
constexpr int64_t kMostWeights = int64_t{1} << 28;  // 1 GiB of networks
constexpr double kMostInput = 1e6;                  // tanh is flat long before

int DepthOf(int64_t psi) { return psi <= 2 ? 1 : std::bit_width(static_cast<uint64_t>(psi - 1)); }

struct Representation {
  std::vector<double> mean, inverse;  ///< of the network's outputs among the training rows
  std::vector<IsolationTree> trees;
};

class DeepIsolationForest final : public Detector {
 public:
  explicit DeepIsolationForest(const ParamSet& params)
      : networks_wanted_(params.Int("n_ensemble")),
        trees_(params.Int("n_estimators")),
        samples_(params.Int("max_samples")),
        shape_{0, params.Int("hidden_1"), params.Int("hidden_2"), params.Int("representation_dim")} {}

  absl::Status Fit(MatrixView X, const Context& ctx) override {
    seed_ = ctx.seed;
    shape_.inputs = X.cols;
    if (shape_.Weights() > kMostWeights / networks_wanted_) {
      return InvalidArgument(
          "dif: {} networks on {} columns hold more than {} weights; fewer networks or neurons are needed",
          networks_wanted_, X.cols, kMostWeights);
    }
    RETURN_IF_ERROR(FitScaling(X, ctx));
    RETURN_IF_ERROR(DrawNetworks(ctx));
    const int64_t reference = std::min(X.rows, kReferenceRows);
    Matrix rows(reference, X.cols);
    for (int64_t j = 0; j < X.cols; ++j) {
      for (int64_t i = 0; i < reference; ++i) rows(i, j) = X(i * X.rows / reference, j);
    }
    psi_ = std::min(samples_, reference);
    representations_.assign(networks_.size(), {});
    std::vector<absl::Status> learnt(networks_.size());
    // Where all rows are reference rows, their outputs are at hand for the training scores: rows x networks.
    const bool all = reference == X.rows;
    std::vector<double> isolation(all ? networks_.size() * static_cast<size_t>(X.rows) : 0);
    RETURN_IF_ERROR(ParallelBlocks(ctx, networks_wanted_, 1, [&](int64_t begin, int64_t end) {
      for (int64_t m = begin; m < end; ++m)
        learnt[static_cast<size_t>(m)] =
            Learn(rows, static_cast<size_t>(m), all ? isolation.data() + m * X.rows : nullptr, ctx);
    }));
    for (const absl::Status& status : learnt) RETURN_IF_ERROR(status);
    training_scores_.assign(static_cast<size_t>(X.rows), 0);
    if (!all) return Score(X, training_scores_, ctx);
    const auto n = training_scores_.size();
    for (size_t m = 0; m < networks_.size(); ++m) {
      for (size_t i = 0; i < n; ++i) training_scores_[i] += isolation[m * n + i];
    }
    for (double& score : training_scores_) score /= static_cast<double>(networks_.size());
    return ctx.Check();
  }
  std::span<const double> training_scores() const override { return training_scores_; }

  absl::Status Score(MatrixView X, std::span<double> scores, const Context& ctx) const override {
    return ParallelBlocks(ctx, X.rows, kBlockRows, [&](int64_t begin, int64_t end) {
      const AlignedArray<float> tiles(kBlockRows * X.cols);
      RandomNetwork::Scratch scratch(shape_);
      for (int64_t at = begin; at < end; at += kTile) ReadTile(X, at, tiles.get() + (at - begin) * X.cols);
      std::fill(scores.begin() + begin, scores.begin() + end, 0.0);
      for (size_t m = 0; m < networks_.size(); ++m) {
        for (int64_t at = begin; at < end; at += kTile) {
          const int64_t rows = std::min(kTile, end - at);
          Represent(tiles.get() + (at - begin) * X.cols, LanesFor(X.rows - at), m, scratch);
          for (int64_t r = 0; r < rows; ++r) {
            scores[static_cast<size_t>(at + r)] +=
                Isolation(representations_[m], scratch.out.get() + r, LanesFor(X.rows - at));
          }
        }
      }
      for (int64_t i = begin; i < end; ++i) scores[static_cast<size_t>(i)] /= static_cast<double>(networks_.size());
    });
  }

  void Save(ByteWriter& out) const override {
    out.U32(kStateVersion);
    out.I64(shape_.inputs);
    out.U64(seed_);
    out.I64(psi_);
    scaling_.Save(out);
    for (const Representation& r : representations_) {
      out.Doubles(r.mean);
      out.Doubles(r.inverse);
      for (const IsolationTree& tree : r.trees) tree.Save(out);
    }
  }

  absl::Status Load(ByteReader& in) override {
    ReadVersion(in, kStateVersion);
    training_scores_.clear();
    shape_.inputs = ReadInt(in, "the number of columns", 1, kMaxColumns);
    seed_ = in.U64();
    psi_ = ReadInt(in, "the sample size", 1, kReferenceRows);
    RETURN_IF_ERROR(in.status());
    if (shape_.Weights() > kMostWeights / networks_wanted_) in.Fail("more weights than a model may have");
    scaling_.Load(in, shape_.inputs);
    representations_.clear();
    for (int64_t m = 0; m < networks_wanted_ && in.ok(); ++m) {
      Representation& r = representations_.emplace_back();
      r.mean = ReadDoubles(in, "the means", shape_.outputs);
      r.inverse = ReadDoubles(in, "the deviations", shape_.outputs);
      for (const double v : r.mean) {
        if (std::fabs(v) > 1e12) in.Fail("a mean is out of range");
      }
      for (const double v : r.inverse) {
        if (!(v > 0 && v <= 1e12)) in.Fail("a deviation is out of range");
      }
      for (int64_t t = 0; t < trees_ && in.ok(); ++t)
        r.trees.push_back(IsolationTree::Load(in, shape_.outputs, DepthOf(psi_)));
      for (const IsolationTree& tree : r.trees) {
        for (const float threshold : tree.threshold) {
          if (!(std::fabs(threshold) <= 1.0F)) in.Fail("a threshold is out of range");
        }
      }
    }
    RETURN_IF_ERROR(in.status());
    return DrawNetworks(Context{});
  }
  int64_t features() const override { return shape_.inputs; }

 private:
  /// A last tile of few rows takes half the work; a row's bits do not depend on it.
  static int LanesFor(int64_t rows_left) { return rows_left > 8 ? 16 : 8; }

  absl::Status FitScaling(MatrixView X, const Context& ctx) {
    scaling_ = Standardizer();
    for (int64_t j = 0; j < X.cols; ++j) {
      RETURN_IF_ERROR(ctx.Check());
      const Range range = RangeOf(X.col(j));
      const double unit = UnitFor(std::max(std::fabs(range.low), std::fabs(range.high)));
      const double width = range.high * unit - range.low * unit;
      scaling_.Add(unit, range.low * unit, width > 1e-300 ? 1 / width : 1);
    }
    return absl::OkStatus();
  }

  absl::Status DrawNetworks(const Context& ctx) {
    networks_.clear();
    for (int64_t m = 0; m < networks_wanted_; ++m) {
      RETURN_IF_ERROR(ctx.Check());
      networks_.emplace_back(shape_, seed_, 2 * static_cast<uint64_t>(m));
    }
    return absl::OkStatus();
  }

  /// Rows [at, at + 16) of X as a network takes them, 8 or 16 side by side.
  void ReadTile(MatrixView X, int64_t at, float* out) const {
    const int lanes = LanesFor(X.rows - at);
    std::vector<double> z(static_cast<size_t>(X.cols * kTile));
    scaling_.Tile(X, at, z.data());
    for (int64_t j = 0; j < X.cols; ++j) {
      for (int r = 0; r < lanes; ++r) {
        out[j * lanes + r] =
            static_cast<float>(std::clamp(z[static_cast<size_t>(j * kTile + r)], -kMostInput, kMostInput));
      }
    }
  }

  /// Standardised outputs of network m, through tanh, in scratch.out.
  void Represent(const float* tile, int lanes, size_t m, RandomNetwork::Scratch& scratch) const {
    networks_[m].Run(tile, lanes, scratch);
    Standardise(m, lanes, scratch.out.get());
  }
  void Standardise(size_t m, int lanes, float* outputs) const {
    for (int64_t c = 0; c < shape_.outputs; ++c) {
      const double mean = representations_[m].mean[static_cast<size_t>(c)],
                   inverse = representations_[m].inverse[static_cast<size_t>(c)];
      float* const out = outputs + c * lanes;
      for (int r = 0; r < lanes; ++r) out[r] = static_cast<float>(std::clamp((out[r] - mean) * inverse, -100.0, 100.0));
    }
    TanhInPlace(outputs, shape_.outputs * lanes);
  }

  /// Mean and deviation of network m's outputs, then its trees; into `isolation`, where it is given, what Score finds
  /// for the rows.
  absl::Status Learn(const Matrix& rows, size_t m, double* isolation, const Context& ctx) {
    RandomNetwork::Scratch scratch(shape_);
    const AlignedArray<float> tile(kTile * rows.cols());
    Matrix outputs(rows.rows(), shape_.outputs);
    for (int64_t at = 0; at < rows.rows(); at += kTile) {
      if (at % (64 * kTile) == 0) RETURN_IF_ERROR(ctx.Check());
      const int lanes = LanesFor(rows.rows() - at);
      ReadTile(rows, at, tile.get());
      networks_[m].Run(tile.get(), lanes, scratch);
      for (int64_t c = 0; c < shape_.outputs; ++c) {
        for (int64_t r = 0; r < std::min<int64_t>(lanes, rows.rows() - at); ++r)
          outputs(at + r, c) = scratch.out.get()[c * lanes + r];
      }
    }
    Representation& own = representations_[m];
    for (int64_t c = 0; c < shape_.outputs; ++c) {
      const Moments moments = MomentsOf(outputs.col(c), 1);
      const double deviation = std::sqrt(moments.variance);
      own.mean.push_back(moments.mean);
      own.inverse.push_back(deviation > 1e-7 * std::fabs(moments.mean) && deviation > 1e-9 ? 1 / deviation : 1);
    }
    const Matrix raw = isolation != nullptr ? outputs : Matrix();
    for (int64_t c = 0; c < shape_.outputs; ++c) {  // as Standardise does it, for all rows
      const double mean = own.mean[static_cast<size_t>(c)], inverse = own.inverse[static_cast<size_t>(c)];
      for (double& v : outputs.col(c)) v = std::tanh(std::clamp((v - mean) * inverse, -100.0, 100.0));
    }
    Grow(outputs, m);
    for (int64_t at = 0; at < raw.rows(); at += kTile) {
      const int64_t count = std::min(kTile, raw.rows() - at);
      float* const out = scratch.out.get();
      for (int64_t c = 0; c < shape_.outputs; ++c) {
        for (int64_t r = 0; r < kTile; ++r) out[c * kTile + r] = r < count ? static_cast<float>(raw(at + r, c)) : 0;
      }
      Standardise(m, kTile, out);
      for (int64_t r = 0; r < count; ++r) isolation[at + r] = Isolation(own, out + r, kTile);
    }
    return absl::OkStatus();
  }

  void Grow(const Matrix& outputs, size_t m) {
    Rng rng(seed_, 2 * static_cast<uint64_t>(m) + 1);
    std::vector<int32_t> candidates(static_cast<size_t>(shape_.outputs));
    std::iota(candidates.begin(), candidates.end(), 0);
    std::vector<float> sample(static_cast<size_t>(psi_ * shape_.outputs));
    for (int64_t t = 0; t < trees_; ++t) {
      const std::vector<int64_t> rows = rng.Sample(outputs.rows(), psi_);
      for (int64_t c = 0; c < shape_.outputs; ++c) {
        for (int64_t i = 0; i < psi_; ++i)
          sample[static_cast<size_t>(c * psi_ + i)] = static_cast<float>(outputs(rows[static_cast<size_t>(i)], c));
      }
      representations_[m].trees.push_back(IsolationTree::Grow(sample, psi_, candidates, DepthOf(psi_), rng));
    }
  }

  double Isolation(const Representation& network, const float* row, int64_t lanes) const {
    double length = 0, distance = 0;
    for (const IsolationTree& tree : network.trees) {
      size_t node = 0;
      int64_t depth = 0;
      double far = 0;
      while (tree.feature[node] >= 0) {
        const float value = row[tree.feature[node] * lanes], threshold = tree.threshold[node];
        far += std::fabs(static_cast<double>(value) - threshold);
        ++depth;
        node = value <= threshold ? node + 1 : static_cast<size_t>(tree.right[node]);
      }
      length += static_cast<double>(depth) + AveragePathLength(-static_cast<int64_t>(tree.feature[node]));
      if (depth > 0) distance += far / static_cast<double>(depth);
    }
    const double trees = static_cast<double>(network.trees.size()), norm = AveragePathLength(psi_);
    return norm > 0 ? std::exp2(-length / (trees * norm)) * distance / trees : 0;
  }

  int64_t networks_wanted_, trees_, samples_, psi_ = 1;
  RandomNetwork::Shape shape_;
  uint64_t seed_ = 0;
  Standardizer scaling_;
  std::vector<RandomNetwork> networks_;
  std::vector<Representation> representations_;
  std::vector<double> training_scores_;
};

constexpr ParamSpec kParams[] = {
    {.name = "n_ensemble",
     .type = ParamType::kInt,
     .default_value = "50",
     .min = 1,
     .max = 200,
     .summary = "Number of random networks."},
    {.name = "n_estimators",
     .type = ParamType::kInt,
     .default_value = "6",
     .min = 1,
     .max = 100,
     .summary = "Isolation trees on each network's outputs."},
    {.name = "max_samples",
     .type = ParamType::kInt,
     .default_value = "256",
     .min = 2,
     .max = kReferenceRows,
     .summary = "Rows that each tree is grown on (all rows when there are fewer)."},
    {.name = "hidden_1",
     .type = ParamType::kInt,
     .default_value = "500",
     .min = 1,
     .max = 1000,
     .summary = "Neurons of the first hidden layer."},
    {.name = "hidden_2",
     .type = ParamType::kInt,
     .default_value = "100",
     .min = 1,
     .max = 1000,
     .summary = "Neurons of the second hidden layer."},
    {.name = "representation_dim",
     .type = ParamType::kInt,
     .default_value = "20",
     .min = 1,
     .max = 200,
     .summary = "Outputs of each network."},
};

}  // namespace

extern const Descriptor k_dif;
const Descriptor k_dif = {
    .name = "dif",
    .family = "ensemble",
    .summary =
        "Isolation trees on the outputs of 50 random networks: isolation along curved cuts, for anomalies that no "
        "single column "
        "and no straight cut shows. Says nothing about columns; many irrelevant columns drown the rest.",
    .paper = "H. Xu, G. Pang, Y. Wang, Y. Wang, Deep isolation forest for anomaly detection, IEEE TKDE, 2023",
    .params = kParams,
    .deterministic = false,
    .explains = false,
    .fit_cost = "O(n m w), w weights of each of m networks; 4096 rows more than n above 4096",
    .score_cost = "O(m w)",
    .cost = [](const ParamSet& p, int64_t n, int64_t d) -> Cost {
      const double m = static_cast<double>(p.Int("n_ensemble")), trees = m * static_cast<double>(p.Int("n_estimators"));
      const double h1 = static_cast<double>(p.Int("hidden_1")), h2 = static_cast<double>(p.Int("hidden_2"));
      const double weights =
          m * (h1 * static_cast<double>(d) + h1 * h2 + h2 * static_cast<double>(p.Int("representation_dim")));
      const double row = kRowFloor + 4e-11 * weights + 1e-9 * m * (h1 + h2) + 4e-8 * trees;
      const double reference = static_cast<double>(std::min(n, kReferenceRows)),
                   psi = std::min(reference, static_cast<double>(p.Int("max_samples")));
      const double model = kBytesFloor + 4 * weights + 32 * trees * psi;
      const double runs = static_cast<double>(n) + (n > kReferenceRows ? reference : 0);
      return {.fit_seconds = kFitFloor + 2e-9 * weights + runs * row + 1e-7 * trees * psi,
              .score_seconds_per_row = row,
              .fit_bytes = model + 8 * static_cast<double>(n) +
                           8 * reference * static_cast<double>(d + 8 * p.Int("representation_dim")),
              .model_bytes = model};
    },
    .make = [](const ParamSet& params) -> std::unique_ptr<Detector> {
      return std::make_unique<DeepIsolationForest>(params);
    },
};

}  // namespace vedette::outlier
