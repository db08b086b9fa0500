// A model's server for tests: replies from memory, or over HTTP on a free port of this machine.
#pragma once

#include <deque>
#include <memory>
#include <thread>

#include "llm/client.h"
#include "llm/wording.h"

namespace vedette::llm {

/// Replies in turn, the last for ever; each takes `takes` of the clock's time, at most the time-out.
class ScriptedTransport final : public Transport {
 public:
  struct Step {
    HttpReply reply;
    absl::Duration takes = absl::Milliseconds(10);
  };
  ScriptedTransport(ManualClock* clock, std::deque<Step> steps) : clock_(clock), steps_(std::move(steps)) {}
  HttpReply Post(const HttpRequest& request) override;
  std::vector<HttpRequest> seen;

 private:
  ManualClock* clock_;
  std::deque<Step> steps_;
};

/// A client whose time is moved by what it waits for.
struct Bench {
  ManualClock clock{absl::FromUnixSeconds(1'800'000'000)};
  ScriptedTransport* transport = nullptr;  ///< of Start with steps
  std::vector<absl::Duration> sleeps;
  std::vector<Completion> observed;
  std::unique_ptr<Client> client;
  void Start(Settings settings, std::deque<ScriptedTransport::Step> steps);
  void Start(Settings settings, std::unique_ptr<Transport> other);
};

/// 200 with this content.
HttpReply Says(const std::string& content, const std::string& finish = "stop");
HttpReply Status(int status, const std::string& body = "{}", std::map<std::string, std::string> headers = {});
HttpReply Broken(TransportError error);

Settings TestSettings();
/// bytes_out 940,000 where about 12,000 is expected; severity high.
WordingInput Finding();
extern const char kGood[];

}  // namespace vedette::llm
