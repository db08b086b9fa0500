// Where anomalies live. Every method is one transaction.
#pragma once

#include <absl/status/statusor.h>

#include <string>
#include <vector>

#include "services/triage/core/anomaly.h"

namespace vedette::triage {

/// One order term of a listing: a column of the store and its direction.
struct Order {
  std::string column;  ///< create_time, anomaly_score, severity, row_index
  bool descending = true;
};

struct Listing {
  std::string where = "TRUE";            ///< rendered by runtime/filter
  std::vector<std::string> params = {};  ///< for $1...
  std::vector<Order> order = {};         ///< at least one term; the id breaks ties
  std::vector<std::string> cursor = {};  ///< the order's values and the id of the last row of the page before
  int limit = 50;
};

struct Page {
  std::vector<Anomaly> anomalies;
  std::vector<std::string> next_cursor;  ///< empty: no further page
};

/// An anomaly that somebody has judged.
struct Judged {
  std::vector<Feature> features;
  std::string entity;
  Verdict verdict = Verdict::kConfirmed;
};

class AnomalyStore {
 public:
  virtual ~AnomalyStore() = default;

  /// Writes one part of a task's result; when it was the last part to arrive, the task counts as stored and the fact says
  /// so. Repeated parts change nothing.
  virtual absl::Status Store(const std::string& tenant, const TaskResult& result) = 0;

  virtual absl::StatusOr<Anomaly> Get(const std::string& tenant, const std::string& id) = 0;
  virtual absl::StatusOr<Page> List(const std::string& tenant, const Listing& listing) = 0;
  virtual absl::StatusOr<Statistics> Count(const std::string& tenant, const Listing& listing) = 0;
  virtual absl::StatusOr<Anomaly> SetStatus(const std::string& tenant, const std::string& id, Status status) = 0;

  /// Keeps a second opinion; nothing else of the anomaly changes. One without a source never replaces one that has it.
  virtual absl::Status SetVerdict(const std::string& tenant, const std::string& id, const TriageVerdict& verdict) = 0;
  /// Other anomalies by one of the same methods that somebody has judged, each with its last verdict: of the newest
  /// 1000 entries of feedback.
  virtual absl::StatusOr<std::vector<Judged>> ListJudged(const std::string& tenant, const Anomaly& like) = 0;

  /// Adds the feedback and sets the anomaly's status by its verdict. A request_id that was seen before answers that
  /// entry.
  virtual absl::StatusOr<Feedback> AddFeedback(const std::string& tenant, const std::string& anomaly_id,
                                               const Feedback& feedback, const std::string& request_id) = 0;
  virtual absl::StatusOr<std::vector<Feedback>> ListFeedback(const std::string& tenant,
                                                             const std::string& anomaly_id) = 0;
};

}  // namespace vedette::triage
