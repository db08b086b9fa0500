// Kinds of an ensemble's members: each has one voice.
#include <catch2/catch.hpp>
#include <cmath>

#include "base/bytes.h"
#include "outlier/combination.h"
#include "outlier/committee.h"
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

TEST_CASE("equal members of a committee are fitted once, and saved once") {
  const Matrix X = SomeRows();
  const MemberSpec lof{.algorithm = "lof", .columns = {0, 2}}, forest{.algorithm = "iforest"};
  Committee twice, once;
  REQUIRE(twice.Fit({lof, forest, lof, forest}, X, Context{}).ok());
  REQUIRE(once.Fit({lof, forest}, X, Context{}).ok());
  const auto bytes_of = [](const Committee& committee) {
    ByteWriter out;
    committee.Save(out);
    return std::string(out.bytes());
  };
  const std::string bytes = bytes_of(twice);
  Committee no_forest;
  REQUIRE(no_forest.Fit({lof, lof}, X, Context{}).ok());
  REQUIRE(bytes_of(no_forest).size() < bytes_of(once).size());  // forests differ by their seeds, and are both kept

  Committee loaded;
  ByteReader in(bytes);
  loaded.Load(in);
  REQUIRE(in.Finish().ok());
  REQUIRE(bytes_of(loaded) == bytes);
  const auto scores = twice.Score(X, Context{}), again = loaded.Score(X, Context{});
  REQUIRE(scores.ok());
  REQUIRE(again.ok());
  int64_t unlike = 0;
  for (int64_t i = 0; i < X.rows(); ++i) {
    CHECK((*scores)(i, 0) == (*scores)(i, 2));
    unlike += (*scores)(i, 1) != (*scores)(i, 3);
    for (int64_t m = 0; m < 4; ++m) CHECK((*scores)(i, m) == (*again)(i, m));
    CHECK(twice.training_scores(0)[static_cast<size_t>(i)] == twice.training_scores(2)[static_cast<size_t>(i)]);
  }
  CHECK(unlike > 0);

  twice.Keep(std::vector<size_t>{2, 3});  // the second of two equal members stays whole
  const std::string kept_bytes = bytes_of(twice);
  ByteReader kept(kept_bytes);
  loaded.Load(kept);
  REQUIRE(kept.Finish().ok());
  CHECK(loaded.size() == 2);

  ByteWriter hostile;  // a member without a state, and none before it
  hostile.I64(3);
  hostile.I64(1);
  hostile.String("lof");
  hostile.I64(0);
  hostile.I32s(std::vector<int32_t>{});
  hostile.U8(0);
  hostile.F64(0);
  hostile.F64(1);
  hostile.String("");
  const std::string bad(hostile.bytes());
  ByteReader bad_reader(bad);
  loaded.Load(bad_reader);
  CHECK(!bad_reader.ok());
}

}  // namespace vedette::outlier
