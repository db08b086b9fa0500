#include "services/explainer/core/ask.h"

#include <catch2/catch.hpp>
#include <limits>

#include "services/explainer/core/explanation.h"

namespace vedette::explainer {
namespace {

Ask Made(std::string method, explain::MethodOptions options = {}) {
  return {.method = std::move(method), .options = std::move(options)};
}

std::string Refused(Ask ask) {
  const absl::Status status = Check(&ask);
  CHECK(absl::IsInvalidArgument(status));
  return std::string(status.message());
}

}  // namespace

TEST_CASE("an ask is checked, and defaults are filled in") {
  Ask none;
  REQUIRE(Check(&none).ok());
  CHECK(none.method == kNative);
  CHECK(ConfigOf(none) == "{}");
  Ask tree = Made("tree_shap");
  REQUIRE(Check(&tree).ok());
  CHECK(tree.options.mode == "path_dependent");
  Ask shap = Made("shap");
  CHECK(Check(&shap).ok());
  CHECK_THAT(Refused(Made("magic")), Catch::Contains("method") && Catch::Contains("kernel_shap"));
  CHECK_THAT(Refused(Made("tree_shap", {.mode = "sideways"})), Catch::Contains("mode"));
  CHECK_THAT(Refused(Made("shap", {.mode = "interventional"})), Catch::Contains("mode"));
  CHECK_THAT(Refused(Made("native", {.samples = 5})), Catch::Contains("samples"));
  CHECK_THAT(Refused(Made("lime", {.samples = 9})), Catch::Contains("samples"));
  CHECK_THAT(Refused(Made("kernel_shap", {.samples = 1000001})), Catch::Contains("samples"));
  CHECK_THAT(Refused(Made("kernel_shap", {.samples = -1})), Catch::Contains("samples"));
  CHECK_THAT(Refused(Made("counterfactual", {.frozen = {""}})), Catch::Contains("frozen_columns"));
  CHECK_THAT(Refused(Made("counterfactual", {.frozen = {std::string("a\0b", 3)}})), Catch::Contains("frozen_columns"));
  CHECK_THAT(Refused(Made("counterfactual", {.frozen = std::vector<std::string>(1001, "a")})),
             Catch::Contains("frozen_columns"));
  CHECK_THAT(Refused(Made("counterfactual", {.ranges = {{"a", 2, 1}}})), Catch::Contains("allowed_ranges"));
  CHECK_THAT(Refused(Made("counterfactual", {.ranges = {{"a", std::numeric_limits<double>::quiet_NaN()}}})),
             Catch::Contains("allowed_ranges"));
  CHECK_THAT(Refused(Made("counterfactual", {.ranges = {{"a"}, {"a"}}})), Catch::Contains("twice"));
}

TEST_CASE("equal asks have equal configurations, others do not") {
  const auto config = [](Ask ask) {
    REQUIRE(Check(&ask).ok());
    return ConfigOf(ask);
  };
  const std::string plain = config(Made("counterfactual", {.frozen = {"b", "a", "b"}, .ranges = {{"y", 0, 1}, {"x"}}}));
  CHECK(plain == config(Made("counterfactual", {.frozen = {"a", "b"}, .ranges = {{"x"}, {"y", 0, 1}}})));
  CHECK(plain != config(Made("counterfactual", {.frozen = {"a"}, .ranges = {{"x"}, {"y", 0, 1}}})));
  CHECK(plain != config(Made("counterfactual", {.frozen = {"a", "b"}, .ranges = {{"x"}, {"y", 0, 2}}})));
  CHECK(config(Made("kernel_shap")) != config(Made("kernel_shap", {.samples = 100})));
  CHECK(config(Made("tree_shap")) != config(Made("tree_shap", {.mode = "interventional"})));
  // What a method does not look at does not change its explanation.
  CHECK(config(Made("lime")) == config(Made("lime", {.frozen = {"a"}})));
  CHECK(ExplanationId("a", "lime", "m", "{}") != ExplanationId("a", "lime", "m", "{\"samples\":10}"));
  CHECK(ExplanationId("a", "lime", "m", "{}") == ExplanationId("a", "lime", "m", "{}"));
}

}  // namespace vedette::explainer
