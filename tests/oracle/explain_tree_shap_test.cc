// TreeSHAP against shap and against exact values in double precision (formats: shared oracle/shap/README.md, section 1).
#include <catch2/catch.hpp>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "explain/tree_shap.h"
#include "oracle/explain_games.h"

namespace vedette::oracle {
namespace {

std::string File(const std::string& name, const std::string& what) {
  return SharedPath("oracle/shap/iforest_" + name + "_" + what);
}

outlier::ForestView ReadForest(const std::string& name) {
  std::ifstream in(File(name, "forest.json"));
  const nlohmann::json json = nlohmann::json::parse(in);
  outlier::ForestView forest{json.at("n_features").get<int64_t>(), json.at("c_max_samples").get<double>(), {}};
  for (const auto& t : json.at("trees")) {
    outlier::TreeView tree;
    tree.feature = t.at("feature").get<std::vector<int32_t>>();
    tree.left = t.at("children_left").get<std::vector<int32_t>>();
    tree.right = t.at("children_right").get<std::vector<int32_t>>();
    tree.threshold = t.at("threshold").get<std::vector<double>>();
    tree.cover = t.at("n_node_samples").get<std::vector<double>>();
    tree.value = t.at("value").get<std::vector<double>>();
    forest.trees.push_back(std::move(tree));
  }
  return forest;
}

/// Largest difference of phi, output and expected value; then that of expected + sum(phi) and output.
std::pair<double, double> Compare(const explain::TreeShapResult& got, const std::string& path) {
  const Csv csv = ReadCsv(path);
  const Matrix phi = Columns(csv, "phi", got.phi.cols());
  const auto output = csv.Numbers("model_output"), expected = csv.Numbers("expected_value");
  REQUIRE(phi.rows() == got.phi.rows());
  double error = 0, additivity = 0;
  for (int64_t i = 0; i < phi.rows(); ++i) {
    double sum = got.expected;
    const auto row = static_cast<size_t>(i);
    for (int64_t j = 0; j < phi.cols(); ++j) {
      error = std::max(error, std::fabs(phi(i, j) - got.phi(i, j)));
      sum += got.phi(i, j);
    }
    error = std::max({error, std::fabs(output[row] - got.output[row]), std::fabs(expected[row] - got.expected)});
    additivity = std::max(additivity, std::fabs(sum - got.output[row]));
  }
  return {error, additivity};
}

}  // namespace

TEST_CASE("TreeSHAP equals shap's and the exact values") {
  if (!SharedDataPresent()) return;
  for (const std::string name : {"tiny_wine", "tiny_breast_cancer", "colsub_wine", "full_breast_cancer", "full_cardio"}) {
    CAPTURE(name);
    const outlier::ForestView forest = ReadForest(name);
    const auto shap = explain::TreeShap::Make(forest);
    REQUIRE(shap.ok());
    const Matrix rows = Columns(ReadCsv(File(name, "rows.csv")), "x", forest.features);
    const Matrix background = Columns(ReadCsv(File(name, "background.csv")), "x", forest.features);
    const auto path = shap->PathDependent(rows, Context{});
    REQUIRE(path.ok());
    const auto [path_error, path_sum] = Compare(*path, File(name, "phi_path_dependent.csv"));
    CHECK(path_error < 1e-9);
    CHECK(path_sum < 1e-9);
    const auto prepared = shap->Prepare(background, Context{});
    REQUIRE(prepared.ok());
    const auto interventional = shap->Interventional(rows, *prepared, Context{});
    REQUIRE(interventional.ok());
    const auto [error, sum] = Compare(*interventional, File(name, "phi_interventional.csv"));
    CHECK(error < 1e-6);
    CHECK(sum < 1e-9);
    INFO("errors " << path_error << " " << path_sum << " " << error << " " << sum);
    const std::string exact = File(name, "phi_interventional_exact.csv");
    if (!std::filesystem::exists(exact)) continue;
    const auto [exact_error, exact_sum] = Compare(*interventional, exact);
    CAPTURE(exact_error, exact_sum);
    CHECK(exact_error < 1e-9);
  }
}

}  // namespace vedette::oracle
