#include "outlier/labels.h"

#include <algorithm>
#include <array>
#include <span>

namespace vedette::outlier {
namespace {

constexpr std::array<std::string_view, 10> kAnomalous = {"1",         "true",    "yes", "y",     "anomaly",
                                                         "anomalous", "outlier", "o",   "fraud", "odd"};
constexpr std::array<std::string_view, 7> kUsual = {"0", "false", "no", "n", "normal", "inlier", "ok"};

char Lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

bool IsOneOf(std::string_view cell, std::span<const std::string_view> words) {
  return std::any_of(words.begin(), words.end(), [&](std::string_view word) {
    return std::equal(cell.begin(), cell.end(), word.begin(), word.end(), [](char a, char b) { return Lower(a) == b; });
  });
}

}  // namespace

std::optional<Label> LabelOf(std::string_view cell, std::string_view positive) {
  if (cell.empty()) return Label::kUnknown;
  if (!positive.empty()) return cell == positive ? Label::kAnomaly : Label::kNormal;
  if (IsOneOf(cell, kAnomalous)) return Label::kAnomaly;
  if (IsOneOf(cell, kUsual)) return Label::kNormal;
  return std::nullopt;
}

}  // namespace vedette::outlier
