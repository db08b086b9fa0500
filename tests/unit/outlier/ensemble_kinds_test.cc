// Kinds of an ensemble's members: each has one voice.
#include <catch2/catch.hpp>
#include <cmath>

#include "base/bytes.h"
#include "outlier/combination.h"
#include "outlier/registry.h"

namespace vedette::outlier {
namespace {

Matrix SomeRows() {
  Matrix X(120, 3);
  for (int64_t i = 0; i < 120; ++i) {
    for (int64_t j = 0; j < 3; ++j) X(i, j) = std::sin(static_cast<double>((j + 2) * i)) + (i == 40 ? 4 : 0);
  }
  return X;
}

std::vector<double> Fitted(const std::map<std::string, std::string>& params) {
  const Matrix X = SomeRows();
  auto detector = MakeMember("ensemble", params);
  REQUIRE(detector.ok());
  REQUIRE((*detector)->Fit(X.view(), Context{}).ok());
  return {(*detector)->training_scores().begin(), (*detector)->training_scores().end()};
}

}  // namespace

TEST_CASE("a kind's members share one voice") {
  const std::vector<double> twice = Fitted({{"members", "ecod+ecod/knn"}}), once = Fitted({{"members", "ecod/knn"}});
  for (size_t i = 0; i < once.size(); ++i) CHECK(twice[i] == Approx(once[i]));
  const std::vector<double> flat = Fitted({{"members", "ecod+ecod+knn"}});
  double most = 0;
  for (size_t i = 0; i < once.size(); ++i) most = std::max(most, std::fabs(flat[i] - once[i]));
  CHECK(most > 0.01);
}

TEST_CASE("ranks of kinds are raised to the power, by hand") {
  const std::vector<double> ecod = Fitted({{"members", "ecod"}, {"combine", "rank"}}),
                            knn = Fitted({{"members", "knn"}, {"combine", "rank"}}),
                            lof = Fitted({{"members", "lof"}, {"combine", "rank"}});
  const std::vector<double> both = Fitted({{"members", "ecod/knn+lof"}, {"power", "16"}});
  for (size_t i = 0; i < both.size(); ++i) {
    CHECK(both[i] == Approx((std::pow(ecod[i], 16) + std::pow((knn[i] + lof[i]) / 2, 16)) / 2).margin(1e-12));
  }
  CHECK(GroupMeans(std::vector<double>{1, 2, 6}, std::vector<int32_t>{0, 1, 1}, 2) == std::vector<double>{1, 4});
}

TEST_CASE("kinds survive saving, and mistakes in them are named") {
  const Matrix X = SomeRows();
  auto detector = MakeMember("ensemble", {{"members", "ecod/knn+lof/zscore"}, {"power", "8"}});
  REQUIRE(detector.ok());
  REQUIRE((*detector)->Fit(X.view(), Context{}).ok());
  ByteWriter out;
  (*detector)->Save(out);
  auto loaded = MakeMember("ensemble", {{"members", "ecod/knn+lof/zscore"}, {"power", "8"}});
  const std::string bytes(out.bytes());
  ByteReader in(bytes);
  REQUIRE((*loaded)->Load(in).ok());
  std::vector<double> a(120), b(120);
  REQUIRE((*detector)->Score(X.view(), a, Context{}).ok());
  REQUIRE((*loaded)->Score(X.view(), b, Context{}).ok());
  CHECK(a == b);
  for (const std::string members : {"ecod//knn", "/ecod", "ecod/", "ecod/knn+"}) {
    auto wrong = MakeMember("ensemble", {{"members", members}});
    if (wrong.ok()) CHECK(absl::IsInvalidArgument((*wrong)->Fit(X.view(), Context{})));
  }
  CHECK_FALSE(MakeMember("ensemble", {{"power", "0"}}).ok());
}

}  // namespace vedette::outlier
