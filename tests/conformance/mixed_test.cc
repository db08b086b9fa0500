// Algorithms that say that they take missing values, or categories, as they are.
#include <limits>

#include "conformance/conformance_support.h"

namespace vedette::outlier::conformance {
namespace {

constexpr double kMissing = std::numeric_limits<double>::quiet_NaN();

/// A cloud with gaps: a column of few, one of many, and some rows without any value.
Matrix WithGaps(int64_t n, int64_t d, uint64_t seed = 7) {
  Matrix X = Cloud(n, d, seed);
  Rng rng(seed + 1);
  for (int64_t i = 0; i < n; ++i) {
    if (rng.Below(20) == 0) X(i, 0) = kMissing;
    if (rng.Below(2) == 0) X(i, d - 1) = kMissing;
    if (i % 50 == 49) {
      for (int64_t j = 0; j < d; ++j) X(i, j) = kMissing;
    }
  }
  return X;
}

/// Two numbers and two columns of categories, with gaps; codes beyond the known ones where `unknown`.
Matrix WithCategories(int64_t n, uint64_t seed = 7, bool unknown = false) {
  Matrix X = WithGaps(n, 4, seed);
  Rng rng(seed + 2);
  for (int64_t i = 0; i < n; ++i) {
    X(i, 1) = static_cast<double>(rng.Below(3));
    if (!std::isnan(X(i, 3))) X(i, 3) = static_cast<double>(rng.Below(12));
    if (unknown && i % 3 == 0) X(i, 1) = i % 2 == 0 ? -1 : 1e9;
  }
  return X;
}
const std::vector<int32_t> kKinds = {0, 3, 0, 12};

/// Defined scores and explanations, of any batch, before and after storing.
void MustHold(const Descriptor& d, const Detector& detector, const Matrix& fresh) {
  const std::vector<double> scores = Scores(detector, fresh);
  CHECK(AllFinite(Training(detector)));
  CHECK(AllFinite(scores));
  std::vector<double> single;
  for (int64_t i = 0; i < fresh.rows(); ++i) single.push_back(Scores(detector, fresh.view().Rows(i, 1))[0]);
  CHECK(SameBits(scores, single));
  ByteWriter out;
  detector.Save(out);
  const auto loaded = MakeDetector(d);
  ByteReader in(out.bytes());
  REQUIRE(loaded->Load(in).ok());
  CHECK(in.Finish().ok());
  CHECK(SameBits(scores, Scores(*loaded, fresh)));
  if (!d.explains) return;
  const auto a = detector.Explain(fresh, Context{}), b = loaded->Explain(fresh, Context{});
  REQUIRE((a.ok() && b.ok()));
  for (int64_t j = 0; j < fresh.cols(); ++j) {
    for (int64_t i = 0; i < fresh.rows(); ++i) {
      CHECK((std::isfinite(a->contributions(i, j)) && std::isfinite(a->Expected(i, j))));
      CHECK(a->contributions(i, j) == b->contributions(i, j));
      CHECK(a->Expected(i, j) == b->Expected(i, j));
    }
  }
}

}  // namespace

TEST_CASE("missing values are taken where the descriptor says so") {
  FOR_EACH_ALGORITHM(d) {
    if (d.nan != NanPolicy::kNative) continue;
    for (const int64_t n : {1, 2, 7, 400}) {
      INFO(n << " rows");
      MustHold(d, *Fitted(d, WithGaps(n, 4)), WithGaps(60, 4, 20));
    }
    MustHold(d, *Fitted(d, Cloud(300, 4)), WithGaps(60, 4, 20));  // gaps that training never had
    MustHold(d, *Fitted(d, WithGaps(300, 4)), Cloud(60, 4, 20));
    MustHold(d, *Fitted(d, Filled(30, 3, kMissing)), Cloud(5, 3, 20));
  }
}

TEST_CASE("categories are taken where the descriptor says so, and refused elsewhere") {
  FOR_EACH_ALGORITHM(d) {
    const Matrix X = WithCategories(300);
    const auto detector = MakeDetector(d);
    const absl::Status status = detector->FitMixed(X, kKinds, Context{});
    if (!d.categories) {
      CHECK(status.code() == absl::StatusCode::kUnimplemented);
      continue;
    }
    CHECK(d.nan == NanPolicy::kNative);
    INFO(status);
    REQUIRE(status.ok());
    MustHold(d, *detector, WithCategories(60, 20, true));
    for (const int64_t n : {1, 2, 5}) {
      const auto few = MakeDetector(d);
      REQUIRE(few->FitMixed(WithCategories(n), kKinds, Context{}).ok());
      MustHold(d, *few, WithCategories(30, 20, true));
    }
  }
}

TEST_CASE("over categories and missing values, the same seed gives the same bits at 1, 2 and 5 threads") {
  const Matrix X = WithCategories(2000), fresh = WithCategories(300, 20, true);
  FOR_EACH_ALGORITHM(d) {
    if (!d.categories) continue;
    std::vector<double> scores;
    for (const int threads : {0, 1, 2, 5}) {
      std::unique_ptr<ThreadPool> pool;
      if (threads > 0) pool = std::make_unique<ThreadPool>(threads);
      Context ctx;
      ctx.pool = pool.get();
      const auto detector = MakeDetector(d);
      REQUIRE(detector->FitMixed(X, kKinds, ctx).ok());
      if (threads == 0) scores = Scores(*detector, fresh, ctx);
      CHECK(SameBits(scores, Scores(*detector, fresh, ctx)));
    }
  }
}

TEST_CASE("a state over categories that is cut off or has flipped bits is DATA_LOSS or gives defined scores") {
  const Matrix X = WithCategories(40), fresh = WithCategories(5, 20, true);
  FOR_EACH_ALGORITHM(d) {
    if (!d.categories) continue;
    const auto detector = MakeDetector(d);
    REQUIRE(detector->FitMixed(X, kKinds, Context{}).ok());
    ByteWriter out;
    detector->Save(out);
    const std::string& bytes = out.bytes();
    for (size_t size = 0; size < bytes.size(); size += std::max<size_t>(1, bytes.size() / 300)) {
      ByteReader in(std::string_view(bytes).substr(0, size));
      CHECK(MakeDetector(d)->Load(in).code() == absl::StatusCode::kDataLoss);
    }
    Rng rng(5);
    for (int round = 0; round < 300; ++round) {
      std::string damaged = bytes;
      for (uint64_t flips = 1 + rng.Below(3); flips > 0; --flips) {
        const uint64_t at =
            rng.Below(2) == 0 ? rng.Below(std::min<uint64_t>(200, bytes.size())) : rng.Below(bytes.size());
        damaged[at] = static_cast<char>(damaged[at] ^ (1 << rng.Below(8)));
      }
      const auto loaded = MakeDetector(d);
      ByteReader in(damaged);
      const absl::Status status = loaded->Load(in);
      if (!status.ok()) {
        if (status.code() != absl::StatusCode::kDataLoss) FAIL_CHECK(status);
        continue;
      }
      if (loaded->features() != 4) continue;
      std::vector<double> scores(5);
      CHECK(loaded->Score(fresh, scores, Context{}).ok());
      if (std::any_of(scores.begin(), scores.end(), [](double s) { return std::isnan(s); }))
        FAIL_CHECK("NaN in round " << round);
      if (d.explains) CHECK(loaded->Explain(fresh, Context{}).ok());
    }
  }
}

}  // namespace vedette::outlier::conformance
