#include "services/ingest/core/uploader.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "base/hash.h"
#include "base/status.h"
#include "services/ingest/core/chunk_codec.h"
#include "table/csv.h"
#include "table/rows.h"

namespace vedette::ingest {
namespace {

// One attempt while it runs. Remembers whose fault an error was: the file's, or ours.
class Run {
 public:
  Run(std::string prefix, BlobStore* blobs, const UploadOptions& options, char delimiter)
      : prefix_(std::move(prefix)),
        blobs_(blobs),
        options_(options),
        reader_(table::CsvOptions{.delimiter = delimiter,
                                  .batch_rows = options.chunk_rows,
                                  .max_text_bytes = options.max_bytes * options.max_inflation},
                [this](table::Table&& batch) { return Store(batch); }) {}

  absl::Status Feed(std::string_view bytes) {
    received_ += static_cast<int64_t>(bytes.size());
    if (received_ > options_.max_bytes) {
      return File(ResourceExhausted("the upload is larger than {} bytes", options_.max_bytes));
    }
    hash_.Update(bytes);
    return Parsed(reader_.Feed(bytes));
  }

  absl::Status Finish() { return Parsed(reader_.Finish()); }

  /// What is known of the dataset so far.
  void Describe(Dataset& dataset) const {
    const table::ReadReport& report = reader_.report();
    dataset.row_count = rows_;
    dataset.columns = rows_ > 0 ? reader_.schema() : table::Schema{};
    dataset.size_bytes = received_;
    dataset.bad_cell_count = report.bad_cells;
    dataset.bad_cells = report.first_bad_cells;
    dataset.notes = report.notes;
    dataset.sha256 = hash_.Hex();
  }

  const std::vector<Chunk>& chunks() const { return chunks_; }
  int64_t received() const { return received_; }
  bool file_is_bad() const { return file_is_bad_; }

 private:
  absl::Status File(absl::Status status) {
    file_is_bad_ = true;
    return status;
  }
  // An error of the reader is the file's fault unless it came from Store.
  absl::Status Parsed(absl::Status status) {
    return status.ok() || !store_status_.ok() ? status : File(std::move(status));
  }

  absl::Status Store(const table::Table& batch) {
    const int64_t step =
        std::clamp(options_.chunk_cells / std::max<int64_t>(batch.cols(), 1), int64_t{1}, options_.chunk_rows);
    for (int64_t begin = 0; begin < batch.rows(); begin += step) {
      const int64_t count = std::min(step, batch.rows() - begin);
      const int64_t index = static_cast<int64_t>(chunks_.size());
      Chunk chunk{
          .index = index, .first_row = rows_, .rows = count, .key = fmt::format("{}/chunk-{:06}", prefix_, index)};
      store_status_ = blobs_->Put(chunk.key, EncodeChunk(table::SliceRows(batch, begin, count)));
      if (!store_status_.ok()) return store_status_;
      rows_ += count;
      chunks_.push_back(std::move(chunk));
    }
    return absl::OkStatus();
  }

  std::string prefix_;
  BlobStore* blobs_;
  const UploadOptions& options_;
  Sha256 hash_;
  int64_t received_ = 0;
  int64_t rows_ = 0;
  std::vector<Chunk> chunks_;
  absl::Status store_status_;
  bool file_is_bad_ = false;
  table::CsvReader reader_;
};

// The status that a FAILED dataset was answered with, from what was stored of it.
absl::Status RememberedError(const Dataset& dataset) {
  return InvalidArgument("dataset {} could not be read: {}", dataset.id, dataset.error);
}

}  // namespace

absl::StatusOr<Dataset> Uploader::Upload(const std::string& tenant, const UploadRequest& request,
                                         const ByteSource& source, const Context& context) const {
  ASSIGN_OR_RETURN(const UploadStore::Started started, store_->Begin(tenant, request));
  if (started.finished.has_value()) {
    if (started.finished->state == DatasetState::kFailed) return RememberedError(*started.finished);
    return *started.finished;
  }
  const UploadAttempt& attempt = started.attempt;
  Run run(attempt.Prefix(tenant), blobs_, options_, request.delimiter);

  const auto receive = [&]() -> absl::Status {
    absl::Time touched = clock_.Now();
    while (true) {
      RETURN_IF_ERROR(context.Check());
      ASSIGN_OR_RETURN(const std::optional<std::string_view> bytes, source());
      if (!bytes.has_value()) return run.Finish();
      // Before the bytes are taken: an attempt that was given up while the caller was silent must not store another
      // chunk.
      if (const absl::Time now = clock_.Now(); now - touched >= options_.touch_every) {
        RETURN_IF_ERROR(store_->Touch(tenant, attempt, run.received()));
        touched = now;
      }
      RETURN_IF_ERROR(run.Feed(*bytes));
    }
  };
  const absl::Status received = receive();

  Dataset dataset{.id = attempt.dataset_id, .display_name = request.display_name};
  run.Describe(dataset);
  if (received.ok()) {
    absl::StatusOr<Dataset> stored = store_->Commit(tenant, attempt, std::move(dataset), run.chunks());
    // When the outcome of the commit is unknown the dataset must stay: the sweeper or a repetition settles it.
    if (stored.ok() || absl::IsUnavailable(stored.status())) return stored;
    (void)store_->Discard(tenant, attempt);
    return stored;
  }
  // What cannot be written down now, the sweeper finds by its missing signs of life.
  if (run.file_is_bad()) {
    dataset.error = Message(received);
    (void)store_->Fail(tenant, attempt, dataset);
  } else {
    (void)store_->Discard(tenant, attempt);
  }
  return received;
}

}  // namespace vedette::ingest
