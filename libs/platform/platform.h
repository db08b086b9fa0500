// What the wiring of every service with tables and events has in common: its database, its connection with NATS, and
// the relay from its outbox to JetStream, each configured by ServerConfig and watched by readiness and metrics.
//
//   absl::Status Build(const v1::Config& config, runtime::App& app) {
//     ASSIGN_OR_RETURN(storage::Pool* const db, platform::OpenDatabase(app, {kMigrationFiles,
//     static_cast<size_t>(kMigrationFileCount)})); ASSIGN_OR_RETURN(messaging::Connection* const nats,
//     platform::ConnectNats(app)); ASSIGN_OR_RETURN(storage::OutboxRelay* const relay, platform::RelayOutbox(app, *db,
//     *nats));
//     ...
#pragma once

#include <absl/status/statusor.h>

#include <span>

#include "messaging/connection.h"
#include "messaging/consume.h"
#include "messaging/publish.h"
#include "runtime/run.h"
#include "storage/migrations.h"
#include "storage/outbox.h"
#include "storage/pool.h"

namespace vedette::platform {

/// Runs the migrations (when postgres.migration_dsn is set), then opens the pool of postgres.dsn; both outlive server
/// and workers. Adds the readiness check "postgres" (reachable, and the schema has every migration) and the metrics
/// db_checkout_seconds, db_transaction_seconds{outcome}, db_connections{state}.
/// FAILED_PRECONDITION without postgres.dsn, or when a migration fails; UNAVAILABLE.
absl::StatusOr<storage::Pool*> OpenDatabase(runtime::App& app, std::span<const storage::MigrationFile> files);

/// Connects with nats.url, creates our streams where they are missing, and adds the readiness check "nats".
/// FAILED_PRECONDITION without nats.url; UNAVAILABLE after 30 s.
absl::StatusOr<messaging::Connection*> ConnectNats(runtime::App& app);

/// A publisher with the metrics nats_publish_seconds{outcome}.
absl::StatusOr<messaging::Publisher*> MakePublisher(runtime::App& app, messaging::Connection& nats);

/// Starts the worker "outbox-relay" (CloudEvents source "vedette/<service>") with the metrics outbox_published_total
/// and outbox_parked_total. Call Wake() on what it gives after a transaction that added a message.
absl::StatusOr<storage::OutboxRelay*> RelayOutbox(runtime::App& app, storage::Pool& db, messaging::Connection& nats);

/// A durable consumer as a background worker: metrics messages_handled_total, messages_failed_total and message_seconds
/// by consumer; log lines of the handler carry the message's trace, id and tenant. The durable's name on the server is
/// "<service>-<options.durable>", shared by all replicas.
void AddConsumer(runtime::App& app, messaging::Connection& nats, messaging::ConsumerOptions options,
                 messaging::Handler handler);

}  // namespace vedette::platform
