// Anomalies and feedback as this service thinks of them.
#pragma once

#include <absl/time/time.h>

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace vedette::triage {

enum class Status { kOpen, kAcknowledged, kResolved, kDismissed };
std::string_view Name(Status status);
Status ParseStatus(std::string_view name);

enum class Verdict { kConfirmed, kFalseAlarm, kExpected, kNewTrend };
std::string_view Name(Verdict verdict);
Verdict ParseVerdict(std::string_view name);
/// What a verdict makes of the anomaly: confirmed ones stay to be worked on, the others need no work.
Status StatusAfter(Verdict verdict);

struct Feature {
  std::string name;
  int lag = 0;  ///< so many rows before is what the values tell of
  double contribution = 0;
  double share = 0;
  std::string actual;
  std::optional<double> actual_number;
  std::string expected;
  std::optional<double> expected_number;
};

/// What a language model thinks of an anomaly.
enum class Opinion { kInconclusive, kLikelyTrue, kLikelyFalse };
std::string_view Name(Opinion opinion);
Opinion ParseOpinion(std::string_view name);

inline constexpr char kNoSource[] = "none";

/// A second opinion. Advice: nothing else of the anomaly follows from it.
struct TriageVerdict {
  Opinion opinion = Opinion::kInconclusive;
  double confidence = 0;                 ///< the model's own
  std::string reason;
  std::vector<std::string> next_checks;  ///< most useful first
  std::string source = kNoSource;        ///< llm, cache or none
  std::string degraded_reason;
  absl::Time create_time;
};

struct Anomaly {
  std::string id;  ///< UUID
  std::string job;
  std::string dataset;
  int64_t row_index = 0;
  std::string entity;
  std::string metric;
  double score = 0;
  double probability = 0;
  double confidence = 0;
  int severity = 1;  ///< 1 low .. 4 critical
  double threshold = 0;
  std::vector<Feature> features;  ///< largest contribution first
  std::string summary;
  std::vector<std::string> detection_methods;
  std::string model;
  std::map<std::string, std::string> raw_data;
  std::string metadata = "{}";  ///< JSON object
  Status status = Status::kOpen;
  std::optional<TriageVerdict> verdict;
  absl::Time detect_time;
  absl::Time create_time;
  absl::Time update_time;

  /// Of the first feature that has one.
  std::optional<double> ActualValue() const;
  std::optional<double> ExpectedValue() const;
};

/// One part of a score task's result.
struct TaskResult {
  std::string job;
  std::string task;
  int part = 0;
  int part_count = 1;
  int64_t rows_scored = 0;  ///< of the whole task
  std::vector<Anomaly> anomalies;
};

struct Feedback {
  std::string id;
  Verdict verdict = Verdict::kConfirmed;
  double confidence = 1;
  std::string comment;
  std::string business_context = "{}";  ///< JSON object
  std::string author;
  absl::Time create_time;
};

struct Statistics {
  int64_t total = 0;
  std::map<int, int64_t> by_severity;
  std::map<std::string, int64_t> by_status;
  std::map<std::string, int64_t> by_method;
};

}  // namespace vedette::triage
