#include <fmt/format.h>

#include <set>

#include "cli/results.h"

namespace vedette::cli {
namespace {

std::string Quoted(std::string_view text) {
  if (text.find_first_of(",\"\r\n") == std::string_view::npos) return std::string(text);
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"') out += '"';
    out += c;
  }
  return out + '"';
}

std::string Shortest(double v) { return std::isfinite(v) ? fmt::format("{}", v) : ""; }

/// row_index, anomaly_score, probability, severity, is_anomaly, then feature/actual/expected/contribution (and lag,
/// where rows have windows) for each of the top features, confidence, linear_probability and p_value, rejected where
/// that was asked for, then the columns of the file.
class CsvRows final : public ResultWriter {
 public:
  CsvRows(const ResultOptions& options, Output* out) : options_(options), out_(out) {}

  void Begin(const Header& header) override {
    std::vector<std::string> names = {"row_index", "anomaly_score", "probability", "severity", "is_anomaly"};
    const size_t most = header.model->preparation().features().size();
    features_ = std::min(options_.top_features, most);
    windows_ = header.model->preparation().history() > 0;
    for (size_t k = 1; k <= features_; ++k) {
      for (const char* what : {"feature", "actual", "expected", "contribution"}) {
        names.push_back(fmt::format("{}_{}", what, k));
      }
      if (windows_) names.push_back(fmt::format("lag_{}", k));
    }
    names.insert(names.end(), {"confidence", "linear_probability", "p_value"});
    if (options_.decision.rejection_tolerance > 0) names.push_back("rejected");
    scale_ = &header.model->scale();
    const std::set<std::string> taken(names.begin(), names.end());
    for (const auto& column : header.columns) {
      names.push_back(taken.contains(column.name) ? "raw_" + column.name : column.name);
    }
    std::string line;
    for (const auto& name : names) line += (line.empty() ? "" : ",") + Quoted(name);
    out_->Write(line + "\n");
  }

  void Row(const ResultRow& row) override {
    std::string line =
        fmt::format("{},{},{},{},{}", row.row_index, Shortest(row.score.score), Shortest(row.score.probability),
                    outlier::SeverityName(row.score.severity), row.score.anomaly ? 1 : 0);
    for (size_t k = 0; k < features_; ++k) {
      const auto* e = row.explanation;
      if (e == nullptr || k >= e->contributions.size() || e->contributions[k].contribution <= 0) {
        line += windows_ ? ",,,,," : ",,,,";
        continue;
      }
      const auto& c = e->contributions[k];
      line +=
          fmt::format(",{},{},{},{}", Quoted(c.feature_name), Quoted(c.numeric ? Shortest(c.actual) : c.actual_text),
                      Quoted(c.numeric ? Shortest(c.expected) : c.expected_text), Shortest(c.contribution));
      if (windows_) line += fmt::format(",{}", c.lag);
    }
    line += fmt::format(",{},{},{}", Shortest(row.score.confidence), Shortest(scale_->LinearProbability(row.score.score)),
                        Shortest(scale_->PValue(row.score.score)));
    if (options_.decision.rejection_tolerance > 0) line += row.score.rejected ? ",1" : ",0";
    for (const auto& column : row.table->columns) line += "," + Quoted(column.Text(row.table_row));
    out_->Write(line + "\n");
  }

  void End(const Header&, const Totals&) override {}

 private:
  ResultOptions options_;
  Output* out_;
  const outlier::ScoreScale* scale_ = nullptr;
  size_t features_ = 0;
  bool windows_ = false;
};

}  // namespace

std::unique_ptr<ResultWriter> CsvWriter(const ResultOptions& options, Output* out) {
  return std::make_unique<CsvRows>(options, out);
}

}  // namespace vedette::cli
