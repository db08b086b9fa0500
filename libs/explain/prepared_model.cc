#include "explain/prepared_model.h"

#include <utility>

#include "base/status.h"
#include "explain/methods.h"

namespace vedette::explain {

absl::StatusOr<std::shared_ptr<const PreparedModel::Forest>> PreparedModel::LockedTrees() const {
  if (trees_ != nullptr) return trees_;
  const auto* source = dynamic_cast<const outlier::ForestSource*>(&model_->detector());
  if (source == nullptr) {
    return FailedPrecondition("{} is no isolation forest; kernel_shap explains every algorithm",
                              model_->descriptor().name);
  }
  outlier::ForestView view = source->Forest();
  ASSIGN_OR_RETURN(TreeShap shap, TreeShap::Make(view));
  trees_ = std::make_shared<const Forest>(Forest{source, std::move(view), std::move(shap)});
  return trees_;
}

absl::StatusOr<std::shared_ptr<const PreparedModel::Forest>> PreparedModel::Trees() const {
  const std::lock_guard lock(mutex_);
  return LockedTrees();
}

absl::StatusOr<std::shared_ptr<const TreeShap::Background>> PreparedModel::TreeBackground(int64_t rows,
                                                                                          const Context& ctx) const {
  const std::lock_guard lock(mutex_);
  if (background_ != nullptr && background_rows_ == rows) return background_;
  ASSIGN_OR_RETURN(const auto trees, LockedTrees());
  const Matrix chosen = BackgroundOf(*model_, rows);
  ASSIGN_OR_RETURN(TreeShap::Background made, trees->shap.Prepare(trees->source->ForestRows(chosen), ctx));
  background_ = std::make_shared<const TreeShap::Background>(std::move(made));
  background_rows_ = rows;
  return background_;
}

}  // namespace vedette::explain
