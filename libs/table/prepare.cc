#include "table/prepare.h"

#include <absl/container/flat_hash_map.h>
#include <absl/container/flat_hash_set.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "base/status.h"
#include "table/cell.h"
#include "table/rows.h"
#include "table/statistics.h"

namespace vedette::table {
namespace {

constexpr int64_t kSequenceRows = 8;  // fewer rows grow by one each by chance

bool IsIdentifierName(std::string_view name) {
  std::string lower;
  for (const char c : name) lower.push_back(c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c);
  constexpr std::string_view kNames[] = {"id",         "index", "idx",  "row",        "rowid",   "row_id", "rownum",
                                         "row_number", "line",  "no",   "nr",         "num",     "number", "#",
                                         "key",        "uuid",  "guid", "unnamed: 0", "column_1"};
  if (std::find(std::begin(kNames), std::end(kNames), lower) != std::end(kNames)) return true;
  const bool camel = name.size() > 2 && name.ends_with("Id");
  return camel || lower.ends_with("_id") || lower.ends_with(" id") || lower.ends_with("-id") ||
         lower.ends_with("_key") || lower.ends_with("_no") || lower.ends_with("_nr") || lower.ends_with("_uuid");
}

/// Number of each category among the rows; `missing` gets the rest.
std::vector<int64_t> CountCategories(const Column& column, int64_t* missing) {
  std::vector<int64_t> counts(column.categories.size());
  *missing = 0;
  for (const int32_t code : column.codes) {
    if (code < 0) {
      ++*missing;
    } else {
      ++counts[static_cast<size_t>(code)];
    }
  }
  return counts;
}

std::vector<double> FiniteValues(const Column& column) {
  std::vector<double> out;
  out.reserve(column.values.size());
  for (const double v : column.values) {
    if (std::isfinite(v)) out.push_back(v);
  }
  return out;
}

/// Why a column of numbers is left out, or "".
std::string NumericReason(const Column& column, const PrepareOptions& options) {
  const std::vector<double> values = FiniteValues(column);
  if (values.empty()) return "has no values";
  const auto [low, high] = std::minmax_element(values.begin(), values.end());
  if (options.drop_constant && *low == *high)
    return fmt::format("has the same value everywhere ({})", FormatNumber(*low));
  if (!options.drop_identifiers || values.size() != column.values.size() || values.size() < 2) return {};
  const bool whole =
      std::all_of(values.begin(), values.end(), [](double v) { return v == std::floor(v) && std::abs(v) < 0x1p53; });
  if (!whole) return {};
  bool sequence = static_cast<int64_t>(values.size()) >= kSequenceRows;
  for (size_t i = 1; i < values.size() && sequence; ++i) sequence = values[i] == values[i - 1] + 1;
  if (sequence) return "numbers the rows (it grows by 1 from row to row)";
  if (IsIdentifierName(column.name)) {
    std::vector<double> sorted = values;
    std::sort(sorted.begin(), sorted.end());
    if (std::adjacent_find(sorted.begin(), sorted.end()) == sorted.end()) {
      return "is an identifier by its name, and differs in every row";
    }
  }
  return {};
}

std::string CategoricalReason(const std::vector<int64_t>& counts, int64_t missing, const PrepareOptions& options) {
  const auto seen =
      static_cast<int64_t>(counts.size() - static_cast<size_t>(std::count(counts.begin(), counts.end(), 0)));
  const int64_t present = std::accumulate(counts.begin(), counts.end(), int64_t{0});
  if (present == 0) return "has no values";
  if (options.drop_constant && seen == 1 && missing == 0) return "has the same value everywhere";
  if (options.drop_identifiers && seen == present && present >= 2)
    return "is an identifier: its text differs in every row";
  return {};
}

double Scaled(double value, const Feature& feature) {
  if (feature.offset == 0 && feature.scale == 1) return value;
  const double shifted = value - feature.offset;
  if (std::isinf(shifted)) return value / feature.scale - feature.offset / feature.scale;  // 1e308 - (-1e308)
  return shifted / feature.scale;
}

absl::Status CheckColumns(const Table& table) {
  absl::flat_hash_set<std::string> names;
  for (const Column& column : table.columns) {
    if (column.size() != table.rows()) {
      return InvalidArgument("column '{}' has {} rows, the table has {}", column.name, column.size(), table.rows());
    }
    if (!names.insert(column.name).second) return InvalidArgument("two columns are named '{}'", column.name);
    if (column.type != ColumnType::kCategorical) continue;
    const auto categories = static_cast<int64_t>(column.categories.size());
    for (const int32_t code : column.codes) {
      if (code >= categories)
        return InvalidArgument("column '{}': code {} of {} categories", column.name, code, categories);
    }
  }
  return absl::OkStatus();
}

/// INVALID_ARGUMENT unless a column of another type than the numbers of training has no cell.
absl::Status CheckNumbers(const Column& column) {
  for (int64_t i = 0; i < column.size(); ++i) {
    if (column.IsMissing(i)) continue;
    return InvalidArgument("column '{}' is {}, but was numeric in training: read the input with the model's schema",
                           column.name, ColumnTypeName(column.type));
  }
  return absl::OkStatus();
}

/// Numbers or times as the categories that their texts are.
Column AsTexts(const Column& column) {
  Column out{.name = column.name, .type = ColumnType::kCategorical};
  absl::flat_hash_map<std::string, int32_t> known;
  for (int64_t i = 0; i < column.size(); ++i) {
    if (column.IsMissing(i)) {
      out.codes.push_back(-1);
      continue;
    }
    std::string text = column.Text(i);
    const auto [it, added] = known.try_emplace(text, static_cast<int32_t>(out.categories.size()));
    if (added) out.categories.push_back(std::move(text));
    out.codes.push_back(it->second);
  }
  return out;
}

}  // namespace

struct Preparation::Candidate {
  std::vector<int64_t> counts;
  int64_t missing = 0;
};

absl::StatusOr<Preparation> Preparation::Fit(const Table& table, const PrepareOptions& options) {
  if (table.rows() == 0) return InvalidArgument("the table has no rows");
  if (options.one_hot_max < 0)
    return InvalidArgument("one_hot_max is {}; it must not be negative", options.one_hot_max);
  if (options.window < 1 || options.window > kMaxWindow)
    return InvalidArgument("window is {}; it must be within 1 and {}", options.window, kMaxWindow);
  RETURN_IF_ERROR(CheckColumns(table));
  Preparation p;
  p.options_ = options;
  for (const std::string& name : options.ignore_columns) {
    if (table.Find(name) < 0)
      p.notes_.push_back(fmt::format("column '{}' was to be ignored, but is not in the table", name));
  }
  for (const Column& column : table.columns) {
    std::string reason;
    Candidate candidate;
    const auto& ignored = options.ignore_columns;
    if (std::find(ignored.begin(), ignored.end(), column.name) != ignored.end()) {
      reason = "is ignored as asked";
    } else if (column.type == ColumnType::kTimestamp) {
      reason = "is a point in time";
    } else if (column.type == ColumnType::kNumeric) {
      reason = NumericReason(column, options);
    } else {
      candidate.counts = CountCategories(column, &candidate.missing);
      reason = CategoricalReason(candidate.counts, candidate.missing, options);
    }
    if (!reason.empty()) {
      p.notes_.push_back(fmt::format("column '{}' is left out: it {}", column.name, reason));
    } else if (column.type == ColumnType::kNumeric) {
      p.AddNumeric(column);
    } else {
      p.AddCategorical(column, candidate);
    }
  }
  if (p.features_.empty()) {
    constexpr size_t kShown = 20;
    const size_t shown = std::min(p.notes_.size(), kShown);
    std::string why;
    for (size_t i = 0; i < shown; ++i) why += "; " + p.notes_[i];
    if (shown < p.notes_.size()) why += fmt::format("; and {} more", p.notes_.size() - shown);
    return InvalidArgument("no usable column is left{}", why);
  }
  const auto features = static_cast<int64_t>(p.features_.size());
  if (options.window > 1 && features * options.window > kMaxWindowFeatures) {
    return InvalidArgument("a window of {} rows of {} features makes {} features; there may be {}", options.window,
                           features, features * options.window, kMaxWindowFeatures);
  }
  p.SpreadLags();
  return p;
}

/// Repeats the features of lag 0 for every other lag.
void Preparation::SpreadLags() {
  columns_ = static_cast<int64_t>(features_.size());
  features_.reserve(features_.size() * static_cast<size_t>(options_.window));
  for (int lag = 1; lag < options_.window; ++lag) {
    for (int64_t j = 0; j < columns_; ++j) {
      Feature feature = features_[static_cast<size_t>(j)];
      const std::string rest = feature.name.substr(std::min(feature.name.size(), feature.source_column.size()));
      feature.name = fmt::format("{}[-{}]{}", feature.source_column, lag, rest);
      feature.lag = lag;
      features_.push_back(std::move(feature));
    }
  }
}

void Preparation::AddNumeric(const Column& column) {
  const std::vector<double> finite = FiniteValues(column);
  Feature feature;
  feature.name = feature.source_column = column.name;
  feature.fill = kMissing;
  if (options_.imputation == Imputation::kMedian) feature.fill = Quantile(finite, 0.5);
  if (options_.imputation == Imputation::kMean) feature.fill = Mean(finite);
  if (options_.scaling != Scaling::kNone) {
    std::vector<double> filled = finite;
    if (options_.imputation != Imputation::kNone) filled.resize(column.values.size(), feature.fill);
    const LocationScale ls =
        options_.scaling == Scaling::kStandard ? StandardScale(filled) : RobustScale(std::move(filled));
    feature.offset = ls.location;
    feature.scale = ls.scale;
  }
  Source source;
  source.first = static_cast<int64_t>(features_.size());
  source.count = 1;
  features_.push_back(std::move(feature));
  sources_.push_back(std::move(source));
  schema_.push_back({column.name, column.type});
}

void Preparation::AddCategorical(const Column& column, const Candidate& candidate) {
  Source source;
  source.type = ColumnType::kCategorical;
  source.encoding = options_.encoding;
  source.first = static_cast<int64_t>(features_.size());
  std::vector<int64_t> counts;
  for (size_t c = 0; c < column.categories.size(); ++c) {
    if (candidate.counts[c] == 0) continue;  // of another batch
    source.categories.push_back(column.categories[c]);
    counts.push_back(candidate.counts[c]);
  }
  const size_t k = source.categories.size();
  const bool bounded = source.encoding == Encoding::kOneHot || source.encoding == Encoding::kNative;
  if (bounded && k > static_cast<size_t>(options_.one_hot_max)) {
    source.encoding = Encoding::kFrequency;
    notes_.push_back(fmt::format("column '{}' has {} categories: encoded by their frequency", column.name, k));
  }
  const bool keep_missing = options_.imputation == Imputation::kNone;
  const auto rows = static_cast<double>(column.codes.size());
  Feature feature;
  feature.name = feature.source_column = column.name;
  switch (source.encoding) {
    case Encoding::kOneHot:
      for (const std::string& category : source.categories) {
        feature.name = fmt::format("{}={}", column.name, category);
        feature.category = category;
        features_.push_back(feature);
      }
      break;
    case Encoding::kFrequency:
      for (const int64_t n : counts) source.numbers.push_back(static_cast<double>(n) / rows);
      feature.fill = keep_missing ? kMissing : static_cast<double>(candidate.missing) / rows;
      break;
    case Encoding::kOrdinal:
    case Encoding::kNative:
      for (size_t c = 0; c < k; ++c) source.numbers.push_back(static_cast<double>(c));
      feature.fill = keep_missing
                         ? kMissing
                         : static_cast<double>(std::max_element(counts.begin(), counts.end()) - counts.begin());
      break;
  }
  if (source.encoding != Encoding::kOneHot) {
    if (options_.scaling != Scaling::kNone && source.encoding != Encoding::kNative) {
      std::vector<double> values(keep_missing ? 0 : static_cast<size_t>(candidate.missing), feature.fill);
      for (size_t c = 0; c < k; ++c) values.insert(values.end(), static_cast<size_t>(counts[c]), source.numbers[c]);
      const LocationScale ls =
          options_.scaling == Scaling::kStandard ? StandardScale(values) : RobustScale(std::move(values));
      feature.offset = ls.location;
      feature.scale = ls.scale;
    }
    features_.push_back(std::move(feature));
  }
  source.count = static_cast<int64_t>(features_.size()) - source.first;
  sources_.push_back(std::move(source));
  schema_.push_back({column.name, column.type});
}

absl::StatusOr<std::vector<const Column*>> Preparation::ColumnsOf(const Table& table) const {
  absl::flat_hash_map<std::string, size_t> position;
  for (size_t j = 0; j < table.columns.size(); ++j) position.emplace(table.columns[j].name, j);
  std::vector<const Column*> columns;
  for (const ColumnSchema& wanted : schema_) {
    const auto found = position.find(wanted.name);
    if (found == position.end())
      return InvalidArgument("the table has no column '{}', which the model was trained on", wanted.name);
    const Column& column = table.columns[found->second];
    if (column.size() != table.rows()) {
      return InvalidArgument("column '{}' has {} rows, the table has {}", column.name, column.size(), table.rows());
    }
    columns.push_back(&column);
  }
  return columns;
}

/// rows x features of one lag.
absl::StatusOr<Matrix> Preparation::ApplyColumns(const Table& table) const {
  ASSIGN_OR_RETURN(const std::vector<const Column*> columns, ColumnsOf(table));
  Matrix out(table.rows(), columns_);
  for (size_t s = 0; s < sources_.size(); ++s) RETURN_IF_ERROR(ApplySource(s, *columns[s], &out));
  return out;
}

absl::StatusOr<Table> Preparation::Select(const Table& table) const {
  ASSIGN_OR_RETURN(const std::vector<const Column*> columns, ColumnsOf(table));
  Table out;
  for (size_t s = 0; s < columns.size(); ++s) {
    const Column& from = *columns[s];
    if (from.type == schema_[s].type) {
      out.columns.push_back(from);
      continue;
    }
    if (schema_[s].type == ColumnType::kCategorical) {
      out.columns.push_back(AsTexts(from));
      continue;
    }
    RETURN_IF_ERROR(CheckNumbers(from));
    out.columns.push_back(
        {.name = from.name, .values = std::vector<double>(static_cast<size_t>(from.size()), kMissing)});
  }
  return out;
}

Matrix Preparation::Windows(const Matrix& base, std::span<const int64_t> at) const {
  Matrix out(static_cast<int64_t>(at.size()), static_cast<int64_t>(features_.size()));
  for (int64_t f = 0; f < out.cols(); ++f) {
    const int64_t lag = f / columns_, j = f % columns_;
    const std::span<const double> from = base.col(j);
    const std::span<double> to = out.col(f);
    for (size_t i = 0; i < at.size(); ++i) to[i] = from[static_cast<size_t>(std::max<int64_t>(0, at[i] - lag))];
  }
  return out;
}

absl::StatusOr<Matrix> Preparation::Apply(const Table& table, int64_t context_rows) const {
  if (context_rows < 0 || context_rows > table.rows())
    return InvalidArgument("{} rows of context in a table of {} rows", context_rows, table.rows());
  ASSIGN_OR_RETURN(Matrix base, ApplyColumns(table));
  if (options_.window == 1 && context_rows == 0) return base;
  std::vector<int64_t> at(static_cast<size_t>(table.rows() - context_rows));
  std::iota(at.begin(), at.end(), context_rows);
  return Windows(base, at);
}

absl::StatusOr<Matrix> Preparation::ApplyRows(const Table& table, std::span<const int64_t> rows) const {
  std::vector<int64_t> needed;  // each row and its history, once, in order: gaps lie only before a row's whole history
  for (const int64_t row : rows) {
    if (row < 0 || row >= table.rows()) return InvalidArgument("row {} in a table of {} rows", row, table.rows());
    for (int64_t r = std::max<int64_t>(0, row - history()); r <= row; ++r) needed.push_back(r);
  }
  std::sort(needed.begin(), needed.end());
  needed.erase(std::unique(needed.begin(), needed.end()), needed.end());
  std::vector<int64_t> at;
  for (const int64_t row : rows) at.push_back(std::lower_bound(needed.begin(), needed.end(), row) - needed.begin());
  ASSIGN_OR_RETURN(const Matrix base, ApplyColumns(TakeRows(table, needed)));
  return Windows(base, at);
}

namespace {

/// The column's cells as codes into `categories`: -1 missing, -2 unseen.
absl::StatusOr<std::vector<int32_t>> CodesIn(const std::vector<std::string>& categories, const Column& column) {
  absl::flat_hash_map<std::string, int32_t> known;
  for (size_t c = 0; c < categories.size(); ++c) known.emplace(categories[c], static_cast<int32_t>(c));
  auto code_of = [&known](const std::string& text) {
    const auto found = known.find(text);
    return found == known.end() ? -2 : found->second;
  };
  std::vector<int32_t> codes(static_cast<size_t>(column.size()), -1);
  if (column.type != ColumnType::kCategorical) {  // "7" and "8" were read as numbers this time
    for (size_t i = 0; i < codes.size(); ++i) {
      if (!std::isnan(column.values[i])) codes[i] = code_of(column.Text(static_cast<int64_t>(i)));
    }
    return codes;
  }
  std::vector<int32_t> mapped(column.categories.size());
  for (size_t c = 0; c < mapped.size(); ++c) mapped[c] = code_of(column.categories[c]);
  for (size_t i = 0; i < codes.size(); ++i) {
    const int32_t code = column.codes[i];
    if (code >= static_cast<int32_t>(mapped.size())) {
      return InvalidArgument("column '{}': code {} of {} categories", column.name, code, mapped.size());
    }
    if (code >= 0) codes[i] = mapped[static_cast<size_t>(code)];
  }
  return codes;
}

}  // namespace

absl::Status Preparation::ApplySource(size_t s, const Column& column, Matrix* out) const {
  const Source& source = sources_[s];
  const auto n = static_cast<size_t>(out->rows());
  const Feature& feature = features_[static_cast<size_t>(source.first)];
  if (source.type == ColumnType::kNumeric) {
    const std::span<double> to = out->col(source.first);
    if (column.type != ColumnType::kNumeric) {
      RETURN_IF_ERROR(CheckNumbers(column));
      std::fill(to.begin(), to.end(), Scaled(feature.fill, feature));
      return absl::OkStatus();
    }
    for (size_t i = 0; i < n; ++i) {
      const double v = column.values[i];
      to[i] = Scaled(std::isfinite(v) ? v : feature.fill, feature);
    }
    return absl::OkStatus();
  }
  ASSIGN_OR_RETURN(const std::vector<int32_t> codes, CodesIn(source.categories, column));
  if (source.encoding == Encoding::kOneHot) {
    for (size_t i = 0; i < n; ++i) {
      if (codes[i] >= 0) (*out)(static_cast<int64_t>(i), source.first + codes[i]) = 1;
    }
    return absl::OkStatus();
  }
  const double unseen = source.encoding == Encoding::kFrequency ? 0 : -1;
  const std::span<double> to = out->col(source.first);
  for (size_t i = 0; i < n; ++i) {
    const double v = codes[i] >= 0    ? source.numbers[static_cast<size_t>(codes[i])]
                     : codes[i] == -1 ? feature.fill
                                      : unseen;
    to[i] = Scaled(v, feature);
  }
  return absl::OkStatus();
}

std::vector<int32_t> Preparation::category_counts() const {
  std::vector<int32_t> counts(features_.size(), 0);
  for (const Source& source : sources_) {
    if (source.type != ColumnType::kCategorical || source.encoding != Encoding::kNative) continue;
    for (auto f = static_cast<size_t>(source.first); f < counts.size(); f += static_cast<size_t>(columns_))
      counts[f] = static_cast<int32_t>(source.categories.size());
  }
  return counts;
}

std::string Preparation::CategoryOf(int64_t feature, double unscaled) const {
  const int64_t column = columns_ > 0 ? feature % columns_ : 0;
  for (const Source& source : sources_) {
    if (column < source.first || column >= source.first + source.count) continue;
    for (size_t c = 0; c < source.numbers.size(); ++c) {
      if (std::abs(source.numbers[c] - unscaled) <= 1e-9) return source.categories[c];
    }
  }
  return {};
}

}  // namespace vedette::table
