// The reader: bytes -> (gunzip) -> (UTF-16) -> buffer -> tokens -> columns -> batches. What is decided from the first
// bytes or rows (encoding, delimiter, types) is decided from a fixed prefix of the input, so that the pieces in which
// the input is fed never change the result.
#include "table/csv.h"

#include <algorithm>
#include <cstring>
#include <optional>

#include "base/status.h"
#include "table/csv_columns.h"
#include "table/csv_infer.h"
#include "table/csv_tokenizer.h"
#include "table/encoding.h"
#include "table/gzip.h"

namespace vedette::table {
namespace {

constexpr size_t kSlice = 256 << 10;           // input is worked on in pieces that stay in the cache
constexpr size_t kDelimiterSample = 64 << 10;  // bytes that the delimiter is found from
constexpr int64_t kInferBytes = 32 << 20;
constexpr int64_t kMaxBatchCells = 4 << 20;
constexpr int64_t kMaxRecordBytes = 512 << 20;  // positions have 31 bits

}  // namespace

struct CsvReader::Impl {
  enum class Stage { kDelimiter, kInfer, kRows };

  Impl(CsvOptions o, BatchFn fn) : options(std::move(o)), on_batch(std::move(fn)), reporter(options.max_reported, &report) {
    options.max_record_bytes = std::clamp<int64_t>(options.max_record_bytes, 1, kMaxRecordBytes);
    options.infer_rows = std::max<int64_t>(options.infer_rows, 1);
    options.batch_rows = std::max<int64_t>(options.batch_rows, 1);
    category_bytes_left = options.max_category_bytes;
    infer_bytes = static_cast<size_t>(std::max(kInferBytes, 2 * options.max_record_bytes + (1 << 16)));
  }

  absl::Status Input(std::string_view bytes, bool last);
  absl::Status Decoded(std::string_view bytes, bool last);
  absl::Status Text(std::string_view bytes);
  absl::Status Append(std::string_view bytes);
  absl::Status Advance(bool last);
  void ChooseDelimiter();
  absl::Status Infer(bool last, bool* done);
  absl::Status Consume(bool last);
  absl::Status PutRecord(const CsvRows& rows, size_t r);
  absl::Status EndBatch(bool last);
  absl::Status TooLong() const;
  void Compact();

  CsvOptions options;
  BatchFn on_batch;
  bool one_batch = false;  ///< the whole input becomes one table
  int64_t expected_bytes = 0;  ///< of uncompressed text, to make room once instead of growing
  ReadReport report;
  CsvReporter reporter;
  absl::Status failure;
  bool finished = false;

  std::string head;  ///< input that waits until it can be recognised
  std::optional<bool> zipped;
  GunzipStream gunzip;
  std::string sample;  ///< decompressed input that waits until its encoding is known
  std::optional<DetectedEncoding> encoding;
  std::optional<Utf16Decoder> utf16;
  int64_t text_bytes = 0;

  std::vector<char> buffer;  ///< text from the open record on, with padding
  size_t size = 0;
  Stage stage = Stage::kDelimiter;
  char delimiter = ',';
  std::optional<CsvTokenizer> tokens;
  size_t infer_bytes = 0;
  size_t inspected = 0;          ///< records seen while waiting for enough to infer from
  std::vector<size_t> infer_from;  ///< those that are not blank
  size_t skip_through = 0;       ///< records before this one are no data

  CsvPlan plan;
  Schema schema;
  std::vector<CsvColumn> columns;
  std::vector<CsvColumn*> by_field;
  int64_t category_bytes_left = 0;
  int64_t batch_rows = 0;     ///< rows of a full batch
  int64_t capacity = 0;       ///< rows that the columns have room for
  int64_t rows_in_batch = 0;
  bool extra_note = false;
};

// --------------------------------------------------------------------------------------------------- bytes to text

absl::Status CsvReader::Impl::Input(std::string_view bytes, bool last) {
  if (!zipped) {
    head.append(bytes);
    if (head.size() < 2 && !last) return absl::OkStatus();
    zipped = GunzipStream::HasMagic(head);
    if (*zipped) expected_bytes = 0;
    const std::string first = std::move(head);
    return Input(first, last);
  }
  if (!*zipped) return Decoded(bytes, last);
  RETURN_IF_ERROR(gunzip.Feed(bytes, [this](std::string_view out) { return Decoded(out, false); }));
  if (!last) return absl::OkStatus();
  RETURN_IF_ERROR(gunzip.Finish());
  return Decoded({}, true);
}

absl::Status CsvReader::Impl::Decoded(std::string_view bytes, bool last) {
  text_bytes += static_cast<int64_t>(bytes.size());
  if (options.max_text_bytes > 0 && text_bytes > options.max_text_bytes) {
    return InvalidArgument("the input has more than {} bytes of text", options.max_text_bytes);
  }
  if (!encoding) {
    sample.append(bytes);
    if (sample.size() < kEncodingSample && !last) return absl::OkStatus();
    if (const std::string_view format = BinaryFormatName(sample); !format.empty()) {
      return InvalidArgument("the input is {}, not CSV text", format);
    }
    encoding = DetectEncoding(sample);
    if (encoding->encoding != TextEncoding::kBytes) {
      const bool big = encoding->encoding == TextEncoding::kUtf16Be;
      utf16.emplace(big);
      report.notes.push_back(fmt::format("converted from UTF-16 {}-endian{}", big ? "big" : "little",
                                         encoding->guessed ? " (there is no byte order mark)" : ""));
    }
    const std::string first = sample.substr(encoding->bom_bytes);
    sample = {};
    RETURN_IF_ERROR(Text(first));
  } else {
    RETURN_IF_ERROR(Text(bytes));
  }
  if (!last) return absl::OkStatus();
  if (utf16) {
    std::string rest;
    utf16->Finish(&rest);
    RETURN_IF_ERROR(Append(rest));
    if (utf16->replaced() > 0) report.notes.push_back(fmt::format("{} damaged UTF-16 characters were replaced", utf16->replaced()));
  }
  return Advance(true);
}

absl::Status CsvReader::Impl::Text(std::string_view bytes) {
  std::string converted;
  for (size_t i = 0; i < bytes.size(); i += kSlice) {
    const std::string_view slice = bytes.substr(i, kSlice);
    if (utf16) {
      converted.clear();
      utf16->Decode(slice, &converted);
      RETURN_IF_ERROR(Append(converted));
    } else {
      RETURN_IF_ERROR(Append(slice));
    }
    RETURN_IF_ERROR(Advance(false));
  }
  return absl::OkStatus();
}

absl::Status CsvReader::Impl::Append(std::string_view bytes) {
  const size_t need = size + bytes.size() + CsvTokenizer::kPadding;
  if (need > buffer.size()) buffer.resize(std::max(need, buffer.size() * 2));
  if (!bytes.empty()) std::memcpy(buffer.data() + size, bytes.data(), bytes.size());
  size += bytes.size();
  return absl::OkStatus();
}

// -------------------------------------------------------------------------------------------------- text to records

void CsvReader::Impl::ChooseDelimiter() {
  const std::string_view text(buffer.data(), std::min(size, kDelimiterSample));
  size_t skip = 0;
  if (text.size() >= 5 && text.starts_with("sep=") && (text.size() == 5 || text[5] == '\n' || text[5] == '\r')) {
    delimiter = text[4];  // the first line that Excel writes and reads
    skip = text.size() > 6 && text[5] == '\r' && text[6] == '\n' ? 7 : std::min<size_t>(6, text.size());
    report.notes.push_back(fmt::format("the first line says that the delimiter is '{}'", Printable({&delimiter, 1}, 1)));
  } else {
    delimiter = DetectDelimiter(text, size <= kDelimiterSample);
  }
  if (options.delimiter != 0) delimiter = options.delimiter;
  tokens.emplace(delimiter, skip);
  stage = Stage::kInfer;
}

absl::Status CsvReader::Impl::TooLong() const {
  if (const int64_t line = tokens->open_quote_line(); line > 0) {
    return InvalidArgument("line {}: the quote that opens here is not closed within {} bytes", line, options.max_record_bytes);
  }
  return InvalidArgument("line {}: the record is longer than {} bytes", tokens->open_line(), options.max_record_bytes);
}

absl::Status CsvReader::Impl::Advance(bool last) {
  if (stage == Stage::kDelimiter) {
    if (size <= kDelimiterSample && !last) return absl::OkStatus();
    ChooseDelimiter();
  }
  tokens->Scan(buffer.data(), size);
  const bool too_long = static_cast<int64_t>(size - std::min(size, tokens->open_begin())) > options.max_record_bytes;
  const int64_t open_quote = tokens->open_quote_line();
  if (last && open_quote == 0) tokens->Finish(buffer.data(), size);
  if (stage == Stage::kInfer) {
    bool done = false;
    RETURN_IF_ERROR(Infer(last && open_quote == 0, &done));
    if (too_long) return TooLong();
    if (last && open_quote > 0) return InvalidArgument("line {}: the quote that opens here is never closed", open_quote);
    if (!done) return absl::OkStatus();
  }
  RETURN_IF_ERROR(Consume(false));
  if (too_long) return TooLong();
  if (last && open_quote > 0) return InvalidArgument("line {}: the quote that opens here is never closed", open_quote);
  return last ? EndBatch(true) : absl::OkStatus();
}

absl::Status CsvReader::Impl::Infer(bool last, bool* done) {
  const CsvRows rows(buffer.data(), *tokens);
  const auto wanted = static_cast<size_t>(options.infer_rows) + 1;
  bool enough = last || size >= infer_bytes;
  for (; inspected < rows.size() && infer_from.size() < wanted; ++inspected) {
    if (rows.End(inspected) > infer_bytes) {
      enough = true;
      break;
    }
    if (!rows.IsBlank(inspected)) infer_from.push_back(inspected);
  }
  if (infer_from.size() < wanted && !enough) return absl::OkStatus();
  if (infer_from.empty()) {
    if (!last) return InvalidArgument("there is nothing but blank lines in the first {} bytes", infer_bytes);
    return InvalidArgument("the input is empty");
  }
  for (const size_t r : infer_from) {
    if (static_cast<int64_t>(rows.End(r) - rows.Begin(r)) > options.max_record_bytes) {
      return InvalidArgument("line {}: the record is longer than {} bytes", rows.record(r).line, options.max_record_bytes);
    }
  }
  ASSIGN_OR_RETURN(plan, InferCsvPlan(rows, infer_from, delimiter, options));
  if (plan.has_header && infer_from.size() == 1) return InvalidArgument("the input has a header but no data");
  report.notes.insert(report.notes.end(), plan.notes.begin(), plan.notes.end());
  skip_through = infer_from.front() + (plan.has_header ? 1 : 0);
  columns.reserve(plan.columns.size());
  by_field.assign(plan.fields, nullptr);
  for (const CsvColumnPlan& column : plan.columns) {
    columns.emplace_back(column, options.max_categories, &category_bytes_left, &reporter);
    by_field[static_cast<size_t>(column.field)] = &columns.back();
    schema.push_back({column.name, column.type});
  }
  const int64_t per_batch = std::max<int64_t>(1, kMaxBatchCells / std::max<int64_t>(1, static_cast<int64_t>(columns.size())));
  batch_rows = one_batch ? INT64_MAX : std::min(options.batch_rows, per_batch);
  if (expected_bytes > 0) {
    const size_t bytes = rows.End(infer_from.back()) - rows.Begin(infer_from.front()) + infer_from.size();
    const double scale = static_cast<double>(expected_bytes) / static_cast<double>(bytes) * 1.01;
    const double expected = std::min(static_cast<double>(infer_from.size()) * scale + 64, static_cast<double>(expected_bytes));
    for (CsvColumn& column : columns) column.Expect(static_cast<int64_t>(expected));
  }
  infer_from = {};
  stage = Stage::kRows;
  *done = true;
  return absl::OkStatus();
}

// ---------------------------------------------------------------------------------------------- records to columns

absl::Status CsvReader::Impl::Consume(bool last) {
  const CsvRows rows(buffer.data(), *tokens);
  const size_t n = rows.size();
  for (size_t r = skip_through; r < n; ++r) {
    if (rows.record(r).fields == 1 && rows.IsBlank(r)) continue;
    if (rows_in_batch == capacity) {
      capacity = one_batch ? std::max<int64_t>(1024, capacity + capacity / 2) : batch_rows;
      for (CsvColumn& column : columns) column.MakeRoom(capacity);
    }
    RETURN_IF_ERROR(PutRecord(rows, r));
    if (rows_in_batch == batch_rows) RETURN_IF_ERROR(EndBatch(false));
  }
  skip_through = 0;
  if (!last) Compact();
  return absl::OkStatus();
}

absl::Status CsvReader::Impl::PutRecord(const CsvRows& rows, size_t r) {
  const CsvTokenizer::Record& record = rows.record(r);
  const size_t begin = rows.Begin(r), end = rows.End(r);
  if (static_cast<int64_t>(end - begin) > options.max_record_bytes) {
    return InvalidArgument("line {}: the record is longer than {} bytes", record.line, options.max_record_bytes);
  }
  const CellPlace place{record.line, report.rows};
  const uint32_t* ends = tokens->field_ends().data() + record.first_field;
  const char* data = buffer.data();
  const size_t fields = std::min<size_t>(record.fields, plan.fields);
  size_t at = begin;
  for (size_t j = 0; j < fields; ++j) {
    const size_t stop = ends[j] & CsvTokenizer::kPosition;
    if (CsvColumn* column = by_field[j]; column != nullptr) {
      column->Put(data + at, data + stop, (ends[j] & CsvTokenizer::kQuoted) != 0, rows_in_batch, place);
    }
    at = stop + 1;
  }
  if (record.fields < plan.fields) {
    for (size_t j = fields; j < plan.fields; ++j) {
      if (by_field[j] != nullptr) by_field[j]->PutMissing(rows_in_batch);
    }
    const CsvColumn* first = by_field[fields];
    reporter.BadCell(place, first != nullptr ? first->plan().name : "", "",
                     fmt::format("record has {} fields, the header has {}", record.fields, plan.fields));
  } else if (record.fields > plan.fields) {
    const std::string_view extra(data + at, end - at);
    if (extra.find_first_not_of(std::string{delimiter, ' '}) != extra.npos) {
      reporter.BadCell(place, "", extra, fmt::format("record has {} fields, the header has {}", record.fields, plan.fields));
    } else if (!extra_note) {
      extra_note = true;
      report.notes.push_back(fmt::format("line {}: empty cells beyond the last column are ignored, here and below", record.line));
    }
  }
  ++rows_in_batch;
  ++report.rows;
  return absl::OkStatus();
}

absl::Status CsvReader::Impl::EndBatch(bool last) {
  if (rows_in_batch == 0) return absl::OkStatus();
  Table table;
  table.columns.reserve(columns.size());
  for (CsvColumn& column : columns) table.columns.push_back(column.Take(rows_in_batch, last));
  rows_in_batch = 0;
  capacity = 0;
  RETURN_IF_ERROR(on_batch(std::move(table)));
  if (last) return absl::OkStatus();
  // A receiver that only looked has left the memory where it is: fresh pages cost as much as the parsing.
  for (size_t j = 0; j < table.columns.size() && j < columns.size(); ++j) columns[j].Recycle(std::move(table.columns[j]));
  return absl::OkStatus();
}

void CsvReader::Impl::Compact() {
  const size_t begin = tokens->open_begin();
  if (begin == 0 || begin > size) return;
  std::memmove(buffer.data(), buffer.data() + begin, size - begin);
  size -= begin;
  tokens->DropRecords();
}

// ---------------------------------------------------------------------------------------------------------- reader

CsvReader::CsvReader(CsvOptions options, BatchFn on_batch)
    : impl_(std::make_unique<Impl>(std::move(options), std::move(on_batch))) {}
CsvReader::~CsvReader() = default;

absl::Status CsvReader::Feed(std::string_view bytes) {
  RETURN_IF_ERROR(impl_->failure);
  if (impl_->finished) return FailedPrecondition("the reader was finished before");
  impl_->report.bytes += static_cast<int64_t>(bytes.size());
  // What waits to be recognised is copied: by slices, that is the first few and not a whole file.
  for (; impl_->failure.ok() && !bytes.empty(); bytes.remove_prefix(std::min(kSlice, bytes.size()))) {
    impl_->failure = impl_->Input(bytes.substr(0, kSlice), false);
  }
  return impl_->failure;
}

absl::Status CsvReader::Finish() {
  RETURN_IF_ERROR(impl_->failure);
  if (impl_->finished) return FailedPrecondition("the reader was finished before");
  impl_->finished = true;
  impl_->failure = impl_->Input({}, true);
  impl_->reporter.Finish();
  return impl_->failure;
}

const Schema& CsvReader::schema() const { return impl_->schema; }
const ReadReport& CsvReader::report() const { return impl_->report; }
void CsvReader::UseOneBatch(int64_t expected_bytes) {
  impl_->one_batch = true;
  impl_->expected_bytes = expected_bytes;
}

}  // namespace vedette::table
