// Explanations: stored as findings come in, computed when somebody asks and none is stored.
#pragma once

#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/context.h"
#include "services/explainer/core/ask.h"
#include "services/explainer/ports/explanation_store.h"
#include "services/explainer/ports/sources.h"
#include "services/explainer/ports/task_queue.h"
#include "services/explainer/ports/wording.h"

namespace vedette::explainer {

/// A finding with the contributions that its detector already knew: the largest of `feature_count` (at least as many as
/// are there). Sets the finding's signature.
StoredExplanation FromContributions(Finding* finding, const std::string& space,
                                    std::vector<outlier::FeatureContribution> features, int64_t feature_count = 0);

struct ExplainerOptions {
  bool shap_enabled = true;
  bool lime_enabled = true;
  int64_t background_samples = 100;
  /// Findings of this severity and above get these without being asked for them; kNone: none do.
  outlier::Severity shap_from = outlier::Severity::kNone;
  outlier::Severity lime_from = outlier::Severity::kNone;
  size_t similar = 3;
};

/// Told how every explanation came about: outcome is computed, stored, reused (an equal row's), degraded or failed;
/// `took` for computed ones. Thread-safe.
using Account = std::function<void(std::string_view method, std::string_view outcome, absl::Duration took)>;

/// Thread-safe.
class Explainer {
 public:
  /// wording and account may be null.
  Explainer(ExplanationStore* store, TaskQueue* queue, ExplainerOptions options, Wording* wording = nullptr,
            Account account = nullptr)
      : store_(store), queue_(queue), options_(options), wording_(wording), account_(std::move(account)) {}

  /// Findings as they come in, with their native explanations; what the policy asks for is queued. May be repeated.
  absl::Status Take(const std::string& tenant, const std::vector<Finding>& findings,
                    const std::vector<StoredExplanation>& explanations);
  absl::Status SetOutcome(const std::string& tenant, const Outcome& outcome) {
    return store_->SetOutcome(tenant, outcome);
  }
  absl::StatusOr<std::vector<StoredExplanation>> List(const std::string& tenant, const std::string& anomaly_id) {
    return store_->List(tenant, anomaly_id);
  }

  /// The stored explanation of what is asked, or a new one from model and row, which is stored unless the deadline cut
  /// it short; with a counterfactual and what is near the finding. A method that is switched off, does not fit the
  /// model or does not end in time gives way to the native explanation, and the answer says why. INVALID_ARGUMENT for
  /// what is asked; NOT_FOUND for the anomaly; what `sources` return when nothing at all can be said.
  absl::StatusOr<Answer> Explain(const std::string& tenant, const std::string& anomaly_id, Ask ask,
                                 const Sources& sources, const Context& ctx);
  /// The same when it is stored already; else it is queued, and the native explanation says so.
  absl::StatusOr<Answer> ExplainLater(const std::string& tenant, const std::string& anomaly_id, Ask ask,
                                      const Sources& sources, const Context& ctx);
  /// Sees to it that the explanation is stored. FAILED_PRECONDITION when it cannot be had.
  absl::Status Compute(const std::string& tenant, const std::string& anomaly_id, Ask ask, const Sources& sources,
                       const Context& ctx);

 private:
  struct Work;
  absl::StatusOr<Work> Begin(const std::string& tenant, const std::string& anomaly_id, const Sources& sources);
  absl::Status Refusal(const std::string& method) const;
  absl::StatusOr<StoredExplanation> Numbers(Work& work, Ask ask, const Context& ctx);
  absl::StatusOr<StoredExplanation> Run(Work& work, const Ask& ask, StoredExplanation made, const Context& ctx);
  absl::StatusOr<StoredExplanation> NumbersOrNative(Work& work, const Ask& ask, const Context& ctx);
  absl::Status AddCounterfactual(Work& work, const Ask& ask, Answer* answer, const Context& ctx);
  void AddNearby(const Work& work, Answer* answer);
  void AddSince(const Work& work, Answer* answer);
  void PutIntoWords(const Work& work, Answer* answer, const Context& ctx);
  void Note(std::string_view method, std::string_view outcome, absl::Duration took = absl::ZeroDuration()) const {
    if (account_) account_(method, outcome, took);
  }

  ExplanationStore* store_;
  TaskQueue* queue_;
  ExplainerOptions options_;
  Wording* wording_;
  Account account_;
};

}  // namespace vedette::explainer
