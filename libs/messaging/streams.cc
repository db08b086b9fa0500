#include "messaging/streams.h"

#include <algorithm>

#include "base/status.h"
#include "messaging/internal.h"

namespace vedette::messaging {
namespace {

using internal::StreamInfoPtr;

// jsStreamConfig points into `subjects`, which must outlive it.
jsStreamConfig ToConfig(const StreamSpec& spec, std::vector<const char*>* subjects) {
  for (const std::string& s : spec.subjects) subjects->push_back(s.c_str());
  jsStreamConfig c;
  jsStreamConfig_Init(&c);
  c.Name = spec.name.c_str();
  c.Subjects = subjects->data();
  c.SubjectsLen = static_cast<int>(subjects->size());
  c.Retention = spec.retention == Retention::kWorkQueue ? js_WorkQueuePolicy : js_LimitsPolicy;
  c.Discard = spec.retention == Retention::kWorkQueue ? js_DiscardNew : js_DiscardOld;
  c.Storage = js_FileStorage;
  c.MaxAge = absl::ToInt64Nanoseconds(spec.max_age);
  c.MaxBytes = spec.max_bytes;
  c.Duplicates = absl::ToInt64Nanoseconds(spec.duplicate_window);
  c.Replicas = spec.replicas;
  return c;
}

bool Same(const jsStreamConfig& a, const jsStreamConfig& b) {
  if (a.SubjectsLen != b.SubjectsLen || a.MaxAge != b.MaxAge || a.MaxBytes != b.MaxBytes ||
      a.Duplicates != b.Duplicates || a.Replicas != b.Replicas || a.Discard != b.Discard) {
    return false;
  }
  for (int i = 0; i < a.SubjectsLen; ++i) {
    if (std::string_view(a.Subjects[i]) != b.Subjects[i]) return false;
  }
  return true;
}

absl::StatusOr<StreamInfoPtr> GetInfo(Connection& c, const std::string& name) {
  jsStreamInfo* raw = nullptr;
  jsErrCode code{};
  const natsStatus s = js_GetStreamInfo(&raw, c.impl().js, name.c_str(), nullptr, &code);
  RETURN_IF_ERROR(internal::ToStatus(s, fmt::format("asking for stream {}", name), static_cast<int>(code)));
  return StreamInfoPtr(raw);
}

}  // namespace

std::vector<StreamSpec> OurStreams(int replicas) {
  constexpr int64_t kMiB = int64_t{1} << 20;
  return {
      {.name = kWorkStream,
       .subjects = {"work.>"},
       .retention = Retention::kWorkQueue,
       .max_bytes = 1024 * kMiB,
       .duplicate_window = absl::Minutes(10),
       .replicas = replicas},
      {.name = kFactsStream,
       .subjects = {"facts.>"},
       .max_age = absl::Hours(24 * 7),
       .max_bytes = 2048 * kMiB,
       .duplicate_window = absl::Minutes(10),
       .replicas = replicas},
      {.name = kDeadLetterStream,
       .subjects = {"dlq.>"},
       .max_age = absl::Hours(24 * 30),
       .max_bytes = 512 * kMiB,
       .duplicate_window = absl::Minutes(10),
       .replicas = replicas},
      {.name = kAdvisoriesStream,
       .subjects = {"$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES.>", "$JS.EVENT.ADVISORY.CONSUMER.MSG_TERMINATED.>"},
       .max_age = absl::Hours(24 * 7),
       .max_bytes = 64 * kMiB,
       .replicas = replicas},
  };
}

absl::Status EnsureStream(Connection& c, const StreamSpec& spec) {
  std::vector<const char*> subjects;
  jsStreamConfig wanted = ToConfig(spec, &subjects);
  const std::string what = fmt::format("stream {}", spec.name);
  absl::StatusOr<StreamInfoPtr> info = GetInfo(c, spec.name);
  if (absl::IsNotFound(info.status())) {
    jsErrCode code{};
    const natsStatus s = js_AddStream(nullptr, c.impl().js, &wanted, nullptr, &code);
    const absl::Status added = internal::ToStatus(s, what, static_cast<int>(code));
    if (!absl::IsAlreadyExists(added)) return added;
    info = GetInfo(c, spec.name);  // another process was faster, with another version of the settings
  }
  RETURN_IF_ERROR(info.status());
  const jsStreamConfig& have = *(*info)->Config;
  if (have.Retention != wanted.Retention || have.Storage != wanted.Storage) {
    return FailedPrecondition(
        "{} exists with another retention or storage, which cannot be changed; move its messages and delete it", what);
  }
  if (Same(have, wanted)) return absl::OkStatus();
  jsErrCode code{};
  const natsStatus s = js_UpdateStream(nullptr, c.impl().js, &wanted, nullptr, &code);
  return internal::ToStatus(s, fmt::format("updating {}", what), static_cast<int>(code));
}

absl::Status EnsureOurStreams(Connection& connection, int replicas) {
  for (const StreamSpec& spec : OurStreams(replicas)) RETURN_IF_ERROR(EnsureStream(connection, spec));
  return absl::OkStatus();
}

absl::StatusOr<StreamState> GetStreamState(Connection& connection, const std::string& stream) {
  ASSIGN_OR_RETURN(const StreamInfoPtr info, GetInfo(connection, stream));
  const jsStreamState& s = info->State;
  return StreamState{static_cast<int64_t>(s.Msgs), static_cast<int64_t>(s.Bytes), s.FirstSeq, s.LastSeq};
}

}  // namespace vedette::messaging
