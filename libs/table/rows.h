// Runs and picks of rows, and putting runs together again. Every result is complete in itself: a categorical column
// gets a dictionary of its own, holding what its rows use, in order of first appearance.
#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "table/table.h"

namespace vedette::table {

/// Rows [begin, begin + count) of `table`; the range must lie within it.
Table SliceRows(const Table& table, int64_t begin, int64_t count);

/// The rows with these indices, in the order given; each must lie within the table.
Table TakeRows(const Table& table, std::span<const int64_t> rows);

/// Puts runs of rows together, in the order of the calls. Putting the slices of a table together gives the table again.
class TableBuilder {
 public:
  TableBuilder();
  ~TableBuilder();
  TableBuilder(TableBuilder&&) noexcept;
  TableBuilder& operator=(TableBuilder&&) noexcept;

  /// The first table decides the columns. INVALID_ARGUMENT, naming the column, when a later one has others.
  absl::Status Append(const Table& part);
  int64_t rows() const;
  /// The table so far; the builder is empty afterwards.
  Table Take();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// Hands runs of rows on together with the last rows before them: what windows of rows need where a table comes in
/// pieces.
class RowHistory {
 public:
  /// Of at most so many rows; 0: none.
  explicit RowHistory(int64_t rows) : rows_(rows) {}
  struct Run {
    Table table;
    int64_t context_rows = 0;  ///< of the table, the first: rows that came before
  };
  /// INVALID_ARGUMENT when the columns are not those of the rows before.
  absl::StatusOr<Run> Next(Table&& rows);

 private:
  const int64_t rows_;
  Table last_;
};

/// Picks rows out of runs, each with the rows before it that its window reaches: every row once, however windows
/// overlap.
class WindowRows {
 public:
  explicit WindowRows(int64_t history) : history_(history) {}

  /// These rows of `run`, whose row 0 is row `first` of the whole; ascending, within the run and over all calls. The
  /// rows of the run before each are its history: `history` rows, or all that there are. INVALID_ARGUMENT as
  /// TableBuilder.
  absl::Status Append(const Table& run, int64_t first, std::span<const int64_t> rows);
  int64_t rows() const { return static_cast<int64_t>(picked_.size()); }  ///< picked

  struct Picked {
    Table table;
    std::vector<int64_t> rows;  ///< of the table: those that were picked, as Preparation::ApplyRows wants them
  };
  /// What was picked so far; empty afterwards.
  Picked Take();

 private:
  const int64_t history_;
  int64_t end_ = 0;  ///< of the whole: rows up to here are held, if any are
  TableBuilder builder_;
  std::vector<int64_t> picked_;
};

/// About how many bytes the rows of the table take: 8 a number, 4 a code, and the texts of its dictionaries.
int64_t TableBytes(const Table& table);

}  // namespace vedette::table
