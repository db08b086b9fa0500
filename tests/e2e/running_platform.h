// A whole platform for tests: the real programs, on free ports, in a temporary folder, gone with the test program.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "cli/platform/state.h"
#include "runtime/client.h"
#include "vedette/jobs/v1/jobs.grpc.pb.h"
#include "vedette/triage/v1/triage.grpc.pb.h"

namespace vedette::testing {

struct Ran {
  int code = -1;
  std::string out;  ///< standard output and standard error
};
/// Runs a command line to its end.
Ran Shell(const std::string& command);

class RunningPlatform {
 public:
  /// Starts it with further arguments of `vedette up`; aborts the program with the log when it does not come up.
  explicit RunningPlatform(const std::string& arguments = "");
  ~RunningPlatform();

  /// `vedette ARGUMENTS --home ...`.
  Ran Vedette(const std::string& arguments) const;
  cli::PlatformState State() const;
  std::string token() const;
  runtime::Outgoing Out() const;
  template <typename Service>
  std::unique_ptr<typename Service::Stub> Stub(const std::string& service) const {
    return Service::NewStub(Channel(service));
  }
  std::shared_ptr<grpc::Channel> Channel(const std::string& service) const;

  jobs::v1::Job GetJob(const std::string& name) const;
  /// Waits, looking again and again, until the job has ended (or `done` tasks are done); aborts the test after `patience`.
  jobs::v1::Job Await(const std::string& name, int done = -1, absl::Duration patience = absl::Minutes(4)) const;
  /// Rows of every anomaly of a job, sorted; with repetitions if there were any.
  std::vector<int64_t> AnomalousRows(const std::string& job) const;
  pid_t supervisor() const { return supervisor_; }

 private:
  std::string home_;
  pid_t supervisor_ = -1;
};

/// The one that tests without special wishes share.
RunningPlatform& SharedPlatform();

}  // namespace vedette::testing
