#include "unit/llm/support.h"

#include <algorithm>

namespace vedette::llm {

const char kGood[] =
    R"({"headline":"bytes_out is far above normal","top_features":[{"name":"bytes_out","direction":"high"}],"severity":"high","confidence":0.8})";

HttpReply ScriptedTransport::Post(const HttpRequest& request) {
  seen.push_back(request);
  const Step step = steps_.front();
  if (steps_.size() > 1) steps_.pop_front();
  clock_->Advance(std::min(step.takes, request.timeout));
  return step.takes >= request.timeout ? Broken(TransportError::kTimeout) : step.reply;
}

void Bench::Start(Settings settings, std::deque<ScriptedTransport::Step> steps) {
  auto scripted = std::make_unique<ScriptedTransport>(&clock, std::move(steps));
  transport = scripted.get();
  Start(std::move(settings), std::move(scripted));
}

void Bench::Start(Settings settings, std::unique_ptr<Transport> other) {
  Surroundings s;
  s.clock = &clock;
  s.sleep = [this](absl::Duration wait, std::stop_token) {
    sleeps.push_back(wait);
    clock.Advance(wait);
  };
  s.observe = [this](const ChatRequest&, const Completion& c) { observed.push_back(c); };
  client = std::make_unique<Client>(std::move(settings), std::move(other), std::move(s));
}

HttpReply Says(const std::string& content, const std::string& finish) {
  const Json body = {{"choices", {{{"index", 0}, {"message", {{"role", "assistant"}, {"content", content}}}, {"finish_reason", finish}}}},
                     {"usage", {{"prompt_tokens", 800}, {"completion_tokens", 60}}}};
  return Status(200, body.dump());
}

HttpReply Status(int status, const std::string& body, std::map<std::string, std::string> headers) {
  return {.status = status, .headers = std::move(headers), .body = body};
}

HttpReply Broken(TransportError error) { return {.error = error}; }

Settings TestSettings() {
  Settings s;
  s.model = "m";
  return s;
}

WordingInput Finding() {
  return {.subject = "Row 12", .severity = "high", .detector = "iforest",
          .features = {{.name = "bytes_out", .direction = "high", .actual = "940,000", .expected = "12,000", .share = "62%"}}};
}

}  // namespace vedette::llm
