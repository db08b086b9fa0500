#pragma once

#include "runtime/server.h"
#include "services/benchmark/ports/benchmark_store.h"
#include "vedette/benchmark/v1/benchmark.grpc.pb.h"

namespace vedette::benchmark {

class BenchmarkGrpc final : public v1::BenchmarkService::CallbackService {
 public:
  BenchmarkGrpc(runtime::Server& server, BenchmarkStore& store, int min_members)
      : server_(server), store_(store), min_members_(min_members) {}

  grpc::ServerUnaryReactor* CreatePeerGroup(grpc::CallbackServerContext* ctx, const v1::CreatePeerGroupRequest* rq,
                                            v1::PeerGroup* rs) override;
  grpc::ServerUnaryReactor* ListPeerGroups(grpc::CallbackServerContext* ctx, const v1::ListPeerGroupsRequest* rq,
                                           v1::ListPeerGroupsResponse* rs) override;
  grpc::ServerUnaryReactor* RefreshBenchmark(grpc::CallbackServerContext* ctx, const v1::RefreshBenchmarkRequest* rq,
                                             v1::RefreshBenchmarkResponse* rs) override;
  grpc::ServerUnaryReactor* ListBenchmarks(grpc::CallbackServerContext* ctx, const v1::ListBenchmarksRequest* rq,
                                           v1::ListBenchmarksResponse* rs) override;

 private:
  runtime::Server& server_;
  BenchmarkStore& store_;
  int min_members_;
};

}  // namespace vedette::benchmark
