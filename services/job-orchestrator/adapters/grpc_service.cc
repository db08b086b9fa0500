#include "services/job-orchestrator/adapters/grpc_service.h"

#include "base/status.h"
#include "runtime/filter.h"
#include "runtime/paging.h"
#include "services/job-orchestrator/adapters/proto.h"
#include "vedette/ingest/v1/ingest.grpc.pb.h"

namespace vedette::job_orchestrator {
namespace {

namespace pb = jobs::v1;
using runtime::CallContext;
using GrpcContext = grpc::CallbackServerContext;

/// A watcher that hears nothing looks by itself this often: changes may come from another process.
constexpr absl::Duration kWatchPoll = absl::Milliseconds(500);

const runtime::FilterSchema& JobFilter() {
  using Type = runtime::FilterField::Type;
  static const runtime::FilterSchema schema{
      .fields = {{.name = "state", .sql = "state", .type = Type::kEnum, .values = {"PENDING", "RUNNING", "SUCCEEDED", "FAILED", "CANCELLED"}},
                 {.name = "dataset", .sql = "dataset"},
                 {.name = "display_name", .sql = "display_name"},
                 {.name = "create_time", .sql = "create_time", .type = Type::kTimestamp}},
      .search_sql = {"display_name"}};
  return schema;
}

const runtime::FilterSchema& SelectionFilter() {
  using Type = runtime::FilterField::Type;
  static const runtime::FilterSchema schema{
      .fields = {{.name = "job", .sql = "coalesce('jobs/' || job_id::text, '')"},
                 {.name = "dataset", .sql = "dataset"},
                 {.name = "requested_algorithm", .sql = "requested_algorithm"},
                 {.name = "algorithm", .sql = "algorithm"},
                 {.name = "model", .sql = "model"},
                 {.name = "review", .sql = "review"},
                 {.name = "training_rows", .sql = "training_rows", .type = Type::kInteger},
                 {.name = "select_time", .sql = "select_time", .type = Type::kTimestamp}},
      .search_sql = {"reason"}};
  return schema;
}

/// Page size, filter and cursor of a List request; asks the store for one row more, to know whether another page follows.
template <typename Request>
absl::StatusOr<Listing> ReadListing(const Request& rq, const runtime::FilterSchema& schema, std::string_view filter,
                                    size_t keys) {
  Listing listing;
  ASSIGN_OR_RETURN(const int size, runtime::PageSize(rq.page_size()));
  listing.limit = size + 1;
  ASSIGN_OR_RETURN(listing.cursor, runtime::DecodePageToken(rq.page_token(), runtime::RequestFingerprint(rq), keys));
  ASSIGN_OR_RETURN(runtime::SqlFilter sql, runtime::FilterToSql(filter, schema));
  listing.where = std::move(sql.where);
  listing.params = std::move(sql.params);
  return listing;
}

/// Drops the extra row; the token of the next page when there was one.
template <typename Item, typename Request, typename Cursor>
std::string NextPage(std::vector<Item>& items, const Listing& listing, const Request& rq, Cursor cursor) {
  if (items.size() < static_cast<size_t>(listing.limit)) return "";
  items.pop_back();
  const std::vector<std::string> keys = cursor(items.back());
  return runtime::EncodePageToken(keys, runtime::RequestFingerprint(rq));
}

}  // namespace

DatasetRows IngestCatalog(runtime::Channels& channels, runtime::Outgoing out) {
  return [&channels, out = std::move(out)](const std::string& dataset) -> absl::StatusOr<int64_t> {
    ASSIGN_OR_RETURN(const auto channel, channels.Get("ingest"));
    const auto stub = ingest::v1::IngestService::NewStub(channel);
    ingest::v1::GetDatasetRequest request;
    request.set_name(dataset);
    ASSIGN_OR_RETURN(const ingest::v1::Dataset d,
                     runtime::Call(*stub, &ingest::v1::IngestService::Stub::GetDataset, out, request));
    if (d.state() != ingest::v1::Dataset::READY) {
      return FailedPrecondition("{} is {}, not READY{}{}", dataset, ingest::v1::Dataset::State_Name(d.state()),
                                d.error().empty() ? "" : ": ", d.error());
    }
    return d.row_count();
  };
}

grpc::ServerUnaryReactor* JobGrpc::AnalyzeDataset(GrpcContext* ctx, const pb::AnalyzeDatasetRequest* rq, pb::Job* rs) {
  return runtime::Unary(server_, ctx, rq, rs, [this](const auto& request, pb::Job* out, CallContext& call) -> absl::Status {
    RETURN_IF_ERROR(SimpleId("dataset", "datasets", request.dataset()).status());
    const AnalyzeRequest analyze{.dataset = request.dataset(),
                                 .detector = request.detector().SerializeAsString(),
                                 .display_name = request.display_name().substr(0, 200),
                                 .request_id = request.request_id(),
                                 .chunk_rows = request.chunk_rows()};
    ASSIGN_OR_RETURN(const Job job, engine_.Analyze(call.tenant, analyze,
                                                    IngestCatalog(channels_, runtime::Outgoing::OnBehalfOf(call))));
    ToProto(job, absl::Now(), out);
    return absl::OkStatus();
  });
}

grpc::ServerUnaryReactor* JobGrpc::GetJob(GrpcContext* ctx, const pb::GetJobRequest* rq, pb::Job* rs) {
  return runtime::Unary(server_, ctx, rq, rs, [this](const auto& request, pb::Job* out, CallContext& call) -> absl::Status {
    ASSIGN_OR_RETURN(const std::string id, JobId("name", request.name()));
    ASSIGN_OR_RETURN(const Job job, jobs_.Get(call.tenant, id));
    ToProto(job, absl::Now(), out);
    return absl::OkStatus();
  });
}

grpc::ServerUnaryReactor* JobGrpc::ListJobs(GrpcContext* ctx, const pb::ListJobsRequest* rq, pb::ListJobsResponse* rs) {
  return runtime::Unary(server_, ctx, rq, rs, [this](const auto& request, auto* out, CallContext& call) -> absl::Status {
    ASSIGN_OR_RETURN(const Listing listing, ReadListing(request, JobFilter(), request.filter(), 2));
    ASSIGN_OR_RETURN(std::vector<Job> jobs, jobs_.List(call.tenant, listing));
    out->set_next_page_token(NextPage(jobs, listing, request, [](const Job& j) {
      return std::vector<std::string>{absl::FormatTime(absl::RFC3339_full, j.create_time, absl::UTCTimeZone()), j.id};
    }));
    for (const Job& job : jobs) ToProto(job, absl::Now(), out->add_jobs());
    return absl::OkStatus();
  });
}

absl::Status JobGrpc::Watch(const std::string& job_id, runtime::Writer<pb::Job>& writer, CallContext& call) {
  int64_t revision = -1;
  uint64_t seen = 0;
  for (;;) {
    RETURN_IF_ERROR(call.Check());
    if (call.drain.stop_requested()) return absl::UnavailableError("the server is stopping; watch again");
    ASSIGN_OR_RETURN(const Job job, jobs_.Get(call.tenant, job_id));
    if (job.revision != revision) {
      revision = job.revision;
      pb::Job message;
      ToProto(job, absl::Now(), &message);
      if (!writer.Write(message) || IsFinal(job.state)) return absl::OkStatus();
    }
    seen = watchers_.Wait(seen, kWatchPoll);
  }
}

grpc::ServerWriteReactor<pb::Job>* JobGrpc::WatchJob(GrpcContext* ctx, const pb::WatchJobRequest* rq) {
  return runtime::ServerStream<pb::Job>(server_, ctx, rq,
      [this](const pb::WatchJobRequest& request, runtime::Writer<pb::Job>& writer, CallContext& call) -> absl::Status {
        ASSIGN_OR_RETURN(const std::string id, JobId("name", request.name()));
        return Watch(id, writer, call);
      });
}

grpc::ServerUnaryReactor* JobGrpc::CancelJob(GrpcContext* ctx, const pb::CancelJobRequest* rq, pb::Job* rs) {
  return runtime::Unary(server_, ctx, rq, rs, [this](const auto& request, pb::Job* out, CallContext& call) -> absl::Status {
    ASSIGN_OR_RETURN(const std::string id, JobId("name", request.name()));
    ASSIGN_OR_RETURN(const Job job, jobs_.Cancel(call.tenant, id));
    ToProto(job, absl::Now(), out);
    return absl::OkStatus();
  });
}

grpc::ServerUnaryReactor* JobGrpc::ResumeJob(GrpcContext* ctx, const pb::ResumeJobRequest* rq, pb::Job* rs) {
  return runtime::Unary(server_, ctx, rq, rs, [this](const auto& request, pb::Job* out, CallContext& call) -> absl::Status {
    ASSIGN_OR_RETURN(const std::string id, JobId("name", request.name()));
    ASSIGN_OR_RETURN(const Job job, jobs_.Resume(call.tenant, id));
    ToProto(job, absl::Now(), out);
    return absl::OkStatus();
  });
}

grpc::ServerUnaryReactor* JobGrpc::ListTasks(GrpcContext* ctx, const pb::ListTasksRequest* rq, pb::ListTasksResponse* rs) {
  return runtime::Unary(
      server_, ctx, rq, rs, [this](const auto& request, auto* out, CallContext& call) -> absl::Status {
        ASSIGN_OR_RETURN(const std::string id, JobId("job", request.job()));
        ASSIGN_OR_RETURN(const Listing listing, ReadListing(request, {}, "", 1));
        RETURN_IF_ERROR(jobs_.Get(call.tenant, id).status());
        ASSIGN_OR_RETURN(std::vector<Task> tasks, jobs_.ListTasks(call.tenant, id, listing));
        out->set_next_page_token(NextPage(
            tasks, listing, request, [](const Task& t) { return std::vector<std::string>{std::to_string(t.id)}; }));
        for (const Task& task : tasks) ToProto(task, out->add_tasks());
        return absl::OkStatus();
      });
}

grpc::ServerUnaryReactor* JobGrpc::ListModelSelections(GrpcContext* ctx, const pb::ListModelSelectionsRequest* rq,
                                                       pb::ListModelSelectionsResponse* rs) {
  return runtime::Unary(
      server_, ctx, rq, rs, [this](const auto& request, auto* out, CallContext& call) -> absl::Status {
        ASSIGN_OR_RETURN(const Listing listing, ReadListing(request, SelectionFilter(), request.filter(), 2));
        ASSIGN_OR_RETURN(std::vector<LoggedSelection> all, jobs_.ListSelections(call.tenant, listing));
        out->set_next_page_token(NextPage(all, listing, request, [](const LoggedSelection& s) {
          return std::vector<std::string>{absl::FormatTime(absl::RFC3339_full, s.select_time, absl::UTCTimeZone()),
                                          s.id};
        }));
        for (const LoggedSelection& s : all) RETURN_IF_ERROR(ToProto(s, out->add_selections()));
        return absl::OkStatus();
      });
}

grpc::ServerUnaryReactor* JobGrpc::CreateSchedule(GrpcContext* ctx, const pb::CreateScheduleRequest* rq, pb::Schedule* rs) {
  return runtime::Unary(server_, ctx, rq, rs, [this](const auto& request, pb::Schedule* out, CallContext& call) -> absl::Status {
    Schedule schedule;
    ASSIGN_OR_RETURN(schedule.id, SimpleId("schedule_id", "schedules", "schedules/" + request.schedule_id()));
    RETURN_IF_ERROR(SimpleId("schedule.dataset", "datasets", request.schedule().dataset()).status());
    schedule.cron = request.schedule().cron();
    schedule.dataset = request.schedule().dataset();
    schedule.detector = request.schedule().detector().SerializeAsString();
    schedule.paused = request.schedule().paused();
    ASSIGN_OR_RETURN(const Schedule created, engine_.CreateSchedule(call.tenant, std::move(schedule)));
    ToProto(created, out);
    return absl::OkStatus();
  });
}

grpc::ServerUnaryReactor* JobGrpc::ListSchedules(GrpcContext* ctx, const pb::ListSchedulesRequest* rq, pb::ListSchedulesResponse* rs) {
  return runtime::Unary(server_, ctx, rq, rs, [this](const auto& request, auto* out, CallContext& call) -> absl::Status {
    ASSIGN_OR_RETURN(const Listing listing, ReadListing(request, {}, "", 1));
    ASSIGN_OR_RETURN(std::vector<Schedule> schedules, schedules_.List(call.tenant, listing));
    out->set_next_page_token(NextPage(schedules, listing, request, [](const Schedule& s) { return std::vector<std::string>{s.id}; }));
    for (const Schedule& schedule : schedules) ToProto(schedule, out->add_schedules());
    return absl::OkStatus();
  });
}

grpc::ServerUnaryReactor* JobGrpc::DeleteSchedule(GrpcContext* ctx, const pb::DeleteScheduleRequest* rq, google::protobuf::Empty* rs) {
  return runtime::Unary(server_, ctx, rq, rs, [this](const auto& request, auto*, CallContext& call) -> absl::Status {
    ASSIGN_OR_RETURN(const std::string id, SimpleId("name", "schedules", request.name()));
    return schedules_.Delete(call.tenant, id);
  });
}

}  // namespace vedette::job_orchestrator
