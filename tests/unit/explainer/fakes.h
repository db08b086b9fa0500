// A store, a queue and other services in memory, behind the explainer's ports.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <map>
#include <set>

#include "base/ids.h"
#include "base/rng.h"
#include "base/status.h"
#include "services/explainer/core/explainer.h"
#include "services/explainer/core/similar.h"
#include "table/csv.h"
#include "table/rows.h"

namespace vedette::explainer {

/// Everything by tenant, as the real one.
class FakeStore final : public ExplanationStore {
 public:
  absl::Status Write(const std::string& tenant, const std::vector<Finding>& findings,
                     const std::vector<StoredExplanation>& all) override {
    for (const Finding& f : findings) found.try_emplace(tenant + "/" + f.anomaly_id, f);
    for (const StoredExplanation& e : all) {
      if (std::none_of(explanations.begin(), explanations.end(),
                       [&](const auto& x) { return x.first == tenant && x.second.id == e.id; })) {
        explanations.emplace_back(tenant, e);
      }
    }
    return absl::OkStatus();
  }
  absl::StatusOr<std::vector<StoredExplanation>> List(const std::string& tenant,
                                                      const std::string& anomaly_id) override {
    std::vector<StoredExplanation> out;
    for (const auto& [t, e] : explanations) {
      if (t == tenant && e.anomaly_id == anomaly_id) out.push_back(e);
    }
    return out;
  }
  absl::StatusOr<std::optional<Finding>> FindFinding(const std::string& tenant,
                                                     const std::string& anomaly_id) override {
    const auto it = found.find(tenant + "/" + anomaly_id);
    return it == found.end() ? std::nullopt : std::optional(it->second);
  }
  absl::StatusOr<std::optional<StoredExplanation>> FindEqual(const std::string& tenant,
                                                             const StoredExplanation& like) override {
    for (const auto& [t, e] : explanations) {
      if (t == tenant && !e.row_hash.empty() && e.row_hash == like.row_hash &&
          e.explanation.method == like.explanation.method && e.model == like.model && e.config == like.config) {
        return e;
      }
    }
    return std::nullopt;
  }
  absl::StatusOr<std::vector<SimilarIncident>> Candidates(const std::string& tenant, const Finding& finding) override {
    RETURN_IF_ERROR(candidates_status);
    std::vector<SimilarIncident> out;
    for (const auto& [key, f] : found) {
      if (!key.starts_with(tenant + "/") || f.anomaly_id == finding.anomaly_id || f.algorithm != finding.algorithm)
        continue;
      const auto o = outcomes.find(tenant + "/" + f.anomaly_id);
      out.push_back({.finding = f,
                     .similarity = 0,
                     .outcome = o == outcomes.end() ? "" : o->second.verdict,
                     .outcome_confidence = 1});
    }
    return out;
  }
  absl::StatusOr<std::set<int64_t>> OddRows(const std::string& tenant, const Finding& finding) override {
    std::set<int64_t> rows;
    for (const auto& [key, f] : found) {
      if (key.starts_with(tenant + "/") && f.dataset == finding.dataset && f.model == finding.model &&
          f.entity == finding.entity && f.metric == finding.metric && f.event_time <= finding.event_time) {
        rows.insert(f.row_index);
      }
    }
    return rows;
  }
  absl::Status SetOutcome(const std::string& tenant, const Outcome& outcome) override {
    outcomes[tenant + "/" + outcome.anomaly_id] = outcome;
    return absl::OkStatus();
  }
  absl::Status SetText(const std::string& tenant, const StoredExplanation& e) override {
    for (auto& [t, x] : explanations) {
      if (t != tenant || x.id != e.id) continue;
      x.explanation.text = e.explanation.text;
      x.text_source = e.text_source;
    }
    return absl::OkStatus();
  }

  std::map<std::string, Finding> found;
  std::vector<std::pair<std::string, StoredExplanation>> explanations;
  std::map<std::string, Outcome> outcomes;
  absl::Status candidates_status;
};

class FakeQueue final : public TaskQueue {
 public:
  absl::Status Add(const std::string& tenant, const std::vector<Task>& added) override {
    RETURN_IF_ERROR(status);
    for (const Task& t : added) tasks.emplace_back(tenant, t);
    return absl::OkStatus();
  }
  std::vector<std::pair<std::string, Task>> tasks;
  absl::Status status;
};

/// 200 usual rows of five numbers and a colour, then one whose third number is far off, and a model of them; with a
/// window, then as many usual ones as its windows are in.
class World {
 public:
  explicit World(const std::string& algorithm, int window = 1) {
    Rng rng(7);
    std::string text = "a,b,c,d,e,colour\n";
    for (int i = 0; i < 200 + window; ++i) {
      for (int j = 0; j < 5; ++j) text += fmt::format("{:.4f},", rng.Normal() + (i == 200 && j == 2 ? 12 : 0));
      text += i % 3 == 0 ? "red\n" : "blue\n";
    }
    const auto parsed = table::ReadCsvText(text, {});
    REQUIRE(parsed.ok());
    table_ = parsed->table;
    auto preparation = table::Preparation::Fit(table_, {.scaling = table::Scaling::kStandard, .window = window});
    REQUIRE(preparation.ok());
    matrix_ = *preparation->Apply(table_);
    const outlier::Catalog catalog({outlier::AllAlgorithms()});
    auto fitted =
        outlier::Model::Fit(catalog, {.algorithm = algorithm, .contamination = 0.02}, *preparation, matrix_, Context{});
    REQUIRE(fitted.ok());
    model = std::move(*fitted);
    prepared = std::make_shared<const explain::PreparedModel>(model);
  }

  Finding FindingOf(int64_t row) const {
    Finding f;
    f.anomaly_id = DerivedUuid(fmt::format("{}", row));
    f.model = "models/m";
    f.algorithm = std::string(model->descriptor().name);
    f.dataset = "datasets/d";
    f.row_index = row;
    Matrix one = RowOf(row);
    f.score = (*model->Score(one.view(), Context{}))[0];
    f.threshold = model->scale().threshold();
    f.detect_time = absl::FromUnixSeconds(1'700'000'000);
    return f;
  }
  Matrix RowOf(int64_t row) const {
    Matrix one(1, matrix_.cols());
    for (int64_t j = 0; j < matrix_.cols(); ++j) one(0, j) = matrix_(row, j);
    return one;
  }
  /// The finding and the row of `row`; counts how often the row was asked for.
  Sources SourcesFor() {
    Sources s;
    s.finding = [this](const std::string& id) -> absl::StatusOr<Finding> {
      for (int64_t i = 0; i < matrix_.rows(); ++i) {
        if (DerivedUuid(fmt::format("{}", i)) == id) return FindingOf(i);
      }
      return NotFound("anomalies/{} does not exist", id);
    };
    s.row = [this](const Finding& f) -> absl::StatusOr<ModelRow> {
      RETURN_IF_ERROR(row_status);
      ++rows_read;
      const int64_t row = f.row_index % matrix_.rows();
      const int64_t first = std::max<int64_t>(0, row - model->preparation().history());
      return ModelRow{
          .model = prepared, .features = RowOf(row), .table = table::SliceRows(table_, first, row - first + 1)};
    };
    s.changes = [this](const Finding&) -> absl::StatusOr<std::vector<ChangeEvent>> {
      RETURN_IF_ERROR(near_status);
      return changes;
    };
    s.peers = [this](const Finding&) -> absl::StatusOr<std::vector<PeerStanding>> {
      RETURN_IF_ERROR(near_status);
      return peers;
    };
    s.timeline = [this](const Finding&) -> absl::StatusOr<std::shared_ptr<const explain::Timeline>> {
      RETURN_IF_ERROR(near_status);
      return timeline;
    };
    return s;
  }

  std::shared_ptr<const outlier::Model> model;
  std::shared_ptr<const explain::PreparedModel> prepared;
  absl::Status row_status, near_status;
  int rows_read = 0;
  std::vector<ChangeEvent> changes;
  std::vector<PeerStanding> peers;
  std::shared_ptr<explain::Timeline> timeline;  ///< null: the dataset has no times

 private:
  table::Table table_;
  Matrix matrix_;
};

}  // namespace vedette::explainer
