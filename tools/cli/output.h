// Where results go: standard output, or a file that appears only when it is complete.
#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <cmath>
#include <cstdint>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace vedette::cli {

using Json = nlohmann::ordered_json;

/// Buffered writing. A file is written under another name beside it and renamed by Commit; without Commit (an error, an
/// interrupt) nothing is left and what was there before stays.
class Output {
 public:
  /// "" or "-" is standard output.
  static absl::StatusOr<Output> Open(const std::string& path);
  ~Output();
  Output(Output&& other) noexcept;
  Output& operator=(Output&&) = delete;

  void Write(std::string_view text);
  /// Whether everything written so far was accepted: for long writers, which should stop when the disk is full.
  absl::Status Healthy() const;
  bool to_stdout() const { return file_ == stdout; }
  /// Errors: the disk is full, the folder is gone...
  absl::Status Commit();

 private:
  Output(std::FILE* file, std::string path, std::string partial)
      : file_(file), path_(std::move(path)), partial_(std::move(partial)) {}
  std::string Name() const;
  std::FILE* file_ = nullptr;
  std::string path_, partial_;
};

/// The value, or null when it is not finite: JSON has no NaN.
inline Json Number(double v) { return std::isfinite(v) ? Json(v) : Json(nullptr); }
/// The same for a value of a table: a whole number without ".0", as people write it.
inline Json CellNumber(double v) {
  return std::isfinite(v) && v == std::floor(v) && std::fabs(v) < 1e15 ? Json(static_cast<int64_t>(v)) : Number(v);
}
/// One line, or indented; invalid UTF-8 becomes U+FFFD.
std::string Dump(const Json& json, int indent = -1);

}  // namespace vedette::cli
