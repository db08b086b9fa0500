#include <catch2/catch.hpp>
#include <cmath>
#include <limits>

#include "base/ids.h"
#include "base/status.h"
#include "services/explainer/adapters/pg_explanation_store.h"
#include "support/support.h"

namespace vedette::explainer {

extern const storage::MigrationFile kMigrationFiles[];
extern const int kMigrationFileCount;

TEST_CASE("an explanation comes back as it went in, once, and only for its tenant") {
  const testing::ServiceDatabase db = testing::NewServiceDatabase("explainer", {kMigrationFiles, static_cast<size_t>(kMigrationFileCount)});
  PgExplanationStore store(db.pool.get());
  constexpr double kNone = std::numeric_limits<double>::quiet_NaN();
  outlier::FeatureContribution price{.feature = "price", .contribution = 3, .share = 0.75, .actual = 940, .expected = 12, .actual_text = "940", .expected_text = "12"};
  outlier::FeatureContribution colour{.feature = "colour", .contribution = 1, .share = 0.25, .actual = kNone, .expected = kNone, .actual_text = "green", .expected_text = "red"};
  const Finding finding{.anomaly_id = DerivedUuid("a"), .model = "models/m", .dataset = "datasets/d", .row_index = 12, .score = {.score = 2, .anomaly = true, .severity = outlier::Severity::kHigh}, .threshold = 1};
  const StoredExplanation made = FromContributions(finding, "score", {price, colour});
  CHECK_FALSE(made.explanation.text.empty());
  REQUIRE(store.Write("acme", {made}).ok());
  REQUIRE(store.Write("acme", {made}).ok());
  const auto all = store.List("acme", finding.anomaly_id);
  REQUIRE(all.ok());
  REQUIRE(all->size() == 1);
  const auto& e = all->front();
  CHECK(e.id == made.id);
  CHECK(e.explanation.text == made.explanation.text);
  REQUIRE(e.explanation.contributions.size() == 2);
  CHECK(e.explanation.contributions[0].actual == 940);
  CHECK(std::isnan(e.explanation.contributions[1].actual));
  CHECK(e.explanation.contributions[1].direction == made.explanation.contributions[1].direction);
  CHECK(store.List("other", finding.anomaly_id)->empty());

  // Stored already: no other service is asked.
  Explainer explainer(&store);
  const Sources none{.finding = [](const std::string&) -> absl::StatusOr<Finding> { return Unavailable("triage is away"); },
                     .row = [](const Finding&) -> absl::StatusOr<ModelRow> { return Unavailable("away"); }};
  CHECK(explainer.Explain("acme", finding.anomaly_id, "", none, {}).ok());
  CHECK(absl::IsUnavailable(explainer.Explain("acme", DerivedUuid("b"), "native", none, {}).status()));
  CHECK(absl::IsInvalidArgument(explainer.Explain("acme", finding.anomaly_id, "magic", none, {}).status()));
}

}  // namespace vedette::explainer
