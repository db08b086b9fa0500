#include "services/explainer/adapters/pg_explanation_store.h"

#include <array>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "base/status.h"
#include "storage/copy.h"
#include "storage/transaction.h"

namespace vedette::explainer {
namespace {

using nlohmann::json;
using storage::Row;
using storage::Tx;

constexpr std::array kDirections = {explain::Direction::kHigh, explain::Direction::kLow, explain::Direction::kDifferent,
                                    explain::Direction::kMissing, explain::Direction::kUsual};

/// JSONB takes no NUL; cells may hold any bytes.
std::string Clean(std::string text) {
  std::erase(text, '\0');
  return text;
}

std::string ToJson(const std::vector<explain::Contribution>& contributions) {
  json list = json::array();
  for (const explain::Contribution& c : contributions) {
    json j = {{"feature", Clean(c.feature_name)}, {"contribution", c.contribution},
              {"share", c.share},                 {"actual_text", Clean(c.actual_text)},
              {"expected_text", Clean(c.expected_text)}, {"direction", explain::DirectionName(c.direction)},
              {"numeric", c.numeric}};
    if (std::isfinite(c.actual)) j["actual"] = c.actual;
    if (std::isfinite(c.expected)) j["expected"] = c.expected;
    list.push_back(std::move(j));
  }
  return list.dump(-1, ' ', false, json::error_handler_t::replace);
}

std::vector<explain::Contribution> FromJson(std::string_view text) {
  std::vector<explain::Contribution> out;
  const json list = json::parse(text, nullptr, false);
  if (!list.is_array()) return out;
  constexpr double kNone = std::numeric_limits<double>::quiet_NaN();
  for (const json& j : list) {
    explain::Contribution c;
    c.feature_name = j.value("feature", "");
    c.contribution = j.value("contribution", 0.0);
    c.share = j.value("share", 0.0);
    c.actual = j.value("actual", kNone);
    c.expected = j.value("expected", kNone);
    c.actual_text = j.value("actual_text", "");
    c.expected_text = j.value("expected_text", "");
    c.numeric = j.value("numeric", true);
    const std::string direction = j.value("direction", "");
    for (const explain::Direction d : kDirections) {
      if (explain::DirectionName(d) == direction) c.direction = d;
    }
    out.push_back(std::move(c));
  }
  return out;
}

}  // namespace

absl::Status PgExplanationStore::Write(const std::string& tenant, const std::vector<StoredExplanation>& all) {
  if (all.empty()) return absl::OkStatus();
  return storage::InTenant(*pool_, tenant, [&](Tx& tx) -> absl::Status {
    ASSIGN_OR_RETURN(auto bulk, storage::BulkInsert::Begin(tx, {.table = "anomaly_explanations",
                                                                .columns = {"tenant_id", "anomaly_id", "explanation_id", "method", "space",
                                                                            "contributions", "no_single_driver", "explanation_text",
                                                                            "text_source", "degraded_reason", "model"},
                                                                .on_conflict = "on conflict do nothing"}));
    for (const StoredExplanation& e : all) {
      bulk.Text(tx.tenant());
      bulk.Text(e.anomaly_id);
      bulk.Text(e.id);
      bulk.Text(e.explanation.method);
      bulk.Text(e.explanation.space);
      bulk.Text(ToJson(e.explanation.contributions));
      bulk.Bool(e.explanation.no_single_driver);
      bulk.Text(Clean(e.explanation.text));
      bulk.Text(e.text_source);
      bulk.Text(e.degraded_reason);
      bulk.Text(e.model);
      RETURN_IF_ERROR(bulk.EndRow());
    }
    return bulk.Finish().status();
  });
}

absl::StatusOr<std::vector<StoredExplanation>> PgExplanationStore::List(const std::string& tenant, const std::string& anomaly_id) {
  std::vector<StoredExplanation> all;
  RETURN_IF_ERROR(storage::InTenant(*pool_, tenant, [&](Tx& tx) -> absl::Status {
    ASSIGN_OR_RETURN(const auto rows,
                     tx.Exec("select explanation_id, method, space, contributions, no_single_driver, explanation_text, text_source, "
                             "degraded_reason, model, create_time from anomaly_explanations "
                             "where tenant_id = $1 and anomaly_id = $2::uuid order by create_time, explanation_id limit 100",
                             {tx.tenant(), anomaly_id}));
    all.clear();
    for (const Row r : rows) {
      StoredExplanation e;
      e.id = r.Text("explanation_id");
      e.anomaly_id = anomaly_id;
      e.explanation.method = r.Text("method");
      e.explanation.space = r.Text("space");
      e.explanation.contributions = FromJson(r.Text("contributions"));
      e.explanation.no_single_driver = r.Bool("no_single_driver");
      e.explanation.text = r.Text("explanation_text");
      e.text_source = r.Text("text_source");
      e.degraded_reason = r.Text("degraded_reason");
      e.model = r.Text("model");
      e.create_time = r.Time("create_time");
      all.push_back(std::move(e));
    }
    return absl::OkStatus();
  }));
  return all;
}

}  // namespace vedette::explainer
