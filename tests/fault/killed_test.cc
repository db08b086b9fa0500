// The promise: a process killed at any point loses nothing and doubles nothing.
#include <fmt/format.h>
#include <signal.h>

#include <catch2/catch.hpp>
#include <chrono>
#include <thread>

#include "e2e/running_platform.h"
#include "vedette/explainer/v1/explainer.grpc.pb.h"

namespace vedette::testing {
namespace {

constexpr int kRows = 24000;
constexpr int kChunk = 200;
constexpr int kTasks = kRows / kChunk + 1;

/// A platform whose workers' tasks go to another soon after a death, and a dataset of 120 chunks with its undisturbed
/// result.
struct World {
  RunningPlatform platform{
      "--set detector:worker.ack_wait_seconds=2 --set explainer:shap_from_severity=SEVERITY_MEDIUM"};
  std::string dataset;
  std::vector<int64_t> truth;

  World() {
    const std::string file = fmt::format("/tmp/vedette-fault-{}.csv", ::getpid());
    REQUIRE(Shell(fmt::format("{}/vedette generate table --rows {} --seed 5 --output {}", VEDETTE_BIN_DIR, kRows, file))
                .code == 0);
    const Ran upload = platform.Vedette("upload " + file + " --quiet");
    std::remove(file.c_str());
    INFO(upload.out);
    REQUIRE(upload.code == 0);
    const size_t at = upload.out.find("datasets/");
    dataset = upload.out.substr(at, upload.out.find(':', at) - at);
    const jobs::v1::Job job = Await(Start(1));
    truth = platform.AnomalousRows(job.name());
    REQUIRE(truth.size() > 100);
    REQUIRE(static_cast<int64_t>(truth.size()) == job.anomaly_count());
  }

  /// A new job; the seed keeps its model apart when that is wanted.
  std::string Start(uint64_t seed) const {
    jobs::v1::AnalyzeDatasetRequest request;
    request.set_dataset(dataset);
    request.set_chunk_rows(kChunk);
    request.mutable_detector()->set_algorithm("iforest");
    request.mutable_detector()->set_seed(seed);
    request.mutable_detector()->mutable_prepare()->add_ignore_columns("label");
    request.mutable_detector()->mutable_prepare()->add_ignore_columns("anomaly_kind");
    const auto stub = platform.Stub<jobs::v1::JobService>("job-orchestrator");
    const auto job = runtime::Call(*stub, &jobs::v1::JobService::Stub::AnalyzeDataset, platform.Out(), request);
    INFO(job.status().ToString());
    REQUIRE(job.ok());
    return job->name();
  }
  jobs::v1::Job Await(const std::string& job) const { return platform.Await(job, -1, absl::Minutes(6)); }

  void CheckComplete(const std::string& name) const {
    const jobs::v1::Job job = Await(name);
    INFO(job.ShortDebugString());
    CHECK(job.state() == jobs::v1::Job::SUCCEEDED);
    CHECK(job.done_tasks() == kTasks);
    CHECK(job.rows_scored() == kRows);
    CHECK(job.anomaly_count() == static_cast<int64_t>(truth.size()));
    CHECK(platform.AnomalousRows(name) == truth);
  }

  /// Kills the service's process, once there is one other than `before`; returns which it was. A service that is being
  /// started again has none for a moment, and kill(-1) would reach every process there is.
  pid_t Kill(const std::string& service, pid_t before = -1) const {
    for (int tries = 0; tries < 3000; ++tries) {
      for (const auto& s : platform.State().services) {
        if (s.name != service || s.pid <= 1 || s.pid == before) continue;
        REQUIRE(::kill(s.pid, SIGKILL) == 0);
        return s.pid;
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
    FAIL(service << " has no process");
    return -1;
  }
};

World& TheWorld() {
  static World world;
  return world;
}

}  // namespace

TEST_CASE("a detector killed in the middle of a job: nothing lost, nothing doubled") {
  World& w = TheWorld();
  const std::string job = w.Start(1);
  const jobs::v1::Job before = w.platform.Await(job, 10);
  REQUIRE(before.state() == jobs::v1::Job::RUNNING);
  w.Kill("detector");
  w.CheckComplete(job);
}

TEST_CASE("every service that writes killed in the middle of a job, one after another") {
  World& w = TheWorld();
  for (const std::vector<std::string>& services :
       {std::vector<std::string>{"triage", "model-cache", "ingest"},
        std::vector<std::string>{"job-orchestrator", "feature-engine", "explainer"}}) {
    const std::string job = w.Start(1);
    int done = 5;
    for (const std::string& service : services) {
      INFO(service << " after " << done << " tasks");
      REQUIRE(w.platform.Await(job, done).state() == jobs::v1::Job::RUNNING);
      w.Kill(service);
      done += 35;
    }
    INFO(job);
    w.CheckComplete(job);
  }
}

TEST_CASE("an explainer killed while it computes: the worst findings have each of their explanations, once") {
  World& w = TheWorld();
  const std::string job = w.Start(1);
  pid_t killed = -1;
  for (const int done : {5, 40, 80}) {
    w.platform.Await(job, done);
    killed = w.Kill("explainer", killed);
  }
  w.CheckComplete(job);
  const auto triage = w.platform.Stub<triage::v1::TriageService>("triage");
  triage::v1::ListAnomaliesRequest list;
  list.set_filter("job = \"" + job + "\" AND severity >= MEDIUM");
  list.set_page_size(1000);
  const auto worst = runtime::Call(*triage, &triage::v1::TriageService::Stub::ListAnomalies, w.platform.Out(), list);
  REQUIRE(worst.ok());
  REQUIRE(worst->anomalies_size() > 0);
  const absl::Time deadline = absl::Now() + absl::Minutes(4);
  for (const auto& anomaly : worst->anomalies()) {
    INFO(anomaly.name());
    explainer::v1::ListExplanationsRequest request;
    request.set_anomaly(anomaly.name());
    std::vector<std::string> methods;
    while (methods.size() < 2 && absl::Now() < deadline) {
      const auto stub = w.platform.Stub<explainer::v1::ExplainerService>("explainer");
      const auto all =
          runtime::Call(*stub, &explainer::v1::ExplainerService::Stub::ListExplanations, w.platform.Out(), request);
      methods.clear();
      if (all.ok()) {
        for (const auto& e : all->explanations()) methods.push_back(e.method());
      }
      if (methods.size() < 2) std::this_thread::sleep_for(std::chrono::milliseconds(20));  // looking again, not a race
    }
    CHECK(methods == std::vector<std::string>{"native", "tree_shap"});
  }
}

TEST_CASE("PostgreSQL and NATS away for some seconds in the middle of a job") {
  World& w = TheWorld();
  const std::string job = w.Start(1);
  REQUIRE(w.platform.Await(job, 10).state() == jobs::v1::Job::RUNNING);
  const auto state = w.platform.State();
  REQUIRE((state.postgres_pid > 1 && state.nats_pid > 1));
  // The supervisor would start them again at once: it sleeps for as long as they are to be away.
  REQUIRE(::kill(w.platform.supervisor(), SIGSTOP) == 0);
  REQUIRE(::kill(state.postgres_pid, SIGKILL) == 0);
  REQUIRE(::kill(state.nats_pid, SIGKILL) == 0);
  std::this_thread::sleep_for(std::chrono::seconds(4));  // the outage itself, not a wait for something
  REQUIRE(::kill(w.platform.supervisor(), SIGCONT) == 0);
  w.CheckComplete(job);
}

TEST_CASE("a detector killed while it trains: another one trains, once") {
  World& w = TheWorld();
  const std::string job = w.Start(77);
  w.Kill("detector");
  const jobs::v1::Job done = w.Await(job);
  CHECK(done.state() == jobs::v1::Job::SUCCEEDED);
  CHECK(done.rows_scored() == kRows);
  CHECK(static_cast<int64_t>(w.platform.AnomalousRows(job).size()) == done.anomaly_count());
}

}  // namespace vedette::testing
