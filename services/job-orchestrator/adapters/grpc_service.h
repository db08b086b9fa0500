#pragma once

#include "runtime/client.h"
#include "runtime/server.h"
#include "services/job-orchestrator/adapters/watchers.h"
#include "services/job-orchestrator/core/engine.h"
#include "services/job-orchestrator/ports/dataset_catalog.h"
#include "vedette/jobs/v1/jobs.grpc.pb.h"

namespace vedette::job_orchestrator {

/// The dataset catalogue (ingest) as seen by one caller.
DatasetRows IngestCatalog(runtime::Channels& channels, runtime::Outgoing out);

class JobGrpc final : public jobs::v1::JobService::CallbackService {
 public:
  JobGrpc(runtime::Server& server, Engine& engine, JobStore& jobs, ScheduleStore& schedules, Watchers& watchers,
          runtime::Channels& channels)
      : server_(server), engine_(engine), jobs_(jobs), schedules_(schedules), watchers_(watchers), channels_(channels) {}

  grpc::ServerUnaryReactor* AnalyzeDataset(grpc::CallbackServerContext* ctx, const jobs::v1::AnalyzeDatasetRequest* rq,
                                           jobs::v1::Job* rs) override;
  grpc::ServerUnaryReactor* GetJob(grpc::CallbackServerContext* ctx, const jobs::v1::GetJobRequest* rq,
                                   jobs::v1::Job* rs) override;
  grpc::ServerUnaryReactor* ListJobs(grpc::CallbackServerContext* ctx, const jobs::v1::ListJobsRequest* rq,
                                     jobs::v1::ListJobsResponse* rs) override;
  grpc::ServerWriteReactor<jobs::v1::Job>* WatchJob(grpc::CallbackServerContext* ctx,
                                                    const jobs::v1::WatchJobRequest* rq) override;
  grpc::ServerUnaryReactor* CancelJob(grpc::CallbackServerContext* ctx, const jobs::v1::CancelJobRequest* rq,
                                      jobs::v1::Job* rs) override;
  grpc::ServerUnaryReactor* ResumeJob(grpc::CallbackServerContext* ctx, const jobs::v1::ResumeJobRequest* rq,
                                      jobs::v1::Job* rs) override;
  grpc::ServerUnaryReactor* ListTasks(grpc::CallbackServerContext* ctx, const jobs::v1::ListTasksRequest* rq,
                                      jobs::v1::ListTasksResponse* rs) override;
  grpc::ServerUnaryReactor* ListModelSelections(grpc::CallbackServerContext* ctx,
                                                const jobs::v1::ListModelSelectionsRequest* rq,
                                                jobs::v1::ListModelSelectionsResponse* rs) override;
  grpc::ServerUnaryReactor* CreateSchedule(grpc::CallbackServerContext* ctx, const jobs::v1::CreateScheduleRequest* rq,
                                           jobs::v1::Schedule* rs) override;
  grpc::ServerUnaryReactor* ListSchedules(grpc::CallbackServerContext* ctx, const jobs::v1::ListSchedulesRequest* rq,
                                          jobs::v1::ListSchedulesResponse* rs) override;
  grpc::ServerUnaryReactor* DeleteSchedule(grpc::CallbackServerContext* ctx, const jobs::v1::DeleteScheduleRequest* rq,
                                           google::protobuf::Empty* rs) override;

 private:
  absl::Status Watch(const std::string& job_id, runtime::Writer<jobs::v1::Job>& writer, runtime::CallContext& call);

  runtime::Server& server_;
  Engine& engine_;
  JobStore& jobs_;
  ScheduleStore& schedules_;
  Watchers& watchers_;
  runtime::Channels& channels_;
};

}  // namespace vedette::job_orchestrator
