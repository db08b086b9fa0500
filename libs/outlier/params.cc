#include "outlier/params.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <cstdlib>

namespace vedette::outlier {
namespace {

using Value = std::variant<int64_t, double, bool, std::string>;

std::string Lower(std::string_view s) {
  std::string out(s);
  for (char& c : out) c = static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
  return out;
}

std::vector<std::string> Split(std::string_view text, char separator) {
  std::vector<std::string> parts;
  while (!text.empty()) {
    const size_t at = text.find(separator);
    parts.emplace_back(text.substr(0, at));
    text = at == std::string_view::npos ? std::string_view() : text.substr(at + 1);
  }
  return parts;
}

template <typename T>
bool ParseAll(std::string_view text, T* value) {
  if (!text.empty() && text.front() == '+') text.remove_prefix(1);
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), *value);
  return error == std::errc() && end == text.data() + text.size();
}

/// "auto=0|none=-1" in `choices` of a number: words that stand for a value.
std::string ReplaceWord(const ParamSpec& spec, const std::string& text) {
  for (const std::string& pair : Split(spec.choices, '|')) {
    const size_t at = pair.find('=');
    if (at != std::string::npos && Lower(text) == pair.substr(0, at)) return pair.substr(at + 1);
  }
  return text;
}

std::string AllowedRange(const ParamSpec& spec) {
  std::string words;
  for (const std::string& pair : Split(spec.choices, '|')) words += fmt::format(", or '{}'", pair.substr(0, pair.find('=')));
  return fmt::format("{} from {} to {}{}", spec.type == ParamType::kInt ? "a whole number" : "a number", spec.min, spec.max,
                     words);
}

/// Fills `value`, or returns what is wrong.
std::string ParseValue(const ParamSpec& spec, const std::string& text, Value* value) {
  const std::string shown = text.substr(0, 64);
  switch (spec.type) {
    case ParamType::kInt: {
      int64_t v = 0;
      if (!ParseAll(ReplaceWord(spec, text), &v) || static_cast<double>(v) < spec.min || static_cast<double>(v) > spec.max) {
        return fmt::format("parameter '{}' is '{}': must be {}", spec.name, shown, AllowedRange(spec));
      }
      *value = v;
      return "";
    }
    case ParamType::kReal: {
      double v = 0;
      if (!ParseAll(ReplaceWord(spec, text), &v) || !(v >= spec.min && v <= spec.max)) {
        return fmt::format("parameter '{}' is '{}': must be {}", spec.name, shown, AllowedRange(spec));
      }
      *value = v == 0 ? 0.0 : v;  // -0 and 0 are one identity
      return "";
    }
    case ParamType::kBool: {
      const std::string word = Lower(text);
      if (word == "true" || word == "1" || word == "yes" || word == "on") {
        *value = true;
      } else if (word == "false" || word == "0" || word == "no" || word == "off") {
        *value = false;
      } else {
        return fmt::format("parameter '{}' is '{}': must be true or false", spec.name, shown);
      }
      return "";
    }
    case ParamType::kChoice: {
      const std::vector<std::string> choices = Split(spec.choices, '|');
      const std::string word = Lower(text);
      for (const std::string& choice : choices) {
        if (choice == text || Lower(choice) == word) {
          *value = choice;
          return "";
        }
      }
      const std::string nearest = Nearest(text, choices);
      return fmt::format("parameter '{}' is '{}': must be one of {}{}", spec.name, shown, spec.choices,
                         nearest.empty() ? "" : fmt::format(" (did you mean '{}'?)", nearest));
    }
    case ParamType::kText:
      // What the text means is the algorithm's to check (in Fit); here only its length, and that it is plain.
      if (static_cast<double>(text.size()) < spec.min || static_cast<double>(text.size()) > spec.max ||
          !std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c < 127; })) {
        return fmt::format("parameter '{}' is '{}': must be {} in {} to {} plain characters", spec.name, shown, spec.choices,
                           spec.min, spec.max);
      }
      *value = text;
      return "";
  }
  return fmt::format("parameter '{}' has an unknown type", spec.name);
}

/// Asking for a parameter that the descriptor does not declare is a mistake in the program, not in its input.
template <typename T, typename Map>
const T& Get(const Map& values, std::string_view name) {
  const auto it = values.find(name);
  const T* value = it == values.end() ? nullptr : std::get_if<T>(&it->second);
  if (value == nullptr) {
    std::fprintf(stderr, "parameter '%.*s' is not declared with this type\n", static_cast<int>(name.size()), name.data());
    std::abort();
  }
  return *value;
}

}  // namespace

absl::StatusOr<ParamSet> ParamSet::Make(std::span<const ParamSpec> specs, const std::map<std::string, std::string>& given) {
  ParamSet set;
  std::string mistakes;
  const auto add = [&mistakes](const std::string& text) { mistakes += (mistakes.empty() ? "" : "; ") + text; };
  std::vector<std::string> names;
  for (const ParamSpec& spec : specs) names.emplace_back(spec.name);
  for (const auto& [name, text] : given) {
    if (std::find(names.begin(), names.end(), name) != names.end()) continue;
    const std::string nearest = Nearest(name, names);
    const std::string hint = !nearest.empty() ? fmt::format(" (did you mean '{}'?)", nearest)
                             : names.empty()  ? std::string(" (this algorithm has no parameters)")
                                              : fmt::format(" (known: {})", fmt::join(names, ", "));
    add(fmt::format("unknown parameter '{}'{}", name.substr(0, 64), hint));
  }
  for (const ParamSpec& spec : specs) {
    const auto it = given.find(std::string(spec.name));
    Value value;
    const std::string wrong = ParseValue(spec, it == given.end() ? std::string(spec.default_value) : it->second, &value);
    if (!wrong.empty()) add(wrong);
    set.values_.emplace(std::string(spec.name), std::move(value));
  }
  if (!mistakes.empty()) return absl::InvalidArgumentError(mistakes);
  return set;
}

int64_t ParamSet::Int(std::string_view name) const { return Get<int64_t>(values_, name); }
double ParamSet::Real(std::string_view name) const { return Get<double>(values_, name); }
bool ParamSet::Bool(std::string_view name) const { return Get<bool>(values_, name); }
const std::string& ParamSet::Choice(std::string_view name) const { return Get<std::string>(values_, name); }

std::map<std::string, std::string> ParamSet::Canonical() const {
  std::map<std::string, std::string> out;
  for (const auto& [name, value] : values_) {
    out[name] = std::visit(
        [](const auto& v) {
          using T = std::decay_t<decltype(v)>;
          if constexpr (std::is_same_v<T, std::string>) return v;
          else return fmt::format("{}", v);  // shortest text that reads back to the same double
        },
        value);
  }
  return out;
}

std::string Nearest(std::string_view word, std::span<const std::string> candidates) {
  const std::string w = Lower(word.substr(0, 64));
  std::string best;
  size_t best_distance = std::max<size_t>(1, w.size() / 3) + 1;  // about a third of the letters may be wrong
  for (const std::string& candidate : candidates) {
    const std::string c = Lower(candidate);
    // Edit distance in which exchanging two neighbours is one edit ("lable"): Levenshtein's, row by row, with a look back.
    std::vector<size_t> before, above, row(c.size() + 1);
    for (size_t j = 0; j <= c.size(); ++j) row[j] = j;
    for (size_t i = 1; i <= w.size(); ++i) {
      before = std::move(above);
      above = row;
      row[0] = i;
      for (size_t j = 1; j <= c.size(); ++j) {
        row[j] = std::min({above[j] + 1, row[j - 1] + 1, above[j - 1] + (w[i - 1] == c[j - 1] ? 0 : 1)});
        if (i > 1 && j > 1 && w[i - 1] == c[j - 2] && w[i - 2] == c[j - 1]) row[j] = std::min(row[j], before[j - 2] + 1);
      }
    }
    if (row[c.size()] < best_distance) {
      best_distance = row[c.size()];
      best = candidate;
    }
  }
  return best;
}

}  // namespace vedette::outlier
