// Choosing, training, scoring: what the detector does, whoever asks.
#pragma once

#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/context.h"
#include "outlier/decision.h"
#include "outlier/model.h"
#include "outlier/prepare_for.h"
#include "outlier/registry.h"
#include "outlier/reranker.h"
#include "services/detector/core/model_memory.h"
#include "services/detector/ports/feature_source.h"
#include "services/detector/ports/model_registry.h"

namespace vedette::detector {

struct DetectorSpec {
  std::string algorithm = "auto";
  std::map<std::string, std::string> params;
  double contamination = 0;  ///< 0: the algorithm's own default
  std::string threshold;     ///< a rule instead of contamination; empty: none
  uint64_t seed = 42;
  std::string label_column = {};  ///< of algorithms that learn from labels; no feature
  table::PrepareOptions prepare;
  outlier::LeftOpen open = {.imputation = true, .encoding = true, .scaling = true};  ///< what the request did not name
};

/// As one caller sees the other services.
struct Remote {
  std::string tenant;
  FeatureSource* features = nullptr;
  ModelRegistry* models = nullptr;
  outlier::Reranker* reranker = nullptr;  ///< a second opinion on what "auto" proposes; none: the rules' order stands
};

/// What "auto" saw and chose.
struct Choice {
  outlier::DataProfile profile;
  outlier::Selection selection;
};

struct FitOutcome {
  std::string model;
  std::string feature_set;
  std::string algorithm;
  std::optional<Choice> choice;  ///< when "auto" chose
  bool cache_hit = false;
  double threshold = 0;
  int64_t training_rows = 0;
};

/// Names and cell texts of one row's features may take so many bytes together: a finding is one message, and one row of
/// tables. The largest feature is always there.
inline constexpr size_t kMaxFeatureBytes = 64 << 10;

/// One anomalous row.
struct Found {
  int64_t row_index = 0;
  outlier::RowScore score;
  std::vector<outlier::FeatureContribution> features;  ///< largest first, at most top_features and kMaxFeatureBytes
  int64_t feature_count = 0;                           ///< in all
  std::map<std::string, std::string> raw_data;
  std::string summary;
  std::string entity = {};  ///< entities/{id}, where the row names one
  std::string metric = {};  ///< metrics/{id}, likewise
  absl::Time time = absl::InfinitePast();  ///< in the row's first timestamp column; InfinitePast: not known
};

struct ScoreOutcome {
  std::string algorithm;
  std::string space;
  double threshold = 0;
  int64_t rows_scored = 0;
  std::vector<Found> anomalies;
};

struct ScoreQuery {
  std::string model;
  std::string feature_set;
  std::string dataset;
  int64_t first_row = 0;
  int64_t row_count = 0;
  int top_features = 5;
};

/// A table that came with the request.
struct InlineOutcome {
  std::shared_ptr<const outlier::Model> model;
  std::string name;              ///< models/{model}
  std::optional<Choice> choice;  ///< when "auto" chose
  std::vector<outlier::RowScore> rows;
  std::vector<Found> anomalies;
  std::string space;
};

/// Rows that came before in one call, for models with windows.
struct Series {
  std::string model;
  table::Table last = {};  ///< of the columns that the model's features are made of
};

struct EngineOptions {
  std::string device = "auto";
  int64_t max_training_rows = 1000000;
};

class Engine {
 public:
  Engine(const outlier::Catalog& catalog, ModelMemory& memory, EngineOptions options)
      : catalog_(catalog), memory_(memory), options_(std::move(options)) {}

  /// INVALID_ARGUMENT for an unknown algorithm or bad parameters, all of them at once.
  absl::Status Check(const DetectorSpec& spec) const;
  /// Chooses and trains, or finds, the model of a dataset. Trains only while it holds the one lease; waits for the model
  /// while somebody else does.
  absl::StatusOr<FitOutcome> Fit(const std::string& dataset, const DetectorSpec& spec, int64_t max_training_rows,
                                 const Remote& remote, const Context& ctx);
  /// Scores a range of rows with a stored model and explains those that are anomalous.
  absl::StatusOr<ScoreOutcome> Score(const ScoreQuery& query, const Remote& remote, const Context& ctx);
  /// Fits on the table, or finds the model of an equal table, and scores it.
  absl::StatusOr<InlineOutcome> Detect(const table::Table& table, const std::string& content_hash, const DetectorSpec& spec,
                                       int top_features, const outlier::DecisionOptions& decision, const Remote& remote, const Context& ctx);
  /// Scores a table with a stored model; the first `context_rows` rows are only history, for models with windows. With
  /// `series` the rows follow those before them in it, whatever the order of columns and those that the model does not
  /// look at, and the last of them are kept in it for the next call.
  absl::StatusOr<InlineOutcome> ScoreTable(const std::string& model, const table::Table& table, int top_features,
                                           const outlier::DecisionOptions& decision, const Remote& remote,
                                           const Context& ctx, int64_t context_rows = 0, Series* series = nullptr);

 private:
  struct Plan;
  absl::StatusOr<Plan> PlanDataset(const std::string& dataset, const DetectorSpec& spec, const Remote& remote, const Context& ctx);
  /// `source`: what the table was called when a model was fitted on it (empty: rows never seen).
  absl::StatusOr<InlineOutcome> ScoreInline(const std::string& model, const std::string& source,
                                            const table::Table& table, int top_features,
                                            const outlier::DecisionOptions& decision, const Remote& remote,
                                            const Context& ctx, int64_t context_rows = 0);
  absl::Status ScorePart(const outlier::Model& model, const ScoreQuery& query, const Remote& remote, const Context& ctx,
                         ScoreOutcome* out);
  absl::StatusOr<InlineOutcome> ScoreNext(const outlier::Model& model, const std::string& name,
                                          const table::Table& table, int top_features,
                                          const outlier::DecisionOptions& decision, const Remote& remote,
                                          const Context& ctx, int64_t context_rows, Series* series);
  absl::StatusOr<std::shared_ptr<const outlier::Model>> Load(const std::string& name, const Remote& remote);
  using Trainer = std::function<absl::StatusOr<std::unique_ptr<outlier::Model>>(const Context&)>;
  /// The model of `key`: from the cache, or trained by `train` under the lease and uploaded.
  absl::StatusOr<std::pair<std::string, bool>> GetOrTrain(const ModelKey& key, const Remote& remote, const Context& ctx,
                                                          const Trainer& train);
  outlier::FitOptions FitOptionsFor(const outlier::Descriptor& descriptor, const DetectorSpec& spec) const;

  const outlier::Catalog& catalog_;
  ModelMemory& memory_;
  EngineOptions options_;
};

}  // namespace vedette::detector
