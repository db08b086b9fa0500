// A dataset and stores in memory, behind the ports of feature-engine.
#pragma once

#include <map>
#include <string>

#include "base/status.h"
#include "services/feature-engine/ports/baseline_store.h"
#include "services/feature-engine/ports/dataset_source.h"
#include "services/feature-engine/ports/feature_set_store.h"
#include "table/rows.h"

namespace vedette::feature_engine {

/// Gives one table in runs of `run` rows.
class FakeSource final : public DatasetSource {
 public:
  FakeSource(table::Table t, int64_t run) : table_(std::move(t)), run_(run) {}
  absl::StatusOr<DatasetInfo> Describe(const std::string& dataset) override {
    if (dataset == "none") return NotFound("no dataset {}", dataset);
    return DatasetInfo{dataset, table_.rows(), table::SchemaOf(table_)};
  }
  absl::Status Read(const std::string&, int64_t first, int64_t count, const RowsSink& sink) override {
    ++reads;
    for (int64_t at = first; at < first + count; at += run_) {
      RETURN_IF_ERROR(sink(at, table::SliceRows(table_, at, std::min(run_, first + count - at))));
    }
    return absl::OkStatus();
  }
  absl::Status ReadSeries(const std::string& entity, const std::string& metric, absl::Time, absl::Time,
                          const ValuesSink& sink) override {
    series = entity + " " + metric;
    return sink(std::vector<double>{1, 2, 3});
  }
  int reads = 0;
  std::string series;

 private:
  table::Table table_;
  int64_t run_;
};

class FakeFeatureSets final : public FeatureSetStore {
 public:
  absl::StatusOr<FeatureSet> Get(const std::string& tenant, const std::string& id) override {
    const auto it = stored.find(tenant + "/" + id);
    if (it == stored.end()) return NotFound("no feature set {}", id);
    return it->second;
  }
  absl::StatusOr<FeatureSet> Put(const std::string& tenant, const FeatureSet& f) override {
    return stored.try_emplace(tenant + "/" + f.id, f).first->second;
  }
  absl::StatusOr<Page<FeatureSet>> List(const std::string&, const ListQuery&) override { return Page<FeatureSet>{}; }
  std::map<std::string, FeatureSet> stored;
};

class FakeBaselines final : public BaselineStore {
 public:
  absl::StatusOr<Baseline> Create(const std::string&, const Baseline& b, const std::string&) override { return b; }
  absl::StatusOr<Baseline> Get(const std::string&, const std::string& id) override {
    return NotFound("no baseline {}", id);
  }
  absl::StatusOr<Page<Baseline>> List(const std::string&, const ListQuery&) override { return Page<Baseline>{}; }
  absl::Status Delete(const std::string&, const std::string& id) override { return NotFound("no baseline {}", id); }
};

}  // namespace vedette::feature_engine
