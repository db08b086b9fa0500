#include "bench/csv_bench.h"

#include <algorithm>
#include <ctime>

#include "base/rng.h"
#include "base/status.h"
#include "generate/generate.h"
#include "table/csv.h"

namespace vedette::bench {
namespace {

struct Input {
  std::string what;
  std::string text;
  int64_t rows = 0;
};

Input Numbers(int64_t bytes, int decimals, std::string_view what, uint64_t seed) {
  constexpr int kColumns = 20;
  Rng rng(seed);
  Input input{.what = std::string(what)};
  for (int j = 0; j < kColumns; ++j) input.text += fmt::format("{}c{}", j > 0 ? "," : "", j);
  input.text += '\n';
  while (static_cast<int64_t>(input.text.size()) < bytes) {
    for (int j = 0; j < kColumns; ++j) {
      fmt::format_to(std::back_inserter(input.text), "{}{:.{}f}", j > 0 ? "," : "", 100 * rng.Normal(), decimals);
    }
    input.text += '\n';
    ++input.rows;
  }
  return input;
}

absl::StatusOr<Input> Orders(int64_t bytes, uint64_t seed) {
  Input input{.what = "orders: numbers, categories, times, ids"};
  const generate::Options options{.kind = generate::Kind::kTable, .rows = std::max<int64_t>(1, bytes / 87), .seed = seed};
  RETURN_IF_ERROR(generate::Generate(options, [&input](std::string_view piece) {
    input.text += piece;
    return absl::OkStatus();
  }));
  input.rows = options.rows;
  return input;
}

absl::StatusOr<int64_t> ReadOnce(const std::string& text, bool whole_table) {
  if (whole_table) {
    ASSIGN_OR_RETURN(const table::CsvFile file, table::ReadCsvText(text));
    return file.table.rows();
  }
  int64_t rows = 0;
  table::CsvReader reader({}, [&rows](table::Table&& batch) {
    rows += batch.rows();
    return absl::OkStatus();
  });
  RETURN_IF_ERROR(reader.Feed(text));
  RETURN_IF_ERROR(reader.Finish());
  return rows;
}

double ProcessorSeconds() {
  timespec t = {};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_nsec) * 1e-9;
}

}  // namespace

absl::StatusOr<std::vector<CsvTiming>> MeasureCsv(int64_t bytes, int repeats, uint64_t seed) {
  std::vector<Input> inputs = {Numbers(bytes, 3, "20 numbers a row, 3 decimals", seed),
                               Numbers(bytes, 12, "20 numbers a row, 12 decimals", seed)};
  ASSIGN_OR_RETURN(Input orders, Orders(bytes, seed));
  inputs.push_back(std::move(orders));
  std::vector<CsvTiming> timings;
  for (const Input& input : inputs) {
    for (const bool whole_table : {false, true}) {
      CsvTiming timing{input.what, whole_table, static_cast<int64_t>(input.text.size()), input.rows};
      for (int i = 0; i < std::max(1, repeats); ++i) {
        const double start = ProcessorSeconds();
        ASSIGN_OR_RETURN(const int64_t rows, ReadOnce(input.text, whole_table));
        const double seconds = ProcessorSeconds() - start;
        if (rows != input.rows) return Internal("{}: {} rows were written, {} were read", input.what, input.rows, rows);
        timing.seconds = i == 0 ? seconds : std::min(timing.seconds, seconds);
      }
      timings.push_back(timing);
    }
  }
  return timings;
}

}  // namespace vedette::bench
