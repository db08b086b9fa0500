// LSCP (Zhao, Nasrullah, Hryniewicki, Li 2019): detectors of one kind with different parameters, of which each row takes those
// that do best around it. Around it: the training rows that are among its neighbours in most of 20 random sets of columns.
// Best: whose scores there correlate with the largest score of any detector; detectors are put into bins by correlation, and
// those of the fullest bin are averaged.
//
// Scores are z-scores among the training rows, as new rows are scored: a training row is scored like a new one (it is its own
// neighbour), as PyOD does. Here the sets of columns are drawn once, at the fit, so that a row's score does not depend on
// when it is asked for. A region of fewer than two rows, and detectors that are constant there, correlate by 0.
#include <algorithm>
#include <cmath>
#include <deque>
#include <map>
#include <numeric>

#include "base/rng.h"
#include "base/status.h"
#include "outlier/columns.h"
#include "outlier/committee.h"
#include "outlier/cost.h"
#include "outlier/kernels/neighbors.h"
#include "outlier/parallel.h"
#include "outlier/state.h"

namespace vedette::outlier {
namespace {

constexpr uint32_t kStateVersion = 1;
constexpr int64_t kRegions = 20;  ///< random sets of columns; a training row counts when it is a neighbour in more than half

struct Subspace {
  std::vector<int32_t> columns;
  int64_t weight = 0;  ///< how often it was drawn
  NeighborIndex index;
};

absl::StatusOr<Matrix> Pick(MatrixView X, std::span<const int32_t> columns, const Context& ctx) {
  Matrix out = Matrix::ForOverwrite(X.rows, static_cast<int64_t>(columns.size()));
  for (size_t c = 0; c < columns.size(); ++c) {
    RETURN_IF_ERROR(ctx.Check());
    const std::span<const double> from = X.col(columns[c]);
    std::copy(from.begin(), from.end(), out.col(static_cast<int64_t>(c)).begin());
  }
  return out;
}

class Lscp final : public Detector {
 public:
  explicit Lscp(const ParamSet& params)
      : members_(params.Text("members")),
        region_(params.Int("local_region_size")),
        most_features_(params.Real("local_max_features")),
        bins_(params.Int("n_bins")) {}

  absl::Status Fit(MatrixView X, const Context& ctx) override {
    ASSIGN_OR_RETURN(std::vector<MemberSpec> specs, ParseMembers(members_, "lscp"));
    RETURN_IF_ERROR(committee_.Fit(std::move(specs), X, ctx));
    DrawSubspaces(X.cols, ctx.seed);
    for (Subspace& s : subspaces_) {
      ASSIGN_OR_RETURN(const Matrix own, Pick(X, s.columns, ctx));
      RETURN_IF_ERROR(s.index.Build(own, Metric(), ctx));
    }
    z_.resize(static_cast<size_t>(X.rows) * committee_.size());
    largest_.resize(static_cast<size_t>(X.rows));
    for (size_t i = 0; i < largest_.size(); ++i) {
      for (size_t m = 0; m < committee_.size(); ++m) z_[i * committee_.size() + m] = committee_.Standardised(m, committee_.training_scores(m)[i]);
    }
    FindLargest();
    training_scores_.resize(largest_.size());
    return Score(X, training_scores_, ctx);
  }
  std::span<const double> training_scores() const override { return training_scores_; }

  absl::Status Score(MatrixView X, std::span<double> scores, const Context& ctx) const override {
    constexpr int64_t kBlock = 8192;  // bounds the memory
    for (int64_t at = 0; at < X.rows; at += kBlock) {
      const MatrixView block = X.Rows(at, std::min(kBlock, X.rows - at));
      ASSIGN_OR_RETURN(const Matrix raw, committee_.Score(block, ctx));
      RETURN_IF_ERROR(
          Select(block, raw, ctx, [&](int64_t i, std::span<const double> z, std::span<const double> chosen) {
            scores[static_cast<size_t>(at + i)] = MeanOf(z, chosen);
          }));
    }
    return ctx.Check();
  }

  /// Shares of the contributions of the members that were chosen for the row.
  absl::StatusOr<Attribution> Explain(MatrixView X, const Context& ctx) const override {
    Attribution out{Matrix(X.rows, X.cols), Matrix(X.rows, X.cols), "mean share of the chosen members' contributions"};
    out.scores.resize(static_cast<size_t>(X.rows));
    std::vector<double> weight(out.scores.size(), 0);
    RETURN_IF_ERROR(committee_.ExplainAll(X, ctx, [&](const Committee::Parts& parts) {
      const MatrixView some = X.Rows(parts.first, parts.raw.rows());
      return Select(some, parts.raw, ctx, [&](int64_t i, std::span<const double> z, std::span<const double> chosen) {
        const int64_t to = parts.first + i;
        out.scores[static_cast<size_t>(to)] = MeanOf(z, chosen);
        const double all = std::accumulate(chosen.begin(), chosen.end(), 0.0);
        for (size_t m = 0; m < chosen.size(); ++m) {
          if (parts.members[m] == nullptr) continue;
          Committee::AddShares(*parts.members[m], i, chosen[m] / all, to, weight, &out);
        }
      });
    }));
    for (int64_t j = 0; j < X.cols; ++j) {
      for (int64_t i = 0; i < X.rows; ++i) {
        if (weight[static_cast<size_t>(i)] == 0 || !std::isfinite(out.expected(i, j))) out.expected(i, j) = X(i, j);
      }
    }
    return out;
  }

  void Save(ByteWriter& out) const override {
    out.U32(kStateVersion);
    committee_.Save(out);
    out.I64(static_cast<int64_t>(largest_.size()));
    out.Doubles(z_);
    out.I64(static_cast<int64_t>(subspaces_.size()));
    for (const Subspace& s : subspaces_) {
      out.I32s(s.columns);
      out.I64(s.weight);
      s.index.Save(out);
    }
  }

  absl::Status Load(ByteReader& in) override {
    ReadVersion(in, kStateVersion);
    committee_.Load(in);
    training_scores_.clear();
    const int64_t n = ReadInt(in, "the number of rows", 1, int64_t{1} << 31);
    RETURN_IF_ERROR(in.status());
    z_ = ReadDoubles(in, "the members' training scores", n * static_cast<int64_t>(committee_.size()));
    const int64_t count = ReadInt(in, "the number of sets of columns", 1, kRegions);
    subspaces_.clear();
    for (int64_t s = 0; s < count && in.ok(); ++s) {
      Subspace& subspace = subspaces_.emplace_back();
      subspace.columns = in.I32s();
      subspace.weight = ReadInt(in, "the weight of a set of columns", 1, kRegions);
      for (const int32_t column : subspace.columns) {
        if (column < 0 || column >= committee_.features()) in.Fail("a set of columns has one that is not there");
      }
      RETURN_IF_ERROR(in.status());
      RETURN_IF_ERROR(subspace.index.Load(in, Metric()));
      if (subspace.index.rows() != n || subspace.index.features() != static_cast<int64_t>(subspace.columns.size())) {
        in.Fail("a set of columns has rows of another table");
      }
    }
    RETURN_IF_ERROR(in.status());
    for (const double z : z_) {
      if (std::fabs(z) > 1e100) in.Fail("a training score is out of range");
    }
    largest_.resize(static_cast<size_t>(n));
    if (in.ok()) FindLargest();
    return in.status();
  }
  int64_t features() const override { return committee_.features(); }

 private:
  /// Columns without replacement, from half of them to local_max_features of them; equal sets are searched once.
  void DrawSubspaces(int64_t d, uint64_t seed) {
    const int64_t least = std::max<int64_t>(1, d / 2);
    const int64_t most = std::max(least, static_cast<int64_t>(most_features_ * static_cast<double>(d)));
    std::map<std::vector<int32_t>, int64_t> drawn;
    for (int64_t r = 0; r < kRegions; ++r) {
      Rng rng(seed, static_cast<uint64_t>(r));
      const int64_t count = least + static_cast<int64_t>(rng.Below(static_cast<uint64_t>(most - least + 1)));
      std::vector<int32_t> columns;
      for (const int64_t j : rng.Sample(d, count)) columns.push_back(static_cast<int32_t>(j));
      std::sort(columns.begin(), columns.end());
      ++drawn[columns];
    }
    subspaces_.clear();
    for (const auto& [columns, weight] : drawn) {
      Subspace& s = subspaces_.emplace_back();
      s.columns = columns;
      s.weight = weight;
    }
  }

  void FindLargest() {
    const size_t members = committee_.size();
    for (size_t i = 0; i < largest_.size(); ++i) {
      largest_[i] = *std::max_element(z_.begin() + static_cast<int64_t>(i * members), z_.begin() + static_cast<int64_t>((i + 1) * members));
    }
  }

  static double MeanOf(std::span<const double> z, std::span<const double> chosen) {
    double sum = 0, count = 0;
    for (size_t m = 0; m < z.size(); ++m) sum += chosen[m] * z[m], count += chosen[m];
    return sum / count;
  }

  /// visit(row, z of its members, how often each was chosen), for every row of X; `raw` are its members' scores.
  template <typename Visit>
  absl::Status Select(MatrixView X, const Matrix& raw, const Context& ctx, const Visit& visit) const {
    ASSIGN_OR_RETURN(const std::vector<std::vector<int32_t>> neighbors, Neighbors(X, ctx));
    return ParallelBlocks(ctx, X.rows, 256, [&](int64_t begin, int64_t end) {
      std::vector<double> z(committee_.size());
      for (int64_t i = begin; i < end; ++i) {
        for (size_t m = 0; m < z.size(); ++m) z[m] = committee_.Standardised(m, raw(i, static_cast<int64_t>(m)));
        visit(i, z, Chosen(Region(neighbors, i)));
      }
    });
  }

  /// For each set of columns, the neighbours of each row: region() of them, -1 where there are fewer.
  absl::StatusOr<std::vector<std::vector<int32_t>>> Neighbors(MatrixView X, const Context& ctx) const {
    std::vector<std::vector<int32_t>> out;
    for (const Subspace& s : subspaces_) {
      const int64_t k = std::min(region_, s.index.rows());
      std::vector<int32_t>& rows = out.emplace_back(static_cast<size_t>(X.rows * k), -1);
      ASSIGN_OR_RETURN(const Matrix own, Pick(X, s.columns, ctx));
      RETURN_IF_ERROR(s.index.Of(own, k, ctx, [&](int64_t i, std::span<const double>, std::span<const int32_t> found) {
        std::copy(found.begin(), found.begin() + std::min<int64_t>(k, static_cast<int64_t>(found.size())), rows.begin() + i * k);
      }));
    }
    return out;
  }

  /// Training rows that are neighbours of row i in more than half of the sets.
  std::vector<int32_t> Region(const std::vector<std::vector<int32_t>>& neighbors, int64_t i) const {
    std::vector<std::pair<int32_t, int64_t>> votes;
    for (size_t s = 0; s < subspaces_.size(); ++s) {
      const int64_t k = std::min(region_, subspaces_[s].index.rows());
      for (int64_t c = 0; c < k; ++c) {
        const int32_t row = neighbors[s][static_cast<size_t>(i * k + c)];
        if (row >= 0) votes.emplace_back(row, subspaces_[s].weight);
      }
    }
    std::sort(votes.begin(), votes.end());
    std::vector<int32_t> region;
    for (size_t begin = 0, end; begin < votes.size(); begin = end) {
      int64_t count = 0;
      for (end = begin; end < votes.size() && votes[end].first == votes[begin].first; ++end) count += votes[end].second;
      if (count > kRegions / 2) region.push_back(votes[begin].first);
    }
    return region;
  }

  /// How often each member is chosen: one on the edge of two equally full bins counts for both.
  std::vector<double> Chosen(const std::vector<int32_t>& region) const {
    const size_t members = committee_.size();
    std::vector<double> correlation(members, 0), chosen(members, 0), truth, own(region.size());
    for (const int32_t row : region) truth.push_back(largest_[static_cast<size_t>(row)]);
    for (size_t m = 0; m < members; ++m) {
      for (size_t r = 0; r < region.size(); ++r) own[r] = z_[static_cast<size_t>(region[r]) * members + m];
      correlation[m] = Correlation(truth, own);
    }
    const auto [low, high] = std::minmax_element(correlation.begin(), correlation.end());
    if (!(*high > *low)) return std::vector<double>(members, 1);
    const auto bins = static_cast<size_t>(std::min<int64_t>(bins_, static_cast<int64_t>(members)));
    std::vector<double> edge(bins + 1);
    for (size_t b = 0; b <= bins; ++b) edge[b] = b == bins ? *high : *low + (*high - *low) * static_cast<double>(b) / static_cast<double>(bins);
    std::vector<int> count(bins, 0);
    for (const double c : correlation) {
      size_t b = bins - 1;
      while (b > 0 && c < edge[b]) --b;
      ++count[b];
    }
    const int most = *std::max_element(count.begin(), count.end());
    for (size_t b = 0; b < bins; ++b) {
      if (count[b] != most) continue;
      for (size_t m = 0; m < members; ++m) chosen[m] += correlation[m] >= edge[b] && correlation[m] <= edge[b + 1];
    }
    return chosen;
  }

  static double Correlation(std::span<const double> a, std::span<const double> b) {
    if (a.size() < 2) return 0;
    const double ua = UnitFor(a), ub = UnitFor(b);
    const Moments ma = MomentsOf(a, ua), mb = MomentsOf(b, ub);
    double sum = 0;
    for (size_t i = 0; i < a.size(); ++i) sum += (a[i] * ua - ma.mean) * (b[i] * ub - mb.mean) / static_cast<double>(a.size());
    const double scale = std::sqrt(ma.variance) * std::sqrt(mb.variance);
    return scale > 1e-12 * std::fabs(ma.mean * mb.mean) && scale > 1e-300 ? std::clamp(sum / scale, -1.0, 1.0) : 0;
  }

  std::string members_;
  int64_t region_;
  double most_features_;
  int64_t bins_;
  Committee committee_;
  std::deque<Subspace> subspaces_;  ///< an index must stay where it was built
  std::vector<double> z_;        ///< rows x members: of the training scores
  std::vector<double> largest_;  ///< per row: the largest of them, what local competence is measured against
  std::vector<double> training_scores_;
};

constexpr ParamSpec kParams[] = {
    {.name = "members",
     .type = ParamType::kText,
     .default_value = "lof:n_neighbors=10+lof:n_neighbors=20+lof:n_neighbors=30+lof:n_neighbors=40+lof:n_neighbors=50",
     .min = 1,
     .max = 2000,
     .choices = "NAME[:parameter=value...]+NAME...",
     .summary = "The detectors to choose from."},
    {.name = "local_region_size",
     .type = ParamType::kInt,
     .default_value = "30",
     .min = 2,
     .max = 1000,
     .summary = "Neighbours that are looked at in each set of columns; the paper advises 30 to 200."},
    {.name = "local_max_features",
     .type = ParamType::kReal,
     .default_value = "1.0",
     .min = 0.5,
     .max = 1,
     .summary = "Largest share of the columns in a random set of them; the least is a half."},
    {.name = "n_bins",
     .type = ParamType::kInt,
     .default_value = "10",
     .min = 1,
     .max = 50,
     .summary = "Bins of correlation, at most as many as members: few choose more members."},
};

}  // namespace

extern const Descriptor k_lscp;
const Descriptor k_lscp = {
    .name = "lscp",
    .family = "ensemble",
    .summary = "For each row, the average of those detectors that agree best with the strongest one around it: local outlier factors "
               "without one choice of k. Dear: 20 searches of neighbours beside the members' own; needs comparable scales.",
    .paper = "Y. Zhao, Z. Nasrullah, M. Hryniewicki, Z. Li, LSCP: Locally selective combination in parallel outlier ensembles, SDM, 2019",
    .params = kParams,
    .deterministic = false,
    .wants_scaling = true,
    .fit_cost = "the fits and scores of its members, and 20 searches: O(n log n d) for few features, O(n^2 d) for many",
    .score_cost = "the scores of its members, and 20 searches",
    .cost = [](const ParamSet& p, int64_t n, int64_t d) -> Cost {
      const Cost members = MembersCost(ParseMembers(p.Text("members"), "lscp"), n, d);
      const Cost search = NeighborCost(n, d, p.Int("local_region_size"), 0);
      const double rows = static_cast<double>(n), sets = kRegions;
      return {.fit_seconds = 2 * (members.fit_seconds + sets * search.fit_seconds),  // the votes take as long as the searches
              .score_seconds_per_row = members.score_seconds_per_row + sets * search.score_seconds_per_row,
              .fit_bytes = members.fit_bytes + sets * search.model_bytes + 8 * 10 * rows,
              .model_bytes = members.model_bytes + sets * search.model_bytes + 8 * 10 * rows};
    },
    .make = [](const ParamSet& params) -> std::unique_ptr<Detector> { return std::make_unique<Lscp>(params); },
};

}  // namespace vedette::outlier
