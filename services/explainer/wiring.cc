#include "services/explainer/wiring.h"

#include "base/status.h"
#include "base/thread_pool.h"
#include "boosting/algorithms.h"
#include "messaging/streams.h"
#include "neural/algorithms.h"
#include "platform/llm.h"
#include "platform/platform.h"
#include "services/explainer/adapters/fact_handlers.h"
#include "services/explainer/adapters/grpc_service.h"
#include "services/explainer/adapters/llm_wording.h"
#include "services/explainer/adapters/pg_explanation_store.h"
#include "services/explainer/adapters/sources.h"
#include "services/explainer/adapters/tasks.h"

namespace vedette::explainer {

extern const storage::MigrationFile kMigrationFiles[];
extern const int kMigrationFileCount;

v1::Config DefaultConfig() {
  v1::Config config;
  *config.mutable_server() = runtime::DefaultServerConfig(7105, 7205);
  config.set_cached_models(16);
  config.set_shap_enabled(true);
  config.set_lime_enabled(true);
  config.set_background_samples(100);
  config.set_background_workers(1);
  config.set_background_seconds(120);
  config.set_change_hours(168);
  config.set_similar_incidents(3);
  *config.mutable_llm() = platform::DefaultLlmConfig();
  return config;
}

absl::Status Validate(const v1::Config& config) {
  const auto check = [](std::string_view name, uint64_t value, uint64_t lo, uint64_t hi) {
    return value >= lo && value <= hi ? absl::OkStatus()
                                      : InvalidArgument("{}: {} is not within {}-{}", name, value, lo, hi);
  };
  RETURN_IF_ERROR(platform::ValidateLlm(config.llm()));
  RETURN_IF_ERROR(check("cached_models", config.cached_models(), 1, 1000));
  RETURN_IF_ERROR(check("background_samples", config.background_samples(), 10, 100));
  RETURN_IF_ERROR(check("background_workers", config.background_workers(), 1, 64));
  RETURN_IF_ERROR(check("background_seconds", config.background_seconds(), 1, 3600));
  RETURN_IF_ERROR(check("compute_threads", config.compute_threads(), 0, 1024));
  RETURN_IF_ERROR(check("change_hours", config.change_hours(), 1, 8760));
  RETURN_IF_ERROR(check("similar_incidents", config.similar_incidents(), 0, 20));
  for (const common::v1::Severity from : {config.shap_from_severity(), config.lime_from_severity()}) {
    if (!common::v1::Severity_IsValid(from))
      return InvalidArgument("shap_from_severity, lime_from_severity: {} is no severity", static_cast<int>(from));
  }
  return absl::OkStatus();
}

namespace {

/// Datasets whose order in time is kept at hand.
constexpr size_t kTimelines = 8;

ExplainerOptions OptionsOf(const v1::Config& config) {
  return {.shap_enabled = config.shap_enabled(),
          .lime_enabled = config.lime_enabled(),
          .background_samples = config.background_samples(),
          .shap_from = static_cast<outlier::Severity>(config.shap_from_severity()),
          .lime_from = static_cast<outlier::Severity>(config.lime_from_severity()),
          .similar = config.similar_incidents()};
}

Account AccountIn(runtime::Metrics& metrics) {
  return [&metrics](std::string_view method, std::string_view outcome, absl::Duration took) {
    const std::string name(method);
    metrics
        .Counter("explanations_total", "Explanations by method and how they came about.",
                 {{"method", name}, {"outcome", std::string(outcome)}})
        .Increment();
    if (outcome == "computed") {
      metrics
          .Histogram("explanation_seconds", "Time that computed explanations took.", runtime::Metrics::LatencyBounds(),
                     {{"method", name}})
          .Observe(absl::ToDoubleSeconds(took));
    }
  };
}

}  // namespace

absl::Status Build(const v1::Config& config, runtime::App& app) {
  ASSIGN_OR_RETURN(storage::Pool* const database,
                   platform::OpenDatabase(app, {kMigrationFiles, static_cast<size_t>(kMigrationFileCount)}));
  ASSIGN_OR_RETURN(messaging::Connection* const nats, platform::ConnectNats(app));
  auto* catalog = app.Own(std::make_unique<outlier::Catalog>(std::vector<std::span<const outlier::Descriptor* const>>{
      outlier::AllAlgorithms(), neural::Algorithms(), boosting::Algorithms()}));
  auto* models = app.Own(std::make_unique<ModelCache>(config.cached_models()));
  auto* timelines = app.Own(std::make_unique<TimelineCache>(kTimelines));
  auto* store = app.Own(std::make_unique<PgExplanationStore>(database));
  ASSIGN_OR_RETURN(messaging::Publisher* const publisher, platform::MakePublisher(app, *nats));
  auto* queue = app.Own(std::make_unique<NatsTaskQueue>(publisher));
  const int threads = config.compute_threads() == 0 ? AvailableCpus() : static_cast<int>(config.compute_threads());
  auto* pool = app.Own(std::make_unique<ThreadPool>(threads));
  ASSIGN_OR_RETURN(llm::Assistant* const assistant, platform::OpenLlm(app, nats, config.llm()));
  Wording* const wording = assistant->on() ? app.Own(std::make_unique<LlmWording>(assistant)) : nullptr;
  auto* explainer =
      app.Own(std::make_unique<Explainer>(store, queue, OptionsOf(config), wording, AccountIn(app.metrics())));

  const absl::Duration before = absl::Hours(config.change_hours()), limit = absl::Seconds(config.background_seconds());
  const auto see = [&app, catalog, models, timelines, before](const std::string& tenant, runtime::Outgoing out) {
    return RemoteSources(app.channels(), *catalog, *models, *timelines, before, tenant, std::move(out));
  };
  app.server().AddService<v1::ExplainerService>(std::make_unique<ExplainerGrpc>(
      app.server(), *explainer,
      [see](const runtime::CallContext& call) { return see(call.tenant, runtime::Outgoing::OnBehalfOf(call)); }, pool));
  const auto as_service = [&app, see, limit](const messaging::Message& m,
                                             std::stop_token stop) -> absl::StatusOr<Sources> {
    ASSIGN_OR_RETURN(runtime::Outgoing out,
                     runtime::Outgoing::AsService(app.service_token(), m.event.tenant, limit, std::move(stop),
                                                  runtime::TraceContext::Parse(m.event.traceparent)));
    return see(m.event.tenant, std::move(out));
  };
  platform::AddConsumer(
      app, *nats,
      {.stream = messaging::kFactsStream, .durable = "detected", .filter = "facts.anomaly.detected", .concurrency = 2},
      DetectedHandler(*explainer));
  platform::AddConsumer(app, *nats,
                        {.stream = messaging::kFactsStream, .durable = "feedback", .filter = "facts.feedback.given"},
                        FeedbackHandler(*explainer));
  platform::AddConsumer(app, *nats,
                        {.stream = messaging::kWorkStream,
                         .durable = "explain",
                         .filter = "work.explain.>",
                         .max_deliver = kTaskDeliveries,
                         .concurrency = static_cast<int>(config.background_workers())},
                        TaskHandler(*explainer, as_service, limit, pool));
  return absl::OkStatus();
}

}  // namespace vedette::explainer
