// Scores of coalitions for detectors whose score is a function of a row's nearest neighbours.
#pragma once

#include <memory>
#include <utility>

#include "outlier/coalitions.h"
#include "outlier/kernels/coalition_search.h"
#include "outlier/kernels/neighbors.h"

namespace vedette::outlier {

/// score(distances, rows) of what NeighborIndex::Of finds. Keeps references to the index and to what the function does.
template <typename ScoreFn>
class NeighborCoalitions : public CoalitionScorer {
 public:
  NeighborCoalitions(const NeighborIndex& index, std::unique_ptr<CoalitionSearch> search, int64_t k, int64_t ties,
                     ScoreFn score)
      : index_(index), search_(std::move(search)), k_(k), ties_(ties), score_(std::move(score)) {}

  absl::Status Score(std::span<const uint64_t> masks, std::span<double> scores, const Context& ctx) const override {
    return index_.Of(
        *search_, masks, k_, ctx,
        [&](int64_t query, std::span<const double> distances, std::span<const int32_t> rows) {
          scores[static_cast<size_t>(query)] = score_(distances, rows);
        },
        ties_);
  }

 private:
  const NeighborIndex& index_;
  std::unique_ptr<CoalitionSearch> search_;
  int64_t k_, ties_;
  ScoreFn score_;
};

template <typename ScoreFn>
std::unique_ptr<CoalitionScorer> CoalitionsOf(const NeighborIndex& index, const CoalitionRows& rows, int64_t k,
                                              int64_t ties, ScoreFn score) {
  std::unique_ptr<CoalitionSearch> search = index.ForCoalitions(rows, k);
  if (search == nullptr) return nullptr;
  return std::make_unique<NeighborCoalitions<ScoreFn>>(index, std::move(search), k, ties, std::move(score));
}

}  // namespace vedette::outlier
