// Chat completions on the wire: the request of each dialect, and what a reply means.
#pragma once

#include <optional>
#include <string>

#include "llm/settings.h"
#include "llm/text.h"
#include "llm/transport.h"

namespace vedette::llm {

/// One question. `system` is ours, word for word; everything from outside is in `data`.
struct ChatRequest {
  std::string use;          ///< wording, triage or rerank: a metric's label
  std::string system;
  Json data;                ///< becomes the user's message by EncodeData
  std::string schema_name;  ///< [A-Za-z0-9_-]{1,64}
  Json schema;              ///< strict: see StrictObject
};

/// The body to POST to {base_url}/chat/completions. `max_tokens` for Ollama and vLLM, `max_completion_tokens` for
/// OpenAI, whose reasoning models refuse the other.
std::string RequestBody(const Settings& settings, const ChatRequest& request);

enum class Action {
  kAnswer,  ///< content is there
  kRetry,   ///< later, the same may work
  kFail,    ///< it will not
};

/// What a reply means, before the content is looked at.
struct Reading {
  Action action = Action::kFail;
  std::string reason;         ///< of kRetry and kFail, a few fixed words: also metric labels
  bool open_circuit = false;  ///< only a person can cure it
  std::string content;
  std::optional<long> prompt_tokens, completion_tokens;
};
Reading Read(const HttpReply& reply);

}  // namespace vedette::llm
