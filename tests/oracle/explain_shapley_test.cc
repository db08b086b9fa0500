// Exact Shapley values and KernelSHAP (formats: shared oracle/shap/README.md, section 2).
#include <catch2/catch.hpp>
#include <cmath>

#include "oracle/explain_games.h"

namespace vedette::oracle {
namespace {

struct Reference {
  explain::Game game;
  Matrix rows, phi;
  std::vector<double> output, expected;
};

Reference Read(const std::string& name, int64_t d) {
  const std::string base = SharedPath("oracle/shap/kernel_" + name);
  Reference r;
  r.game.score = name == "nonlinear8" ? Nonlinear8() : KnnScore(Columns(ReadCsv(base + "_train.csv"), "x", d));
  r.game.background = Columns(ReadCsv(base + "_background.csv"), "x", d);
  r.rows = Columns(ReadCsv(base + "_rows.csv"), "x", d);
  const Csv phi = ReadCsv(base + "_phi_exact.csv");
  r.phi = Columns(phi, "phi", d);
  r.output = phi.Numbers("model_output");
  r.expected = phi.Numbers("expected_value");
  return r;
}

double ErrorOf(const explain::ShapleyValues& got, const Reference& r, int64_t i) {
  double error = std::max(std::fabs(got.output - r.output[static_cast<size_t>(i)]),
                          std::fabs(got.expected - r.expected[static_cast<size_t>(i)]));
  double sum = got.expected;
  for (int64_t j = 0; j < r.phi.cols(); ++j) {
    error = std::max(error, std::fabs(got.phi[static_cast<size_t>(j)] - r.phi(i, j)));
    sum += got.phi[static_cast<size_t>(j)];
  }
  return std::max(error, std::fabs(sum - got.output));
}

}  // namespace

TEST_CASE("exact Shapley values and KernelSHAP over all coalitions equal enumeration") {
  if (!SharedDataPresent()) return;
  for (const auto& [name, d] : {std::pair<std::string, int64_t>{"nonlinear8", 8}, {"knn_wine", 13}}) {
    Reference r = Read(name, d);
    CAPTURE(name);
    double exact_error = 0, kernel_error = 0;
    const int64_t rows = d == 8 ? r.rows.rows() : 3;
    for (int64_t i = 0; i < rows; ++i) {
      r.game.row = RowOf(r.rows, i);
      const auto exact = explain::ExactShapley(r.game, Context{});
      REQUIRE(exact.ok());
      exact_error = std::max(exact_error, ErrorOf(*exact, r, i));
      const auto kernel = explain::KernelShap(r.game, {.coalitions = (int64_t{1} << d) - 2}, Context{});
      REQUIRE(kernel.ok());
      CHECK(kernel->exact);
      kernel_error = std::max(kernel_error, ErrorOf(*kernel, r, i));
    }
    INFO("errors " << exact_error << " " << kernel_error);
    CHECK(exact_error < 1e-9);
    CHECK(kernel_error < 1e-9);
  }
}

TEST_CASE("sampled KernelSHAP lies within its standard errors, and is as near as shap's") {
  if (!SharedDataPresent()) return;
  struct Case {
    std::string name;
    int64_t d, coalitions;
    double target;  // shap's mean |error| relative to the mean |phi|
  };
  for (const Case& c : {Case{"nonlinear8", 8, 64, .13}, Case{"nonlinear8", 8, 128, .078}, Case{"knn_wine", 13, 200, .084},
                        Case{"knn_wine", 13, 500, .045}, Case{"knn_wine", 13, 2074, .013}}) {
    Reference r = Read(c.name, c.d);
    double error = 0, size = 0, inside = 0, values = 0;
    const int seeds = c.d == 8 ? 10 : c.coalitions > 1000 ? 1 : 3;
    const int64_t rows = kSanitized ? 2 : r.rows.rows();
    for (int64_t i = 0; i < rows; ++i) {
      r.game.row = RowOf(r.rows, i);
      for (int seed = 0; seed < seeds; ++seed) {
        const auto got = explain::KernelShap(r.game, {.coalitions = c.coalitions}, Context{.seed = static_cast<uint64_t>(seed)});
        REQUIRE(got.ok());
        CHECK_FALSE(got->exact);
        double sum = got->expected;
        for (int64_t j = 0; j < c.d; ++j) {
          const auto p = static_cast<size_t>(j);
          const double gap = std::fabs(got->phi[p] - r.phi(i, j));
          error += gap;
          size += std::fabs(r.phi(i, j));
          inside += gap <= 2 * got->standard_error[p] ? 1 : 0;
          values += 1;
          sum += got->phi[p];
        }
        CHECK(std::fabs(sum - got->output) < 1e-9);
      }
    }
    CAPTURE(c.name, c.coalitions, error / size, inside / values);
    if (!kSanitized) CHECK(error / size < c.target);
    CHECK(inside / values > 0.9);  // 0.954 when errors are normal
  }
}

}  // namespace vedette::oracle
