// Models that were fitted elsewhere: scored, explained and checked without the module.
#include <catch2/catch.hpp>
#include <cmath>
#include <limits>
#include <thread>

#include "base/status.h"
#include "base/thread_pool.h"
#include "neural_testing.h"

namespace vedette::neural {
namespace {

using testing::MakeAutoencoder;

/// A model of 2 features, written field by field as version 1 lays it out: files of that version must load for ever.
/// Hidden layers of one unit with weight 0; the output biases are 0.5 and -1: it reconstructs (0.5, -1) whatever comes.
struct Stored {
  uint32_t version = 1;
  std::vector<double> means = {10, 20}, deviations = {2, 4};
  std::vector<int32_t> sizes = {2, 1, 1, 1, 1, 1, 2};
  std::vector<float> weights = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0.5f, -1};

  std::string Bytes() const {
    ByteWriter out;
    out.U32(version);
    out.Doubles(means);
    out.Doubles(deviations);
    out.I32s(sizes);
    out.Floats(weights);
    out.I64(12);
    out.I64(7);
    out.F64(0.5);
    out.F64(0.25);
    out.U8(0);
    out.U32(0);
    return out.Take();
  }
};

const testing::Params kTiny = {{"hidden1", "1"}, {"hidden2", "1"}, {"encoding", "1"}};

absl::Status Load(const std::string& bytes, const testing::Params& params = kTiny) {
  auto detector = MakeAutoencoder(params);
  ByteReader in(bytes);
  RETURN_IF_ERROR(detector->Load(in));
  return in.Finish();
}

TEST_CASE("a stored autoencoder scores and explains by hand-computed numbers, without the module") {
  auto detector = MakeAutoencoder(kTiny);
  const std::string bytes = Stored().Bytes();
  ByteReader in(bytes);
  REQUIRE(detector->Load(in).ok());
  REQUIRE(in.Finish().ok());
  CHECK(detector->features() == 2);
  CHECK(detector->training_scores().empty());
  CHECK(testing::SaveBytes(*detector) == bytes);

  Matrix X(2, 2);  // standardised: (0, 0) and (1, -2)
  X(0, 0) = 10, X(0, 1) = 20, X(1, 0) = 12, X(1, 1) = 12;
  std::vector<double> scores(2);
  REQUIRE(detector->Score(X, scores, {}).ok());
  CHECK(scores[0] == (0.25 + 1) / 2);
  CHECK(scores[1] == (0.25 + 1) / 2);
  auto parts = detector->Explain(X, {});
  REQUIRE(parts.ok());
  CHECK(parts->contributions(1, 0) == 0.125);
  CHECK(parts->contributions(1, 1) == 0.5);
  CHECK(parts->expected(1, 0) == 11);
  CHECK(parts->expected(1, 1) == 16);
}

TEST_CASE("no score is NaN, whatever the row or the weights") {
  Stored wild;
  for (float& w : wild.weights) w = std::numeric_limits<float>::max();
  for (const Stored& stored : {Stored(), wild}) {
    auto detector = MakeAutoencoder(kTiny);
    const std::string bytes = stored.Bytes();
    ByteReader in(bytes);
    REQUIRE(detector->Load(in).ok());
    Matrix X(4, 2);
    const double kMax = std::numeric_limits<double>::max();
    const double values[4] = {std::nan(""), INFINITY, -INFINITY, kMax};
    for (int64_t i = 0; i < 4; ++i) X(i, 0) = X(i, 1) = values[i];
    std::vector<double> scores(4);
    REQUIRE(detector->Score(X, scores, {}).ok());
    auto parts = detector->Explain(X, {});
    REQUIRE(parts.ok());
    for (int64_t i = 0; i < 4; ++i) {
      CHECK(std::isfinite(scores[static_cast<size_t>(i)]));
      for (int64_t j = 0; j < 2; ++j) CHECK(std::isfinite(parts->contributions(i, j) + parts->expected(i, j)));
    }
  }
}

TEST_CASE("hostile bytes are refused with a reason") {
  const std::string good = Stored().Bytes();
  REQUIRE(Load(good).ok());
  for (size_t n = 0; n < good.size(); ++n) CHECK_FALSE(Load(good.substr(0, n)).ok());
  for (size_t n = 0; n < good.size(); ++n) {  // must not crash; what still loads is a model with another number in it
    for (const char flip : {'\x01', '\x80', '\xff'}) {
      std::string bad = good;
      bad[n] = static_cast<char>(bad[n] ^ flip);
      (void)Load(bad);
    }
  }
  const auto refused = [](const Stored& stored, const char* why, const testing::Params& params = kTiny) {
    const absl::Status status = Load(stored.Bytes(), params);
    INFO(status);
    CHECK(status.ToString().find(why) != std::string::npos);
  };
  const auto with = [](auto change) {
    Stored s;
    change(s);
    return s;
  };
  refused(with([](Stored& s) { s.version = 2; }), "version 2");
  refused(with([](Stored& s) { s.deviations[1] = 0; }), "feature 1");
  refused(with([](Stored& s) { s.means.push_back(1); }), "3 means");
  refused(with([](Stored& s) { s.means[0] = NAN; }), "feature 0");
  refused(with([](Stored& s) { s.sizes = {2, -1, 2}; }), "width -1");
  refused(with([](Stored& s) { s.sizes.assign(100, 1); }), "100 sizes");
  refused(with([](Stored& s) { s.sizes = {1 << 20, 1 << 20, 1 << 20}; }), "weights where");
  refused(with([](Stored& s) { s.sizes = {2, 1, 2}, s.weights.resize(7); }), "not the one of the parameters");
  refused(with([](Stored& s) { s.means = s.deviations = {1}; }), "1 features");
  refused(with([](Stored& s) { s.weights[3] = INFINITY; }), "not finite");
  refused(with([](Stored& s) { s.weights.pop_back(); }), "14 weights where");
  refused(Stored(), "hidden1 64", {});
  refused(Stored(), "encoding 3", {{"hidden1", "1"}, {"hidden2", "1"}, {"encoding", "3"}});
}

/// A network of the usual shape with random weights, as bytes.
std::string RandomModel(int32_t features) {
  Stored s;
  s.means.assign(static_cast<size_t>(features), 0.5);
  s.deviations.assign(static_cast<size_t>(features), 2);
  s.sizes = {features, 64, 32, 8, 32, 64, features};
  s.weights.clear();
  Rng rng(11);
  for (size_t l = 1; l < s.sizes.size(); ++l) {
    for (int32_t i = 0; i < (s.sizes[l - 1] + 1) * s.sizes[l]; ++i) s.weights.push_back(static_cast<float>(rng.Normal()) * 0.3f);
  }
  return s.Bytes();
}

TEST_CASE("scores have the same bits row by row, in any batch, at any thread count, explained or not") {
  auto detector = MakeAutoencoder();
  const std::string bytes = RandomModel(9);
  ByteReader in(bytes);
  REQUIRE(detector->Load(in).ok());
  const Matrix X = testing::RandomMatrix(2500, 9, 4);
  std::vector<double> batch(2500), threaded(2500), one(1), slice(333);
  REQUIRE(detector->Score(X, batch, {}).ok());
  ThreadPool pool(3);
  REQUIRE(detector->Score(X, threaded, {.pool = &pool}).ok());
  CHECK(batch == threaded);
  REQUIRE(detector->Score(X.view().Rows(1007, 333), slice, {}).ok());
  auto parts = detector->Explain(X, {.pool = &pool});
  REQUIRE(parts.ok());
  bool alone = true, inside = true, adds_up = true;
  for (int64_t i = 0; i < 2500; ++i) {
    REQUIRE(detector->Score(X.view().Rows(i, 1), one, {}).ok());
    alone &= one[0] == batch[static_cast<size_t>(i)];
    if (i >= 1007 && i < 1340) inside &= slice[static_cast<size_t>(i - 1007)] == one[0];
    double sum = 0;
    for (int64_t j = 0; j < 9; ++j) sum += parts->contributions(i, j);
    adds_up &= sum == one[0];
  }
  CHECK(alone);
  CHECK(inside);
  CHECK(adds_up);
}

TEST_CASE("scoring stops when it is told to") {
  auto detector = MakeAutoencoder();
  const std::string bytes = RandomModel(9);
  ByteReader in(bytes);
  REQUIRE(detector->Load(in).ok());
  const Matrix X = testing::RandomMatrix(100, 9, 4);
  std::vector<double> scores(100);
  std::stop_source stop;
  stop.request_stop();
  CHECK(detector->Score(X, scores, {.stop = stop.get_token()}).code() == absl::StatusCode::kCancelled);
  CHECK(detector->Score(X, scores, {.deadline = absl::InfinitePast()}).code() == absl::StatusCode::kDeadlineExceeded);
  CHECK(detector->Score(Matrix(0, 9), std::span<double>(), {}).ok());
}

}  // namespace
}  // namespace vedette::neural
