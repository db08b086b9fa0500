// What the files of this library share; the only header that needs nats.h.
#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/synchronization/notification.h>
#include <nats/nats.h>

#include <atomic>
#include <memory>
#include <string>

#include "messaging/cloud_event.h"
#include "messaging/connection.h"

namespace vedette::messaging {

struct Connection::Impl {
  ConnectionOptions options;
  std::string token, password;
  natsConnection* nc = nullptr;
  jsCtx* js = nullptr;
  std::atomic<int64_t> reconnects{0};
  absl::Notification closed;

  ~Impl();
};

namespace internal {

template <auto Destroy>
struct Deleter {
  template <typename T>
  void operator()(T* p) const {
    Destroy(p);
  }
};
using MsgPtr = std::unique_ptr<natsMsg, Deleter<natsMsg_Destroy>>;
using OptionsPtr = std::unique_ptr<natsOptions, Deleter<natsOptions_Destroy>>;
using StreamInfoPtr = std::unique_ptr<jsStreamInfo, Deleter<jsStreamInfo_Destroy>>;
using ConsumerInfoPtr = std::unique_ptr<jsConsumerInfo, Deleter<jsConsumerInfo_Destroy>>;
using MetaDataPtr = std::unique_ptr<jsMsgMetaData, Deleter<jsMsgMetaData_Destroy>>;

/// The status that fits what the client library (and JetStream, `js_error`) answered to `what`.
absl::Status ToStatus(natsStatus s, std::string_view what, int js_error = 0);
/// The same for an error code in a JetStream reply.
absl::Status FromJetStreamError(int js_error, int http_code, std::string_view description, std::string_view what);

absl::StatusOr<MsgPtr> MakeMessage(const std::string& subject, const std::string& reply, const Headers& headers,
                                   std::string_view data);
Headers HeadersOf(natsMsg* msg);
std::string DataOf(natsMsg* msg);

}  // namespace internal
}  // namespace vedette::messaging
