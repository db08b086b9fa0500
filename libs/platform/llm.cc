#include "platform/llm.h"

#include <algorithm>

#include "base/status.h"
#include "llm/curl_transport.h"
#include "platform/token_budget.h"
#include "runtime/log.h"

namespace vedette::platform {
namespace {

using runtime::v1::LlmConfig;

constexpr char kAnyTenant[] = "*";

absl::Status InRange(std::string_view field, uint64_t value, uint64_t low, uint64_t high) {
  if (value >= low && value <= high) return absl::OkStatus();
  return InvalidArgument("llm.{}: {} is not within {}-{}", field, value, low, high);
}

/// A key put where its variable's name belongs must not end up in an error.
bool IsVariableName(const std::string& name) {
  return name.size() <= 100 && std::all_of(name.begin(), name.end(), [](char c) {
           return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
         });
}

/// All but the key. Ranges that the library's types could not hold are checked before.
absl::StatusOr<llm::Settings> ToSettings(const LlmConfig& c) {
  RETURN_IF_ERROR(InRange("max_output_tokens", c.max_output_tokens(), 16, 8192));
  RETURN_IF_ERROR(InRange("timeout_ms", c.timeout_ms(), 10, 600'000));
  RETURN_IF_ERROR(InRange("daily_tokens_per_tenant", c.daily_tokens_per_tenant(), 1, 1'000'000'000'000));
  RETURN_IF_ERROR(InRange("max_concurrent", c.max_concurrent(), 1, 256));
  RETURN_IF_ERROR(InRange("cache_entries", c.cache_entries(), 0, 1'000'000));
  RETURN_IF_ERROR(InRange("max_cell_chars", c.max_cell_chars(), 8, 1000));
  if (!IsVariableName(c.api_key_env()))
    return InvalidArgument("llm.api_key_env must be the name of an environment variable");
  llm::Settings s{.base_url = c.base_url(), .model = c.model()};
  ASSIGN_OR_RETURN(s.dialect, llm::ParseDialect(c.dialect()));
  s.max_output_tokens = static_cast<int>(c.max_output_tokens());
  s.json_schema = c.json_schema();
  s.timeout = absl::Milliseconds(c.timeout_ms());
  s.daily_tokens_per_tenant = static_cast<long>(c.daily_tokens_per_tenant());
  s.max_concurrent = static_cast<int>(c.max_concurrent());
  s.cache_entries = static_cast<int>(c.cache_entries());
  if (!c.enabled() && s.model.empty()) s.model = "none";
  return s;
}

std::map<std::string, llm::Privacy> ToPrivacy(const LlmConfig& c) {
  const llm::Privacy common{.raw_strings = c.raw_strings(), .max_cell_chars = c.max_cell_chars()};
  std::map<std::string, llm::Privacy> by_tenant = {{kAnyTenant, common}};
  for (const auto& [tenant, allowed] : c.allowed_columns()) {
    llm::Privacy& p = by_tenant[tenant] = common;
    p.allowed_columns.emplace(allowed.columns().begin(), allowed.columns().end());
  }
  return by_tenant;
}

llm::Account Answers(runtime::Metrics& metrics) {
  return [&metrics](std::string_view use, std::string_view outcome) {
    metrics
        .Counter("llm_answers_total", "Questions to the language model, by how they ended",
                 {{"use", std::string(use)}, {"outcome", std::string(outcome)}})
        .Increment();
  };
}

/// What the server was asked: counts and times, never contents.
void Observe(runtime::Metrics& metrics, const llm::ChatRequest& request, const llm::Completion& done) {
  const runtime::MetricLabels use = {{"use", request.use}};
  metrics
      .Histogram("llm_seconds", "Time of a question to the language model, with retries",
                 runtime::Metrics::LatencyBounds(), use)
      .Observe(absl::ToDoubleSeconds(done.latency));
  metrics.Counter("llm_calls_total", "Calls of the language model's server", use).Increment(done.attempts);
  const auto tokens = [&](const char* kind, long n) {
    metrics.Counter("llm_tokens_total", "Tokens that the language model used", {{"use", request.use}, {"kind", kind}})
        .Increment(static_cast<double>(n));
  };
  tokens("prompt", done.prompt_tokens);
  tokens("completion", done.completion_tokens);
  if (!done.ok) {
    runtime::LogInfo("no answer from the language model", {{"use", request.use},
                                                              {"reason", done.reason},
                                                              {"calls", done.attempts},
                                                              {"seconds", absl::ToDoubleSeconds(done.latency)}});
  }
}

}  // namespace

LlmConfig DefaultLlmConfig() {
  const llm::Settings s;
  LlmConfig c;
  c.set_dialect("ollama");
  c.set_base_url(s.base_url);
  c.set_max_output_tokens(static_cast<uint32_t>(s.max_output_tokens));
  c.set_json_schema(s.json_schema);
  c.set_timeout_ms(static_cast<uint32_t>(absl::ToInt64Milliseconds(s.timeout)));
  c.set_daily_tokens_per_tenant(static_cast<uint64_t>(s.daily_tokens_per_tenant));
  c.set_max_concurrent(static_cast<uint32_t>(s.max_concurrent));
  c.set_cache_entries(static_cast<uint32_t>(s.cache_entries));
  c.set_max_cell_chars(static_cast<uint32_t>(llm::Privacy{}.max_cell_chars));
  return c;
}

absl::Status ValidateLlm(const LlmConfig& config) {
  ASSIGN_OR_RETURN(llm::Settings settings, ToSettings(config));
  // Whatever the key will be, it must not travel unencrypted.
  if (!config.api_key_file().empty() || !config.api_key_env().empty()) settings.api_key = "key";
  return llm::Validate(settings);
}

absl::StatusOr<llm::Assistant*> OpenLlm(runtime::App& app, messaging::Connection* nats, const LlmConfig& config) {
  RETURN_IF_ERROR(ValidateLlm(config));
  llm::Account account = Answers(app.metrics());
  if (!config.enabled()) return app.Own(std::make_unique<llm::Assistant>(std::move(account)));
  ASSIGN_OR_RETURN(llm::Settings settings, ToSettings(config));
  ASSIGN_OR_RETURN(settings.api_key, llm::LoadApiKey(config.api_key_file(), config.api_key_env()));
  RETURN_IF_ERROR(llm::Validate(settings));
  llm::Surroundings surroundings;
  if (nats != nullptr) {
    ASSIGN_OR_RETURN(surroundings.budget, TokenBudget::Open(*nats, settings.daily_tokens_per_tenant));
  }
  surroundings.observe = [&metrics = app.metrics()](const llm::ChatRequest& request, const llm::Completion& done) {
    Observe(metrics, request, done);
  };
  auto client = std::make_unique<llm::Client>(std::move(settings), llm::NewCurlTransport(), std::move(surroundings));
  std::map<std::string, llm::Privacy> privacy = ToPrivacy(config);
  llm::Privacy others = privacy.extract(kAnyTenant).mapped();
  runtime::LogInfo("a language model is used",
                   {{"dialect", config.dialect()}, {"model", config.model()}, {"raw_strings", config.raw_strings()}});
  return app.Own(
      std::make_unique<llm::Assistant>(std::move(client), std::move(privacy), std::move(others), std::move(account)));
}

}  // namespace vedette::platform
