// Explanations against shap's recorded processor times of one core (shared oracle/explain_timing.csv).
#include <fmt/format.h>

#include "base/status.h"
#include "bench/bench.h"
#include "bench/peers.h"
#include "explain/shapley.h"
#include "explain/tree_shap.h"
#include "outlier/registry.h"

namespace vedette::bench {
namespace {

constexpr int64_t kTrain = 1000, kFeatures = 21, kRows = 100, kBackground = 100, kBatch = 1000;
/// Of every family.
constexpr const char* kFamilies = "iforest,knn,lof,ecod,copod,hbos,pca,mahalanobis,mad,zscore,cblof,kde,gmm";

void Print(std::string_view what, double ms, double peer, double wanted) {
  fmt::print("{:<48} {:>9.5f} {:>9.5f} {:>8.2f}x {:>8.0f}x\n", what, ms, peer, peer / ms, wanted);
}

absl::Status Trees(const Matrix& train, const Matrix& rows) {
  ASSIGN_OR_RETURN(const auto forest, outlier::MakeMember("iforest"));
  RETURN_IF_ERROR(forest->Fit(train, Context{}));
  const auto* source = dynamic_cast<const outlier::ForestSource*>(forest.get());
  if (source == nullptr) return Internal("iforest shows no forest");
  ASSIGN_OR_RETURN(const auto shap, explain::TreeShap::Make(source->Forest()));
  const Matrix X = source->ForestRows(rows);
  ASSIGN_OR_RETURN(const auto background,
                   shap.Prepare(source->ForestRows(train.view().Rows(0, kBackground)), Context{}));
  absl::Status status;
  const auto keep = [&](const absl::Status& s) {
    if (!s.ok()) status = s;
  };
  const double per_row = 1e3 / kRows;
  const double path = per_row * BestOf(5, [&] { keep(shap.PathDependent(X, Context{}).status()); });
  const double interventional =
      per_row * BestOf(5, [&] { keep(shap.Interventional(X, background, Context{}).status()); });
  RETURN_IF_ERROR(status);
  Print("TreeSHAP path-dependent, 100 trees x 256", path, 0.8446, 5);
  Print("TreeSHAP interventional, 100 background rows", interventional, 3.0792, 6);
  return absl::OkStatus();
}

/// The native explanation against scoring, of rows alone (findings are explained, and those are few) and in batches:
/// by itself, and what it adds to scoring the same rows, which is less where it finds the scores on its way.
absl::Status Natives(const Matrix& train, const std::string& algorithms) {
  ASSIGN_OR_RETURN(const auto chosen, ChosenAlgorithms(algorithms));
  const Matrix rows = Normal(kBatch, kFeatures, 3);
  std::vector<double> scores(kBatch);
  fmt::print("\n{:<32} {:>9} {:>10} {:>8} {:>11} {:>8} {:>7}\n", "us of one core per row", "scoring", "explaining", "ratio",
             "it adds", "ratio", "wanted");
  for (const outlier::Descriptor* const descriptor : chosen) {
    if (!descriptor->explains || descriptor->needs_labels) continue;
    ASSIGN_OR_RETURN(const auto detector, outlier::MakeMember(descriptor->name));
    RETURN_IF_ERROR(detector->Fit(train, Context{}));
    ASSIGN_OR_RETURN(const outlier::Attribution warm, detector->Explain(rows, Context{}));
    const bool brings_scores = !warm.scores.empty();
    absl::Status status;
    for (const int64_t at_once : {int64_t{1}, kBatch}) {
      const int64_t count = std::min(kBatch, 100 * at_once);
      const auto each = [&](const auto& work) {
        return 1e6 / static_cast<double>(count) * BestOf(7, [&] {
                 for (int64_t i = 0; i < count; i += at_once) status.Update(work(rows.view().Rows(i, at_once)));
               });
      };
      const double native = each([&](MatrixView X) { return detector->Explain(X, Context{}).status(); });
      const double scoring = each([&](MatrixView X) {
        return detector->Score(X, std::span(scores).first(static_cast<size_t>(at_once)), Context{});
      });
      RETURN_IF_ERROR(status);
      const double added = brings_scores ? std::max(native - scoring, 1e-3) : native;
      fmt::print("{:<32} {:>9.3f} {:>10.3f} {:>7.2f}x {:>11.3f} {:>7.2f}x {:>6}x\n",
                 fmt::format("{}, {} at once", descriptor->name, at_once), scoring, native, scoring / native, added,
                 scoring / added, 1);
    }
  }
  return absl::OkStatus();
}

absl::Status Kernel(const Matrix& train, const Matrix& rows) {
  ASSIGN_OR_RETURN(const auto knn, outlier::MakeMember("knn", {{"method", "mean"}}));
  RETURN_IF_ERROR(knn->Fit(train, Context{}));
  explain::Game game;
  game.score = [&](MatrixView X, std::span<double> scores, const Context& ctx) { return knn->Score(X, scores, ctx); };
  game.coalitions = dynamic_cast<const outlier::CoalitionSource*>(knn.get());
  game.background = Matrix(50, kFeatures);
  for (int64_t j = 0; j < kFeatures; ++j) {
    game.row.push_back(rows(0, j));
    for (int64_t i = 0; i < 50; ++i) game.background(i, j) = train(i, j);
  }
  absl::Status status;
  const double ms =
      1e3 * BestOf(3, [&] { status = explain::KernelShap(game, {.coalitions = 500}, Context{}).status(); });
  RETURN_IF_ERROR(status);
  Print("KernelSHAP 500 x 50, kNN over 1000 rows", ms, 414.98, 20);
  return absl::OkStatus();
}

}  // namespace

absl::Status RunExplain(std::span<char* const> args) {
  ASSIGN_OR_RETURN(const Flags flags, Flags::Parse(args, {{"algorithms", kFamilies}, {"train-rows", "1000"}}));
  ASSIGN_OR_RETURN(const int64_t train_rows, flags.Int("train-rows", kBackground, 1000000));
  const Matrix train = Normal(kTrain, kFeatures, 1), rows = Normal(kRows, kFeatures, 2);
  fmt::print("{:<48} {:>9} {:>9} {:>9} {:>9}\n", "ms of one core per row", "here", "peer", "ratio", "wanted");
  RETURN_IF_ERROR(Trees(train, rows));
  RETURN_IF_ERROR(Natives(Normal(train_rows, kFeatures, 1), flags.Text("algorithms")));
  return Kernel(train, rows);
}

}  // namespace vedette::bench
