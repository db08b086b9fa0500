#include "services/gateway/adapters/api.h"

#include <google/protobuf/descriptor.pb.h>

#include <set>

#include "base/status.h"
#include "google/api/annotations.pb.h"
#include "vedette/common/v1/options.pb.h"

// vedette.protoset, with comments (see protos/CMakeLists.txt).
asm(".section .rodata\n"
    ".balign 16\n"
    ".globl vedette_gateway_protoset_begin\n"
    "vedette_gateway_protoset_begin:\n"
    ".incbin \"" VEDETTE_PROTOSET
    "\"\n"
    ".globl vedette_gateway_protoset_end\n"
    "vedette_gateway_protoset_end:\n"
    ".byte 0\n"
    ".text\n");
extern "C" const char vedette_gateway_protoset_begin[];
extern "C" const char vedette_gateway_protoset_end[];

namespace vedette::gateway {
namespace {

using google::api::HttpRule;
using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::MethodDescriptor;

/// Packages whose service has another name than the package: vedette.jobs.v1 is served by job-orchestrator.
constexpr std::pair<std::string_view, std::string_view> kServices[] = {
    {"features", "feature-engine"}, {"modelcache", "model-cache"}, {"jobs", "job-orchestrator"}};

std::string ServiceOf(std::string_view package) {
  constexpr std::string_view kPrefix = "vedette.";
  if (package.starts_with(kPrefix)) package.remove_prefix(kPrefix.size());
  package = package.substr(0, package.find('.'));
  for (const auto& [name, service] : kServices) {
    if (name == package) return std::string(service);
  }
  return std::string(package);
}

/// The field that a variable names: a string of the request, or of a message inside it.
const FieldDescriptor* StringField(const Descriptor* type, std::string_view path) {
  while (type != nullptr) {
    const size_t dot = path.find('.');
    const FieldDescriptor* field = type->FindFieldByName(std::string(path.substr(0, dot)));
    if (field == nullptr || field->is_repeated()) return nullptr;
    if (dot == std::string_view::npos) return field->type() == FieldDescriptor::TYPE_STRING ? field : nullptr;
    path.remove_prefix(dot + 1);
    type = field->message_type();
  }
  return nullptr;
}

std::pair<std::string, std::string> Pattern(const HttpRule& rule) {
  switch (rule.pattern_case()) {
    case HttpRule::kGet:
      return {"GET", rule.get()};
    case HttpRule::kPut:
      return {"PUT", rule.put()};
    case HttpRule::kPost:
      return {"POST", rule.post()};
    case HttpRule::kDelete:
      return {"DELETE", rule.delete_()};
    case HttpRule::kPatch:
      return {"PATCH", rule.patch()};
    default:
      return {};
  }
}

absl::StatusOr<Binding> Bind(const MethodDescriptor& rpc, const HttpRule& rule) {
  Binding out;
  out.rpc = &rpc;
  out.service = ServiceOf(rpc.file()->package());
  out.rpc_path = fmt::format("/{}/{}", rpc.service()->full_name(), rpc.name());
  out.permission = rpc.options().GetExtension(common::v1::permission);
  const auto [method, path] = Pattern(rule);
  if (method.empty()) return InvalidArgument("{}: a rule needs get, put, post, delete or patch", rpc.full_name());
  out.http_method = method;
  ASSIGN_OR_RETURN(out.path, PathTemplate::Parse(path));
  for (const PathVariable& variable : out.path.variables) {
    if (StringField(rpc.input_type(), variable.field_path) == nullptr) {
      return InvalidArgument("{}: {} is no string field of {}", rpc.full_name(), variable.field_path,
                             rpc.input_type()->full_name());
    }
  }
  if (rule.body() == "*") {
    out.whole_body = true;
  } else if (!rule.body().empty()) {
    out.body_field = rpc.input_type()->FindFieldByName(rule.body());
    if (out.body_field == nullptr || out.body_field->is_repeated() || out.body_field->message_type() == nullptr) {
      return InvalidArgument("{}: body \"{}\" is no message field of {}", rpc.full_name(), rule.body(),
                             rpc.input_type()->full_name());
    }
  }
  if (out.has_body() && (method == "GET" || method == "DELETE"))
    return InvalidArgument("{}: {} has no body", rpc.full_name(), method);
  if (!rule.response_body().empty()) return InvalidArgument("{}: response_body is not supported", rpc.full_name());
  if (rpc.client_streaming())
    return InvalidArgument("{}: a stream of requests cannot be bound to HTTP by a rule", rpc.full_name());
  if (out.permission.empty())
    return InvalidArgument("{}: no permission option (vedette.common.v1.permission)", rpc.full_name());
  return out;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Api>> Api::Load(std::string_view descriptor_set) {
  google::protobuf::FileDescriptorSet set;
  if (!set.ParseFromArray(descriptor_set.data(), static_cast<int>(descriptor_set.size()))) {
    return InvalidArgument("the descriptor set is damaged");
  }
  auto api = std::make_unique<Api>();
  std::vector<std::string> mistakes;
  const auto bind = [&](const MethodDescriptor& rpc, const HttpRule& rule) {
    absl::StatusOr<Binding> binding = Bind(rpc, rule);
    if (binding.ok()) {
      api->bindings_.push_back(*std::move(binding));
    } else {
      mistakes.emplace_back(Message(binding.status()));
    }
  };
  for (const auto& proto : set.file()) {
    const google::protobuf::FileDescriptor* file = api->pool_.BuildFile(proto);
    if (file == nullptr) return InvalidArgument("the descriptor set is not complete at {}", proto.name());
    for (int s = 0; s < file->service_count(); ++s) {
      for (int m = 0; m < file->service(s)->method_count(); ++m) {
        const MethodDescriptor& rpc = *file->service(s)->method(m);
        if (!rpc.options().HasExtension(google::api::http)) continue;
        const HttpRule& rule = rpc.options().GetExtension(google::api::http);
        bind(rpc, rule);
        for (const HttpRule& more : rule.additional_bindings()) bind(rpc, more);
      }
    }
  }
  if (!mistakes.empty()) return InvalidArgument("http rules: {}", fmt::join(mistakes, "; "));
  return api;
}

absl::StatusOr<std::unique_ptr<Api>> Api::LoadBuiltIn() {
  return Load({vedette_gateway_protoset_begin,
               static_cast<size_t>(vedette_gateway_protoset_end - vedette_gateway_protoset_begin)});
}

std::vector<std::string> Api::services() const {
  std::set<std::string> names;
  for (const Binding& binding : bindings_) names.insert(binding.service);
  return {names.begin(), names.end()};
}

}  // namespace vedette::gateway
