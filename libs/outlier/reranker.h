// The port for a second opinion on a selection (a language model, a service of the user's own). It may put valid
// proposals in another order and say why; it can neither add one nor change its parameters. Clients turn its JSON into
// these types.
#pragma once

#include <string>
#include <vector>

#include "base/context.h"
#include "outlier/selection.h"

namespace vedette::outlier {

/// What a reranker is told: figures only, no names of columns and no values.
struct RerankQuestion {
  int64_t sample_size = 0, features = 0;
  double seasonality = 0, trend = 0;
  double skewness = 0, kurtosis = 0;  ///< of the distribution
  double volatility = 0;              ///< share of the values far from their column's median
  std::vector<Pick> available;        ///< best first
};

/// One line of its answer.
struct RerankedPick {
  std::string algorithm, why;
  double expected_performance = 0;  ///< its opinion of the ROC AUC; not taken over
  std::string cost;                 ///< in words
};

struct RerankAnswer {
  std::vector<RerankedPick> picks;  ///< best first; empty: there is no usable answer
  std::string why_not;              ///< then the reason, in a word or a sentence
  std::string prompt, answer;       ///< for the log: what was asked and answered, as far as it went
};

class Reranker {
 public:
  virtual ~Reranker() = default;
  /// Never fails: whatever hinders it is the answer's `why_not`, and the selection then stays as it was.
  virtual RerankAnswer Rerank(const RerankQuestion& question, const Context& ctx) = 0;
};

/// The selection in the reranker's order, with its `review` told. Names that are not among the picks, and repetitions,
/// are ignored; picks that it does not name follow in their old order; without one valid name nothing changes.
Selection Reranked(Selection selection, const DataProfile& profile, Reranker& reranker, const Context& ctx);

}  // namespace vedette::outlier
