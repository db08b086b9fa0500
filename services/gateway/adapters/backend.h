// Calls of services with bytes instead of messages: which RPC, and what is in them, only the descriptors know.
#pragma once

#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "runtime/client.h"

namespace vedette::gateway {

/// The answers of a server stream. Used by one thread.
class MessageStream {
 public:
  enum Outcome { kMessage, kTimeout, kEnd };
  virtual ~MessageStream() = default;  ///< cancels what has not ended
  /// Waits at most `patience` for the next message.
  virtual Outcome Next(absl::Duration patience, std::string* message) = 0;
  /// After kEnd.
  virtual absl::Status status() const = 0;
};

/// Thread-safe.
class Backend {
 public:
  explicit Backend(runtime::Channels& channels) : channels_(channels) {}
  /// Blocks until the service has answered. Asks `gone` a few times a second; when it says true, the call is cancelled.
  absl::StatusOr<std::string> Call(const std::string& service, const std::string& rpc, const runtime::Outgoing& out,
                                   const std::string& request, const std::function<bool()>& gone);
  absl::StatusOr<std::unique_ptr<MessageStream>> Stream(const std::string& service, const std::string& rpc,
                                                        const runtime::Outgoing& out, const std::string& request);

 private:
  runtime::Channels& channels_;
};

}  // namespace vedette::gateway
