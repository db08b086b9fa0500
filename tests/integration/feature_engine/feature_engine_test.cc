// feature-engine and ingest, both real, over gRPC.
#include <cmath>
#include <cstring>
#include <limits>

#include "integration/ingest/ingest_app.h"
#include "services/feature-engine/wiring.h"
#include "table/csv.h"
#include "table/prepare.h"
#include "vedette/features/v1/features.grpc.pb.h"

namespace vedette::feature_engine {

extern const storage::MigrationFile kMigrationFiles[];
extern const int kMigrationFileCount;

namespace {

using features::v1::FeatureEngineService;
using Stub = FeatureEngineService::Stub;

struct Setup {
  Setup() {
    features::v1::Config config = DefaultConfig();
    *config.mutable_server() = ingest.keys.ServerConfig();
    testing::UseServers(db, ingest.keys, config.mutable_server());
    (*config.mutable_server()->mutable_endpoints())["ingest"] = testing::Address(*ingest.app);
    app = testing::MustCreate("feature-engine", config.server());
    const absl::Status built = Build(config, *app);
    INFO(built.ToString());
    REQUIRE(built.ok());
    REQUIRE(app->Start().ok());
    stub = FeatureEngineService::NewStub(testing::Connect(*app));
  }

  std::string Upload(const std::string& text) {
    const auto dataset = ingest.Upload(ingest.Acme(), text);
    REQUIRE(dataset.ok());
    return dataset->name();
  }
  absl::StatusOr<features::v1::FeatureSet> Create(const runtime::Outgoing& as, const std::string& dataset,
                                                  const std::string& scaling = "") {
    features::v1::CreateFeatureSetRequest request;
    request.set_dataset(dataset);
    request.mutable_options()->set_scaling(scaling);
    return runtime::Call(*stub, &Stub::CreateFeatureSet, as, request);
  }

  testing::IngestApp ingest;
  testing::ServiceDatabase db = testing::NewServiceDatabase("feature-engine", {});
  std::unique_ptr<runtime::App> app;
  std::unique_ptr<Stub> stub;
};

std::string Shop(int rows) {
  std::string text = "price,amount,colour\n";
  for (int i = 0; i < rows; ++i) {
    text += fmt::format("{:.4f},{},{}\n", std::sin(i) * 50, i % 17 == 0 ? "" : fmt::format("{}", i % 101),
                        std::vector<std::string>{"red", "green", "blue"}[static_cast<size_t>(i * 7 % 3)]);
  }
  return text;
}

struct Stream {
  features::v1::StreamFeaturesResponse::Header header;
  std::vector<int64_t> rows;
  std::vector<std::vector<double>> columns;
  table::TableBuilder table;
  size_t largest = 0;

  absl::Status Take(const features::v1::StreamFeaturesResponse& message) {
    largest = std::max(largest, message.ByteSizeLong());
    if (message.has_header()) {
      header = message.header();
      columns.resize(static_cast<size_t>(header.cols()));
      return absl::OkStatus();
    }
    const int n = message.rows().row_index_size();
    rows.insert(rows.end(), message.rows().row_index().begin(), message.rows().row_index().end());
    CHECK(message.rows().values_size() == n * header.cols());
    for (size_t j = 0; j < columns.size(); ++j) {
      const double* column = message.rows().values().data() + j * static_cast<size_t>(n);
      columns[j].insert(columns[j].end(), column, column + n);
    }
    if (!message.rows().has_table()) return absl::OkStatus();
    auto part = wire::FromProto(message.rows().table());
    return part.ok() ? table.Append(*part) : part.status();
  }
};

absl::Status Read(Setup& s, const runtime::Outgoing& as, const features::v1::StreamFeaturesRequest& request,
                  Stream* out) {
  return runtime::CallStream(*s.stub, &Stub::StreamFeatures, as, request,
                             [out](const auto& m) { return out->Take(m); });
}

TEST_CASE("the migrations go up, down and up, and keep tenants apart") {
  CHECK(testing::MigrationDefects("feature-engine", {kMigrationFiles, static_cast<size_t>(kMigrationFileCount)}) ==
        std::vector<std::string>{});
}

TEST_CASE("an uploaded file as a feature matrix: what the preparation gives locally, bit for bit") {
  Setup s;
  const std::string text = Shop(20'000);
  const std::string dataset = s.Upload(text);
  const auto set = s.Create(s.ingest.Acme(), dataset, "standard");
  INFO(set.status().ToString());
  REQUIRE(set.ok());
  CHECK(set->options().imputation() == "median");
  CHECK(set->options().scaling() == "standard");

  const auto local_table = table::ReadCsvText(text);
  REQUIRE(local_table.ok());
  const auto local = table::Preparation::Fit(local_table->table, {.scaling = table::Scaling::kStandard});
  REQUIRE(local.ok());
  const Matrix wanted = *local->Apply(local_table->table);
  features::v1::StreamFeaturesRequest request;
  request.set_feature_set(set->name());
  request.set_include_table(true);
  Stream got;
  REQUIRE(Read(s, s.ingest.Acme(), request, &got).ok());
  CHECK(got.header.dataset_rows() == 20'000);
  CHECK(got.header.feature_set() == set->name());
  REQUIRE(got.header.cols() == wanted.cols());
  REQUIRE(got.rows.size() == 20'000);
  for (int64_t j = 0; j < wanted.cols(); ++j) {
    CHECK(std::memcmp(got.columns[static_cast<size_t>(j)].data(), wanted.col(j).data(), 20'000 * 8) == 0);
  }
  CHECK(got.largest <= (1 << 20));
  const table::Table rows = got.table.Take();
  CHECK(rows.rows() == 20'000);
  CHECK(rows.columns[2].Text(12'345) == local_table->table.columns[2].Text(12'345));

  request.set_first_row(8190);
  request.set_row_count(5);
  request.set_include_table(false);
  Stream part;
  REQUIRE(Read(s, s.ingest.Acme(), request, &part).ok());
  CHECK(part.rows == std::vector<int64_t>{8190, 8191, 8192, 8193, 8194});
  CHECK(part.columns[0][3] == wanted(8193, 0));
}

TEST_CASE("feature sets are found again, samples repeat, and services may read for a tenant") {
  Setup s;
  const std::string dataset = s.Upload(Shop(3000));
  const auto set = s.Create(s.ingest.Acme(), dataset);
  REQUIRE(set.ok());
  CHECK(s.Create(s.ingest.keys.AsService("acme"), dataset)->SerializeAsString() == set->SerializeAsString());
  CHECK(s.Create(s.ingest.Acme(), dataset, "robust")->name() != set->name());
  features::v1::StreamFeaturesRequest request;
  request.set_feature_set(set->name());
  request.set_sample_rows(256);
  request.set_seed(9);
  Stream one, two;
  REQUIRE(Read(s, s.ingest.Acme(), request, &one).ok());
  REQUIRE(Read(s, s.ingest.keys.AsService("acme"), request, &two).ok());
  CHECK(one.rows.size() == 256);
  CHECK(one.rows == two.rows);
  CHECK(one.columns == two.columns);
  features::v1::ListFeatureSetsRequest list;
  list.set_filter("dataset = \"" + dataset + "\"");
  const auto listed = runtime::Call(*s.stub, &Stub::ListFeatureSets, s.ingest.Acme(), list);
  INFO(listed.status().ToString());
  REQUIRE(listed.ok());
  CHECK(listed->feature_sets_size() == 2);
  features::v1::GetFeatureSetRequest get;
  get.set_name(set->name());
  CHECK(runtime::Call(*s.stub, &Stub::GetFeatureSet, s.ingest.Acme(), get)->features_size() == set->features_size());
}

TEST_CASE("another tenant sees nothing") {
  Setup s;
  const std::string dataset = s.Upload(Shop(100));
  const auto set = s.Create(s.ingest.Acme(), dataset);
  REQUIRE(set.ok());
  const runtime::Outgoing other = s.ingest.keys.As("other", {"admin"});
  CHECK(absl::IsNotFound(s.Create(other, dataset).status()));
  features::v1::GetFeatureSetRequest get;
  get.set_name(set->name());
  CHECK(absl::IsNotFound(runtime::Call(*s.stub, &Stub::GetFeatureSet, other, get).status()));
  features::v1::StreamFeaturesRequest request;
  request.set_feature_set(set->name());
  Stream got;
  CHECK(absl::IsNotFound(Read(s, other, request, &got)));
  CHECK(got.rows.empty());
  features::v1::ProfileDatasetRequest profile;
  profile.set_dataset(dataset);
  CHECK(absl::IsNotFound(runtime::Call(*s.stub, &Stub::ProfileDataset, other, profile).status()));
}

TEST_CASE("wrong requests are refused with a reason") {
  Setup s;
  const std::string dataset = s.Upload(Shop(100));
  CHECK(absl::IsInvalidArgument(s.Create(s.ingest.Acme(), dataset, "huge").status()));
  CHECK(absl::IsInvalidArgument(s.Create(s.ingest.Acme(), "dataset/x").status()));
  CHECK(absl::IsNotFound(s.Create(s.ingest.Acme(), "datasets/018f4e1c-0000-7000-8000-000000000001").status()));
}

TEST_CASE("windows: kept with the feature set, and rows before a range come along") {
  Setup s;
  const std::string text = Shop(3000);
  features::v1::CreateFeatureSetRequest create;
  create.set_dataset(s.Upload(text));
  for (const int32_t wrong : {-1, 1001, 1000000000, std::numeric_limits<int32_t>::min()}) {
    create.mutable_options()->set_window(wrong);
    const auto refused = runtime::Call(*s.stub, &Stub::CreateFeatureSet, s.ingest.Acme(), create);
    CHECK(absl::IsInvalidArgument(refused.status()));
    CHECK(refused.status().message().find("prepare.window") != std::string_view::npos);
  }
  create.mutable_options()->set_window(4);
  const auto set = runtime::Call(*s.stub, &Stub::CreateFeatureSet, s.ingest.Acme(), create);
  INFO(set.status().ToString());
  REQUIRE(set.ok());
  CHECK(set->options().window() == 4);
  features::v1::GetFeatureSetRequest get;
  get.set_name(set->name());
  CHECK(runtime::Call(*s.stub, &Stub::GetFeatureSet, s.ingest.Acme(), get)->options().window() == 4);
  const auto plain = s.Create(s.ingest.Acme(), create.dataset());
  CHECK(plain->options().window() == 1);
  CHECK(plain->name() != set->name());
  CHECK(4 * plain->features_size() == set->features_size());

  const auto local_table = table::ReadCsvText(text);
  const auto local = table::Preparation::Fit(local_table->table, {.window = 4});
  REQUIRE(local.ok());
  const Matrix wanted = *local->Apply(local_table->table);
  features::v1::StreamFeaturesRequest request;
  request.set_feature_set(set->name());
  request.set_include_table(true);
  for (const int64_t first : {0, 2, 1700}) {
    request.set_first_row(first);
    request.set_row_count(40);
    Stream got;
    int64_t context = -1;
    const auto take = [&](const features::v1::StreamFeaturesResponse& m) {
      if (m.has_rows() && context < 0) {
        context = m.rows().context().rows();
        if (context > 0) CHECK(m.rows().context().first_row() == first - context);
      }
      return got.Take(m);
    };
    REQUIRE(runtime::CallStream(*s.stub, &Stub::StreamFeatures, s.ingest.Acme(), request, take).ok());
    REQUIRE(got.rows.size() == 40);
    CHECK(context == std::min<int64_t>(3, first));
    for (int64_t j = 0; j < wanted.cols(); ++j)
      CHECK(std::memcmp(got.columns[static_cast<size_t>(j)].data(), wanted.col(j).data() + first, 40 * 8) == 0);
  }
}

TEST_CASE("profile and baselines") {
  Setup s;
  const std::string dataset = s.Upload(Shop(1700));
  features::v1::ProfileDatasetRequest profile;
  profile.set_dataset(dataset);
  const auto p = runtime::Call(*s.stub, &Stub::ProfileDataset, s.ingest.Acme(), profile);
  INFO(p.status().ToString());
  REQUIRE(p.ok());
  CHECK(p->rows() == 1700);
  CHECK(p->missing_share() == Approx(100.0 / 5100));

  features::v1::CreateBaselineRequest create;
  create.set_scope(dataset);
  create.set_metric("amount");
  create.set_request_id("018f4e1c-0000-7000-8000-000000000003");
  create.mutable_valid_from()->set_seconds(1'700'000'000);
  const auto b = runtime::Call(*s.stub, &Stub::CreateBaseline, s.ingest.Acme(), create);
  INFO(b.status().ToString());
  REQUIRE(b.ok());
  CHECK(b->count() == 1600);
  CHECK(b->minimum() == 0);
  CHECK(b->maximum() == 100);
  CHECK(b->valid_from().seconds() == 1'700'000'000);
  CHECK_FALSE(b->has_valid_to());
  CHECK(runtime::Call(*s.stub, &Stub::CreateBaseline, s.ingest.Acme(), create)->name() == b->name());
  features::v1::GetBaselineRequest get;
  get.set_name(b->name());
  CHECK(runtime::Call(*s.stub, &Stub::GetBaseline, s.ingest.Acme(), get)->SerializeAsString() ==
        b->SerializeAsString());
  CHECK(absl::IsNotFound(
      runtime::Call(*s.stub, &Stub::GetBaseline, s.ingest.keys.As("other", {"viewer"}), get).status()));
  features::v1::ListBaselinesRequest list;
  list.set_filter("metric = amount");
  CHECK(runtime::Call(*s.stub, &Stub::ListBaselines, s.ingest.Acme(), list)->baselines_size() == 1);
  features::v1::DeleteBaselineRequest remove;
  remove.set_name(b->name());
  REQUIRE(runtime::Call(*s.stub, &Stub::DeleteBaseline, s.ingest.Acme(), remove).ok());
  CHECK(absl::IsNotFound(runtime::Call(*s.stub, &Stub::DeleteBaseline, s.ingest.Acme(), remove).status()));
}

}  // namespace
}  // namespace vedette::feature_engine
