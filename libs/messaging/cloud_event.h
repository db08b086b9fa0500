// CloudEvents 1.0 as we carry them on NATS: binary mode, attributes in headers ce-*, the body is the data.
#pragma once

#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace vedette::messaging {

struct CloudEvent {
  std::string id;                          ///< unique per source; (source, id) deduplicates
  std::string source;                      ///< the service: "vedette/ingest"
  std::string type;                        ///< "vedette.dataset.ready.v1"
  absl::Time time = absl::InfinitePast();  ///< when it happened; InfinitePast: not said
  std::string subject = {};                ///< the resource: "tenants/t1/datasets/d1"
  std::string tenant = {};                 ///< extension tenantid
  std::string traceparent = {};            ///< W3C trace context
  std::string datacontenttype = "application/protobuf";
  std::map<std::string, std::string> extensions = {};  ///< further attributes; names of 1..20 [a-z0-9]
  std::string data = {};
};

using Headers = std::vector<std::pair<std::string, std::string>>;

/// Headers of the binary mode (values percent-encoded as the NATS binding says). INVALID_ARGUMENT when id, source or
/// type is empty, an extension has a bad name, or a value is not UTF-8 or longer than 4 KiB.
absl::StatusOr<Headers> ToHeaders(const CloudEvent& event);
/// The event in a message; `data` as given. INVALID_ARGUMENT when a required attribute is missing or an encoding is
/// bad.
absl::StatusOr<CloudEvent> FromHeaders(const Headers& headers, std::string data);

}  // namespace vedette::messaging
