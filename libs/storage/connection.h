// One session with PostgreSQL. Services take connections from a Pool and work inside a transaction (transaction.h);
// this class alone is for migrations, bootstrap and tests.
#pragma once

#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "storage/sql.h"

namespace vedette::storage {

struct ConnectOptions {
  std::string application_name = "vedette";
  absl::Duration connect_timeout = absl::Seconds(5);     ///< whole seconds, at least 2 (libpq's rule)
  absl::Duration statement_timeout = absl::Seconds(30);  ///< zero: none
};

/// Not thread-safe. Errors carry the code that fits the SQLSTATE:
///   23505 unique -> ALREADY_EXISTS; 23503 foreign key, other 23xxx -> FAILED_PRECONDITION (23502, 23514 ->
///   INVALID_ARGUMENT); 40001, 40P01, 55P03 and a stale cached plan -> ABORTED (try the transaction again);
///   08xxx, 57P0x, 53300 and a broken socket -> UNAVAILABLE; 57014 -> DEADLINE_EXCEEDED; 42501 -> PERMISSION_DENIED;
///   22xxx -> INVALID_ARGUMENT; 42P07, 42710, 42P06 -> ALREADY_EXISTS; 53xxx -> RESOURCE_EXHAUSTED; 28xxx ->
///   UNAUTHENTICATED; the rest -> INTERNAL. The text is the server's primary message; DETAIL, which quotes the values
///   of a row, is left out.
class Connection {
 public:
  /// `conninfo`: "host=... dbname=..." or "postgresql://...". UNAVAILABLE, UNAUTHENTICATED or INVALID_ARGUMENT.
  static absl::StatusOr<std::unique_ptr<Connection>> Open(const std::string& conninfo,
                                                          const ConnectOptions& options = {});
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  /// Runs one statement. `sql` must be a constant of the program: values go in `params`, never into the text.
  /// Statements are prepared once per connection (at most 256 are kept).
  absl::StatusOr<Result> Exec(std::string_view sql, const Params& params = {});
  /// As Exec, but calls `row` for each row as it arrives, in bounded memory. A non-OK status from `row` cancels the
  /// statement and is returned; the transaction around it is then lost.
  absl::Status Stream(std::string_view sql, const Params& params, const std::function<absl::Status(const Row&)>& row);
  /// Several statements without parameters: migrations and bootstrap only.
  absl::Status Script(const std::string& sql);
  /// One statement without parameters that is not worth preparing; returns the rows it touched.
  absl::StatusOr<int64_t> ScriptAffected(const std::string& sql);

  /// COPY: BeginCopy with "copy t (a, b) from stdin", any number of CopyData, then EndCopy -> rows.
  absl::Status BeginCopy(const std::string& sql);
  absl::Status CopyData(std::string_view bytes);
  absl::StatusOr<int64_t> EndCopy();
  /// Ends a COPY that was begun with an error; the transaction is lost.
  void AbortCopy();

  /// False once the session broke; it never recovers (open another).
  bool healthy() const;
  /// False when the socket says that the server is gone. Costs one poll, no round trip.
  bool StillThere();
  /// True outside a transaction.
  bool idle() const;
  /// True inside a transaction that can only be rolled back.
  bool failed() const;
  /// Returns and clears the first wrong column access of the results of this session.
  absl::Status TakeFault();
  /// SCRAM verifier for ALTER ROLE ... PASSWORD, so that the password itself never reaches a statement or a log.
  absl::StatusOr<std::string> EncryptPassword(const std::string& role, const std::string& password);
  /// A name unused so far in this session, for temporary tables.
  std::string UniqueName(std::string_view prefix);

 private:
  struct Impl;
  explicit Connection(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

/// `name` as an SQL identifier in double quotes. For names that a program builds (schemas, roles), not for user input.
std::string QuoteIdentifier(std::string_view name);
/// `text` as an SQL string literal, for the few commands that take no parameters (CREATE ROLE).
std::string QuoteLiteral(std::string_view text);
/// The conninfo with one keyword replaced or added, for example ("dbname", "vedette").
absl::StatusOr<std::string> WithKeyword(const std::string& conninfo, std::string_view keyword, std::string_view value);
/// Waits until the server accepts connections (credentials are not tried). UNAVAILABLE after `deadline`.
absl::Status WaitUntilAccepting(const std::string& conninfo, absl::Time deadline);

}  // namespace vedette::storage
