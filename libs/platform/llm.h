// A language model for a service: from its configuration to an assistant with metrics. A target of its own
// (vedette_platform_llm), so that only services that use a model link an HTTP client.
//
//   config proto:  vedette.runtime.v1.LlmConfig llm = N;
//   DefaultConfig: *config.mutable_llm() = platform::DefaultLlmConfig();
//   Validate:      RETURN_IF_ERROR(platform::ValidateLlm(config.llm()));
//   Build:         ASSIGN_OR_RETURN(llm::Assistant* const assistant, platform::OpenLlm(app, nats, config.llm()));
#pragma once

#include <absl/status/statusor.h>

#include "llm/assistant.h"
#include "messaging/connection.h"
#include "runtime/run.h"

namespace vedette::platform {

/// Off; the defaults that the proto's comments state.
runtime::v1::LlmConfig DefaultLlmConfig();

/// INVALID_ARGUMENT names the field ("llm.base_url ..."), never a secret. Reads no file and no environment variable.
absl::Status ValidateLlm(const runtime::v1::LlmConfig& config);

/// The assistant, which outlives server and workers; it is off when the configuration says so. Reads the key: NOT_FOUND
/// or INVALID_ARGUMENT when it cannot. Metrics: llm_answers_total{use,outcome} of every question (outcome: llm, cache
/// or why there is no answer), llm_calls_total{use} and llm_tokens_total{use,kind} of what went to the server,
/// llm_seconds{use}. `nats`, which outlives the app, counts the tenants' daily tokens for everybody (token_budget.h); none:
/// they are those of this process.
absl::StatusOr<llm::Assistant*> OpenLlm(runtime::App& app, messaging::Connection* nats,
                                        const runtime::v1::LlmConfig& config);

}  // namespace vedette::platform
