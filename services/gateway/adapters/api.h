// The API as the protos describe it: every RPC with a google.api.http rule, found at run time.
#pragma once

#include <absl/status/statusor.h>
#include <google/protobuf/descriptor.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "services/gateway/core/path_template.h"

namespace vedette::gateway {

/// One way to call an RPC over HTTP.
struct Binding {
  const google::protobuf::MethodDescriptor* rpc = nullptr;
  std::string service;      ///< name of the endpoint in the configuration ("job-orchestrator")
  std::string rpc_path;     ///< "/vedette.jobs.v1.JobService/GetJob"
  std::string permission;   ///< "jobs.read"
  std::string http_method;  ///< upper case
  PathTemplate path;
  bool whole_body = false;                                        ///< body: "*"
  const google::protobuf::FieldDescriptor* body_field = nullptr;  ///< body: "field"

  bool has_body() const { return whole_body || body_field != nullptr; }
  bool streams() const { return rpc->server_streaming(); }
};

/// The protos with their comments. Immutable, thread-safe.
class Api {
 public:
  /// From a serialized google.protobuf.FileDescriptorSet whose imports come first. INVALID_ARGUMENT with every mistake
  /// in a rule: a template that does not parse, a variable that is no string field of the request, a body that is no
  /// message field, a client stream, a missing permission.
  static absl::StatusOr<std::unique_ptr<Api>> Load(std::string_view descriptor_set);
  /// The protos that this program was built with.
  static absl::StatusOr<std::unique_ptr<Api>> LoadBuiltIn();

  const google::protobuf::DescriptorPool& pool() const { return pool_; }
  /// In the order of the files and of the RPCs in them.
  const std::vector<Binding>& bindings() const { return bindings_; }
  /// Names of the endpoints that the bindings lead to, sorted.
  std::vector<std::string> services() const;

 private:
  google::protobuf::DescriptorPool pool_;
  std::vector<Binding> bindings_;
};

/// The comment before a declaration, without the blanks at its lines' beginnings; empty when there is none.
template <typename Descriptor>
std::string Comment(const Descriptor& descriptor) {
  google::protobuf::SourceLocation where;
  if (!descriptor.GetSourceLocation(&where)) return {};
  std::string out;
  for (const std::string& comment : {where.leading_comments, where.trailing_comments}) {
    if (comment.empty()) continue;
    bool line_begins = true;
    for (const char c : comment) {
      if (line_begins && c == ' ') continue;
      line_begins = c == '\n';
      out.push_back(c);
    }
    break;
  }
  while (!out.empty() && out.back() == '\n') out.pop_back();
  return out;
}

}  // namespace vedette::gateway
