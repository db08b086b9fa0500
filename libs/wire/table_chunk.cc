#include "wire/table_chunk.h"

#include <algorithm>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace vedette::wire {
namespace {

void CategoriesToProto(const table::Column& column, common::v1::Column* out) {
  std::vector<int32_t> local(column.categories.size(), -1);
  out->mutable_codes()->Reserve(static_cast<int>(column.codes.size()));
  for (const int32_t code : column.codes) {
    if (code < 0) {
      out->add_codes(-1);
      continue;
    }
    int32_t& mapped = local[static_cast<size_t>(code)];
    if (mapped < 0) {
      mapped = out->categories_size();
      out->add_categories(column.categories[static_cast<size_t>(code)]);
    }
    out->add_codes(mapped);
  }
}

absl::StatusOr<table::Column> ColumnFromProto(const common::v1::Column& in, int64_t rows) {
  table::Column column;
  column.name = in.name();
  switch (in.type()) {
    case common::v1::COLUMN_TYPE_NUMERIC: column.type = table::ColumnType::kNumeric; break;
    case common::v1::COLUMN_TYPE_TIMESTAMP: column.type = table::ColumnType::kTimestamp; break;
    case common::v1::COLUMN_TYPE_CATEGORICAL: column.type = table::ColumnType::kCategorical; break;
    default: return InvalidArgument("column '{}' has no known type", in.name());
  }
  const bool categorical = column.type == table::ColumnType::kCategorical;
  if ((categorical ? in.codes_size() : in.values_size()) != rows || (categorical ? in.values_size() : in.codes_size()) != 0) {
    return InvalidArgument("column '{}' holds {} values and {} codes for {} rows", in.name(), in.values_size(), in.codes_size(), rows);
  }
  if (!categorical) {
    column.values.assign(in.values().begin(), in.values().end());
    return column;
  }
  for (const int32_t code : in.codes()) {
    if (code < -1 || code >= in.categories_size()) {
      return InvalidArgument("column '{}': code {} is outside its {} categories", in.name(), code, in.categories_size());
    }
  }
  column.codes.assign(in.codes().begin(), in.codes().end());
  column.categories.assign(in.categories().begin(), in.categories().end());
  return column;
}

}  // namespace

common::v1::ColumnType ToProto(table::ColumnType type) {
  switch (type) {
    case table::ColumnType::kNumeric: return common::v1::COLUMN_TYPE_NUMERIC;
    case table::ColumnType::kCategorical: return common::v1::COLUMN_TYPE_CATEGORICAL;
    case table::ColumnType::kTimestamp: return common::v1::COLUMN_TYPE_TIMESTAMP;
  }
  return common::v1::COLUMN_TYPE_UNSPECIFIED;
}

void ToProto(int64_t first_row, const table::Table& rows, common::v1::TableChunk* out) {
  out->set_first_row(first_row);
  out->set_rows(rows.rows());
  for (const table::Column& column : rows.columns) {
    auto* c = out->add_columns();
    c->set_name(column.name);
    c->set_type(ToProto(column.type));
    if (column.type == table::ColumnType::kCategorical) {
      CategoriesToProto(column, c);
    } else {
      c->mutable_values()->Add(column.values.begin(), column.values.end());
    }
  }
}

absl::StatusOr<table::Table> FromProto(const common::v1::TableChunk& chunk) {
  table::Table rows;
  std::set<std::string_view> names;
  for (const auto& column : chunk.columns()) {
    if (column.name().empty()) return InvalidArgument("a column has no name");
    if (!names.insert(column.name()).second) return InvalidArgument("column '{}' comes twice", column.name());
    ASSIGN_OR_RETURN(table::Column c, ColumnFromProto(column, chunk.rows()));
    rows.columns.push_back(std::move(c));
  }
  return rows;
}

absl::StatusOr<table::PrepareOptions> FromProto(const common::v1::PrepareOptions& in, table::Scaling scaling_default) {
  table::PrepareOptions options;
  std::string wrong;
  const auto pick = [&wrong](std::string_view field, const std::string& word, auto current,
                             std::initializer_list<std::pair<std::string_view, decltype(current)>> known) {
    if (word.empty()) return current;
    std::string names;
    for (const auto& [name, value] : known) {
      if (name == word) return value;
      names += (names.empty() ? "" : ", ") + std::string(name);
    }
    wrong += fmt::format("{}prepare.{}: '{}' is none of {}", wrong.empty() ? "" : "; ", field, word, names);
    return current;
  };
  options.ignore_columns.assign(in.ignore_columns().begin(), in.ignore_columns().end());
  options.imputation = pick("imputation", in.imputation(), options.imputation,
                            {{"median", table::Imputation::kMedian}, {"mean", table::Imputation::kMean}, {"none", table::Imputation::kNone}});
  options.encoding = pick("encoding", in.encoding(), options.encoding,
                          {{"one_hot", table::Encoding::kOneHot}, {"frequency", table::Encoding::kFrequency}, {"ordinal", table::Encoding::kOrdinal}, {"native", table::Encoding::kNative}});
  options.scaling = pick("scaling", in.scaling(), scaling_default,
                         {{"none", table::Scaling::kNone}, {"standard", table::Scaling::kStandard}, {"robust", table::Scaling::kRobust}});
  if (in.window() < 0 || in.window() > table::kMaxWindow) {
    wrong += fmt::format("{}prepare.window: {} is not within 1 and {} (0: 1)", wrong.empty() ? "" : "; ", in.window(),
                         table::kMaxWindow);
  }
  options.window = std::max(1, in.window());
  if (!wrong.empty()) return InvalidArgument("{}", wrong);
  return options;
}

}  // namespace vedette::wire
