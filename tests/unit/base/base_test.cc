#include <atomic>
#include <catch2/catch.hpp>
#include <cmath>
#include <set>

#include "base/bytes.h"
#include "base/context.h"
#include "base/hash.h"
#include "base/ids.h"
#include "base/matrix.h"
#include "base/rng.h"
#include "base/status.h"
#include "base/thread_pool.h"

namespace vedette {

TEST_CASE("the generator repeats by seed and differs by stream") {
  Rng a(7, 0), b(7, 0), c(7, 1);
  REQUIRE(a.Next() == b.Next());
  REQUIRE(a.Next() != c.Next());
}

TEST_CASE("uniform and normal have their moments") {
  Rng rng(1);
  double sum = 0, normal_sum = 0, normal_sq = 0;
  const int n = 200000;
  for (int i = 0; i < n; ++i) {
    const double u = rng.Uniform();
    REQUIRE((u >= 0 && u < 1));
    sum += u;
    const double z = rng.Normal();
    normal_sum += z;
    normal_sq += z * z;
  }
  CHECK(sum / n == Approx(0.5).margin(0.005));
  CHECK(normal_sum / n == Approx(0).margin(0.01));
  CHECK(normal_sq / n == Approx(1).margin(0.02));
}

TEST_CASE("a sample has distinct indices, small or nearly all of them") {
  Rng rng(3);
  for (const auto& [n, k] : {std::pair{1000000, 10}, std::pair{20, 19}, std::pair{5, 9}}) {
    const auto s = rng.Sample(n, k);
    CHECK(s.size() == static_cast<size_t>(std::min(n, k)));
    CHECK(std::set(s.begin(), s.end()).size() == s.size());
    for (const int64_t i : s) CHECK((i >= 0 && i < n));
  }
}

TEST_CASE("ParallelFor covers every index once and may be nested") {
  ThreadPool pool(3);
  std::vector<std::atomic<int>> hits(1000);
  ParallelFor(&pool, 10, 1, [&](int64_t b, int64_t) {
    ParallelFor(&pool, 100, 7, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) hits[static_cast<size_t>(b * 100 + i)]++;
    });
  });
  for (const auto& h : hits) REQUIRE(h == 1);
}

TEST_CASE("a full pool refuses work instead of queueing without bound") {
  std::atomic<bool> release{false};
  {
    ThreadPool pool(1, 1);
    std::atomic<bool> started{false};
    REQUIRE(pool.TrySchedule([&] {
      started = true;
      while (!release) std::this_thread::yield();
    }));
    while (!started) std::this_thread::yield();
    REQUIRE(pool.TrySchedule([] {}));
    CHECK_FALSE(pool.TrySchedule([] {}));
    release = true;
  }
}

TEST_CASE("bytes round trip, and hostile lengths fail without allocating") {
  ByteWriter w;
  w.U8(1);
  w.String("vedette");
  w.Doubles(std::vector<double>{1.5, NAN});
  w.I64(-3);
  ByteReader r(w.bytes());
  CHECK(r.U8() == 1);
  CHECK(r.String() == "vedette");
  const auto d = r.Doubles();
  REQUIRE(d.size() == 2);
  CHECK(std::isnan(d[1]));
  CHECK(r.I64() == -3);
  CHECK(r.Finish().ok());

  ByteWriter hostile;
  hostile.U64(~0ULL);
  ByteReader bad(hostile.bytes());
  CHECK(bad.Doubles().empty());
  CHECK(bad.status().code() == absl::StatusCode::kDataLoss);
  CHECK(bad.U64() == 0);
  for (size_t cut = 0; cut < w.bytes().size(); ++cut) {
    ByteReader t(std::string_view(w.bytes()).substr(0, cut));
    t.U8();
    t.String();
    t.Doubles();
    t.I64();
    CHECK_FALSE(t.Finish().ok());
  }
}

TEST_CASE("ids and hashes have their standard form") {
  CHECK(Sha256Hex("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  const std::string v4 = NewUuid();
  CHECK(v4.size() == 36);
  CHECK(v4[14] == '4');
  const std::string early = NewUuidV7(absl::FromUnixSeconds(1000)), late = NewUuidV7(absl::FromUnixSeconds(2000));
  CHECK(early[14] == '7');
  CHECK(early < late);
  CHECK(DerivedUuid("a") == DerivedUuid("a"));
  CHECK(DerivedUuid("a") != DerivedUuid("b"));
  CHECK(DerivedUuid("a")[14] == '8');
}

TEST_CASE("status helpers carry code and place") {
  const absl::Status s = Annotate(InvalidArgument("line {}", 3), "a.csv");
  CHECK(s.code() == absl::StatusCode::kInvalidArgument);
  CHECK(Message(s) == "a.csv: line 3");
  std::stop_source source;
  const Context ctx{.stop = source.get_token()};
  CHECK(ctx.Check().ok());
  source.request_stop();
  CHECK(ctx.Check().code() == absl::StatusCode::kCancelled);
}

}  // namespace vedette
