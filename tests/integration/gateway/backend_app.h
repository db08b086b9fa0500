// The services behind a gateway, played at the gRPC boundary, and the gateway in front of them, all in the test's
// process. The services are in backend_app.cc: their templates would cost every test file half a minute to compile.
#pragma once

#include <httplib.h>

#include <atomic>
#include <catch2/catch.hpp>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "base/status.h"
#include "runtime/rpc.h"
#include "services/gateway/wiring.h"
#include "support/test_app.h"
#include "vedette/ingest/v1/ingest.pb.h"
#include "vedette/jobs/v1/jobs.pb.h"
#include "vedette/triage/v1/triage.pb.h"

namespace vedette::gateway {

/// What the services saw.
struct Seen {
  std::mutex mutex;
  std::condition_variable changed;
  std::string request_id, trace_id, tenant, token;  ///< of the last call
  jobs::v1::AnalyzeDatasetRequest analyze;
  triage::v1::ListAnomaliesRequest list;
  ingest::v1::UploadDatasetRequest::Metadata upload;
  ingest::v1::UploadDatasetRequest::End end;
  int64_t upload_bytes = 0, largest_part = 0;
  int uploads_broken = 0, calls_cancelled = 0, watches_ended = 0;

  void Note(const runtime::CallContext& call) {
    const std::lock_guard lock(mutex);
    request_id = call.request_id;
    trace_id = call.trace.trace_id;
    tenant = call.tenant;
    token = call.token;
  }
  void Count(int& counter) {
    const std::lock_guard lock(mutex);
    ++counter;
    changed.notify_all();
  }
  bool Await(const int& counter) {
    std::unique_lock lock(mutex);
    return changed.wait_for(lock, std::chrono::seconds(30), [&] { return counter > 0; });
  }
};

class TestGateway {
 public:
  TestGateway() : TestGateway([](v1::Config&) {}) {}
  explicit TestGateway(const std::function<void(v1::Config&)>& change);

  httplib::Client Client(const std::vector<std::string>& roles = {"operator"}) const {
    httplib::Client client("127.0.0.1", port);
    client.set_tcp_nodelay(true);
    client.set_read_timeout(60);
    if (!roles.empty()) client.set_bearer_token_auth(keys.Token("acme", roles));
    return client;
  }
  runtime::App& app() { return *app_; }

  testing::Keys keys;
  Seen seen;
  int port = 0;

 private:
  std::unique_ptr<runtime::App> backend_, app_;
};

/// The error of an answer.
inline nlohmann::json Error(const httplib::Result& result) {
  REQUIRE(result);
  const auto body = nlohmann::json::parse(result->body, nullptr, false);
  INFO(result->body);
  REQUIRE(body.contains("error"));
  CHECK(body["error"]["code"] == result->status);
  return body["error"];
}

}  // namespace vedette::gateway
