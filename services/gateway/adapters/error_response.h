// {"error": {"code": 404, "status": "NOT_FOUND", "message": "...", "details": [google.rpc.* as JSON with @type]}}
#pragma once

#include <absl/status/status.h>
#include <httplib.h>

#include <string>

namespace vedette::gateway {

/// What leaves the gateway of a status: INTERNAL and its like keep their text in the log (see runtime/status.h).
std::string ErrorJson(const absl::Status& status, int http_status = 0);
/// The whole answer: status line, body, Retry-After where the status has a RetryInfo, WWW-Authenticate for 401.
/// http_status 0: by the code.
void SetError(httplib::Response& response, const absl::Status& status, int http_status = 0);

}  // namespace vedette::gateway
