#include "services/gateway/adapters/event_stream.h"

#include <absl/time/clock.h>

#include <optional>

#include "base/status.h"
#include "runtime/status.h"
#include "services/gateway/adapters/error_response.h"

namespace vedette::gateway {
namespace {

constexpr absl::Duration kListenSlice = absl::Milliseconds(200);
/// How long the status line waits for the first message: errors that come sooner get a status of their own.
constexpr absl::Duration kFirst = absl::Seconds(5);

/// Lives in the response, on the connection's thread.
class Pump {
 public:
  Pump(std::unique_ptr<MessageStream> stream, std::function<absl::StatusOr<std::string>(const std::string&)> to_json,
       bool events, absl::Duration heartbeat, Exchange& exchange)
      : stream_(std::move(stream)),
        to_json_(std::move(to_json)),
        events_(events),
        heartbeat_(heartbeat),
        exchange_(exchange) {}

  /// Until the first message, the end, or kFirst. Not OK: nothing but an error came.
  absl::Status Begin() {
    const absl::Time until = absl::Now() + kFirst;
    std::string message;
    while (absl::Now() < until && !Gone()) {
      const MessageStream::Outcome outcome = stream_->Next(kListenSlice, &message);
      if (outcome == MessageStream::kTimeout) continue;
      if (outcome == MessageStream::kMessage) {
        first_ = std::move(message);
        return absl::OkStatus();
      }
      return EndStatus();
    }
    return absl::OkStatus();
  }

  /// One turn: waits for a message or a heartbeat. False: the client is gone.
  bool Turn(httplib::DataSink& sink) {
    if (first_) {
      const std::string message = *std::exchange(first_, std::nullopt);
      return Put(sink, message);
    }
    const absl::Time until = absl::Now() + heartbeat_;
    std::string message;
    while (!Gone()) {
      switch (stream_->Next(kListenSlice, &message)) {
        case MessageStream::kMessage:
          return Put(sink, message);
        case MessageStream::kEnd:
          return End(sink, EndStatus());
        case MessageStream::kTimeout:
          break;
      }
      if (absl::Now() >= until) return !events_ || Write(sink, ": \n\n");
    }
    return false;
  }

 private:
  bool Gone() const { return exchange_.connection->PeerClosed() || exchange_.abort.stop_requested(); }

  absl::Status EndStatus() const {
    absl::Status status = stream_->status();
    if (!status.ok() && exchange_.drain.stop_requested())
      return absl::UnavailableError("the gateway is stopping; connect again");
    return status;
  }

  static bool Write(httplib::DataSink& sink, const std::string& text) { return sink.write(text.data(), text.size()); }

  bool Put(httplib::DataSink& sink, const std::string& message) {
    const absl::StatusOr<std::string> json = to_json_(message);
    if (!json.ok()) return End(sink, json.status());
    return Write(sink, events_ ? "data: " + *json + "\n\n" : *json + "\n");
  }

  bool End(httplib::DataSink& sink, const absl::Status& status) {
    bool good = true;
    if (!status.ok()) {
      good = Write(sink, events_ ? "event: error\ndata: " + ErrorJson(status) + "\n\n" : ErrorJson(status) + "\n");
    } else if (events_) {
      good = Write(sink, "event: end\ndata: {}\n\n");
    }
    sink.done();
    return good;
  }

  std::unique_ptr<MessageStream> stream_;
  const std::function<absl::StatusOr<std::string>(const std::string&)> to_json_;
  const bool events_;
  const absl::Duration heartbeat_;
  Exchange& exchange_;
  std::optional<std::string> first_;
};

}  // namespace

bool WantsEvents(const httplib::Request& request) {
  return request.get_header_value("Accept").find("text/event-stream") != std::string::npos;
}

void AnswerStream(std::unique_ptr<MessageStream> stream,
                  std::function<absl::StatusOr<std::string>(const std::string&)> to_json, bool events,
                  absl::Duration heartbeat, Exchange& exchange, httplib::Response& response) {
  const auto pump = std::make_shared<Pump>(std::move(stream), std::move(to_json), events, heartbeat, exchange);
  if (absl::Status status = pump->Begin(); !status.ok()) {
    SetError(response, status);
    return;
  }
  response.status = 200;
  response.set_header("Cache-Control", "no-store");
  response.set_header("X-Accel-Buffering", "no");  // a proxy must not collect events
  response.set_chunked_content_provider(events ? "text/event-stream" : "application/x-ndjson",
                                        [pump](size_t, httplib::DataSink& sink) { return pump->Turn(sink); });
}

}  // namespace vedette::gateway
