#include "runtime/log.h"

#include <absl/time/clock.h>
#include <absl/time/time.h>
#include <fmt/format.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cmath>
#include <mutex>

namespace vedette::runtime {
namespace {

struct Logger {
  std::mutex mutex;
  std::string service = "vedette";
  LogFormat format = LogFormat::kText;
  std::atomic<Severity> lowest{Severity::kInfo};
  void (*sink)(std::string_view) = nullptr;
};

Logger& TheLogger() {
  static Logger* const logger = new Logger;  // never destroyed: threads may log while the process ends
  return *logger;
}

thread_local const LogScope* current_scope = nullptr;

std::string_view Name(Severity severity) {
  switch (severity) {
    case Severity::kDebug: return "DEBUG";
    case Severity::kInfo: return "INFO";
    case Severity::kWarning: return "WARNING";
    case Severity::kError: return "ERROR";
  }
  return "INFO";
}

void AppendQuoted(std::string_view text, std::string* out) {
  out->push_back('"');
  for (const char c : text) {
    switch (c) {
      case '"': *out += "\\\""; break;
      case '\\': *out += "\\\\"; break;
      case '\n': *out += "\\n"; break;
      case '\r': *out += "\\r"; break;
      case '\t': *out += "\\t"; break;
      default:
        if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
          *out += fmt::format("\\u{:04x}", static_cast<unsigned char>(c));
        } else {
          out->push_back(c);
        }
    }
  }
  out->push_back('"');
}

void AppendValue(const LogField::Value& value, std::string* out) {
  if (const bool* b = std::get_if<bool>(&value)) {
    *out += *b ? "true" : "false";
  } else if (const int64_t* i = std::get_if<int64_t>(&value)) {
    *out += fmt::format("{}", *i);
  } else if (const double* d = std::get_if<double>(&value)) {
    *out += std::isfinite(*d) ? fmt::format("{}", *d) : std::string("null");
  } else {
    AppendQuoted(std::get<std::string>(value), out);
  }
}

std::string Utc(absl::Time time) { return absl::FormatTime("%Y-%m-%dT%H:%M:%E6SZ", time, absl::UTCTimeZone()); }

void AppendJson(std::string_view key, std::string_view value, std::string* line) {
  if (value.empty()) return;
  *line += ",\"";
  *line += key;
  *line += "\":";
  AppendQuoted(value, line);
}

std::string JsonLine(const std::string& service, Severity severity, std::string_view message, LogFields fields) {
  std::string line = fmt::format("{{\"time\":\"{}\",\"severity\":\"{}\"", Utc(absl::Now()), Name(severity));
  AppendJson("service", service, &line);
  AppendJson("message", message, &line);
  if (current_scope != nullptr) {
    AppendJson("trace_id", current_scope->trace_id, &line);
    AppendJson("request_id", current_scope->request_id, &line);
    AppendJson("tenant", current_scope->tenant, &line);
  }
  for (const LogField& field : fields) {
    line.push_back(',');
    AppendQuoted(field.key(), &line);
    line.push_back(':');
    AppendValue(field.value(), &line);
  }
  line.push_back('}');
  return line;
}

std::string TextLine(const std::string& service, Severity severity, std::string_view message, LogFields fields) {
  std::string line = absl::FormatTime("%H:%M:%E3S", absl::Now(), absl::LocalTimeZone());
  line += fmt::format(" {:<7} {}: {}", Name(severity), service, message);
  for (const LogField& field : fields) {
    line += fmt::format(" {}=", field.key());
    AppendValue(field.value(), &line);
  }
  if (current_scope != nullptr && !current_scope->request_id.empty()) {
    line += fmt::format(" request_id={}", current_scope->request_id);
  }
  return line;
}

void WriteAll(std::string_view text) {
  while (!text.empty()) {
    const ssize_t n = ::write(STDERR_FILENO, text.data(), text.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return;
    text.remove_prefix(static_cast<size_t>(n));
  }
}

}  // namespace

void InitLog(std::string_view service, Severity lowest, LogFormat format) {
  Logger& logger = TheLogger();
  const std::lock_guard lock(logger.mutex);
  logger.service = service;
  logger.format = format;
  logger.lowest = lowest;
}

void SetLogSink(void (*sink)(std::string_view line)) {
  Logger& logger = TheLogger();
  const std::lock_guard lock(logger.mutex);
  logger.sink = sink;
}

bool LogEnabled(Severity severity) { return severity >= TheLogger().lowest.load(std::memory_order_relaxed); }

void Log(Severity severity, std::string_view message, LogFields fields) {
  if (!LogEnabled(severity)) return;
  Logger& logger = TheLogger();
  const std::lock_guard lock(logger.mutex);
  std::string line = logger.format == LogFormat::kJson ? JsonLine(logger.service, severity, message, fields)
                                                       : TextLine(logger.service, severity, message, fields);
  if (logger.sink != nullptr) {
    logger.sink(line);
    return;
  }
  line.push_back('\n');
  WriteAll(line);
}

LogScope::LogScope(std::string_view trace, std::string_view request, std::string_view owner)
    : trace_id(trace), request_id(request), tenant(owner), outer_(current_scope) {
  current_scope = this;
}

LogScope::~LogScope() { current_scope = outer_; }

}  // namespace vedette::runtime
