#include "messaging/connection.h"

#include <absl/time/clock.h>

#include <algorithm>
#include <fstream>
#include <sstream>
#include <thread>

#include "base/status.h"
#include "messaging/internal.h"

namespace vedette::messaging {
namespace {

absl::StatusOr<std::string> ReadSecret(const std::string& file) {
  std::ifstream in(file, std::ios::binary);
  std::stringstream text;
  if (!in || !(text << in.rdbuf())) return NotFound("cannot read the secret in {}", file);
  std::string s = text.str();
  const char* blank = " \t\r\n";
  s.erase(0, std::min(s.find_first_not_of(blank), s.size()));
  s.erase(s.find_last_not_of(blank) + 1);
  if (s.empty()) return InvalidArgument("the secret in {} is empty", file);
  return s;
}

void Tell(void* closure, ConnectionEvent event, std::string_view detail) {
  const auto* impl = static_cast<Connection::Impl*>(closure);
  if (impl->options.on_event) impl->options.on_event(event, detail);
}

void OnDisconnected(natsConnection*, void* closure) { Tell(closure, ConnectionEvent::kDisconnected, ""); }
void OnReconnected(natsConnection*, void* closure) {
  static_cast<Connection::Impl*>(closure)->reconnects.fetch_add(1);
  Tell(closure, ConnectionEvent::kReconnected, "");
}
void OnClosed(natsConnection*, void* closure) {
  Tell(closure, ConnectionEvent::kClosed, "");
  static_cast<Connection::Impl*>(closure)->closed.Notify();  // the last callback; the destructor waits for it
}
void OnError(natsConnection*, natsSubscription*, natsStatus s, void* closure) {
  Tell(closure, ConnectionEvent::kError, natsStatus_GetText(s));
}

// 50 ms, 100 ms, ... up to the limit, then with up to a quarter of jitter so that a fleet does not come back in step.
int64_t ReconnectDelay(natsConnection*, int attempts, void* closure) {
  const int64_t most = std::max<int64_t>(
      50, absl::ToInt64Milliseconds(static_cast<Connection::Impl*>(closure)->options.max_reconnect_wait));
  const int64_t wait = std::min(most, int64_t{50} << std::min(attempts, 16));
  const int64_t jitter = nats_NowInNanoSeconds() / 1000 % (wait / 4 + 1);
  return wait - wait / 8 + jitter / 2;
}

absl::Status SetCredentials(natsOptions* o, Connection::Impl& impl) {
  const ConnectionOptions& c = impl.options;
  const int ways = !c.token.empty() + !c.token_file.empty() + !c.user.empty() + !c.creds_file.empty();
  if (ways > 1) return InvalidArgument("give the NATS connection one of token, user and credentials file");
  if (!c.user.empty() && c.password_file.empty())
    return InvalidArgument("the NATS user {} has no password file", c.user);
  natsStatus s = NATS_OK;
  if (!c.token_file.empty()) {
    ASSIGN_OR_RETURN(impl.token, ReadSecret(c.token_file));
  } else {
    impl.token = c.token;
  }
  if (!impl.token.empty()) s = natsOptions_SetToken(o, impl.token.c_str());
  if (!c.user.empty()) {
    ASSIGN_OR_RETURN(impl.password, ReadSecret(c.password_file));
    s = natsOptions_SetUserInfo(o, c.user.c_str(), impl.password.c_str());
  }
  if (!c.creds_file.empty()) s = natsOptions_SetUserCredentialsFromFiles(o, c.creds_file.c_str(), nullptr);
  return internal::ToStatus(s, "setting the credentials of the NATS connection");
}

absl::Status SetServers(natsOptions* o, const ConnectionOptions& c) {
  std::vector<std::string> urls;
  std::stringstream list(c.url);
  for (std::string url; std::getline(list, url, ',');) {
    url.erase(0, url.find_first_not_of(' '));
    if (url.find('@') != std::string::npos)
      return InvalidArgument("the NATS url holds credentials; give them as files");
    if (!url.empty()) urls.push_back(url);
  }
  if (urls.empty()) return InvalidArgument("the NATS url is empty");
  std::vector<const char*> pointers;
  for (const std::string& u : urls) pointers.push_back(u.c_str());
  if (const natsStatus s = natsOptions_SetServers(o, pointers.data(), static_cast<int>(pointers.size()));
      s != NATS_OK) {
    return InvalidArgument("the NATS url {} is not one: {}", c.url, natsStatus_GetText(s));
  }
  return absl::OkStatus();
}

absl::Status SetTls(natsOptions* o, const ConnectionOptions& c) {
  natsStatus s = NATS_OK;
  if (!c.ca_file.empty()) s = natsOptions_LoadCATrustedCertificates(o, c.ca_file.c_str());
  if (s == NATS_OK && !c.cert_file.empty())
    s = natsOptions_LoadCertificatesChain(o, c.cert_file.c_str(), c.key_file.c_str());
  if (s == NATS_OK && (!c.ca_file.empty() || !c.cert_file.empty() || c.url.starts_with("tls://")))
    s = natsOptions_SetSecure(o, true);
  if (s != NATS_OK) return InvalidArgument("the TLS files of the NATS connection: {}", natsStatus_GetText(s));
  return absl::OkStatus();
}

absl::Status Configure(natsOptions* o, Connection::Impl& impl) {
  const ConnectionOptions& c = impl.options;
  RETURN_IF_ERROR(SetServers(o, c));
  RETURN_IF_ERROR(SetCredentials(o, impl));
  RETURN_IF_ERROR(SetTls(o, c));
  const natsStatus results[] = {
      natsOptions_SetName(o, c.name.c_str()),
      natsOptions_SetTimeout(o, absl::ToInt64Milliseconds(c.connect_timeout)),
      natsOptions_SetAllowReconnect(o, true),
      natsOptions_SetMaxReconnect(o, -1),
      natsOptions_SetCustomReconnectDelay(o, ReconnectDelay, &impl),
      natsOptions_SetPingInterval(o, 10'000),
      natsOptions_SetMaxPingsOut(o, 2),
      natsOptions_SetSendAsap(o, true),
      natsOptions_SetDisconnectedCB(o, OnDisconnected, &impl),
      natsOptions_SetReconnectedCB(o, OnReconnected, &impl),
      natsOptions_SetClosedCB(o, OnClosed, &impl),
      natsOptions_SetErrorHandler(o, OnError, &impl),
  };
  for (const natsStatus s : results) RETURN_IF_ERROR(internal::ToStatus(s, "setting up the NATS connection"));
  return absl::OkStatus();
}

}  // namespace

std::string_view Name(ConnectionEvent e) {
  switch (e) {
    case ConnectionEvent::kConnected:
      return "connected";
    case ConnectionEvent::kDisconnected:
      return "disconnected";
    case ConnectionEvent::kReconnected:
      return "reconnected";
    case ConnectionEvent::kClosed:
      return "closed";
    case ConnectionEvent::kError:
      return "error";
  }
  return "";
}

Connection::Impl::~Impl() {
  jsCtx_Destroy(js);
  if (nc != nullptr) {
    natsConnection_Close(nc);
    // Callbacks hold `this` and run on a thread of the library, in order, "closed" last.
    closed.WaitForNotification();
    natsConnection_Destroy(nc);
  }
}

Connection::Connection(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Connection::~Connection() = default;

absl::StatusOr<std::unique_ptr<Connection>> Connection::Connect(ConnectionOptions options) {
  auto impl = std::make_unique<Impl>();
  impl->options = std::move(options);
  natsOptions* raw = nullptr;
  RETURN_IF_ERROR(internal::ToStatus(natsOptions_Create(&raw), "setting up the NATS connection"));
  const internal::OptionsPtr owned(raw);
  RETURN_IF_ERROR(Configure(raw, *impl));
  const absl::Time deadline = absl::Now() + impl->options.connect_deadline;
  auto wait = std::chrono::milliseconds(50);
  while (true) {
    const natsStatus s = natsConnection_Connect(&impl->nc, raw);
    if (s == NATS_OK) break;
    const absl::Status status = internal::ToStatus(s, fmt::format("connecting with NATS at {}", impl->options.url));
    if (!absl::IsUnavailable(status) && !absl::IsDeadlineExceeded(status)) return status;
    if (absl::Now() > deadline) return Unavailable("{}", Message(status));
    std::this_thread::sleep_for(wait);
    wait = std::min(wait * 2, std::chrono::milliseconds(1000));
  }
  RETURN_IF_ERROR(internal::ToStatus(natsConnection_JetStream(&impl->js, impl->nc, nullptr), "opening JetStream"));
  Tell(impl.get(), ConnectionEvent::kConnected, "");
  return std::unique_ptr<Connection>(new Connection(std::move(impl)));
}

bool Connection::IsConnected() const { return natsConnection_Status(impl_->nc) == NATS_CONN_STATUS_CONNECTED; }
absl::Status Connection::Flush(absl::Duration timeout) {
  return internal::ToStatus(
      natsConnection_FlushTimeout(impl_->nc, std::max<int64_t>(1, absl::ToInt64Milliseconds(timeout))),
      "asking NATS for a sign of life");
}
int64_t Connection::max_payload() const { return natsConnection_GetMaxPayload(impl_->nc); }
int64_t Connection::reconnects() const { return impl_->reconnects.load(); }

namespace internal {

absl::Status FromJetStreamError(int js_error, int http_code, std::string_view description, std::string_view what) {
  using enum absl::StatusCode;
  absl::StatusCode code = kInternal;
  if (http_code == 404) code = kNotFound;
  if (http_code == 503) code = kUnavailable;
  switch (js_error) {
    case 10059:
    case 10014:
    case 10037:
      code = kNotFound;
      break;  // stream, consumer, message
    case 10058:
      code = kAlreadyExists;
      break;  // stream name in use with another config
    case 10052:
    case 10065:
    case 10100:
    case 10099:
      code = kFailedPrecondition;
      break;  // config, overlapping subjects or filters
    case 10077:
    case 10047:
    case 10028:
    case 10023:
      code = kResourceExhausted;
      break;  // maximum bytes, storage, resources
    case 10054:
      code = kInvalidArgument;
      break;  // message exceeds the stream's maximum
    case 10008:
    case 10009:
    case 10074:
      code = kUnavailable;
      break;  // not ready, no quorum
    default:
      break;
  }
  if (description.find("maximum messages exceeded") != std::string_view::npos ||
      description.find("maximum bytes exceeded") != std::string_view::npos) {
    code = kResourceExhausted;
  }
  return absl::Status(code, fmt::format("{}: {} (JetStream error {})", what, description, js_error));
}

absl::Status ToStatus(natsStatus s, std::string_view what, int js_error) {
  if (s == NATS_OK) return absl::OkStatus();
  if (js_error != 0) {
    natsStatus ignored;
    const char* text = nats_GetLastError(&ignored);
    return FromJetStreamError(js_error, 0, text == nullptr ? "" : text, what);
  }
  using enum absl::StatusCode;
  absl::StatusCode code = kInternal;
  switch (s) {
    case NATS_TIMEOUT:
      code = kDeadlineExceeded;
      break;
    case NATS_NO_SERVER:
    case NATS_IO_ERROR:
    case NATS_CONNECTION_CLOSED:
    case NATS_CONNECTION_DISCONNECTED:
    case NATS_STALE_CONNECTION:
    case NATS_NOT_YET_CONNECTED:
    case NATS_DRAINING:
    case NATS_NO_RESPONDERS:
      code = kUnavailable;
      break;
    case NATS_CONNECTION_AUTH_FAILED:
    case NATS_SECURE_CONNECTION_REQUIRED:
    case NATS_SECURE_CONNECTION_WANTED:
    case NATS_SSL_ERROR:
      code = kUnauthenticated;
      break;
    case NATS_NOT_PERMITTED:
      code = kPermissionDenied;
      break;
    case NATS_NOT_FOUND:
      code = kNotFound;
      break;
    case NATS_INVALID_ARG:
    case NATS_INVALID_SUBJECT:
    case NATS_MAX_PAYLOAD:
    case NATS_ADDRESS_MISSING:
      code = kInvalidArgument;
      break;
    case NATS_NO_MEMORY:
    case NATS_INSUFFICIENT_BUFFER:
    case NATS_SLOW_CONSUMER:
      code = kResourceExhausted;
      break;
    default:
      break;
  }
  return absl::Status(code, fmt::format("{}: {}", what, natsStatus_GetText(s)));
}

absl::StatusOr<MsgPtr> MakeMessage(const std::string& subject, const std::string& reply, const Headers& headers,
                                   std::string_view data) {
  natsMsg* raw = nullptr;
  RETURN_IF_ERROR(ToStatus(natsMsg_Create(&raw, subject.c_str(), reply.empty() ? nullptr : reply.c_str(), data.data(),
                                          static_cast<int>(data.size())),
                           "making a message"));
  MsgPtr msg(raw);
  for (const auto& [key, value] : headers)
    RETURN_IF_ERROR(ToStatus(natsMsgHeader_Add(raw, key.c_str(), value.c_str()), "making a message"));
  return msg;
}

Headers HeadersOf(natsMsg* msg) {
  Headers out;
  const char** keys = nullptr;
  int count = 0;
  if (natsMsgHeader_Keys(msg, &keys, &count) != NATS_OK) return out;
  for (int i = 0; i < count; ++i) {
    const char** values = nullptr;
    int n = 0;
    if (natsMsgHeader_Values(msg, keys[i], &values, &n) != NATS_OK) continue;
    for (int k = 0; k < n; ++k) out.emplace_back(keys[i], values[k]);
    free(static_cast<void*>(values));
  }
  free(static_cast<void*>(keys));
  return out;
}

std::string DataOf(natsMsg* msg) { return {natsMsg_GetData(msg), static_cast<size_t>(natsMsg_GetDataLength(msg))}; }

}  // namespace internal
}  // namespace vedette::messaging
