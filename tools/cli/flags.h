// Flags, declared once as data: parsed, checked, documented and suggested from the same table.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace vedette::cli {

enum class FlagType {
  kSwitch,  ///< --quiet
  kText,    ///< --output FILE
  kInt,     ///< within [min, max]
  kReal,    ///< within [min, max]
  kChoice,  ///< one of choices: "table|json|csv"
  kList,    ///< a,b,c; may be given again
  kPairs,   ///< key=value; may be given again
};

struct Flag {
  std::string_view name;  ///< without the dashes
  FlagType type = FlagType::kText;
  std::string_view value_name = {};     ///< "FILE"; shown in help
  std::string_view default_value = {};  ///< as typed; empty: none
  double min = 0, max = 0;              ///< inclusive
  std::string_view choices = {};
  std::string_view doc = {};  ///< one sentence, with the unit
  char letter = 0;            ///< short form: 'o' for -o
};

/// Flags under one heading of the help page.
struct FlagGroup {
  std::string_view title;
  std::span<const Flag> flags;
};

struct Positional {
  std::string_view name;  ///< "FILE"
  std::string_view doc;
  bool required = true;
  bool repeated = false;  ///< only the last one may be
};

/// What was typed, checked and completed with defaults.
class Args {
 public:
  /// True when the user gave the flag (a default does not count).
  bool Given(std::string_view name) const { return given_.contains(name); }
  bool Switch(std::string_view name) const { return given_.contains(name); }
  const std::string& Text(std::string_view name) const;
  int64_t Int(std::string_view name) const;
  double Real(std::string_view name) const;
  const std::vector<std::string>& List(std::string_view name) const;
  const std::map<std::string, std::string>& Pairs(std::string_view name) const;
  /// Positional by its place; "" when it was left out.
  const std::string& At(size_t i) const;
  size_t positionals() const { return positionals_.size(); }
  /// The command line as typed, for "run again with" hints.
  const std::string& program() const { return program_; }

 private:
  friend Args ParseArgs(std::span<const FlagGroup>, std::span<const Positional>, std::span<const std::string>,
                        std::vector<std::string>*);
  struct Parser;
  std::string program_;
  std::vector<std::string> positionals_;
  std::map<std::string, bool, std::less<>> given_;
  std::map<std::string, std::string, std::less<>> texts_;
  std::map<std::string, int64_t, std::less<>> ints_;
  std::map<std::string, double, std::less<>> reals_;
  std::map<std::string, std::vector<std::string>, std::less<>> lists_;
  std::map<std::string, std::map<std::string, std::string>, std::less<>> pairs_;
};

/// Parses "--name value", "--name=value", "-o value", "--" and positionals ("-" is one: standard input). Appends every
/// mistake, one sentence each, with the nearest valid name or the allowed values; what was wrong keeps its default.
Args ParseArgs(std::span<const FlagGroup> groups, std::span<const Positional> positionals,
               std::span<const std::string> words, std::vector<std::string>* mistakes);

/// "a|b|c" -> {"a", "b", "c"}; also for other separators.
std::vector<std::string> Split(std::string_view text, char separator);

/// ", did you mean X?" or "" when nothing is near.
std::string DidYouMean(std::string_view word, std::span<const std::string> candidates, std::string_view prefix = "");

}  // namespace vedette::cli
