// The echo service, with handlers that a test can replace.
#pragma once

#include <functional>

#include "echo.grpc.pb.h"
#include "runtime/rpc.h"

namespace vedette::runtime {

namespace pb = vedette::test::echo::v1;

struct EchoHandlers {
  std::function<absl::Status(const pb::SayRequest&, pb::SayResponse*, CallContext&)> say =
      [](const pb::SayRequest& request, pb::SayResponse* response, CallContext& call) {
        response->set_text(request.text());
        response->set_tenant(call.tenant);
        response->set_subject(call.identity.subject);
        response->set_request_id(call.request_id);
        response->set_trace_id(call.trace.trace_id);
        return absl::OkStatus();
      };
  std::function<absl::Status(const pb::CountRequest&, Writer<pb::CountResponse>&, CallContext&)> count =
      [](const pb::CountRequest& request, Writer<pb::CountResponse>& out, CallContext& call) {
        pb::CountResponse message;
        for (int64_t i = 0; i < request.to(); ++i) {
          message.set_number(i);
          if (!out.Write(message)) return call.Check();
        }
        return absl::OkStatus();
      };
};

class EchoService final : public pb::EchoService::CallbackService {
 public:
  EchoService(Server& server, EchoHandlers handlers) : server_(server), handlers_(std::move(handlers)) {}

  grpc::ServerUnaryReactor* Say(grpc::CallbackServerContext* context, const pb::SayRequest* request,
                                pb::SayResponse* response) override {
    return Unary(server_, context, request, response, handlers_.say);
  }
  grpc::ServerUnaryReactor* Change(grpc::CallbackServerContext* context, const pb::ChangeRequest* request,
                                   pb::ChangeResponse* response) override {
    return Unary(server_, context, request, response,
                 [](const pb::ChangeRequest&, pb::ChangeResponse*, CallContext&) { return absl::OkStatus(); });
  }
  grpc::ServerUnaryReactor* Manage(grpc::CallbackServerContext* context, const pb::ManageRequest* request,
                                   pb::ManageResponse* response) override {
    return Unary(server_, context, request, response,
                 [](const pb::ManageRequest&, pb::ManageResponse* rs, CallContext& call) {
                   rs->set_tenant(call.tenant);
                   return absl::OkStatus();
                 });
  }
  grpc::ServerUnaryReactor* Ping(grpc::CallbackServerContext* context, const pb::PingRequest* request,
                                 pb::PingResponse* response) override {
    return Unary(server_, context, request, response,
                 [](const pb::PingRequest&, pb::PingResponse* rs, CallContext& call) {
                   rs->set_subject(call.identity.subject);
                   return absl::OkStatus();
                 });
  }
  grpc::ServerWriteReactor<pb::CountResponse>* Count(grpc::CallbackServerContext* context,
                                                     const pb::CountRequest* request) override {
    return ServerStream<pb::CountResponse>(server_, context, request, handlers_.count);
  }
  grpc::ServerReadReactor<pb::SumRequest>* Sum(grpc::CallbackServerContext* context,
                                               pb::SumResponse* response) override {
    return ClientStream<pb::SumRequest>(server_, context, response,
                                        [](Reader<pb::SumRequest>& in, pb::SumResponse* rs, CallContext& call) {
                                          pb::SumRequest message;
                                          int64_t sum = 0;
                                          while (in.Read(&message)) sum += message.number();
                                          rs->set_sum(sum);
                                          return call.Check();
                                        });
  }
  grpc::ServerBidiReactor<pb::ChatRequest, pb::ChatResponse>* Chat(grpc::CallbackServerContext* context) override {
    return BidiStream<pb::ChatRequest, pb::ChatResponse>(
        server_, context, [](Reader<pb::ChatRequest>& in, Writer<pb::ChatResponse>& out, CallContext& call) {
          pb::ChatRequest message;
          pb::ChatResponse answer;
          while (in.Read(&message)) {
            if (message.text() == "bye") return absl::OutOfRangeError("said bye");
            answer.set_text("re: " + message.text());
            if (!out.Write(answer)) break;
          }
          return call.Check();
        });
  }

 private:
  Server& server_;
  EchoHandlers handlers_;
};

}  // namespace vedette::runtime
