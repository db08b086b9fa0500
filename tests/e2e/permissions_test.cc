// Deny by default, over every RPC of every service.
#include <google/protobuf/descriptor.h>
#include <grpcpp/generic/generic_stub.h>

#include <catch2/catch.hpp>

#include "e2e/running_platform.h"
#include "vedette/benchmark/v1/benchmark.pb.h"
#include "vedette/common/v1/options.pb.h"
#include "vedette/detector/v1/detector.pb.h"
#include "vedette/explainer/v1/explainer.pb.h"
#include "vedette/features/v1/features.pb.h"
#include "vedette/ingest/v1/ingest.pb.h"
#include "vedette/modelcache/v1/model_cache.pb.h"

namespace vedette::testing {
namespace {

/// An empty request to a method of any kind; the status that the server ends the call with.
grpc::StatusCode CallEmpty(const std::shared_ptr<grpc::Channel>& channel, const std::string& method, const std::string& token) {
  grpc::GenericStub stub(channel);
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(10));
  if (!token.empty()) context.AddMetadata("authorization", "Bearer " + token);
  grpc::CompletionQueue queue;
  const auto call = stub.PrepareCall(&context, method, &queue);
  void* tag = nullptr;
  bool ok = false;
  call->StartCall(nullptr);
  queue.Next(&tag, &ok);
  if (ok) {
    call->WriteLast(grpc::ByteBuffer(nullptr, 0), grpc::WriteOptions(), nullptr);
    queue.Next(&tag, &ok);
  }
  grpc::Status status;
  call->Finish(&status, nullptr);
  queue.Next(&tag, &ok);
  return status.error_code();
}

struct Served {
  const google::protobuf::FileDescriptor* file;
  std::string service;
};

}  // namespace

TEST_CASE("no RPC answers without a token, or with a bad one, and each names its permission") {
  const RunningPlatform& p = SharedPlatform();
  const std::vector<Served> all = {{ingest::v1::Dataset::descriptor()->file(), "ingest"},
                                   {features::v1::FeatureSet::descriptor()->file(), "feature-engine"},
                                   {detector::v1::Algorithm::descriptor()->file(), "detector"},
                                   {modelcache::v1::Model::descriptor()->file(), "model-cache"},
                                   {explainer::v1::Explanation::descriptor()->file(), "explainer"},
                                   {triage::v1::Anomaly::descriptor()->file(), "triage"},
                                   {benchmark::v1::PeerGroup::descriptor()->file(), "benchmark"},
                                   {jobs::v1::Job::descriptor()->file(), "job-orchestrator"}};
  int methods = 0;
  for (const Served& served : all) {
    const auto channel = p.Channel(served.service);
    for (int s = 0; s < served.file->service_count(); ++s) {
      const auto* service = served.file->service(s);
      for (int m = 0; m < service->method_count(); ++m) {
        const auto* method = service->method(m);
        INFO(method->full_name());
        CHECK_FALSE(method->options().GetExtension(common::v1::permission).empty());
        const std::string path = "/" + service->full_name() + "/" + method->name();
        CHECK(CallEmpty(channel, path, "") == grpc::StatusCode::UNAUTHENTICATED);
        CHECK(CallEmpty(channel, path, "not.a.token") == grpc::StatusCode::UNAUTHENTICATED);
        ++methods;
      }
    }
  }
  CHECK(methods >= 50);
}

TEST_CASE("a tenant's administrator may not touch what stands above tenants") {
  const RunningPlatform& p = SharedPlatform();
  CHECK(CallEmpty(p.Channel("ingest"), "/vedette.ingest.v1.IngestService/ListTenants", p.token()) == grpc::StatusCode::PERMISSION_DENIED);
}

}  // namespace vedette::testing
