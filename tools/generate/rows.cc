#include "generate/rows.h"

#include <fmt/format.h>

#include <chrono>
#include <cmath>

namespace vedette::generate {
namespace {

constexpr size_t kPiece = 64 << 10;

std::string DateText(std::chrono::sys_days day) {
  const std::chrono::year_month_day ymd(day);
  return fmt::format("{:04}-{:02}-{:02}", static_cast<int>(ymd.year()), static_cast<unsigned>(ymd.month()),
                     static_cast<unsigned>(ymd.day()));
}

constexpr std::chrono::sys_days kFirstDay{std::chrono::year(2024) / 1 / 1};

}  // namespace

void RowWriter::Header(std::string_view line) {
  text_ += line;
  text_ += ",label,anomaly_kind\n";
}

void RowWriter::Separate() {
  if (in_row_) text_ += ',';
  in_row_ = true;
}

RowWriter& RowWriter::Text(std::string_view text) {
  Separate();
  text_ += text;
  return *this;
}

RowWriter& RowWriter::Integer(int64_t value) {
  Separate();
  fmt::format_to(std::back_inserter(text_), "{}", value);
  return *this;
}

RowWriter& RowWriter::Number(double value, int decimals) {
  Separate();
  fmt::format_to(std::back_inserter(text_), "{:.{}f}", value, decimals);
  return *this;
}

RowWriter& RowWriter::Missing() {
  Separate();
  return *this;
}

void RowWriter::EndRow(std::string_view anomaly_kind) {
  text_ += anomaly_kind.empty() ? ",0," : ",1,";
  text_ += anomaly_kind;
  text_ += '\n';
  in_row_ = false;
  --left_;
  if (text_.size() >= kPiece) Flush();
}

void RowWriter::Flush() {
  if (status_.ok() && !text_.empty()) status_ = write_(text_);
  text_.clear();
}

absl::Status RowWriter::Finish() {
  Flush();
  return status_;
}

std::string DayText(int64_t days) { return DateText(kFirstDay + std::chrono::days(days)); }

std::string HourText(int64_t hours) { return fmt::format("{}T{:02}:00:00Z", DayText(hours / 24), hours % 24); }

std::string MonthText(int64_t months) { return fmt::format("{:04}-{:02}", 2021 + months / 12, months % 12 + 1); }

int64_t Poisson(Rng& rng, double mean) {
  if (mean >= 30) return std::max<int64_t>(0, std::llround(mean + std::sqrt(mean) * rng.Normal()));
  const double limit = std::exp(-mean);
  int64_t k = 0;
  for (double p = rng.Uniform(); p > limit; p *= rng.Uniform()) ++k;
  return k;
}

double LogNormal(Rng& rng, double median, double sigma) { return median * std::exp(sigma * rng.Normal()); }

bool Chance(Rng& rng, double probability) { return rng.Uniform() < probability; }

size_t Weighted(Rng& rng, std::initializer_list<double> weights) {
  double total = 0;
  for (const double w : weights) total += w;
  double at = rng.Uniform() * total;
  size_t i = 0;
  for (const double w : weights) {
    if (at < w) return i;
    at -= w;
    ++i;
  }
  return weights.size() - 1;
}

double StartProbability(double share, double length) { return share / (length * (1 - share) + share); }

}  // namespace vedette::generate
