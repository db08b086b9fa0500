#include "llm/retry.h"

#include <algorithm>
#include <charconv>
#include <cmath>

namespace vedette::llm {
namespace {

std::optional<double> NumberOf(const std::string& text) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || !std::isfinite(value)) return std::nullopt;
  return value;
}

std::optional<absl::Duration> Asked(const HttpReply& reply, absl::Time now) {
  if (const auto it = reply.headers.find("retry-after-ms"); it != reply.headers.end()) {
    if (const auto ms = NumberOf(it->second)) return absl::Seconds(*ms / 1000);
  }
  const auto it = reply.headers.find("retry-after");
  if (it == reply.headers.end()) return std::nullopt;
  if (const auto seconds = NumberOf(it->second)) return absl::Seconds(*seconds);
  absl::Time date;
  std::string error;
  if (absl::ParseTime("%a, %d %b %Y %H:%M:%S GMT", it->second, &date, &error)) return date - now;
  return std::nullopt;
}

}  // namespace

std::optional<absl::Duration> RetryWait(const HttpReply& reply, int attempt, double jitter, absl::Time now) {
  if (const auto asked = Asked(reply, now)) {
    if (*asked > absl::Seconds(120)) return std::nullopt;
    if (*asked > absl::ZeroDuration()) return *asked;
  }
  const double seconds = std::min(0.5 * std::exp2(std::min(attempt, 10)), 8.0);
  return absl::Seconds(seconds * (1 - 0.25 * jitter));
}

}  // namespace vedette::llm
