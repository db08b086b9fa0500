// Incremental local outlier factor (Pokrajac, Lazarevic, Latecki 2007): LOF over a window of the latest rows. The paper shows
// that updating only the rows that an insertion or a removal touches gives exactly the factors of a new fit; Update here adds
// its rows, drops the oldest beyond the window, and brings all factors up to date once, which is cheaper for more than a
// few rows at a time and gives the same values.
#include <algorithm>

#include "base/status.h"
#include "outlier/columns.h"
#include "outlier/cost.h"
#include "outlier/detector.h"
#include "outlier/registry.h"
#include "outlier/state.h"

namespace vedette::outlier {
namespace {

constexpr uint32_t kStateVersion = 1;

class IncrementalLof final : public Detector {
 public:
  explicit IncrementalLof(const ParamSet& params) : k_(params.Int("n_neighbors")), window_(params.Int("window_size")) {}

  absl::Status Fit(MatrixView X, const Context& ctx) override {
    rows_ = Matrix(0, X.cols);
    RETURN_IF_ERROR(Slide(X, ctx));
    if (X.rows <= window_) {
      training_scores_.assign(lof_->training_scores().begin(), lof_->training_scores().end());
      return absl::OkStatus();
    }
    // Rows that have left the window already are scored as new ones.
    training_scores_.resize(static_cast<size_t>(X.rows));
    RETURN_IF_ERROR(lof_->Score(X, training_scores_, ctx));
    std::copy(lof_->training_scores().begin(), lof_->training_scores().end(), training_scores_.end() - rows_.rows());
    return absl::OkStatus();
  }
  std::span<const double> training_scores() const override { return training_scores_; }

  absl::Status Update(MatrixView X, const Context& ctx) override {
    training_scores_.clear();
    return Slide(X, ctx);
  }

  absl::Status Score(MatrixView X, std::span<double> scores, const Context& ctx) const override { return lof_->Score(X, scores, ctx); }
  absl::StatusOr<Attribution> Explain(MatrixView X, const Context& ctx) const override { return lof_->Explain(X, ctx); }

  void Save(ByteWriter& out) const override {
    out.U32(kStateVersion);
    out.I64(rows_.rows());
    out.I64(rows_.cols());
    out.Doubles({rows_.data(), static_cast<size_t>(rows_.rows() * rows_.cols())});
    ByteWriter state;
    lof_->Save(state);
    out.String(state.bytes());
  }
  absl::Status Load(ByteReader& in) override {
    ReadVersion(in, kStateVersion);
    training_scores_.clear();
    const int64_t n = ReadInt(in, "the number of rows", 1, window_), d = ReadInt(in, "the number of columns", 1, kMaxColumns);
    const std::vector<double> values = ReadDoubles(in, "the window", n * d);
    const std::string state = in.String();
    RETURN_IF_ERROR(in.status());
    rows_ = Matrix(n, d);
    std::copy(values.begin(), values.end(), rows_.data());
    ASSIGN_OR_RETURN(lof_, Make());
    ByteReader inner(state);
    if (!lof_->Load(inner).ok() || !inner.Finish().ok() || lof_->features() != d) in.Fail("the factors' state is damaged");
    return in.status();
  }
  int64_t features() const override { return rows_.cols(); }

 private:
  absl::StatusOr<std::unique_ptr<Detector>> Make() const { return MakeMember("lof", {{"n_neighbors", std::to_string(k_)}}); }

  absl::Status Slide(MatrixView X, const Context& ctx) {
    const int64_t total = rows_.rows() + X.rows, kept = std::min(total, window_), dropped = total - kept;
    Matrix next(kept, X.cols);
    for (int64_t j = 0; j < X.cols; ++j) {
      for (int64_t i = 0; i < kept; ++i) {
        const int64_t at = i + dropped;
        next(i, j) = at < rows_.rows() ? rows_(at, j) : X(at - rows_.rows(), j);
      }
    }
    ASSIGN_OR_RETURN(std::unique_ptr<Detector> lof, Make());
    RETURN_IF_ERROR(lof->Fit(next, ctx));
    rows_ = std::move(next);
    lof_ = std::move(lof);
    return absl::OkStatus();
  }

  int64_t k_, window_;
  Matrix rows_;
  std::unique_ptr<Detector> lof_;
  std::vector<double> training_scores_;
};

constexpr ParamSpec kParams[] = {
    {.name = "n_neighbors", .type = ParamType::kInt, .default_value = "20", .min = 1, .max = 1000, .summary = "Number of neighbours of the factors."},
    {.name = "window_size",
     .type = ParamType::kInt,
     .default_value = "10000",
     .min = 10,
     .max = 1000000,
     .summary = "Latest rows that count; older ones are forgotten."},
};

}  // namespace

extern const Descriptor k_incremental_lof;
const Descriptor k_incremental_lof = {
    .name = "incremental_lof",
    .family = "proximity",
    .summary = "Local outlier factors over a window of the latest rows, for streams: finds rows in thinner surroundings than their "
               "neighbours', and forgets old behaviour. Needs comparable scales.",
    .paper = "D. Pokrajac, A. Lazarevic, L. J. Latecki, Incremental local outlier detection for data streams, CIDM, 2007",
    .params = kParams,
    .deterministic = true,
    .incremental = true,
    .own_training_scores = true,
    .wants_scaling = true,
    .fit_cost = "O(w log w d) for few features, O(w^2 d) for many, w the window",
    .score_cost = "O(log w d) for few features, O(w d) for many",
    .cost = [](const ParamSet& p, int64_t n, int64_t d) -> Cost {
      const int64_t w = std::min(n, p.Int("window_size"));
      Cost one = NeighborCost(w, d, p.Int("n_neighbors"), 2e-8 * static_cast<double>(p.Int("n_neighbors")));
      one.fit_seconds += static_cast<double>(n - w) * one.score_seconds_per_row;
      one.fit_bytes += 8 * static_cast<double>(n + 2 * w * d);
      one.model_bytes += 8 * static_cast<double>(w * d);
      return one;
    },
    .make = [](const ParamSet& params) -> std::unique_ptr<Detector> { return std::make_unique<IncrementalLof>(params); },
};

}  // namespace vedette::outlier
