// W3C Trace Context (https://www.w3.org/TR/trace-context/): the identity of a request across processes. Travels as
// gRPC metadata "traceparent" and as a NATS header of the same name.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace vedette::runtime {

struct TraceContext {
  std::string trace_id;  ///< 32 lower-case hexadecimal digits, not all zero
  std::string span_id;   ///< 16 lower-case hexadecimal digits, not all zero
  bool sampled = true;

  /// A new trace.
  static TraceContext New();
  /// Nothing when the header is not well formed (the caller then starts a new trace).
  static std::optional<TraceContext> Parse(std::string_view traceparent);
  /// The same trace, a new span.
  TraceContext Child() const;
  /// "00-<trace_id>-<span_id>-01".
  std::string ToString() const;
};

}  // namespace vedette::runtime
