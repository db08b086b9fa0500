// A server stream as a browser or a script can read it: Server-Sent Events (WHATWG HTML, section 9.2) or one JSON
// object a line (NDJSON).
#pragma once

#include <absl/time/time.h>
#include <httplib.h>

#include <functional>
#include <memory>
#include <string>

#include "services/gateway/adapters/backend.h"
#include "services/gateway/adapters/http_server.h"

namespace vedette::gateway {

/// By the Accept header: Server-Sent Events when it names text/event-stream, else NDJSON.
bool WantsEvents(const httplib::Request& request);

/// Answers with the messages of `stream`. An error before the first message is an ordinary error answer. After that:
/// events: each message is an event without a name, errors are events named "error", and "end" is the last one of a
/// stream that ended well (an EventSource must be closed then, or it connects again); a comment every `heartbeat`.
/// NDJSON: each message is a line, an error is a last line {"error": ...}.
void AnswerStream(std::unique_ptr<MessageStream> stream,
                  std::function<absl::StatusOr<std::string>(const std::string&)> to_json, bool events,
                  absl::Duration heartbeat, Exchange& exchange, httplib::Response& response);

}  // namespace vedette::gateway
