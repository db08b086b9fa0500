// Counterfactual sizes against brute force (formats: shared oracle/shap/README.md, section 5).
#include <catch2/catch.hpp>
#include <fstream>
#include <nlohmann/json.hpp>

#include "explain/counterfactual.h"
#include "oracle/explain_games.h"

namespace vedette::oracle {

TEST_CASE("counterfactuals are as small as brute force finds") {
  if (!SharedDataPresent()) return;
  const std::string base = SharedPath("oracle/shap/");
  const auto score = KnnScore(Columns(ReadCsv(base + "kernel_knn_wine_train.csv"), "x", 13));
  const Matrix rows = Columns(ReadCsv(base + "kernel_knn_wine_rows.csv"), "x", 13);
  std::ifstream in(base + "counterfactual_knn_wine.json");
  const nlohmann::json json = nlohmann::json::parse(in);
  int equal = 0, compared = 0;
  for (const auto& entry : json.at("rows")) {
    const auto row = RowOf(rows, entry.at("row").get<int64_t>());
    for (const char* kind : {"median", "nearest5_mean"}) {
      if (!entry.contains(kind)) continue;
      const auto& wanted = entry.at(kind);
      const explain::CounterfactualOptions options{.threshold = entry.at("threshold").get<double>()};
      const auto got = explain::CounterfactualTowards(score, row, wanted.at("target").get<std::vector<double>>(), options, Context{});
      REQUIRE(got.ok());
      REQUIRE(got->found);
      CHECK(got->score <= options.threshold);
      equal += got->changed.size() == wanted.at("minimal_size").get<size_t>() ? 1 : 0;
      ++compared;
    }
  }
  CAPTURE(equal, compared);
  CHECK(compared > 5);
  CHECK(equal >= 0.95 * compared);
}

}  // namespace vedette::oracle
