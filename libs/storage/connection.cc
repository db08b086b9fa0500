#include "storage/connection.h"

#include <absl/container/flat_hash_map.h>
#include <absl/time/clock.h>
#include <poll.h>

#include <algorithm>
#include <thread>

#include "base/status.h"
#include "storage/sql_internal.h"

namespace vedette::storage {
namespace {

using internal::PgResult;

constexpr size_t kMaxPrepared = 256;
constexpr int64_t kMaxValueBytes = int64_t{512}
                                   << 20;  // a field of PostgreSQL ends at 1 GiB; leave room for its own copies

std::string Trimmed(std::string_view s) {
  while (!s.empty() && (s.back() == '\n' || s.back() == ' ')) s.remove_suffix(1);
  return std::string(s);
}

std::string_view Field(const PGresult* r, int code) {
  const char* v = PQresultErrorField(r, code);
  return v == nullptr ? std::string_view() : std::string_view(v);
}

struct ConninfoDeleter {
  void operator()(PQconninfoOption* o) const { PQconninfoFree(o); }
};
using ConninfoOptions = std::unique_ptr<PQconninfoOption, ConninfoDeleter>;

absl::StatusOr<ConninfoOptions> Parse(const std::string& conninfo) {
  char* error = nullptr;
  ConninfoOptions options(PQconninfoParse(conninfo.c_str(), &error));
  if (options == nullptr) {
    // The parser's text can quote a part of the password; say only what kind of thing is wrong.
    PQfreemem(error);
    return InvalidArgument("the connection string of PostgreSQL cannot be parsed");
  }
  return options;
}

absl::Status StatusFromConnect(PGconn* c) {
  const std::string text = Trimmed(PQerrorMessage(c));
  // libpq keeps no SQLSTATE for a failed connect, so the known texts of the server decide.
  for (const char* sign :
       {"password authentication failed", "no password supplied", "pg_hba.conf", "is not permitted to log in"}) {
    if (text.find(sign) != std::string::npos) return absl::UnauthenticatedError(text);
  }
  if (text.find("does not exist") != std::string::npos) return absl::NotFoundError(text);
  return absl::UnavailableError(text);
}

}  // namespace

struct Connection::Impl {
  PGconn* conn = nullptr;
  absl::flat_hash_map<std::string, std::string> prepared;
  int next_statement = 0;
  int next_name = 0;
  bool forget_prepared = false;
  bool copying = false;
  std::shared_ptr<internal::Fault> fault = std::make_shared<internal::Fault>();

  ~Impl() { PQfinish(conn); }

  absl::Status Lost() const {
    const std::string text = Trimmed(PQerrorMessage(conn));
    return Unavailable("the connection with PostgreSQL broke{}{}", text.empty() ? "" : ": ", text);
  }

  absl::Status Failure(const PGresult* r) {
    const std::string_view state = Field(r, PG_DIAG_SQLSTATE);
    if (state.empty()) return PQstatus(conn) == CONNECTION_OK ? Internal("{}", Trimmed(PQerrorMessage(conn))) : Lost();
    const std::string_view primary = Field(r, PG_DIAG_MESSAGE_PRIMARY);
    if (state == "0A000" && primary.find("cached plan") != std::string_view::npos) forget_prepared = true;
    std::string message(primary);
    if (const std::string_view position = Field(r, PG_DIAG_STATEMENT_POSITION); !position.empty()) {
      message += fmt::format(" (at character {})", position);
    }
    return internal::StatusFromSqlState(state, message, Field(r, PG_DIAG_CONSTRAINT_NAME));
  }

  absl::Status Check(const PgResult& r) {
    if (r == nullptr) return Lost();
    switch (PQresultStatus(r.get())) {
      case PGRES_COMMAND_OK:
      case PGRES_TUPLES_OK:
      case PGRES_SINGLE_TUPLE:
      case PGRES_EMPTY_QUERY:
        return absl::OkStatus();
      default:
        return Failure(r.get());
    }
  }

  absl::StatusOr<std::string> Prepare(std::string_view sql) {
    if (copying) return FailedPrecondition("a COPY is open on this connection");
    if ((forget_prepared || prepared.size() >= kMaxPrepared) && PQtransactionStatus(conn) != PQTRANS_INERROR) {
      const PgResult r(PQexec(conn, "deallocate all"));
      RETURN_IF_ERROR(Check(r));
      prepared.clear();
      forget_prepared = false;
    }
    const std::string key(sql);
    if (const auto it = prepared.find(key); it != prepared.end()) return it->second;
    const std::string name = fmt::format("s{}", next_statement++);
    const PgResult r(PQprepare(conn, name.c_str(), key.c_str(), 0, nullptr));
    RETURN_IF_ERROR(Check(r));
    prepared.emplace(key, name);
    return name;
  }
};

namespace {

// The parallel arrays that libpq wants.
struct Arguments {
  std::vector<const char*> values;
  std::vector<int> lengths, formats;
  int count() const { return static_cast<int>(values.size()); }
};

absl::StatusOr<Arguments> Collect(const Params& params) {
  if (params.size() > 65535) return InvalidArgument("{} parameters; a statement takes at most 65535", params.size());
  Arguments a;
  for (size_t i = 0; i < params.size(); ++i) {
    const Param& p = params[i];
    if (static_cast<int64_t>(p.text().size()) > kMaxValueBytes) {
      return InvalidArgument("parameter ${} has {} bytes; at most {} are taken", i + 1, p.text().size(),
                             kMaxValueBytes);
    }
    if (!p.binary() && p.text().find('\0') != std::string::npos) {
      return InvalidArgument("parameter ${} holds a zero byte, which text cannot", i + 1);
    }
    a.values.push_back(p.null() ? nullptr : p.text().c_str());
    a.lengths.push_back(static_cast<int>(p.text().size()));
    a.formats.push_back(p.binary() ? 1 : 0);
  }
  return a;
}

}  // namespace

Connection::Connection(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Connection::~Connection() = default;

absl::StatusOr<std::unique_ptr<Connection>> Connection::Open(const std::string& conninfo,
                                                             const ConnectOptions& options) {
  RETURN_IF_ERROR(Parse(conninfo).status());
  const std::string timeout = std::to_string(std::max<int64_t>(2, absl::ToInt64Seconds(options.connect_timeout)));
  // Later entries win over those inside `conninfo`, which expand_dbname unfolds first.
  const char* keys[] = {"dbname",          "application_name",    "connect_timeout",  "client_encoding",  "keepalives",
                        "keepalives_idle", "keepalives_interval", "keepalives_count", "tcp_user_timeout", nullptr};
  const char* values[] = {
      conninfo.c_str(), options.application_name.c_str(), timeout.c_str(), "UTF8", "1", "10", "5", "3", "30000",
      nullptr};
  auto impl = std::make_unique<Impl>();
  impl->conn = PQconnectdbParams(keys, values, 1);
  if (impl->conn == nullptr) return ResourceExhausted("no memory for a connection");
  if (PQstatus(impl->conn) != CONNECTION_OK) return StatusFromConnect(impl->conn);
  PQsetNoticeProcessor(
      impl->conn, [](void*, const char*) {}, nullptr);
  std::unique_ptr<Connection> connection(new Connection(std::move(impl)));
  // Results are parsed in these formats.
  RETURN_IF_ERROR(connection->Script(fmt::format(
      "set datestyle = 'ISO, YMD'; set timezone = 'UTC'; set bytea_output = 'hex'; set client_min_messages = "
      "warning; set statement_timeout = {}; set idle_in_transaction_session_timeout = 120000",
      absl::ToInt64Milliseconds(options.statement_timeout))));
  return connection;
}

absl::StatusOr<Result> Connection::Exec(std::string_view sql, const Params& params) {
  ASSIGN_OR_RETURN(const Arguments a, Collect(params));
  ASSIGN_OR_RETURN(const std::string name, impl_->Prepare(sql));
  auto data = std::make_unique<internal::ResultData>();
  data->fault = impl_->fault;
  data->result.reset(
      PQexecPrepared(impl_->conn, name.c_str(), a.count(), a.values.data(), a.lengths.data(), a.formats.data(), 0));
  RETURN_IF_ERROR(impl_->Check(data->result));
  return Result(std::move(data));
}

absl::Status Connection::Stream(std::string_view sql, const Params& params,
                                const std::function<absl::Status(const Row&)>& row) {
  ASSIGN_OR_RETURN(const Arguments a, Collect(params));
  ASSIGN_OR_RETURN(const std::string name, impl_->Prepare(sql));
  if (PQsendQueryPrepared(impl_->conn, name.c_str(), a.count(), a.values.data(), a.lengths.data(), a.formats.data(),
                          0) == 0) {
    return impl_->Lost();
  }
  PQsetSingleRowMode(impl_->conn);
  absl::Status status;
  internal::ResultData data;
  data.fault = impl_->fault;
  // Results must be read to the end even after an error, or the connection is of no further use.
  while (PGresult* r = PQgetResult(impl_->conn)) {
    data.result.reset(r);
    if (!status.ok()) continue;
    status = impl_->Check(data.result);
    if (!status.ok() || PQresultStatus(r) != PGRES_SINGLE_TUPLE) continue;
    status = row(Row(&data, 0));
    if (!status.ok()) {
      char error[256];
      PGcancel* cancel = PQgetCancel(impl_->conn);
      PQcancel(cancel, error, sizeof error);
      PQfreeCancel(cancel);
    }
  }
  if (status.ok() && PQstatus(impl_->conn) != CONNECTION_OK) return impl_->Lost();
  return status;
}

absl::Status Connection::Script(const std::string& sql) { return ScriptAffected(sql).status(); }

absl::StatusOr<int64_t> Connection::ScriptAffected(const std::string& sql) {
  if (impl_->copying) return FailedPrecondition("a COPY is open on this connection");
  auto data = std::make_unique<internal::ResultData>();
  data->result.reset(PQexec(impl_->conn, sql.c_str()));
  RETURN_IF_ERROR(impl_->Check(data->result));
  return Result(std::move(data)).affected();
}

absl::Status Connection::BeginCopy(const std::string& sql) {
  if (impl_->copying) return FailedPrecondition("a COPY is open on this connection");
  const PgResult r(PQexec(impl_->conn, sql.c_str()));
  if (r == nullptr) return impl_->Lost();
  if (PQresultStatus(r.get()) != PGRES_COPY_IN) {
    RETURN_IF_ERROR(impl_->Check(r));
    return Internal("the statement did not start a COPY from the client");
  }
  impl_->copying = true;
  return absl::OkStatus();
}

absl::Status Connection::CopyData(std::string_view bytes) {
  if (!impl_->copying) return FailedPrecondition("no COPY is open");
  if (PQputCopyData(impl_->conn, bytes.data(), static_cast<int>(bytes.size())) == 1) return absl::OkStatus();
  return impl_->Lost();
}

absl::StatusOr<int64_t> Connection::EndCopy() {
  if (!impl_->copying) return FailedPrecondition("no COPY is open");
  impl_->copying = false;
  if (PQputCopyEnd(impl_->conn, nullptr) != 1) return impl_->Lost();
  absl::Status status;
  Result last;
  while (PGresult* r = PQgetResult(impl_->conn)) {
    auto data = std::make_unique<internal::ResultData>();
    data->result.reset(r);
    if (status.ok()) status = impl_->Check(data->result);
    last = Result(std::move(data));
  }
  RETURN_IF_ERROR(status);
  return last.affected();
}

void Connection::AbortCopy() {
  if (!impl_->copying) return;
  impl_->copying = false;
  PQputCopyEnd(impl_->conn, "given up by the client");
  while (PGresult* r = PQgetResult(impl_->conn)) PQclear(r);
}

bool Connection::healthy() const { return PQstatus(impl_->conn) == CONNECTION_OK && !impl_->copying; }
bool Connection::idle() const { return PQtransactionStatus(impl_->conn) == PQTRANS_IDLE; }
bool Connection::failed() const { return PQtransactionStatus(impl_->conn) == PQTRANS_INERROR; }

bool Connection::StillThere() {
  if (!healthy()) return false;
  pollfd p{.fd = PQsocket(impl_->conn), .events = POLLIN, .revents = 0};
  if (poll(&p, 1, 0) <= 0) return true;
  // Something to read while idle: a notice, or the end of the connection.
  return PQconsumeInput(impl_->conn) == 1 && PQstatus(impl_->conn) == CONNECTION_OK;
}

absl::Status Connection::TakeFault() {
  absl::Status out = std::move(impl_->fault->status);
  impl_->fault->status = absl::OkStatus();
  return out;
}

absl::StatusOr<std::string> Connection::EncryptPassword(const std::string& role, const std::string& password) {
  char* out = PQencryptPasswordConn(impl_->conn, password.c_str(), role.c_str(), "scram-sha-256");
  if (out == nullptr) return Internal("cannot encrypt a password: {}", Trimmed(PQerrorMessage(impl_->conn)));
  std::string verifier(out);
  PQfreemem(out);
  return verifier;
}

std::string Connection::UniqueName(std::string_view prefix) { return fmt::format("{}{}", prefix, impl_->next_name++); }

std::string QuoteIdentifier(std::string_view name) {
  std::string out = "\"";
  for (const char c : name) {
    if (c == '\0') continue;
    if (c == '"') out += '"';
    out += c;
  }
  return out += '"';
}

std::string QuoteLiteral(std::string_view text) {
  std::string out = " E'";
  for (const char c : text) {
    if (c == '\0') continue;
    if (c == '\'' || c == '\\') out += c;
    out += c;
  }
  return out += '\'';
}

absl::StatusOr<std::string> WithKeyword(const std::string& conninfo, std::string_view keyword, std::string_view value) {
  ASSIGN_OR_RETURN(const ConninfoOptions options, Parse(conninfo));
  std::string out;
  const auto add = [&out](std::string_view key, std::string_view v) {
    out += fmt::format("{}{}='", out.empty() ? "" : " ", key);
    for (const char c : v) {
      if (c == '\'' || c == '\\') out += '\\';
      out += c;
    }
    out += '\'';
  };
  bool known = false;
  for (const PQconninfoOption* o = options.get(); o->keyword != nullptr; ++o) {
    if (keyword == o->keyword) known = true;
    if (keyword != o->keyword && o->val != nullptr) add(o->keyword, o->val);
  }
  if (!known) return InvalidArgument("{} is not a keyword of PostgreSQL's connection strings", keyword);
  add(keyword, value);
  return out;
}

absl::Status WaitUntilAccepting(const std::string& conninfo, absl::Time deadline) {
  ASSIGN_OR_RETURN(const std::string info, WithKeyword(conninfo, "connect_timeout", "2"));
  while (true) {
    if (PQping(info.c_str()) == PQPING_OK) return absl::OkStatus();
    if (absl::Now() > deadline) return Unavailable("PostgreSQL does not accept connections");
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
}

}  // namespace vedette::storage
