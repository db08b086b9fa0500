#include "services/gateway/adapters/api.h"

#include <google/protobuf/descriptor.pb.h>

#include <catch2/catch.hpp>
#include <functional>

#include "base/status.h"
#include "google/api/annotations.pb.h"
#include "services/gateway/core/routing_table.h"
#include "vedette/common/v1/options.pb.h"

namespace vedette::gateway {
namespace {

using google::protobuf::FileDescriptorSet;

/// One service with one RPC, that `change` may spoil.
std::string OneRpc(const std::function<void(google::protobuf::MethodDescriptorProto*)>& change) {
  FileDescriptorSet set;
  auto* file = set.add_file();
  file->set_name("test.proto");
  file->set_package("vedette.test.v1");
  file->set_syntax("proto3");
  auto* message = file->add_message_type();
  message->set_name("Thing");
  for (const auto& [name, type, number] :
       {std::tuple{"name", google::protobuf::FieldDescriptorProto::TYPE_STRING, 1},
        std::tuple{"count", google::protobuf::FieldDescriptorProto::TYPE_INT32, 2}}) {
    auto* field = message->add_field();
    field->set_name(name);
    field->set_number(number);
    field->set_type(type);
    field->set_label(google::protobuf::FieldDescriptorProto::LABEL_OPTIONAL);
  }
  auto* rpc = file->add_service()->add_method();
  file->mutable_service(0)->set_name("Things");
  rpc->set_name("Get");
  rpc->set_input_type(".vedette.test.v1.Thing");
  rpc->set_output_type(".vedette.test.v1.Thing");
  rpc->mutable_options()->MutableExtension(google::api::http)->set_get("/v1/{name=things/*}");
  rpc->mutable_options()->SetExtension(common::v1::permission, "things.read");
  change(rpc);
  return set.SerializeAsString();
}

google::api::HttpRule* Rule(google::protobuf::MethodDescriptorProto* rpc) {
  return rpc->mutable_options()->MutableExtension(google::api::http);
}

}  // namespace

TEST_CASE("the API that the program was built with is complete and free of conflicts", "[gateway]") {
  const auto api = Api::LoadBuiltIn();
  INFO(api.status().ToString());
  REQUIRE(api.ok());
  CHECK((*api)->services() == std::vector<std::string>{"benchmark", "detector", "explainer", "feature-engine", "ingest",
                                                       "job-orchestrator", "model-cache", "triage"});
  RoutingTable table;
  int route = 0;
  for (const Binding& binding : (*api)->bindings()) {
    const absl::Status status = table.Add(binding.http_method, binding.path, route++);
    INFO(status.ToString());
    CHECK(status.ok());
    CHECK_FALSE(binding.permission.empty());
  }
  CHECK(route >= 40);
}

TEST_CASE("additional bindings are bindings", "[gateway]") {
  const auto api =
      Api::Load(OneRpc([](auto* rpc) { Rule(rpc)->add_additional_bindings()->set_post("/v1/things:get"); }));
  REQUIRE(api.ok());
  REQUIRE((*api)->bindings().size() == 2);
  CHECK((*api)->bindings()[0].service == "test");
  CHECK((*api)->bindings()[0].rpc_path == "/vedette.test.v1.Things/Get");
  CHECK((*api)->bindings()[1].http_method == "POST");
}

TEST_CASE("a mistake in a rule is found at the start", "[gateway]") {
  using Rpc = google::protobuf::MethodDescriptorProto;
  const std::pair<std::function<void(Rpc*)>, const char*> cases[] = {
      {[](Rpc* rpc) { Rule(rpc)->set_get("/v1/{name"); }, "expected }"},
      {[](Rpc* rpc) { Rule(rpc)->set_get("/v1/{nam=things/*}"); }, "nam is no string field"},
      {[](Rpc* rpc) { Rule(rpc)->set_get("/v1/things/{count}"); }, "count is no string field"},
      {[](Rpc* rpc) { Rule(rpc)->set_body("*"); }, "GET has no body"},
      {[](Rpc* rpc) { Rule(rpc)->set_post("/v1/things"), Rule(rpc)->set_body("name"); }, "no message field"},
      {[](Rpc* rpc) { rpc->set_client_streaming(true); }, "stream of requests"},
      {[](Rpc* rpc) { Rule(rpc)->set_response_body("name"); }, "response_body"},
      {[](Rpc* rpc) { Rule(rpc)->clear_pattern(); }, "a rule needs"},
      {[](Rpc* rpc) { rpc->mutable_options()->ClearExtension(common::v1::permission); }, "no permission"}};
  for (const auto& [spoil, expected] : cases) {
    const absl::Status status = Api::Load(OneRpc(spoil)).status();
    INFO(expected);
    CHECK(status.code() == absl::StatusCode::kInvalidArgument);
    CHECK(std::string(status.message()).find(expected) != std::string::npos);
  }
  CHECK_FALSE(Api::Load("not a descriptor set").ok());
}

}  // namespace vedette::gateway
