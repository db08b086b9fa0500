#include "table/rows.h"

#include <algorithm>
#include <iterator>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/status.h"

namespace vedette::table {
namespace {

// Copies codes through `row_at` and keeps only the categories that they use.
template <typename RowAt>
void CopyCodes(const Column& from, int64_t count, RowAt row_at, Column& to) {
  std::vector<int32_t> renamed(from.categories.size(), -1);
  to.codes.resize(static_cast<size_t>(count));
  for (int64_t i = 0; i < count; ++i) {
    const int32_t code = from.codes[static_cast<size_t>(row_at(i))];
    if (code < 0) {
      to.codes[static_cast<size_t>(i)] = -1;
      continue;
    }
    int32_t& mapped = renamed[static_cast<size_t>(code)];
    if (mapped < 0) {
      mapped = static_cast<int32_t>(to.categories.size());
      to.categories.push_back(from.categories[static_cast<size_t>(code)]);
    }
    to.codes[static_cast<size_t>(i)] = mapped;
  }
}

template <typename RowAt>
Table Pick(const Table& table, int64_t count, RowAt row_at) {
  Table out;
  out.columns.resize(table.columns.size());
  for (size_t j = 0; j < table.columns.size(); ++j) {
    const Column& from = table.columns[j];
    Column& to = out.columns[j];
    to.name = from.name;
    to.type = from.type;
    if (from.type == ColumnType::kCategorical) {
      CopyCodes(from, count, row_at, to);
      continue;
    }
    to.values.resize(static_cast<size_t>(count));
    for (int64_t i = 0; i < count; ++i) to.values[static_cast<size_t>(i)] = from.values[static_cast<size_t>(row_at(i))];
  }
  return out;
}

}  // namespace

Table SliceRows(const Table& table, int64_t begin, int64_t count) {
  return Pick(table, count, [begin](int64_t i) { return begin + i; });
}

Table TakeRows(const Table& table, std::span<const int64_t> rows) {
  return Pick(table, static_cast<int64_t>(rows.size()), [rows](int64_t i) { return rows[static_cast<size_t>(i)]; });
}

struct TableBuilder::State {
  Table table;
  /// One per column: category -> code. Empty for numbers.
  std::vector<std::unordered_map<std::string, int32_t>> codes;
};

TableBuilder::TableBuilder() : state_(std::make_unique<State>()) {}
TableBuilder::~TableBuilder() = default;
TableBuilder::TableBuilder(TableBuilder&&) noexcept = default;
TableBuilder& TableBuilder::operator=(TableBuilder&&) noexcept = default;

absl::Status TableBuilder::Append(const Table& part) {
  std::vector<Column>& columns = state_->table.columns;
  if (columns.empty()) {
    for (const Column& c : part.columns) columns.push_back(Column{.name = c.name, .type = c.type});
    state_->codes.resize(columns.size());
  }
  if (columns.size() != part.columns.size()) {
    return InvalidArgument("the rows have {} columns, those before them {}", part.columns.size(), columns.size());
  }
  for (size_t j = 0; j < columns.size(); ++j) {
    if (columns[j].name != part.columns[j].name || columns[j].type != part.columns[j].type) {
      return InvalidArgument("column {} is '{}' ({}), in the rows before '{}' ({})", j + 1, part.columns[j].name,
                             ColumnTypeName(part.columns[j].type), columns[j].name, ColumnTypeName(columns[j].type));
    }
  }
  for (size_t j = 0; j < columns.size(); ++j) {
    const Column& from = part.columns[j];
    Column& to = columns[j];
    to.values.insert(to.values.end(), from.values.begin(), from.values.end());
    if (from.type != ColumnType::kCategorical) continue;
    std::vector<int32_t> renamed(from.categories.size(), -1);
    for (const int32_t code : from.codes) {
      if (code < 0) {
        to.codes.push_back(-1);
        continue;
      }
      int32_t& mapped = renamed[static_cast<size_t>(code)];
      if (mapped < 0) {
        const std::string& text = from.categories[static_cast<size_t>(code)];
        const auto [it, added] = state_->codes[j].try_emplace(text, static_cast<int32_t>(to.categories.size()));
        if (added) to.categories.push_back(text);
        mapped = it->second;
      }
      to.codes.push_back(mapped);
    }
  }
  return absl::OkStatus();
}

int64_t TableBuilder::rows() const { return state_->table.rows(); }

Table TableBuilder::Take() {
  Table out = std::move(state_->table);
  *state_ = State{};
  return out;
}

absl::StatusOr<RowHistory::Run> RowHistory::Next(Table&& rows) {
  if (rows_ <= 0) return Run{.table = std::move(rows)};
  Run run{.table = {}, .context_rows = last_.rows()};
  if (run.context_rows == 0) {
    run.table = std::move(rows);
  } else {
    TableBuilder joined;
    RETURN_IF_ERROR(joined.Append(last_));
    RETURN_IF_ERROR(joined.Append(rows));
    run.table = joined.Take();
  }
  const int64_t kept = std::min(rows_, run.table.rows());
  last_ = SliceRows(run.table, run.table.rows() - kept, kept);
  return run;
}

absl::Status WindowRows::Append(const Table& run, int64_t first, std::span<const int64_t> rows) {
  // All at once: every call of TakeRows and of the builder costs as much as the columns have categories.
  std::vector<int64_t> needed;
  needed.reserve(rows.size());
  const int64_t before = builder_.rows();
  int64_t end = std::max<int64_t>(0, end_ - first);  // rows of the run up to here are held or needed
  for (const int64_t row : rows) {
    for (int64_t r = std::max(row - history_, end); r <= row; ++r) needed.push_back(r);
    end = row + 1;
    picked_.push_back(before + std::ssize(needed) - 1);
  }
  if (!rows.empty()) end_ = first + end;
  return builder_.Append(TakeRows(run, needed));
}

WindowRows::Picked WindowRows::Take() {
  end_ = 0;
  return {.table = builder_.Take(), .rows = std::exchange(picked_, {})};
}

int64_t TableBytes(const Table& table) {
  int64_t bytes = 0;
  for (const Column& c : table.columns) {
    bytes += static_cast<int64_t>(c.name.size() + 8 * c.values.size() + 4 * c.codes.size());
    for (const std::string& text : c.categories) bytes += static_cast<int64_t>(text.size()) + 4;
  }
  return bytes;
}

}  // namespace vedette::table
