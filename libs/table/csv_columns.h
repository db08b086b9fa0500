// Columns being filled: cells go in as text, batches of a Table come out.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "table/csv.h"
#include "table/csv_infer.h"
#include "table/fast_number.h"
#include "table/table.h"

namespace vedette::table {

/// The distinct texts of one column in order of first appearance, and the way back from text to number. Open addressing
/// over the numbers, because the texts live in the vector that becomes Column::categories.
class CategorySet {
 public:
  /// Number of the text, or -1.
  int32_t Find(std::string_view text) const;
  int32_t Insert(std::string_view text);
  const std::vector<std::string>& texts() const { return texts_; }
  std::vector<std::string> TakeTexts() && { return std::move(texts_); }

 private:
  struct Slot {
    uint32_t hash = 0;
    int32_t code = -1;
  };
  void Grow();
  std::vector<std::string> texts_;
  std::vector<Slot> slots_;
  mutable int32_t last_ = -1;  ///< neighbours are often equal
};

/// Where a bad cell stands.
struct CellPlace {
  int64_t line = 0;
  int64_t row = 0;
};

/// Collects what goes into the ReadReport; the counts are exact, the lists capped.
class CsvReporter {
 public:
  CsvReporter(int max_reported, ReadReport* report) : max_(max_reported), report_(report) {}
  void BadCell(const CellPlace& place, std::string_view column, std::string_view text, std::string_view reason);
  void Converted() { ++converted_; }
  /// Notes that are only known at the end.
  void Finish();

 private:
  int64_t max_;
  ReadReport* report_;
  int64_t converted_ = 0;
};

class CsvColumn {
 public:
  CsvColumn(const CsvColumnPlan& plan, int64_t max_categories, int64_t* category_bytes_left, CsvReporter* reporter);

  const CsvColumnPlan& plan() const { return plan_; }
  void MakeRoom(int64_t rows);
  /// So many rows will come in all, probably: growing up to there moves nothing.
  void Expect(int64_t rows);
  /// Takes memory back that Take gave away, if there is any left in it.
  void Recycle(Column&& column);
  /// Reads the field [begin, end) into the given row of the batch; MakeRoom was called for more rows than that.
  /// kNumberPadding bytes behind `end` are readable.
  void Put(const char* begin, const char* end, bool quoted, int64_t row, const CellPlace& place) {
    if (plan_.type == ColumnType::kNumeric) {
      const bool whole = quoted && end - begin >= 2 && *begin == '"' && end[-1] == '"';  // "12.5" as well
      if (FastNumber(begin + whole, end - whole, point_, &values_[static_cast<size_t>(row)])) return;
    }
    PutSlow({begin, static_cast<size_t>(end - begin)}, quoted, row, place);
  }
  void PutMissing(int64_t row);
  /// The first `rows` rows as a column; the numbering of categories goes on.
  Column Take(int64_t rows, bool last);

 private:
  void PutSlow(std::string_view raw, bool quoted, int64_t row, const CellPlace& place);
  void PutNumber(std::string_view raw, bool quoted, int64_t row, const CellPlace& place);
  void PutTime(std::string_view raw, bool quoted, int64_t row, const CellPlace& place);
  void PutText(std::string_view raw, bool quoted, int64_t row, const CellPlace& place);
  int32_t NewText(std::string_view text, const CellPlace& place);
  std::string_view Unquoted(std::string_view raw, bool quoted);

  CsvColumnPlan plan_;
  char point_ = '.';
  int64_t max_categories_;
  int64_t* category_bytes_left_;
  std::string too_many_;  ///< why a text is not taken up
  CsvReporter* reporter_;
  std::vector<double> values_;
  std::vector<int32_t> codes_;
  CategorySet categories_;
  std::string scratch_;
};

}  // namespace vedette::table
