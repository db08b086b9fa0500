#include "outlier/registry.h"

#include <algorithm>

#include "base/status.h"

namespace vedette::outlier {

Catalog::Catalog(std::vector<std::span<const Descriptor* const>> groups) {
  for (const auto& group : groups) all_.insert(all_.end(), group.begin(), group.end());
  std::stable_sort(all_.begin(), all_.end(), [](const Descriptor* a, const Descriptor* b) { return a->name < b->name; });
}

absl::StatusOr<const Descriptor*> Catalog::Find(std::string_view name) const {
  const auto it = std::find_if(all_.begin(), all_.end(), [name](const Descriptor* d) { return d->name == name; });
  if (it != all_.end()) return *it;
  std::vector<std::string> names;
  std::string list;
  for (const Descriptor* d : all_) {
    names.emplace_back(d->name);
    list += (list.empty() ? "" : ", ") + names.back();
  }
  const std::string nearest = Nearest(name, names);
  const std::string shown(name.substr(0, 64));
  if (!nearest.empty()) return NotFound("no algorithm is called '{}' (did you mean '{}'?)", shown, nearest);
  return NotFound("no algorithm is called '{}'; there are: {}", shown, list);
}

absl::StatusOr<std::unique_ptr<Detector>> MakeMember(std::string_view name, const std::map<std::string, std::string>& params) {
  static const Catalog catalog({AllAlgorithms()});
  ASSIGN_OR_RETURN(const Descriptor* descriptor, catalog.Find(name));
  auto set = ParamSet::Make(descriptor->params, params);
  if (!set.ok()) return Annotate(set.status(), name);
  return descriptor->make(*set);
}

}  // namespace vedette::outlier
