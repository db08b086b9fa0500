#include "cli/results.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <set>

#include "base/status.h"
#include "cli/terminal.h"
#include "explain/words.h"
#include "table/rows.h"

namespace vedette::cli {
namespace {

constexpr int64_t kBlock = 256;  // rows explained and written at a time
constexpr int64_t kTableLimit = 20;
constexpr int64_t kMaxHeld = 1000000;  // rows held while a file is streamed

constexpr Flag kResult[] = {
    {.name = "format",
     .type = FlagType::kChoice,
     .default_value = "table",
     .choices = "table|json|csv",
     .doc = "how the result is written",
     .letter = 'f'},
    {.name = "output",
     .type = FlagType::kText,
     .value_name = "FILE",
     .doc = "write there instead of standard output",
     .letter = 'o'},
    {.name = "top-features",
     .type = FlagType::kInt,
     .value_name = "N",
     .default_value = "3",
     .min = 0,
     .max = 20000,
     .doc = "features named for each odd row"},
    {.name = "limit",
     .type = FlagType::kInt,
     .value_name = "N",
     .min = 0,
     .max = 1e15,
     .doc = "only the N most anomalous rows; 0: all (default 20 for table, 0 for json and csv)",
     .letter = 'n'},
    {.name = "all-rows", .type = FlagType::kSwitch, .doc = "every row with its score, not only the odd ones"},
    {.name = "false-discovery-rate",
     .type = FlagType::kReal,
     .value_name = "X",
     .min = 1e-9,
     .max = 0.999,
     .doc = "instead of the threshold: as many odd rows as keep the expected share of false ones below X, over the whole "
            "file; for rows that the model was not fitted on"},
    {.name = "rejection",
     .type = FlagType::kReal,
     .value_name = "T",
     .min = 0.1,
     .max = 700,
     .doc = "mark rows that are better left to a person: another training set would change their label with probability "
            "exp(-T) or more; 32 is usual"},
};

/// Explains rows block by block and hands them to the writer.
class Emitter {
 public:
  Emitter(const outlier::Model& model, ResultWriter* writer, const Context& ctx)
      : model_(model), writer_(writer), ctx_(ctx) {}

  /// rows[k] of `table` is row indices[k] of the file, with scores[k]; the rows before it in the table are its history.
  absl::Status Emit(const table::Table& table, std::span<const int64_t> rows, std::span<const int64_t> indices,
                    std::span<const outlier::RowScore> scores) {
    for (size_t begin = 0; begin < rows.size(); begin += kBlock) {
      const size_t count = std::min<size_t>(kBlock, rows.size() - begin);
      RETURN_IF_ERROR(
          Block(table, rows.subspan(begin, count), indices.subspan(begin, count), scores.subspan(begin, count)));
    }
    return absl::OkStatus();
  }
  int64_t written() const { return written_; }

 private:
  absl::Status Block(const table::Table& table, std::span<const int64_t> rows, std::span<const int64_t> indices,
                     std::span<const outlier::RowScore> scores) {
    RETURN_IF_ERROR(ctx_.Check());
    std::vector<int64_t> odd, odd_rows, odd_indices;
    std::vector<outlier::RowScore> odd_scores;
    for (size_t i = 0; i < scores.size(); ++i) {
      if (!scores[i].anomaly) continue;
      odd.push_back(static_cast<int64_t>(i));
      odd_rows.push_back(rows[i]);
      odd_indices.push_back(indices[i]);
      odd_scores.push_back(scores[i]);
    }
    std::vector<explain::Explanation> explanations;
    if (!odd.empty()) {
      ASSIGN_OR_RETURN(explanations, ExplainRows(model_, table, odd_rows, odd_indices, odd_scores, ctx_));
    }
    const table::Table block = table::TakeRows(table, rows);
    size_t next = 0;
    for (size_t i = 0; i < scores.size(); ++i) {
      const bool explained = next < odd.size() && odd[next] == static_cast<int64_t>(i);
      writer_->Row({indices[i], scores[i], explained ? &explanations[next] : nullptr, &block, static_cast<int64_t>(i)});
      next += explained;
      ++written_;
    }
    return absl::OkStatus();
  }

  const outlier::Model& model_;
  ResultWriter* writer_;
  const Context& ctx_;
  int64_t written_ = 0;
};

bool Higher(const outlier::RowScore& a, int64_t row_a, const outlier::RowScore& b, int64_t row_b) {
  return a.score != b.score ? a.score > b.score : row_a < row_b;
}

/// All rows are in memory: score, sort, write.
absl::Status WriteFromMemory(const ResultOptions& options, const Context& ctx, const Sample& sample,
                             const Header& header, bool trained_here, ResultWriter* writer, Totals* totals) {
  std::vector<outlier::RowScore> scores;
  if (trained_here) {
    scores = header.model->TrainingRows();
  } else {
    ASSIGN_OR_RETURN(const Matrix X, header.model->preparation().Apply(sample.table));
    ASSIGN_OR_RETURN(scores, header.model->Score(X, ctx));
  }
  outlier::Decide(header.model->scale(), options.decision, scores);
  std::vector<int64_t> order;
  for (size_t i = 0; i < scores.size(); ++i) {
    totals->anomalies += scores[i].anomaly;
    totals->rejected += scores[i].rejected;
    if (scores[i].anomaly || scores[i].rejected || options.all_rows) order.push_back(static_cast<int64_t>(i));
  }
  std::sort(order.begin(), order.end(), [&](int64_t a, int64_t b) {
    return Higher(scores[static_cast<size_t>(a)], a, scores[static_cast<size_t>(b)], b);
  });
  totals->listed = static_cast<int64_t>(order.size());
  if (options.limit > 0 && static_cast<int64_t>(order.size()) > options.limit) {
    order.resize(static_cast<size_t>(options.limit));
  }
  std::vector<outlier::RowScore> picked;
  for (const int64_t i : order) picked.push_back(scores[static_cast<size_t>(i)]);
  writer->Begin(header);
  Emitter emitter(*header.model, writer, ctx);
  RETURN_IF_ERROR(emitter.Emit(sample.table, order, order, picked));
  totals->written = emitter.written();
  return absl::OkStatus();
}

/// The highest rows of a stream, each with its cells and those of its history.
class Highest {
 public:
  Highest(int64_t limit, int64_t history) : limit_(limit), history_(history) {}

  absl::Status Offer(const table::Table& run, int64_t row, int64_t index, const outlier::RowScore& score) {
    if (limit_ > 0 && static_cast<int64_t>(held_.size()) == limit_) {
      const Held& least = held_.front();
      if (!Higher(score, index, least.score, least.index)) return absl::OkStatus();
      std::pop_heap(held_.begin(), held_.end(), Above);
      held_.pop_back();
    }
    const int64_t most = std::max<int64_t>(1, kMaxHeld / (history_ + 1));
    if (static_cast<int64_t>(held_.size()) >= most) {
      const std::string each = history_ > 0 ? fmt::format(", each with the {} before it", history_) : "";
      return ResourceExhausted("more than {} rows to sort{}: use {}--limit, or --format csv or json without a limit", most,
                               each, limit_ > 0 ? "a smaller " : "");
    }
    const int64_t first = std::max<int64_t>(0, row - history_);
    held_.push_back({index, score, table::SliceRows(run, first, row - first + 1)});
    std::push_heap(held_.begin(), held_.end(), Above);
    return absl::OkStatus();
  }

  absl::Status EmitTo(Emitter* emitter) {
    std::sort_heap(held_.begin(), held_.end(), Above);
    for (const Held& held : held_) {
      const int64_t last = held.cells.rows() - 1;
      RETURN_IF_ERROR(
          emitter->Emit(held.cells, std::span(&last, 1), std::span(&held.index, 1), std::span(&held.score, 1)));
    }
    return absl::OkStatus();
  }

 private:
  struct Held {
    int64_t index;
    outlier::RowScore score;
    table::Table cells;
  };
  static bool Above(const Held& a, const Held& b) { return Higher(a.score, a.index, b.score, b.index); }
  int64_t limit_, history_;
  std::vector<Held> held_;  // a heap with the least of them in front
};

/// The file is larger than memory: score it batch by batch.
absl::Status WriteFromStream(const ResultOptions& options, const Session& session, const Input& input,
                             const Header& header, const table::CsvOptions& csv, ResultWriter* writer, Totals* totals) {
  const Context& ctx = session.context();
  Emitter emitter(*header.model, writer, ctx);
  const table::Preparation& preparation = header.model->preparation();
  Highest highest(options.limit, preparation.history());
  table::RowHistory history(preparation.history());
  const bool sorted = options.limit > 0 || options.format == "table";
  int64_t begin = 0;
  writer->Begin(header);
  const auto report = input.Stream(csv, "scoring", session.quiet(), [&](table::Table&& batch) -> absl::Status {
    ASSIGN_OR_RETURN(const table::RowHistory::Run run, history.Next(std::move(batch)));
    ASSIGN_OR_RETURN(const Matrix X, preparation.Apply(run.table, run.context_rows));
    ASSIGN_OR_RETURN(auto scores, header.model->Score(X, ctx));
    outlier::Decide(header.model->scale(), options.decision, scores);
    std::vector<int64_t> rows, indices;
    std::vector<outlier::RowScore> picked;
    for (size_t i = 0; i < scores.size(); ++i) {
      totals->anomalies += scores[i].anomaly;
      totals->rejected += scores[i].rejected;
      if (!scores[i].anomaly && !scores[i].rejected && !options.all_rows) continue;
      ++totals->listed;
      const auto place = static_cast<int64_t>(i);
      if (sorted) {
        RETURN_IF_ERROR(highest.Offer(run.table, run.context_rows + place, begin + place, scores[i]));
        continue;
      }
      rows.push_back(run.context_rows + place);
      indices.push_back(begin + place);
      picked.push_back(scores[i]);
    }
    begin += X.rows();
    return emitter.Emit(run.table, rows, indices, picked);
  });
  if (!report.ok()) return report.status();
  if (sorted) RETURN_IF_ERROR(highest.EmitTo(&emitter));
  totals->written = emitter.written();
  return absl::OkStatus();
}

}  // namespace

constinit const FlagGroup kResultFlags = {"Result", kResult};

ResultOptions ResultOptionsFrom(const Args& args) {
  ResultOptions out;
  out.format = args.Text("format");
  out.top_features = static_cast<size_t>(args.Int("top-features"));
  out.limit = args.Given("limit") ? args.Int("limit") : out.format == "table" ? kTableLimit : 0;
  out.all_rows = args.Switch("all-rows");
  if (args.Given("false-discovery-rate")) out.decision.false_discovery_rate = args.Real("false-discovery-rate");
  if (args.Given("rejection")) out.decision.rejection_tolerance = args.Real("rejection");
  return out;
}

absl::StatusOr<std::vector<explain::Explanation>> ExplainRows(const outlier::Model& model, const table::Table& table,
                                                              std::span<const int64_t> rows,
                                                              std::span<const int64_t> indices,
                                                              std::span<const outlier::RowScore> scores,
                                                              const Context& ctx) {
  ASSIGN_OR_RETURN(const Matrix X, model.preparation().ApplyRows(table, rows));
  std::string space;
  ASSIGN_OR_RETURN(auto contributions, model.Explain(X, ctx, &space, &table, rows));
  std::vector<explain::Explanation> out;
  for (size_t i = 0; i < contributions.size(); ++i) {
    explain::Request request;
    request.subject = fmt::format("Row {}", explain::FormatCount(indices[i]));
    request.score = scores[i];
    request.threshold = model.scale().threshold();
    request.space = space;
    request.features = std::move(contributions[i]);
    out.push_back(explain::Explain(request));
  }
  return out;
}

std::string PickForecast(const outlier::Pick& pick, int64_t rows) {
  const double seconds = pick.cost.fit_seconds + pick.cost.score_seconds_per_row * static_cast<double>(rows);
  const std::string quality = pick.expected_quality > 0 ? fmt::format("expected ROC AUC {:.2f}, ", pick.expected_quality) : "";
  return quality + (seconds < 0.1 ? "under 0.1 s" : fmt::format("about {} s", explain::FormatNumber(seconds, 2)));
}

std::vector<std::string> SummaryLines(const Header& header, const Totals& totals) {
  std::set<std::string> used;
  for (const auto& f : header.model->preparation().features()) used.insert(f.source_column);
  std::vector<std::string> lines;
  lines.push_back(fmt::format("{}: {} row{}, {} of {} columns used", header.file, explain::FormatCount(totals.rows),
                              totals.rows == 1 ? "" : "s", used.size(), header.columns.size()));
  for (const auto& note : header.model->preparation().notes()) {
    lines.push_back(fmt::format("Note: {}", explain::SafeText(note, 300)));
  }
  if (const int64_t history = header.model->preparation().history(); history > 0) {
    lines.push_back(
        fmt::format("Window: each row with the {} before it", history == 1 ? "row" : fmt::format("{} rows", history)));
  }
  std::string algorithm = fmt::format("Algorithm: {}", header.model->descriptor().name);
  if (!header.reason.empty()) algorithm += fmt::format(" (auto: {})", header.reason);
  if (!header.model_file.empty()) algorithm += fmt::format(", model {}", header.model_file);
  lines.push_back(algorithm);
  for (size_t i = 0; i < header.picks.size(); ++i) {
    const outlier::Pick& pick = header.picks[i];
    lines.push_back(fmt::format("  {} {}: {}{}", i == 0 ? "chosen" : "else", pick.algorithm, PickForecast(pick, header.training_rows),
                                i == 0 || pick.reason == header.reason ? "" : "; " + pick.reason));
  }
  if (header.sampled) {
    lines.push_back(
        header.model_file.empty()
            ? fmt::format("The file is large: fitted on a random sample of {} rows, then every row was scored "
                          "in a second pass",
                          explain::FormatCount(header.training_rows))
            : "The file is large: its rows were scored as they were read");
  }
  const double contamination = header.model->scale().contamination();
  const std::string& rule = header.model->scale().rule();
  const std::string by = rule.empty() ? "" : fmt::format(" ({})", rule);
  lines.push_back(fmt::format("Threshold: {}{}, which the highest {}% of the training scores exceed",
                              explain::FormatNumber(header.model->scale().threshold(), 4), by,
                              explain::FormatNumber(100 * contamination, 3)));
  if (header.decision.false_discovery_rate > 0) {
    lines.push_back(fmt::format("Odd rows are those that keep the expected share of false ones below {}%, whatever the threshold",
                                explain::FormatNumber(100 * header.decision.false_discovery_rate, 3)));
  }
  if (header.decision.rejection_tolerance > 0) {
    lines.push_back(fmt::format("Better left to a person: {} rows", explain::FormatCount(totals.rejected)));
  }
  if (totals.bad_cells > 0) {
    lines.push_back(fmt::format("Bad cells, treated as missing: {}", explain::FormatCount(totals.bad_cells)));
  }
  lines.push_back(totals.anomalies == 0
                      ? "Odd rows: none"
                      : fmt::format("Odd rows: {} ({})", explain::FormatCount(totals.anomalies),
                                    explain::FormatPercent(static_cast<double>(totals.anomalies) /
                                                           static_cast<double>(std::max<int64_t>(1, totals.rows)))));
  return lines;
}

absl::Status WriteResults(const Args& args, const Session& session, const Input& input, const Sample& sample,
                          Header header, bool trained_here, const table::CsvOptions& csv) {
  const ResultOptions options = ResultOptionsFrom(args);
  header.file = input.name();
  header.columns = table::SchemaOf(sample.table);
  header.sampled = !sample.complete;
  header.decision = options.decision;
  if (!sample.complete && options.decision.false_discovery_rate > 0) {
    return FailedPrecondition("--false-discovery-rate decides about all rows together, and the file has more than are held: raise "
                              "--sample-rows and --memory-limit, or leave it to the threshold");
  }
  header.training_rows = header.model->training_rows();
  if (!sample.complete && options.limit == 0 && options.format != "table") header.order = "row_index";
  ASSIGN_OR_RETURN(Output out, Output::Open(args.Text("output")));
  const auto writer = options.format == "json"  ? JsonWriter(options, &out)
                      : options.format == "csv" ? CsvWriter(options, &out)
                                                : TableWriter(options, &out);
  Totals totals;
  totals.rows = sample.rows;
  totals.bad_cells = sample.report.bad_cells;
  if (sample.complete) {
    RETURN_IF_ERROR(WriteFromMemory(options, session.context(), sample, header, trained_here, writer.get(), &totals));
  } else {
    table::CsvOptions again = csv;
    again.schema = header.columns;
    RETURN_IF_ERROR(WriteFromStream(options, session, input, header, again, writer.get(), &totals));
  }
  writer->End(header, totals);
  if (options.format == "csv" && !session.quiet()) {
    for (const auto& line : SummaryLines(header, totals)) fmt::print(stderr, "{}\n", line);
  }
  return out.Commit();
}

}  // namespace vedette::cli
