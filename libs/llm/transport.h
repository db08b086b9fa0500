// One HTTP POST: the port behind which tests put their own.
#pragma once

#include <absl/time/time.h>

#include <map>
#include <stop_token>
#include <string>
#include <vector>

namespace vedette::llm {

struct HttpRequest {
  std::string url;
  std::vector<std::string> headers;  ///< "name: value"; may hold the key
  std::string body;
  absl::Duration timeout;            ///< > 0, for everything from the connection to the last byte
  std::stop_token stop;
};

enum class TransportError { kNone, kTimeout, kUnreachable, kTooLarge, kCancelled };

struct HttpReply {
  TransportError error = TransportError::kNone;
  int status = 0;
  std::map<std::string, std::string> headers;  ///< names in lower case
  std::string body;
};

class Transport {
 public:
  virtual ~Transport() = default;
  /// Thread-safe. Redirects are not followed.
  virtual HttpReply Post(const HttpRequest& request) = 0;
};

}  // namespace vedette::llm
