#include "services/ingest/core/chunk_codec.h"

#include <utility>

#include "base/bytes.h"
#include "base/hash.h"
#include "base/status.h"

namespace vedette::ingest {
namespace {

constexpr uint32_t kMagic = 0x48434456;  // "VDCH"
constexpr uint32_t kVersion = 1;
constexpr size_t kHashLength = 64;

absl::Status DecodeColumn(ByteReader& in, int64_t rows, table::Column& column) {
  column.name = in.String();
  const uint8_t type = in.U8();
  if (!in.ok()) return in.status();
  if (type > static_cast<uint8_t>(table::ColumnType::kTimestamp)) return DataLoss("column type {} is unknown", type);
  column.type = static_cast<table::ColumnType>(type);
  if (column.type != table::ColumnType::kCategorical) {
    column.values = in.Doubles();
  } else {
    column.codes = in.I32s();
    const uint64_t n = in.U64();
    if (!in.ok() || n > in.remaining()) return DataLoss("a dictionary is cut short");
    column.categories.reserve(n);
    for (uint64_t i = 0; i < n && in.ok(); ++i) column.categories.push_back(in.String());
    for (const int32_t code : column.codes) {
      if (code < -1 || code >= static_cast<int64_t>(n)) return DataLoss("a code is outside its dictionary");
    }
  }
  if (in.ok() && column.size() != rows) return DataLoss("a column has {} rows of {}", column.size(), rows);
  return in.status();
}

}  // namespace

std::string EncodeChunk(const table::Table& rows) {
  ByteWriter out;
  out.U32(kMagic);
  out.U32(kVersion);
  out.I64(rows.rows());
  out.I64(rows.cols());
  for (const table::Column& column : rows.columns) {
    out.String(column.name);
    out.U8(static_cast<uint8_t>(column.type));
    if (column.type != table::ColumnType::kCategorical) {
      out.Doubles(column.values);
      continue;
    }
    out.I32s(column.codes);
    out.U64(column.categories.size());
    for (const std::string& text : column.categories) out.String(text);
  }
  std::string bytes = out.Take();
  bytes += Sha256Hex(bytes);
  return bytes;
}

absl::StatusOr<table::Table> DecodeChunk(std::string_view bytes) {
  if (bytes.size() < kHashLength) return DataLoss("a chunk of {} bytes is cut short", bytes.size());
  const std::string_view body = bytes.substr(0, bytes.size() - kHashLength);
  if (Sha256Hex(body) != bytes.substr(body.size())) return DataLoss("the checksum of a chunk does not fit its bytes");
  ByteReader in(body);
  if (in.U32() != kMagic) return DataLoss("not a chunk");
  if (const uint32_t version = in.U32(); version != kVersion) return DataLoss("chunk version {} is unknown", version);
  const int64_t rows = in.I64();
  const int64_t cols = in.I64();
  if (!in.ok() || rows < 0 || cols < 0 || cols > static_cast<int64_t>(in.remaining())) {
    return DataLoss("the head of a chunk is damaged");
  }
  table::Table out;
  out.columns.resize(static_cast<size_t>(cols));
  for (table::Column& column : out.columns) RETURN_IF_ERROR(DecodeColumn(in, rows, column));
  RETURN_IF_ERROR(in.Finish());
  return out;
}

}  // namespace vedette::ingest
