#include "runtime/permissions.h"

#include <algorithm>
#include <array>

#include "base/status.h"
#include "runtime/status.h"

namespace vedette::runtime {
namespace {

using std::string_view;

// Verbs: read; use (run a detector on data one sends along); create (ask for work: jobs, explanations); write (change what
// people see); train (upload models); admin (above tenants).
constexpr std::array<string_view, 6> kVerbs = {"read", "use", "create", "write", "train", "admin"};

constexpr std::array<string_view, 1> kViewer = {"*.read"};
constexpr std::array<string_view, 7> kAnalyst = {"*.read",         "*.use",          "*.create",      "datasets.write",
                                                 "feedback.write", "anomalies.write", "features.write"};
constexpr std::array<string_view, 5> kOperator = {"*.read", "*.use", "*.create", "*.write", "*.train"};
constexpr std::array<string_view, 5> kAdmin = {"*.read", "*.use", "*.create", "*.write", "*.train"};
constexpr std::array<string_view, 1> kService = {"*.*"};

constexpr std::array<Role, 5> kRoles = {{
    {"viewer", "reads everything of its tenant", kViewer},
    {"analyst", "uploads data, starts jobs, judges anomalies", kAnalyst},
    {"operator", "runs the tenant: detectors, models, schedules, rules", kOperator},
    {"admin", "everything inside its tenant", kAdmin},
    {"service", "our own background work, in any tenant", kService},
}};

bool Grants(string_view pattern, string_view permission) {
  const auto split = [](string_view s) {
    const size_t dot = s.find('.');
    return std::pair(s.substr(0, dot), dot == string_view::npos ? string_view() : s.substr(dot + 1));
  };
  const auto [area, verb] = split(pattern);
  const auto [wanted_area, wanted_verb] = split(permission);
  return (area == "*" || area == wanted_area) && (verb == "*" || verb == wanted_verb);
}

}  // namespace

std::span<const Role> Roles() { return kRoles; }

absl::Status CheckPermissionName(string_view permission) {
  if (permission == kPublicPermission) return absl::OkStatus();
  const size_t dot = permission.find('.');
  if (dot == string_view::npos || dot == 0 || permission.find('.', dot + 1) != string_view::npos) {
    return InvalidArgument("permission \"{}\" is not of the form area.verb", permission);
  }
  if (std::find(kVerbs.begin(), kVerbs.end(), permission.substr(dot + 1)) == kVerbs.end()) {
    return InvalidArgument("permission \"{}\" has an unknown verb; known: {}", permission, fmt::join(kVerbs, ", "));
  }
  return absl::OkStatus();
}

bool IsAboveTenants(string_view permission) { return permission.ends_with(".admin"); }

absl::Status Authorize(const Identity& identity, string_view permission) {
  for (const Role& role : kRoles) {
    if (!identity.HasRole(role.name)) continue;
    for (const string_view pattern : role.grants) {
      if (Grants(pattern, permission)) return absl::OkStatus();
    }
  }
  return WithReason(absl::PermissionDeniedError(fmt::format("this needs the permission {}", permission)),
                    "PERMISSION_DENIED", {{"permission", std::string(permission)}});
}

}  // namespace vedette::runtime
