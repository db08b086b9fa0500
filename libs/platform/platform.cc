#include "platform/platform.h"

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/status.h"
#include "messaging/streams.h"
#include "runtime/log.h"
#include "storage/bootstrap.h"

namespace vedette::platform {
namespace {

absl::StatusOr<std::string> Conninfo(const std::string& dsn, const std::string& password_file) {
  if (password_file.empty()) return dsn;
  ASSIGN_OR_RETURN(const std::string password, runtime::ReadSecretFile(password_file));
  return storage::WithKeyword(dsn, "password", password);
}

absl::Status Migrate(const runtime::App& app, const std::string& schema,
                     std::span<const storage::MigrationFile> files) {
  const runtime::v1::PostgresConfig& config = app.config().postgres();
  if (config.migration_dsn().empty()) return absl::OkStatus();
  ASSIGN_OR_RETURN(const std::string conninfo, Conninfo(config.migration_dsn(), config.migration_password_file()));
  storage::Migrator migrator(conninfo, schema, files);
  ASSIGN_OR_RETURN(const std::vector<int> applied, migrator.Up());
  if (!applied.empty())
    runtime::LogInfo("migrations applied", {{"count", applied.size()}, {"version", applied.back()}});
  return absl::OkStatus();
}

storage::PoolHooks Hooks(runtime::Metrics& metrics) {
  prometheus::Histogram& checkout = metrics.Histogram("db_checkout_seconds", "Wait for a database connection");
  const auto transactions = [&metrics](const char* outcome) {
    return &metrics.Histogram("db_transaction_seconds", "Time of a database transaction",
                              runtime::Metrics::LatencyBounds(), {{"outcome", outcome}});
  };
  prometheus::Histogram* const ok = transactions("ok");
  prometheus::Histogram* const failed = transactions("failed");
  storage::PoolHooks hooks;
  hooks.on_checkout = [&checkout](absl::Duration waited, bool) { checkout.Observe(absl::ToDoubleSeconds(waited)); };
  hooks.on_connect = [](const absl::Status& status) {
    if (!status.ok()) runtime::LogWarning("cannot connect with PostgreSQL", {{"error", Message(status)}});
  };
  hooks.on_transaction = [ok, failed](absl::Duration took, const absl::Status& status) {
    (status.ok() ? ok : failed)->Observe(absl::ToDoubleSeconds(took));
  };
  return hooks;
}

}  // namespace

absl::StatusOr<storage::Pool*> OpenDatabase(runtime::App& app, std::span<const storage::MigrationFile> files) {
  const runtime::v1::PostgresConfig& config = app.config().postgres();
  if (config.dsn().empty()) return FailedPrecondition("server.postgres.dsn is not set");
  const std::string schema = storage::ServiceNames(app.service()).schema;
  RETURN_IF_ERROR(Annotate(Migrate(app, schema, files), "running the migrations"));

  storage::PoolOptions options;
  ASSIGN_OR_RETURN(options.conninfo, Conninfo(config.dsn(), config.password_file()));
  if (config.pool_size() > 0) options.size = static_cast<int>(config.pool_size());
  if (config.checkout_timeout_ms() > 0) options.checkout_timeout = absl::Milliseconds(config.checkout_timeout_ms());
  options.connect.application_name = "vedette-" + app.service();
  if (config.statement_timeout_ms() > 0) {
    options.connect.statement_timeout = absl::Milliseconds(config.statement_timeout_ms());
  }
  options.hooks = Hooks(app.metrics());
  storage::Pool* const pool = app.Own(std::make_unique<storage::Pool>(std::move(options)));

  prometheus::Gauge& open = app.metrics().Gauge("db_connections", "Database connections", {{"state", "open"}});
  prometheus::Gauge& in_use = app.metrics().Gauge("db_connections", "Database connections", {{"state", "in_use"}});
  app.metrics().BeforeScrape([pool, &open, &in_use] {
    const storage::Pool::Stats stats = pool->stats();
    open.Set(stats.open);
    in_use.Set(stats.in_use);
  });
  app.server().AddReadiness("postgres", [pool, schema, files]() -> absl::Status {
    return storage::CheckSchemaVersion(*pool, schema, files);
  });
  return pool;
}

absl::StatusOr<messaging::Connection*> ConnectNats(runtime::App& app) {
  const runtime::v1::NatsConfig& config = app.config().nats();
  if (config.url().empty()) return FailedPrecondition("server.nats.url is not set");
  messaging::ConnectionOptions options;
  options.url = config.url();
  options.name = "vedette-" + app.service();
  options.token_file = config.token_file();
  options.ca_file = config.ca_file();
  options.on_event = [](messaging::ConnectionEvent event, std::string_view detail) {
    runtime::LogInfo("NATS connection", {{"event", messaging::Name(event)}, {"detail", detail}});
  };
  ASSIGN_OR_RETURN(auto connected, messaging::Connection::Connect(std::move(options)));
  messaging::Connection* const nats = app.Own(std::move(connected));
  RETURN_IF_ERROR(Annotate(messaging::EnsureOurStreams(*nats), "creating the JetStream streams"));
  app.server().AddReadiness("nats", [nats]() -> absl::Status {
    return nats->IsConnected() ? absl::OkStatus() : Unavailable("not connected with NATS");
  });
  return nats;
}

absl::StatusOr<messaging::Publisher*> MakePublisher(runtime::App& app, messaging::Connection& nats) {
  const auto histogram = [&app](const char* outcome) {
    return &app.metrics().Histogram("nats_publish_seconds", "Time until JetStream stored a message",
                                    runtime::Metrics::LatencyBounds(), {{"outcome", outcome}});
  };
  prometheus::Histogram* const ok = histogram("ok");
  prometheus::Histogram* const failed = histogram("failed");
  messaging::PublisherOptions options;
  options.on_publish = [ok, failed](absl::Duration took, const absl::Status& status) {
    (status.ok() ? ok : failed)->Observe(absl::ToDoubleSeconds(took));
  };
  ASSIGN_OR_RETURN(auto publisher, messaging::Publisher::Create(&nats, std::move(options)));
  return app.Own(std::move(publisher));
}

absl::StatusOr<storage::OutboxRelay*> RelayOutbox(runtime::App& app, storage::Pool& db, messaging::Connection& nats) {
  ASSIGN_OR_RETURN(messaging::Publisher* const publisher, MakePublisher(app, nats));
  const std::string source = "vedette/" + app.service();
  const auto publish = [publisher, source](std::span<const storage::OutboxMessage> messages) {
    std::vector<messaging::OutgoingMessage> outgoing;
    outgoing.reserve(messages.size());
    for (const storage::OutboxMessage& m : messages) {
      messaging::CloudEvent event{
          .id = m.id, .source = source, .type = m.type, .time = m.created_at, .tenant = m.tenant};
      event.datacontenttype = m.content_type;
      event.data = m.payload;
      for (const auto& [name, value] : m.headers) {
        if (name == "subject")
          event.subject = value;
        else if (name == "traceparent")
          event.traceparent = value;
        else
          event.extensions[name] = value;
      }
      outgoing.push_back({.subject = m.subject, .event = std::move(event)});
    }
    std::vector<absl::Status> statuses;
    statuses.reserve(messages.size());
    for (const auto& ack : publisher->PublishBatch(outgoing)) statuses.push_back(ack.status());
    return statuses;
  };

  prometheus::Counter& published =
      app.metrics().Counter("outbox_published_total", "Outbox messages that were published");
  prometheus::Counter& parked =
      app.metrics().Counter("outbox_parked_total", "Outbox messages that can never be published");
  storage::OutboxRelayOptions options;
  options.on_round = [&published, &parked](int sent, int dropped, const absl::Status& status) {
    published.Increment(sent);
    parked.Increment(dropped);
    if (!status.ok()) runtime::LogWarning("outbox relay", {{"error", Message(status)}});
  };
  storage::OutboxRelay* const relay = app.Own(std::make_unique<storage::OutboxRelay>(&db, publish, std::move(options)));
  app.AddWorker("outbox-relay", [relay](std::stop_token stop) {
    relay->Run(stop);
    return absl::OkStatus();
  });
  return relay;
}

}  // namespace vedette::platform
