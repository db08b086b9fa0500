// Typed algorithm parameters: declared once in a descriptor, checked once, read by algorithms without parsing.
#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace vedette::outlier {

enum class ParamType { kInt, kReal, kBool, kChoice, kText };

/// One parameter. Everything but the name is for documentation and validation; constexpr-friendly.
struct ParamSpec {
  std::string_view name;
  ParamType type = ParamType::kInt;
  std::string_view default_value;         ///< in the form that a user types
  double min = 0, max = 0;                ///< inclusive, for kInt and kReal; of the length for kText
  /// kChoice: "euclidean|manhattan"; numbers: words for values, "auto=0"; kText: the form, for messages: "NAME+NAME..."
  std::string_view choices = {};
  std::string_view summary;               ///< one sentence, with the unit and the paper's advice
};

/// Validated values, complete with defaults.
class ParamSet {
 public:
  /// Checks `given` (name -> text) against the specs and fills in defaults. All mistakes are reported at once, each with
  /// the nearest valid name or the allowed range: "unknown parameter 'n_neigbors' (did you mean 'n_neighbors'?)".
  static absl::StatusOr<ParamSet> Make(std::span<const ParamSpec> specs, const std::map<std::string, std::string>& given);

  int64_t Int(std::string_view name) const;
  double Real(std::string_view name) const;
  bool Bool(std::string_view name) const;
  const std::string& Choice(std::string_view name) const;
  const std::string& Text(std::string_view name) const { return Choice(name); }

  /// Canonical text of every parameter, sorted by name: part of a model's identity.
  std::map<std::string, std::string> Canonical() const;

 private:
  std::map<std::string, std::variant<int64_t, double, bool, std::string>, std::less<>> values_;
};

/// The candidate closest to `word` by edit distance, or "" when none is near.
std::string Nearest(std::string_view word, std::span<const std::string> candidates);

}  // namespace vedette::outlier
