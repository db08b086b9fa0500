// Linear method for deviation detection (Arning, Agrawal, Raghavan 1996): rows are taken in a random order, and a row is odd by
// how much it raises the dissimilarity of all values seen so far. In each order the row that raises it most (the exception) and
// the later rows that would raise it more in its place get their smoothing factor, the rise times the number of rows that got
// none; a row's score is that of the order where it rose most. All values of a row count alike, in their own units.
//
// Where PyOD measures every beginning of an order anew (n^2 d), a tree of sums over the sorted values grows with it
// (n d log n d). A new row is scored as if it came last in every order, so that its score depends on the fitted rows and on
// itself alone; orders whose exception comes late are kept up to kMostKept values. Of more than max_rows training rows
// evenly spaced ones are put in order, and the others are scored as new.
#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/rng.h"
#include "base/status.h"
#include "outlier/cost.h"
#include "outlier/kernels/prefix_sums.h"
#include "outlier/parallel.h"
#include "outlier/row_detector.h"
#include "outlier/sorting.h"
#include "outlier/state.h"

namespace vedette::outlier {
namespace {

constexpr int64_t kMostValues = int64_t{1} << 27;  // of the rows that are put in order
constexpr size_t kMostKept = size_t{1} << 22;
/// A rise below this share of the largest deviation is rounding.
constexpr double kRounding = 1e-12;

/// The values before an order's exception, and what came of it.
struct Order {
  double rise = 0;      ///< of the exception
  double without = 0;   ///< rows without a smoothing factor
  SortedValues before;  ///< values of the rows before it
  std::vector<double> exception;
};

class Lmdd final : public RowDetector {
 public:
  explicit Lmdd(const ParamSet& params)
      : orders_wanted_(params.Int("n_iter")),
        measure_(params.Choice("dis_measure") == "aad" ? Measure::kDeviation
                                                       : (params.Choice("dis_measure") == "var" ? Measure::kVariance : Measure::kQuartiles)),
        most_rows_(params.Int("max_rows")) {}

 private:
  absl::Status Learn(std::span<const double> rows, int64_t n, const Context& ctx) override {
    if (features() > kMostValues / 16) return InvalidArgument("lmdd: {} columns are more than {}", features(), kMostValues / 16);
    used_ = std::min({n, most_rows_, kMostValues / features()});
    std::vector<double> values;
    values.reserve(static_cast<size_t>(used_) * d());
    for (int64_t i = 0; i < used_; ++i) {
      const auto row = rows.begin() + i * n / used_ * features();
      values.insert(values.end(), row, row + features());
    }
    FindExpected(values);
    std::vector<double> sorted = values;
    RETURN_IF_ERROR(SortWatched(sorted, ctx));
    center_ = sorted[sorted.size() / 2];  // dissimilarities do not change with it, and rounding errors are smaller around 0
    for (double& v : sorted) v -= center_;
    for (double& v : values) v -= center_;
    std::vector<int32_t> ranks(values.size());
    RETURN_IF_ERROR(ParallelBlocks(ctx, std::ssize(values), RowsPerLook(64), [&](int64_t begin, int64_t end) {
      for (auto i = static_cast<size_t>(begin); i < static_cast<size_t>(end); ++i)
        ranks[i] = static_cast<int32_t>(std::lower_bound(sorted.begin(), sorted.end(), values[i]) - sorted.begin());
    }));
    const auto wanted = static_cast<size_t>(orders_wanted_);
    std::vector<Order> orders(wanted);
    std::vector<std::vector<double>> rises(wanted);
    RETURN_IF_ERROR(ParallelBlocks(ctx, orders_wanted_, 1, [&](int64_t at, int64_t) {
      const auto k = static_cast<size_t>(at);
      rises[k] = Try(values, sorted, ranks, Rng(ctx.seed, static_cast<uint64_t>(at)), &orders[k], ctx);
    }));
    RETURN_IF_ERROR(ctx.Check());
    training_.assign(static_cast<size_t>(used_), 0);
    std::vector<double> most(static_cast<size_t>(used_), 0);
    for (size_t k = 0; k < wanted; ++k) {
      for (size_t i = 0; i < most.size(); ++i) {
        if (rises[k][i] > most[i]) most[i] = rises[k][i], training_[i] = most[i] * orders[k].without;
      }
    }
    orders_.clear();
    size_t kept = 0;
    for (Order& order : orders) {
      if (!(order.rise > 0) || (kept > 0 && kept + order.before.size() > kMostKept)) continue;
      kept += order.before.size() + 1;
      orders_.push_back(std::move(order));
    }
    return absl::OkStatus();
  }

  void FindExpected(const std::vector<double>& values) {
    expected_.assign(d(), 0);
    for (size_t i = 0; i < values.size(); ++i) expected_[i % d()] += values[i] / static_cast<double>(used_);
  }

  /// One order: each row's rise (0: none), by row.
  std::vector<double> Try(const std::vector<double>& values, const std::vector<double>& sorted, const std::vector<int32_t>& ranks, Rng rng,
                          Order* order, const Context& ctx) const {
    const auto n = static_cast<size_t>(used_);
    std::vector<double> rises(n, 0);
    std::vector<int32_t> at(n);
    std::iota(at.begin(), at.end(), 0);
    rng.Shuffle(at);
    PrefixSums seen(sorted);
    const size_t rows_a_look = 1 + 200'000 / d();
    double last = 0, rise = 0;
    size_t exception = 0;
    for (size_t i = 0; i < n; ++i) {
      if (i % rows_a_look == 0 && !ctx.Check().ok()) return rises;
      const size_t row = static_cast<size_t>(at[i]) * d();
      for (size_t j = 0; j < d(); ++j) seen.Add(ranks[row + j]);
      const double now = seen.Dissimilarity(measure_);
      if (i > 0 && now - last > rise) rise = now - last, exception = i;
      last = now;
    }
    if (!(rise > kRounding * Scale(sorted))) return rises;
    std::vector<double> before;
    for (size_t i = 0; i < exception; ++i) {
      const auto row = values.begin() + at[i] * features();
      before.insert(before.end(), row, row + features());
    }
    std::sort(before.begin(), before.end());
    order->before = SortedValues(std::move(before));
    const auto row = values.begin() + at[exception] * features();
    order->exception.assign(row, row + features());
    order->rise = rise;
    rises[static_cast<size_t>(at[exception])] = rise;
    size_t count = 1;
    for (size_t i = exception + 1; i < n; ++i) {
      if (i % rows_a_look == 0 && !ctx.Check().ok()) return rises;
      const double more = MoreThanException(*order, {values.data() + at[i] * features(), d()});
      if (more >= 0) rises[static_cast<size_t>(at[i])] = rise + more, ++count;
    }
    order->without = static_cast<double>(n - count);
    return rises;
  }

  double Scale(const std::vector<double>& sorted) const {
    const double most = std::max(-sorted.front(), sorted.back());
    return measure_ == Measure::kVariance ? most * most : most;
  }

  /// By how much `x` (less the center) after the values before the exception raises the dissimilarity more than the two do.
  double MoreThanException(const Order& order, std::span<const double> x) const {
    std::vector<double> both(order.exception);
    both.insert(both.end(), x.begin(), x.end());
    return order.before.DissimilarityWith(x, measure_) - order.before.DissimilarityWith(both, measure_);
  }

  double InOwnUnits(double score) const {
    score = unit().Unscaled(score);
    return measure_ == Measure::kVariance ? unit().Unscaled(score) : score;
  }

  double ScoreRow(std::span<const double> x) const override {
    std::vector<double> gap(x.begin(), x.end());
    for (double& v : gap) v -= center_;
    double most = 0, score = 0;
    for (const Order& order : orders_) {
      const double more = MoreThanException(order, gap);
      if (more >= 0 && more + order.rise > most) most = more + order.rise, score = most * order.without;
    }
    return InOwnUnits(score);
  }

  absl::StatusOr<std::vector<double>> TrainingScores(std::span<const double> rows, int64_t n, const Context& ctx) override {
    std::vector<double> scores(static_cast<size_t>(n));
    RETURN_IF_ERROR(ParallelBlocks(ctx, n, BlockRows(), [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        const int64_t at = (i * used_ + n - 1) / n;  // the row among those put in order, if it is one
        const bool ordered = at < used_ && at * n / used_ == i;
        scores[static_cast<size_t>(i)] = ordered ? InOwnUnits(training_[static_cast<size_t>(at)]) : ScoreRow(rows.subspan(static_cast<size_t>(i) * d(), d()));
      }
    }));
    training_ = {};
    return scores;
  }

  /// Distances of the row's values from the columns' means: all values count alike, whatever their column.
  bool ExplainRow(std::span<const double> x, std::span<double> parts, std::span<double> expected,
                  double*) const override {
    for (size_t j = 0; j < d(); ++j) {
      expected[j] = expected_[j];
      parts[j] = unit().Unscaled(std::fabs(x[j] - expected_[j]));
    }
    return true;
  }
  std::string_view space() const override { return "absolute deviation"; }
  int64_t BlockRows() const override { return std::max<int64_t>(1, 2'000'000 / (static_cast<int64_t>(orders_.size() + 1) * (3 * features() + 60))); }

  void SaveState(ByteWriter& out) const override {
    out.F64(center_);
    out.Doubles(expected_);
    out.I64(static_cast<int64_t>(orders_.size()));
    for (const Order& order : orders_) {
      out.F64(order.rise);
      out.F64(order.without);
      out.Doubles(order.before.values());
      out.Doubles(order.exception);
    }
  }
  void LoadState(ByteReader& in) override {
    const auto sane = [&in](double v) {
      if (in.ok() && !(std::fabs(v) <= 2 * RowUnit::kMaxValue)) in.Fail("a value is out of range");
    };
    center_ = ReadFinite(in, "the center");
    sane(center_);
    expected_ = ReadDoubles(in, "the means", features());
    for (const double v : expected_) sane(v);
    const int64_t count = ReadInt(in, "the number of orders", 0, 1'000'000);
    orders_.clear();
    for (int64_t k = 0; k < count && in.ok(); ++k) {
      Order order;
      order.rise = ReadFinite(in, "a rise");
      order.without = ReadFinite(in, "a number of rows");
      std::vector<double> before = in.Doubles();
      for (const double v : before) sane(v);
      if (in.ok() && (!(order.rise > 0 && order.rise < 1e202) || !(order.without >= 0 && order.without < 1e18) ||
                      !std::is_sorted(before.begin(), before.end()))) {
        in.Fail("an order is out of range");
      }
      order.exception = ReadDoubles(in, "an exception", features());
      for (const double v : order.exception) sane(v);
      if (!in.ok()) return;
      order.before = SortedValues(std::move(before));
      orders_.push_back(std::move(order));
    }
  }

  int64_t orders_wanted_;
  Measure measure_;
  int64_t most_rows_;
  int64_t used_ = 1;
  double center_ = 0;
  std::vector<double> expected_;
  std::vector<Order> orders_;
  std::vector<double> training_;  ///< between Learn and TrainingScores only
};

constexpr ParamSpec kParams[] = {
    {.name = "n_iter", .type = ParamType::kInt, .default_value = "50", .min = 1, .max = 10000, .summary = "Random orders that are tried; more give steadier scores."},
    {.name = "dis_measure",
     .type = ParamType::kChoice,
     .default_value = "aad",
     .choices = "aad|var|iqr",
     .summary = "Dissimilarity of a set of values: average absolute deviation, variance, or range between the quartiles."},
    {.name = "max_rows",
     .type = ParamType::kInt,
     .default_value = "5000",
     .min = 10,
     .max = 1000000,
     .summary = "Of more training rows, so many evenly spaced ones are put in order."},
};

}  // namespace

extern const Descriptor k_lmdd;
const Descriptor k_lmdd = {
    .name = "lmdd",
    .family = "linear",
    .summary = "Rows whose arrival, in random orders, makes all values together most unlike: finds extreme values. All columns count in "
               "their own units, and what is odd only together is not seen.",
    .paper = "A. Arning, R. Agrawal, P. Raghavan, A linear method for deviation detection in large databases, KDD, 1996",
    .params = kParams,
    .deterministic = false,
    .own_training_scores = true,
    .wants_scaling = true,
    .fit_cost = "O(t n d log(n d)), t the orders",
    .score_cost = "O(t (d + log n d))",
    .cost = [](const ParamSet& p, int64_t n, int64_t d) -> Cost {
      const double used = static_cast<double>(std::min(n, p.Int("max_rows"))), side = static_cast<double>(d), values = used * side;
      const double orders = static_cast<double>(p.Int("n_iter")), row = kRowFloor + 1e-9 * orders * (70 + 7 * side);
      return {.fit_seconds = kFitFloor + orders * values * 1.3e-9 * (2 + std::log2(values + 2)) + 2 * static_cast<double>(n) * row,
              .score_seconds_per_row = row,
              .fit_bytes = kBytesFloor + 40 * values + 8 * static_cast<double>(n) * (side + 1) + orders * (8 * used + 16 * side),
              .model_bytes = kBytesFloor + std::min(orders * values * 4, 6.7e7)};
    },
    .make = [](const ParamSet& params) -> std::unique_ptr<Detector> { return std::make_unique<Lmdd>(params); },
};

}  // namespace vedette::outlier
