// The shared data and reference results that lie beside the repository (../shared), read for comparison.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/matrix.h"

namespace vedette::oracle {

/// False when the shared folder is absent: a developer's machine then skips loudly, CI (environment variable CI set) fails.
/// Use as `if (!SharedDataPresent()) return;`.
bool SharedDataPresent();
std::string SharedPath(const std::string& relative);

/// Under a sanitizer only a part of the work is done, so that the test stays quick.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
inline constexpr bool kSanitized = true;
#else
inline constexpr bool kSanitized = false;
#endif

/// A CSV (plain or gzip) with one header line; cells as text, no quotes.
struct Csv {
  std::vector<std::string> header;
  std::vector<std::vector<std::string>> rows;
  /// Index of a header, or -1.
  int Find(const std::string& name) const;
  std::vector<double> Numbers(const std::string& name) const;
};
Csv ReadCsv(const std::string& path);

struct DataSet {
  Matrix X;
  std::vector<uint8_t> labels;
};
/// A set of data/tabular by name ("wine"), thinned to `rows` rows (row i * n / rows) when it has more; 0 = all.
DataSet LoadSet(const std::string& name, int64_t rows = 0);

/// Rows begin..end of a matrix, copied.
Matrix CopyRows(const Matrix& X, int64_t begin, int64_t end);

}  // namespace vedette::oracle
