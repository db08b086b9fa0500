#include <memory>
#include <string>
#include <utility>

#include "base/status.h"
#include "platform/platform.h"
#include "runtime/log.h"

namespace vedette::platform {

void AddConsumer(runtime::App& app, messaging::Connection& nats, messaging::ConsumerOptions options, messaging::Handler handler) {
  const std::string name = options.durable;
  options.durable = app.service() + "-" + name;
  auto& handled = app.metrics().Counter("messages_handled_total", "Messages handled, by consumer.", {{"consumer", name}});
  auto& failed = app.metrics().Counter("messages_failed_total", "Deliveries that were not acknowledged.", {{"consumer", name}});
  auto& seconds = app.metrics().Histogram("message_seconds", "Time in the handler.", runtime::Metrics::LatencyBounds(), {{"consumer", name}});
  options.on_handled = [&, name](const messaging::Message& message, const messaging::Outcome& outcome, absl::Duration took) {
    seconds.Observe(absl::ToDoubleSeconds(took));
    if (outcome.kind == messaging::Outcome::Kind::kAck) {
      handled.Increment();
      return;
    }
    failed.Increment();
    runtime::LogWarning("message not handled", {{"consumer", name}, {"subject", message.subject}, {"deliveries", message.deliveries},
                                                {"poison", outcome.kind == messaging::Outcome::Kind::kPoison}, {"reason", outcome.reason}});
  };
  options.on_error = [name](const absl::Status& status) {
    runtime::LogWarning("consumer", {{"consumer", name}, {"error", Message(status)}});
  };
  auto consumer = std::make_shared<std::unique_ptr<messaging::PullConsumer>>();
  app.AddWorker(name, [consumer, connection = &nats, options, handler](std::stop_token stop) -> absl::Status {
    if (*consumer == nullptr) {
      ASSIGN_OR_RETURN(*consumer, messaging::PullConsumer::Create(connection, options));
    }
    return (*consumer)->Run(stop, [&handler](const messaging::Message& message, std::stop_token s) {
      const auto trace = runtime::TraceContext::Parse(message.event.traceparent).value_or(runtime::TraceContext::New());
      const runtime::LogScope scope(trace.trace_id, message.event.id, message.event.tenant);
      return handler(message, s);
    });
  });
}

}  // namespace vedette::platform
