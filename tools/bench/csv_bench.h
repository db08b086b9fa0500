// How fast CSV text becomes columns.
#pragma once

#include <absl/status/statusor.h>

#include <cstdint>
#include <string>
#include <vector>

namespace vedette::bench {

struct CsvTiming {
  std::string what;           ///< "20 numbers a row", "orders"...
  bool whole_table = false;   ///< one table of everything, against batches that are dropped
  int64_t bytes = 0;
  int64_t rows = 0;
  double seconds = 0;         ///< processor time of the best repeat, one thread
  double megabytes_per_second() const { return static_cast<double>(bytes) / 1e6 / seconds; }
};

/// Makes about `bytes` of text of each sort from the seed and reads it `repeats` times from memory, end to end: types
/// inferred, columns filled. Errors: a reading that fails, or that does not give the rows that were written.
absl::StatusOr<std::vector<CsvTiming>> MeasureCsv(int64_t bytes, int repeats, uint64_t seed);

}  // namespace vedette::bench
