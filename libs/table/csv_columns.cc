#include "table/csv_columns.h"

#include <absl/hash/hash.h>
#include <absl/strings/string_view.h>

#include <algorithm>
#include <limits>

#include "base/status.h"
#include "table/encoding.h"
#include "table/fast_number.h"

namespace vedette::table {
namespace {

constexpr size_t kShownBytes = 64;
constexpr int64_t kCategoryOverhead = 64;  // string object, slot, allocation: what a text costs besides its bytes

}  // namespace

// ---------------------------------------------------------------------------------------------------------------------

namespace {
uint32_t HashOf(std::string_view text) {
  return static_cast<uint32_t>(absl::Hash<absl::string_view>{}(absl::string_view(text.data(), text.size())));
}
}  // namespace

int32_t CategorySet::Find(std::string_view text) const {
  if (last_ >= 0 && texts_[static_cast<size_t>(last_)] == text) return last_;
  if (slots_.empty()) return -1;
  const uint32_t hash = HashOf(text);
  const size_t mask = slots_.size() - 1;
  for (size_t i = hash & mask;; i = (i + 1) & mask) {
    const Slot& slot = slots_[i];
    if (slot.code < 0) return -1;
    if (slot.hash == hash && texts_[static_cast<size_t>(slot.code)] == text) return last_ = slot.code;
  }
}

int32_t CategorySet::Insert(std::string_view text) {
  if (const int32_t found = Find(text); found >= 0) return found;
  if ((texts_.size() + 1) * 2 > slots_.size()) Grow();
  const uint32_t hash = HashOf(text);
  const size_t mask = slots_.size() - 1;
  size_t i = hash & mask;
  while (slots_[i].code >= 0) i = (i + 1) & mask;
  slots_[i] = {hash, static_cast<int32_t>(texts_.size())};
  texts_.emplace_back(text);
  return last_ = slots_[i].code;
}

void CategorySet::Grow() {
  std::vector<Slot> old(std::max<size_t>(16, slots_.size() * 2));
  old.swap(slots_);
  const size_t mask = slots_.size() - 1;
  for (const Slot& slot : old) {
    if (slot.code < 0) continue;
    size_t i = slot.hash & mask;
    while (slots_[i].code >= 0) i = (i + 1) & mask;
    slots_[i] = slot;
  }
}

// ---------------------------------------------------------------------------------------------------------------------

void CsvReporter::BadCell(const CellPlace& place, std::string_view column, std::string_view text,
                          std::string_view reason) {
  ++report_->bad_cells;
  if (static_cast<int64_t>(report_->first_bad_cells.size()) >= max_) return;
  report_->first_bad_cells.push_back(
      {place.line, place.row, std::string(column), Printable(text, kShownBytes), std::string(reason)});
}

void CsvReporter::Finish() {
  if (converted_ > 0)
    report_->notes.push_back(fmt::format("{} cells that are not UTF-8 were converted from Windows-1252", converted_));
}

// ---------------------------------------------------------------------------------------------------------------------

CsvColumn::CsvColumn(const CsvColumnPlan& plan, int64_t max_categories, int64_t* category_bytes_left,
                     CsvReporter* reporter)
    : plan_(plan),
      point_(plan.mark == DecimalMark::kComma ? ',' : '.'),
      max_categories_(max_categories),
      category_bytes_left_(category_bytes_left),
      too_many_(fmt::format("the column has more than {} distinct texts", max_categories)),
      reporter_(reporter) {}

void CsvColumn::Expect(int64_t rows) {
  const auto n = static_cast<size_t>(rows);
  if (plan_.type == ColumnType::kCategorical) {
    codes_.reserve(n);
  } else {
    values_.reserve(n);
  }
}

void CsvColumn::Recycle(Column&& column) {
  if (codes_.empty()) codes_ = std::move(column.codes);
  if (values_.empty()) values_ = std::move(column.values);
}

void CsvColumn::MakeRoom(int64_t rows) {
  const auto n = static_cast<size_t>(rows);
  if (plan_.type == ColumnType::kCategorical) {
    if (codes_.size() < n) codes_.resize(n);
  } else if (values_.size() < n) {
    values_.resize(n);
  }
}

void CsvColumn::PutMissing(int64_t row) {
  if (plan_.type == ColumnType::kCategorical) {
    codes_[static_cast<size_t>(row)] = -1;
  } else {
    values_[static_cast<size_t>(row)] = kMissing;
  }
}

void CsvColumn::PutSlow(std::string_view raw, bool quoted, int64_t row, const CellPlace& place) {
  switch (plan_.type) {
    case ColumnType::kNumeric:
      PutNumber(raw, quoted, row, place);
      break;
    case ColumnType::kCategorical:
      PutText(raw, quoted, row, place);
      break;
    case ColumnType::kTimestamp:
      PutTime(raw, quoted, row, place);
      break;
  }
}

std::string_view CsvColumn::Unquoted(std::string_view raw, bool quoted) {
  bool converted = false;
  std::string_view text = raw;
  if (quoted) {
    scratch_.clear();
    UnquoteField(raw, &scratch_);
    text = scratch_;
  }
  text = ToUtf8(text, &scratch_, &converted);
  if (converted) reporter_->Converted();
  return quoted ? text : TrimBlanks(text);
}

void CsvColumn::PutNumber(std::string_view raw, bool quoted, int64_t row, const CellPlace& place) {
  const std::string_view text = Unquoted(raw, quoted);
  double& value = values_[static_cast<size_t>(row)];
  std::string reason;
  if (IsMissingText(text)) {
    value = kMissing;
  } else if (!ParseNumberAs(text, plan_.mark, &value, &reason)) {
    value = kMissing;
    reporter_->BadCell(place, plan_.name, text, reason);
  }
}

void CsvColumn::PutTime(std::string_view raw, bool quoted, int64_t row, const CellPlace& place) {
  const std::string_view text = Unquoted(raw, quoted);
  double& value = values_[static_cast<size_t>(row)];
  if (ParseTimestamp(text, plan_.order, &value)) return;
  value = kMissing;
  if (!IsMissingText(text)) reporter_->BadCell(place, plan_.name, text, "not a date or time");
}

void CsvColumn::PutText(std::string_view raw, bool quoted, int64_t row, const CellPlace& place) {
  const std::string_view text = Unquoted(raw, quoted);
  int32_t code = -1;
  if (!text.empty()) {
    code = categories_.Find(text);
    if (code < 0) code = NewText(text, place);
  }
  codes_[static_cast<size_t>(row)] = code;
}

int32_t CsvColumn::NewText(std::string_view text, const CellPlace& place) {
  if (IsMissingText(text)) return -1;
  if (text.find('\0') != text.npos) {
    reporter_->BadCell(place, plan_.name, text, "has a zero byte");
    return -1;
  }
  const int64_t cost = static_cast<int64_t>(text.size()) + kCategoryOverhead;
  if (static_cast<int64_t>(categories_.texts().size()) >= max_categories_) {
    reporter_->BadCell(place, plan_.name, text, too_many_);
    return -1;
  }
  if (cost > *category_bytes_left_) {
    reporter_->BadCell(place, plan_.name, text, "the distinct texts of the table take too much memory");
    return -1;
  }
  *category_bytes_left_ -= cost;
  return categories_.Insert(text);
}

Column CsvColumn::Take(int64_t rows, bool last) {
  Column column;
  column.name = plan_.name;
  column.type = plan_.type;
  if (plan_.type == ColumnType::kCategorical) {
    codes_.resize(static_cast<size_t>(rows));
    column.codes = std::move(codes_);
    codes_ = {};
    column.categories = last ? std::move(categories_).TakeTexts() : categories_.texts();
  } else {
    values_.resize(static_cast<size_t>(rows));
    column.values = std::move(values_);
    values_ = {};
  }
  return column;
}

}  // namespace vedette::table
