#include "services/explainer/core/similar.h"

#include <algorithm>
#include <cmath>

namespace vedette::explainer {
namespace {

constexpr size_t kFeatures = 16;
constexpr double kOtherEntity = 0.9;
constexpr double kNear = 0.5;

double Norm(const Signature& s) {
  double sum = 0;
  for (const auto& [feature, share] : s) sum += share * share;
  return std::sqrt(sum);
}

}  // namespace

Signature SignatureOf(std::span<const explain::Contribution> contributions) {
  Signature out;
  for (const explain::Contribution& c : contributions) {  // the largest first
    if (!(c.share > 0)) break;
    // High at one lag and low at the next do not cancel each other.
    const std::string name = c.direction == explain::Direction::kLow ? c.feature_name + " (low)" : c.feature_name;
    if (out.size() == kFeatures && !out.contains(name)) continue;
    out[name] += c.share;
  }
  return out;
}

std::vector<std::string> DriversOf(const Signature& signature, size_t count) {
  std::vector<std::pair<std::string, double>> all(signature.begin(), signature.end());
  std::stable_sort(all.begin(), all.end(),
                   [](const auto& a, const auto& b) { return std::fabs(a.second) > std::fabs(b.second); });
  std::vector<std::string> out;
  for (size_t i = 0; i < std::min(count, all.size()); ++i) out.push_back(all[i].first);
  return out;
}

double Similarity(const Finding& a, const Finding& b) {
  double dot = 0;
  for (const auto& [feature, share] : a.signature) {
    const auto it = b.signature.find(feature);
    if (it != b.signature.end()) dot += share * it->second;
  }
  const double norms = Norm(a.signature) * Norm(b.signature);
  if (!(norms > 0)) return 0;
  const bool apart = !a.entity.empty() && !b.entity.empty() && a.entity != b.entity;
  return std::clamp(dot / norms, -1.0, 1.0) * (apart ? kOtherEntity : 1);
}

std::vector<SimilarIncident> NearestOf(const Finding& finding, std::vector<SimilarIncident> candidates, size_t count) {
  for (SimilarIncident& c : candidates) c.similarity = Similarity(finding, c.finding);
  std::erase_if(candidates, [](const SimilarIncident& c) { return c.similarity < kNear; });
  std::stable_sort(candidates.begin(), candidates.end(), [](const SimilarIncident& a, const SimilarIncident& b) {
    if (a.similarity != b.similarity) return a.similarity > b.similarity;
    if (a.outcome.empty() != b.outcome.empty()) return b.outcome.empty();
    if (a.finding.detect_time != b.finding.detect_time) return a.finding.detect_time > b.finding.detect_time;
    return a.finding.anomaly_id < b.finding.anomaly_id;
  });
  if (candidates.size() > count) candidates.resize(count);
  return candidates;
}

}  // namespace vedette::explainer
