#include "ingest_app.h"

namespace vedette::ingest {
namespace {

using testing::IngestApp;
using Stub = IngestApp::Stub;

v1::WriteObservationsRequest Batch(int n, const std::string& entity = "entities/store-1",
                                   const std::string& metric = "metrics/units_sold") {
  v1::WriteObservationsRequest request;
  request.add_entities(entity);
  request.add_metrics(metric);
  for (int i = 0; i < n; ++i) {
    request.add_entity_index(0);
    request.add_metric_index(0);
    request.add_time_micros(int64_t{1'700'000'000'000'000} + int64_t{i} * 3'600'000'000);
    request.add_values(i * 0.1);
  }
  return request;
}

TEST_CASE("entities and metrics") {
  IngestApp ingest;
  v1::CreateEntityRequest create;
  create.set_entity_id("store-1");
  create.mutable_entity()->set_kind("store");
  create.mutable_entity()->set_peer_group("north");
  (*create.mutable_entity()->mutable_attributes()->mutable_fields())["area"].set_number_value(120.5);
  const auto made = runtime::Call(*ingest.stub, &Stub::CreateEntity, ingest.Acme(), create);
  INFO(made.status().ToString());
  REQUIRE(made.ok());
  CHECK(made->name() == "entities/store-1");
  CHECK(made->attributes().fields().at("area").number_value() == 120.5);
  CHECK(absl::IsAlreadyExists(runtime::Call(*ingest.stub, &Stub::CreateEntity, ingest.Acme(), create).status()));
  CHECK(runtime::Call(*ingest.stub, &Stub::CreateEntity, ingest.keys.As("other", {"operator"}), create).ok());
  create.set_entity_id("bad/id");
  create.mutable_entity()->clear_kind();
  const auto wrong = runtime::Call(*ingest.stub, &Stub::CreateEntity, ingest.Acme(), create);
  CHECK(runtime::GetFieldViolations(wrong.status()).size() == 2);

  v1::ListEntitiesRequest entities;
  entities.set_filter("kind = store AND peer_group = north");
  CHECK(runtime::Call(*ingest.stub, &Stub::ListEntities, ingest.Acme(), entities)->entities_size() == 1);

  v1::CreateMetricRequest metric;
  metric.set_metric_id("footfall");
  metric.mutable_metric()->set_direction(v1::Metric::LOW);
  REQUIRE(runtime::Call(*ingest.stub, &Stub::CreateMetric, ingest.Acme(), metric).ok());
  CHECK(absl::IsAlreadyExists(runtime::Call(*ingest.stub, &Stub::CreateMetric, ingest.Acme(), metric).status()));
  metric.set_metric_id("units_sold");
  CHECK(absl::IsAlreadyExists(runtime::Call(*ingest.stub, &Stub::CreateMetric, ingest.Acme(), metric).status()));
  v1::ListMetricsRequest metrics;
  metrics.set_filter("standard = false");
  const auto own = runtime::Call(*ingest.stub, &Stub::ListMetrics, ingest.Acme(), metrics);
  REQUIRE(own.ok());
  REQUIRE(own->metrics_size() == 1);
  CHECK(own->metrics(0).direction() == v1::Metric::LOW);
  metrics.set_filter("category = retail");
  CHECK(runtime::Call(*ingest.stub, &Stub::ListMetrics, ingest.Acme(), metrics)->metrics_size() == 4);
  CHECK(runtime::Call(*ingest.stub, &Stub::ListMetrics, ingest.keys.As("other", {"viewer"}), v1::ListMetricsRequest())
            ->metrics_size() == 22);
}

TEST_CASE("tenants are for services only") {
  IngestApp ingest;
  v1::CreateTenantRequest create;
  create.set_tenant_id("acme");
  create.mutable_tenant()->set_display_name("Acme");
  CHECK(absl::IsPermissionDenied(
      runtime::Call(*ingest.stub, &Stub::CreateTenant, ingest.keys.As("acme", {"admin"}), create).status()));
  const auto made = runtime::Call(*ingest.stub, &Stub::CreateTenant, ingest.keys.AsService(""), create);
  INFO(made.status().ToString());
  REQUIRE(made.ok());
  CHECK(made->tier() == "standard");
  CHECK(absl::IsAlreadyExists(
      runtime::Call(*ingest.stub, &Stub::CreateTenant, ingest.keys.AsService(""), create).status()));
  const auto list =
      runtime::Call(*ingest.stub, &Stub::ListTenants, ingest.keys.AsService(""), v1::ListTenantsRequest());
  REQUIRE(list.ok());
  CHECK(list->tenants_size() == 1);
}

TEST_CASE("observations: written once, read in order, page by page") {
  IngestApp ingest;
  v1::CreateEntityRequest create;
  create.set_entity_id("store-1");
  create.mutable_entity()->set_kind("store");
  REQUIRE(runtime::Call(*ingest.stub, &Stub::CreateEntity, ingest.Acme(), create).ok());

  const auto written = runtime::Call(*ingest.stub, &Stub::WriteObservations, ingest.Acme(), Batch(2000));
  INFO(written.status().ToString());
  REQUIRE(written.ok());
  CHECK(written->written() == 2000);
  const auto again = runtime::Call(*ingest.stub, &Stub::WriteObservations, ingest.Acme(), Batch(2100));
  REQUIRE(again.ok());
  CHECK(again->written() == 100);
  CHECK(again->duplicates() == 2000);
  CHECK(absl::IsFailedPrecondition(
      runtime::Call(*ingest.stub, &Stub::WriteObservations, ingest.Acme(), Batch(1, "entities/unknown")).status()));
  CHECK(absl::IsFailedPrecondition(runtime::Call(*ingest.stub, &Stub::WriteObservations, ingest.Acme(),
                                                 Batch(1, "entities/store-1", "metrics/unknown"))
                                       .status()));
  CHECK(absl::IsFailedPrecondition(
      runtime::Call(*ingest.stub, &Stub::WriteObservations, ingest.keys.As("other", {"operator"}), Batch(1)).status()));

  v1::ListObservationsRequest list;
  list.set_entity("entities/store-1");
  list.set_metric("metrics/units_sold");
  list.mutable_start_time()->set_seconds(1'700'000'000 + 3600);
  list.set_page_size(900);
  std::vector<double> values;
  int64_t last = 0;
  do {
    const auto page = runtime::Call(*ingest.stub, &Stub::ListObservations, ingest.Acme(), list);
    REQUIRE(page.ok());
    for (int i = 0; i < page->values_size(); ++i) {
      CHECK(page->time_micros(i) > last);
      last = page->time_micros(i);
      values.push_back(page->values(i));
    }
    list.set_page_token(page->next_page_token());
  } while (!list.page_token().empty());
  REQUIRE(values.size() == 2099);
  CHECK(values.front() == 0.1);
  CHECK(values.back() == 2099 * 0.1);
  list.clear_page_token();
  CHECK(
      runtime::Call(*ingest.stub, &Stub::ListObservations, ingest.keys.As("other", {"viewer"}), list)->values_size() ==
      0);
}

TEST_CASE("change events") {
  IngestApp ingest;
  v1::CreateChangeEventRequest create;
  create.set_request_id("018f4e1c-0000-7000-8000-000000000002");
  create.mutable_change_event()->set_kind("tariff");
  create.mutable_change_event()->set_title("New tariff");
  create.mutable_change_event()->mutable_event_time()->set_seconds(1'700'000'000);
  const auto made = runtime::Call(*ingest.stub, &Stub::CreateChangeEvent, ingest.Acme(), create);
  INFO(made.status().ToString());
  REQUIRE(made.ok());
  CHECK(runtime::Call(*ingest.stub, &Stub::CreateChangeEvent, ingest.Acme(), create)->name() == made->name());
  create.clear_request_id();
  for (int i = 1; i <= 3; ++i) {
    create.mutable_change_event()->mutable_event_time()->set_seconds(1'700'000'000 + (i % 2) * 10);
    REQUIRE(runtime::Call(*ingest.stub, &Stub::CreateChangeEvent, ingest.Acme(), create).ok());
  }
  v1::ListChangeEventsRequest list;
  list.set_page_size(1);
  std::vector<int64_t> times;
  do {
    const auto page = runtime::Call(*ingest.stub, &Stub::ListChangeEvents, ingest.Acme(), list);
    REQUIRE(page.ok());
    for (const auto& e : page->change_events()) times.push_back(e.event_time().seconds() - 1'700'000'000);
    list.set_page_token(page->next_page_token());
  } while (!list.page_token().empty());
  CHECK(times == std::vector<int64_t>{10, 10, 0, 0});
  list.set_filter("kind = tariff AND event_time > \"2023-11-14T22:13:25Z\"");
  list.set_page_size(10);
  CHECK(runtime::Call(*ingest.stub, &Stub::ListChangeEvents, ingest.Acme(), list)->change_events_size() == 2);
}

}  // namespace
}  // namespace vedette::ingest
