// vedette-explainer with facts from NATS and a real database.
#include <catch2/catch.hpp>
#include <chrono>
#include <mutex>
#include <thread>

#include "base/ids.h"
#include "messaging/consume.h"
#include "messaging/publish.h"
#include "messaging/streams.h"
#include "runtime/client.h"
#include "services/explainer/wiring.h"
#include "support/support.h"
#include "support/test_app.h"
#include "vedette/events/v1/events.pb.h"
#include "vedette/explainer/v1/explainer.grpc.pb.h"

namespace vedette::explainer {
namespace {

using Stub = v1::ExplainerService::Stub;

/// Looking again is not a race: every wait below ends on a state, never on a time.
void Pause() { std::this_thread::sleep_for(std::chrono::milliseconds(10)); }

struct Running {
  explicit Running(const std::function<void(v1::Config&)>& change = nullptr) {
    v1::Config config = DefaultConfig();
    *config.mutable_server() = keys.ServerConfig();
    config.mutable_server()->mutable_postgres()->set_dsn(db.app_conninfo);
    config.mutable_server()->mutable_postgres()->set_migration_dsn(db.owner_conninfo);
    config.mutable_server()->mutable_nats()->set_url(testing::SharedNats().Url());
    config.mutable_server()->mutable_nats()->set_token_file(
        keys.dir().Write("nats.token", testing::SharedNats().token()));
    if (change) change(config);
    REQUIRE(Validate(config).ok());
    app = testing::MustCreate("explainer", config.server());
    const absl::Status built = Build(config, *app);
    INFO(built.ToString());
    REQUIRE(built.ok());
    REQUIRE(app->Start().ok());
    stub = v1::ExplainerService::NewStub(testing::Connect(*app));
    publisher = *messaging::Publisher::Create(nats.get());
  }

  void Publish(const std::string& subject, const std::string& id, const std::string& tenant, const std::string& data) {
    messaging::CloudEvent event{
        .id = id, .source = "vedette/test", .type = "test", .time = absl::Now(), .subject = {}, .tenant = tenant};
    event.data = data;
    REQUIRE(publisher->Publish(subject, event).ok());
  }
  /// A detection of `row` whose price is too high.
  std::string Detect(int64_t row, const std::string& message = "",
                     common::v1::Severity severity = common::v1::SEVERITY_HIGH) {
    const std::string name = "anomalies/" + DerivedUuid(fmt::format("acme/{}", row));
    events::v1::AnomaliesDetected event;
    event.set_tenant("acme");
    event.set_task("jobs/j/tasks/1");
    event.set_dataset("datasets/d");
    event.set_model("models/m");
    event.set_algorithm("knn");
    event.set_space("score");
    event.set_threshold(1);
    event.mutable_detect_time()->set_seconds(1'700'000'000);
    auto* d = event.add_anomalies();
    d->set_anomaly(name);
    d->set_row_index(row);
    d->set_score(2);
    d->set_probability(0.9);
    d->set_severity(severity);
    auto* f = d->add_features();
    f->set_feature_name("price");
    f->set_contribution(3);
    f->set_actual_value("940");
    f->set_actual_number(940);
    f->set_expected_value("12");
    f->set_expected_number(12);
    f->set_percentile(100);
    Publish("facts.anomaly.detected", message.empty() ? name : message, "acme", event.SerializeAsString());
    return name;
  }
  absl::StatusOr<v1::Explanation> Explain(const std::string& anomaly, const std::string& method = "",
                                          const std::string& tenant = "acme", bool later = false) {
    v1::ExplainAnomalyRequest request;
    request.set_anomaly(anomaly);
    request.set_method(method);
    request.set_asynchronous(later);
    return runtime::Call(*stub, &Stub::ExplainAnomaly, keys.As(tenant, {"analyst"}), request);
  }
  int Count(const std::string& anomaly, const std::string& tenant = "acme") {
    v1::ListExplanationsRequest request;
    request.set_anomaly(anomaly);
    const auto all = runtime::Call(*stub, &Stub::ListExplanations, keys.As(tenant, {"viewer"}), request);
    REQUIRE(all.ok());
    return all->explanations_size();
  }
  void AwaitStored(const std::string& anomaly) {
    while (Count(anomaly) == 0) Pause();
  }

  testing::Keys keys;
  std::unique_ptr<messaging::Connection> nats = testing::NewNatsConnection();
  testing::ServiceDatabase db = testing::NewServiceDatabase("explainer", {});
  std::unique_ptr<runtime::App> app;
  std::unique_ptr<Stub> stub;
  std::unique_ptr<messaging::Publisher> publisher;
};

}  // namespace

TEST_CASE("a detection is explained as it comes in, once, for its tenant") {
  Running r;
  const std::string one = r.Detect(1);
  r.Detect(1, "the same under another id");
  const std::string two = r.Detect(2);
  r.AwaitStored(one);
  r.AwaitStored(two);
  const auto e = r.Explain(one);
  INFO(e.status().ToString());
  REQUIRE(e.ok());
  CHECK(e->method() == "native");
  CHECK(e->contributions(0).feature_name() == "price");
  CHECK(e->contributions(0).direction() == "high");
  CHECK(e->contributions(0).percentile() == 100);
  CHECK_THAT(e->text(), Catch::Contains("price is 940"));
  // Model, row, changes: their services are away, and the answer says so.
  CHECK_THAT(e->degraded_reason(), Catch::Contains("no counterfactual") && Catch::Contains("no change events"));
  REQUIRE(e->similar_incidents_size() == 1);
  CHECK(e->similar_incidents(0).anomaly() == two);
  CHECK(e->similar_incidents(0).outcome().empty());
  CHECK(r.Count(one) == 1);
  CHECK(r.Count(one, "other") == 0);
  CHECK_FALSE(r.Explain(one, "", "other").ok());
  CHECK(absl::IsInvalidArgument(r.Explain(one, "magic").status()));
  CHECK(absl::IsInvalidArgument(r.Explain("anomalies/1").status()));
  v1::ExplainAnomalyRequest request;
  request.set_anomaly(one);
  CHECK(absl::IsPermissionDenied(
      runtime::Call(*r.stub, &Stub::ExplainAnomaly, r.keys.As("acme", {"viewer"}), request).status()));
}

TEST_CASE("what people said of similar findings comes with the next explanation") {
  Running r;
  const std::string one = r.Detect(1), two = r.Detect(2);
  r.AwaitStored(one);
  r.AwaitStored(two);
  events::v1::FeedbackGiven given;
  given.set_tenant("acme");
  given.set_anomaly(two);
  given.set_feedback(two + "/feedback/1");
  given.set_verdict("FALSE_ALARM");
  given.set_confidence(0.75);
  given.mutable_create_time()->set_seconds(1'700'000'100);
  events::v1::FeedbackGiven wrong = given;
  wrong.set_verdict("PERHAPS");
  r.Publish("facts.feedback.given", "wrong", "acme", wrong.SerializeAsString());  // to the dead letters, and on
  r.Publish("facts.feedback.given", "right", "acme", given.SerializeAsString());
  for (;;) {
    const auto e = r.Explain(one);
    REQUIRE(e.ok());
    REQUIRE(e->similar_incidents_size() == 1);
    if (!e->similar_incidents(0).outcome().empty()) {
      CHECK(e->similar_incidents(0).outcome() == "FALSE_ALARM");
      CHECK(e->similar_incidents(0).outcome_confidence() == 0.75);
      break;
    }
    Pause();
  }
}

TEST_CASE("batch and stream: one result each, in order, errors beside answers") {
  Running r;
  const std::string one = r.Detect(1), two = r.Detect(2), nobody = "anomalies/" + DerivedUuid("nobody");
  r.AwaitStored(one);
  r.AwaitStored(two);
  v1::BatchExplainAnomaliesRequest batch;
  for (const auto& name : {one, nobody, two}) batch.add_anomalies(name);
  batch.set_numbers_only(true);
  const auto all = runtime::Call(*r.stub, &Stub::BatchExplainAnomalies, r.keys.As("acme", {"analyst"}), batch);
  INFO(all.status().ToString());
  REQUIRE(all.ok());
  REQUIRE(all->results_size() == 3);
  CHECK(all->results(0).explanation().degraded_reason().empty());
  CHECK(all->results(0).anomaly() == one);
  CHECK(all->results(1).has_error());
  CHECK_FALSE(all->results(1).error().code().empty());
  CHECK(all->results(2).explanation().method() == "native");

  v1::StreamExplanationsRequest stream;
  *stream.mutable_anomalies() = batch.anomalies();
  stream.set_method("lime");
  stream.set_numbers_only(true);
  std::vector<v1::ExplanationResult> results;
  const absl::Status status = runtime::CallStream(*r.stub, &Stub::StreamExplanations, r.keys.As("acme", {"analyst"}),
                                                  stream, [&](const v1::ExplanationResult& x) {
                                                    results.push_back(x);
                                                    return absl::OkStatus();
                                                  });
  INFO(status.ToString());
  REQUIRE(status.ok());
  REQUIRE(results.size() == 3);
  CHECK_THAT(results[0].explanation().degraded_reason(), Catch::StartsWith("lime: "));
  CHECK(results[1].has_error());

  batch.clear_anomalies();
  CHECK(absl::IsInvalidArgument(
      runtime::Call(*r.stub, &Stub::BatchExplainAnomalies, r.keys.As("acme", {"analyst"}), batch).status()));
  for (int i = 0; i < 101; ++i) batch.add_anomalies(one);
  CHECK(absl::IsInvalidArgument(
      runtime::Call(*r.stub, &Stub::BatchExplainAnomalies, r.keys.As("acme", {"analyst"}), batch).status()));
}

TEST_CASE("later: a task in the work stream; one that cannot be done ends in the dead letters") {
  // No service answers for the row, and the task's last word is final.
  Running r([](v1::Config& c) { c.set_shap_from_severity(common::v1::SEVERITY_CRITICAL); });
  auto dead = messaging::PullConsumer::Create(
      r.nats.get(), {.stream = messaging::kDeadLetterStream, .durable = "test-dead", .filter = "dlq.work.explain.>"});
  REQUIRE(dead.ok());
  const std::string one = r.Detect(1), severe = r.Detect(2, "", common::v1::SEVERITY_CRITICAL);
  r.AwaitStored(one);
  const auto e = r.Explain(one, "kernel_shap", "acme", true);
  INFO(e.status().ToString());
  REQUIRE(e.ok());
  CHECK(e->method() == "native");
  CHECK_THAT(e->degraded_reason(), Catch::Contains("kernel_shap is being computed"));
  std::map<std::string, std::string> methods;
  std::stop_source enough;
  std::mutex mutex;
  const absl::Status ran = (*dead)->Run(enough.get_token(), [&](const messaging::Message& m, std::stop_token) {
    events::v1::ExplainTask task;
    if (task.ParseFromString(m.event.data)) {
      const std::lock_guard lock(mutex);
      methods[task.anomaly()] = task.method();
      if (methods.size() == 2) enough.request_stop();
    }
    return messaging::Outcome::Ack();
  });
  CHECK(ran.ok());
  CHECK(methods == std::map<std::string, std::string>{{one, "kernel_shap"}, {severe, "shap"}});
  CHECK(r.Count(one) == 1);
}

TEST_CASE("settings out of bounds are refused by name") {
  const auto refused = [](const std::function<void(v1::Config&)>& change) {
    v1::Config config = DefaultConfig();
    change(config);
    return std::string(Validate(config).message());
  };
  CHECK_THAT(refused([](v1::Config& c) { c.set_background_samples(101); }), Catch::Contains("background_samples"));
  CHECK_THAT(refused([](v1::Config& c) { c.set_background_workers(0); }), Catch::Contains("background_workers"));
  CHECK_THAT(refused([](v1::Config& c) { c.set_similar_incidents(21); }), Catch::Contains("similar_incidents"));
  CHECK_THAT(refused([](v1::Config& c) { c.set_shap_from_severity(static_cast<common::v1::Severity>(9)); }),
             Catch::Contains("shap_from_severity"));
  CHECK(DefaultConfig().shap_enabled());
  CHECK(DefaultConfig().background_samples() == 100);
}

}  // namespace vedette::explainer
