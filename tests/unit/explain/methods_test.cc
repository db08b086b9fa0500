#include "explain/methods.h"

#include <fmt/format.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>

#include "base/rng.h"
#include "base/thread_pool.h"
#include "explain/lime.h"
#include "explain/shapley.h"
#include "table/csv.h"

namespace vedette::explain {
namespace {

/// 200 usual rows of five numbers and a colour, then one whose third number is far off.
std::string Text() {
  Rng rng(7);
  std::string text = "a,b,c,d,e,colour\n";
  for (int i = 0; i < 201; ++i) {
    for (int j = 0; j < 5; ++j) text += fmt::format("{:.4f},", rng.Normal() + (i == 200 && j == 2 ? 12 : 0));
    text += i % 3 == 0 ? "red\n" : "blue\n";
  }
  return text;
}

struct Fixture {
  explicit Fixture(const std::string& algorithm) {
    const outlier::Catalog catalog({outlier::AllAlgorithms()});
    const auto parsed = table::ReadCsvText(Text(), {});
    REQUIRE(parsed.ok());
    const table::Table& rows = parsed->table;
    table::PrepareOptions prepare;
    prepare.scaling = table::Scaling::kStandard;
    auto preparation = table::Preparation::Fit(rows, prepare);
    REQUIRE(preparation.ok());
    const auto X = preparation->Apply(rows);
    REQUIRE(X.ok());
    auto fitted =
        outlier::Model::Fit(catalog, {.algorithm = algorithm, .contamination = 0.02}, *preparation, *X, Context{});
    REQUIRE(fitted.ok());
    model = std::move(*fitted);
    row = Matrix(1, X->cols());
    for (int64_t j = 0; j < X->cols(); ++j) row(0, j) = (*X)(200, j);
  }
  absl::StatusOr<MethodResult> Run(const std::string& name, const MethodOptions& options = {}) const {
    return RunMethod(*model, row, **FindMethod(name), options, Context{});
  }
  std::unique_ptr<outlier::Model> model;
  Matrix row;
};

}  // namespace

TEST_CASE("every method names the planted column, positive towards anomalous, and adds up") {
  const Fixture forest("iforest"), knn("knn");
  for (const Method& method : Methods()) {
    CAPTURE(std::string(method.name));
    for (const Fixture* f : {&forest, &knn}) {
      const auto result = f->Run(std::string(method.name));
      const bool of_forests = method.name == "tree_shap" || method.name == "diffi";
      if ((f == &knn && of_forests) || method.name == "integrated_gradients") {
        CHECK(result.status().code() == absl::StatusCode::kFailedPrecondition);
        continue;
      }
      REQUIRE(result.ok());
      REQUIRE(result->contributions.size() == 6);
      CHECK(std::max_element(result->contributions.begin(), result->contributions.end()) -
                result->contributions.begin() ==
            2);
      CHECK(result->contributions[2] > 0);
      CHECK_FALSE(result->explained.empty());
      if (result->additive) CHECK(result->additivity_error < 1e-9);
      const auto again = f->Run(std::string(method.name));
      REQUIRE(again.ok());
      CHECK(again->contributions == result->contributions);
    }
  }
}

TEST_CASE("modes of TreeSHAP and LIME") {
  const Fixture forest("iforest");
  const auto path = forest.Run("tree_shap"), interventional = forest.Run("tree_shap", {.mode = "interventional"});
  REQUIRE(path.ok());
  REQUIRE(interventional.ok());
  CHECK(path->mode == "path_dependent");
  CHECK(path->background.empty());
  CHECK(interventional->background == BackgroundId(*forest.model));
  CHECK(interventional->background.starts_with("bg-"));
  CHECK(std::fabs(path->output - interventional->output) < 1e-12);
  // The detector adds fixed-point path lengths; the explained output is its score up to that.
  const auto score = forest.model->Score(forest.row, Context{});
  REQUIRE(score.ok());
  CHECK(std::fabs(std::exp2(path->output) - (*score)[0].score) < 1e-5);
  CHECK(forest.Run("tree_shap", {.mode = "sideways"}).status().code() == absl::StatusCode::kInvalidArgument);
  CHECK(forest.Run("native", {.mode = "any"}).status().code() == absl::StatusCode::kInvalidArgument);
  const auto lime = Fixture("knn").Run("lime", {.mode = "quartile"});
  REQUIRE(lime.ok());
  CHECK(lime->r2.has_value());
  CHECK((*lime->r2 >= 0.5 && !lime->flat) == lime->warnings.empty());
}

TEST_CASE("a prepared model explains many rows, from many threads, as the model does each") {
  const Fixture forest("iforest"), knn("knn");
  const PreparedModel prepared(*forest.model), other(*knn.model);
  const Matrix& rows = forest.model->background();
  ThreadPool pool(3);
  for (const char* mode : {"path_dependent", "interventional"}) {
    std::vector<absl::StatusOr<MethodResult>> results(8, absl::UnknownError("not run"));
    ParallelFor(&pool, 8, 1, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        results[static_cast<size_t>(i)] = RunMethod(prepared, rows.view().Rows(i, 1), **FindMethod("tree_shap"),
                                                    {.mode = mode, .background_rows = 50}, Context{});
      }
    });
    for (int64_t i = 0; i < 8; ++i) {
      const auto alone = RunMethod(*forest.model, rows.view().Rows(i, 1), **FindMethod("tree_shap"),
                                   {.mode = mode, .background_rows = 50}, Context{});
      REQUIRE(alone.ok());
      REQUIRE(results[static_cast<size_t>(i)].ok());
      CHECK(results[static_cast<size_t>(i)]->contributions == alone->contributions);
      CHECK(results[static_cast<size_t>(i)]->expected == alone->expected);
    }
  }
  const auto trees = prepared.Trees(), again = prepared.Trees();
  REQUIRE(trees.ok());
  CHECK(*trees == *again);
  const auto fifty = prepared.TreeBackground(50, Context{}), same = prepared.TreeBackground(50, Context{});
  REQUIRE(fifty.ok());
  CHECK(*fifty == *same);
  CHECK(*fifty != *prepared.TreeBackground(40, Context{}));
  CHECK(other.Trees().status().code() == absl::StatusCode::kFailedPrecondition);
}

TEST_CASE("Shapley values are the same bits where the detector scores coalitions itself") {
  for (const char* name : {"knn", "lof"}) {
    CAPTURE(name);
    const Fixture f(name);
    const outlier::Detector& detector = f.model->detector();
    Game game;
    game.score = [&](MatrixView X, std::span<double> scores, const Context& c) { return detector.Score(X, scores, c); };
    for (int64_t j = 0; j < f.row.cols(); ++j) game.row.push_back(f.row(0, j));
    game.background = BackgroundOf(*f.model, 30);
    game.players = SourceColumnsOf(*f.model).features;
    Game faster = game;
    faster.coalitions = dynamic_cast<const outlier::CoalitionSource*>(&detector);
    REQUIRE(faster.coalitions != nullptr);
    REQUIRE(CoalitionValues::Make(faster)->together());
    const auto plain = ExactShapley(game, Context{}), exact = ExactShapley(faster, Context{});
    REQUIRE(plain.ok());
    REQUIRE(exact.ok());
    CHECK(exact->phi == plain->phi);
    CHECK(exact->output == plain->output);
    const auto sampled = KernelShap(game, {.coalitions = 30}, Context{});
    const auto fast = KernelShap(faster, {.coalitions = 30}, Context{});
    REQUIRE(sampled.ok());
    REQUIRE(fast.ok());
    CHECK(fast->phi == sampled->phi);
    CHECK(fast->standard_error == sampled->standard_error);
  }
}

TEST_CASE("LIME says when the score hardly changes near the row, whatever R^2 is") {
  Rng rng(3);
  Matrix reference(200, 2);
  for (double& x : reference.col(0)) x = rng.Normal();
  for (double& x : reference.col(1)) x = rng.Normal();
  // Steep among usual rows, almost level beyond 5 and linear there.
  const ScoreFn score = [](MatrixView X, std::span<double> scores, const Context&) {
    for (int64_t i = 0; i < X.rows; ++i) {
      scores[static_cast<size_t>(i)] = std::min(X(i, 0), 5.0) + 0.001 * X(i, 0);
    }
    return absl::OkStatus();
  };
  const auto far = Lime(score, std::vector<double>{50, 0}, reference, {}, Context{});
  const auto near = Lime(score, std::vector<double>{0, 0}, reference, {}, Context{});
  REQUIRE(far.ok());
  REQUIRE(near.ok());
  CHECK(far->r2 > kLimeUsable);
  CHECK(far->flat());
  CHECK(far->spread < kLimeFlat * far->usual_spread);
  CHECK_FALSE(near->flat());
  // A forest gives a row that is far from all others one score in all directions but that one.
  Fixture forest("iforest");
  for (int64_t j = 0; j < 5; ++j) forest.row(0, j) = 1000;
  const auto result = forest.Run("lime");
  REQUIRE(result.ok());
  CHECK(result->flat);
  CHECK(std::ranges::any_of(result->warnings, [](const auto& w) { return w.find("hardly changes") != w.npos; }));
  const auto scores = forest.model->Score(forest.row, Context{});
  REQUIRE(scores.ok());
  const auto words = ExplainWith(*forest.model, forest.row, *result, (*scores)[0], "Row 1", nullptr, Context{});
  REQUIRE(words.ok());
  CHECK(words->text.find("hardly changes near this row") != std::string::npos);
  const auto usual = Fixture("knn").Run("lime");
  REQUIRE(usual.ok());
  CHECK_FALSE(usual->flat);
}

TEST_CASE("standardized native parts are in units of usual rows, and find what is small but unusual") {
  const Fixture pca("pca");
  const auto native = pca.Run("native"), standardized = pca.Run("native_standardized");
  REQUIRE(native.ok());
  REQUIRE(standardized.ok());
  CHECK(standardized->background == BackgroundId(*pca.model));
  CHECK(standardized->space.find("95th percentile") != std::string::npos);
  for (size_t c = 0; c < 6; ++c) CHECK((native->contributions[c] > 0) == (standardized->contributions[c] > 0));
  CHECK(standardized->contributions[2] > 1);  // beyond what 19 of 20 usual rows have
  // Of the background's own rows no more than one in 20 is beyond, in any column.
  const Matrix& background = pca.model->background();
  std::vector<int> beyond(6);
  for (int64_t i = 0; i < background.rows(); ++i) {
    Matrix row(1, background.cols());
    for (int64_t j = 0; j < background.cols(); ++j) row(0, j) = background(i, j);
    const auto own = RunMethod(*pca.model, row, **FindMethod("native_standardized"), {}, Context{});
    REQUIRE(own.ok());
    for (size_t c = 0; c < 6; ++c) beyond[c] += std::fabs(own->contributions[c]) > 1 + 1e-12 ? 1 : 0;
  }
  for (const int count : beyond) CHECK(count <= background.rows() / 20 + 1);
}

TEST_CASE("a training row scores otherwise than the same row as a new one where the fit leaves it out") {
  const Fixture knn("knn"), forest("iforest");
  const outlier::RowScore own = knn.model->TrainingRows()[200], fresh = (*knn.model->Score(knn.row, Context{}))[0];
  REQUIRE(own.score > fresh.score);
  CHECK_THAT(ScoredAsNew(*knn.model, knn.row, own, Context{}).value(), Catch::Contains("leaves the row itself out"));
  CHECK(ScoredAsNew(*knn.model, knn.row, fresh, Context{}).value().empty());
  CHECK(ScoredAsNew(*forest.model, forest.row, forest.model->TrainingRows()[200], Context{}).value().empty());
}

TEST_CASE("a counterfactual respects frozen columns and is verified") {
  const Fixture knn("knn");
  const auto free = CounterfactualOf(*knn.model, knn.row, {}, Context{});
  REQUIRE(free.ok());
  CHECK(free->found);
  CHECK(free->changed == std::vector<int64_t>{2});
  CHECK(free->score <= knn.model->scale().threshold());
  const auto changes = ChangesOf(*knn.model, knn.row, *free, nullptr, Context{});
  REQUIRE(changes.ok());
  CHECK(changes->at(0).feature == "c");
  const auto frozen = CounterfactualOf(*knn.model, knn.row, {.frozen = {"c"}}, Context{});
  REQUIRE(frozen.ok());
  CHECK_FALSE(frozen->found);
  CHECK(CounterfactualOf(*knn.model, knn.row, {.frozen = {"z"}}, Context{}).status().code() ==
        absl::StatusCode::kInvalidArgument);
}

TEST_CASE("ranges are in the column's own unit, and only numbers have them") {
  const Fixture knn("knn");
  const auto within = CounterfactualOf(*knn.model, knn.row, {.ranges = {{"c", 6, 20}}}, Context{});
  REQUIRE(within.ok());
  const auto changes = ChangesOf(*knn.model, knn.row, *within, nullptr, Context{});
  REQUIRE(changes.ok());
  for (const auto& change : *changes) {
    if (change.feature == "c") CHECK(std::stod(change.to) >= 6 - 1e-9);
  }
  const auto wide = CounterfactualOf(*knn.model, knn.row, {.ranges = {{"c", -100, 100}}}, Context{});
  REQUIRE(wide.ok());
  CHECK(wide->found);
  for (const AllowedRange& wrong : {AllowedRange{"z"}, AllowedRange{"colour", 0, 1}, AllowedRange{"c", 2, 1}}) {
    CHECK(CounterfactualOf(*knn.model, knn.row, {.ranges = {wrong}}, Context{}).status().code() ==
          absl::StatusCode::kInvalidArgument);
  }
}

TEST_CASE("fewer background rows are some of the model's, always the same") {
  const Fixture knn("knn");
  const Matrix all = BackgroundOf(*knn.model), some = BackgroundOf(*knn.model, 10);
  CHECK(all.rows() == 100);
  REQUIRE(some.rows() == 10);
  CHECK(some(3, 0) == all(30, 0));
  CHECK(BackgroundOf(*knn.model, 1000).rows() == 100);
  const auto result = knn.Run("kernel_shap", {.background_rows = 10});
  REQUIRE(result.ok());
  CHECK(result->background_rows == 10);
  CHECK(result->background == BackgroundId(*knn.model, 10));
  CHECK(result->background != BackgroundId(*knn.model));
  CHECK(ShapMethodFor(*knn.model) == "kernel_shap");
  CHECK(ShapMethodFor(*Fixture("iforest").model) == "tree_shap");
}

TEST_CASE("a contribution says where its value lies among usual ones, and how sure its number is") {
  const Fixture knn("knn");
  const auto result = knn.Run("kernel_shap", {.samples = 20});
  REQUIRE(result.ok());
  const auto words = ExplainWith(*knn.model, knn.row, *result, (*knn.model->Score(knn.row, Context{}))[0], "Row 200",
                                 nullptr, Context{});
  REQUIRE(words.ok());
  for (const auto& c : words->contributions) {
    CAPTURE(c.feature_name);
    CHECK(std::isfinite(c.standard_error));
    CHECK(std::isnan(c.percentile) == (c.feature_name == "colour"));
    if (c.feature_name == "c") CHECK(c.percentile == 100);
    if (c.feature_name != "colour") CHECK((c.percentile >= 0 && c.percentile <= 100));
  }
}

TEST_CASE("one-hot groups change as a whole, and ranges are kept") {
  // Anomalous while the first column is large or the group is not "10".
  const ScoreFn score = [](MatrixView X, std::span<double> out, const Context&) {
    for (int64_t i = 0; i < X.rows; ++i)
      out[static_cast<size_t>(i)] = X(i, 0) + 5 * X(i, 2) - 5 * X(i, 1) + (X(i, 1) + X(i, 2) == 1 ? 0 : 100);
    return absl::OkStatus();
  };
  const std::vector<double> row = {4, 0, 1};
  CounterfactualOptions options{.threshold = -1, .players = {{0}, {1, 2}}};
  const auto group = CounterfactualTowards(score, row, {0, 1, 0}, options, Context{});
  REQUIRE(group.ok());
  CHECK(group->changed == std::vector<int64_t>{1});
  CHECK(group->row == std::vector<double>{4, 1, 0});
  options.threshold = -4;
  options.low = {3, 0, 0};
  options.high = {9, 1, 1};
  const auto ranged = CounterfactualTowards(score, row, {0, 1, 0}, options, Context{});
  REQUIRE(ranged.ok());
  CHECK_FALSE(ranged->found);  // 3 - 5 = -2 is the least that the range allows
}

TEST_CASE("unknown methods are named with what there is") {
  const auto method = FindMethod("magic");
  CHECK(method.status().code() == absl::StatusCode::kNotFound);
  CHECK(method.status().message().find("kernel_shap") != absl::string_view::npos);
}

TEST_CASE("a deadline ends KernelSHAP with what was evaluated, or says so") {
  const Fixture knn("knn");
  Context late;
  late.deadline = absl::Now() - absl::Seconds(1);
  CHECK(absl::IsDeadlineExceeded(RunMethod(*knn.model, knn.row, **FindMethod("kernel_shap"), {}, late).status()));
}

}  // namespace vedette::explain
