#include "services/gateway/adapters/http_connection.h"

#include <absl/time/clock.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstring>

#include "base/status.h"

namespace vedette::gateway {
namespace {

constexpr absl::Duration kWaitSlice = absl::Milliseconds(200);  ///< how soon a wait notices that the server stops
constexpr absl::Duration kLinger = absl::Seconds(2);

std::string TlsError() {
  char text[256] = "unknown";
  if (const unsigned long code = ERR_get_error(); code != 0) ERR_error_string_n(code, text, sizeof text);
  ERR_clear_error();
  return text;
}

void Address(const sockaddr_storage& address, socklen_t size, std::string* ip, int* port) {
  char host[NI_MAXHOST], service[NI_MAXSERV];
  if (::getnameinfo(reinterpret_cast<const sockaddr*>(&address), size, host, sizeof host, service, sizeof service,
                    NI_NUMERICHOST | NI_NUMERICSERV) != 0) {
    return;
  }
  *ip = host;
  *port = std::atoi(service);
}

}  // namespace

absl::StatusOr<SslContext> MakeServerTls(const std::string& cert_file, const std::string& key_file) {
  SslContext context(SSL_CTX_new(TLS_server_method()));
  if (context == nullptr) return Internal("TLS: {}", TlsError());
  SSL_CTX_set_min_proto_version(context.get(), TLS1_2_VERSION);
  SSL_CTX_set_options(context.get(), SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION | SSL_OP_CIPHER_SERVER_PREFERENCE);
  SSL_CTX_set_mode(context.get(), SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  if (SSL_CTX_use_certificate_chain_file(context.get(), cert_file.c_str()) != 1) {
    return FailedPrecondition("http.tls.cert_file {}: {}", cert_file, TlsError());
  }
  if (SSL_CTX_use_PrivateKey_file(context.get(), key_file.c_str(), SSL_FILETYPE_PEM) != 1 ||
      SSL_CTX_check_private_key(context.get()) != 1) {
    return FailedPrecondition("http.tls.key_file {}: {}", key_file, TlsError());
  }
  return context;
}

Connection::Connection(socket_t socket, const ConnectionLimits& limits, SSL_CTX* tls, std::stop_token abort)
    : socket_(socket), limits_(limits), abort_(std::move(abort)) {
  ::fcntl(socket_, F_SETFL, ::fcntl(socket_, F_GETFL, 0) | O_NONBLOCK);
  const int yes = 1;
  ::setsockopt(socket_, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
  if (tls != nullptr) {
    ssl_.reset(SSL_new(tls));
    if (ssl_ != nullptr) SSL_set_fd(ssl_.get(), socket_);
    broken_ = ssl_ == nullptr;
  }
}

Connection::~Connection() {
  if (linger_ && !broken_) Linger();
  if (ssl_ != nullptr && !broken_) SSL_shutdown(ssl_.get());
  ::shutdown(socket_, SHUT_RDWR);
  ::close(socket_);
}

void Connection::Linger() {
  if (ssl_ != nullptr) SSL_shutdown(ssl_.get());
  ::shutdown(socket_, SHUT_WR);
  const absl::Time until = absl::Now() + kLinger;
  while (Wait(POLLIN, until)) {
    if (::recv(socket_, buffer_.data(), buffer_.size(), 0) <= 0) break;
  }
  broken_ = true;
}

/// Until the socket is ready. False: `until` came, the server gives up, or `also` fired.
bool Connection::Wait(short events, absl::Time until, const std::stop_token* also) const {
  while (!abort_.stop_requested() && (also == nullptr || !also->stop_requested())) {
    const absl::Duration left = until - absl::Now();
    if (left <= absl::ZeroDuration()) return false;
    pollfd poll_fd{.fd = socket_, .events = events, .revents = 0};
    const int ready = ::poll(&poll_fd, 1, static_cast<int>(absl::ToInt64Milliseconds(std::min(left, kWaitSlice))) + 1);
    if (ready > 0) return true;
    if (ready < 0 && errno != EINTR) return false;
  }
  return false;
}

bool Connection::Handshake() {
  if (ssl_ == nullptr) return !broken_;
  const absl::Time until = absl::Now() + limits_.header_timeout;
  while (true) {
    const int result = SSL_accept(ssl_.get());
    if (result == 1) return true;
    const int why = SSL_get_error(ssl_.get(), result);
    if ((why != SSL_ERROR_WANT_READ && why != SSL_ERROR_WANT_WRITE) ||
        !Wait(why == SSL_ERROR_WANT_READ ? POLLIN : POLLOUT, until)) {
      ERR_clear_error();
      broken_ = true;
      return false;
    }
  }
}

bool Connection::AwaitRequest(const std::stop_token& drain) {
  if (broken_) return false;
  in_body_ = false;
  header_bytes_ = 0;
  body_bytes_ = 0;
  written_ = 0;
  waited_ = absl::ZeroDuration();
  const bool buffered = begin_ < end_ || (ssl_ != nullptr && SSL_pending(ssl_.get()) > 0);
  if (!buffered && !Wait(POLLIN, absl::Now() + limits_.keep_alive, &drain)) return false;
  header_deadline_ = absl::Now() + limits_.header_timeout;
  return true;
}

void Connection::BeginBody() { in_body_ = true; }

bool Connection::PeerClosed() const {
  pollfd poll_fd{.fd = socket_, .events = POLLRDHUP, .revents = 0};
  return broken_ || (::poll(&poll_fd, 1, 0) > 0 && (poll_fd.revents & (POLLRDHUP | POLLHUP | POLLERR | POLLNVAL)) != 0);
}

/// Bytes, 0 at the client's end, -1 on an error, or -1 with *wants set when the socket is not ready.
ssize_t Connection::ReceiveSome(char* data, size_t size, short* wants) {
  *wants = 0;
  if (ssl_ == nullptr) {
    const ssize_t got = ::recv(socket_, data, size, 0);
    if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)) *wants = POLLIN;
    return got;
  }
  const int got = SSL_read(ssl_.get(), data, static_cast<int>(std::min<size_t>(size, 1 << 30)));
  if (got > 0) return got;
  const int why = SSL_get_error(ssl_.get(), got);
  if (why == SSL_ERROR_ZERO_RETURN) return 0;
  if (why == SSL_ERROR_WANT_READ) *wants = POLLIN;
  if (why == SSL_ERROR_WANT_WRITE) *wants = POLLOUT;
  if (*wants == 0) ERR_clear_error();
  return -1;
}

ssize_t Connection::Receive(char* data, size_t size, absl::Time until) {
  while (true) {
    short wants = 0;
    const ssize_t got = ReceiveSome(data, size, &wants);
    if (got >= 0) return got;
    const absl::Time started = absl::Now();
    const bool ready = wants != 0 && Wait(wants, until);
    waited_ += absl::Now() - started;
    if (!ready) return -1;
  }
}

/// When the read that begins now must be over.
absl::Time Connection::ReadUntil() const {
  const absl::Time now = absl::Now();
  if (!in_body_) return header_deadline_;
  // Time that the client has earned with the bytes it has sent, beyond the first body_timeout.
  const absl::Duration earned =
      limits_.body_timeout +
      absl::Seconds(static_cast<double>(body_bytes_) / static_cast<double>(limits_.min_body_bytes_per_second));
  return now + std::min(limits_.body_timeout, earned - waited_);
}

ssize_t Connection::read(char* data, size_t size) {
  if (broken_ || size == 0) return -1;
  if (!in_body_ && header_bytes_ >= limits_.max_header_bytes) return -1;
  size_t got = 0;
  if (begin_ == end_ && in_body_ && size >= buffer_.size()) {
    const ssize_t direct = Receive(data, size, ReadUntil());
    if (direct <= 0) return direct;
    got = static_cast<size_t>(direct);
  } else {
    if (begin_ == end_) {
      const ssize_t filled = Receive(buffer_.data(), buffer_.size(), ReadUntil());
      if (filled <= 0) return filled;
      begin_ = 0;
      end_ = static_cast<size_t>(filled);
    }
    got = std::min(size, end_ - begin_);
    std::memcpy(data, buffer_.data() + begin_, got);
    begin_ += got;
  }
  if (in_body_) {
    body_bytes_ += static_cast<int64_t>(got);
  } else {
    header_bytes_ += got;
  }
  return static_cast<ssize_t>(got);
}

ssize_t Connection::write(const char* data, size_t size) {
  size_t sent = 0;
  while (sent < size && !broken_) {
    short wants = POLLOUT;
    ssize_t put = -1;
    if (ssl_ == nullptr) {
      put = ::send(socket_, data + sent, size - sent, MSG_NOSIGNAL);
      if (put < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR) broken_ = true;
    } else {
      put = SSL_write(ssl_.get(), data + sent, static_cast<int>(std::min<size_t>(size - sent, 1 << 30)));
      const int why = put > 0 ? SSL_ERROR_NONE : SSL_get_error(ssl_.get(), static_cast<int>(put));
      if (why == SSL_ERROR_WANT_READ) wants = POLLIN;
      if (why != SSL_ERROR_NONE && why != SSL_ERROR_WANT_READ && why != SSL_ERROR_WANT_WRITE) {
        ERR_clear_error();
        broken_ = true;
      }
    }
    if (put > 0) {
      sent += static_cast<size_t>(put);
    } else if (!broken_ && !Wait(wants, absl::Now() + limits_.body_timeout)) {
      broken_ = true;
    }
  }
  written_ += static_cast<int64_t>(sent);
  return broken_ ? -1 : static_cast<ssize_t>(sent);
}

void Connection::get_remote_ip_and_port(std::string& ip, int& port) const {
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  if (::getpeername(socket_, reinterpret_cast<sockaddr*>(&address), &size) == 0) Address(address, size, &ip, &port);
}

void Connection::get_local_ip_and_port(std::string& ip, int& port) const {
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  if (::getsockname(socket_, reinterpret_cast<sockaddr*>(&address), &size) == 0) Address(address, size, &ip, &port);
}

}  // namespace vedette::gateway
