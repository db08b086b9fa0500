#include "services/ingest/adapters/pg_dataset_rows.h"

#include <algorithm>
#include <nlohmann/json.hpp>

namespace vedette::ingest {
namespace {

using nlohmann::json;

std::string_view TypeName(table::ColumnType type) {
  switch (type) {
    case table::ColumnType::kCategorical:
      return "categorical";
    case table::ColumnType::kTimestamp:
      return "timestamp";
    case table::ColumnType::kNumeric:
      break;
  }
  return "numeric";
}

table::ColumnType TypeOf(std::string_view name) {
  if (name == "categorical") return table::ColumnType::kCategorical;
  return name == "timestamp" ? table::ColumnType::kTimestamp : table::ColumnType::kNumeric;
}

std::string WithoutZeros(std::string_view text) {
  std::string out(text);
  std::replace(out.begin(), out.end(), '\0', '?');
  return out;
}

std::string Dump(const json& value) { return value.dump(-1, ' ', false, json::error_handler_t::replace); }

json Parse(std::string_view text) { return json::parse(text, nullptr, /*allow_exceptions=*/false); }

}  // namespace

std::string CleanText(std::string_view text) {
  // The one UTF-8 checker at hand: through JSON and back.
  const json checked = Parse(Dump(json(WithoutZeros(text))));
  return checked.is_string() ? checked.get<std::string>() : std::string();
}

std::string ColumnsToJson(const table::Schema& columns) {
  json out = json::array();
  for (const table::ColumnSchema& column : columns) {
    out.push_back({{"name", WithoutZeros(column.name)}, {"type", TypeName(column.type)}});
  }
  return Dump(out);
}

std::string BadCellsToJson(const std::vector<table::BadCell>& cells) {
  json out = json::array();
  for (const table::BadCell& cell : cells) {
    out.push_back({{"line", cell.line},
                   {"row", cell.row},
                   {"column", WithoutZeros(cell.column)},
                   {"text", WithoutZeros(cell.text)},
                   {"reason", WithoutZeros(cell.reason)}});
  }
  return Dump(out);
}

Dataset DatasetOf(const storage::Row& row) {
  Dataset out;
  out.id = row.Text("id");
  out.display_name = row.Text("display_name");
  const std::string_view state = row.Text("state");
  out.state = state == "READY"    ? DatasetState::kReady
              : state == "FAILED" ? DatasetState::kFailed
                                  : DatasetState::kUploading;
  out.row_count = row.Int64("row_count");
  for (const json& column : Parse(row.Text("columns"))) {
    out.columns.push_back({column.value("name", ""), TypeOf(column.value("type", ""))});
  }
  out.size_bytes = row.Int64("size_bytes");
  out.bad_cell_count = row.Int64("bad_cell_count");
  for (const json& cell : Parse(row.Text("bad_cells"))) {
    out.bad_cells.push_back({cell.value("line", int64_t{0}), cell.value("row", int64_t{0}), cell.value("column", ""),
                             cell.value("text", ""), cell.value("reason", "")});
  }
  out.notes = row.TextArray("notes");
  out.error = row.Text("error");
  out.sha256 = row.Text("sha256");
  out.create_time = row.Time("create_time");
  return out;
}

}  // namespace vedette::ingest
