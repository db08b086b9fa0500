#include "llm/client.h"

#include <algorithm>
#include <chrono>

#include "base/hash.h"
#include "llm/retry.h"

namespace vedette::llm {
namespace {

/// Below this share of the estimate, the server saw less than was sent; estimates are off by less.
constexpr double kCutShare = 0.6;
constexpr long kCutFrom = 1000;

void RealSleep(absl::Duration wait, std::stop_token stop) {
  std::mutex mutex;
  std::condition_variable_any never;
  std::unique_lock lock(mutex);
  never.wait_for(lock, stop, absl::ToChronoMilliseconds(wait), [] { return false; });
}

/// Whether a failure tells that the server is unwell, and not that this one question was a bad one.
bool Unwell(const std::string& reason) {
  return reason == "timeout" || reason == "unreachable" || reason == "server_error" || reason == "rate_limited" ||
         reason == "retry_after_too_long" || reason == "malformed";
}

}  // namespace

struct Client::Flight {
  bool done = false;
  Completion completion;
};

struct Client::Call {
  const std::string& tenant;
  const ChatRequest& request;
  const Check& check;
  std::string body;
  absl::Time deadline;
  std::stop_token stop;
  long taken = 0;          ///< of the budget
  absl::Time taken_at = {};
  bool hard = false;  ///< the last failure opens the circuit by itself
};

Client::Client(Settings settings, std::unique_ptr<Transport> transport, Surroundings surroundings)
    : settings_(std::move(settings)),
      transport_(std::move(transport)),
      surroundings_([&] {
        if (!surroundings.sleep) surroundings.sleep = RealSleep;
        if (!surroundings.budget) surroundings.budget = std::make_shared<LocalBudget>(settings_.daily_tokens_per_tenant);
        return std::move(surroundings);
      }()),
      breaker_(settings_.breaker_failures, settings_.breaker_cooldown, settings_.breaker_hard_cooldown),
      cache_(static_cast<size_t>(settings_.cache_entries), settings_.cache_ttl),
      rng_(surroundings_.seed) {}

bool Client::WaitUntil(std::unique_lock<std::mutex>& lock, absl::Time deadline, const std::function<bool()>& ready) {
  const absl::Duration left = deadline - surroundings_.clock->Now();
  return changed_.wait_for(lock, absl::ToChronoMilliseconds(std::max(left, absl::ZeroDuration())), ready);
}

Completion Client::Complete(const std::string& tenant, const ChatRequest& request, const Check& check,
                            absl::Time deadline, std::stop_token stop) {
  const absl::Time start = surroundings_.clock->Now();
  Call call{.tenant = tenant, .request = request, .check = check, .body = RequestBody(settings_, request),
            .deadline = std::min(deadline, start + settings_.timeout), .stop = stop};
  const std::string key = Sha256Hex(tenant + '\0' + settings_.base_url + '\0' + request.use + '\0' + call.body);
  Completion done;
  std::unique_lock lock(mutex_);
  for (;;) {
    if (const Json* answer = cache_.Find(key, surroundings_.clock->Now())) {
      done = {.ok = true, .answer = *answer, .cached = true};
      break;
    }
    const auto other = flights_.find(key);
    if (other == flights_.end()) {
      const auto flight = flights_[key] = std::make_shared<Flight>();
      lock.unlock();
      done = Lead(call);
      lock.lock();
      if (done.ok && done.warning.empty()) cache_.Put(key, done.answer, surroundings_.clock->Now());
      flight->done = true;
      flight->completion = done;
      flights_.erase(key);
      changed_.notify_all();
      break;
    }
    const auto flight = other->second;
    if (!WaitUntil(lock, call.deadline, [&] { return flight->done; })) {
      done.reason = "timeout";
      break;
    }
    // The other one's time or patience may have been shorter than ours: then it is our turn.
    const std::string& why = flight->completion.reason;
    if ((why == "timeout" || why == "cancelled" || why == "busy") && surroundings_.clock->Now() < call.deadline) continue;
    done = flight->completion;
    done.cached = true;
    done.attempts = 0;
    done.prompt_tokens = done.completion_tokens = 0;
    break;
  }
  lock.unlock();
  done.latency = surroundings_.clock->Now() - start;
  if (surroundings_.observe) surroundings_.observe(request, done);
  return done;
}

Completion Client::Lead(Call& call) {
  Completion done{.reason = Enter(call)};
  if (!done.reason.empty()) return done;
  // The budget may be a server's to tell: no lock is held for it.
  call.taken_at = surroundings_.clock->Now();
  const long tokens = EstimateTokens(call.body.size()) + settings_.max_output_tokens;
  done.reason = surroundings_.budget->Take(call.tenant, tokens, call.taken_at);
  if (done.reason.empty()) {
    call.taken = tokens;
    done = surroundings_.clock->Now() < call.deadline ? Attempts(call) : Completion{.reason = "timeout"};
    surroundings_.budget->Settle(call.tenant, call.taken, done.prompt_tokens + done.completion_tokens, call.taken_at);
  }
  Leave(call, done);
  return done;
}

std::string Client::Enter(Call& call) {
  std::unique_lock lock(mutex_);
  const absl::Time now = surroundings_.clock->Now();
  if (now >= call.deadline) return "timeout";
  const auto free = [&] { return in_flight_ < settings_.max_concurrent; };
  if (!WaitUntil(lock, std::min(call.deadline, now + settings_.slot_wait), free)) return "busy";
  if (!breaker_.Allow(surroundings_.clock->Now())) return "circuit_open";
  ++in_flight_;
  return "";
}

void Client::Leave(const Call& call, const Completion& done) {
  const std::unique_lock lock(mutex_);
  --in_flight_;
  if (done.attempts == 0 || done.reason == "cancelled") {
    breaker_.Abandoned();
  } else if (call.hard || Unwell(done.reason)) {
    breaker_.Failed(surroundings_.clock->Now(), call.hard);
  } else {
    breaker_.Succeeded();
  }
  changed_.notify_all();
}

HttpRequest Client::RequestOf(const Call& call) const {
  HttpRequest http{.url = settings_.base_url + "/chat/completions",
                   .headers = {"Content-Type: application/json", "Accept: application/json", "Expect:"},
                   .body = call.body,
                   .timeout = call.deadline - surroundings_.clock->Now(),
                   .stop = call.stop};
  if (!settings_.api_key.empty()) http.headers.push_back("Authorization: Bearer " + settings_.api_key);
  return http;
}

void Client::Judge(const Call& call, const Reading& reading, Completion& done) const {
  const long estimate = EstimateTokens(call.body.size());
  done.prompt_tokens += reading.prompt_tokens.value_or(estimate);
  done.completion_tokens += reading.completion_tokens.value_or(EstimateTokens(reading.content.size()));
  done.answer = Json::parse(StripFence(reading.content), nullptr, false);
  done.reason = done.answer.is_discarded() ? "not_json" : call.check(done.answer);
  done.ok = done.reason.empty();
  if (!done.ok) done.answer = nullptr;
  if (reading.prompt_tokens && estimate >= kCutFrom && static_cast<double>(*reading.prompt_tokens) < kCutShare * static_cast<double>(estimate)) {
    done.warning = "prompt_truncated";
  }
}

Completion Client::Attempts(Call& call) {
  Completion done;
  int bad_answers = 0;
  for (int attempt = 0;; ++attempt) {
    const HttpReply reply = transport_->Post(RequestOf(call));
    ++done.attempts;
    const Reading reading = Read(reply);
    if (reading.action == Action::kAnswer) {
      Judge(call, reading, done);
      const bool again = (done.reason == "not_json" || done.reason == "schema") && bad_answers++ == 0;
      if (!again || surroundings_.clock->Now() >= call.deadline || call.stop.stop_requested()) return done;
      // Another answer costs as much again.
      const long more = EstimateTokens(call.body.size()) + settings_.max_output_tokens;
      if (!surroundings_.budget->Take(call.tenant, more, call.taken_at).empty()) return done;
      call.taken += more;
      continue;
    }
    done.reason = reading.reason;
    call.hard = reading.open_circuit;
    if (reply.error == TransportError::kNone && reply.status == 200) {  // refusals and cut answers are paid for, too
      done.prompt_tokens += reading.prompt_tokens.value_or(EstimateTokens(call.body.size()));
      done.completion_tokens += reading.completion_tokens.value_or(0);
    }
    if (reading.action == Action::kFail || attempt - bad_answers >= settings_.max_retries) return done;
    std::optional<absl::Duration> wait;
    {
      const std::unique_lock lock(mutex_);
      wait = RetryWait(reply, attempt - bad_answers, rng_.Uniform(), surroundings_.clock->Now());
    }
    if (!wait) {
      done.reason = "retry_after_too_long";
      return done;
    }
    if (surroundings_.clock->Now() + *wait >= call.deadline) return done;
    surroundings_.sleep(*wait, call.stop);
    if (call.stop.stop_requested()) {
      done.reason = "cancelled";
      return done;
    }
    if (surroundings_.clock->Now() >= call.deadline) return done;
  }
}

}  // namespace vedette::llm
