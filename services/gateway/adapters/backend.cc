#include "services/gateway/adapters/backend.h"

#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/support/byte_buffer.h>

#include <condition_variable>
#include <mutex>

#include "base/status.h"
#include "runtime/status.h"

namespace vedette::gateway {
namespace {

constexpr absl::Duration kLookForClient = absl::Milliseconds(200);

grpc::ByteBuffer ToBuffer(const std::string& bytes) {
  const grpc::Slice slice(bytes);
  return {&slice, 1};
}

absl::Status FromBuffer(const grpc::ByteBuffer& buffer, std::string* bytes) {
  grpc::Slice slice;
  if (!buffer.DumpToSingleSlice(&slice).ok()) return Internal("the service's answer cannot be read");
  bytes->assign(reinterpret_cast<const char*>(slice.begin()), slice.size());
  return absl::OkStatus();
}

/// Reads one message ahead of whoever asks, so that a slow client slows the service down. Holds the call open while
/// reads may still be started from outside of gRPC's threads (AddHold): until a read fails, or Abandon.
class Reactor : public grpc::ClientBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer> {
 public:
  void Begin(std::string request) {
    request_ = ToBuffer(request);
    AddHold();
    StartWriteLast(&request_, grpc::WriteOptions());
    StartRead(&incoming_);
    StartCall();
  }

  void OnReadDone(bool ok) override {
    {
      const std::lock_guard lock(mutex_);
      full_ = ok;
      wake_.notify_all();
    }
    if (!ok) RemoveHold();
  }

  void OnDone(const grpc::Status& status) override {
    const std::lock_guard lock(mutex_);
    status_ = runtime::FromGrpcStatus(status);
    wake_.notify_all();
  }

  MessageStream::Outcome Next(absl::Duration patience, std::string* message) {
    std::unique_lock lock(mutex_);
    if (!wake_.wait_for(lock, absl::ToChronoNanoseconds(patience), [this] { return full_ || status_.has_value(); })) {
      return MessageStream::kTimeout;
    }
    if (!full_) return MessageStream::kEnd;
    full_ = false;
    const absl::Status read = FromBuffer(incoming_, message);
    incoming_.Clear();
    lock.unlock();
    StartRead(&incoming_);
    if (!read.ok()) message->clear();
    return MessageStream::kMessage;
  }

  /// After the call was cancelled: returns when gRPC has let go of this object.
  void Abandon() {
    std::unique_lock lock(mutex_);
    if (full_) {  // no read is under way, so none will fail
      lock.unlock();
      RemoveHold();
      lock.lock();
    }
    wake_.wait(lock, [this] { return status_.has_value(); });
  }

  absl::Status status() {
    const std::lock_guard lock(mutex_);
    return status_.value_or(absl::OkStatus());
  }

 private:
  grpc::ByteBuffer request_, incoming_;
  std::mutex mutex_;
  std::condition_variable wake_;
  bool full_ = false;
  std::optional<absl::Status> status_;
};

class GrpcStream : public MessageStream {
 public:
  GrpcStream(std::shared_ptr<grpc::Channel> channel, const std::string& rpc, const runtime::Outgoing& out,
             std::string request)
      : call_(out), rpc_(rpc), stub_(std::move(channel)) {
    stub_.PrepareBidiStreamingCall(call_.context(), rpc_, grpc::StubOptions(), &reactor_);
    reactor_.Begin(std::move(request));
  }
  ~GrpcStream() override {
    call_.context()->TryCancel();
    reactor_.Abandon();
  }
  Outcome Next(absl::Duration patience, std::string* message) override { return reactor_.Next(patience, message); }
  absl::Status status() const override { return reactor_.status(); }

 private:
  runtime::ClientCall call_;
  const std::string rpc_;  // gRPC keeps a pointer into it
  grpc::GenericStub stub_;
  mutable Reactor reactor_;
};

}  // namespace

absl::StatusOr<std::string> Backend::Call(const std::string& service, const std::string& rpc,
                                          const runtime::Outgoing& out, const std::string& request,
                                          const std::function<bool()>& gone) {
  ASSIGN_OR_RETURN(const auto channel, channels_.Get(service));
  grpc::GenericStub stub(channel);
  runtime::ClientCall call(out);
  const grpc::ByteBuffer outgoing = ToBuffer(request);
  grpc::ByteBuffer incoming;
  std::mutex mutex;
  std::condition_variable wake;
  std::optional<grpc::Status> status;
  stub.UnaryCall(call.context(), rpc, grpc::StubOptions(), &outgoing, &incoming, [&](grpc::Status done) {
    const std::lock_guard lock(mutex);
    status = std::move(done);
    wake.notify_all();
  });
  std::unique_lock lock(mutex);
  bool cancelled = false;
  while (!wake.wait_for(lock, absl::ToChronoNanoseconds(kLookForClient), [&] { return status.has_value(); })) {
    if (cancelled || !gone()) continue;
    cancelled = true;
    call.context()->TryCancel();
  }
  RETURN_IF_ERROR(runtime::FromGrpcStatus(*status));
  std::string answer;
  RETURN_IF_ERROR(FromBuffer(incoming, &answer));
  return answer;
}

absl::StatusOr<std::unique_ptr<MessageStream>> Backend::Stream(const std::string& service, const std::string& rpc,
                                                               const runtime::Outgoing& out,
                                                               const std::string& request) {
  ASSIGN_OR_RETURN(const auto channel, channels_.Get(service));
  return std::make_unique<GrpcStream>(channel, rpc, out, request);
}

}  // namespace vedette::gateway
