// What this service knows of findings and their explanations.
#pragma once

#include <absl/time/time.h>

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "explain/explanation.h"
#include "outlier/model.h"

namespace vedette::explainer {

inline constexpr char kNative[] = "native";
inline constexpr char kCounterfactual[] = "counterfactual";
/// Stands for the method that gives Shapley values of the model at hand.
inline constexpr char kShap[] = "shap";

/// Which features drive a finding: feature -> share, "feature (low)" where values are too low. Not empty but where nothing
/// pushes towards anomalous.
using Signature = std::map<std::string, double>;

/// What a finding says of itself: enough to name its row and its model, and to find others like it.
struct Finding {
  std::string anomaly_id;  ///< UUID
  std::string model;       ///< models/{model}
  std::string algorithm;
  std::string dataset;  ///< datasets/{dataset}
  int64_t row_index = 0;
  std::string entity;  ///< entities/{entity}, or empty
  std::string metric;  ///< metrics/{metric}, or empty
  outlier::RowScore score;
  double threshold = 0;
  absl::Time detect_time = absl::UnixEpoch();
  absl::Time event_time = absl::InfinitePast();  ///< of the row itself; InfinitePast: not known
  Signature signature;

  /// When it happened, as far as is known.
  absl::Time When() const { return event_time == absl::InfinitePast() ? detect_time : event_time; }
};

/// A counterfactual in the words of the table.
struct WordedCounterfactual {
  struct Change {
    std::string feature, from, to;  ///< cells; empty: missing
  };
  bool found = false;
  bool already_normal = false;
  bool minimal = false;
  std::vector<Change> changes;  ///< the largest single effect first
  double score = 0;             ///< of the changed row, by the model
  double threshold = 0;
  std::vector<std::string> frozen;
};

struct StoredExplanation {
  std::string id;          ///< UUID derived from anomaly, method, model and config
  std::string anomaly_id;  ///< UUID
  explain::Explanation explanation;
  std::string mode;
  std::string config = "{}";  ///< what was asked beside the method, canonical JSON
  std::string model;
  std::string row_hash;    ///< SHA-256 of the row as the model saw it; empty when only the detector has seen it
  std::string explained;   ///< the output that is explained
  std::string background;  ///< id of the rows that stood for "absent"; empty when none did
  int64_t background_rows = 0;
  std::optional<double> expected, output, additivity_error;  ///< of methods that add up
  bool exact = false;
  std::optional<double> r2;
  std::vector<std::string> warnings;
  std::optional<WordedCounterfactual> counterfactual;
  std::string text_source = "template";
  std::string degraded_reason;
  absl::Time create_time;
};

/// The last word of a person on a finding.
struct Outcome {
  std::string anomaly_id;
  std::string verdict;  ///< CONFIRMED, FALSE_ALARM, EXPECTED, NEW_TREND
  double confidence = 0;
  std::string feedback;  ///< anomalies/{anomaly}/feedback/{feedback}
  absl::Time time;
};

struct SimilarIncident {
  Finding finding;
  double similarity = 0;  ///< above 0, up to 1
  std::string outcome;    ///< empty: nobody has judged it
  double outcome_confidence = 0;
};

struct ChangeEvent {
  std::string name, kind, title, entity;
  absl::Time time;
};

struct PeerStanding {
  std::string peer_group, metric;
  absl::Time period_start, period_end;
  double value = 0, peer_median = 0, robust_z = 0, percentile = 0;
  int peer_count = 0;
};

/// An explanation, what would make the row normal, and what is near the finding.
struct Answer {
  StoredExplanation explanation;
  absl::Time when;                         ///< it happened, as far as is known
  std::string entity;                      ///< entities/{entity} that `since` is about; empty: the rows of the dataset
  std::optional<explain::OffSince> since;  ///< where its rows have times
  std::vector<SimilarIncident> similar;
  std::vector<ChangeEvent> changes;
  std::vector<PeerStanding> peers;

  /// Adds a reason to those why something is missing.
  void Degrade(std::string_view reason);
};

}  // namespace vedette::explainer
