#include "cli/platform/client.h"

#include <google/protobuf/util/json_util.h>
#include <google/protobuf/util/time_util.h>

#include <thread>

#include "base/status.h"
#include "cli/terminal.h"
#include "explain/words.h"

namespace vedette::cli {
namespace {

/// Longest that a watcher follows one stream before it opens another.
constexpr absl::Duration kWatch = absl::Hours(24);
constexpr int kWatchAttempts = 60;

constexpr Flag kList[] = {
    {.name = "filter",
     .type = FlagType::kText,
     .value_name = "EXPR",
     .doc = "only those for which it holds: terms like state = RUNNING, joined by AND; a wrong field is answered with all fields"},
    {.name = "page-size",
     .type = FlagType::kInt,
     .value_name = "N",
     .default_value = "20",
     .min = 1,
     .max = 1000,
     .doc = "how many"},
    {.name = "page-token", .type = FlagType::kText, .value_name = "TOKEN", .doc = "where the page before ended"},
};

bool Ended(const jobs::v1::Job& job) {
  return job.state() == jobs::v1::Job::SUCCEEDED || job.state() == jobs::v1::Job::FAILED || job.state() == jobs::v1::Job::CANCELLED;
}

std::string Remaining(const jobs::v1::Job& job) {
  if (!job.has_estimated_end_time()) return "";
  const int64_t end = google::protobuf::util::TimeUtil::TimestampToSeconds(job.estimated_end_time());
  const int64_t left = std::max<int64_t>(0, end - absl::ToUnixSeconds(absl::Now()));
  return left < 2 ? "" : fmt::format(", about {} s left", left);
}

}  // namespace

constinit const FlagGroup kListFlags = {"Lists", kList};

void SayMore(const std::string& next_page_token) {
  if (!next_page_token.empty()) fmt::print("More: --page-token {}\n", next_page_token);
}

absl::StatusOr<Platform> Platform::Open(const Args& args) {
  const Home home = Home::From(args);
  Platform platform;
  ASSIGN_OR_RETURN(platform.state_, ReadState(home));
  ASSIGN_OR_RETURN(platform.token_, ReadWhole(home.Secret("developer-token")));
  return platform;
}

absl::StatusOr<std::shared_ptr<grpc::Channel>> Platform::Channel(const std::string& service) const {
  for (const ServiceState& s : state_.services) {
    if (s.name == service) return runtime::MakeChannel(s.address);
  }
  return NotFound("the platform has no service {}", service);
}

std::string ResourceName(std::string_view collection, const std::string& name) {
  const std::string prefix = std::string(collection) + "/";
  return name.starts_with(prefix) ? name : prefix + name;
}

absl::StatusOr<jobs::v1::Job> FollowJob(const Platform& platform, const std::string& name, bool quiet) {
  ASSIGN_OR_RETURN(const auto stub, platform.Stub<jobs::v1::JobService>("job-orchestrator"));
  jobs::v1::WatchJobRequest request;
  request.set_name(name);
  Progress progress("analysing", quiet);
  jobs::v1::Job last;
  absl::Status status;
  // The job goes on without us; a service that restarts meanwhile only interrupts the watching.
  for (int attempt = 0; attempt < kWatchAttempts; ++attempt) {
    status = runtime::CallStream(*stub, &jobs::v1::JobService::Stub::WatchJob, platform.Out(kWatch), request, [&](const jobs::v1::Job& job) {
      last = job;
      attempt = 0;
      progress.Update(job.progress_percent() / 100, fmt::format("{} of {} tasks, {} anomalies{}", job.done_tasks(), job.total_tasks(),
                                                                job.anomaly_count(), Remaining(job)));
      return absl::OkStatus();
    });
    if (Ended(last)) return last;
    if (!absl::IsUnavailable(status) && !status.ok()) return status;
    std::this_thread::sleep_for(std::chrono::seconds(1));
  }
  return status.ok() ? Unavailable("{} does not end", name) : status;
}

std::string JobSummary(const jobs::v1::Job& job) {
  using google::protobuf::util::TimeUtil;
  std::string text = fmt::format("{}: {}", job.name(), jobs::v1::Job::State_Name(job.state()));
  if (!job.error().empty()) text += fmt::format(" ({})", job.error());
  text += fmt::format("; {} rows of {} scored, {} anomalies", explain::FormatCount(job.rows_scored()), job.dataset(),
                      explain::FormatCount(job.anomaly_count()));
  if (job.has_start_time() && job.has_end_time()) {
    const double seconds = static_cast<double>(TimeUtil::TimestampToMilliseconds(job.end_time()) -
                                               TimeUtil::TimestampToMilliseconds(job.start_time())) / 1000;
    text += fmt::format(" in {:.1f} s", seconds);
  }
  text += "\n";
  if (!job.algorithm().empty()) {
    text += fmt::format("algorithm: {}{}{}\n", job.algorithm(), job.selection_reason().empty() ? "" : ", chosen: ", job.selection_reason());
    text += fmt::format("model: {}{}\n", job.model(), job.model_cache_hit() ? " (from the cache)" : "");
  }
  return text;
}

std::string ToJson(const google::protobuf::Message& message) {
  google::protobuf::util::JsonPrintOptions options;
  options.preserve_proto_field_names = true;
  options.add_whitespace = true;
  std::string text;
  (void)google::protobuf::util::MessageToJsonString(message, &text, options);
  return text;
}

}  // namespace vedette::cli
