#pragma once

#include <absl/status/status.h>

#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "services/gateway/core/path_template.h"

namespace vedette::gateway {

/// What a path and a method lead to.
struct RouteMatch {
  enum Outcome {
    kFound,
    kBadPath,           ///< a segment that cannot be decoded, or that no resource is named by
    kNotFound,          ///< no template matches the path
    kMethodNotAllowed,  ///< templates match, but not with this method; `allowed` says which
  };
  Outcome outcome = kNotFound;
  int route = -1;                                              ///< as given to Add
  std::vector<std::pair<std::string, std::string>> variables;  ///< field path -> decoded value ("datasets/7")
  std::vector<std::string> allowed;
};

/// All (method, path template) pairs of the gateway. Built once, then read by any thread. Matching takes time linear in
/// the path's length and, at worst, in the number of templates. A literal goes before "*", and "*" before "**".
class RoutingTable {
 public:
  RoutingTable();
  ~RoutingTable();
  /// ALREADY_EXISTS when a template of the same shape has the method already. `method` in upper case.
  absl::Status Add(std::string_view method, PathTemplate path, int route);
  /// `path` as it came, not decoded. The part of the last segment behind its last colon is a verb when any template has
  /// such a verb, and part of the segment otherwise.
  RouteMatch Match(std::string_view method, std::string_view path) const;

 private:
  struct Node;
  struct Leaf {
    PathTemplate path;
    int route = -1;
  };
  using Leaves = std::map<std::pair<std::string, std::string>, Leaf>;  ///< (verb, method)

  static const Leaves* Find(const Node& node, const std::vector<std::string>& segments, size_t at,
                            std::string_view verb, std::string_view method, bool any_method);

  std::unique_ptr<Node> root_;
  std::set<std::string, std::less<>> verbs_;
};

}  // namespace vedette::gateway
