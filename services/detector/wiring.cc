#include "services/detector/wiring.h"

#include "base/status.h"
#include "boosting/algorithms.h"
#include "messaging/streams.h"
#include "neural/algorithms.h"
#include "platform/llm.h"
#include "platform/platform.h"
#include "services/detector/adapters/grpc_service.h"
#include "services/detector/adapters/task_worker.h"

namespace vedette::detector {

v1::Config DefaultConfig() {
  v1::Config config;
  *config.mutable_server() = runtime::DefaultServerConfig(7103, 7203);
  config.mutable_worker()->set_concurrent_scores(2);
  config.mutable_worker()->set_concurrent_fits(1);
  config.mutable_worker()->set_ack_wait_seconds(30);
  config.mutable_worker()->set_max_deliver(6);
  config.mutable_worker()->set_max_training_rows(1000000);
  config.mutable_worker()->set_inline_features(64);
  config.set_device("auto");
  config.set_cached_models(32);
  *config.mutable_llm() = platform::DefaultLlmConfig();
  return config;
}

absl::Status Validate(const v1::Config& c) {
  const auto& w = c.worker();
  const auto check = [](std::string_view name, uint64_t value, uint64_t lo, uint64_t hi) {
    return value >= lo && value <= hi ? absl::OkStatus() : InvalidArgument("{}: {} is not within {}-{}", name, value, lo, hi);
  };
  RETURN_IF_ERROR(check("worker.concurrent_scores", w.concurrent_scores(), 1, 256));
  RETURN_IF_ERROR(check("worker.concurrent_fits", w.concurrent_fits(), 1, 64));
  RETURN_IF_ERROR(check("worker.ack_wait_seconds", w.ack_wait_seconds(), 1, 3600));
  RETURN_IF_ERROR(check("worker.max_deliver", w.max_deliver(), 1, 100));
  RETURN_IF_ERROR(check("worker.max_training_rows", w.max_training_rows(), 100, 100000000));
  RETURN_IF_ERROR(check("worker.inline_features", w.inline_features(), 1, 1000));
  RETURN_IF_ERROR(check("compute_threads", c.compute_threads(), 0, 1024));
  RETURN_IF_ERROR(check("cached_models", c.cached_models(), 1, 1000));
  RETURN_IF_ERROR(platform::ValidateLlm(c.llm()));
  if (c.device() != "auto" && c.device() != "cpu" && !c.device().starts_with("cuda")) {
    return InvalidArgument("device: '{}' is none of auto, cpu, cuda:N", c.device());
  }
  return absl::OkStatus();
}

absl::Status Build(const v1::Config& config, runtime::App& app) {
  ASSIGN_OR_RETURN(messaging::Connection* const nats, platform::ConnectNats(app));
  ASSIGN_OR_RETURN(messaging::Publisher* const publisher, platform::MakePublisher(app, *nats));
  ASSIGN_OR_RETURN(llm::Assistant* const assistant, platform::OpenLlm(app, nats, config.llm()));
  const int threads = config.compute_threads() == 0 ? AvailableCpus() : static_cast<int>(config.compute_threads());
  auto* pool = app.Own(std::make_unique<ThreadPool>(threads));
  auto* catalog = app.Own(std::make_unique<outlier::Catalog>(
      std::vector<std::span<const outlier::Descriptor* const>>{outlier::AllAlgorithms(), neural::Algorithms(), boosting::Algorithms()}));
  auto* memory = app.Own(std::make_unique<ModelMemory>(config.cached_models()));
  const auto& w = config.worker();
  auto* engine = app.Own(std::make_unique<Engine>(
      *catalog, *memory, EngineOptions{.device = config.device(), .max_training_rows = static_cast<int64_t>(w.max_training_rows())}));
  app.server().AddService<v1::DetectorService>(
      std::make_unique<DetectorGrpc>(app.server(), *engine, *catalog, app.channels(), app.service_token(), *publisher, *assistant, pool));

  auto* worker = app.Own(
      std::make_unique<TaskWorker>(*engine, app.channels(), app.service_token(), *publisher, *assistant, pool,
                                   TaskWorker::Options{.max_deliver = static_cast<int>(w.max_deliver()),
                                                       .inline_features = static_cast<int>(w.inline_features())}));
  // The consumer's own limit stands above the worker's, which says what failed.
  const messaging::ConsumerOptions base{.stream = messaging::kWorkStream,
                                        .ack_wait = absl::Seconds(w.ack_wait_seconds()),
                                        .max_deliver = static_cast<int>(w.max_deliver()) + 10};
  messaging::ConsumerOptions fits = base, scores = base;
  fits.durable = "fit";
  fits.filter = "work.fit.>";
  fits.concurrency = static_cast<int>(w.concurrent_fits());
  scores.durable = "score";
  scores.filter = "work.score.>";
  scores.concurrency = static_cast<int>(w.concurrent_scores());
  platform::AddConsumer(app, *nats, fits, [worker](const messaging::Message& m, std::stop_token s) { return worker->HandleFit(m, std::move(s)); });
  platform::AddConsumer(app, *nats, scores, [worker](const messaging::Message& m, std::stop_token s) { return worker->HandleScore(m, std::move(s)); });
  return absl::OkStatus();
}

}  // namespace vedette::detector
