// Planted causes: does the default attribution name the features that were tampered with? (section 4 of the shared
// oracle/shap/README.md)
#include <fmt/format.h>

#include <catch2/catch.hpp>
#include <cmath>
#include <numeric>
#include <sstream>

#include "oracle/explain_games.h"
#include "outlier/columns.h"
#include "outlier/registry.h"

namespace vedette::oracle {
namespace {

struct Planted {
  Matrix train, rows;
  std::vector<std::string> kind;
  std::vector<std::vector<int64_t>> causes;
};

Planted ReadPlanted(const std::string& name) {
  const Csv train = ReadCsv(SharedPath("oracle/shap/planted_" + name + "_train.csv"));
  const Csv rows = ReadCsv(SharedPath("oracle/shap/planted_" + name + "_rows.csv"));
  const auto d = static_cast<int64_t>(train.header.size());
  Planted out{Columns(train, "x", d), Columns(rows, "x", d), {}, {}};
  outlier::Standardizer scale;
  REQUIRE(scale.FitMeanAndDeviation(out.train, Context{}).ok());
  for (Matrix* X : {&out.train, &out.rows}) {
    for (int64_t j = 0; j < d; ++j) {
      for (double& x : X->col(j)) x = scale.Z(j, x);
    }
  }
  const auto kind = static_cast<size_t>(rows.Find("kind")), planted = static_cast<size_t>(rows.Find("planted"));
  for (const auto& row : rows.rows) {
    out.kind.push_back(row[kind]);
    std::istringstream in(row[planted]);
    out.causes.emplace_back(std::istream_iterator<int64_t>(in), std::istream_iterator<int64_t>());
  }
  return out;
}

/// Share of the planted features among the k largest contributions, k = number planted; mean over the rows of a kind.
double Recall(const Planted& p, const Matrix& contributions, const std::string& kind) {
  double sum = 0, rows = 0;
  for (size_t i = 0; i < p.kind.size(); ++i) {
    if (p.kind[i] != kind) continue;
    std::vector<int64_t> order(static_cast<size_t>(contributions.cols()));
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) {
      return contributions(static_cast<int64_t>(i), a) > contributions(static_cast<int64_t>(i), b);
    });
    double hits = 0;
    for (size_t k = 0; k < p.causes[i].size(); ++k) {
      hits += std::count(p.causes[i].begin(), p.causes[i].end(), order[k]) > 0 ? 1 : 0;
    }
    sum += hits / static_cast<double>(p.causes[i].size());
    rows += 1;
  }
  return sum / rows;
}

}  // namespace

TEST_CASE("the default explanation of kNN names planted causes") {
  if (!SharedDataPresent()) return;
  double spike = 0, swap = 0;
  std::string each;
  for (const std::string name : {"wine", "breast_cancer", "cardio"}) {
    const Planted p = ReadPlanted(name);
    const auto detector = outlier::MakeMember("knn", {{"method", "mean"}});
    REQUIRE(detector.ok());
    REQUIRE((*detector)->Fit(p.train, Context{}).ok());
    const auto parts = (*detector)->Explain(p.rows, Context{});
    REQUIRE(parts.ok());
    const double s = Recall(p, parts->contributions, "spike"), w = Recall(p, parts->contributions, "swap");
    each += fmt::format("{} {:.3f} {:.3f}; ", name, s, w);
    spike += s / 3;
    swap += w / 3;
  }
  CAPTURE(each, spike, swap);
  CHECK(spike >= 0.95);
  CHECK(swap >= 0.80);
}

}  // namespace vedette::oracle
