#pragma once

#include <memory>

#include "runtime/client.h"
#include "services/feature-engine/ports/dataset_source.h"
#include "vedette/ingest/v1/ingest.grpc.pb.h"

namespace vedette::feature_engine {

/// Reads from the service ingest with the identity in `out`. One per RPC; not thread-safe.
class IngestSource final : public DatasetSource {
 public:
  IngestSource(ingest::v1::IngestService::Stub* stub, runtime::Outgoing out) : stub_(stub), out_(std::move(out)) {}

  absl::StatusOr<DatasetInfo> Describe(const std::string& dataset) override;
  absl::Status Read(const std::string& dataset, int64_t first_row, int64_t row_count, const RowsSink& sink) override;
  absl::Status ReadSeries(const std::string& entity, const std::string& metric, absl::Time start, absl::Time end,
                          const ValuesSink& sink) override;

 private:
  ingest::v1::IngestService::Stub* stub_;
  runtime::Outgoing out_;
};

}  // namespace vedette::feature_engine
