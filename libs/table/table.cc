#include "table/table.h"

#include <cmath>

#include "table/cell.h"

namespace vedette::table {

std::string_view ColumnTypeName(ColumnType type) {
  switch (type) {
    case ColumnType::kNumeric:
      return "numeric";
    case ColumnType::kCategorical:
      return "categorical";
    case ColumnType::kTimestamp:
      return "timestamp";
  }
  return "unknown";
}

bool Column::IsMissing(int64_t row) const {
  const auto i = static_cast<size_t>(row);
  return type == ColumnType::kCategorical ? codes[i] < 0 : std::isnan(values[i]);
}

std::string Column::Text(int64_t row) const {
  if (IsMissing(row)) return {};
  const auto i = static_cast<size_t>(row);
  switch (type) {
    case ColumnType::kNumeric:
      return FormatNumber(values[i]);
    case ColumnType::kCategorical:
      return categories[static_cast<size_t>(codes[i])];
    case ColumnType::kTimestamp:
      return FormatTimestamp(values[i]);
  }
  return {};
}

int64_t Table::Find(std::string_view name) const {
  for (size_t j = 0; j < columns.size(); ++j) {
    if (columns[j].name == name) return static_cast<int64_t>(j);
  }
  return -1;
}

Schema SchemaOf(const Table& table) {
  Schema schema;
  schema.reserve(table.columns.size());
  for (const Column& column : table.columns) schema.push_back({column.name, column.type});
  return schema;
}

}  // namespace vedette::table
