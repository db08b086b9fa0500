// LIME against its closed-form limit (formats: shared oracle/shap/README.md, section 3).
#include <catch2/catch.hpp>
#include <cmath>

#include "explain/lime.h"
#include "oracle/explain_games.h"

namespace vedette::oracle {
namespace {

struct Case {
  std::string name;
  explain::LimeOptions options;
  bool curved = false;
};

std::vector<double> Line(const Csv& csv, const std::string& name, const std::string& stat) {
  for (const auto& row : csv.rows) {
    if (row[0] != name || row[1] != stat) continue;
    std::vector<double> out;
    for (size_t j = 2; j < row.size(); ++j) out.push_back(std::stod(row[j]));
    return out;
  }
  FAIL("no line " << name << " " << stat);
  return {};
}

}  // namespace

TEST_CASE("LIME's coefficients lie within two standard errors of the closed form") {
  if (!SharedDataPresent()) return;
  using explain::LimeMode;
  const Matrix train = Columns(ReadCsv(SharedPath("oracle/shap/lime_train.csv")), "x", 5);
  const Csv weights = ReadCsv(SharedPath("oracle/shap/lime_weights.csv"));
  const std::vector<double> x = {3.427133073033535, -2.2975905355715445, 0.2880035047945183, 20.212807426354097,
                                 0.24295829964405236};
  std::vector<double> mean(5), sd(5);
  for (int64_t j = 0; j < 5; ++j) {
    const auto p = static_cast<size_t>(j);
    for (const double v : train.col(j)) mean[p] += v / 500;
    for (const double v : train.col(j)) sd[p] += (v - mean[p]) * (v - mean[p]) / 500;
    sd[p] = std::sqrt(sd[p]);
  }
  const auto linear = PerRow([](const std::vector<double>& v) { return 1 + 3 * v[0] - 2 * v[1] + 0.5 * v[2]; });
  const auto curved = PerRow([mean, sd](const std::vector<double>& v) {
    const auto u = [&](size_t j) { return (v[j] - mean[j]) / sd[j]; };
    return u(0) * u(0) + 2 * u(0) * u(1) + std::sin(2 * u(2)) - u(3);
  });
  int outside = 0, compared = 0;
  for (const Case& c : {Case{"linear_mean_default", {.mode = LimeMode::kAroundMean}}, Case{"linear_around_default", {}},
                        Case{"linear_around_narrow", {.kernel_width = 0.5}},
                        Case{"curved_mean_default", {.mode = LimeMode::kAroundMean}, true},
                        Case{"curved_around_default", {}, true}, Case{"curved_around_kw1", {.kernel_width = 1}, true},
                        Case{"linear_quartile", {.mode = LimeMode::kQuartile}}}) {
    CAPTURE(c.name);
    const int seeds = kSanitized ? 3 : 20;
    std::vector<double> total(5), squares(5);
    for (int seed = 0; seed < seeds; ++seed) {
      const auto fit = explain::Lime(c.curved ? curved : linear, x, train, c.options, Context{.seed = static_cast<uint64_t>(seed)});
      REQUIRE(fit.ok());
      double sum = fit->expected;
      for (size_t j = 0; j < 5; ++j) {
        total[j] += fit->coefficients[j] / seeds;
        squares[j] += fit->coefficients[j] * fit->coefficients[j] / seeds;
        sum += fit->contributions[j];
      }
      CHECK(std::fabs(sum - fit->prediction) < 1e-9);
    }
    const auto limit = Line(weights, c.name, "population_ridge"), spread = Line(weights, c.name, "lime_sd");
    for (size_t j = 0; j < 5; ++j) {
      const double gap = std::fabs(total[j] - limit[j]), error = spread[j] / std::sqrt(seeds);
      CAPTURE(j, total[j], limit[j], error);
      CHECK(gap <= 4 * error);
      outside += gap > 2 * error ? 1 : 0;
      ++compared;
    }
  }
  CAPTURE(outside, compared);
  CHECK(outside <= 4);  // of 35; one in 20 is outside by chance alone
}

}  // namespace vedette::oracle
