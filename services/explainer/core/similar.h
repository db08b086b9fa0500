// Findings that look like one another: the same features, in the same directions.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "services/explainer/core/explanation.h"

namespace vedette::explainer {

/// Shares of the contributions that push towards anomalous, of at most 16 features, those with the largest first; values
/// below what was expected count by themselves, as "name (low)". Where rows have windows, a feature's lags are added up:
/// an incident looks the same from each row whose window it is in.
Signature SignatureOf(std::span<const explain::Contribution> contributions);

/// Its features with the largest shares, at most `count`, the largest first.
std::vector<std::string> DriversOf(const Signature& signature, size_t count = 3);

/// Cosine of the signatures; times 0.9 when both name an entity and not the same one. [0, 1], 0 when one is empty.
double Similarity(const Finding& a, const Finding& b);

/// Those of at least 0.5, nearest first; at equal similarity judged ones, then the newest, first.
std::vector<SimilarIncident> NearestOf(const Finding& finding, std::vector<SimilarIncident> candidates, size_t count);

}  // namespace vedette::explainer
