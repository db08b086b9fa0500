#include "services/feature-engine/core/engine.h"

#include <absl/container/flat_hash_map.h>
#include <absl/container/flat_hash_set.h>

#include <algorithm>
#include <span>
#include <string_view>
#include <utility>

#include "base/status.h"
#include "services/feature-engine/core/sampling.h"
#include "table/rows.h"

namespace vedette::feature_engine {
namespace {

constexpr uint64_t kFitSeed = 42;

absl::Status CheckIgnored(const DatasetInfo& info, const std::vector<std::string>& ignored) {
  std::string unknown;
  for (const std::string& name : ignored) {
    const bool known =
        std::any_of(info.columns.begin(), info.columns.end(), [&](const auto& c) { return c.name == name; });
    if (!known) unknown += fmt::format("{}'{}'", unknown.empty() ? "" : ", ", name);
  }
  if (unknown.empty()) return absl::OkStatus();
  return InvalidArgument("ignore_columns: dataset {} has no column {}", info.id, unknown);
}

// The rows with the columns of `like`: cells of those that they lack are missing.
table::Table WithColumnsOf(const table::Table& like, table::Table rows) {
  absl::flat_hash_map<std::string_view, table::Column*> own;
  for (table::Column& c : rows.columns) own.emplace(c.name, &c);
  table::Table out;
  const auto count = static_cast<size_t>(rows.rows());
  for (const table::Column& c : like.columns) {
    const auto found = own.find(c.name);
    if (found != own.end()) {
      out.columns.push_back(*found->second);
    } else if (c.type == table::ColumnType::kCategorical) {
      out.columns.push_back({.name = c.name, .type = c.type, .codes = std::vector<int32_t>(count, -1)});
    } else {
      out.columns.push_back({.name = c.name, .type = c.type, .values = std::vector<double>(count, table::kMissing)});
    }
  }
  return out;
}

// Collects rows, with those before them that windows reach, and hands them on as features, in messages of about the
// size wanted.
class Outlet {
 public:
  Outlet(const table::Preparation& preparation, const FeatureSink& sink, const EngineOptions& options,
         const FeatureQuery& query)
      : preparation_(preparation),
        sink_(sink),
        options_(options),
        include_table_(query.include_table),
        wants_context_(query.include_table && query.sample_rows == 0),
        columns_(query.table_columns),
        pending_(preparation.history()) {}

  // The rows `chosen` of `run`, whose row 0 is row `first` of the dataset. Where there are windows and a table is
  // wanted, `own` has all columns of the rows from `context_rows` on.
  absl::Status Add(const table::Table& run, int64_t first, std::span<const int64_t> chosen, const table::Table& own,
                   int64_t context_rows) {
    if (chosen.empty()) return absl::OkStatus();
    const int64_t features = static_cast<int64_t>(preparation_.features().size());
    const table::Table& cells = own.rows() > 0 ? own : run;
    const int64_t row_bytes = 8 * (features + 1) + (include_table_ ? table::TableBytes(cells) / cells.rows() : 0);
    const int64_t step = std::max<int64_t>(1, options_.message_bytes / row_bytes);
    while (!chosen.empty()) {
      const auto room = static_cast<size_t>(std::max<int64_t>(1, step - pending_.rows()));
      const auto now = chosen.first(std::min(room, chosen.size()));
      RETURN_IF_ERROR(pending_.Append(run, first, now));
      for (const int64_t row : now) row_index_.push_back(first + row);
      if (own.rows() > 0) {
        std::vector<int64_t> rows(now.begin(), now.end());
        for (int64_t& row : rows) row -= context_rows;
        RETURN_IF_ERROR(cells_.Append(table::TakeRows(own, rows)));
      }
      chosen = chosen.subspan(now.size());
      if (pending_.rows() >= step) RETURN_IF_ERROR(Flush());
    }
    return absl::OkStatus();
  }

  absl::Status Flush() {
    if (pending_.rows() == 0) return absl::OkStatus();
    table::WindowRows::Picked picked = pending_.Take();
    table::Table& table = picked.table;
    const auto count = static_cast<int64_t>(picked.rows.size());
    FeatureRows out;
    out.row_index = std::exchange(row_index_, {});
    const bool all = count == table.rows();
    ASSIGN_OR_RETURN(out.values, all ? preparation_.Apply(table) : preparation_.ApplyRows(table, picked.rows));
    if (!include_table_) return sink_.rows(std::move(out));
    out.table = preparation_.history() > 0 ? cells_.Take() : std::move(table);
    if (!columns_.empty()) {
      std::erase_if(out.table->columns, [this](const table::Column& c) {
        return std::find(columns_.begin(), columns_.end(), c.name) == columns_.end();
      });
    }
    if (const int64_t before = picked.rows[0]; std::exchange(wants_context_, false) && before > 0) {
      out.context_first = out.row_index[0] - before;
      out.context = WithColumnsOf(*out.table, table::SliceRows(table, 0, before));
      if (table::TableBytes(*out.context) > options_.context_bytes) {
        RETURN_IF_ERROR(SendContext(*std::exchange(out.context, std::nullopt), out.context_first));
      }
    }
    return sink_.rows(std::move(out));
  }

 private:
  // Halves, until each is small enough: one row may hold as much as all others.
  absl::Status SendContext(table::Table rows, int64_t first) {
    if (rows.rows() > 1 && table::TableBytes(rows) > options_.context_bytes) {
      const int64_t half = rows.rows() / 2;
      RETURN_IF_ERROR(SendContext(table::SliceRows(rows, 0, half), first));
      return SendContext(table::SliceRows(rows, half, rows.rows() - half), first + half);
    }
    FeatureRows out;
    out.context = std::move(rows);
    out.context_first = first;
    return sink_.rows(std::move(out));
  }

  const table::Preparation& preparation_;
  const FeatureSink& sink_;
  const EngineOptions& options_;
  bool include_table_;
  bool wants_context_;
  const std::vector<std::string>& columns_;
  table::WindowRows pending_;
  table::TableBuilder cells_;
  std::vector<int64_t> row_index_;
};

}  // namespace

absl::StatusOr<table::Table> Engine::ReadSample(const DatasetInfo& info, int64_t max_rows, DatasetSource& source,
                                                const Context& context, std::vector<std::string>* row_numbers) const {
  SequentialSampler sampler(info.rows, max_rows, kFitSeed);
  RowNumberFinder finder;
  table::TableBuilder sample;
  const auto take = [&](int64_t, table::Table&& rows) -> absl::Status {
    RETURN_IF_ERROR(context.Check());
    if (row_numbers != nullptr) finder.Add(rows);
    std::vector<int64_t> chosen;
    for (int64_t i = 0; i < rows.rows(); ++i) {
      if (sampler.Take()) chosen.push_back(i);
    }
    return static_cast<int64_t>(chosen.size()) == rows.rows() ? sample.Append(rows)
                                                              : sample.Append(table::TakeRows(rows, chosen));
  };
  if (info.rows > 0) RETURN_IF_ERROR(source.Read(info.id, 0, info.rows, take));
  if (row_numbers != nullptr) *row_numbers = finder.Found();
  return sample.Take();
}

absl::StatusOr<FeatureSet> Engine::CreateFeatureSet(const std::string& tenant, const std::string& dataset,
                                                    const table::PrepareOptions& options, DatasetSource& source,
                                                    const Context& context) const {
  const std::string id = FeatureSetId(tenant, dataset, options);
  absl::StatusOr<FeatureSet> known = feature_sets_->Get(tenant, id);
  if (known.ok() || !absl::IsNotFound(known.status())) return known;

  ASSIGN_OR_RETURN(const DatasetInfo info, source.Describe(dataset));
  const table::PrepareOptions canonical = Canonical(options);
  RETURN_IF_ERROR(CheckIgnored(info, canonical.ignore_columns));
  const int64_t max_rows =
      std::max<int64_t>(1, options_.max_fit_cells / std::max<int64_t>(1, static_cast<int64_t>(info.columns.size())));
  const bool sampled = info.rows > max_rows;
  std::vector<std::string> row_numbers;
  ASSIGN_OR_RETURN(const table::Table rows, ReadSample(info, max_rows, source, context,
                                                       sampled && options.drop_identifiers ? &row_numbers : nullptr));
  table::PrepareOptions fitting = canonical;
  fitting.ignore_columns.insert(fitting.ignore_columns.end(), row_numbers.begin(), row_numbers.end());
  ASSIGN_OR_RETURN(const table::Preparation preparation, table::Preparation::Fit(rows, fitting));

  FeatureSet out{.id = id, .dataset = dataset, .options = canonical};
  for (const table::Feature& feature : preparation.features()) out.features.push_back(feature.name);
  out.notes = preparation.notes();
  for (const std::string& name : row_numbers) out.notes.push_back(fmt::format("column '{}' counts the rows", name));
  if (sampled) out.notes.push_back(fmt::format("fitted on {} of {} rows, drawn at random", rows.rows(), info.rows));
  out.preparation = SavePreparation(preparation);
  return feature_sets_->Put(tenant, out);
}

absl::Status Engine::StreamFeatures(const std::string& tenant, const FeatureQuery& query, DatasetSource& source,
                                    const Context& context, const FeatureSink& sink) const {
  if (query.first_row < 0 || query.row_count < 0 || query.sample_rows < 0) {
    return InvalidArgument("first_row, row_count and sample_rows must not be negative");
  }
  ASSIGN_OR_RETURN(const FeatureSet feature_set, feature_sets_->Get(tenant, query.feature_set));
  ASSIGN_OR_RETURN(const table::Preparation preparation, LoadPreparation(feature_set.preparation));
  ASSIGN_OR_RETURN(const DatasetInfo info,
                   source.Describe(query.dataset.empty() ? feature_set.dataset : query.dataset));
  if (query.first_row > info.rows) {
    return absl::OutOfRangeError(
        fmt::format("row {} is beyond the {} rows of dataset {}", query.first_row, info.rows, info.id));
  }
  RETURN_IF_ERROR(sink.header({.feature_set = feature_set.id,
                               .dataset_rows = info.rows,
                               .cols = static_cast<int64_t>(preparation.features().size()),
                               .preparation = feature_set.preparation}));
  const int64_t left = info.rows - query.first_row;
  const int64_t count = query.row_count == 0 ? left : std::min(query.row_count, left);
  if (count == 0) return absl::OkStatus();

  SequentialSampler sampler(count, query.sample_rows == 0 ? count : query.sample_rows, query.seed);
  Outlet outlet(preparation, sink, options_, query);
  table::RowHistory history(preparation.history());
  absl::flat_hash_set<std::string_view> used;
  for (const table::ColumnSchema& column : preparation.schema()) used.insert(column.name);
  const int64_t begin = std::max<int64_t>(0, query.first_row - preparation.history());
  const auto take = [&](int64_t first_row, table::Table&& rows) -> absl::Status {
    RETURN_IF_ERROR(context.Check());
    table::Table own;
    if (preparation.history() > 0) {  // other columns may be much larger, and would be copied with every row's history
      if (query.include_table) own = rows;
      std::erase_if(rows.columns, [&used](const table::Column& c) { return !used.contains(c.name); });
      if (rows.columns.size() < used.size())
        return preparation.Select(rows).status();  // names the one that is not there
    }
    ASSIGN_OR_RETURN(const table::RowHistory::Run run, history.Next(std::move(rows)));
    std::vector<int64_t> chosen;
    const int64_t first = first_row - run.context_rows;
    for (int64_t i = std::max(run.context_rows, query.first_row - first); i < run.table.rows(); ++i) {
      if (sampler.Take()) chosen.push_back(i);
    }
    return outlet.Add(run.table, first, chosen, own, run.context_rows);
  };
  RETURN_IF_ERROR(source.Read(info.id, begin, query.first_row - begin + count, take));
  return outlet.Flush();
}

absl::StatusOr<DataProfile> Engine::Profile(const std::string& dataset, DatasetSource& source,
                                            const Context& context) const {
  ASSIGN_OR_RETURN(const DatasetInfo info, source.Describe(dataset));
  const int64_t max_rows =
      std::clamp<int64_t>(options_.max_fit_cells / std::max<int64_t>(1, static_cast<int64_t>(info.columns.size())), 1,
                          options_.profile_rows);
  ASSIGN_OR_RETURN(const table::Table rows, ReadSample(info, max_rows, source, context, nullptr));
  ASSIGN_OR_RETURN(const table::Preparation preparation, table::Preparation::Fit(rows, {}));
  ASSIGN_OR_RETURN(const Matrix X, preparation.Apply(rows));
  DataProfile profile = ProfileOf(rows, preparation, X);
  profile.rows = info.rows;
  return profile;
}

absl::StatusOr<Baseline> Engine::CreateBaseline(const std::string& tenant, Baseline wanted,
                                                const std::string& request_id, DatasetSource& source,
                                                const Context& context) const {
  BaselineBuilder builder(options_.max_fit_cells);
  const size_t slash = wanted.scope.find('/');
  const std::string id = wanted.scope.substr(slash + 1);
  if (wanted.scope.substr(0, slash) == "entities") {
    const auto add = [&](std::span<const double> values) -> absl::Status {
      builder.Add(values);
      return context.Check();
    };
    RETURN_IF_ERROR(source.ReadSeries(id, wanted.metric.substr(wanted.metric.find('/') + 1), wanted.valid_from,
                                      wanted.valid_to, add));
  } else {
    ASSIGN_OR_RETURN(const DatasetInfo info, source.Describe(id));
    const auto column =
        std::find_if(info.columns.begin(), info.columns.end(), [&](const auto& c) { return c.name == wanted.metric; });
    if (column == info.columns.end())
      return InvalidArgument("metric: dataset {} has no column '{}'", id, wanted.metric);
    if (column->type != table::ColumnType::kNumeric)
      return InvalidArgument("metric: column '{}' is not numeric", wanted.metric);
    const auto add = [&, j = column - info.columns.begin()](int64_t, table::Table&& rows) -> absl::Status {
      builder.Add(rows.columns[static_cast<size_t>(j)].values);
      return context.Check();
    };
    RETURN_IF_ERROR(source.Read(id, 0, info.rows, add));
  }
  RETURN_IF_ERROR(builder.Finish(&wanted));
  return baselines_->Create(tenant, wanted, request_id);
}

}  // namespace vedette::feature_engine
