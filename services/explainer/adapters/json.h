// Parts of findings and explanations as JSONB keeps them. Texts from outside are cleaned: no NUL, valid UTF-8.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "services/explainer/core/explanation.h"

namespace vedette::explainer {

std::string Clean(std::string text);

std::string ContributionsToJson(const std::vector<explain::Contribution>& contributions);
std::vector<explain::Contribution> ContributionsFromJson(std::string_view text);

/// Everything of a method's result that has no column of its own.
std::string DetailsToJson(const StoredExplanation& explanation);
void DetailsFromJson(std::string_view text, StoredExplanation* out);

std::string CounterfactualToJson(const WordedCounterfactual& counterfactual);
std::optional<WordedCounterfactual> CounterfactualFromJson(std::string_view text);

std::string SignatureToJson(const Signature& signature);
Signature SignatureFromJson(std::string_view text);

}  // namespace vedette::explainer
