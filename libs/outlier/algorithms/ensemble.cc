// Several detectors, one score. Members are algorithms of this library, given as NAME[:parameter=value...] joined by '+', or
// by '/' where another kind of detector begins; `scale=standard` among a member's parameters standardises the columns for it alone. Scores of members are compared as
// z-scores or as ranks among the training rows' scores, so that a row's score never depends on its batch.
#include <algorithm>
#include <cmath>

#include "base/rng.h"
#include "base/status.h"
#include "outlier/combination.h"
#include "outlier/committee.h"
#include "outlier/cost.h"
#include "outlier/parallel.h"
#include "outlier/registry.h"
#include "outlier/sorting.h"
#include "outlier/state.h"

namespace vedette::outlier {
namespace {

constexpr uint32_t kStateVersion = 1;

std::vector<std::string> Split(const std::string& text, char at) {
  std::vector<std::string> out(1);
  for (const char c : text) {
    if (c == at) out.emplace_back();
    else out.back() += c;
  }
  return out;
}

/// The same members without their kinds.
std::string Joined(std::string members) {
  std::replace(members.begin(), members.end(), '/', '+');
  return members;
}

/// The kind of each member, from 0; all 0 without '/'.
std::vector<int32_t> KindsOf(const std::string& members) {
  std::vector<int32_t> kinds = {0};
  for (const char c : members) {
    if (c == '+' || c == '/') kinds.push_back(kinds.back() + (c == '/'));
  }
  return kinds;
}

class Ensemble final : public Detector {
 public:
  explicit Ensemble(const ParamSet& params)
      : members_(params.Text("members")),
        combine_(params.Choice("combine")),
        weights_text_(params.Text("weights")),
        power_(params.Real("power")),
        buckets_(params.Int("n_buckets")),
        vote_share_(params.Real("vote_share")) {}

  absl::Status Fit(MatrixView X, const Context& ctx) override {
    ASSIGN_OR_RETURN(std::vector<MemberSpec> specs, ParseMembers(Joined(members_), "ensemble"));
    RETURN_IF_ERROR(ReadWeights(specs.size()));
    Deal(specs.size(), ctx.seed);
    RETURN_IF_ERROR(committee_.Fit(std::move(specs), X, ctx));
    sorted_.clear();
    const auto n = static_cast<size_t>(X.rows);
    ColumnSorter sorter;
    std::vector<uint32_t> order(n);
    for (size_t m = 0; m < committee_.size(); ++m) {
      sorted_.emplace_back(n);
      RETURN_IF_ERROR(sorter.Sort(committee_.training_scores(m), order, sorted_.back(), ctx));
    }
    SetThresholds();
    training_scores_.resize(n);
    return Combine([&](int64_t i, size_t m) { return committee_.training_scores(m)[static_cast<size_t>(i)]; },
                   training_scores_, ctx);
  }
  std::span<const double> training_scores() const override { return training_scores_; }

  absl::Status Score(MatrixView X, std::span<double> scores, const Context& ctx) const override {
    ASSIGN_OR_RETURN(const Matrix raw, committee_.Score(X, ctx));
    return Combine([&](int64_t i, size_t m) { return raw(i, static_cast<int64_t>(m)); }, scores, ctx);
  }

  /// Shares of the members' own contributions, weighed by how high each ranks the row.
  absl::StatusOr<Attribution> Explain(MatrixView X, const Context& ctx) const override {
    Attribution out{Matrix(X.rows, X.cols), Matrix(X.rows, X.cols), "shares of the members' contributions"};
    out.scores.resize(static_cast<size_t>(X.rows));
    std::vector<double> weight(out.scores.size(), 0);
    RETURN_IF_ERROR(committee_.ExplainAll(X, ctx, [&](const Committee::Parts& parts) {
      const Matrix& raw = parts.raw;
      for (size_t m = 0; m < committee_.size(); ++m) {
        for (int64_t i = 0; i < raw.rows() && parts.members[m] != nullptr; ++i) {
          const double rank = std::max(1e-6, RankAmong(raw(i, static_cast<int64_t>(m)), sorted_[m]));
          Committee::AddShares(*parts.members[m], i, rank, parts.first + i, weight, &out);
        }
      }
      const auto scores = std::span(out.scores).subspan(static_cast<size_t>(parts.first), static_cast<size_t>(raw.rows()));
      return Combine([&](int64_t i, size_t m) { return raw(i, static_cast<int64_t>(m)); }, scores, ctx);
    }));
    for (int64_t j = 0; j < X.cols; ++j) {
      for (int64_t i = 0; i < X.rows; ++i) {
        if (!(weight[static_cast<size_t>(i)] > 0 && std::isfinite(out.expected(i, j)))) out.expected(i, j) = X(i, j);
      }
    }
    return out;
  }

  void Save(ByteWriter& out) const override {
    out.U32(kStateVersion);
    committee_.Save(out);
    out.I32s(bucket_);
    for (const auto& v : sorted_) out.Doubles(v);
  }
  absl::Status Load(ByteReader& in) override {
    ReadVersion(in, kStateVersion);
    committee_.Load(in);
    training_scores_.clear();
    bucket_ = in.I32s();
    RETURN_IF_ERROR(in.status());
    if (!ReadWeights(committee_.size()).ok()) in.Fail("there are not as many weights as members");
    used_buckets_ = Buckets(committee_.size());
    std::vector<int> filled(static_cast<size_t>(used_buckets_), 0);
    if (bucket_.size() != committee_.size()) in.Fail("the groups of members are incomplete");
    for (const int32_t b : bucket_) {
      if (b < 0 || b >= used_buckets_) in.Fail("a member's group is out of range");
      else filled[static_cast<size_t>(b)] = 1;
    }
    if (std::count(filled.begin(), filled.end(), 0) > 0) in.Fail("a group has no member");
    sorted_.clear();
    for (size_t m = 0; m < committee_.size() && in.ok(); ++m) {
      sorted_.push_back(in.Doubles());
      if (in.ok() && (sorted_.back().empty() || !std::is_sorted(sorted_.back().begin(), sorted_.back().end()) ||
                      !std::isfinite(sorted_.back().front()) || !std::isfinite(sorted_.back().back()))) {
        in.Fail("a member's training scores are out of order");
      }
    }
    if (in.ok()) SetThresholds();
    return in.status();
  }
  int64_t features() const override { return committee_.features(); }

 private:
  absl::Status ReadWeights(size_t members) {
    weights_.assign(members, 1);
    if (weights_text_ == "equal") return absl::OkStatus();
    const std::vector<std::string> texts = Split(weights_text_, ',');
    double sum = 0;
    for (size_t m = 0; m < texts.size() && texts.size() == members; ++m) {
      char* end = nullptr;
      weights_[m] = std::strtod(texts[m].c_str(), &end);
      if (texts[m].empty() || *end != '\0' || !(weights_[m] >= 0 && weights_[m] <= 1e6)) return InvalidArgument("ensemble: weight '{}' is not a number from 0", texts[m]);
      sum += weights_[m];
    }
    if (texts.size() != members || !(sum > 0)) {
      return InvalidArgument("ensemble: weights must be 'equal' or {} numbers joined by commas, not all 0", members);
    }
    return absl::OkStatus();
  }
  bool has_kinds() const { return members_.find('/') != std::string::npos; }
  int64_t Buckets(size_t members) const {
    return has_kinds() ? KindsOf(members_).back() + 1 : std::min<int64_t>(buckets_, static_cast<int64_t>(members));
  }
  /// Members into groups: their kinds, or at random, as evenly as can be.
  void Deal(size_t members, uint64_t seed) {
    used_buckets_ = Buckets(members);
    bucket_ = KindsOf(members_);
    if (has_kinds()) return;
    for (size_t m = 0; m < members; ++m) bucket_[m] = static_cast<int32_t>(static_cast<int64_t>(m) % used_buckets_);
    Rng(seed, 77).Shuffle(bucket_);
  }
  void SetThresholds() {
    thresholds_.clear();
    for (const auto& s : sorted_) {
      thresholds_.push_back(s[static_cast<size_t>((1 - vote_share_) * static_cast<double>(s.size() - 1))]);
    }
  }

  /// raw(row, member) of all members become a score, for every row.
  template <typename F>
  absl::Status Combine(const F& raw, std::span<double> scores, const Context& ctx) const {
    return ParallelBlocks(ctx, std::ssize(scores), 1024, [&](int64_t begin, int64_t end) {
      std::vector<double> row(committee_.size());
      for (int64_t i = begin; i < end; ++i) {
        for (size_t m = 0; m < row.size(); ++m) row[m] = raw(i, m);
        scores[static_cast<size_t>(i)] = Combined(row);
      }
    });
  }
  double Combined(std::span<const double> raw) const {
    if (combine_ == "majority_vote") return MajorityVote(raw, thresholds_);
    std::vector<double> v(raw.size());
    const bool ranks = combine_ == "rank" || combine_ == "upper_rank";
    for (size_t m = 0; m < v.size(); ++m) v[m] = ranks ? RankAmong(raw[m], sorted_[m]) : committee_.Standardised(m, raw[m]);
    if (ranks) {
      // Beyond the highest training score ranks no longer tell rows apart: a little for how far.
      for (size_t m = 0; m < v.size(); ++m) {
        const double beyond = committee_.Standardised(m, raw[m]) - committee_.Standardised(m, sorted_[m].back());
        if (beyond > 0) v[m] += 1e-3 * beyond / (1 + beyond);
      }
      // A kind has one voice, however many of its members there are.
      if (has_kinds()) v = GroupMeans(v, bucket_, used_buckets_);
      return combine_ == "rank" ? Average(v) : UpperRank(v, power_);
    }
    if (combine_ == "maximum") return Maximum(v);
    if (combine_ == "median") return Median(v);
    if (combine_ == "weighted") return Weighted(v, weights_);
    if (combine_ == "aom") return AverageOfMaximum(v, bucket_, used_buckets_);
    if (combine_ == "moa") return MaximumOfAverage(v, bucket_, used_buckets_);
    return Average(v);
  }

  std::string members_, combine_, weights_text_;
  double power_;
  int64_t buckets_, used_buckets_ = 1;
  double vote_share_;
  std::vector<double> weights_, thresholds_;
  std::vector<int32_t> bucket_;
  Committee committee_;
  std::vector<std::vector<double>> sorted_;
  std::vector<double> training_scores_;
};

constexpr ParamSpec kParams[] = {
    {.name = "members",
     .type = ParamType::kText,
     .default_value = "iforest+knn_mean:n_neighbors=50:scale=standard+inne+cblof",
     .min = 1,
     .max = 2000,
     .choices = "NAME[:parameter=value...]+NAME.../NAME...",
     .summary = "The detectors. scale=standard standardises the columns for that member alone. '/' instead of '+' begins another kind: "
                "of a kind's members the mean rank counts, and aom and moa take the kinds as groups."},
    {.name = "combine",
     .type = ParamType::kChoice,
     .default_value = "upper_rank",
     .choices = "average|maximum|aom|moa|median|majority_vote|rank|weighted|upper_rank",
     .summary = "How scores become one: of z-scores the average, maximum, average of maximum, maximum of average, median or weighted "
                "mean; of ranks the mean, or the mean of rank^power; or the share of members that vote for an anomaly."},
    {.name = "weights",
     .type = ParamType::kText,
     .default_value = "equal",
     .min = 1,
     .max = 1000,
     .choices = "equal or W,W...",
     .summary = "For combine=weighted: one number per member."},
    {.name = "power",
     .type = ParamType::kReal,
     .default_value = "4",
     .min = 1,
     .max = 64,
     .summary = "For upper_rank: how much being among the highest of a few counts before being high with all."},
    {.name = "n_buckets", .type = ParamType::kInt, .default_value = "2", .min = 1, .max = 50, .summary = "Groups of members, for aom and moa; not used when the members are of kinds."},
    {.name = "vote_share",
     .type = ParamType::kReal,
     .default_value = "0.1",
     .min = 0.001,
     .max = 0.5,
     .summary = "For majority_vote: a member votes for the share of the training rows that it ranks highest."},
};

}  // namespace

extern const Descriptor k_ensemble;
const Descriptor k_ensemble = {
    .name = "ensemble",
    .family = "ensemble",
    .summary = "Several detectors that are wrong about different rows, combined: on most data better than any one of them. Costs what "
               "its members cost.",
    .paper = "C. C. Aggarwal, S. Sathe, Theoretical foundations and algorithms for outlier ensembles, SIGKDD Explorations, 2015",
    .params = kParams,
    .deterministic = false,
    .own_training_scores = true,
    .fit_cost = "the fits of its members",
    .score_cost = "the scores of its members",
    .cost = [](const ParamSet& p, int64_t n, int64_t d) -> Cost {
      return MembersCost(ParseMembers(Joined(p.Text("members")), "ensemble"), n, d);
    },
    .make = [](const ParamSet& params) -> std::unique_ptr<Detector> { return std::make_unique<Ensemble>(params); },
};

}  // namespace vedette::outlier
