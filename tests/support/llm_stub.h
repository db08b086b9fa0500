// A language model's server for tests: answers over HTTP on a free port of this machine, or takes a call and never
// answers.
#pragma once

#include <arpa/inet.h>
#include <fmt/format.h>
#include <httplib.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <functional>
#include <mutex>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <vector>

namespace vedette::testing {

class LlmStub {
 public:
  struct Reply {
    int status = 200;
    std::string body;
  };
  /// `answer` gets the facts that the model was told (the user's message, parsed).
  explicit LlmStub(std::function<Reply(const nlohmann::json& facts)> answer) {
    server_.Post("/v1/chat/completions", [this, answer](const httplib::Request& request, httplib::Response& response) {
      ++calls;
      const nlohmann::json body = nlohmann::json::parse(request.body, nullptr, false);
      {
        const std::lock_guard lock(mutex_);
        bodies_.push_back(request.body);
        authorization_ = request.get_header_value("Authorization");
      }
      const Reply reply = answer(nlohmann::json::parse(body["messages"][1]["content"].get<std::string>()));
      response.status = reply.status;
      response.set_content(reply.body, "application/json");
    });
    port_ = server_.bind_to_any_port("127.0.0.1");
    thread_ = std::thread([this] { server_.listen_after_bind(); });
  }
  ~LlmStub() {
    // stop() before the server runs would be lost.
    while (!server_.is_running()) std::this_thread::yield();
    server_.stop();
    thread_.join();
  }
  std::string url() const { return fmt::format("http://127.0.0.1:{}/v1", port_); }
  /// What was posted, in order.
  std::vector<std::string> bodies() {
    const std::lock_guard lock(mutex_);
    return bodies_;
  }
  std::string authorization() {
    const std::lock_guard lock(mutex_);
    return authorization_;
  }
  std::atomic<int> calls = 0;

  /// A completion with this content.
  static Reply Says(const std::string& content) {
    const nlohmann::json message = {{"role", "assistant"}, {"content", content}};
    return {.body = nlohmann::json({{"choices", {{{"index", 0}, {"message", message}, {"finish_reason", "stop"}}}},
                                    {"usage", {{"prompt_tokens", 800}, {"completion_tokens", 60}}}})
                        .dump()};
  }
  static Reply Refuses() {
    const nlohmann::json message = {
        {"role", "assistant"}, {"content", nullptr}, {"refusal", "I cannot help with that."}};
    return {
        .body =
            nlohmann::json({{"choices", {{{"index", 0}, {"message", message}, {"finish_reason", "stop"}}}}}).dump()};
  }
  /// A wording of the facts: a headline, the features as told.
  static Reply Words(const nlohmann::json& facts, const std::string& headline) {
    nlohmann::json top = nlohmann::json::array();
    for (const auto& f : facts["features"]) top.push_back({{"name", f["name"]}, {"direction", f["direction"]}});
    return Says(
        nlohmann::json(
            {{"headline", headline}, {"top_features", top}, {"severity", facts["severity"]}, {"confidence", 0.8}})
            .dump());
  }
  static Reply Judges(const std::string& verdict, const std::string& reason, const std::vector<int>& checks = {0}) {
    return Says(
        nlohmann::json({{"verdict", verdict}, {"confidence", 0.7}, {"reason", reason}, {"checks", checks}}).dump());
  }

 private:
  httplib::Server server_;
  std::mutex mutex_;
  std::vector<std::string> bodies_;
  std::string authorization_;
  int port_ = 0;
  std::thread thread_;
};

/// A port of this machine that is listened on and never answered; closed, it is one where nobody is.
class SilentServer {
 public:
  SilentServer() : socket_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    if (::bind(socket_, reinterpret_cast<sockaddr*>(&address), size) != 0 || ::listen(socket_, 64) != 0 ||
        ::getsockname(socket_, reinterpret_cast<sockaddr*>(&address), &size) != 0) {
      std::abort();
    }
    port_ = ntohs(address.sin_port);
  }
  ~SilentServer() { Close(); }
  SilentServer(const SilentServer&) = delete;
  SilentServer& operator=(const SilentServer&) = delete;
  void Close() {
    if (socket_ >= 0) ::close(socket_);
    socket_ = -1;
  }
  std::string url() const { return fmt::format("http://127.0.0.1:{}/v1", port_); }

 private:
  int socket_;
  int port_ = 0;
};

}  // namespace vedette::testing
