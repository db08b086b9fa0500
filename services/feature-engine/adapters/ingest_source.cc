#include "services/feature-engine/adapters/ingest_source.h"

#include <utility>

#include "base/status.h"
#include "services/feature-engine/adapters/proto_convert.h"
#include "wire/table_chunk.h"

namespace vedette::feature_engine {

using Stub = ingest::v1::IngestService::Stub;

absl::StatusOr<DatasetInfo> IngestSource::Describe(const std::string& dataset) {
  ingest::v1::GetDatasetRequest request;
  request.set_name("datasets/" + dataset);
  ASSIGN_OR_RETURN(const ingest::v1::Dataset found, runtime::Call(*stub_, &Stub::GetDataset, out_, request));
  if (found.state() != ingest::v1::Dataset::READY) {
    return FailedPrecondition("dataset {} is {}, not READY", dataset, ingest::v1::Dataset::State_Name(found.state()));
  }
  DatasetInfo info{.id = dataset, .rows = found.row_count()};
  for (const common::v1::ColumnSchema& column : found.columns()) {
    ASSIGN_OR_RETURN(const table::ColumnType type, FromProto(column.type()));
    info.columns.push_back({column.name(), type});
  }
  return info;
}

absl::Status IngestSource::Read(const std::string& dataset, int64_t first_row, int64_t row_count,
                                const RowsSink& sink) {
  ingest::v1::ReadDatasetRequest request;
  request.set_name("datasets/" + dataset);
  request.set_first_row(first_row);
  request.set_row_count(row_count);
  int64_t next = first_row;
  const auto take = [&](const common::v1::TableChunk& chunk) -> absl::Status {
    if (chunk.first_row() != next) {
      return DataLoss("dataset {}: rows from {} on were expected, {} came", dataset, next, chunk.first_row());
    }
    ASSIGN_OR_RETURN(table::Table rows, wire::FromProto(chunk));
    next += rows.rows();
    return sink(chunk.first_row(), std::move(rows));
  };
  RETURN_IF_ERROR(runtime::CallStream(*stub_, &Stub::ReadDataset, out_, request, take));
  if (next != first_row + row_count) {
    return DataLoss("dataset {}: {} of {} rows came", dataset, next - first_row, row_count);
  }
  return absl::OkStatus();
}

absl::Status IngestSource::ReadSeries(const std::string& entity, const std::string& metric, absl::Time start,
                                      absl::Time end, const ValuesSink& sink) {
  ingest::v1::ListObservationsRequest request;
  request.set_entity("entities/" + entity);
  request.set_metric("metrics/" + metric);
  if (start != absl::InfinitePast()) ToProto(start, request.mutable_start_time());
  if (end != absl::InfiniteFuture()) ToProto(end, request.mutable_end_time());
  request.set_page_size(100'000);
  do {
    ASSIGN_OR_RETURN(const auto page, runtime::Call(*stub_, &Stub::ListObservations, out_, request));
    RETURN_IF_ERROR(sink(std::span<const double>(page.values().data(), static_cast<size_t>(page.values_size()))));
    request.set_page_token(page.next_page_token());
  } while (!request.page_token().empty());
  return absl::OkStatus();
}

}  // namespace vedette::feature_engine
