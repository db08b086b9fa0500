#include "services/feature-engine/core/sampling.h"

#include <cmath>

namespace vedette::feature_engine {

void RowNumberFinder::Add(const table::Table& rows) {
  if (rows.rows() == 0) return;
  if (rows_ == 0) {
    for (const table::Column& column : rows.columns) {
      State state{.name = column.name};
      if (column.type == table::ColumnType::kNumeric && std::trunc(column.values.front()) == column.values.front()) {
        state.last = column.values.front() - 1;
        state.row_number = true;
      }
      columns_.push_back(std::move(state));
    }
  }
  for (size_t j = 0; j < columns_.size() && j < rows.columns.size(); ++j) {
    State& state = columns_[j];
    if (!state.row_number) continue;
    for (const double v : rows.columns[j].values) {
      if (v != state.last + 1) {
        state.row_number = false;
        break;
      }
      state.last = v;
    }
  }
  rows_ += rows.rows();
}

std::vector<std::string> RowNumberFinder::Found() const {
  std::vector<std::string> out;
  if (rows_ < 8) return out;
  for (const State& state : columns_) {
    if (state.row_number) out.push_back(state.name);
  }
  return out;
}

}  // namespace vedette::feature_engine
