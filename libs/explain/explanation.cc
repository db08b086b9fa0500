#include "explain/explanation.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <map>

#include "explain/words.h"

namespace vedette::explain {
namespace {

constexpr double kNoise = 0.15;       // a share that equal contributions of about ten features exceed only by chance
constexpr double kUsualShare = 0.02;  // closer to the expected value than this, relatively, is no deviation to speak of
constexpr double kOneSided = 0.95;    // a part from above, or below, that is as good as the whole

bool ParseWhole(std::string_view text, double* value) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), *value);
  return error == std::errc() && end == text.data() + text.size() && std::isfinite(*value);
}

Direction DirectionOf(const Contribution& c) {
  if (c.actual_text.empty() && !std::isfinite(c.actual)) return Direction::kMissing;
  if (!c.numeric) return c.actual_text == c.expected_text ? Direction::kUsual : Direction::kDifferent;
  if (!std::isfinite(c.expected)) return Direction::kUsual;
  const double gap = c.actual - c.expected;
  if (std::fabs(gap) <= 1e-9 * std::max(std::fabs(c.actual), std::fabs(c.expected))) return Direction::kUsual;
  return gap > 0 ? Direction::kHigh : Direction::kLow;
}

Contribution FromFeature(const outlier::FeatureContribution& f) {
  Contribution c;
  c.feature_name = f.feature;
  c.lag = f.lag;
  c.contribution = std::isfinite(f.contribution) ? f.contribution : 0;
  c.actual = f.actual;
  c.expected = f.expected;
  c.actual_text = f.actual_text;
  c.expected_text = f.expected_text;
  // Categories carry texts, not numbers; a missing cell counts by what was expected of it. A number is taken from the
  // cell's own text: undoing the scaling of the matrix leaves rounding errors.
  double cell = 0;
  c.numeric =
      f.actual_text.empty() ? std::isfinite(f.expected) : std::isfinite(f.actual) && ParseWhole(f.actual_text, &cell);
  if (c.numeric && !f.actual_text.empty()) c.actual = cell;
  if (!c.numeric) c.actual = c.expected = std::numeric_limits<double>::quiet_NaN();
  if (c.numeric && !f.actual_text.empty()) c.percentile = f.percentile;
  // The parts of another method's contribution say nothing of this one.
  if (c.numeric && std::fabs(f.high + f.low - c.contribution) <= 1e-9 * std::fabs(c.contribution)) {
    c.high = f.high;
    c.low = f.low;
  }
  c.direction = DirectionOf(c);
  return c;
}

/// "about 78 times the expected 12", "12% below the expected 3.1", "where about 5 was expected".
std::string HowFar(const Contribution& c) {
  const std::string expected = ExpectedWords(c);
  if (c.direction == Direction::kMissing) return fmt::format("where {} was expected", expected);
  if (!c.numeric)
    return c.direction == Direction::kUsual ? "as expected" : fmt::format("where {} was expected", expected);
  if (!std::isfinite(c.expected)) return "without a value to compare it with";
  if (c.direction == Direction::kUsual) return "as expected";
  const double gap = c.actual - c.expected;
  const std::string_view side = gap > 0 ? "above" : "below";
  if (c.expected == 0 || (c.actual > 0) != (c.expected > 0) || c.actual == 0) {
    return fmt::format("{} the expected {}", side, expected);
  }
  const double ratio = c.actual / c.expected;
  if (ratio >= 2)
    return fmt::format("about {} times the expected {}", FormatNumber(ratio, ratio < 10 ? 2 : 3), expected);
  const double share = std::fabs(gap) / std::fabs(c.expected);
  if (share < kUsualShare) return fmt::format("close to the expected {}", expected);
  if (share > 0.99) return fmt::format("far {} the expected {}", side, expected);
  return fmt::format("{:.0f}% {} the expected {}", 100 * share, side, expected);
}

/// "1 row before", "3 rows before".
std::string RowsBefore(int lag) { return fmt::format("{} row{} before", lag, lag == 1 ? "" : "s"); }

std::string Clause(const Contribution& c) {
  return fmt::format("{} is {}, {}", FeatureWords(c), ActualWords(c), HowFar(c));
}

/// ", from above"; ", 60% of it from above, the rest from below"; nothing where the two are not told apart.
std::string Sides(const Contribution& c) {
  const double both = c.high + c.low;
  if (!(both > 0) || !std::isfinite(both)) return "";
  const double high = c.high / both;
  if (high >= kOneSided) return ", from above";
  if (high <= 1 - kOneSided) return ", from below";
  return fmt::format(", {} of it from above, the rest from below", FormatPercent(high));
}

std::string JoinWords(const std::vector<std::string>& words, std::string_view last) {
  std::string out;
  for (size_t i = 0; i < words.size(); ++i) {
    if (i > 0) out += i + 1 == words.size() ? fmt::format(" {} ", last) : ", ";
    out += words[i];
  }
  return out;
}

std::string Verdict(const Request& r) {
  if (!r.score.anomaly) {
    return fmt::format("{} is not anomalous: its score {} does not exceed the threshold {}.", r.subject,
                       FormatNumber(r.score.score, 4), FormatNumber(r.threshold, 4));
  }
  return fmt::format("{} is anomalous: {} severity, probability {}, score {} against a threshold of {}.", r.subject,
                     outlier::SeverityName(r.score.severity), FormatPercent(r.score.probability),
                     FormatNumber(r.score.score, 4), FormatNumber(r.threshold, 4));
}

/// A feature that pushes towards anomalous: its largest contribution, and the part of all its lags.
struct Driver {
  const Contribution* strongest;
  FeatureShare all;
};

std::vector<Driver> DriversOf(const std::vector<Contribution>& contributions) {
  std::vector<Driver> drivers;
  for (const FeatureShare& all : SharesByFeature(contributions)) {
    if (drivers.size() == kFeaturesNamed || all.lags == 0) break;
    drivers.push_back({&*std::find_if(contributions.begin(), contributions.end(),
                                      [&](const Contribution& c) { return c.feature_name == all.feature; }),
                       all});
  }
  return drivers;
}

/// ", 70% over 4 rows"; nothing where the feature pushes at one lag alone.
std::string OverRows(const FeatureShare& all) {
  return all.lags > 1 ? fmt::format(", {} over {} rows", FormatPercent(all.share), all.lags) : "";
}

std::string TextOf(const Request& request, const Explanation& e) {
  std::string text = Verdict(request);
  const std::vector<Driver> drivers = DriversOf(e.contributions);
  if (drivers.empty()) {
    text += " No feature stands out.";
    return request.since && request.score.anomaly ? text + " " + SinceSentence(*request.since) : text;
  }
  std::vector<std::string> names;
  for (const Driver& d : drivers) {
    const std::string name = SafeText(d.strongest->feature_name);
    names.push_back(d.strongest->lag == 0 ? name : fmt::format("{} ({})", name, RowsBefore(d.strongest->lag)));
  }
  if (!request.score.anomaly) {
    text += " What is least usual about it:";
  } else if (e.no_single_driver) {
    text += " No single driver: it is the combination that is unusual. The largest parts:";
  }
  for (size_t i = 0; i < drivers.size(); ++i) {
    const Contribution& c = *drivers[i].strongest;
    text += fmt::format(" {} ({} of the deviation{}{}).", Clause(c), FormatPercent(c.share), OverRows(drivers[i].all),
                        Sides(c));
    // Further features are named only while they matter beside the first.
    if (!e.no_single_driver && i + 1 < drivers.size() && drivers[i + 1].all.share < 0.25 * drivers[0].all.share) {
      names.resize(i + 1);
      break;
    }
  }
  if (!request.score.anomaly) return text;
  if (request.since) text += " " + SinceSentence(*request.since);
  if (e.no_single_driver) return text + fmt::format(" Check {} together.", JoinWords(names, "and"));
  text += fmt::format(" Check {} first", names[0]);
  if (names.size() > 1) text += fmt::format(", then {}", JoinWords({names.begin() + 1, names.end()}, "and"));
  return text + ".";
}

}  // namespace

std::string_view DirectionName(Direction direction) {
  switch (direction) {
    case Direction::kHigh:
      return "high";
    case Direction::kLow:
      return "low";
    case Direction::kDifferent:
      return "different";
    case Direction::kMissing:
      return "missing";
    case Direction::kUsual:
      return "usual";
  }
  return "usual";
}

Explanation Explain(const Request& request) {
  Explanation out;
  out.space = request.space;
  double largest = 0, positive = 0;  // the sum in units of the largest, so that huge parts stay finite
  for (const auto& f : request.features) {
    out.contributions.push_back(FromFeature(f));
    largest = std::max(largest, out.contributions.back().contribution);
  }
  const auto relative = [&](const Contribution& c) {
    return largest > 0 ? std::max(0.0, c.contribution / largest) : 0;
  };
  for (const auto& c : out.contributions) positive += relative(c);
  if (request.share_left_out > 0 && request.share_left_out < 1) positive /= 1 - request.share_left_out;
  std::stable_sort(out.contributions.begin(), out.contributions.end(),
                   [](const Contribution& a, const Contribution& b) { return a.contribution > b.contribution; });
  for (auto& c : out.contributions) c.share = positive > 0 ? relative(c) / positive : 0;
  out.features_left_out = std::max<int64_t>(0, request.features_left_out);
  const std::vector<FeatureShare> features = SharesByFeature(out.contributions);
  const size_t m = features.size() + static_cast<size_t>(out.features_left_out);
  const double needed = m < 3 ? 0 : std::max(kNoise, 1.5 / static_cast<double>(m));
  out.no_single_driver = positive <= 0 || features.front().share < needed;
  out.text = TextOf(request, out);
  return out;
}

std::vector<FeatureShare> SharesByFeature(const std::vector<Contribution>& contributions) {
  std::vector<FeatureShare> out;
  std::map<std::string_view, size_t> places;
  for (const Contribution& c : contributions) {
    const auto [at, fresh] = places.emplace(c.feature_name, out.size());
    if (fresh) out.push_back({.feature = c.feature_name});
    FeatureShare& all = out[at->second];
    all.share += c.share;
    if (c.contribution > 0) ++all.lags;
  }
  // At several lags together a feature may have more than one that is larger at a single lag.
  std::stable_sort(out.begin(), out.end(), [](const auto& a, const auto& b) { return a.share > b.share; });
  return out;
}

std::string FeatureWords(const Contribution& c, size_t max_chars) {
  const std::string name = SafeText(c.feature_name, max_chars);
  return c.lag == 0 ? name : fmt::format("{} {}", name, RowsBefore(c.lag));
}

std::string FeatureTag(const Contribution& c, size_t max_chars) {
  if (c.lag == 0) return SafeText(c.feature_name, max_chars);
  const std::string lag = fmt::format("[-{}]", c.lag);
  return SafeText(c.feature_name, max_chars > lag.size() ? max_chars - lag.size() : 1) + lag;
}

std::string ActualWords(const Contribution& c) {
  if (c.direction == Direction::kMissing) return "missing";
  return c.numeric && std::isfinite(c.actual) ? FormatActual(c.actual) : SafeText(c.actual_text);
}

std::string ExpectedWords(const Contribution& c) {
  if (!c.numeric) return c.expected_text.empty() ? "nothing" : SafeText(c.expected_text);
  if (!std::isfinite(c.expected)) return "unknown";
  const bool whole = std::isfinite(c.actual) && c.actual == std::floor(c.actual) && std::fabs(c.expected) >= 10;
  const double expected = whole ? std::round(c.expected) : c.expected;
  const std::string actual = ActualWords(c);
  for (int digits = 3; digits < 7; ++digits) {
    std::string text = FormatNumber(expected, digits);
    if (text != actual || expected == c.actual) return text;
  }
  return FormatNumber(c.expected, 9);
}

std::string ShortPhrase(const Contribution& c) {
  const std::string name = FeatureWords(c, 32) + (c.lag == 0 ? "" : ":");
  if (c.direction == Direction::kUsual) return fmt::format("{} {} (usual by itself)", name, ActualWords(c));
  return fmt::format("{} {}, expected {}{}", name, ActualWords(c), c.numeric ? "about " : "", ExpectedWords(c));
}

}  // namespace vedette::explain
