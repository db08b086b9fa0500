// One question to the model, answered within a deadline or given up with a reason. Never an error: whoever asks has an
// answer of its own to fall back to.
#pragma once

#include <absl/time/time.h>

#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "base/clock.h"
#include "base/rng.h"
#include "llm/limits.h"
#include "llm/protocol.h"
#include "llm/settings.h"
#include "llm/transport.h"

namespace vedette::llm {

/// Looks at an answer: "" when it may be used; "schema" (asked once more) or another reason (not asked again).
using Check = std::function<std::string(const Json& answer)>;

struct Completion {
  bool ok = false;
  std::string reason;   ///< why not: refusal, length, not_json, schema, ungrounded, timeout, unreachable, over_budget...
  std::string warning;  ///< prompt_truncated: the server dropped a part of the prompt, the answer passed the checks
  Json answer;
  bool cached = false;  ///< from the cache, or another caller asked the same at the same time
  int attempts = 0;     ///< HTTP calls
  long prompt_tokens = 0, completion_tokens = 0;  ///< of all attempts; estimated where the server did not say
  absl::Duration latency;
};

/// The world as the client sees it; tests bring their own.
struct Surroundings {
  const Clock* clock = &Clock::System();
  /// Waits, at most until the stop. The default really sleeps.
  std::function<void(absl::Duration, std::stop_token)> sleep;
  uint64_t seed = 42;  ///< of the jitter
  std::shared_ptr<Budget> budget;  ///< none: a LocalBudget of settings.daily_tokens_per_tenant
  /// Told of every completion; thread-safe.
  std::function<void(const ChatRequest&, const Completion&)> observe;
};

/// Thread-safe.
class Client {
 public:
  /// `settings` must be valid (Validate).
  Client(Settings settings, std::unique_ptr<Transport> transport, Surroundings surroundings = {});

  /// Asks, within settings.timeout and `deadline`, whichever is earlier. The same question of the same tenant is asked
  /// once, even at the same time. Retries by the official client's rules; an answer that is no JSON or breaks the
  /// schema is asked for once more.
  Completion Complete(const std::string& tenant, const ChatRequest& request, const Check& check,
                      absl::Time deadline = absl::InfiniteFuture(), std::stop_token stop = {});

 private:
  struct Flight;
  struct Call;
  Completion Lead(Call& call);
  Completion Attempts(Call& call);
  /// Why the server may not be asked now; "": it may, and Leave must follow.
  std::string Enter(Call& call);
  void Leave(const Call& call, const Completion& done);
  void Judge(const Call& call, const Reading& reading, Completion& done) const;
  HttpRequest RequestOf(const Call& call) const;
  bool WaitUntil(std::unique_lock<std::mutex>& lock, absl::Time deadline, const std::function<bool()>& ready);

  const Settings settings_;
  const std::unique_ptr<Transport> transport_;
  const Surroundings surroundings_;
  std::mutex mutex_;
  std::condition_variable changed_;
  Breaker breaker_;
  AnswerCache cache_;
  Rng rng_;
  int in_flight_ = 0;
  std::map<std::string, std::shared_ptr<Flight>> flights_;
};

}  // namespace vedette::llm
