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
  /// The value that would have been normal, in the units of the matrix: rows x features, or one row where it is the same
  /// for all of them.
  Matrix expected;
  std::string_view space;  ///< what the contributions add up to or measure: "score", "squared distance"...; a literal
  /// Parts of the contributions from where the value lay above, and below, the rows that it was compared with; together they
  /// are the contributions. Empty where an algorithm does not tell them apart.
  Matrix high = {};
  Matrix low = {};
  /// The rows' scores, the bits that Score gives, where explaining finds them on its way; else empty.
  std::vector<double> scores = {};

  double Expected(int64_t row, int64_t feature) const { return expected(expected.rows() == 1 ? 0 : row, feature); }
};

/// What is known of a training row.
enum class Label : int8_t { kUnknown = -1, kNormal = 0, kAnomaly = 1 };

class Detector {
 public:
  virtual ~Detector() = default;

  /// Learns from X (n x d, n >= 1, d >= 1, finite unless the descriptor says NaN is native). Errors: INVALID_ARGUMENT
  /// when the data cannot be used, naming why; CANCELLED; DEADLINE_EXCEEDED. After an error the object is not usable.
  virtual absl::Status Fit(MatrixView X, const Context& ctx) = 0;

  /// Learns from X with labels, one per row: kAnomaly, kNormal or kUnknown. Only where the descriptor asks for labels;
  /// Fit alone is then FAILED_PRECONDITION. Errors as Fit's, and INVALID_ARGUMENT when the labels do not suffice.
  virtual absl::Status FitLabelled(MatrixView X, std::span<const Label> labels, const Context& ctx);

  /// Learns from X where column j holds the codes 0 .. categories[j] - 1 of as many categories, or numbers where categories[j]
  /// is 0; NaN is missing. Scored rows may hold other codes: categories that were not known. Only where the descriptor says
  /// `categories`, else UNIMPLEMENTED. Errors as Fit's.
  virtual absl::Status FitMixed(MatrixView X, std::span<const int32_t> categories, const Context& ctx);

  /// Learns from further rows without the earlier ones (rows in order of arrival). Only where the descriptor says
  /// `incremental`, else UNIMPLEMENTED; also after Load. Not thread-safe. After an error the object is not usable.
  virtual absl::Status Update(MatrixView X, const Context& ctx);

  /// Scores of the training rows as the algorithm defines them (neighbour methods leave the row itself out).
  /// Empty after Load and after Update.
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

/// What a fit and a score will take, on one core of about 3 GHz, within a factor of about 3; how it grows with rows and
/// features is the algorithm's own law, so that it also says what a larger table would take.
struct Cost {
  double fit_seconds = 0;
  double score_seconds_per_row = 0;
  double fit_bytes = 0;    ///< most that is held during the fit, beside X
  double model_bytes = 0;  ///< of the fitted state

  Cost PlusFit(double seconds) const {
    Cost more = *this;
    more.fit_seconds += seconds;
    return more;
  }
};

/// One algorithm. Everything that is listed, validated, documented, benchmarked or tested comes from here.
struct Descriptor {
  std::string_view name;      ///< "iforest"; also the file's stem and the symbol k_<name>
  std::string_view family;    ///< probabilistic, linear, proximity, ensemble, neural, supervised
  std::string_view summary;   ///< one sentence: what it finds, and when it fails
  std::string_view paper;     ///< authors, title, venue, year
  std::span<const ParamSpec> params;
  bool deterministic = true;  ///< the same scores for every seed
  bool incremental = false;   ///< Update works
  bool needs_labels = false;  ///< FitLabelled instead of Fit
  bool explains = true;       ///< has native contributions
  NanPolicy nan = NanPolicy::kImputed;
  bool categories = false;    ///< FitMixed works; goes with NanPolicy::kNative
  /// Training rows score otherwise than the same rows as new ones: neighbour methods leave the row itself out, for one.
  bool own_training_scores = false;
  bool wants_scaling = false;  ///< distances or gradients: `auto` and the CLI's default recipe standardise for it
  std::string_view fit_cost;   ///< "O(n log n d)"
  std::string_view score_cost; ///< per row: "O(log n d)"
  Cost (*cost)(const ParamSet& params, int64_t rows, int64_t features) = nullptr;
  std::unique_ptr<Detector> (*make)(const ParamSet& params) = nullptr;
  double default_contamination = 0.05;  ///< in (0, 0.5]: the threshold's when the user names none
};

}  // namespace vedette::outlier
