// What each role may do. The one table of the whole platform; deny by default.
#pragma once

#include <absl/status/status.h>

#include <span>
#include <string_view>

#include "runtime/auth.h"

namespace vedette::runtime {

/// The permission of an RPC that needs no token.
inline constexpr std::string_view kPublicPermission = "public";

struct Role {
  std::string_view name;
  std::string_view doc;
  std::span<const std::string_view> grants;  ///< "area.verb"; "*" stands for any area or any verb
};
/// viewer, analyst, operator, admin, service.
std::span<const Role> Roles();

/// "area.verb" with a known verb: a permission that could never be granted is a mistake in a proto.
absl::Status CheckPermissionName(std::string_view permission);
/// True for the verb "admin" (tenants.admin): such a method stands above tenants, and only services may call it.
bool IsAboveTenants(std::string_view permission);
/// PERMISSION_DENIED (reason PERMISSION_DENIED, metadata permission) unless one of the roles grants it.
absl::Status Authorize(const Identity& identity, std::string_view permission);

}  // namespace vedette::runtime
