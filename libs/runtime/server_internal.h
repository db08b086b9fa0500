// Shared by server.cc (life of the server) and rpc.cc (life of one call). Not for users.
#pragma once

#include <absl/container/flat_hash_map.h>
#include <google/protobuf/descriptor.h>
#include <grpcpp/alarm.h>
#include <grpcpp/impl/service_type.h>
#include <grpcpp/server.h>

#include <atomic>
#include <condition_variable>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "runtime/permissions.h"
#include "runtime/server.h"
#include "runtime/work_pool.h"

namespace vedette::runtime {

/// What is known about an RPC method, and its metrics.
struct Method {
  std::string service, name, full_name;  ///< full_name: "package.Service/Method"
  std::string permission;
  std::string type;  ///< unary, server_stream, client_stream, bidi_stream
  prometheus::Counter* started = nullptr;
  prometheus::Histogram* seconds = nullptr;
};

struct Server::State {
  State(v1::ServerConfig c, const TokenVerifier& v, Metrics& m) : config(std::move(c)), verifier(v), metrics(m) {}

  const v1::ServerConfig config;
  const TokenVerifier& verifier;
  Metrics& metrics;
  std::function<absl::Status(const google::protobuf::Message&)> request_check;

  using MessageTypes = std::pair<const google::protobuf::Descriptor*, const google::protobuf::Descriptor*>;
  absl::flat_hash_map<MessageTypes, Method> methods;  ///< written before Start only
  std::vector<std::pair<std::string, std::unique_ptr<grpc::Service>>> services;
  std::vector<std::pair<std::string, std::function<absl::Status()>>> readiness;
  std::vector<std::string> mistakes;  ///< of AddService, reported by Start

  std::unique_ptr<WorkPool> unary_pool, stream_pool;
  std::unique_ptr<grpc::Server> server;
  int port = 0;
  std::atomic<bool> serving{false};
  std::stop_source drain;
  std::jthread readiness_thread;
  bool stopped = false;

  std::mutex calls_mutex;
  std::condition_variable calls_changed;
  int64_t open_calls = 0;  ///< CallStates alive
  bool draining = false;   ///< new calls are refused

  /// False when the server drains; the call is counted all the same.
  bool Enter() {
    const std::lock_guard lock(calls_mutex);
    ++open_calls;
    return !draining;
  }
  void Leave() {
    const std::lock_guard lock(calls_mutex);
    --open_calls;
    calls_changed.notify_all();  // under the lock: nothing of this is touched once Stop can go on
  }

  const Method* Find(const google::protobuf::Descriptor* request, const google::protobuf::Descriptor* response) const {
    const auto it = methods.find({request, response});
    return it == methods.end() ? nullptr : &it->second;
  }
  prometheus::Counter& Handled(const Method& method, const std::string& code) {
    return metrics.Counter("grpc_server_handled_total", "RPCs completed, by status code",
                           {{"grpc_type", method.type},
                            {"grpc_service", method.service},
                            {"grpc_method", method.name},
                            {"grpc_code", code}});
  }
};

namespace internal {

/// One call, from admission to the last log line. Shared by the reactor, the pool and the deadline's alarm.
class CallState {
 public:
  explicit CallState(Server::State& s) : server(s), refused(!s.Enter()) {}
  ~CallState() { server.Leave(); }
  CallState(const CallState&) = delete;
  CallState& operator=(const CallState&) = delete;

  Server::State& server;
  const bool refused;
  const Method* method = nullptr;
  CallContext context;
  absl::Status admission;  ///< not OK: the call ends with it and the handler never runs
  bool streaming = false;
  absl::Time started;
  std::stop_source stop;
  grpc::Alarm alarm;  ///< fires at a deadline that the server, not the client, has set
};

}  // namespace internal
}  // namespace vedette::runtime
