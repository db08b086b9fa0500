#include "services/gateway/core/routing_table.h"

#include <optional>

#include "base/status.h"
#include "services/gateway/core/uri.h"

namespace vedette::gateway {
namespace {

constexpr size_t kMaxPathSegments = 64;

std::string Join(const std::vector<std::string>& segments, size_t begin, size_t end) {
  std::string out;
  for (size_t i = begin; i < end; ++i) {
    if (i > begin) out += '/';
    out += segments[i];
  }
  return out;
}

}  // namespace

struct RoutingTable::Node {
  std::map<std::string, std::unique_ptr<Node>, std::less<>> literals;
  std::unique_ptr<Node> star;
  Leaves leaves;       ///< templates that end here
  Leaves rest_leaves;  ///< templates that end with ** here
};

RoutingTable::RoutingTable() : root_(std::make_unique<Node>()) {}
RoutingTable::~RoutingTable() = default;

absl::Status RoutingTable::Add(std::string_view method, PathTemplate path, int route) {
  Node* node = root_.get();
  Leaves* leaves = nullptr;
  for (const PathSegment& segment : path.segments) {
    if (segment.kind == PathSegment::kDoubleStar) {
      leaves = &node->rest_leaves;
      break;
    }
    std::unique_ptr<Node>& next = segment.kind == PathSegment::kStar ? node->star : node->literals[segment.literal];
    if (next == nullptr) next = std::make_unique<Node>();
    node = next.get();
  }
  if (leaves == nullptr) leaves = &node->leaves;
  const std::pair key(path.verb, std::string(method));
  if (const auto it = leaves->find(key); it != leaves->end()) {
    return absl::AlreadyExistsError(
        fmt::format("{} {} and {} {} match the same paths", method, path.text, method, it->second.path.text));
  }
  if (!path.verb.empty()) verbs_.insert(path.verb);
  leaves->emplace(key, Leaf{std::move(path), route});
  return absl::OkStatus();
}

/// The leaves that answer (verb, method), or any method of the verb, depth first in the order of precedence.
const RoutingTable::Leaves* RoutingTable::Find(const Node& node, const std::vector<std::string>& segments, size_t at,
                                               std::string_view verb, std::string_view method, bool any_method) {
  const auto has = [&](const Leaves& leaves) {
    for (const auto& [key, leaf] : leaves) {
      if (key.first == verb && (any_method || key.second == method)) return true;
    }
    return false;
  };
  if (at == segments.size()) return has(node.leaves) ? &node.leaves : nullptr;
  if (const auto it = node.literals.find(segments[at]); it != node.literals.end()) {
    if (const Leaves* found = Find(*it->second, segments, at + 1, verb, method, any_method)) return found;
  }
  if (node.star != nullptr) {
    if (const Leaves* found = Find(*node.star, segments, at + 1, verb, method, any_method)) return found;
  }
  return has(node.rest_leaves) ? &node.rest_leaves : nullptr;
}

RouteMatch RoutingTable::Match(std::string_view method, std::string_view path) const {
  RouteMatch out;
  if (path.empty() || path.front() != '/') return out;
  const size_t last = path.rfind('/');
  const size_t colon = path.rfind(':');
  std::string_view verb;
  if (colon != std::string_view::npos && colon > last && verbs_.contains(path.substr(colon + 1))) {
    verb = path.substr(colon + 1);
    path = path.substr(0, colon);
  }
  std::vector<std::string> segments;
  for (size_t begin = 1; begin <= path.size();) {
    const size_t end = std::min(path.find('/', begin), path.size());
    std::optional<std::string> segment = DecodeSegment(path.substr(begin, end - begin));
    if (!segment || segments.size() >= kMaxPathSegments) {
      out.outcome = RouteMatch::kBadPath;
      return out;
    }
    segments.push_back(*std::move(segment));
    begin = end + 1;
  }
  const Leaves* leaves = Find(*root_, segments, 0, verb, method, /*any_method=*/false);
  if (leaves == nullptr) {
    if ((leaves = Find(*root_, segments, 0, verb, method, /*any_method=*/true)) == nullptr) return out;
    out.outcome = RouteMatch::kMethodNotAllowed;
    for (const auto& [key, leaf] : *leaves) {
      if (key.first == verb) out.allowed.push_back(key.second);
    }
    return out;
  }
  const Leaf& leaf = leaves->at({std::string(verb), std::string(method)});
  out.outcome = RouteMatch::kFound;
  out.route = leaf.route;
  const size_t template_size = leaf.path.segments.size();
  for (const PathVariable& variable : leaf.path.variables) {
    const bool takes_rest = variable.end == template_size && leaf.path.segments.back().kind == PathSegment::kDoubleStar;
    out.variables.emplace_back(variable.field_path,
                               Join(segments, variable.begin, takes_rest ? segments.size() : variable.end));
  }
  return out;
}

}  // namespace vedette::gateway
