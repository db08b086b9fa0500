// A model with what all explanations of its rows have in common, made once.
#pragma once

#include <absl/status/statusor.h>

#include <cstdint>
#include <memory>
#include <mutex>

#include "base/context.h"
#include "explain/tree_shap.h"
#include "outlier/forest_view.h"
#include "outlier/model.h"

namespace vedette::explain {

/// Thread-safe: what one explanation needs first is made while the others that need it wait, and kept for all rows that
/// come. A forest of 100 trees of 256 rows takes about 25 MB, with 100 background rows about 10 more.
class PreparedModel {
 public:
  /// Keeps a reference.
  explicit PreparedModel(const outlier::Model& model) : model_(&model) {}
  explicit PreparedModel(std::shared_ptr<const outlier::Model> model)
      : owner_(std::move(model)), model_(owner_.get()) {}

  const outlier::Model& model() const { return *model_; }

  struct Forest {
    const outlier::ForestSource* source;
    outlier::ForestView view;
    TreeShap shap;
  };
  /// FAILED_PRECONDITION where the model is no isolation forest; what TreeShap::Make returns.
  absl::StatusOr<std::shared_ptr<const Forest>> Trees() const;
  /// For interventional values against BackgroundOf(model, rows); the last number of rows that was asked for is kept.
  /// Errors as Trees', and TreeShap::Prepare's.
  absl::StatusOr<std::shared_ptr<const TreeShap::Background>> TreeBackground(int64_t rows, const Context& ctx) const;

 private:
  absl::StatusOr<std::shared_ptr<const Forest>> LockedTrees() const;

  std::shared_ptr<const outlier::Model> owner_;
  const outlier::Model* model_;
  mutable std::mutex mutex_;
  mutable std::shared_ptr<const Forest> trees_;
  mutable std::shared_ptr<const TreeShap::Background> background_;
  mutable int64_t background_rows_ = 0;
};

}  // namespace vedette::explain
