#include "runtime/resource_name.h"

#include <fmt/format.h>

#include <cctype>

#include "runtime/status.h"

namespace vedette::runtime {

bool IsUuid(std::string_view id) {
  if (id.size() != 36) return false;
  for (size_t i = 0; i < id.size(); ++i) {
    const bool dash = i == 8 || i == 13 || i == 18 || i == 23;
    if (dash ? id[i] != '-' : std::isxdigit(static_cast<unsigned char>(id[i])) == 0) return false;
  }
  return true;
}

absl::StatusOr<std::string> UuidOf(std::string_view field, std::string_view collection, std::string_view name) {
  const bool ours = name.size() > collection.size() && name.starts_with(collection) && name[collection.size()] == '/';
  const std::string_view id = ours ? name.substr(collection.size() + 1) : std::string_view();
  if (IsUuid(id)) return std::string(id);
  return InvalidField(field, fmt::format("'{}' is not a name like {}/{{uuid}}", name.substr(0, 100), collection));
}

}  // namespace vedette::runtime
