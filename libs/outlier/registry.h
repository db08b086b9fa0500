// The one list of algorithms. CMake writes AllAlgorithms() from the files of algorithms/ (a file's stem must be its
// descriptor's name); no static registration. Families that live elsewhere (libs/neural) are joined in a Catalog.
#pragma once

#include <absl/status/statusor.h>

#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "outlier/detector.h"

namespace vedette::outlier {

/// The tabular algorithms of this library, sorted by name.
std::span<const Descriptor* const> AllAlgorithms();

/// A detector for algorithms that are made of others: `name` from AllAlgorithms(), other parameters at their defaults.
/// Errors: NOT_FOUND with the nearest name; INVALID_ARGUMENT for parameters.
absl::StatusOr<std::unique_ptr<Detector>> MakeMember(std::string_view name, const std::map<std::string, std::string>& params = {});

/// What a program offers: built once at start (see tools and services/detector), then read-only.
class Catalog {
 public:
  explicit Catalog(std::vector<std::span<const Descriptor* const>> groups);
  std::span<const Descriptor* const> all() const { return all_; }
  /// NOT_FOUND with the nearest name.
  absl::StatusOr<const Descriptor*> Find(std::string_view name) const;

 private:
  std::vector<const Descriptor*> all_;
};

}  // namespace vedette::outlier
