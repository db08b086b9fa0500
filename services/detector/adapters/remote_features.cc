#include <algorithm>

#include "base/status.h"
#include "services/detector/adapters/remote.h"
#include "table/rows.h"
#include "vedette/features/v1/features.grpc.pb.h"
#include "wire/table_chunk.h"

namespace vedette::detector {
namespace {

absl::StatusOr<std::unique_ptr<features::v1::FeatureEngineService::Stub>> FeatureStub(runtime::Channels& channels) {
  ASSIGN_OR_RETURN(const auto channel, channels.Get("feature-engine"));
  return features::v1::FeatureEngineService::NewStub(channel);
}

void ToProto(const table::PrepareOptions& options, common::v1::PrepareOptions* out) {
  static constexpr const char* kImputation[] = {"median", "mean", "none"};
  static constexpr const char* kEncoding[] = {"one_hot", "frequency", "ordinal", "native"};
  static constexpr const char* kScaling[] = {"none", "standard", "robust"};
  out->mutable_ignore_columns()->Add(options.ignore_columns.begin(), options.ignore_columns.end());
  out->set_imputation(kImputation[static_cast<int>(options.imputation)]);
  out->set_encoding(kEncoding[static_cast<int>(options.encoding)]);
  out->set_scaling(kScaling[static_cast<int>(options.scaling)]);
  out->set_window(options.window);
}

/// Blocks of column-major values, put together into one matrix at the end.
class Collector {
 public:
  explicit Collector(bool tables) : tables_(tables) {}

  absl::Status Add(const features::v1::StreamFeaturesResponse& part) {
    if (part.has_header()) return Header(part.header());
    const auto& rows = part.rows();
    const int64_t n = rows.row_index_size();
    if (cols_ < 0) return DataLoss("rows came before the header");
    if (rows.values_size() != n * cols_)
      return DataLoss("{} values came for {} rows of {} features", rows.values_size(), n, cols_);
    block_.row_index.insert(block_.row_index.end(), rows.row_index().begin(), rows.row_index().end());
    values_.emplace_back(rows.values().begin(), rows.values().end());
    if (!tables_) return absl::OkStatus();
    if (rows.has_context()) RETURN_IF_ERROR(Context(rows.context()));
    ASSIGN_OR_RETURN(table::Table piece, wire::FromProto(rows.table()));
    if (piece.rows() != n) return DataLoss("{} table rows came with {} feature rows", piece.rows(), n);
    return table_.Append(piece);
  }

  FeatureBlock Take() {
    const auto n = static_cast<int64_t>(block_.row_index.size());
    block_.features = Matrix(n, std::max<int64_t>(0, cols_));
    int64_t at = 0;
    for (const std::vector<double>& piece : values_) {
      const int64_t rows = cols_ == 0 ? 0 : static_cast<int64_t>(piece.size()) / cols_;
      for (int64_t j = 0; j < cols_; ++j)
        std::copy_n(piece.begin() + j * rows, rows, block_.features.col(j).begin() + at);
      at += rows;
    }
    if (tables_) block_.table = table_.Take();
    return std::move(block_);
  }

 private:
  absl::Status Context(const common::v1::TableChunk& chunk) {
    if (table_.rows() > 0) return absl::DataLossError("history came after the rows that it belongs to");
    ASSIGN_OR_RETURN(const table::Table rows, wire::FromProto(chunk));
    block_.context_rows = rows.rows();
    return table_.Append(rows);
  }

  absl::Status Header(const features::v1::StreamFeaturesResponse::Header& header) {
    cols_ = header.cols();
    block_.dataset_rows = header.dataset_rows();
    ByteReader reader(header.preparation());
    ASSIGN_OR_RETURN(block_.preparation, table::Preparation::Load(reader));
    return reader.Finish();
  }

  const bool tables_;
  int64_t cols_ = -1;
  std::vector<std::vector<double>> values_;
  table::TableBuilder table_;
  FeatureBlock block_;
};

}  // namespace

absl::StatusOr<FeatureSet> RemoteFeatures::Create(const std::string& dataset, const table::PrepareOptions& options) {
  ASSIGN_OR_RETURN(const auto stub, FeatureStub(channels_));
  features::v1::CreateFeatureSetRequest request;
  request.set_dataset(dataset);
  ToProto(options, request.mutable_options());
  ASSIGN_OR_RETURN(const features::v1::FeatureSet set,
                   runtime::Call(*stub, &features::v1::FeatureEngineService::Stub::CreateFeatureSet, out_, request));
  return FeatureSet{
      .name = set.name(), .version = set.version(), .features = {set.features().begin(), set.features().end()}};
}

absl::StatusOr<FeatureBlock> RemoteFeatures::Read(const FeatureQuery& query) {
  ASSIGN_OR_RETURN(const auto stub, FeatureStub(channels_));
  features::v1::StreamFeaturesRequest request;
  request.set_feature_set(query.feature_set);
  request.set_dataset(query.dataset);
  request.set_first_row(query.first_row);
  request.set_row_count(query.row_count);
  request.set_sample_rows(query.sample_rows);
  request.set_seed(query.seed);
  request.set_include_table(query.include_table);
  request.mutable_table_columns()->Add(query.table_columns.begin(), query.table_columns.end());
  Collector collector(query.include_table);
  RETURN_IF_ERROR(
      runtime::CallStream(*stub, &features::v1::FeatureEngineService::Stub::StreamFeatures, out_, request,
                          [&](const features::v1::StreamFeaturesResponse& part) { return collector.Add(part); }));
  return collector.Take();
}

}  // namespace vedette::detector
