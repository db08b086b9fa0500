// The stored form of a run of rows: version, columns, SHA-256 of everything before it. Little-endian, columnar, and
// complete in itself (its own dictionaries). Old versions stay readable.
#pragma once

#include <absl/status/statusor.h>

#include <string>
#include <string_view>

#include "table/table.h"

namespace vedette::ingest {

/// Largest chunk that is read back, in bytes.
inline constexpr int64_t kMaxChunkBytes = int64_t{1} << 30;

std::string EncodeChunk(const table::Table& rows);
/// DATA_LOSS when the bytes are not a chunk, or not what was written.
absl::StatusOr<table::Table> DecodeChunk(std::string_view bytes);

}  // namespace vedette::ingest
