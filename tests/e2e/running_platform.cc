#include "e2e/running_platform.h"

#include <fmt/format.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <sstream>
#include <thread>

#include "devcluster/process.h"

namespace vedette::testing {
namespace {

/// Looking again is not a race: every wait below ends on a state, never on a time.
void Pause() { std::this_thread::sleep_for(std::chrono::milliseconds(20)); }

[[noreturn]] void Die(const std::string& why) {
  std::fprintf(stderr, "%s\n", why.c_str());
  std::abort();
}

}  // namespace

Ran Shell(const std::string& command) {
  Ran ran;
  std::FILE* pipe = ::popen((command + " 2>&1").c_str(), "r");
  if (pipe == nullptr) return ran;
  char buffer[4096];
  size_t n = 0;
  while ((n = std::fread(buffer, 1, sizeof buffer, pipe)) > 0) ran.out.append(buffer, n);
  const int status = ::pclose(pipe);
  ran.code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return ran;
}

RunningPlatform::RunningPlatform(const std::string& arguments) {
  // The process id in the name lets a later test program clean up after one that was killed.
  home_ = fmt::format("/tmp/vedette-test-{}-XXXXXX", ::getpid());
  if (::mkdtemp(home_.data()) == nullptr) Die("no temporary folder");
  ::chmod(home_.c_str(), 0711);
  devcluster::ProcessOptions process;
  process.argv = {VEDETTE_BIN_DIR "/vedette", "up", "--foreground", "--ports", "auto", "--home", home_};
  std::istringstream words(arguments);
  for (std::string word; words >> word;) process.argv.push_back(word);
  process.log_file = home_ + "/up.log";
  auto started = devcluster::Process::Spawn(process);
  if (!started.ok()) Die(std::string(started.status().message()));
  supervisor_ = started->pid();
  for (;;) {
    const auto state = cli::LastState({home_});
    if (state.ok() && state->phase == "ready") return;
    if (!started->Running()) Die("the platform did not come up:\n" + devcluster::Tail(process.log_file, 8000));
    Pause();
  }
}

RunningPlatform::~RunningPlatform() {
  ::kill(supervisor_, SIGTERM);
  ::waitpid(supervisor_, nullptr, 0);
  std::error_code ignored;
  std::filesystem::remove_all(home_, ignored);
}

Ran RunningPlatform::Vedette(const std::string& arguments) const {
  return Shell(fmt::format("{}/vedette {} --home {}", VEDETTE_BIN_DIR, arguments, home_));
}

cli::PlatformState RunningPlatform::State() const {
  const auto state = cli::LastState({home_});
  REQUIRE(state.ok());
  return *state;
}

std::string RunningPlatform::token() const { return *cli::ReadWhole(home_ + "/secrets/developer-token"); }

runtime::Outgoing RunningPlatform::Out() const { return runtime::Outgoing::WithToken(token(), absl::Seconds(20)); }

std::shared_ptr<grpc::Channel> RunningPlatform::Channel(const std::string& service) const {
  for (const auto& s : State().services) {
    if (s.name == service) return *runtime::MakeChannel(s.address);
  }
  Die("no service " + service);
}

jobs::v1::Job RunningPlatform::GetJob(const std::string& name) const {
  jobs::v1::GetJobRequest request;
  request.set_name(name);
  const auto stub = Stub<jobs::v1::JobService>("job-orchestrator");
  for (;;) {
    const auto job = runtime::Call(*stub, &jobs::v1::JobService::Stub::GetJob, Out(), request);
    if (job.ok()) return *job;
    // Its database may be away for a moment: that is what some tests do.
    if (!absl::IsUnavailable(job.status()) && !absl::IsDeadlineExceeded(job.status()) && !absl::IsResourceExhausted(job.status())) {
      FAIL("GetJob: " << job.status().ToString());
    }
    Pause();
  }
}

jobs::v1::Job RunningPlatform::Await(const std::string& name, int done, absl::Duration patience) const {
  const absl::Time deadline = absl::Now() + patience;
  for (;;) {
    const jobs::v1::Job job = GetJob(name);
    const bool ended = job.state() == jobs::v1::Job::SUCCEEDED || job.state() == jobs::v1::Job::FAILED || job.state() == jobs::v1::Job::CANCELLED;
    if (ended || (done >= 0 && job.done_tasks() >= done)) return job;
    if (absl::Now() > deadline) FAIL("the job did not end: " << job.ShortDebugString());
    Pause();
  }
}

std::vector<int64_t> RunningPlatform::AnomalousRows(const std::string& job) const {
  std::vector<int64_t> rows;
  const auto stub = Stub<triage::v1::TriageService>("triage");
  triage::v1::ListAnomaliesRequest request;
  request.set_filter("job = \"" + job + "\"");
  request.set_page_size(1000);
  request.set_order_by("row_index");
  do {
    const auto page = runtime::Call(*stub, &triage::v1::TriageService::Stub::ListAnomalies, Out(), request);
    INFO(page.status().ToString());
    REQUIRE(page.ok());
    for (const auto& a : page->anomalies()) rows.push_back(a.row_index());
    request.set_page_token(page->next_page_token());
  } while (!request.page_token().empty());
  std::sort(rows.begin(), rows.end());
  return rows;
}

RunningPlatform& SharedPlatform() {
  static RunningPlatform platform;
  return platform;
}

}  // namespace vedette::testing
