// What httplib's client would never send: requests byte by byte.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "backend_app.h"
#include "services/gateway/adapters/http_connection.h"

namespace vedette::gateway {
namespace {

class RawClient {
 public:
  explicit RawClient(int port) : socket_(::socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    REQUIRE(::connect(socket_, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
    const timeval patience{.tv_sec = 30, .tv_usec = 0};
    ::setsockopt(socket_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  }
  ~RawClient() { ::close(socket_); }
  RawClient(const RawClient&) = delete;
  RawClient& operator=(const RawClient&) = delete;

  bool Send(const std::string& text) {
    return ::send(socket_, text.data(), text.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(text.size());
  }
  /// Until the server closes the connection, or `enough` was read.
  std::string Read(std::string_view enough = "") {
    std::string out;
    char buffer[4096];
    for (ssize_t got; (got = ::recv(socket_, buffer, sizeof buffer, 0)) > 0;) {
      out.append(buffer, static_cast<size_t>(got));
      if (!enough.empty() && out.find(enough) != std::string::npos) break;
    }
    return out;
  }

 private:
  int socket_;
};

std::string Ask(int port, const std::string& request) {
  RawClient client(port);
  client.Send(request);
  return client.Read();
}

}  // namespace

TEST_CASE("requests that could be read in two ways are refused, and their connection closed", "[gateway]") {
  TestGateway gateway;
  const std::string head = "POST /v1/datasets/1:analyze HTTP/1.1\r\nHost: x\r\n";
  for (const char* framing :
       {"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", "Content-Length: 5\r\nContent-Length: 6\r\n",
        "Content-Length: -1\r\n", "Content-Length: 0x10\r\n", "Content-Length: 99999999999999999999\r\n",
        "Transfer-Encoding: chunked, gzip\r\n", "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"}) {
    INFO(framing);
    const std::string answer = Ask(gateway.port, head + framing + "\r\n0\r\n\r\nGET /healthz HTTP/1.1\r\n\r\n");
    CHECK(answer.starts_with("HTTP/1.1 400"));
    CHECK(answer.find("SERVING") == std::string::npos);  // what came behind is no request
  }
}

TEST_CASE("a body that nobody read does not become the next request", "[gateway]") {
  TestGateway gateway;
  const std::string smuggled = "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n";
  for (const char* line : {"GET /healthz", "POST /v1/datasets/1:analyze"}) {
    const std::string answer = Ask(gateway.port, fmt::format("{} HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n{}",
                                                             line, smuggled.size(), smuggled));
    CHECK(answer.find("HTTP/1.1") == answer.rfind("HTTP/1.1"));  // one answer
    CHECK(answer.find("Connection: close") != std::string::npos);
  }
}

TEST_CASE("lines that are no requests", "[gateway]") {
  TestGateway gateway;
  for (const char* line :
       {"GARBAGE\r\n\r\n", "GET\r\n\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "GET /\r\n\r\n", "\r\n\r\n"}) {
    INFO(line);
    const std::string answer = Ask(gateway.port, line);
    CHECK((answer.empty() || answer.starts_with("HTTP/1.1 4")));
  }
  const std::string answer =
      Ask(gateway.port, "GET http://other/v1/jobs HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  CHECK(answer.starts_with("HTTP/1.1 4"));
  CHECK(Ask(gateway.port, "GET /" + std::string(9000, 'a') + " HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 414"));
}

TEST_CASE("headers have a size and a time", "[gateway]") {
  TestGateway gateway([](v1::Config& c) {
    c.mutable_http()->set_header_timeout_seconds(1);
    c.mutable_http()->set_keep_alive_seconds(1);
  });
  SECTION("too many") {
    RawClient client(gateway.port);
    client.Send("GET /healthz HTTP/1.1\r\n");
    for (int i = 0; i < 2000; ++i) {
      if (!client.Send(fmt::format("X-{}: {}\r\n", i, std::string(40, 'x')))) break;
    }
    CHECK(client.Read().find("SERVING") == std::string::npos);
  }
  SECTION("never complete") {
    RawClient client(gateway.port);
    client.Send("GET /healthz HTTP/1.1\r\nX-A: ");
    CHECK(client.Read().find("SERVING") == std::string::npos);  // the server hangs up
  }
  SECTION("nothing at all") {
    RawClient client(gateway.port);
    CHECK(client.Read().empty());
  }
}

TEST_CASE("a body that stops coming is given up", "[gateway]") {
  TestGateway gateway([](v1::Config& c) { c.mutable_http()->set_body_timeout_seconds(1); });
  RawClient client(gateway.port);
  client.Send(fmt::format(
      "POST /v1/datasets/1:analyze HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\nContent-Length: 10\r\n\r\n{{",
      gateway.keys.Token("acme", {"operator"})));
  CHECK(client.Read().starts_with("HTTP/1.1 400"));
}

TEST_CASE("requests may be sent ahead of their answers", "[gateway]") {
  TestGateway gateway;
  const std::string one = "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n";
  const std::string answer =
      Ask(gateway.port, one + one + "GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  int answers = 0;
  for (size_t at = 0; (at = answer.find("HTTP/1.1 200", at)) != std::string::npos; ++at) ++answers;
  CHECK(answers == 3);
}

TEST_CASE("Expect: 100-continue is answered with what is wrong, before the body", "[gateway]") {
  TestGateway gateway;
  const auto ask = [&](const std::string& token) {
    RawClient client(gateway.port);
    client.Send(fmt::format(
        "POST /v1/datasets:upload HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\nContent-Type: text/csv\r\n"
        "Content-Length: 4\r\nExpect: 100-continue\r\n\r\n",
        token));
    std::string answer = client.Read("\r\n\r\n");
    if (answer.starts_with("HTTP/1.1 100")) {
      client.Send("a\n1\n");
      answer += client.Read("datasets/1");
    }
    return answer;
  };
  CHECK(ask("nonsense").starts_with("HTTP/1.1 401"));
  const std::string good = ask(gateway.keys.Token("acme", {"operator"}));
  CHECK(good.starts_with("HTTP/1.1 100"));
  CHECK(good.find("HTTP/1.1 200") != std::string::npos);
}

TEST_CASE("connections beyond the limit are told so", "[gateway]") {
  TestGateway gateway([](v1::Config& c) { c.mutable_http()->set_max_connections(2); });
  RawClient first(gateway.port), second(gateway.port);
  const std::string ask = "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n";
  first.Send(ask), second.Send(ask);
  REQUIRE(first.Read("SERVING").find("200") != std::string::npos);
  REQUIRE(second.Read("SERVING").find("200") != std::string::npos);
  CHECK(Ask(gateway.port, "").find("503") != std::string::npos);
  CHECK(gateway.app().metrics().Scrape().find("http_refused_connections_total 1") != std::string::npos);
}

TEST_CASE("a port in use is an error", "[gateway]") {
  TestGateway gateway;
  const testing::Keys keys;
  v1::Config config = DefaultConfig();
  *config.mutable_server() = keys.ServerConfig();
  for (const char* service : {"ingest", "feature-engine", "detector", "model-cache", "explainer", "triage", "benchmark",
                              "job-orchestrator"}) {
    (*config.mutable_server()->mutable_endpoints())[service] = "127.0.0.1:1";
  }
  config.mutable_http()->set_port(static_cast<uint32_t>(gateway.port));
  auto app = testing::MustCreate("gateway", config.server());
  CHECK(BuildServer(config, *app).status().code() == absl::StatusCode::kUnavailable);
}

}  // namespace vedette::gateway
