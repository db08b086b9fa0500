// vedette-ingest in the test's own process, with a database, object store and nats-server of its own.
#pragma once

#include <absl/time/clock.h>

#include <catch2/catch.hpp>
#include <fstream>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/hash.h"
#include "runtime/client.h"
#include "services/ingest/wiring.h"
#include "support/support.h"
#include "support/test_app.h"
#include "table/rows.h"
#include "vedette/ingest/v1/ingest.grpc.pb.h"
#include "wire/table_chunk.h"

namespace vedette::testing {

/// postgres and nats of a service under test; its migrations run at start.
inline void UseServers(const ServiceDatabase& db, const Keys& keys, runtime::v1::ServerConfig* config) {
  config->mutable_postgres()->set_dsn(db.app_conninfo);
  config->mutable_postgres()->set_migration_dsn(db.owner_conninfo);
  config->mutable_nats()->set_url(SharedNats().Url());
  config->mutable_nats()->set_token_file(keys.dir().Write("nats.token", SharedNats().token()));
}

struct IngestApp {
  using Stub = ingest::v1::IngestService::Stub;

  explicit IngestApp(const std::function<void(ingest::v1::Config&)>& change = nullptr) {
    ingest::v1::Config config = ingest::DefaultConfig();
    *config.mutable_server() = keys.ServerConfig();
    UseServers(db, keys, config.mutable_server());
    config.mutable_object_store()->set_directory(objects.path());
    if (change) change(config);
    app = MustCreate("ingest", config.server());
    const absl::Status built = ingest::Build(config, *app);
    INFO(built.ToString());
    REQUIRE(built.ok());
    REQUIRE(app->Start().ok());
    stub = ingest::v1::IngestService::NewStub(Connect(*app));
  }

  /// Sends `text` in pieces. Without `finish` the end mark is left out.
  absl::StatusOr<ingest::v1::Dataset> Upload(const runtime::Outgoing& as, std::string_view text,
                                             const std::string& request_id = "", bool finish = true,
                                             size_t piece = 256 << 10) {
    runtime::ClientCall call(as);
    ingest::v1::Dataset dataset;
    auto writer = stub->UploadDataset(call.context(), &dataset);
    ingest::v1::UploadDatasetRequest message;
    message.mutable_metadata()->set_display_name("test.csv");
    message.mutable_metadata()->set_request_id(request_id);
    bool open = writer->Write(message);
    for (size_t at = 0; open && at < text.size(); at += piece) {
      message.set_data(std::string(text.substr(at, piece)));
      open = writer->Write(message);
    }
    if (open && finish) {
      message.mutable_end()->set_size_bytes(static_cast<int64_t>(text.size()));
      message.mutable_end()->set_sha256(Sha256Hex(text));
      open = writer->Write(message);
    }
    writer->WritesDone();
    const grpc::Status status = writer->Finish();
    if (!status.ok()) return runtime::FromGrpcStatus(status);
    return dataset;
  }

  /// Checks that the messages follow each other; `messages` counts them.
  absl::StatusOr<table::Table> Read(const runtime::Outgoing& as, const std::string& name, int64_t first = 0,
                                    int64_t count = 0, std::vector<size_t>* sizes = nullptr) {
    ingest::v1::ReadDatasetRequest request;
    request.set_name(name);
    request.set_first_row(first);
    request.set_row_count(count);
    table::TableBuilder rows;
    const auto take = [&](const common::v1::TableChunk& chunk) -> absl::Status {
      CHECK(chunk.first_row() == first + rows.rows());
      if (sizes != nullptr) sizes->push_back(chunk.ByteSizeLong());
      auto part = wire::FromProto(chunk);
      if (!part.ok()) return part.status();
      return rows.Append(*part);
    };
    const absl::Status status = runtime::CallStream(*stub, &Stub::ReadDataset, as, request, take);
    if (!status.ok()) return status;
    return rows.Take();
  }

  runtime::Outgoing Acme() const { return keys.As("acme", {"operator"}, absl::Seconds(100)); }

  Keys keys;
  std::unique_ptr<messaging::Connection> nats = NewNatsConnection();
  ServiceDatabase db = NewServiceDatabase("ingest", {});
  TempDir objects;
  std::unique_ptr<runtime::App> app;
  std::unique_ptr<Stub> stub;
};

}  // namespace vedette::testing
