#include "llm/protocol.h"

namespace vedette::llm {
namespace {

std::string StringOf(const Json& object, const char* member) {
  if (!object.is_object()) return "";
  const auto it = object.find(member);
  return it != object.end() && it->is_string() ? it->get<std::string>() : "";
}

std::optional<long> TokensOf(const Json& body, const char* member) {
  const auto usage = body.find("usage");
  if (usage == body.end() || !usage->is_object()) return std::nullopt;
  const auto it = usage->find(member);
  if (it == usage->end() || !it->is_number_integer()) return std::nullopt;
  const long n = it->get<long>();
  return n >= 0 && n <= 100'000'000 ? std::optional<long>(n) : std::nullopt;
}

Reading ReadSuccess(const HttpReply& reply) {
  Reading r{.reason = "malformed"};
  const Json body = Json::parse(reply.body, nullptr, false);
  if (!body.is_object()) return r;
  r.prompt_tokens = TokensOf(body, "prompt_tokens");
  r.completion_tokens = TokensOf(body, "completion_tokens");
  const auto choices = body.find("choices");
  if (body.contains("error") && !body["error"].is_null()) return r;
  if (choices == body.end() || !choices->is_array() || choices->empty() || !(*choices)[0].is_object()) return r;
  const Json& choice = (*choices)[0];
  const auto message = choice.find("message");
  if (message == choice.end() || !message->is_object()) return r;
  const std::string finish = StringOf(choice, "finish_reason");
  // Thinking (message.reasoning, message.reasoning_content) is never read.
  r.content = StringOf(*message, "content");
  if (!StringOf(*message, "refusal").empty()) r.reason = "refusal";
  else if (finish == "length" || finish == "content_filter") r.reason = finish;
  else if (r.content.empty()) r.reason = "empty";
  else r.action = Action::kAnswer, r.reason.clear();
  if (r.action != Action::kAnswer) r.content.clear();
  return r;
}

bool Overflow(const Json& error) {
  const std::string message = StringOf(error, "message");
  return StringOf(error, "code") == "context_length_exceeded" || message.find("context length") != std::string::npos;
}

Reading ReadError(const HttpReply& reply) {
  const Json body = Json::parse(reply.body, nullptr, false);  // discarded when a proxy sent HTML
  Json error = body.is_object() ? body : Json::object();      // older vLLM: the error is the body
  if (error.contains("error") && error["error"].is_object()) error = Json(error["error"]);
  Reading r;
  const bool quota = StringOf(error, "code") == "insufficient_quota" || StringOf(error, "type") == "insufficient_quota";
  const int status = reply.status;
  if (status == 429) r.reason = quota ? "quota" : "rate_limited";
  else if (status == 401 || status == 403) r.reason = "auth";
  else if (status == 404) r.reason = "model_not_found";
  else if (status == 413 || (status == 400 && Overflow(error))) r.reason = "context_length";
  else if (status == 408) r.reason = "timeout";
  else if (status == 409) r.reason = "conflict";
  else if (status >= 500) r.reason = "server_error";
  else if (status >= 400) r.reason = "bad_request";
  else r.reason = "malformed";  // a redirect, or nothing that HTTP knows
  r.open_circuit = r.reason == "quota" || r.reason == "auth" || r.reason == "model_not_found";
  bool again = status == 408 || status == 409 || status == 429 || status >= 500;
  // The official client's rule: the server's word goes first. Waiting does not cure an empty purse, whatever it says.
  const auto hint = reply.headers.find("x-should-retry");
  if (hint != reply.headers.end() && hint->second == "true") again = true;
  if (hint != reply.headers.end() && hint->second == "false") again = false;
  r.action = again && !quota ? Action::kRetry : Action::kFail;
  return r;
}

}  // namespace

std::string RequestBody(const Settings& s, const ChatRequest& request) {
  Json body = {{"model", s.model},
               {"messages", Json::array({{{"role", "system"}, {"content", request.system}},
                                         {{"role", "user"}, {"content", EncodeData(request.data)}}})},
               {"stream", false}};
  body[s.dialect == Dialect::kOpenAi ? "max_completion_tokens" : "max_tokens"] = s.max_output_tokens;
  // OpenAI's reasoning models refuse any temperature but their own.
  if (s.dialect != Dialect::kOpenAi) body["temperature"] = 0, body["seed"] = 42;
  if (s.json_schema) {
    body["response_format"] = {{"type", "json_schema"},
                               {"json_schema", {{"name", request.schema_name}, {"strict", true}, {"schema", request.schema}}}};
  } else {
    body["response_format"] = {{"type", "json_object"}};
  }
  return body.dump(-1, ' ', true, Json::error_handler_t::replace);
}

Reading Read(const HttpReply& reply) {
  switch (reply.error) {
    case TransportError::kNone: return reply.status == 200 ? ReadSuccess(reply) : ReadError(reply);
    case TransportError::kTimeout: return {.action = Action::kRetry, .reason = "timeout"};
    case TransportError::kUnreachable: return {.action = Action::kRetry, .reason = "unreachable"};
    case TransportError::kTooLarge: return {.action = Action::kFail, .reason = "malformed"};
    case TransportError::kCancelled: return {.action = Action::kFail, .reason = "cancelled"};
  }
  return {.action = Action::kFail, .reason = "malformed"};
}

}  // namespace vedette::llm
