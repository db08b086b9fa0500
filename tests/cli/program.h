// Runs the real `vedette` program and reads what it says.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace vedette::cli_test {

struct Outcome {
  int code = -1;  ///< exit code, or 128 + signal
  std::string out;
  std::string err;
  nlohmann::json json() const { return nlohmann::json::parse(out); }
};

/// Runs vedette with these arguments and this standard input, without a terminal.
Outcome Vedette(const std::vector<std::string>& args, std::string_view input = "");

/// A folder of this test case, removed at its end.
class Folder {
 public:
  Folder();
  ~Folder();
  Folder(const Folder&) = delete;
  /// Writes a file and returns its path.
  std::string Write(std::string_view name, std::string_view bytes) const;
  std::string Path(std::string_view name) const { return path_ + "/" + std::string(name); }

 private:
  std::string path_;
};

std::string ReadFile(const std::string& path);
bool Exists(const std::string& path);

/// 200 ordinary rows of units and price and a colour, and one row (100) that is odd in units.
std::string SmallTable();
/// The same with a column `label` that is 1 for row 100 and for a second odd row, 150.
std::string LabelledTable();
/// gzip's format.
std::string Gzip(std::string_view bytes);

}  // namespace vedette::cli_test
