// How the cost of a fit grows: processor seconds on one thread for more and more rows of a normal cloud, beside the law in
// the algorithm's descriptor; a table, and a picture with a panel per algorithm.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <fstream>

#include "base/status.h"
#include "bench/bench.h"
#include "bench/peers.h"

namespace vedette::bench {
namespace {

constexpr int64_t kLeastRows = 100;

struct Point {
  int64_t rows = 0;
  double seconds = 0, claimed = 0;
};

struct Curve {
  std::string_view name;
  std::vector<Point> points;
  std::string note;             ///< why it ends early
  double measured = 0, claimed = 0;  ///< exponents over the upper half of the points
};

/// The slope of log y over log n by least squares, over the upper half of the points (at least two).
template <typename Y>
double Exponent(const std::vector<Point>& points, const Y& y) {
  const size_t begin = points.size() > 3 ? points.size() / 2 - 1 : 0;
  double n = 0, sx = 0, sy = 0, sxx = 0, sxy = 0;
  for (size_t i = begin; i < points.size(); ++i) {
    const double lx = std::log(static_cast<double>(points[i].rows)), ly = std::log(y(points[i]));
    n += 1, sx += lx, sy += ly, sxx += lx * lx, sxy += lx * ly;
  }
  const double denominator = n * sxx - sx * sx;
  return n < 2 || denominator <= 0 ? 0 : (n * sxy - sx * sy) / denominator;
}

absl::StatusOr<Curve> Measure(const outlier::Descriptor& algorithm, const Matrix& X, int64_t most, double limit) {
  ASSIGN_OR_RETURN(const auto params, outlier::ParamSet::Make(algorithm.params, {}));
  Curve curve{.name = algorithm.name};
  // Of a dear algorithm, which a few thousand rows end, smaller fits are shown, too.
  const bool dear = algorithm.cost(params, 3000, X.cols()).fit_seconds > limit;
  for (int64_t rows = dear ? kLeastRows : 1000; rows <= most; rows = rows * (curve.points.size() % 2 == 1 ? 3 : 10) / (curve.points.size() % 2 == 1 ? 1 : 3)) {
    const outlier::Cost cost = algorithm.cost(params, rows, X.cols());
    if (!curve.points.empty()) {
      const Point& last = curve.points.back();
      const double next = last.seconds * std::max(cost.fit_seconds / last.claimed, static_cast<double>(rows) / static_cast<double>(last.rows));
      if (next > limit) {
        curve.note = fmt::format("{} rows would take about {:.0f} s", rows, next);
        break;
      }
    }
    absl::Status status;
    const double seconds = BestOf(3, [&] { status = algorithm.make(params)->Fit(X.view().Rows(0, rows), {}); }, 2);
    if (!status.ok()) {
      curve.note = Message(status);
      break;
    }
    curve.points.push_back({rows, std::max(seconds, 1e-7), cost.fit_seconds});
  }
  curve.measured = Exponent(curve.points, [](const Point& p) { return p.seconds; });
  curve.claimed = Exponent(curve.points, [](const Point& p) { return p.claimed; });
  return curve;
}

void Print(const Curve& curve) {
  fmt::print("{:<16}", curve.name);
  if (!curve.points.empty() && curve.points.front().rows < 1000) fmt::print(" from {} rows:", curve.points.front().rows);
  for (const Point& p : curve.points) fmt::print(" {:>9.2e}", p.seconds);
  fmt::print("{}  n^{:.2f}, descriptor n^{:.2f}{}{}\n", std::string(10 * (7 - std::min<size_t>(7, curve.points.size())), ' '), curve.measured,
             curve.claimed, curve.note.empty() ? "" : "; ", curve.note);
  std::fflush(stdout);
}

/// Panels of log seconds over log rows: dots as measured, a line as the descriptor says.
void WritePicture(const std::vector<Curve>& curves, const std::string& path) {
  constexpr double kWidth = 190, kHeight = 130, kLeft = 34, kBottom = 22, kTop = 18;
  constexpr int kColumns = 6;
  const auto x = [](double rows) { return kLeft + (kWidth - kLeft - 8) * (std::log10(rows) - 2) / 4; };
  const auto y = [](double seconds) {
    const double share = (std::log10(std::clamp(seconds, 1e-5, 100.0)) + 5) / 7;
    return kTop + (kHeight - kTop - kBottom) * (1 - share);
  };
  const size_t lines = (curves.size() + kColumns - 1) / kColumns;
  std::ofstream out(path);
  out << fmt::format("<svg xmlns='http://www.w3.org/2000/svg' width='{}' height='{}' font-family='sans-serif' font-size='9'>\n"
                     "<rect width='100%' height='100%' fill='white'/>\n", kWidth * kColumns, kHeight * static_cast<double>(lines));
  for (size_t i = 0; i < curves.size(); ++i) {
    const Curve& curve = curves[i];
    out << fmt::format("<g transform='translate({},{})'><text x='{}' y='12' font-weight='bold'>{}</text>"
                       "<text x='{}' y='12' text-anchor='end' fill='#555'>n^{:.2f}</text>\n",
                       kWidth * static_cast<double>(i % kColumns), kHeight * static_cast<double>(i / kColumns), kLeft, curve.name,
                       kWidth - 8, curve.measured);
    for (int e = 2; e <= 6; ++e) {
      const double at = x(std::pow(10, e));
      out << fmt::format("<line x1='{0:.1f}' x2='{0:.1f}' y1='{1}' y2='{2}' stroke='#ddd'/><text x='{0:.1f}' y='{3}' text-anchor='middle' "
                         "fill='#555'>1e{4}</text>\n", at, kTop, kHeight - kBottom, kHeight - kBottom + 11, e);
    }
    for (int e = -5; e <= 2; ++e) {
      const double at = y(std::pow(10, e));
      out << fmt::format("<line x1='{0}' x2='{1}' y1='{2:.1f}' y2='{2:.1f}' stroke='#ddd'/>\n", kLeft, kWidth - 8, at);
      if ((e + 5) % 2 == 1) out << fmt::format("<text x='{}' y='{:.1f}' text-anchor='end' fill='#555'>1e{} s</text>\n", kLeft - 2, at + 3, e);
    }
    std::string law;
    for (const Point& p : curve.points) law += fmt::format("{:.1f},{:.1f} ", x(static_cast<double>(p.rows)), y(p.claimed));
    out << fmt::format("<polyline points='{}' fill='none' stroke='#d95f02'/>\n", law);
    for (const Point& p : curve.points) {
      out << fmt::format("<circle cx='{:.1f}' cy='{:.1f}' r='2.5' fill='#1b6ca8'/>\n", x(static_cast<double>(p.rows)), y(p.seconds));
    }
    out << "</g>\n";
  }
  out << "</svg>\n";
}

absl::Status WriteTable(const std::vector<Curve>& curves, const std::string& path) {
  std::ofstream out(path);
  out << "algorithm,rows,fit_cpu_seconds,descriptor_seconds,exponent,descriptor_exponent\n";
  for (const Curve& curve : curves) {
    for (const Point& p : curve.points) {
      out << fmt::format("{},{},{:.6g},{:.6g},{:.3f},{:.3f}\n", curve.name, p.rows, p.seconds, p.claimed, curve.measured, curve.claimed);
    }
  }
  if (!out) return InvalidArgument("{} cannot be written", path);
  return absl::OkStatus();
}

}  // namespace

absl::Status RunGrowth(std::span<char* const> args) {
  ASSIGN_OR_RETURN(const Flags flags, Flags::Parse(args, {{"algorithms", "all"}, {"most-rows", "1000000"}, {"columns", "10"},
                                                          {"limit-seconds", "10"}, {"output", "growth"}}));
  ASSIGN_OR_RETURN(const int64_t most, flags.Int("most-rows", 1000, 10000000));
  ASSIGN_OR_RETURN(const int64_t columns, flags.Int("columns", 1, 1000));
  ASSIGN_OR_RETURN(const int64_t limit, flags.Int("limit-seconds", 1, 100000));
  ASSIGN_OR_RETURN(auto algorithms, ChosenAlgorithms(flags.Text("algorithms")));
  std::erase_if(algorithms, [](const outlier::Descriptor* d) { return d->needs_labels; });
  const Matrix X = Normal(most, columns);
  fmt::print("Processor seconds of a fit on one thread, normal data with {} columns\n{:<16}", columns, "rows");
  for (const int64_t rows : {1000, 3000, 10000, 30000, 100000, 300000, 1000000}) {
    if (rows <= most) fmt::print(" {:>9}", rows);
  }
  fmt::print("\n");
  std::vector<Curve> curves;
  for (const outlier::Descriptor* algorithm : algorithms) {
    ASSIGN_OR_RETURN(Curve curve, Measure(*algorithm, X, most, static_cast<double>(limit)));
    Print(curve);
    curves.push_back(std::move(curve));
  }
  const Curve& worst = *std::ranges::max_element(curves, {}, [](const Curve& c) { return c.measured - c.claimed; });
  fmt::print("\nfarthest above its descriptor: {}, n^{:.2f} for n^{:.2f}\n", worst.name, worst.measured, worst.claimed);
  RETURN_IF_ERROR(WriteTable(curves, flags.Text("output") + ".csv"));
  WritePicture(curves, flags.Text("output") + ".svg");
  fmt::print("written: {0}.csv, {0}.svg\n", flags.Text("output"));
  return absl::OkStatus();
}

}  // namespace vedette::bench
