// A connection with nats-server that stays: it reconnects for ever, with growing waits.
#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace vedette::messaging {

enum class ConnectionEvent { kConnected, kDisconnected, kReconnected, kClosed, kError };
std::string_view Name(ConnectionEvent e);

struct ConnectionOptions {
  std::string url =
      "nats://127.0.0.1:4222";   ///< several with commas; tls:// asks for TLS. Credentials in it are refused
  std::string name = "vedette";  ///< shown by the server's monitoring
  // At most one way to prove who we are; each a file, read at connect time, surrounding white space ignored.
  std::string token_file = {};
  std::string token = {};  ///< for programs that were given the token in the environment
  std::string user = {};
  std::string password_file = {};
  std::string creds_file = {};  ///< NATS .creds (JWT and nkey)
  // TLS (with a tls:// url): the CA that signed the server; certificate and key of ours for mutual TLS.
  std::string ca_file = {};
  std::string cert_file = {};
  std::string key_file = {};
  absl::Duration connect_timeout = absl::Seconds(2);    ///< one attempt
  absl::Duration connect_deadline = absl::Seconds(30);  ///< Connect keeps trying a server that is not there yet
  absl::Duration max_reconnect_wait = absl::Seconds(5);
  /// Any thread of the client library; must be quick and must not call into the connection.
  std::function<void(ConnectionEvent, std::string_view detail)> on_event = {};
};

/// Thread-safe. Destroy it after everything that was made from it. Publishes while the server is away wait in a bounded
/// buffer.
class Connection {
 public:
  /// UNAVAILABLE after connect_deadline; UNAUTHENTICATED at once for refused credentials; INVALID_ARGUMENT.
  static absl::StatusOr<std::unique_ptr<Connection>> Connect(ConnectionOptions options);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  bool IsConnected() const;
  /// Round trip to the server.
  absl::Status Flush(absl::Duration timeout);
  int64_t max_payload() const;
  int64_t reconnects() const;

  struct Impl;
  Impl& impl() { return *impl_; }  ///< for the other files of this library

 private:
  explicit Connection(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace vedette::messaging
