// XGBOD (Zhao, Hryniewicki 2018): the scores of many unsupervised detectors stand beside the columns, and boosted trees
// learn from labels which of all these tell known anomalies from normal rows. The detectors see every row, labelled or
// not.
//
// score = the log-odds of being an anomaly like the known ones; PyOD's is the probability that they stand for, which
// has the same order but ties near 0 and 1. PyOD takes 41 detectors (KNN, LOF, HBOS, one-class SVM and isolation
// forests at many settings); the default here has 18, fewer settings of those and the mean distance of neighbours.
// Detectors that no tree looks at are dropped after the fit. Values and scores are compared as float32
// (outlier/kernels/float_map.h). Training rows enter with their training scores, for which neighbour methods leave the
// row itself out.
#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/status.h"
#include "boosting/algorithms.h"
#include "boosting/boosted_trees.h"
#include "boosting/booster.h"
#include "outlier/committee.h"
#include "outlier/cost.h"
#include "outlier/kernels/float_map.h"
#include "outlier/parallel.h"
#include "outlier/state.h"

namespace vedette::boosting {
namespace {

using outlier::Attribution;
using outlier::Label;
using outlier::ParamSet;
using outlier::ParamSpec;
using outlier::ParamType;

constexpr uint32_t kStateVersion = 1;
constexpr float kMostValue = 1e30f;  // the booster takes means of neighbouring values

class Xgbod final : public outlier::Detector {
 public:
  explicit Xgbod(const ParamSet& p)
      : members_(p.Text("members")),
        ignores_unlabelled_(p.Choice("unlabelled") == "ignored"),
        options_{.trees = p.Int("n_estimators"),
                 .depth = p.Int("max_depth"),
                 .learning_rate = p.Real("learning_rate"),
                 .min_child_weight = p.Real("min_child_weight"),
                 .reg_lambda = p.Real("reg_lambda"),
                 .subsample = p.Real("subsample"),
                 .positive_weight = p.Real("positive_weight")} {}

  absl::Status Fit(MatrixView, const Context&) override {
    return absl::FailedPreconditionError(
        "xgbod learns from labels: it needs a column that says which rows are known anomalies");
  }
  absl::Status FitLabelled(MatrixView X, std::span<const Label> labels, const Context& ctx) override;
  std::span<const double> training_scores() const override { return training_scores_; }
  absl::Status Score(MatrixView X, std::span<double> scores, const Context& ctx) const override;
  absl::StatusOr<Attribution> Explain(MatrixView X, const Context& ctx) const override;
  void Save(ByteWriter& out) const override {
    out.U32(kStateVersion);
    committee_.Save(out);
    map_.Save(out);
    trees_.Save(out);
  }
  absl::Status Load(ByteReader& in) override {
    outlier::ReadVersion(in, kStateVersion);
    if (in.ok()) committee_.Load(in);
    if (in.ok()) map_ = outlier::FloatMap::Load(in);
    if (in.ok() && map_.features() != Width()) in.Fail("columns and members contradict each other");
    if (in.ok()) trees_.Load(in, Width());
    training_scores_.clear();
    return in.status();
  }
  int64_t features() const override { return committee_.features(); }

 private:
  /// What the trees see: the columns, then a score of each member.
  int64_t Width() const { return features() + static_cast<int64_t>(committee_.size()); }
  void ReadRow(MatrixView X, const Matrix& scores, int64_t i, float* out) const;
  void DropUnusedMembers(MatrixView X, Matrix* scores);
  absl::Status ScoreWith(MatrixView X, const Matrix& members, std::span<double> scores, const Context& ctx) const;

  std::string members_;
  bool ignores_unlabelled_;
  BoosterOptions options_;
  outlier::Committee committee_;
  outlier::FloatMap map_;
  BoostedTrees trees_;
  std::vector<double> training_scores_;
};

/// 1 for known anomalies, 0 for the rest, of the rows that are learnt from.
absl::StatusOr<std::vector<float>> Answers(std::span<const Label> labels, bool ignores_unlabelled,
                                           std::vector<int64_t>* rows) {
  std::vector<float> out;
  int64_t anomalies = 0;
  for (size_t i = 0; i < labels.size(); ++i) {
    if (ignores_unlabelled && labels[i] == Label::kUnknown) continue;
    rows->push_back(static_cast<int64_t>(i));
    out.push_back(labels[i] == Label::kAnomaly ? 1.0f : 0.0f);
    anomalies += labels[i] == Label::kAnomaly;
  }
  if (anomalies == 0) return absl::InvalidArgumentError("no row is labelled as an anomaly: xgbod needs at least one");
  if (ignores_unlabelled && anomalies == static_cast<int64_t>(out.size())) {
    return absl::InvalidArgumentError(
        "no row is labelled as normal: with unlabelled=normal the others count as normal");
  }
  return out;
}

/// X and the members' scores side by side.
Matrix SideBySide(MatrixView X, const Matrix& scores) {
  Matrix out(X.rows, X.cols + scores.cols());
  for (int64_t j = 0; j < X.cols; ++j) std::copy(X.col(j).begin(), X.col(j).end(), out.col(j).begin());
  for (int64_t j = 0; j < scores.cols(); ++j)
    std::copy(scores.col(j).begin(), scores.col(j).end(), out.col(X.cols + j).begin());
  return out;
}

void Xgbod::ReadRow(MatrixView X, const Matrix& scores, int64_t i, float* out) const {
  const auto bounded = [&](double value, int64_t f) { return std::clamp(map_.Map(value, f), -kMostValue, kMostValue); };
  for (int64_t j = 0; j < X.cols; ++j) out[j] = bounded(X(i, j), j);
  for (int64_t m = 0; m < scores.cols(); ++m) out[X.cols + m] = bounded(scores(i, m), X.cols + m);
}

absl::Status Xgbod::FitLabelled(MatrixView X, std::span<const Label> labels, const Context& ctx) {
  if (static_cast<int64_t>(labels.size()) != X.rows)
    return InvalidArgument("{} labels for {} rows", labels.size(), X.rows);
  std::vector<int64_t> rows;
  ASSIGN_OR_RETURN(std::vector<float> answers, Answers(labels, ignores_unlabelled_, &rows));
  ASSIGN_OR_RETURN(std::vector<outlier::MemberSpec> specs, outlier::ParseMembers(members_, "xgbod"));
  RETURN_IF_ERROR(committee_.Fit(std::move(specs), X, ctx));
  Matrix scores(X.rows, static_cast<int64_t>(committee_.size()));
  for (size_t m = 0; m < committee_.size(); ++m) {
    std::ranges::copy(committee_.training_scores(m), scores.col(static_cast<int64_t>(m)).begin());
  }
  map_ = outlier::FloatMap::Fit(SideBySide(X, scores));
  const auto width = static_cast<size_t>(Width());
  std::vector<float> values(rows.size() * width);
  for (size_t k = 0; k < rows.size(); ++k) ReadRow(X, scores, rows[k], values.data() + k * width);
  ASSIGN_OR_RETURN(trees_, TrainTrees(std::move(values), Width(), std::move(answers), options_, ctx));
  DropUnusedMembers(X, &scores);
  training_scores_.resize(static_cast<size_t>(X.rows));
  return ScoreWith(X, scores, training_scores_, ctx);
}

/// Scoring pays only for the members that decide something.
void Xgbod::DropUnusedMembers(MatrixView X, Matrix* scores) {
  std::vector<uint8_t> used(static_cast<size_t>(Width()));
  trees_.MarkUsed(used);
  const bool none = std::count(used.begin() + X.cols, used.end(), 1) == 0;  // a committee has at least one member
  std::vector<size_t> kept;
  std::vector<int32_t> names(used.size());
  std::iota(names.begin(), names.end(), 0);
  for (size_t m = 0; m < committee_.size(); ++m) {
    const size_t f = static_cast<size_t>(X.cols) + m;
    if (used[f] == 0 && !(m == 0 && none)) continue;
    names[f] = static_cast<int32_t>(static_cast<size_t>(X.cols) + kept.size());
    kept.push_back(m);
  }
  Matrix left(X.rows, static_cast<int64_t>(kept.size()));
  for (size_t k = 0; k < kept.size(); ++k) {
    std::ranges::copy(scores->col(static_cast<int64_t>(kept[k])), left.col(static_cast<int64_t>(k)).begin());
  }
  committee_.Keep(kept);
  trees_.Rename(names);
  *scores = std::move(left);
  map_ = outlier::FloatMap::Fit(SideBySide(X, *scores));  // column by column: those that stay keep their map
}

absl::Status Xgbod::ScoreWith(MatrixView X, const Matrix& members, std::span<double> scores, const Context& ctx) const {
  return outlier::ParallelBlocks(ctx, X.rows, 256, [&](int64_t begin, int64_t end) {
    std::vector<float> row(static_cast<size_t>(Width()));
    for (int64_t i = begin; i < end; ++i) {
      ReadRow(X, members, i, row.data());
      scores[static_cast<size_t>(i)] = trees_.Output(row.data());
    }
  });
}

absl::Status Xgbod::Score(MatrixView X, std::span<double> scores, const Context& ctx) const {
  ASSIGN_OR_RETURN(const Matrix members, committee_.Score(X, ctx));
  return ScoreWith(X, members, scores, ctx);
}

/// Adds `part` to the columns in proportion to what the member blames them for; evenly when it blames none.
void Spread(double part, const Attribution* member, int64_t i, Matrix* out) {
  const int64_t d = out->cols();
  double most = 0;
  if (member != nullptr) {
    for (int64_t j = 0; j < d; ++j) most = std::max(most, member->contributions(i, j));
  }
  double sum = 0;
  for (int64_t j = 0; j < d && most > 0; ++j) sum += std::max(0.0, member->contributions(i, j)) / most;
  for (int64_t j = 0; j < d; ++j) {
    const double share =
        most > 0 ? std::max(0.0, member->contributions(i, j)) / most / sum : 1.0 / static_cast<double>(d);
    (*out)(i, j) += part * share;
  }
}

/// What the trees say of each column and of each member's score; the latter is passed on to the columns that the member
/// itself blames. Adds up to the score less Base().
absl::StatusOr<Attribution> Xgbod::Explain(MatrixView X, const Context& ctx) const {
  ASSIGN_OR_RETURN(const Matrix scores, committee_.Score(X, ctx));
  Attribution out{Matrix(X.rows, X.cols), Matrix(X.rows, X.cols), "log-odds of an anomaly like the known ones"};
  Matrix parts(static_cast<int64_t>(committee_.size()), X.rows);
  RETURN_IF_ERROR(outlier::ParallelBlocks(ctx, X.rows, 64, [&](int64_t begin, int64_t end) {
    std::vector<float> row(static_cast<size_t>(Width()));
    for (int64_t i = begin; i < end; ++i) {
      ReadRow(X, scores, i, row.data());
      std::vector<double> own(row.size(), 0);
      trees_.AddParts(row.data(), own);
      for (int64_t j = 0; j < X.cols; ++j) {
        out.contributions(i, j) = own[static_cast<size_t>(j)];
        out.expected(i, j) = map_.center(j);
      }
      std::copy(own.begin() + X.cols, own.end(), parts.col(i).begin());
    }
  }));
  for (size_t m = 0; m < committee_.size(); ++m) {
    const absl::StatusOr<Attribution> member = committee_.Explain(m, X, ctx);
    if (!member.ok() && !absl::IsUnimplemented(member.status())) return member.status();
    for (int64_t i = 0; i < X.rows; ++i) {
      Spread(parts(static_cast<int64_t>(m), i), member.ok() ? &*member : nullptr, i, &out.contributions);
    }
  }
  return out;
}

constexpr ParamSpec kParams[] = {
    {.name = "members",
     .type = ParamType::kText,
     .default_value =
         "knn:n_neighbors=1:scale=standard+knn:n_neighbors=5:scale=standard+knn:n_neighbors=20:scale=standard+"
         "knn:n_neighbors=50:scale=standard+knn_mean:n_neighbors=3:scale=standard+knn_mean:n_neighbors=10:scale="
         "standard+"
         "knn_mean:n_neighbors=30:scale=standard+lof:n_neighbors=3:scale=standard+lof:n_neighbors=10:scale=standard+"
         "lof:n_neighbors=20:scale=standard+lof:n_neighbors=50:scale=standard+hbos:n_bins=5+hbos:n_bins=10+hbos:n_bins="
         "30+"
         "ocsvm:nu=0.1:scale=standard+ocsvm:nu=0.5:scale=standard+iforest:n_estimators=30+iforest:n_estimators=100",
     .min = 1,
     .max = 2000,
     .choices = "NAME[:parameter=value...]+NAME...",
     .summary = "The unsupervised detectors whose scores become features. scale=standard standardises the columns for "
                "that member alone."},
    {.name = "unlabelled",
     .type = ParamType::kChoice,
     .default_value = "normal",
     .choices = "normal|ignored",
     .summary = "What rows of unknown label are to the trees; the detectors learn from all rows."},
    {.name = "n_estimators",
     .type = ParamType::kInt,
     .default_value = "100",
     .min = 1,
     .max = BoostedTrees::kMostTrees,
     .summary = "Number of trees that are added up."},
    {.name = "max_depth",
     .type = ParamType::kInt,
     .default_value = "3",
     .min = 1,
     .max = BoostedTrees::kDeepest,
     .summary = "Splits on the longest path of a tree."},
    {.name = "learning_rate",
     .type = ParamType::kReal,
     .default_value = "0.1",
     .min = 0.001,
     .max = 1,
     .summary = "Share of each tree that is added; smaller ones need more trees."},
    {.name = "min_child_weight",
     .type = ParamType::kReal,
     .default_value = "1",
     .min = 0,
     .max = 1e6,
     .summary = "Least sum of second derivatives in a leaf, a quarter for each undecided row: larger ones learn less "
                "by heart."},
    {.name = "reg_lambda",
     .type = ParamType::kReal,
     .default_value = "1",
     .min = 0,
     .max = 1e6,
     .summary = "Pull of the leaves towards 0."},
    {.name = "subsample",
     .type = ParamType::kReal,
     .default_value = "1",
     .min = 0.01,
     .max = 1,
     .summary = "Share of the rows that each tree sees."},
    {.name = "positive_weight",
     .type = ParamType::kReal,
     .default_value = "1",
     .min = 0.001,
     .max = 1e6,
     .summary = "Weight of a known anomaly against 1 for the other rows."},
};

outlier::Cost CostOf(const ParamSet& p, int64_t n, int64_t d) {
  const auto specs = outlier::ParseMembers(p.Text("members"), "xgbod");
  outlier::Cost cost = outlier::MembersCost(specs, n, d);
  const double width = static_cast<double>(d) + (specs.ok() ? static_cast<double>(specs->size()) : 1);
  const double rows = static_cast<double>(n), trees = static_cast<double>(p.Int("n_estimators")),
               depth = static_cast<double>(p.Int("max_depth"));
  const double model = 16 * trees * std::min(rows, std::exp2(depth + 1));
  cost.score_seconds_per_row += 2e-9 * trees * depth + 2e-9 * width;
  cost.fit_bytes += 24 * rows * width + model;
  cost.model_bytes += model;
  return cost.PlusFit(trees * (1e-5 + 3e-9 * rows * width * depth) + rows * cost.score_seconds_per_row);
}

}  // namespace

extern const outlier::Descriptor k_xgbod;
const outlier::Descriptor k_xgbod = {
    .name = "xgbod",
    .family = "supervised",
    .summary =
        "Rows like the known anomalies, told apart by the columns and by the scores of many unsupervised detectors; "
        "best where "
        "labels are at hand, blind to kinds of anomalies that nobody labelled.",
    .paper =
        "Zhao, Hryniewicki, \"XGBOD: improving supervised outlier detection with unsupervised representation "
        "learning\", IJCNN 2018",
    .params = kParams,
    .deterministic = false,
    .needs_labels = true,
    .own_training_scores = true,
    .fit_cost = "the fits of its members, and O(trees n (d + members))",
    .score_cost = "the scores of its members",
    .cost = CostOf,
    .make = [](const ParamSet& params) -> std::unique_ptr<outlier::Detector> {
      return std::make_unique<Xgbod>(params);
    },
};

}  // namespace vedette::boosting
