// One connection of a client, plain or TLS, with a bound on everything that a client decides: how long the headers may
// take and how large they are, how slow a body is, how long it may not read what we answer.
#pragma once

#include <absl/status/statusor.h>
#include <absl/time/time.h>
#include <httplib.h>

#include <array>
#include <cstdint>
#include <memory>
#include <stop_token>
#include <string>

namespace vedette::gateway {

struct ConnectionLimits {
  absl::Duration keep_alive = absl::Seconds(60);
  absl::Duration header_timeout = absl::Seconds(10);
  absl::Duration body_timeout = absl::Seconds(30);
  int64_t min_body_bytes_per_second = 1024;
  size_t max_header_bytes = 32 << 10;  ///< request line and headers together
};

struct SslDeleter {
  void operator()(SSL* ssl) const { SSL_free(ssl); }
  void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
};
using SslContext = std::unique_ptr<SSL_CTX, SslDeleter>;
/// TLS 1.2 and 1.3, with a certificate chain and a key (PEM files).
absl::StatusOr<SslContext> MakeServerTls(const std::string& cert_file, const std::string& key_file);

/// Used by one thread. Takes over the socket.
class Connection : public httplib::Stream {
 public:
  /// `tls` may be null. When `abort` fires, every wait ends as if the client had gone.
  Connection(socket_t socket, const ConnectionLimits& limits, SSL_CTX* tls, std::stop_token abort);
  /// Says goodbye in a way that the client still gets to read our answer: after a request that was not read to its end,
  /// what the client goes on sending is dropped for at most two seconds.
  ~Connection() override;
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  /// TLS handshake, within header_timeout.
  bool Handshake();
  /// Waits for the first byte of a request. False: the client left, keep_alive passed, or `drain` fired.
  bool AwaitRequest(const std::stop_token& drain);
  /// The headers are read (called by the server loop between the phases).
  void BeginBody();
  /// True when the client has closed its side. Never waits.
  bool PeerClosed() const;
  /// The request's body was left unread.
  void LingerAtEnd() { linger_ = true; }
  /// Of this request.
  int64_t bytes_written() const { return written_; }
  int64_t body_bytes() const { return body_bytes_; }

  bool is_readable() const override { return true; }  // read() has its own bounds
  bool is_writable() const override { return !broken_; }
  ssize_t read(char* data, size_t size) override;
  ssize_t write(const char* data, size_t size) override;
  void get_remote_ip_and_port(std::string& ip, int& port) const override;
  void get_local_ip_and_port(std::string& ip, int& port) const override;
  socket_t socket() const override { return socket_; }

 private:
  bool Wait(short events, absl::Time until, const std::stop_token* also = nullptr) const;
  ssize_t Receive(char* data, size_t size, absl::Time until);
  ssize_t ReceiveSome(char* data, size_t size, short* wants);
  absl::Time ReadUntil() const;
  void Linger();

  const socket_t socket_;
  const ConnectionLimits& limits_;
  const std::stop_token abort_;
  std::unique_ptr<SSL, SslDeleter> ssl_;
  std::array<char, 16 << 10> buffer_;
  size_t begin_ = 0, end_ = 0;  ///< what of buffer_ is not consumed
  bool in_body_ = false;
  bool broken_ = false;
  bool linger_ = false;
  absl::Time header_deadline_ = absl::InfiniteFuture();
  size_t header_bytes_ = 0;
  int64_t body_bytes_ = 0;
  absl::Duration waited_;  ///< for bytes of this body
  int64_t written_ = 0;
};

}  // namespace vedette::gateway
