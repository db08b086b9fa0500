#include "explain/forest_methods.h"

#include <algorithm>

#include "base/status.h"
#include "explain/method_parts.h"
#include "explain/prepared_model.h"
#include "explain/tree_shap.h"
#include "outlier/forest_view.h"

namespace vedette::explain {

/// -phi / c(psi) adds up on log2 of the score 2^(-E[h] / c(psi)), and points towards anomalous.
absl::StatusOr<MethodResult> RunTreeShap(const PreparedModel& prepared, MatrixView X, const MethodOptions& options,
                                         const Context& ctx) {
  const outlier::Model& model = prepared.model();
  ASSIGN_OR_RETURN(const auto trees, prepared.Trees());
  const Matrix row = trees->source->ForestRows(X);
  const bool interventional = options.mode == "interventional";
  MethodResult out;
  out.explained = "log2(anomaly score)";
  out.space = "log2 of the anomaly score: +1 doubles it";
  TreeShapResult values;
  if (interventional) {
    RETURN_IF_ERROR(NeedBackground(model));
    out = Against(model, options, out.explained, out.space);
    ASSIGN_OR_RETURN(const auto background, prepared.TreeBackground(options.background_rows, ctx));
    ASSIGN_OR_RETURN(values, trees->shap.Interventional(row, *background, ctx));
  } else {
    ASSIGN_OR_RETURN(values, trees->shap.PathDependent(row, ctx));
  }
  const double unit = trees->view.normalizer > 0 ? -1 / trees->view.normalizer : 0;
  out.contributions = BySource(model, values.phi);
  for (double& c : out.contributions) c *= unit;
  out.expected = unit * values.expected;
  out.output = unit * values.output[0];
  out.exact = true;
  CheckSum(&out);
  return out;
}

absl::StatusOr<MethodResult> RunDiffi(const PreparedModel& prepared, MatrixView X, const MethodOptions&,
                                      const Context& ctx) {
  const outlier::Model& model = prepared.model();
  ASSIGN_OR_RETURN(const auto trees, prepared.Trees());
  RETURN_IF_ERROR(ctx.Check());
  const Matrix row = trees->source->ForestRows(X);
  Matrix parts(1, X.cols);
  std::vector<double> splits(static_cast<size_t>(X.cols), 0);
  for (const outlier::TreeView& tree : trees->view.trees) {
    std::vector<int> depth(tree.feature.size(), 0);
    int deepest = 0;
    for (size_t node = 0; node < depth.size(); ++node) {
      deepest = std::max(deepest, depth[node]);
      if (tree.feature[node] < 0) continue;
      for (const int32_t child : {tree.left[node], tree.right[node]})
        depth[static_cast<size_t>(child)] = depth[node] + 1;
    }
    std::vector<int32_t> path;
    size_t node = 0;
    while (tree.feature[node] >= 0) {
      path.push_back(tree.feature[node]);
      node =
          static_cast<size_t>(outlier::GoesLeft(tree, node, row(0, path.back())) ? tree.left[node] : tree.right[node]);
    }
    if (path.empty()) continue;
    for (const int32_t f : path) {
      parts(0, f) += 1.0 / static_cast<double>(path.size()) - 1.0 / deepest;
      splits[static_cast<size_t>(f)] += 1;
    }
  }
  for (int64_t j = 0; j < X.cols; ++j) {
    if (splits[static_cast<size_t>(j)] > 0) parts(0, j) /= splits[static_cast<size_t>(j)];
  }
  MethodResult out;
  out.explained = "path length";
  out.space = "mean 1/depth gained, without direction";
  out.contributions = BySource(model, parts);
  return out;
}

}  // namespace vedette::explain
