// How soon a computation ends that is told to stop: fits and scorings of many rows on one thread, stopped at several
// moments; the longest wait counts.
#include <absl/time/clock.h>
#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <future>

#include "base/status.h"
#include "bench/bench.h"
#include "bench/peers.h"

namespace vedette::bench {
namespace {

struct Waits {
  double longest_ms = 0;
  int stopped = 0;  ///< how often it was still running
};

/// Runs `work` anew for each moment, asks it to stop then, and waits for it.
absl::Status Stop(const std::function<absl::Status(const Context&)>& work, Waits* waits) {
  for (const int after_ms : {1, 10, 50, 200, 700}) {
    std::stop_source stop;
    Context ctx;
    ctx.stop = stop.get_token();
    auto running = std::async(std::launch::async, [&] { return work(ctx); });
    if (running.wait_for(std::chrono::milliseconds(after_ms)) == std::future_status::timeout) {
      const absl::Time asked = absl::Now();
      stop.request_stop();
      running.wait();
      waits->longest_ms = std::max(waits->longest_ms, absl::ToDoubleMilliseconds(absl::Now() - asked));
      ++waits->stopped;
    }
    const absl::Status status = running.get();
    if (!status.ok() && !absl::IsCancelled(status)) return status;
  }
  return absl::OkStatus();
}

/// As many rows as the descriptor says take two seconds or more to fit.
int64_t RowsFor(const outlier::Descriptor& algorithm, const outlier::ParamSet& params, int64_t most, int64_t columns) {
  int64_t rows = 1000;
  while (rows < most && algorithm.cost(params, rows, columns).fit_seconds < 2) rows *= 2;
  return std::min(rows, most);
}

std::string Shown(const Waits& waits) {
  return waits.stopped == 0 ? "sooner done" : fmt::format("{:.1f} ms", waits.longest_ms);
}

}  // namespace

absl::Status RunCancel(std::span<char* const> args) {
  ASSIGN_OR_RETURN(const Flags flags,
                   Flags::Parse(args, {{"algorithms", "every"}, {"most-rows", "500000"}, {"columns", "20"}}));
  ASSIGN_OR_RETURN(const int64_t most, flags.Int("most-rows", 1000, 10000000));
  ASSIGN_OR_RETURN(const int64_t columns, flags.Int("columns", 1, 1000));
  ASSIGN_OR_RETURN(const auto algorithms, ChosenAlgorithms(flags.Text("algorithms")));
  const Matrix X = Normal(most, columns);
  fmt::print("The longest of up to five waits after a stop, one thread, {} columns\n{:<18} {:>9} {:>12} {:>12}\n",
             columns, "", "rows", "fit", "score");
  double longest = 0;
  for (const outlier::Descriptor* algorithm : algorithms) {
    ASSIGN_OR_RETURN(const auto params, outlier::ParamSet::Make(algorithm->params, {}));
    const int64_t rows = RowsFor(*algorithm, params, most, columns);
    const MatrixView many = X.view().Rows(0, rows);
    std::vector<outlier::Label> labels(static_cast<size_t>(rows), outlier::Label::kUnknown);
    for (size_t i = 0; i < labels.size(); i += 20)
      labels[i] = i % 100 == 0 ? outlier::Label::kAnomaly : outlier::Label::kNormal;
    const auto fit = [&](outlier::Detector& detector, MatrixView from, const Context& ctx) {
      return algorithm->needs_labels
                 ? detector.FitLabelled(from, std::span(labels).first(static_cast<size_t>(from.rows)), ctx)
                 : detector.Fit(from, ctx);
    };
    Waits fits, scores;
    absl::Status status = Stop([&](const Context& ctx) { return fit(*algorithm->make(params), many, ctx); }, &fits);
    const auto small = algorithm->make(params);
    std::vector<double> out(static_cast<size_t>(most));
    if (status.ok()) status = fit(*small, X.view().Rows(0, 1000), Context{});
    if (status.ok()) status = Stop([&](const Context& ctx) { return small->Score(X, out, ctx); }, &scores);
    fmt::print("{:<18} {:>9} {:>12} {:>12}{}\n", algorithm->name, rows, Shown(fits), Shown(scores),
               status.ok() ? std::string() : fmt::format("  {}", Message(status)));
    std::fflush(stdout);
    longest = std::max({longest, fits.longest_ms, scores.longest_ms});
  }
  fmt::print("\nlongest {:.1f} ms (at most 100 ms is promised)\n", longest);
  return absl::OkStatus();
}

}  // namespace vedette::bench
