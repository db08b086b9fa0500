#include "services/explainer/core/explainer.h"

#include <catch2/catch.hpp>
#include <cmath>
#include <numeric>

#include "unit/explainer/fakes.h"

namespace vedette::explainer {
namespace {

constexpr int64_t kOdd = 200;
const std::string kTenant = "acme";

struct Fixture {
  explicit Fixture(const std::string& algorithm = "knn", ExplainerOptions options = {}, Wording* wording = nullptr)
      : world(algorithm), explainer(&store, &queue, options, wording) {}

  std::string Id(int64_t row = kOdd) const { return DerivedUuid(fmt::format("{}", row)); }
  /// As the fact of a detection does it.
  void Store(Finding finding) {
    std::vector<outlier::FeatureContribution> features = {
        {.feature = "c", .contribution = 3, .actual = 12, .expected = 0, .actual_text = "12", .expected_text = "0"},
        {.feature = "a", .contribution = 1, .actual = 1, .expected = 0, .actual_text = "1", .expected_text = "0"}};
    const StoredExplanation native = FromContributions(&finding, "score", features);
    REQUIRE(explainer.Take(kTenant, {finding}, {native}).ok());
  }
  absl::StatusOr<Answer> Ask_(Ask ask, int64_t row = kOdd, const Context& ctx = {}) {
    return explainer.Explain(kTenant, Id(row), std::move(ask), world.SourcesFor(), ctx);
  }
  absl::StatusOr<Answer> Ask_(const std::string& method, bool numbers_only = true) {
    return Ask_(Ask{.method = method, .options = {}, .numbers_only = numbers_only});
  }

  World world;
  FakeStore store;
  FakeQueue queue;
  Explainer explainer;
};

}  // namespace

TEST_CASE("windows: every method names the column and how many rows before, and a counterfactual leaves those alone") {
  for (const std::string algorithm : {"knn", "iforest"}) {
    World world(algorithm, 3);
    FakeStore store;
    FakeQueue queue;
    Explainer explainer(&store, &queue, {});
    for (const explain::Method& method : explain::Methods()) {
      if (method.name == "integrated_gradients" || method.name == "exact")
        continue;  // of networks; of up to 13 players
      if (algorithm == "knn" && (method.name == "tree_shap" || method.name == "diffi")) continue;
      if (method.name == "counterfactual") continue;
      CAPTURE(algorithm, std::string(method.name));
      const auto made = explainer.Explain(kTenant, DerivedUuid("202"),
                                          {.method = std::string(method.name), .options = {}}, world.SourcesFor(), {});
      INFO(made.status());
      REQUIRE(made.ok());
      const explain::Explanation& e = made->explanation.explanation;
      REQUIRE(e.contributions.size() == 18);
      REQUIRE(made->explanation.counterfactual);
      for (const auto& change : made->explanation.counterfactual->changes) CHECK(change.feature != "c");
      if (method.name == "lime" && algorithm == "iforest") continue;  // so far out a forest's score is flat
      CHECK(e.contributions[0].feature_name == "c");
      CHECK(e.contributions[0].lag == 2);
      CHECK(e.contributions[0].actual > 8);  // what the cell said two rows before
      CHECK(e.text.find("c 2 rows before is ") != std::string::npos);
    }
    for (const auto& [tenant, kept] : store.explanations) {
      if (kept.explanation.method == "native") CHECK(kept.explanation.contributions[0].lag == 2);
    }
  }
}

TEST_CASE("every method explains the planted column, says what it explains, and is stored once") {
  for (const std::string algorithm : {"knn", "iforest"}) {
    Fixture f(algorithm);
    size_t stored = 0;
    for (const explain::Method& method : explain::Methods()) {
      if (algorithm == "knn" && (method.name == "tree_shap" || method.name == "diffi")) continue;
      if (method.name == "integrated_gradients") continue;  // of networks
      CAPTURE(algorithm, std::string(method.name));
      const auto made = f.Ask_(std::string(method.name));
      REQUIRE(made.ok());
      const StoredExplanation& e = made->explanation;
      CHECK(e.explanation.method == method.name);
      CHECK(e.degraded_reason.empty());
      CHECK(e.explanation.contributions[0].feature_name == "c");
      CHECK(e.explanation.contributions[0].percentile == 100);
      CHECK_FALSE(e.explained.empty());
      CHECK_FALSE(e.explanation.text.empty());
      CHECK(e.row_hash.size() == 64);
      if (e.expected) {
        double sum = *e.expected;
        for (const auto& c : e.explanation.contributions) sum += c.contribution;
        CHECK(sum == Approx(*e.output).margin(1e-9));
        CHECK(*e.additivity_error < 1e-9);
      }
      CHECK(f.store.explanations.size() == ++stored);
      const int reads = f.world.rows_read;
      const auto again = f.Ask_(std::string(method.name));
      REQUIRE(again.ok());
      CHECK(again->explanation.id == e.id);
      CHECK(f.world.rows_read == reads);  // stored: neither model nor row are asked for
      CHECK(f.store.explanations.size() == stored);
    }
  }
}

TEST_CASE("what was stored with the finding is answered as it is, with a counterfactual that the model confirms") {
  Fixture f;
  f.Store(f.world.FindingOf(kOdd));
  const auto answer = f.Ask_("", false);
  REQUIRE(answer.ok());
  CHECK(answer->explanation.explanation.contributions[0].contribution == 3);
  CHECK(answer->explanation.degraded_reason.empty());
  REQUIRE(answer->explanation.counterfactual);
  const WordedCounterfactual& c = *answer->explanation.counterfactual;
  CHECK(c.found);
  CHECK(c.score <= c.threshold);
  REQUIRE(c.changes.size() == 1);
  CHECK(c.changes[0].feature == "c");

  // A frozen column stays, or nothing is found.
  Ask frozen{.method = "counterfactual", .options = {.frozen = {"c"}}};
  const auto without = f.Ask_(frozen);
  REQUIRE(without.ok());
  REQUIRE(without->explanation.counterfactual);
  CHECK(without->explanation.counterfactual->frozen == std::vector<std::string>{"c"});
  for (const auto& change : without->explanation.counterfactual->changes) CHECK(change.feature != "c");
  // A range is kept.
  Ask ranged{.method = "counterfactual", .options = {.ranges = {{"c", 5, 20}}}};
  const auto within = f.Ask_(ranged);
  REQUIRE(within.ok());
  for (const auto& change : within->explanation.counterfactual->changes) {
    if (change.feature == "c") CHECK(std::stod(change.to) >= 5 - 1e-9);
  }
  CHECK(absl::IsInvalidArgument(f.Ask_(Ask{.method = "", .options = {.frozen = {"nonsense"}}}).status()));
  CHECK(absl::IsInvalidArgument(
      f.Ask_(Ask{.method = "counterfactual", .options = {.ranges = {{"colour", 0, 1}}}}).status()));
}

TEST_CASE("a background of fewer rows is another one, and the configuration says so") {
  Fixture all, some("knn", {.background_samples = 20});
  const auto a = all.Ask_("kernel_shap"), b = some.Ask_("kernel_shap");
  REQUIRE(a.ok());
  REQUIRE(b.ok());
  CHECK(a->explanation.background_rows == 100);
  CHECK(b->explanation.background_rows == 20);
  CHECK(a->explanation.background != b->explanation.background);
  CHECK(a->explanation.config != b->explanation.config);
  CHECK(a->explanation.background == explain::BackgroundId(*all.world.model));
}

TEST_CASE("shap stands for the method that fits") {
  Fixture knn, forest("iforest");
  CHECK(knn.Ask_("shap")->explanation.explanation.method == "kernel_shap");
  CHECK(forest.Ask_("shap")->explanation.explanation.method == "tree_shap");
  CHECK(forest.Ask_("shap")->explanation.mode == "path_dependent");
  CHECK(forest.store.explanations.size() == 1);
}

TEST_CASE("what is off, does not fit or cannot be had gives way to the native explanation, and says why") {
  Fixture off("knn", {.shap_enabled = false, .lime_enabled = false});
  for (const std::string method : {"shap", "kernel_shap", "exact", "lime"}) {
    CAPTURE(method);
    const auto answer = off.Ask_(method);
    REQUIRE(answer.ok());
    CHECK(answer->explanation.explanation.method == kNative);
    CHECK_THAT(answer->explanation.degraded_reason, Catch::Contains(method) && Catch::Contains("switched off"));
  }
  Fixture f;
  const auto tree = f.Ask_("tree_shap");
  REQUIRE(tree.ok());
  CHECK_THAT(tree->explanation.degraded_reason, Catch::Contains("isolation forest"));
  CHECK(f.store.explanations.size() == 1);  // the native one, without the reason
  CHECK(f.store.explanations[0].second.degraded_reason.empty());

  Fixture gone;
  gone.Store(gone.world.FindingOf(kOdd));
  gone.world.row_status = NotFound("row 200 cannot be read any more");
  const auto stored = gone.Ask_("lime", false);
  REQUIRE(stored.ok());
  CHECK(stored->explanation.explanation.method == kNative);
  CHECK_THAT(stored->explanation.degraded_reason,
             Catch::Contains("cannot be read any more") && Catch::Contains("no counterfactual"));
  // Nothing at all can be said of it.
  Fixture empty;
  empty.world.row_status = Unavailable("away");
  CHECK(absl::IsUnavailable(empty.Ask_("lime").status()));
  CHECK(absl::IsNotFound(
      empty.explainer.Explain(kTenant, DerivedUuid("nobody"), {}, empty.world.SourcesFor(), {}).status()));
  CHECK(absl::IsInvalidArgument(empty.Ask_("magic").status()));
}

TEST_CASE("a deadline that has passed and a caller that has gone are errors, and nothing is stored") {
  Fixture f;
  Context late;
  late.deadline = absl::Now() - absl::Seconds(1);
  CHECK(absl::IsDeadlineExceeded(f.Ask_(Ask{.method = "exact", .options = {}}, kOdd, late).status()));
  std::stop_source gone;
  gone.request_stop();
  Context cancelled;
  cancelled.stop = gone.get_token();
  CHECK(absl::IsCancelled(f.Ask_(Ask{.method = "exact", .options = {}}, kOdd, cancelled).status()));
  CHECK(f.store.explanations.empty());
}

TEST_CASE("a training row's own score is not what methods that score it anew explain, and they say so") {
  Fixture f;  // knn leaves a training row out of what it is compared with
  constexpr int64_t kUsual = 5;
  Finding found = f.world.FindingOf(kUsual);
  REQUIRE_FALSE(found.score.anomaly);
  found.score.score = 2 * found.threshold;
  found.score.anomaly = true;
  f.Store(found);
  const auto shap = f.Ask_(Ask{.method = "kernel_shap", .options = {}}, kUsual);
  REQUIRE(shap.ok());
  REQUIRE_FALSE(shap->explanation.warnings.empty());
  CHECK_THAT(shap->explanation.warnings.back(), Catch::Contains("as a new row it scores") && Catch::Contains("is normal"));
  CHECK_FALSE(shap->explanation.counterfactual);
  CHECK_THAT(shap->explanation.degraded_reason, Catch::Contains("no counterfactual: nothing needs to change"));
  const auto asked = f.Ask_(Ask{.method = "counterfactual", .options = {}}, kUsual);
  REQUIRE(asked.ok());
  CHECK(asked->explanation.explanation.method == kNative);
  CHECK_THAT(asked->explanation.degraded_reason, Catch::Contains("leaves the row itself out"));
  const auto native = f.Ask_(Ask{.method = kNative, .options = {}, .numbers_only = true}, kUsual);
  REQUIRE(native.ok());
  CHECK(native->explanation.warnings.empty());
}

TEST_CASE("an equal row of the same model takes the numbers over, in its own words") {
  Fixture f("iforest");
  const auto first = f.Ask_("kernel_shap");
  REQUIRE(first.ok());
  Finding twin = f.world.FindingOf(kOdd);
  twin.anomaly_id = DerivedUuid("twin");
  twin.row_index = kOdd + 201;  // the same cells again, further down
  f.Store(twin);
  const auto second =
      f.explainer.Explain(kTenant, twin.anomaly_id, {.method = "kernel_shap", .options = {}, .numbers_only = true},
                          f.world.SourcesFor(), {});
  REQUIRE(second.ok());
  CHECK(second->explanation.id != first->explanation.id);
  CHECK(second->explanation.explanation.contributions[0].contribution ==
        first->explanation.explanation.contributions[0].contribution);
  CHECK(second->explanation.explanation.text.starts_with("Row 401 is anomalous"));
  CHECK(f.store.List(kTenant, twin.anomaly_id)->size() == 2);
}

TEST_CASE("what is near comes with the answer; what cannot be had is named") {
  Fixture f;
  Finding finding = f.world.FindingOf(kOdd);
  finding.entity = "entities/shop";
  finding.event_time = absl::FromUnixSeconds(1'600'000'000);
  f.Store(finding);
  Finding other = f.world.FindingOf(7);
  f.Store(other);
  REQUIRE(f.explainer
              .SetOutcome(kTenant, {.anomaly_id = other.anomaly_id,
                                    .verdict = "CONFIRMED",
                                    .confidence = 1,
                                    .feedback = "f",
                                    .time = absl::UnixEpoch()})
              .ok());
  f.world.changes = {{"changeEvents/1", "release", "v2", "", absl::FromUnixSeconds(1'599'996'400)}};
  f.world.peers = {{.peer_group = "peerGroups/g",
                    .metric = "metrics/m",
                    .period_start = {},
                    .period_end = {},
                    .robust_z = 4,
                    .peer_count = 9}};
  const auto answer = f.Ask_("", false);
  REQUIRE(answer.ok());
  REQUIRE(answer->similar.size() == 1);
  CHECK(answer->similar[0].finding.anomaly_id == other.anomaly_id);
  CHECK(answer->similar[0].outcome == "CONFIRMED");
  CHECK(answer->changes.size() == 1);
  CHECK(answer->when == finding.event_time);
  CHECK(answer->peers.size() == 1);

  f.world.near_status = Unavailable("ingest is away");
  f.store.candidates_status = Unavailable("the database is busy");
  const auto partly = f.Ask_("", false);
  REQUIRE(partly.ok());
  CHECK_THAT(partly->explanation.degraded_reason, Catch::Contains("no similar incidents: the database is busy") &&
                                                      Catch::Contains("no change events: ingest is away") &&
                                                      Catch::Contains("no peers"));
  CHECK(f.Ask_("")->explanation.degraded_reason.empty());  // numbers only: nothing of it was asked for
}

TEST_CASE("the text says since when its entity has been off, as far as what is stored says") {
  Fixture f;
  constexpr int64_t kDay = 86400, kFirst = 1'704'067'200;  // 2024-01-01
  f.world.timeline = std::make_shared<explain::Timeline>(true);
  // Rows 190 to 200 are the shop's, one a day; of these 198 and 199 were found before, and 195.
  for (int64_t row = 0; row <= kOdd; ++row)
    f.world.timeline->Add(row, row < 190 ? "other" : "shop", "", static_cast<double>(kFirst + (row - 190) * kDay));
  f.world.timeline->Finish();
  const auto store = [&](int64_t row, const std::string& model = "models/m") {
    Finding finding = f.world.FindingOf(row);
    finding.entity = "entities/shop";
    finding.model = model;
    finding.event_time = absl::FromUnixSeconds(kFirst + (row - 190) * kDay);
    f.Store(finding);
  };
  store(kOdd);
  const auto alone = f.Ask_("", false);
  REQUIRE(alone.ok());
  REQUIRE(alone->since);
  CHECK(alone->entity == "entities/shop");
  CHECK_THAT(
      alone->explanation.explanation.text,
      Catch::Contains("shop has been off since 2024-01-11: the reading before, of 2024-01-10, was normal. Check"));
  for (const int64_t row : {199, 198, 195}) store(row);
  store(197, "models/another");
  for (const char* method : {"", "kernel_shap"}) {
    CAPTURE(method);
    const auto run = f.Ask_(method, false);
    REQUIRE(run.ok());
    CHECK(run->since->readings == 3);
    CHECK_THAT(run->explanation.explanation.text,
               Catch::Contains("shop has been off since 2024-01-09, 3 readings in a row; the last normal one was of "
                               "2024-01-08. Check"));
    CHECK(run->explanation.explanation.text.starts_with("Row 200 is anomalous"));
  }
  // What is stored says nothing of it: it may change. Numbers only: not asked for.
  for (const auto& [tenant, e] : f.store.explanations) CHECK_THAT(e.explanation.text, !Catch::Contains("since"));
  CHECK_FALSE(f.Ask_("")->since);

  f.world.near_status = Unavailable("ingest is away");
  CHECK_THAT(f.Ask_("", false)->explanation.degraded_reason, Catch::Contains("not known since when: ingest is away"));
}

TEST_CASE("nothing is invented where rows have no times") {
  Fixture no_column, no_cell;
  Finding finding = no_column.world.FindingOf(kOdd);
  finding.event_time = absl::FromUnixSeconds(1'704'067'200);
  no_column.Store(finding);
  no_cell.world.timeline = std::make_shared<explain::Timeline>(false);
  no_cell.world.timeline->Add(kOdd, "", "", 1'704'067'200);
  no_cell.world.timeline->Finish();
  no_cell.Store(no_cell.world.FindingOf(kOdd));
  for (Fixture* f : {&no_column, &no_cell}) {
    const auto answer = f->Ask_("", false);
    REQUIRE(answer.ok());
    CHECK_FALSE(answer->since);
    CHECK_THAT(answer->explanation.explanation.text, !Catch::Contains("since"));
    CHECK(answer->explanation.degraded_reason.empty());
  }
}

TEST_CASE("of a native explanation's features the largest are here; the others keep their share") {
  Fixture f;
  Finding finding = f.world.FindingOf(kOdd);
  const StoredExplanation native = FromContributions(&finding, "score",
                                                     {{.feature = "c",
                                                       .contribution = 3,
                                                       .share = 0.6,
                                                       .actual = 12,
                                                       .expected = 0,
                                                       .actual_text = "12",
                                                       .expected_text = "0"},
                                                      {.feature = "a",
                                                       .contribution = 1,
                                                       .share = 0.2,
                                                       .actual = 1,
                                                       .expected = 0,
                                                       .actual_text = "1",
                                                       .expected_text = "0"}},
                                                     5);
  CHECK(native.explanation.features_left_out == 3);
  CHECK(native.explanation.contributions[0].share == Approx(0.6));
  CHECK_THAT(native.explanation.text, Catch::Contains("60% of the deviation"));
}

TEST_CASE("the policy queues what it names, for findings severe enough") {
  Fixture f("knn", {.shap_from = outlier::Severity::kHigh, .lime_from = outlier::Severity::kCritical});
  for (const auto severity : {outlier::Severity::kMedium, outlier::Severity::kHigh, outlier::Severity::kCritical}) {
    Finding finding = f.world.FindingOf(static_cast<int64_t>(severity));
    finding.score.severity = severity;
    f.Store(finding);
  }
  REQUIRE(f.queue.tasks.size() == 3);
  CHECK(f.queue.tasks[0].second.ask.method == kShap);
  CHECK(f.queue.tasks[1].second.ask.method == kShap);
  CHECK(f.queue.tasks[2].second.ask.method == "lime");
  CHECK(f.queue.tasks[0].first == kTenant);
  // A queue that is away makes the fact come again.
  f.queue.status = Unavailable("away");
  Finding again = f.world.FindingOf(9);
  again.score.severity = outlier::Severity::kHigh;
  CHECK(absl::IsUnavailable(f.explainer.Take(kTenant, {again}, {})));
  Fixture off("knn", {.shap_enabled = false, .shap_from = outlier::Severity::kLow});
  off.Store(again);
  CHECK(off.queue.tasks.empty());
}

TEST_CASE("asked for later: queued, computed once, then answered") {
  Fixture f;
  f.Store(f.world.FindingOf(kOdd));
  const Ask ask{.method = "shap", .options = {}};
  const auto waiting = f.explainer.ExplainLater(kTenant, f.Id(), ask, f.world.SourcesFor(), {});
  REQUIRE(waiting.ok());
  CHECK(waiting->explanation.explanation.method == kNative);
  CHECK_THAT(waiting->explanation.degraded_reason, Catch::Contains("being computed"));
  REQUIRE(f.queue.tasks.size() == 1);
  const Task task = f.queue.tasks[0].second;
  REQUIRE(f.explainer.Compute(kTenant, task.anomaly_id, task.ask, f.world.SourcesFor(), {}).ok());
  const size_t stored = f.store.explanations.size();
  REQUIRE(f.explainer.Compute(kTenant, task.anomaly_id, task.ask, f.world.SourcesFor(), {}).ok());  // delivered twice
  CHECK(f.store.explanations.size() == stored);
  const auto there = f.explainer.ExplainLater(kTenant, f.Id(), ask, f.world.SourcesFor(), {});
  REQUIRE(there.ok());
  CHECK(there->explanation.explanation.method == "kernel_shap");
  CHECK(f.queue.tasks.size() == 1);
  // A task that cannot be done says so, and stores nothing in its place.
  CHECK(absl::IsFailedPrecondition(
      f.explainer.Compute(kTenant, f.Id(), {.method = "tree_shap", .options = {}}, f.world.SourcesFor(), {})));
  Context late;
  late.deadline = absl::Now() - absl::Seconds(1);
  CHECK(absl::IsFailedPrecondition(
      f.explainer.Compute(kTenant, f.Id(), {.method = "exact", .options = {}}, f.world.SourcesFor(), late)));
}

TEST_CASE("other words are kept; those that cannot be had leave the template") {
  struct Words final : Wording {
    void Word(const std::string&, const Finding&, Answer& answer, const Context&) override {
      ++asked;
      if (!able) return answer.Degrade("timeout");
      answer.explanation.explanation.text = "In other words.";
      answer.explanation.text_source = "llm";
    }
    int asked = 0;
    bool able = false;
  } words;
  Fixture f("knn", {}, &words);
  f.Store(f.world.FindingOf(kOdd));
  const auto plain = f.Ask_("", false);
  REQUIRE(plain.ok());
  CHECK(plain->explanation.text_source == "template");
  CHECK(plain->explanation.degraded_reason == "timeout");
  CHECK(plain->explanation.explanation.text.starts_with("Row 200 is anomalous"));
  words.able = true;
  CHECK(f.Ask_("", false)->explanation.explanation.text == "In other words.");
  CHECK(words.asked == 2);
  const auto kept = f.Ask_("", false);
  CHECK(kept->explanation.explanation.text == "In other words.");
  CHECK(kept->explanation.text_source == "llm");
  CHECK(words.asked == 2);
  CHECK(f.store.List(kTenant, f.Id())->front().degraded_reason.empty());
}

TEST_CASE("tenants do not see each other's findings") {
  Fixture f;
  f.Store(f.world.FindingOf(kOdd));
  f.world.row_status = Unavailable("away");
  CHECK(f.Ask_("").ok());
  CHECK_FALSE(f.explainer.Explain("other", f.Id(), {}, f.world.SourcesFor(), {}).ok());
}

}  // namespace vedette::explainer
