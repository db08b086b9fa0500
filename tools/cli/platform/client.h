// A running platform, as a command talks to it: its services' channels and the development token.
#pragma once

#include <absl/status/statusor.h>

#include <memory>
#include <string>

#include "cli/flags.h"
#include "cli/platform/state.h"
#include "runtime/client.h"
#include "vedette/jobs/v1/jobs.grpc.pb.h"

namespace vedette::cli {

class Platform {
 public:
  /// FAILED_PRECONDITION when none is running in --home.
  static absl::StatusOr<Platform> Open(const Args& args);

  /// The stub of a service: platform.Stub<triage::v1::TriageService>("triage").
  template <typename Service>
  absl::StatusOr<std::unique_ptr<typename Service::Stub>> Stub(const std::string& service) const {
    auto channel = Channel(service);
    if (!channel.ok()) return channel.status();
    return Service::NewStub(*channel);
  }
  runtime::Outgoing Out(absl::Duration timeout = absl::Seconds(30)) const { return runtime::Outgoing::WithToken(token_, timeout); }
  const PlatformState& state() const { return state_; }

 private:
  absl::StatusOr<std::shared_ptr<grpc::Channel>> Channel(const std::string& service) const;
  PlatformState state_;
  std::string token_;
};

/// "jobs/{id}" for "jobs/{id}" and for a bare id.
std::string ResourceName(std::string_view collection, const std::string& name);

/// Flags of everything that lists in pages: --filter, --page-size and --page-token.
extern const FlagGroup kListFlags;
template <typename Request>
void SetList(const Args& args, Request& request) {
  request.set_filter(args.Text("filter"));
  request.set_page_size(static_cast<int32_t>(args.Int("page-size")));
  request.set_page_token(args.Text("page-token"));
}
/// Under a page that is not the last: how the next one is had.
void SayMore(const std::string& next_page_token);

/// Follows a job to its end, with a progress bar on a terminal. The job as it ended.
absl::StatusOr<jobs::v1::Job> FollowJob(const Platform& platform, const std::string& name, bool quiet);
/// One paragraph: state, rows, anomalies, algorithm and why, seconds.
std::string JobSummary(const jobs::v1::Job& job);

/// A message as JSON with the field names of the protos.
std::string ToJson(const google::protobuf::Message& message);

}  // namespace vedette::cli
