#include "backend_app.h"

#include <openssl/evp.h>

#include "runtime/status.h"
#include "vedette/ingest/v1/ingest.grpc.pb.h"
#include "vedette/jobs/v1/jobs.grpc.pb.h"
#include "vedette/triage/v1/triage.grpc.pb.h"

namespace vedette::gateway {
namespace {

class FakeJobs : public jobs::v1::JobService::CallbackService {
 public:
  FakeJobs(runtime::Server& server, Seen& seen) : server_(server), seen_(seen) {}

  grpc::ServerUnaryReactor* AnalyzeDataset(grpc::CallbackServerContext* c, const jobs::v1::AnalyzeDatasetRequest* rq,
                                           jobs::v1::Job* rs) override {
    return runtime::Unary(server_, c, rq, rs,
                          [this](const auto& request, jobs::v1::Job* job, runtime::CallContext& call) {
                            seen_.Note(call);
                            seen_.analyze = request;
                            job->set_name("jobs/1");
                            job->set_dataset(request.dataset());
                            job->set_state(jobs::v1::Job::PENDING);
                            return absl::OkStatus();
                          });
  }
  grpc::ServerUnaryReactor* GetJob(grpc::CallbackServerContext* c, const jobs::v1::GetJobRequest* rq,
                                   jobs::v1::Job* rs) override {
    return runtime::Unary(
        server_, c, rq, rs,
        [this](const auto& request, jobs::v1::Job* job, runtime::CallContext& call) -> absl::Status {
          seen_.Note(call);
          if (request.name() == "jobs/busy")
            return runtime::WithRetryDelay(absl::ResourceExhaustedError("too many"), absl::Seconds(7));
          if (request.name() == "jobs/bug") return absl::InternalError("SELECT secret");
          if (request.name() == "jobs/slow") {  // until the caller has left
            while (call.Check().ok() && runtime::WaitFor(absl::Seconds(30), call.stop)) {
            }
            seen_.Count(seen_.calls_cancelled);
            return call.Check();
          }
          if (request.name() != "jobs/1")
            return runtime::WithReason(absl::NotFoundError("no such job"), "JOB_NOT_FOUND", {{"name", request.name()}});
          job->set_name(request.name());
          return absl::OkStatus();
        });
  }
  /// jobs/1: three messages, then the end. jobs/stuck: one, then nothing. jobs/broken: one, then an error.
  grpc::ServerWriteReactor<jobs::v1::Job>* WatchJob(grpc::CallbackServerContext* c,
                                                    const jobs::v1::WatchJobRequest* rq) override {
    return runtime::ServerStream<jobs::v1::Job>(
        server_, c, rq,
        [this](const auto& request, runtime::Writer<jobs::v1::Job>& out, runtime::CallContext& call) -> absl::Status {
          jobs::v1::Job job;
          job.set_name(request.name());
          if (request.name() == "jobs/none") return absl::NotFoundError("no such job");
          for (int i = 1; i <= (request.name() == "jobs/1" ? 3 : 1); ++i) {
            job.set_done_tasks(i);
            out.Write(job);
          }
          if (request.name() == "jobs/broken") return absl::DataLossError("gone");
          if (request.name() == "jobs/stuck") {
            while (call.Check().ok() && runtime::WaitFor(absl::Seconds(30), call.stop, call.drain)) {
            }
            seen_.Count(seen_.watches_ended);
          }
          return absl::OkStatus();
        });
  }

 private:
  runtime::Server& server_;
  Seen& seen_;
};

class FakeTriage : public triage::v1::TriageService::CallbackService {
 public:
  FakeTriage(runtime::Server& server, Seen& seen) : server_(server), seen_(seen) {}
  grpc::ServerUnaryReactor* ListAnomalies(grpc::CallbackServerContext* c, const triage::v1::ListAnomaliesRequest* rq,
                                          triage::v1::ListAnomaliesResponse* rs) override {
    return runtime::Unary(
        server_, c, rq, rs,
        [this](const auto& request, triage::v1::ListAnomaliesResponse* out, runtime::CallContext& call) {
          seen_.Note(call);
          seen_.list = request;
          for (int i = 0; i < request.page_size(); ++i) {
            auto* anomaly = out->add_anomalies();
            anomaly->set_name(fmt::format("anomalies/{}", i));
            anomaly->set_anomaly_score(0.5 + i);
          }
          return absl::OkStatus();
        });
  }

 private:
  runtime::Server& server_;
  Seen& seen_;
};

class FakeIngest : public ingest::v1::IngestService::CallbackService {
 public:
  FakeIngest(runtime::Server& server, Seen& seen) : server_(server), seen_(seen) {}

  /// Checks length and digest as ingest does. A display_name "known" is answered at once, "bad" refused after the first
  /// part.
  grpc::ServerReadReactor<ingest::v1::UploadDatasetRequest>* UploadDataset(grpc::CallbackServerContext* c,
                                                                           ingest::v1::Dataset* rs) override {
    return runtime::ClientStream<ingest::v1::UploadDatasetRequest>(
        server_, c, rs,
        [this](runtime::Reader<ingest::v1::UploadDatasetRequest>& in, ingest::v1::Dataset* dataset,
               runtime::CallContext& call) -> absl::Status {
          seen_.Note(call);
          ingest::v1::UploadDatasetRequest part;
          if (!in.Read(&part) || !part.has_metadata()) return absl::InvalidArgumentError("metadata first");
          seen_.upload = part.metadata();
          dataset->set_name("datasets/1");
          dataset->set_display_name(part.metadata().display_name());
          if (part.metadata().display_name() == "known") return absl::OkStatus();
          EVP_MD_CTX* digest = EVP_MD_CTX_new();
          EVP_DigestInit_ex(digest, EVP_sha256(), nullptr);
          int64_t bytes = 0;
          bool ended = false, bad = false;
          while (!ended && !bad && in.Read(&part)) {
            if (part.has_end()) {
              ended = true;
              seen_.end = part.end();
            } else {
              EVP_DigestUpdate(digest, part.data().data(), part.data().size());
              bytes += static_cast<int64_t>(part.data().size());
              seen_.largest_part = std::max(seen_.largest_part, static_cast<int64_t>(part.data().size()));
              bad = part.data().size() > 0 && dataset->display_name() == "bad";
            }
          }
          unsigned char hash[EVP_MAX_MD_SIZE];
          unsigned size = 0;
          EVP_DigestFinal_ex(digest, hash, &size);
          EVP_MD_CTX_free(digest);
          if (bad) return absl::InvalidArgumentError("line 1: not a table");
          if (!ended) {
            seen_.Count(seen_.uploads_broken);
            return absl::AbortedError("no end mark");
          }
          std::string hex;
          for (unsigned i = 0; i < size; ++i) hex += fmt::format("{:02x}", hash[i]);
          if (part.end().size_bytes() != bytes || part.end().sha256() != hex)
            return absl::InvalidArgumentError("size or digest differ");
          seen_.upload_bytes = bytes;
          dataset->set_size_bytes(bytes);
          dataset->set_sha256(hex);
          return absl::OkStatus();
        });
  }

 private:
  runtime::Server& server_;
  Seen& seen_;
};

}  // namespace

TestGateway::TestGateway(const std::function<void(v1::Config&)>& change) {
  runtime::v1::ServerConfig backend = keys.ServerConfig();
  backend.mutable_metrics()->set_disabled(true);
  backend_ = testing::MustCreate("backend", backend);
  backend_->server().AddService<jobs::v1::JobService>(std::make_unique<FakeJobs>(backend_->server(), seen));
  backend_->server().AddService<triage::v1::TriageService>(std::make_unique<FakeTriage>(backend_->server(), seen));
  backend_->server().AddService<ingest::v1::IngestService>(std::make_unique<FakeIngest>(backend_->server(), seen));
  REQUIRE(backend_->Start().ok());

  v1::Config config = DefaultConfig();
  *config.mutable_server() = keys.ServerConfig();
  config.mutable_server()->mutable_metrics()->set_disabled(true);
  config.mutable_http()->set_port(0);
  for (const char* service : {"ingest", "feature-engine", "detector", "model-cache", "explainer", "triage",
                              "benchmark", "job-orchestrator"}) {
    (*config.mutable_server()->mutable_endpoints())[service] = testing::Address(*backend_);
  }
  change(config);
  app_ = testing::MustCreate("gateway", config.server());
  const auto server = BuildServer(config, *app_);
  INFO(server.status().ToString());
  REQUIRE(server.ok());
  port = (*server)->port();
  REQUIRE(app_->Start().ok());
}

}  // namespace vedette::gateway
