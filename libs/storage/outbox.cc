#include "storage/outbox.h"

#include <absl/base/thread_annotations.h>
#include <absl/synchronization/mutex.h>
#include <absl/time/clock.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/ids.h"
#include "base/status.h"

namespace vedette::storage {
namespace {

constexpr absl::Duration kSweepEvery = absl::Minutes(1);
constexpr int64_t kSweepRows = 10000;  // per statement, so that a sweep never holds many locks

std::string HeadersToJson(const std::map<std::string, std::string>& headers) {
  nlohmann::json j = nlohmann::json::object();
  for (const auto& [k, v] : headers) j[k] = v;
  return j.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

std::map<std::string, std::string> HeadersFromJson(std::string_view text) {
  std::map<std::string, std::string> out;
  const nlohmann::json j = nlohmann::json::parse(text, nullptr, false);
  if (!j.is_object()) return out;
  for (const auto& [k, v] : j.items()) {
    if (v.is_string()) out[k] = v.get<std::string>();
  }
  return out;
}

std::string Shortened(std::string_view text) { return std::string(text.substr(0, 500)); }

}  // namespace

absl::StatusOr<std::string> Outbox::Add(Tx& tx, OutboxMessage m) {
  if (m.subject.empty() || m.type.empty()) return InvalidArgument("an outbox message needs a subject and a type");
  if (m.id.empty()) m.id = NewUuidV7(absl::Now());
  if (m.tenant.empty()) m.tenant = tx.tenant();
  RETURN_IF_ERROR(
      tx.Exec("insert into outbox (tenant_id, message_id, subject, type, content_type, headers, payload) "
              "values ($1, $2, $3, $4, $5, $6, $7) on conflict (tenant_id, message_id) do nothing",
              {m.tenant, m.id, m.subject, m.type, m.content_type, HeadersToJson(m.headers), Bytes{m.payload}})
          .status());
  return m.id;
}

absl::StatusOr<bool> Inbox::FirstTime(Tx& tx, std::string_view consumer, std::string_view message_id) {
  // A concurrent transaction with the same key makes this wait until it ends, so two copies never both see "first".
  ASSIGN_OR_RETURN(const Result r,
                   tx.Exec("insert into inbox (consumer, message_id) values ($1, $2) on conflict do nothing",
                           {consumer, message_id}));
  return r.affected() == 1;
}

absl::StatusOr<int64_t> Inbox::Purge(Tx& tx, absl::Duration age) {
  ASSIGN_OR_RETURN(const Result r,
                   tx.Exec("delete from inbox where ctid in (select ctid from inbox where handled_at < now() - "
                           "make_interval(secs => $1::float8) limit $2)",
                           {absl::ToDoubleSeconds(age), kSweepRows}));
  return r.affected();
}

struct OutboxRelay::State {
  absl::Mutex mutex;
  bool wake ABSL_GUARDED_BY(mutex) = false;
  absl::Time next_sweep = absl::InfinitePast();
};

OutboxRelay::OutboxRelay(Pool* pool, OutboxPublisher publish, OutboxRelayOptions options)
    : pool_(pool), publish_(std::move(publish)), options_(std::move(options)), state_(std::make_unique<State>()) {
  options_.batch = std::clamp(options_.batch, 1, 5000);
}
OutboxRelay::~OutboxRelay() = default;

absl::StatusOr<int> OutboxRelay::RunOnce() {
  int taken = 0, published = 0, parked = 0;
  absl::Status first_error;
  const absl::Status status = AsService(
      *pool_,
      [&](Tx& tx) -> absl::Status {
        taken = published = parked = 0;
        first_error = absl::OkStatus();
        ASSIGN_OR_RETURN(
            const Result r,
            tx.Exec("select tenant_id, id, message_id, subject, type, content_type, headers, payload, created_at "
                    "from outbox where published_at is null and failed_at is null order by id limit $1 "
                    "for update skip locked",
                    {options_.batch}));
        std::vector<OutboxMessage> messages;
        std::vector<int64_t> ids;
        for (const Row row : r) {
          ids.push_back(row.Int64(1));
          messages.push_back({.id = std::string(row.Text(2)),
                              .tenant = std::string(row.Text(0)),
                              .subject = std::string(row.Text(3)),
                              .type = std::string(row.Text(4)),
                              .payload = row.Bytes(7),
                              .content_type = std::string(row.Text(5)),
                              .headers = HeadersFromJson(row.Text(6)),
                              .created_at = row.Time(8)});
        }
        taken = r.rows();
        if (taken == 0) return absl::OkStatus();
        const std::vector<absl::Status> outcomes = publish_(messages);
        if (outcomes.size() != messages.size())
          return Internal("the publisher answered {} of {} messages", outcomes.size(), messages.size());
        std::vector<int64_t> done, bad, later;
        std::vector<std::string> bad_reasons;
        for (size_t i = 0; i < outcomes.size(); ++i) {
          if (outcomes[i].ok()) {
            done.push_back(ids[i]);
            continue;
          }
          if (first_error.ok()) first_error = outcomes[i];
          if (absl::IsInvalidArgument(outcomes[i])) {
            bad.push_back(ids[i]);
            bad_reasons.push_back(Shortened(Message(outcomes[i])));
          } else {
            later.push_back(ids[i]);
          }
        }
        published = static_cast<int>(done.size());
        parked = static_cast<int>(bad.size());
        // By id alone: it is an identity. The rest of each condition lets the partial index on waiting rows find it.
        if (!done.empty()) {
          RETURN_IF_ERROR(tx.Exec("update outbox set published_at = clock_timestamp(), attempts = attempts + 1 where "
                                  "id = any($1::bigint[]) "
                                  "and published_at is null and failed_at is null",
                                  {done})
                              .status());
        }
        if (!bad.empty()) {
          RETURN_IF_ERROR(tx.Exec("update outbox o set failed_at = clock_timestamp(), attempts = attempts + 1, "
                                  "last_error = b.reason from "
                                  "unnest($1::bigint[], $2::text[]) as b(id, reason) where o.id = b.id and "
                                  "o.published_at is null and o.failed_at is null",
                                  {bad, bad_reasons})
                              .status());
        }
        if (!later.empty()) {
          RETURN_IF_ERROR(tx.Exec("update outbox set attempts = attempts + 1, last_error = $2 where id = "
                                  "any($1::bigint[]) and published_at is null and "
                                  "failed_at is null",
                                  {later, Shortened(Message(first_error))})
                              .status());
        }
        return absl::OkStatus();
      },
      {.max_attempts = 1});
  if (options_.on_round && (taken > 0 || !status.ok()))
    options_.on_round(published, parked, status.ok() ? first_error : status);
  RETURN_IF_ERROR(status);
  // Everything failed: let the caller back off. A parked message is progress, it will not come again.
  if (taken > 0 && published + parked == 0) return first_error;
  return taken;
}

absl::Status OutboxRelay::Sweep() {
  if (absl::Now() < state_->next_sweep) return absl::OkStatus();
  state_->next_sweep = absl::Now() + kSweepEvery;
  return AsService(*pool_, [this](Tx& tx) -> absl::Status {
    RETURN_IF_ERROR(tx.Exec("delete from outbox where ctid in (select ctid from outbox where published_at < now() - "
                            "make_interval(secs => $1::float8) limit $2)",
                            {absl::ToDoubleSeconds(options_.keep_published), kSweepRows})
                        .status());
    return Inbox::Purge(tx, options_.keep_inbox).status();
  });
}

void OutboxRelay::Run(std::stop_token stop) {
  const std::stop_callback waker(stop, [this] { Wake(); });
  absl::Duration wait = options_.poll;
  while (!stop.stop_requested()) {
    const absl::StatusOr<int> taken = RunOnce();
    if (taken.ok() && *taken > 0) {
      wait = options_.poll;
      continue;
    }
    if (taken.ok()) {
      wait = options_.poll;
      if (const absl::Status swept = Sweep(); !swept.ok() && options_.on_round) options_.on_round(0, 0, swept);
    } else {
      wait = std::min(wait * 2, options_.max_backoff);
    }
    absl::MutexLock lock(&state_->mutex);
    state_->mutex.AwaitWithTimeout(absl::Condition(&state_->wake), wait);
    state_->wake = false;
  }
}

void OutboxRelay::Wake() {
  absl::MutexLock lock(&state_->mutex);
  state_->wake = true;
}

}  // namespace vedette::storage
