// vedette jobs: what the platform is working on.
#include <fmt/format.h>

#include "base/status.h"
#include "cli/command.h"
#include "cli/platform/client.h"
#include "explain/words.h"

namespace vedette::cli {
namespace {

using jobs::v1::JobService;

constexpr Flag kFlags[] = {
    {.name = "format", .type = FlagType::kChoice, .value_name = "HOW", .default_value = "table", .choices = "table|json", .doc = "how it is printed"},
    {.name = "quiet", .type = FlagType::kSwitch, .doc = "watch: no progress", .letter = 'q'},
};

constexpr std::string_view kActions[] = {"list", "show", "watch", "cancel", "resume"};

void Check(const Args& args, std::vector<std::string>* mistakes) {
  if (args.positionals() == 0) return;
  const std::string& action = args.At(0);
  const bool known = std::find(std::begin(kActions), std::end(kActions), action) != std::end(kActions);
  if (!known) mistakes->push_back(fmt::format("'{}' is none of {}", action, fmt::join(kActions, ", ")));
  if (known && action != "list" && args.At(1).empty()) mistakes->push_back(fmt::format("jobs {} needs the job's name", action));
}

void Print(const jobs::v1::Job& job, const Args& args) {
  fmt::print("{}", args.Text("format") == "json" ? ToJson(job) : JobSummary(job));
}

absl::StatusOr<int> List(const Platform& platform, const Args& args) {
  ASSIGN_OR_RETURN(const auto stub, platform.Stub<JobService>("job-orchestrator"));
  jobs::v1::ListJobsRequest request;
  SetList(args, request);
  ASSIGN_OR_RETURN(const jobs::v1::ListJobsResponse response, runtime::Call(*stub, &JobService::Stub::ListJobs, platform.Out(), request));
  if (args.Text("format") == "json") {
    fmt::print("{}", ToJson(response));
    return kOk;
  }
  fmt::print("{:<42}{:<11}{:>6}{:>12}{:>11}  {}\n", "job", "state", "done", "rows", "anomalies", "algorithm");
  for (const auto& job : response.jobs()) {
    fmt::print("{:<42}{:<11}{:>5.0f}%{:>12}{:>11}  {}\n", job.name(), jobs::v1::Job::State_Name(job.state()), job.progress_percent(),
               explain::FormatCount(job.rows_scored()), explain::FormatCount(job.anomaly_count()), job.algorithm());
  }
  SayMore(response.next_page_token());
  return kOk;
}

absl::StatusOr<int> Run(const Args& args) {
  ASSIGN_OR_RETURN(const Platform platform, Platform::Open(args));
  const std::string& action = args.At(0);
  if (action == "list") return List(platform, args);
  ASSIGN_OR_RETURN(const auto stub, platform.Stub<JobService>("job-orchestrator"));
  const std::string name = ResourceName("jobs", args.At(1));
  absl::StatusOr<jobs::v1::Job> job;
  if (action == "watch") {
    job = FollowJob(platform, name, args.Switch("quiet"));
  } else if (action == "cancel") {
    jobs::v1::CancelJobRequest request;
    request.set_name(name);
    job = runtime::Call(*stub, &JobService::Stub::CancelJob, platform.Out(), request);
  } else if (action == "resume") {
    jobs::v1::ResumeJobRequest request;
    request.set_name(name);
    job = runtime::Call(*stub, &JobService::Stub::ResumeJob, platform.Out(), request);
  } else {
    jobs::v1::GetJobRequest request;
    request.set_name(name);
    job = runtime::Call(*stub, &JobService::Stub::GetJob, platform.Out(), request);
  }
  RETURN_IF_ERROR(job.status());
  Print(*job, args);
  return action == "watch" && job->state() != jobs::v1::Job::SUCCEEDED ? kFailed : kOk;
}

constexpr Positional kPositionals[] = {{"ACTION", "list, show, watch, cancel or resume"},
                                       {.name = "NAME", .doc = "the job, for all but list", .required = false}};
const FlagGroup kGroups[] = {{"Jobs", kFlags}, kListFlags, kHomeFlags};
constexpr Example kExamples[] = {{"vedette jobs list --filter 'state = RUNNING'", "what is being worked on"},
                                 {"vedette jobs watch jobs/0190...", "follow one to its end"}};

}  // namespace

extern const Command k_jobs;
const Command k_jobs = {
    .name = "jobs",
    .section = Section::kPlatform,
    .order = 6,
    .summary = "List, show, watch, cancel or resume jobs.",
    .usage = "vedette jobs ACTION [NAME] [options]",
    .positionals = kPositionals,
    .flags = kGroups,
    .examples = kExamples,
    .check = Check,
    .run = Run,
};

}  // namespace vedette::cli
