// What sql.cc and connection.cc share; the only header of this library that needs libpq.
#pragma once

#include <libpq-fe.h>

#include <memory>

#include "storage/sql.h"

namespace vedette::storage::internal {

struct PgResultDeleter {
  void operator()(PGresult* r) const { PQclear(r); }
};
using PgResult = std::unique_ptr<PGresult, PgResultDeleter>;

struct ResultData {
  PgResult result;
  std::shared_ptr<Fault> fault;  ///< shared with the session
  std::shared_ptr<Fault> own = std::make_shared<Fault>();
};

/// The status that fits an SQLSTATE, with the payloads that SqlState and ConstraintName read.
absl::Status StatusFromSqlState(std::string_view sqlstate, std::string_view message, std::string_view constraint);

}  // namespace vedette::storage::internal
