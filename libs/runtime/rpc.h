// RPC handlers as straight-line functions. A service author derives from X::CallbackService and writes
//
//   grpc::ServerUnaryReactor* GetJob(grpc::CallbackServerContext* ctx, const GetJobRequest* rq, Job* rs) override {
//     return runtime::Unary(server_, ctx, rq, rs, [this](const GetJobRequest& request, Job* job, CallContext& call) {
//       return core_.Get(call.tenant, request.name(), job);      // -> absl::Status; may block
//     });
//   }
//
// Before the function runs: identity, permission (method option), tenant, deadline; then it runs on a bounded pool, so
// it may block. A full pool answers RESOURCE_EXHAUSTED. Its status is mapped once, the call is counted and logged.
// The method is recognised by its message types, so two methods of one server must not share both of them.
#pragma once

#include <absl/status/status.h>
#include <grpcpp/support/server_callback.h>

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <utility>

#include "runtime/call_context.h"

namespace google::protobuf {
class Descriptor;
class Message;
}  // namespace google::protobuf

namespace vedette::runtime {

class Server;

/// Messages to the caller of a stream. Used by one thread at a time.
template <typename Response>
class Writer {
 public:
  virtual ~Writer() = default;
  /// Blocks while the caller is slow (flow control). False when the caller is gone: return soon, the status is lost.
  virtual bool Write(const Response& message) = 0;
};

/// Messages from the caller of a stream. Used by one thread at a time.
template <typename Request>
class Reader {
 public:
  virtual ~Reader() = default;
  /// Blocks until the next message is there. False at the end. A broken connection looks like an end too: whoever
  /// stores what was streamed must check CallContext::Check() AND a total or an end mark inside the messages.
  virtual bool Read(Request* message) = 0;
};

namespace internal {

class CallState;

/// Hands one completion from a gRPC thread to the handler's thread.
class Gate {
 public:
  void Arm() {
    const std::lock_guard lock(mutex_);
    done_ = false;
  }
  void Open(bool ok) {
    const std::lock_guard lock(mutex_);
    done_ = true;
    ok_ = ok;
    wake_.notify_all();  // under the lock: the waiter may end the call, and this object with it, as soon as it is free
  }
  bool Wait() {
    std::unique_lock lock(mutex_);
    wake_.wait(lock, [this] { return done_; });
    return ok_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable wake_;
  bool done_ = true;
  bool ok_ = false;
};

using Work = std::function<absl::Status(CallContext&)>;

/// Everything before the handler: who calls, may they, until when. Never null; says itself whether it was admitted.
std::shared_ptr<CallState> Begin(Server& server, grpc::CallbackServerContext* context,
                                 const google::protobuf::Descriptor* request,
                                 const google::protobuf::Descriptor* response, bool streaming);
/// Runs `work` on the server's pool and then `finish` with its mapped status, exactly once; or `finish` at once.
void Launch(const std::shared_ptr<CallState>& state, const google::protobuf::Message* request, Work work,
            std::function<void(grpc::Status)> finish);
void Cancel(CallState& state);

/// What the four kinds of calls share. gRPC deletes nothing: OnDone is the last thing to happen to a reactor.
template <typename Reactor>
class Call : public Reactor {
 public:
  explicit Call(std::shared_ptr<CallState> state) : state_(std::move(state)) {}
  void OnDone() override { delete this; }
  void OnCancel() override { Cancel(*state_); }
  void Run(const google::protobuf::Message* request, Work work) {
    Launch(state_, request, std::move(work), [this](grpc::Status status) { this->Finish(std::move(status)); });
  }

 private:
  std::shared_ptr<CallState> state_;
};

template <typename Response, typename Reactor>
class WriteSide : public Call<Reactor>, public Writer<Response> {
 public:
  using Call<Reactor>::Call;
  bool Write(const Response& message) override {
    gate_.Arm();
    this->StartWrite(&message);
    return gate_.Wait();
  }
  void OnWriteDone(bool ok) override { gate_.Open(ok); }

 private:
  Gate gate_;
};

/// Reads one message ahead while the handler works on the last one.
template <typename Request, typename Base>
class ReadSide : public Base, public Reader<Request> {
 public:
  using Base::Base;
  bool Read(Request* message) override {
    if (!started_) {
      started_ = true;
      Next();
    }
    if (!gate_.Wait()) return false;
    message->Swap(&ahead_);
    Next();
    return true;
  }
  void OnReadDone(bool ok) override { gate_.Open(ok); }

 private:
  void Next() {
    gate_.Arm();
    this->StartRead(&ahead_);
  }
  Gate gate_;
  Request ahead_;
  bool started_ = false;
};

}  // namespace internal

/// fn(const Request&, Response*, CallContext&) -> absl::Status
template <typename Request, typename Response, typename Fn>
grpc::ServerUnaryReactor* Unary(Server& server, grpc::CallbackServerContext* context, const Request* request,
                                Response* response, Fn fn) {
  auto state = internal::Begin(server, context, Request::descriptor(), Response::descriptor(), false);
  auto* call = new internal::Call<grpc::ServerUnaryReactor>(std::move(state));
  call->Run(request, [request, response, fn = std::move(fn)](CallContext& c) { return fn(*request, response, c); });
  return call;
}

/// ServerStream<Response>(server, ctx, request, fn); fn(const Request&, Writer<Response>&, CallContext&) -> absl::Status
template <typename Response, typename Request, typename Fn>
grpc::ServerWriteReactor<Response>* ServerStream(Server& server, grpc::CallbackServerContext* context,
                                                 const Request* request, Fn fn) {
  using CallType = internal::WriteSide<Response, grpc::ServerWriteReactor<Response>>;
  auto* call = new CallType(internal::Begin(server, context, Request::descriptor(), Response::descriptor(), true));
  call->Run(request, [call, request, fn = std::move(fn)](CallContext& c) {
    return fn(*request, static_cast<Writer<Response>&>(*call), c);
  });
  return call;
}

/// ClientStream<Request>(server, ctx, response, fn); fn(Reader<Request>&, Response*, CallContext&) -> absl::Status
template <typename Request, typename Response, typename Fn>
grpc::ServerReadReactor<Request>* ClientStream(Server& server, grpc::CallbackServerContext* context,
                                               Response* response, Fn fn) {
  using CallType = internal::ReadSide<Request, internal::Call<grpc::ServerReadReactor<Request>>>;
  auto* call = new CallType(internal::Begin(server, context, Request::descriptor(), Response::descriptor(), true));
  call->Run(nullptr, [call, response, fn = std::move(fn)](CallContext& c) {
    return fn(static_cast<Reader<Request>&>(*call), response, c);
  });
  return call;
}

/// BidiStream<Request, Response>(server, ctx, fn); fn(Reader<Request>&, Writer<Response>&, CallContext&) -> absl::Status
template <typename Request, typename Response, typename Fn>
grpc::ServerBidiReactor<Request, Response>* BidiStream(Server& server, grpc::CallbackServerContext* context, Fn fn) {
  using Reactor = grpc::ServerBidiReactor<Request, Response>;
  using CallType = internal::ReadSide<Request, internal::WriteSide<Response, Reactor>>;
  auto* call = new CallType(internal::Begin(server, context, Request::descriptor(), Response::descriptor(), true));
  call->Run(nullptr, [call, fn = std::move(fn)](CallContext& c) {
    return fn(static_cast<Reader<Request>&>(*call), static_cast<Writer<Response>&>(*call), c);
  });
  return call;
}

}  // namespace vedette::runtime
