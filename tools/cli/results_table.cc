#include <fmt/format.h>
#include <unistd.h>

#include "cli/results.h"
#include "cli/terminal.h"
#include "explain/words.h"

namespace vedette::cli {
namespace {

Style StyleOf(outlier::Severity severity) {
  switch (severity) {
    case outlier::Severity::kCritical:
      return Style::kBoldRed;
    case outlier::Severity::kHigh:
      return Style::kRed;
    case outlier::Severity::kMedium:
      return Style::kYellow;
    case outlier::Severity::kLow:
    case outlier::Severity::kNone:
      return Style::kPlain;
  }
  return Style::kPlain;
}

/// The summary stands above the rows, so rows are kept as text until the end; a limit is set by default.
class Table final : public ResultWriter {
 public:
  Table(const ResultOptions& options, Output* out)
      : options_(options),
        out_(out),
        width_(out->to_stdout() ? static_cast<size_t>(TerminalWidth(STDOUT_FILENO)) : 80),
        colour_(out->to_stdout() && UseColour(STDOUT_FILENO)) {}

  void Begin(const Header&) override {}

  void Row(const ResultRow& row) override {
    const std::string left = fmt::format(
        "{:>9} {:>9} {:>6}  {:<9}", explain::FormatCount(row.row_index), explain::FormatNumber(row.score.score, 4),
        explain::FormatPercent(row.score.probability), outlier::SeverityName(row.score.severity));
    std::vector<std::string> lines = Reasons(row);
    if (row.score.rejected) lines.insert(lines.begin(), Fit(row.score.anomaly ? "close to the threshold: decide yourself" : "not odd, but close: decide yourself"));
    if (lines.empty()) lines.emplace_back();
    rows_ += Styled(left, StyleOf(row.score.severity), colour_) + lines[0] + "\n";
    for (size_t i = 1; i < lines.size(); ++i) rows_ += fmt::format("{:{}}{}\n", "", kReasonsAt, lines[i]);
  }

  void End(const Header& header, const Totals& totals) override {
    for (const auto& text : SummaryLines(header, totals)) {
      const auto lines = Wrap(text, width_ - 2);
      for (size_t i = 0; i < lines.size(); ++i) out_->Write(fmt::format("{}{}\n", i == 0 ? "" : "  ", lines[i]));
    }
    if (totals.written == 0) return;
    const std::string title =
        fmt::format("{:>9} {:>9} {:>6}  {:<9}{}", "row", "score", "prob.", "severity", "what is odd");
    out_->Write("\n" + Styled(title, Style::kBold, colour_) + "\n" + rows_);
    if (totals.listed > totals.written) {
      out_->Write(fmt::format("\n{} more; --limit 0 shows all. Row 0 is the first row after the header.\n",
                              explain::FormatCount(totals.listed - totals.written)));
    } else {
      out_->Write("\nRow 0 is the first row after the header.\n");
    }
  }

 private:
  static constexpr size_t kReasonsAt = 37;

  std::vector<std::string> Reasons(const ResultRow& row) const {
    std::vector<std::string> lines;
    if (row.explanation == nullptr) return lines;
    for (const auto& c : row.explanation->contributions) {
      if (lines.size() >= options_.top_features || c.contribution <= 0) break;
      lines.push_back(Fit(explain::ShortPhrase(c)));
    }
    if (row.explanation->no_single_driver && !lines.empty()) {
      lines.insert(lines.begin(), Fit("the combination, no single column:"));
    }
    return lines;
  }

  /// At most what is left of the terminal's line.
  std::string Fit(const std::string& text) const {
    const size_t room = width_ > kReasonsAt + 24 ? width_ - kReasonsAt : 24;
    return explain::Width(text) <= room ? text : explain::SafeText(text, room - 1);
  }

  ResultOptions options_;
  Output* out_;
  size_t width_;
  bool colour_;
  std::string rows_;
};

}  // namespace

std::unique_ptr<ResultWriter> TableWriter(const ResultOptions& options, Output* out) {
  return std::make_unique<Table>(options, out);
}

}  // namespace vedette::cli
