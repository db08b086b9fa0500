// What the generators share: a CSV row writer, a calendar, a few distributions.
#pragma once

#include <absl/status/status.h>

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "base/rng.h"
#include "generate/generate.h"

namespace vedette::generate {

/// Builds rows and passes them on in pieces. After EndRow says Done, nothing more is to be written: the wanted number of
/// rows is reached or the receiver failed.
class RowWriter {
 public:
  using WriteFn = std::function<absl::Status(std::string_view)>;
  RowWriter(int64_t max_rows, const WriteFn& write) : left_(max_rows), write_(write) {}

  void Header(std::string_view line);
  RowWriter& Text(std::string_view text);
  RowWriter& Integer(int64_t value);
  /// With a fixed number of decimals.
  RowWriter& Number(double value, int decimals);
  RowWriter& Missing();
  /// Writes label and anomaly kind ("" means normal) and ends the row.
  void EndRow(std::string_view anomaly_kind);
  bool Done() const { return left_ <= 0 || !status_.ok(); }
  /// Passes on what is left.
  absl::Status Finish();

 private:
  void Separate();
  void Flush();
  int64_t left_;
  const WriteFn& write_;
  std::string text_;
  bool in_row_ = false;
  absl::Status status_;
};

/// "2024-03-01" and "2024-03-01T05:00:00Z", so many days or hours after 2024-01-01; "2024-03", so many months after 2021-01.
std::string DayText(int64_t days);
std::string HourText(int64_t hours);
std::string MonthText(int64_t months);

/// Poisson: Knuth's product method below 30, above it the rounded normal approximation, cut at 0.
int64_t Poisson(Rng& rng, double mean);
double LogNormal(Rng& rng, double median, double sigma);
bool Chance(Rng& rng, double probability);
/// Index drawn with these weights.
size_t Weighted(Rng& rng, std::initializer_list<double> weights);

/// Probability with which an anomaly of mean length `length` must begin at each free step, so that the wanted share of
/// all steps is anomalous.
double StartProbability(double share, double length);

void WriteTelemetry(const Options& options, RowWriter& out);
void WriteTable(const Options& options, RowWriter& out);
void WriteStatements(const Options& options, RowWriter& out);
void WriteRetail(const Options& options, RowWriter& out);

}  // namespace vedette::generate
