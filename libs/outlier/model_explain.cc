// From a detector's contributions per feature to words and numbers in the user's own units.
#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <numeric>

#include "base/status.h"
#include "outlier/columns.h"
#include "outlier/model.h"

namespace vedette::outlier {
namespace {

constexpr double kNone = std::numeric_limits<double>::quiet_NaN();

/// |x - median| / (1.4826 MAD) per feature against the background; the mean absolute deviation where the MAD is 0, and
/// differences in the feature's own unit where that is 0 too.
Attribution RobustZ(MatrixView X, const Matrix& background) {
  Attribution a{Matrix(X.rows, X.cols), Matrix(X.rows, X.cols), "robust z-score against typical rows"};
  for (int64_t j = 0; j < X.cols; ++j) {
    std::vector<double> values;
    for (const double x : background.col(j)) {
      if (std::isfinite(x)) values.push_back(x);
    }
    if (values.empty()) continue;
    const double median = MedianInPlace(values);
    double mean = 0;
    for (double& x : values) {
      x = std::min(std::fabs(x - median), std::numeric_limits<double>::max());
      mean += x / static_cast<double>(values.size());
    }
    double scale = 1.4826 * MedianInPlace(values);
    if (!(scale > 0)) scale = 1.2533 * mean;
    if (!(scale > 0) || !std::isfinite(scale)) scale = 1;
    for (int64_t i = 0; i < X.rows; ++i) {
      a.expected(i, j) = median;
      const double z = std::fabs(X(i, j) - median) / scale;
      a.contributions(i, j) = std::isnan(z) ? 0 : std::min(z, 1e100);
    }
  }
  return a;
}

/// Share of the finite values that x is above, ties by half, in percent.
double PercentileIn(std::span<const double> values, double x) {
  int64_t below = 0, equal = 0, finite = 0;
  for (const double v : values) {
    finite += std::isfinite(v) ? 1 : 0;
    below += v < x ? 1 : 0;  // not for NaN; -inf does not occur in a model's rows
    equal += v == x ? 1 : 0;
  }
  if (finite == 0 || !std::isfinite(x)) return kNone;
  return 100 * (static_cast<double>(below) + 0.5 * static_cast<double>(equal)) / static_cast<double>(finite);
}

bool SidesFit(const Matrix& side, MatrixView X) {
  return side.rows() * side.cols() == 0 || (side.rows() == X.rows && side.cols() == X.cols);
}

/// The parts that features are added up to: source columns at their lags, in order of first use.
struct Places {
  std::vector<std::vector<size_t>> features;  ///< of each place
  std::vector<const table::Column*> cells;    ///< null: not in the table, or there is none

  Places(const std::vector<table::Feature>& all, const table::Table* table) {
    std::map<std::pair<int, std::string_view>, size_t> known;
    for (size_t f = 0; f < all.size(); ++f) {
      const auto [at, fresh] =
          known.emplace(std::pair(all[f].lag, std::string_view(all[f].source_column)), features.size());
      if (fresh) {
        features.emplace_back();
        const int64_t column = table == nullptr ? -1 : table->Find(all[f].source_column);
        cells.push_back(column < 0 ? nullptr : &table->columns[static_cast<size_t>(column)]);
      }
      features[at->second].push_back(f);
    }
  }
};

/// The rows of a table that explanations of X are to name: all in order, or those given.
absl::Status CheckRows(const table::Table* table, std::span<const int64_t> rows, MatrixView X) {
  if (table == nullptr) return absl::OkStatus();
  const int64_t count = rows.empty() ? table->rows() : std::ssize(rows);
  if (count != X.rows) return InvalidArgument("the table has {} rows, the matrix {}", count, X.rows);
  for (const int64_t row : rows) {
    if (row < 0 || row >= table->rows()) return InvalidArgument("row {} of a table of {} rows", row, table->rows());
  }
  return absl::OkStatus();
}

/// Contributions of places, and which are the largest: the `most` of them first, in order; equal ones as they come.
struct Ranked {
  std::vector<double> contribution;
  std::vector<size_t> order;
  double largest = 0, total = 0;  ///< of the positive ones, the total in units of the largest: huge parts stay finite

  explicit Ranked(size_t places) : contribution(places), order(places) {}

  void Read(const Matrix& contributions, int64_t row, const Places& places, size_t most) {
    largest = total = 0;
    for (size_t p = 0; p < contribution.size(); ++p) {
      contribution[p] = 0;
      for (const size_t f : places.features[p]) contribution[p] += contributions(row, static_cast<int64_t>(f));
      largest = std::max(largest, contribution[p]);
    }
    for (const double c : contribution) total += largest > 0 ? std::max(0.0, c / largest) : 0;
    std::iota(order.begin(), order.end(), size_t{0});
    std::partial_sort(order.begin(), order.begin() + static_cast<int64_t>(std::min(most, order.size())), order.end(),
                      [this](size_t a, size_t b) {
                        return contribution[a] != contribution[b] ? contribution[a] > contribution[b] : a < b;
                      });
  }
  double Share(size_t place) const { return total > 0 ? std::max(0.0, contribution[place] / largest) / total : 0; }
};

}  // namespace

absl::StatusOr<Attribution> Model::Attribute(MatrixView X, const Context& ctx) const {
  RETURN_IF_ERROR(CheckInput(X));
  absl::StatusOr<Attribution> native = detector_->Explain(X, ctx);
  if (!native.ok()) {
    if (native.status().code() != absl::StatusCode::kUnimplemented) return native.status();
    return RobustZ(X, background_);
  }
  if (native->contributions.rows() != X.rows || native->contributions.cols() != X.cols ||
      (native->expected.rows() != X.rows && native->expected.rows() != 1) || native->expected.cols() != X.cols ||
      !SidesFit(native->high, X) || !SidesFit(native->low, X)) {
    return Internal("{} explains in the wrong shape", descriptor_->name);
  }
  return native;
}

/// Numbers and texts of one feature that is not one-hot; both values in the units of the matrix.
void Model::Describe(size_t feature, bool coded, double actual, double expected, FeatureContribution& out) const {
  const table::Feature& meaning = preparation_.features()[feature];
  const double unscaled = actual * meaning.scale + meaning.offset;
  if (coded) {
    const auto index = static_cast<int64_t>(feature);
    out.actual = out.expected = kNone;
    out.actual_text = preparation_.CategoryOf(index, unscaled);  // "" for a missing one, or new to the model
    out.expected_text = preparation_.CategoryOf(index, typical_[feature]);
    return;
  }
  out.actual = std::isfinite(unscaled) ? unscaled : kNone;
  out.expected = expected * meaning.scale + meaning.offset;
  if (std::isfinite(out.actual)) out.actual_text = fmt::format("{}", out.actual);
  if (std::isfinite(out.expected)) out.expected_text = fmt::format("{:.6g}", out.expected);
}

size_t Model::ExplainedColumns() const { return Places(preparation_.features(), nullptr).features.size(); }

/// All of one place but its contribution.
void Model::DescribePlace(const Attribution& parts, MatrixView X, int64_t row, std::span<const size_t> place,
                          const std::vector<bool>& coded, FeatureContribution& out) const {
  const std::vector<table::Feature>& features = preparation_.features();
  const bool sides = parts.high.rows() == X.rows && parts.low.rows() == X.rows;
  double commonest = 0;
  out.feature = features[place.front()].source_column;
  out.lag = features[place.front()].lag;
  for (const size_t f : place) {
    const auto j = static_cast<int64_t>(f);
    if (features[f].category.empty()) {
      Describe(f, coded[f], X(row, j), parts.Expected(row, j), out);
      if (coded[f]) continue;
      out.percentile = PercentileIn(background_.col(j), X(row, j));
      if (sides) {
        out.high = parts.high(row, j);
        out.low = parts.low(row, j);
      }
      continue;
    }
    out.actual = out.expected = kNone;
    if (X(row, j) * features[f].scale + features[f].offset > 0.5) out.actual_text = features[f].category;
    if (typical_[f] > commonest) {
      commonest = typical_[f];
      out.expected_text = features[f].category;
    }
  }
}

absl::StatusOr<std::vector<std::vector<FeatureContribution>>> Model::Explain(MatrixView X, const Context& ctx,
                                                                             std::string* space,
                                                                             const table::Table* table,
                                                                             std::span<const int64_t> table_rows,
                                                                             size_t most) const {
  RETURN_IF_ERROR(CheckRows(table, table_rows, X));
  ASSIGN_OR_RETURN(const Attribution parts, Attribute(X, ctx));
  if (space != nullptr) *space = parts.space;
  const Places places(preparation_.features(), table);
  const std::vector<bool> coded = CodedCategories();
  Ranked ranked(places.features.size());
  std::vector<std::vector<FeatureContribution>> rows(static_cast<size_t>(X.rows));
  for (int64_t i = 0; i < X.rows; ++i) {
    if (i % 256 == 0) RETURN_IF_ERROR(ctx.Check());
    ranked.Read(parts.contributions, i, places, most);
    std::vector<FeatureContribution>& row = rows[static_cast<size_t>(i)];
    row.resize(std::min(most, ranked.order.size()));
    for (size_t r = 0; r < row.size(); ++r) {
      const size_t place = ranked.order[r];
      FeatureContribution& out = row[r];
      out.contribution = ranked.contribution[place];
      out.share = ranked.Share(place);
      DescribePlace(parts, X, i, places.features[place], coded, out);
      const table::Column* const cells = places.cells[place];
      if (cells == nullptr) continue;
      // Actual values are what the cells say.
      const int64_t cell =
          std::max<int64_t>(0, (table_rows.empty() ? i : table_rows[static_cast<size_t>(i)]) - out.lag);
      out.actual_text = cells->Text(cell);
      if (cells->IsMissing(cell)) out.actual = out.percentile = out.high = out.low = kNone;
    }
  }
  return rows;
}

}  // namespace vedette::outlier
