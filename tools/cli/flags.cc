#include "cli/flags.h"

#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <cstdlib>

#include "outlier/params.h"

namespace vedette::cli {
namespace {

template <typename Map>
const auto& Lookup(const Map& map, std::string_view name) {
  const auto it = map.find(name);
  if (it == map.end()) {
    // A command that reads a flag it did not declare is a programming error, found by the first test that runs it.
    fmt::print(stderr, "vedette: internal error: flag --{} is not declared with this type\n", name);
    std::abort();
  }
  return it->second;
}

template <typename T>
bool ParseWhole(std::string_view text, T* value) {
  if (text.starts_with('+')) text.remove_prefix(1);
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), *value);
  return error == std::errc() && end == text.data() + text.size() && !text.empty();
}

std::string Bound(double v) { return fmt::format("{}", v); }

}  // namespace

std::vector<std::string> Split(std::string_view text, char separator) {
  std::vector<std::string> out;
  while (true) {
    const size_t at = text.find(separator);
    if (const std::string_view part = text.substr(0, at); !part.empty()) out.emplace_back(part);
    if (at == std::string_view::npos) return out;
    text.remove_prefix(at + 1);
  }
}

std::string DidYouMean(std::string_view word, std::span<const std::string> candidates, std::string_view prefix) {
  const std::string nearest = outlier::Nearest(word, candidates);
  return nearest.empty() ? "" : fmt::format(" (did you mean {}{}?)", prefix, nearest);
}

const std::string& Args::Text(std::string_view name) const { return Lookup(texts_, name); }
int64_t Args::Int(std::string_view name) const { return Lookup(ints_, name); }
double Args::Real(std::string_view name) const { return Lookup(reals_, name); }
const std::vector<std::string>& Args::List(std::string_view name) const { return Lookup(lists_, name); }
const std::map<std::string, std::string>& Args::Pairs(std::string_view name) const { return Lookup(pairs_, name); }
const std::string& Args::At(size_t i) const {
  static const std::string kNone;
  return i < positionals_.size() ? positionals_[i] : kNone;
}

struct Args::Parser {
  std::span<const FlagGroup> groups;
  std::vector<std::string>* mistakes;
  Args args;

  const Flag* Find(std::string_view name) const {
    for (const auto& group : groups) {
      for (const auto& flag : group.flags) {
        if (flag.name == name) return &flag;
      }
    }
    return nullptr;
  }
  const Flag* FindLetter(char letter) const {
    for (const auto& group : groups) {
      for (const auto& flag : group.flags) {
        if (flag.letter != 0 && flag.letter == letter) return &flag;
      }
    }
    return nullptr;
  }

  void Defaults() {
    for (const auto& group : groups) {
      for (const auto& flag : group.flags) {
        const std::string name(flag.name);
        switch (flag.type) {
          case FlagType::kSwitch:
            break;
          case FlagType::kList:
            args.lists_[name] = Split(flag.default_value, ',');
            break;
          case FlagType::kPairs:
            args.pairs_[name];
            break;
          case FlagType::kInt:
            args.ints_[name];
            break;
          case FlagType::kReal:
            args.reals_[name];
            break;
          case FlagType::kText:
          case FlagType::kChoice:
            args.texts_[name];
            break;
        }
        if (!flag.default_value.empty() && flag.type != FlagType::kList) Set(flag, flag.default_value);
      }
    }
  }

  template <typename T>
  void SetNumber(const Flag& flag, std::string_view text, std::map<std::string, T, std::less<>>& into) {
    T value{};
    if (!ParseWhole(text, &value) || !std::isfinite(static_cast<double>(value))) {
      mistakes->push_back(fmt::format("--{} needs {}, not '{}'", flag.name,
                                      flag.type == FlagType::kInt ? "a whole number" : "a number", text));
    } else if (static_cast<double>(value) < flag.min || static_cast<double>(value) > flag.max) {
      mistakes->push_back(
          fmt::format("--{} must be between {} and {}, not {}", flag.name, Bound(flag.min), Bound(flag.max), text));
    } else {
      into[std::string(flag.name)] = value;
    }
  }

  void SetPair(const Flag& flag, std::string_view text) {
    const size_t eq = text.find('=');
    if (eq == std::string_view::npos || eq == 0) {
      mistakes->push_back(fmt::format("--{} needs {}, not '{}'", flag.name, flag.value_name, text));
      return;
    }
    auto& pairs = args.pairs_[std::string(flag.name)];
    if (!pairs.emplace(text.substr(0, eq), text.substr(eq + 1)).second) {
      mistakes->push_back(fmt::format("--{} {} is given twice", flag.name, text.substr(0, eq)));
    }
  }

  void SetChoice(const Flag& flag, std::string_view text) {
    const auto choices = Split(flag.choices, '|');
    for (const auto& choice : choices) {
      if (choice == text) {
        args.texts_[std::string(flag.name)] = choice;
        return;
      }
    }
    mistakes->push_back(fmt::format("--{} must be one of {}, not '{}'{}", flag.name, fmt::join(choices, ", "), text,
                                    DidYouMean(text, choices)));
  }

  void Set(const Flag& flag, std::string_view text) {
    switch (flag.type) {
      case FlagType::kSwitch:
        break;
      case FlagType::kText:
        args.texts_[std::string(flag.name)] = text;
        break;
      case FlagType::kInt:
        SetNumber(flag, text, args.ints_);
        break;
      case FlagType::kReal:
        SetNumber(flag, text, args.reals_);
        break;
      case FlagType::kChoice:
        SetChoice(flag, text);
        break;
      case FlagType::kPairs:
        SetPair(flag, text);
        break;
      case FlagType::kList: {
        auto& list = args.lists_[std::string(flag.name)];
        if (!args.Given(flag.name)) list.clear();  // the default
        for (auto& part : Split(text, ',')) list.push_back(std::move(part));
        break;
      }
    }
  }

  void Unknown(std::string_view dashes, std::string_view name) {
    std::vector<std::string> names = {"help"};
    for (const auto& group : groups) {
      for (const auto& flag : group.flags) names.emplace_back(flag.name);
    }
    mistakes->push_back(fmt::format("unknown option {}{}{}", dashes, name, DidYouMean(name, names, "--")));
  }

  /// Takes the option at words[*i] and, where it needs one, its value; moves *i past both.
  void Option(std::span<const std::string> words, size_t* i) {
    const std::string_view word = words[(*i)++];
    const bool is_long = word.starts_with("--");
    const size_t eq = is_long ? word.find('=') : std::string_view::npos;
    const std::string_view name = word.substr(is_long ? 2 : 1, eq == std::string_view::npos ? eq : eq - 2);
    const Flag* flag = is_long ? Find(name) : name.size() == 1 ? FindLetter(name[0]) : nullptr;
    const bool more = *i < words.size();
    if (flag == nullptr) {
      Unknown(is_long ? "--" : "-", name);
      // What follows is more likely the value of the mistyped option than an argument of its own.
      if (eq == std::string_view::npos && more && !words[*i].starts_with("-") && is_long) ++*i;
      return;
    }
    if (flag->type == FlagType::kSwitch) {
      if (eq != std::string_view::npos) mistakes->push_back(fmt::format("--{} takes no value", flag->name));
    } else if (eq != std::string_view::npos) {
      if (word.size() == eq + 1 && flag->type != FlagType::kList) {
        mistakes->push_back(fmt::format("--{} needs a value ({})", flag->name, flag->value_name));
      } else {
        Value(*flag, word.substr(eq + 1));
      }
    } else if (!more || (words[*i].starts_with("--") && words[*i].size() > 2)) {
      mistakes->push_back(fmt::format("--{} needs a value ({})", flag->name, flag->value_name));
    } else {
      Value(*flag, words[(*i)++]);
    }
    args.given_[std::string(flag->name)] = true;
  }

  void Value(const Flag& flag, std::string_view text) {
    const bool repeatable = flag.type == FlagType::kList || flag.type == FlagType::kPairs;
    if (!repeatable && args.Given(flag.name)) {
      mistakes->push_back(fmt::format("--{} is given twice", flag.name));
      return;
    }
    Set(flag, text);
  }
};

Args ParseArgs(std::span<const FlagGroup> groups, std::span<const Positional> positionals,
               std::span<const std::string> words, std::vector<std::string>* mistakes) {
  Args::Parser parser{groups, mistakes, {}};
  parser.Defaults();
  bool options = true;
  for (size_t i = 0; i < words.size();) {
    if (options && words[i] == "--") {
      options = false;
      ++i;
    } else if (options && words[i].size() > 1 && words[i][0] == '-') {
      parser.Option(words, &i);
    } else {
      parser.args.positionals_.push_back(words[i++]);
    }
  }
  const auto& got = parser.args.positionals_;
  for (size_t i = got.size(); i < positionals.size() && positionals[i].required; ++i) {
    mistakes->push_back(fmt::format("{} is missing ({})", positionals[i].name, positionals[i].doc));
  }
  const bool open_ended = !positionals.empty() && positionals.back().repeated;
  for (size_t i = positionals.size(); i < got.size() && !open_ended; ++i) {
    mistakes->push_back(fmt::format("unexpected argument '{}'", got[i]));
  }
  return std::move(parser.args);
}

}  // namespace vedette::cli
