// What the model cache saves: the seconds that training took (reading the rows included), beside the seconds of a hit (the
// lookup alone, and with the model's bytes), over gRPC against a running platform.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <sstream>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/status.h"
#include "bench/bench.h"
#include "cli/platform/state.h"
#include "generate/generate.h"
#include "runtime/client.h"
#include "vedette/ingest/v1/ingest.grpc.pb.h"
#include "vedette/jobs/v1/jobs.grpc.pb.h"
#include "vedette/modelcache/v1/model_cache.grpc.pb.h"

namespace vedette::bench {
namespace {

using ingest::v1::IngestService;
using jobs::v1::JobService;
using modelcache::v1::ModelCacheService;

struct Platform {
  cli::PlatformState state;
  std::string token;
  runtime::Outgoing Out() const { return runtime::Outgoing::WithToken(token, absl::Minutes(10)); }
  absl::StatusOr<std::shared_ptr<grpc::Channel>> Channel(std::string_view service) const {
    for (const auto& s : state.services) {
      if (s.name == service) return runtime::MakeChannel(s.address);
    }
    return NotFound("the platform has no service {}", service);
  }
};

double Seconds(const std::function<absl::Status()>& run, absl::Status* status) {
  const auto start = std::chrono::steady_clock::now();
  status->Update(run());
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

absl::StatusOr<std::string> Upload(const Platform& platform, int64_t rows) {
  ASSIGN_OR_RETURN(const auto channel, platform.Channel("ingest"));
  const auto stub = IngestService::NewStub(channel);
  runtime::ClientCall call(platform.Out());
  ingest::v1::Dataset dataset;
  const auto writer = stub->UploadDataset(call.context(), &dataset);
  ingest::v1::UploadDatasetRequest part;
  part.mutable_metadata()->set_display_name("cache bench");
  part.mutable_metadata()->set_request_id(NewUuid());
  writer->Write(part);
  int64_t sent = 0;
  ASSIGN_OR_RETURN(const generate::Kind kind, generate::KindByName("table"));
  generate::Options options;
  options.kind = kind;
  options.rows = rows;
  RETURN_IF_ERROR(generate::Generate(options, [&](std::string_view text) -> absl::Status {
    part.set_data(std::string(text));
    sent += static_cast<int64_t>(text.size());
    return writer->Write(part) ? absl::OkStatus() : absl::CancelledError("the upload was refused");
  }));
  part.mutable_end()->set_size_bytes(sent);
  writer->Write(part);
  writer->WritesDone();
  if (const grpc::Status status = writer->Finish(); !status.ok()) return runtime::FromGrpcStatus(status);
  return dataset.name();
}

/// Runs a job to its end; the model it trained.
absl::StatusOr<modelcache::v1::Model> Train(const Platform& platform, const std::string& dataset, const std::string& algorithm) {
  ASSIGN_OR_RETURN(const auto channel, platform.Channel("job-orchestrator"));
  const auto stub = JobService::NewStub(channel);
  jobs::v1::AnalyzeDatasetRequest request;
  request.set_dataset(dataset);
  request.set_chunk_rows(100000);
  request.mutable_detector()->set_algorithm(algorithm);
  request.mutable_detector()->mutable_prepare()->add_ignore_columns("label");
  request.mutable_detector()->mutable_prepare()->add_ignore_columns("anomaly_kind");
  ASSIGN_OR_RETURN(jobs::v1::Job job, runtime::Call(*stub, &JobService::Stub::AnalyzeDataset, platform.Out(), request));
  jobs::v1::WatchJobRequest watch;
  watch.set_name(job.name());
  RETURN_IF_ERROR(runtime::CallStream(*stub, &JobService::Stub::WatchJob, platform.Out(), watch, [&job](const jobs::v1::Job& now) {
    job = now;
    return absl::OkStatus();
  }));
  if (job.state() != jobs::v1::Job::SUCCEEDED) return Internal("{}: {}", algorithm, job.error());
  ASSIGN_OR_RETURN(const auto cache, platform.Channel("model-cache"));
  modelcache::v1::GetModelRequest get;
  get.set_name(job.model());
  return runtime::Call(*ModelCacheService::NewStub(cache), &ModelCacheService::Stub::GetModel, platform.Out(), get);
}

absl::Status Measure(const Platform& platform, const modelcache::v1::Model& model, int repeats) {
  ASSIGN_OR_RETURN(const auto channel, platform.Channel("model-cache"));
  const auto stub = ModelCacheService::NewStub(channel);
  modelcache::v1::AcquireModelRequest acquire;
  *acquire.mutable_key() = model.key();
  modelcache::v1::DownloadModelRequest download;
  download.set_name(model.name());
  std::vector<double> lookups, loads;
  absl::Status status;
  for (int i = 0; i < repeats; ++i) {
    lookups.push_back(Seconds([&]() -> absl::Status {
      ASSIGN_OR_RETURN(const auto got, runtime::Call(*stub, &ModelCacheService::Stub::AcquireModel, platform.Out(), acquire));
      return got.has_model() ? absl::OkStatus() : Internal("the key missed");
    }, &status));
    loads.push_back(lookups.back() + Seconds([&] {
      return runtime::CallStream(*stub, &ModelCacheService::Stub::DownloadModel, platform.Out(), download,
                                 [](const modelcache::v1::DownloadModelResponse&) { return absl::OkStatus(); });
    }, &status));
  }
  RETURN_IF_ERROR(status);
  std::sort(lookups.begin(), lookups.end());
  std::sort(loads.begin(), loads.end());
  const double lookup = lookups[lookups.size() / 2], load = loads[loads.size() / 2];
  fmt::print("{:<14} {:>10} {:>11} {:>12.4f} {:>10.5f} {:>8.0f} {:>12.5f} {:>8.0f}\n", model.key().algorithm(), model.training_rows(),
             model.size_bytes(), model.training_seconds(), lookup, model.training_seconds() / lookup, load, model.training_seconds() / load);
  return absl::OkStatus();
}

}  // namespace

absl::Status RunCache(std::span<char* const> args) {
  ASSIGN_OR_RETURN(const Flags flags, Flags::Parse(args, {{"home", ".vedette"}, {"rows", "50000"}, {"repeats", "25"},
                                                          {"algorithms", "iforest,mcd,lof,autoencoder"}}));
  ASSIGN_OR_RETURN(const int64_t rows, flags.Int("rows", 100, 10000000));
  ASSIGN_OR_RETURN(const int64_t repeats, flags.Int("repeats", 1, 10000));
  const cli::Home home{flags.Text("home")};
  Platform platform;
  ASSIGN_OR_RETURN(platform.state, cli::ReadState(home));
  ASSIGN_OR_RETURN(platform.token, cli::ReadWhole(home.Secret("developer-token")));
  ASSIGN_OR_RETURN(const std::string dataset, Upload(platform, rows));
  fmt::print("{:<14} {:>10} {:>11} {:>12} {:>10} {:>8} {:>12} {:>8}\n", "algorithm", "rows", "bytes", "training s", "hit s", "ratio",
             "hit+bytes s", "ratio");
  std::istringstream names(flags.Text("algorithms"));
  for (std::string name; std::getline(names, name, ',');) {
    ASSIGN_OR_RETURN(const modelcache::v1::Model model, Train(platform, dataset, name));
    RETURN_IF_ERROR(Measure(platform, model, static_cast<int>(repeats)));
  }
  return absl::OkStatus();
}

}  // namespace vedette::bench
