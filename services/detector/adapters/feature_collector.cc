#include "services/detector/adapters/feature_collector.h"

#include <algorithm>
#include <iterator>

#include "base/status.h"
#include "wire/table_chunk.h"

namespace vedette::detector {
namespace {

/// Rows that the answer to `query` has.
int64_t RowsOf(const FeatureQuery& query, int64_t dataset_rows) {
  int64_t rows = std::max<int64_t>(0, dataset_rows - query.first_row);
  if (query.row_count > 0) rows = std::min(rows, query.row_count);
  if (query.sample_rows > 0) rows = std::min(rows, query.sample_rows);
  return rows;
}

}  // namespace

absl::Status FeatureCollector::Add(const features::v1::StreamFeaturesResponse& part) {
  return part.has_header() ? Header(part.header()) : Rows(part.rows());
}

absl::Status FeatureCollector::Header(const features::v1::StreamFeaturesResponse::Header& header) {
  if (has_header_) return absl::DataLossError("a second header came");
  has_header_ = true;
  ByteReader reader(header.preparation());
  ASSIGN_OR_RETURN(block_.preparation, table::Preparation::Load(reader));
  RETURN_IF_ERROR(reader.Finish());
  const int64_t cols = std::ssize(block_.preparation.features());
  if (header.cols() != cols) return DataLoss("{} features came for a preparation of {}", header.cols(), cols);
  block_.dataset_rows = header.dataset_rows();
  block_.features = Matrix::ForOverwrite(RowsOf(query_, block_.dataset_rows), cols);
  return absl::OkStatus();
}

absl::Status FeatureCollector::Rows(const features::v1::StreamFeaturesResponse::Rows& rows) {
  if (!has_header_) return absl::DataLossError("rows came before the header");
  const int64_t n = rows.row_index_size(), at = std::ssize(block_.row_index), cols = block_.features.cols();
  if (rows.values_size() != n * cols)
    return DataLoss("{} values came for {} rows of {} features", rows.values_size(), n, cols);
  if (query_.include_table && rows.has_context()) RETURN_IF_ERROR(Context(rows.context()));
  if (n == 0) return absl::OkStatus();
  if (n > block_.features.rows() - at) return DataLoss("more than {} rows came", block_.features.rows());
  block_.row_index.insert(block_.row_index.end(), rows.row_index().begin(), rows.row_index().end());
  for (int64_t j = 0; j < cols; ++j) std::copy_n(rows.values().begin() + j * n, n, block_.features.col(j).begin() + at);
  if (!query_.include_table) return absl::OkStatus();
  ASSIGN_OR_RETURN(const table::Table piece, wire::FromProto(rows.table()));
  if (piece.rows() != n) return DataLoss("{} table rows came with {} feature rows", piece.rows(), n);
  return table_.Append(piece);
}

absl::Status FeatureCollector::Context(const common::v1::TableChunk& chunk) {
  if (!block_.row_index.empty()) return absl::DataLossError("history came after the rows that it belongs to");
  ASSIGN_OR_RETURN(const table::Table rows, wire::FromProto(chunk));
  block_.context_rows += rows.rows();  // a long one comes in pieces
  const int64_t history = block_.preparation.history();
  if (block_.context_rows > history) return DataLoss("more than the {} rows of history came", history);
  return table_.Append(rows);
}

absl::StatusOr<FeatureBlock> FeatureCollector::Take() {
  if (!has_header_) return absl::DataLossError("no header came");
  if (std::ssize(block_.row_index) != block_.features.rows())
    return DataLoss("{} of {} rows came", block_.row_index.size(), block_.features.rows());
  if (query_.include_table) block_.table = table_.Take();
  return std::move(block_);
}

}  // namespace vedette::detector
