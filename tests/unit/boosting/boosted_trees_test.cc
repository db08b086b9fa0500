// The library's trees in our own form: the same outputs, and nothing of damaged bytes.
#include <dlfcn.h>
#include <xgboost/c_api.h>

#include <catch2/catch.hpp>
#include <cmath>
#include <limits>

#include "base/rng.h"
#include "boosting/booster.h"

namespace vedette::boosting {
namespace {

struct Sample {
  int64_t n = 0, d = 0;
  std::vector<float> rows, labels;
};

Sample Rings(int64_t n, int64_t d, uint64_t seed) {
  Sample out{n, d, {}, {}};
  Rng rng(seed);
  for (int64_t i = 0; i < n; ++i) {
    float square = 0;
    for (int64_t j = 0; j < d; ++j) {
      out.rows.push_back(static_cast<float>(rng.Normal()));
      square += out.rows.back() * out.rows.back();
    }
    out.labels.push_back(square > 1.8F * static_cast<float>(d) ? 1.0F : 0.0F);
  }
  return out;
}

/// What libxgboost itself says of its training rows, in log-odds.
std::vector<float> OutputsOfTheLibrary(const Sample& s, const char* method) {
  void* lib = dlopen("libxgboost.so.0", RTLD_NOW | RTLD_LOCAL);
  REQUIRE(lib != nullptr);
  const auto create = reinterpret_cast<decltype(&XGBoosterCreate)>(dlsym(lib, "XGBoosterCreate"));
  const auto set = reinterpret_cast<decltype(&XGBoosterSetParam)>(dlsym(lib, "XGBoosterSetParam"));
  const auto update = reinterpret_cast<decltype(&XGBoosterUpdateOneIter)>(dlsym(lib, "XGBoosterUpdateOneIter"));
  const auto predict = reinterpret_cast<decltype(&XGBoosterPredict)>(dlsym(lib, "XGBoosterPredict"));
  const auto matrix = reinterpret_cast<decltype(&XGDMatrixCreateFromMat)>(dlsym(lib, "XGDMatrixCreateFromMat"));
  const auto info = reinterpret_cast<decltype(&XGDMatrixSetFloatInfo)>(dlsym(lib, "XGDMatrixSetFloatInfo"));
  const auto free_booster = reinterpret_cast<decltype(&XGBoosterFree)>(dlsym(lib, "XGBoosterFree"));
  const auto free_matrix = reinterpret_cast<decltype(&XGDMatrixFree)>(dlsym(lib, "XGDMatrixFree"));
  DMatrixHandle x = nullptr;
  BoosterHandle booster = nullptr;
  const auto n = static_cast<bst_ulong>(s.n);
  REQUIRE(matrix(s.rows.data(), n, static_cast<bst_ulong>(s.d), std::numeric_limits<float>::quiet_NaN(), &x) == 0);
  REQUIRE(info(x, "label", s.labels.data(), n) == 0);
  REQUIRE(create(&x, 1, &booster) == 0);
  for (const auto& [name, value] : {std::pair{"objective", "binary:logistic"},
                                    {"base_score", "0.5"},
                                    {"max_depth", "3"},
                                    {"eta", "0.1"},
                                    {"nthread", "1"},
                                    {"verbosity", "0"},
                                    {"tree_method", method}}) {
    REQUIRE(set(booster, name, value) == 0);
  }
  for (int round = 0; round < 100; ++round) REQUIRE(update(booster, round, x) == 0);
  bst_ulong size = 0;
  const float* outputs = nullptr;
  REQUIRE(predict(booster, x, /*option_mask=margin*/ 1, 0, 0, &size, &outputs) == 0);
  std::vector<float> out(outputs, outputs + size);
  free_booster(booster);
  free_matrix(x);
  return out;
}

BoostedTrees Trained(const Sample& s, const BoosterOptions& options = {}) {
  auto trees = TrainTrees(s.rows, s.d, s.labels, options, Context{});
  INFO(trees.status());
  REQUIRE(trees.ok());
  return *std::move(trees);
}

std::string Bytes(const BoostedTrees& trees) {
  ByteWriter out;
  trees.Save(out);
  return out.Take();
}

}  // namespace

TEST_CASE("our trees say what libxgboost says") {
  const Sample s = Rings(600, 4, 1);
  const BoostedTrees trees = Trained(s);
  REQUIRE(trees.size() == 100);
  const std::vector<float> theirs = OutputsOfTheLibrary(s, "exact");
  REQUIRE(theirs.size() == 600);
  for (int64_t i = 0; i < s.n; ++i) {
    CHECK(trees.Output(s.rows.data() + i * s.d) == Approx(theirs[static_cast<size_t>(i)]).epsilon(1e-5).margin(1e-5));
  }
}

TEST_CASE("parts add up to the output") {
  const Sample s = Rings(300, 5, 2);
  const BoostedTrees trees = Trained(s);
  for (int64_t i = 0; i < 50; ++i) {
    const float* row = s.rows.data() + i * s.d;
    std::vector<double> parts(5, 0);
    trees.AddParts(row, parts);
    double sum = trees.Base();
    for (const double p : parts) sum += p;
    CHECK(sum == Approx(trees.Output(row)).epsilon(1e-12).margin(1e-12));
  }
}

TEST_CASE("the same seed gives the same bytes, another one other rows") {
  const Sample s = Rings(400, 3, 3);
  const BoosterOptions half{.subsample = 0.5};
  Context one, two;
  two.seed = 43;
  const auto a = TrainTrees(s.rows, s.d, s.labels, half, one), b = TrainTrees(s.rows, s.d, s.labels, half, one);
  const auto c = TrainTrees(s.rows, s.d, s.labels, half, two);
  REQUIRE((a.ok() && b.ok() && c.ok()));
  CHECK(Bytes(*a) == Bytes(*b));
  CHECK(Bytes(*a) != Bytes(*c));
}

TEST_CASE("the largest settings keep to what can be stored") {
  const Sample s = Rings(3000, 3, 4);
  const BoostedTrees trees =
      Trained(s, {.trees = 20, .depth = BoostedTrees::kDeepest, .min_child_weight = 0, .reg_lambda = 0});
  const std::string bytes = Bytes(trees);
  BoostedTrees loaded;
  ByteReader reader(bytes);
  loaded.Load(reader, 3);
  REQUIRE(reader.Finish().ok());
  CHECK(Bytes(loaded) == bytes);
}

TEST_CASE("training stops when it is told to") {
  const Sample s = Rings(200, 3, 5);
  std::stop_source stop;
  stop.request_stop();
  Context cancelled;
  cancelled.stop = stop.get_token();
  CHECK(absl::IsCancelled(TrainTrees(s.rows, s.d, s.labels, {}, cancelled).status()));

  std::stop_source midway;
  cancelled.stop = midway.get_token();
  cancelled.progress = [&](double share) {
    CHECK(share < 1);
    midway.request_stop();
  };
  CHECK(absl::IsCancelled(TrainTrees(s.rows, s.d, s.labels, {.trees = 10000}, cancelled).status()));
  CHECK(TrainTrees(s.rows, s.d, s.labels, {.trees = 3}, Context{}).ok());  // beside the one that was left
}

TEST_CASE("trees that are not whole are not taken") {
  const auto taken = [](std::vector<int32_t> feature, std::vector<float> value, std::vector<float> cover) {
    BoostedTrees trees;
    return trees.Add({std::move(feature), std::move(value), std::move(cover), {}, {}}, 2);
  };
  CHECK(taken({-1}, {0.5F}, {1}));
  CHECK(taken({0, -1, -1}, {0, 1, 2}, {3, 1, 2}));
  CHECK_FALSE(taken({}, {}, {}));
  CHECK_FALSE(taken({0, -1}, {0, 1}, {3, 1}));            // a child is missing
  CHECK_FALSE(taken({-1, -1}, {0, 1}, {3, 1}));           // a node too many
  CHECK_FALSE(taken({2, -1, -1}, {0, 1, 2}, {3, 1, 2}));  // no such feature
  CHECK_FALSE(taken({0, -1, -1}, {0, 1}, {3, 1, 2}));     // lengths differ
  CHECK_FALSE(taken({0, -1, -1}, {NAN, 1, 2}, {3, 1, 2}));
  CHECK_FALSE(taken({0, -1, -1}, {0, 1, 2}, {3, -1, 2}));
  std::vector<int32_t> chain;  // a split to the right, again and again
  for (int level = 0; level <= BoostedTrees::kDeepest; ++level) chain.insert(chain.end(), {0, -1});
  chain.push_back(-1);
  const std::vector<float> ones(chain.size(), 1);
  CHECK_FALSE(taken(chain, ones, ones));
}

}  // namespace vedette::boosting
