#include "outlier/reranker.h"

#include <algorithm>

namespace vedette::outlier {

Selection Reranked(Selection selection, const DataProfile& profile, Reranker& reranker, const Context& ctx) {
  if (selection.picks.size() < 2) return selection;
  RerankAnswer answer = reranker.Rerank({.sample_size = profile.rows,
                                         .features = profile.features,
                                         .seasonality = profile.seasonality,
                                         .trend = profile.trend,
                                         .skewness = profile.skewness,
                                         .kurtosis = profile.kurtosis,
                                         .volatility = profile.outlier_share,
                                         .available = selection.picks},
                                        ctx);
  selection.review = {.outcome = "", .prompt = std::move(answer.prompt), .answer = std::move(answer.answer)};
  std::vector<Pick> ordered, rest = selection.picks;
  for (const RerankedPick& wish : answer.picks) {
    const auto at =
        std::find_if(rest.begin(), rest.end(), [&](const Pick& p) { return p.algorithm == wish.algorithm; });
    if (at == rest.end()) continue;
    if (!wish.why.empty()) at->reason = wish.why;
    ordered.push_back(*at);
    rest.erase(at);
  }
  if (ordered.empty()) {
    selection.review.outcome = !answer.picks.empty()    ? "none of the names is a proposal"
                               : answer.why_not.empty() ? "no answer"
                                                        : answer.why_not;
    return selection;
  }
  ordered.insert(ordered.end(), rest.begin(), rest.end());
  const bool same = std::equal(ordered.begin(), ordered.end(), selection.picks.begin(),
                               [](const Pick& a, const Pick& b) { return a.algorithm == b.algorithm; });
  selection.review.outcome = same ? "confirmed" : "reordered";
  selection.picks = std::move(ordered);
  selection.algorithm = selection.picks[0].algorithm;
  selection.params = selection.picks[0].params;
  selection.reason = selection.picks[0].reason;
  return selection;
}

}  // namespace vedette::outlier
