// What an algorithm is to the rest of the world.
//
// Conventions, stated once: matrices are column-major doubles, rows = subjects; a higher score is more anomalous, always;
// scores of new rows depend on the fitted sample and on that row alone, never on the batch it came in; the same seed
// gives the same bits at any thread count; no score is ever NaN.
#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/context.h"
#include "base/matrix.h"
#include "outlier/params.h"

namespace vedette::outlier {

/// Per-feature parts of scores, for the rows that were asked for. Positive pushes towards anomalous.
struct Attribution {
  Matrix contributions;  ///< rows x features
  Matrix expected;       ///< rows x features: the value that would have been normal, in the units of the matrix
  std::string space;     ///< what the contributions add up to or measure: "score", "squared distance", "path length"...
};

class Detector {
 public:
  virtual ~Detector() = default;

  /// Learns from X (n x d, n >= 1, d >= 1, finite unless the descriptor says NaN is native). Errors: INVALID_ARGUMENT
  /// when the data cannot be used, naming why; CANCELLED; DEADLINE_EXCEEDED. After an error the object is not usable.
  virtual absl::Status Fit(MatrixView X, const Context& ctx) = 0;

  /// Scores of the training rows as the algorithm defines them (neighbour methods leave the row itself out).
  /// Empty after Load.
  virtual std::span<const double> training_scores() const = 0;

  /// scores[i] for each row of X; X has the fitted number of columns (checked by Model, asserted here). Thread-safe.
  virtual absl::Status Score(MatrixView X, std::span<double> scores, const Context& ctx) const = 0;

  /// Native attribution, about as dear as scoring. UNIMPLEMENTED where the descriptor says it has none. Thread-safe.
  virtual absl::StatusOr<Attribution> Explain(MatrixView X, const Context& ctx) const;

  /// The fitted state, without parameters (the model file holds those). Load replaces Fit, and must survive any bytes.
  virtual void Save(ByteWriter& out) const = 0;
  virtual absl::Status Load(ByteReader& in) = 0;

  /// Number of columns it was fitted on.
  virtual int64_t features() const = 0;
};

enum class NanPolicy { kImputed, kNative };  ///< what must have happened to missing values before Fit and Score

/// One algorithm. Everything that is listed, validated, documented, benchmarked or tested comes from here.
struct Descriptor {
  std::string_view name;      ///< "iforest"; also the file's stem and the symbol k_<name>
  std::string_view family;    ///< probabilistic, linear, proximity, ensemble, neural
  std::string_view summary;   ///< one sentence: what it finds, and when it fails
  std::string_view paper;     ///< authors, title, venue, year
  std::span<const ParamSpec> params;
  bool deterministic = true;  ///< the same scores for every seed
  bool incremental = false;
  bool explains = true;       ///< has native contributions
  NanPolicy nan = NanPolicy::kImputed;
  bool wants_scaling = false;  ///< distances or gradients: `auto` and the CLI's default recipe standardise for it
  std::string_view fit_cost;   ///< "O(n log n d)"
  std::string_view score_cost; ///< per row: "O(log n d)"
  std::unique_ptr<Detector> (*make)(const ParamSet& params) = nullptr;
  double default_contamination = 0.05;  ///< in (0, 0.5]: the threshold's when the user names none
};

}  // namespace vedette::outlier
