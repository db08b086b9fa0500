// Structured log to stderr: one JSON object a line, or text on a terminal. Never put data values, tokens or other
// secrets into a message or a field.
//
//   LogInfo("model trained", {{"algorithm", "iforest"}, {"rows", 5000}, {"seconds", 0.8}});
//
// Lines written inside a call or a worker carry its trace_id, request_id and tenant by themselves (LogScope).
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <type_traits>
#include <variant>

namespace vedette::runtime {

enum class Severity { kDebug, kInfo, kWarning, kError };
enum class LogFormat { kJson, kText };

/// One key of a log line. Any integer, floating-point number, bool or string.
class LogField {
 public:
  template <typename T>
  LogField(std::string_view key, const T& value) : key_(key), value_(Convert(value)) {}  // NOLINT: {{"key", value}}

  using Value = std::variant<bool, int64_t, double, std::string>;
  std::string_view key() const { return key_; }
  const Value& value() const { return value_; }

 private:
  template <typename T>
  static Value Convert(const T& v) {
    if constexpr (std::is_same_v<T, bool>) {
      return v;
    } else if constexpr (std::is_integral_v<T>) {
      return static_cast<int64_t>(v);
    } else if constexpr (std::is_floating_point_v<T>) {
      return static_cast<double>(v);
    } else {
      return std::string(std::string_view(v));
    }
  }
  std::string_view key_;
  Value value_;
};
using LogFields = std::initializer_list<LogField>;

/// Called once at start, before other threads. `service` is written in every line.
void InitLog(std::string_view service, Severity lowest, LogFormat format);
/// Where lines go instead of stderr (tests); nullptr puts it back. The line comes without its newline.
void SetLogSink(void (*sink)(std::string_view line));
bool LogEnabled(Severity severity);
void Log(Severity severity, std::string_view message, LogFields fields = {});

inline void LogDebug(std::string_view message, LogFields fields = {}) { Log(Severity::kDebug, message, fields); }
inline void LogInfo(std::string_view message, LogFields fields = {}) { Log(Severity::kInfo, message, fields); }
inline void LogWarning(std::string_view message, LogFields fields = {}) { Log(Severity::kWarning, message, fields); }
inline void LogError(std::string_view message, LogFields fields = {}) { Log(Severity::kError, message, fields); }

/// While it lives, lines of this thread carry these identifiers (empty ones are left out). Nests; keeps views only.
class LogScope {
 public:
  LogScope(std::string_view trace_id, std::string_view request_id, std::string_view tenant);
  ~LogScope();
  LogScope(const LogScope&) = delete;
  LogScope& operator=(const LogScope&) = delete;

  std::string_view trace_id, request_id, tenant;

 private:
  const LogScope* outer_;
};

}  // namespace vedette::runtime
