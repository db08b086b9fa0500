#include <fmt/format.h>

#include <cmath>
#include <set>

#include "cli/results.h"

namespace vedette::cli {
namespace {

Json ValueJson(bool numeric, double value, const std::string& text) {
  if (numeric) return CellNumber(value);
  return text.empty() ? Json(nullptr) : Json(text);
}

/// One object; its "anomalies" array is written row by row, what is only known at the end follows it.
class JsonRows final : public ResultWriter {
 public:
  JsonRows(const ResultOptions& options, Output* out) : options_(options), out_(out) {}

  void Begin(const Header& header) override {
    const outlier::Model& model = *header.model;
    scale_ = &model.scale();
    Json head;
    head["file"] = header.file;
    head["algorithm"] = model.descriptor().name;
    if (!header.reason.empty()) head["algorithm_reason"] = header.reason;
    for (const outlier::Pick& pick : header.picks) {
      head["algorithm_picks"].push_back({{"algorithm", pick.algorithm},
                                         {"parameters", pick.params},
                                         {"reason", pick.reason},
                                         {"expected_quality", pick.expected_quality > 0 ? Number(pick.expected_quality) : Json(nullptr)},
                                         {"fit_seconds", Number(pick.cost.fit_seconds)},
                                         {"score_seconds_per_row", Number(pick.cost.score_seconds_per_row)},
                                         {"model_bytes", Number(pick.cost.model_bytes)}});
    }
    if (!header.model_file.empty()) head["model"] = header.model_file;
    head["parameters"] = model.params();
    head["seed"] = model.seed();
    head["training_rows"] = header.training_rows;
    head["sampled"] = header.sampled;
    head["threshold"] = Number(model.scale().threshold());
    head["contamination"] = Number(model.scale().contamination());
    if (!model.scale().rule().empty()) head["threshold_rule"] = model.scale().rule();
    const outlier::DecisionOptions& decision = header.decision;
    if (decision.false_discovery_rate > 0) head["false_discovery_rate"] = decision.false_discovery_rate;
    if (decision.rejection_tolerance > 0) head["rejection_tolerance"] = decision.rejection_tolerance;
    std::set<std::string> used;
    for (const auto& f : model.preparation().features()) used.insert(f.source_column);
    head["columns_used"] = Json::array();
    for (const auto& column : header.columns) {
      if (used.contains(column.name)) head["columns_used"].push_back(column.name);
    }
    head["columns_left_out"] = model.preparation().notes();
    head["window"] = model.preparation().history() + 1;
    head["order"] = header.order;
    // The closing brace waits for End.
    std::string text = Dump(head, 2);
    text.resize(text.rfind("\n}"));
    out_->Write(text + ",\n  \"anomalies\": [");
  }

  void Row(const ResultRow& row) override {
    Json json;
    json["row_index"] = row.row_index;
    json["anomaly_score"] = Number(row.score.score);
    json["probability"] = Number(row.score.probability);
    json["linear_probability"] = Number(scale_->LinearProbability(row.score.score));
    json["confidence"] = Number(row.score.confidence);
    json["p_value"] = Number(scale_->PValue(row.score.score));
    json["is_anomaly"] = row.score.anomaly;
    if (options_.decision.rejection_tolerance > 0) json["rejected"] = row.score.rejected;
    json["severity"] = outlier::SeverityName(row.score.severity);
    Json features = Json::array();
    if (row.explanation != nullptr) {
      for (const auto& c : row.explanation->contributions) {
        if (features.size() >= options_.top_features || c.contribution <= 0) break;
        features.push_back(ContributionJson(c, row.explanation->space));
      }
    }
    json["anomalous_features"] = std::move(features);
    if (row.explanation != nullptr) json["explanation"] = row.explanation->text;
    Json raw = Json::object();
    for (const auto& column : row.table->columns) raw[column.name] = CellJson(column, row.table_row);
    json["raw_data"] = std::move(raw);
    out_->Write((first_ ? "\n    " : ",\n    ") + Dump(json));
    first_ = false;
  }

  void End(const Header&, const Totals& totals) override {
    out_->Write(fmt::format("{}],\n  \"rows_read\": {},\n  \"anomalies_found\": {},\n  \"bad_cells\": {}\n}}\n",
                            first_ ? "" : "\n  ", totals.rows, totals.anomalies, totals.bad_cells));
  }

 private:
  ResultOptions options_;
  Output* out_;
  const outlier::ScoreScale* scale_ = nullptr;
  bool first_ = true;
};

}  // namespace

Json CellJson(const table::Column& column, int64_t row) {
  if (column.IsMissing(row)) return nullptr;
  if (column.type == table::ColumnType::kNumeric) return CellNumber(column.values[static_cast<size_t>(row)]);
  return column.Text(row);
}

Json ContributionJson(const explain::Contribution& c, const std::string& space) {
  // Autoencoders and their kin measure how badly a value was rebuilt: their users look for it under that name.
  const bool rebuilt = space.find("reconstruction") != std::string::npos;
  Json json;
  json["feature_name"] = c.feature_name;
  json["lag"] = c.lag;
  json["actual_value"] =
      c.direction == explain::Direction::kMissing ? Json(nullptr) : ValueJson(c.numeric, c.actual, c.actual_text);
  json["expected_value"] = ValueJson(c.numeric, c.expected, c.expected_text);
  json[rebuilt ? "reconstruction_error" : "contribution"] = Number(c.contribution);
  json["share"] = Number(c.share);
  json["direction"] = explain::DirectionName(c.direction);
  json["percentile"] = Number(c.percentile);
  if (std::isfinite(c.high)) json["high_contribution"] = c.high;
  if (std::isfinite(c.low)) json["low_contribution"] = c.low;
  return json;
}

std::unique_ptr<ResultWriter> JsonWriter(const ResultOptions& options, Output* out) {
  return std::make_unique<JsonRows>(options, out);
}

}  // namespace vedette::cli
