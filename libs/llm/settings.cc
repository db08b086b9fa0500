#include "llm/settings.h"

#include <algorithm>
#include <cstdlib>
#include <fstream>

#include "base/status.h"

namespace vedette::llm {
namespace {

absl::Status InRange(const char* field, long value, long low, long high) {
  if (value >= low && value <= high) return absl::OkStatus();
  return InvalidArgument("llm.{}: {} is not within {}-{}", field, value, low, high);
}

/// Of "http://host:port/path": host, in brackets when it is an IPv6 address.
std::string HostOf(std::string_view url) {
  url.remove_prefix(url.find("://") + 3);
  url = url.substr(0, url.find('/'));
  if (url.starts_with('[')) return std::string(url.substr(0, url.find(']') + 1));
  return std::string(url.substr(0, url.find(':')));
}

bool HeaderSafe(const std::string& s) {
  return std::all_of(s.begin(), s.end(), [](char c) { return c > 0x20 && c < 0x7F; });
}

}  // namespace

absl::Status Validate(const Settings& s) {
  RETURN_IF_ERROR(InRange("max_output_tokens", s.max_output_tokens, 16, 8192));
  RETURN_IF_ERROR(InRange("max_retries", s.max_retries, 0, 5));
  RETURN_IF_ERROR(InRange("max_concurrent", s.max_concurrent, 1, 256));
  RETURN_IF_ERROR(InRange("daily_tokens_per_tenant", s.daily_tokens_per_tenant, 1, 1'000'000'000'000));
  RETURN_IF_ERROR(InRange("cache_entries", s.cache_entries, 0, 1'000'000));
  RETURN_IF_ERROR(InRange("breaker_failures", s.breaker_failures, 1, 1000));
  if (s.timeout < absl::Milliseconds(10) || s.timeout > absl::Minutes(10)) {
    return InvalidArgument("llm.timeout is not within 10 ms-10 min");
  }
  if (s.model.empty() || s.model.size() > 200) return InvalidArgument("llm.model must have 1-200 characters");
  const std::string& url = s.base_url;
  if ((!url.starts_with("http://") && !url.starts_with("https://")) || url.size() > 500 || url.ends_with('/') ||
      url.find_first_of("@?#") != std::string::npos || !HeaderSafe(url) || HostOf(url).empty()) {
    return InvalidArgument("llm.base_url must be http(s)://host[:port]/path without a user, a query and a final slash");
  }
  if (!HeaderSafe(s.api_key)) return InvalidArgument("llm: the API key has characters that no key has");
  const std::string host = HostOf(url);
  if (!s.api_key.empty() && url.starts_with("http://") && host != "localhost" && host != "127.0.0.1" && host != "[::1]") {
    return InvalidArgument("llm.base_url: a key is sent over https only, unless the server is on this machine");
  }
  return absl::OkStatus();
}

absl::StatusOr<std::string> LoadApiKey(const std::string& file, const std::string& env) {
  std::string key;
  if (!file.empty()) {
    std::ifstream in(file);
    if (!in) return NotFound("llm.api_key_file: {} cannot be read", file);
    std::getline(in, key);
  } else if (!env.empty()) {
    const char* value = std::getenv(env.c_str());
    if (value == nullptr) return NotFound("llm.api_key_env: {} is not set", env);
    key = value;
  } else {
    return key;
  }
  while (!key.empty() && (key.back() == '\r' || key.back() == ' ')) key.pop_back();
  if (key.empty() || key.size() > 4096 || !HeaderSafe(key)) return InvalidArgument("llm: the API key is empty or no key");
  return key;
}

absl::StatusOr<Dialect> ParseDialect(const std::string& name) {
  if (name == "openai") return Dialect::kOpenAi;
  if (name.empty() || name == "ollama") return Dialect::kOllama;
  if (name == "vllm") return Dialect::kVllm;
  return InvalidArgument("llm.dialect: '{}' is not openai, ollama or vllm", name);
}

}  // namespace vedette::llm
