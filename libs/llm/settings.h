// Where the model is and how much of it may be used.
#pragma once

#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include <string>

namespace vedette::llm {

enum class Dialect { kOpenAi, kOllama, kVllm };

struct Settings {
  Dialect dialect = Dialect::kOllama;
  std::string base_url = "http://localhost:11434/v1";  ///< without the final slash
  std::string model;
  std::string api_key;              ///< a secret: never in a log, an error or a metric
  int max_output_tokens = 512;      ///< [16, 8192]
  bool json_schema = true;          ///< false: response_format json_object, for servers without schemas
  int max_retries = 2;              ///< [0, 5]
  int max_concurrent = 4;           ///< calls in flight, [1, 256]
  absl::Duration slot_wait = absl::Seconds(1);  ///< for one of them; longer waits would hold all threads of a service
  long daily_tokens_per_tenant = 200000;  ///< in and out together; [1, 1e12]
  int cache_entries = 1024;         ///< [0, 1e6]; 0: no cache
  absl::Duration cache_ttl = absl::Hours(24);
  absl::Duration timeout = absl::Seconds(10);  ///< of a whole call, with retries; the caller's deadline bounds it too
  int breaker_failures = 5;         ///< failures in a row that open the circuit, [1, 1000]
  absl::Duration breaker_cooldown = absl::Seconds(30);
  absl::Duration breaker_hard_cooldown = absl::Minutes(5);  ///< after errors that only a person cures (key, quota, model)
};

/// INVALID_ARGUMENT naming the field: ranges, a base_url that is not http(s), a key that would travel unencrypted to
/// another machine.
absl::Status Validate(const Settings& settings);

/// The key from a file (first line) or, when `file` is empty, from an environment variable; "" when both are empty.
/// NOT_FOUND or INVALID_ARGUMENT without the contents.
absl::StatusOr<std::string> LoadApiKey(const std::string& file, const std::string& env);

/// INVALID_ARGUMENT for an unknown name: openai, ollama, vllm.
absl::StatusOr<Dialect> ParseDialect(const std::string& name);

}  // namespace vedette::llm
