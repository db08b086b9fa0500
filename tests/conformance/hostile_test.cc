// Degenerate data and damaged states: defined scores, clear errors, never undefined behaviour (run under sanitizers).
#include "conformance/conformance_support.h"

namespace vedette::outlier::conformance {
namespace {

/// Fits, scores the same rows and `fresh` again, explains: everything must be finite.
/// rgraph: rows that are all alike are each made of all others, which takes long for many of them.
std::map<std::string, std::string> Hostile(const Descriptor& d) {
  if (d.name == "rgraph") return {{"max_rows", "20"}};
  return {};
}

void MustBeDefined(const Descriptor& d, const Matrix& X, const Matrix& fresh) {
  const auto detector = MakeDetector(d, Hostile(d));
  const absl::Status status = Fit(d, *detector, X);
  INFO(d.name << ": " << status);
  REQUIRE(status.ok());
  CHECK(AllFinite(Training(*detector)));
  CHECK(AllFinite(Scores(*detector, X)));
  CHECK(AllFinite(Scores(*detector, fresh)));
  ByteWriter out;
  detector->Save(out);
  const auto loaded = MakeDetector(d, Hostile(d));
  ByteReader in(out.bytes());
  const absl::Status load = loaded->Load(in);
  INFO(load);
  REQUIRE(load.ok());
  CHECK(SameBits(Scores(*detector, fresh), Scores(*loaded, fresh)));
  if (!d.explains) return;
  const auto a = detector->Explain(fresh, Context{});
  REQUIRE(a.ok());
  for (int64_t j = 0; j < fresh.cols(); ++j) {
    for (int64_t i = 0; i < fresh.rows(); ++i) CHECK((std::isfinite(a->contributions(i, j)) && std::isfinite(a->Expected(i, j))));
  }
}

}  // namespace

TEST_CASE("one row, two rows, few rows") {
  for (const int64_t n : {1, 2, 3, 4, 7}) {
    FOR_EACH_ALGORITHM(d) {
      INFO(n << " rows");
      MustBeDefined(d, Cloud(n, 3), Cloud(5, 3, 20));
    }
  }
}

TEST_CASE("one column, and more columns than rows") {
  FOR_EACH_ALGORITHM(d) {
    MustBeDefined(d, Cloud(80, 1), Cloud(5, 1, 20));
    MustBeDefined(d, Cloud(12, 30), Cloud(5, 30, 20));
  }
}

TEST_CASE("all rows equal: all scores equal") {
  FOR_EACH_ALGORITHM(d) {
    for (const double value : {0.0, 1.0, -3.7, 1e-300, 1e300}) {
      INFO("value " << value);
      const Matrix X = Filled(40, 3, value);
      MustBeDefined(d, X, Cloud(5, 3, 20));
      const std::vector<double> scores = Training(*Fitted(d, X));
      if (d.deterministic) CHECK(std::count(scores.begin(), scores.end(), scores[0]) == 40);
    }
  }
}

TEST_CASE("constant columns, duplicates, zero and minus zero") {
  Matrix constant = Cloud(60, 4);
  for (int64_t i = 0; i < 60; ++i) constant(i, 2) = 5;
  Matrix doubled(60, 3);  // six copies of ten rows
  for (int64_t j = 0; j < 3; ++j) {
    for (int64_t i = 0; i < 60; ++i) doubled(i, j) = Cloud(10, 3)(i % 10, j);
  }
  Matrix zeros(50, 2);
  for (int64_t i = 0; i < 50; ++i) zeros(i, 0) = i % 2 == 0 ? 0.0 : -0.0;
  for (int64_t i = 0; i < 50; ++i) zeros(i, 1) = static_cast<double>(i);
  FOR_EACH_ALGORITHM(d) {
    MustBeDefined(d, constant, Cloud(5, 4, 20));
    MustBeDefined(d, doubled, doubled);
    MustBeDefined(d, zeros, zeros);
  }
}

TEST_CASE("exact linear relations between columns") {
  Matrix X = Cloud(100, 4);
  for (int64_t i = 0; i < 100; ++i) X(i, 3) = X(i, 0) + X(i, 1);
  FOR_EACH_ALGORITHM(d) { MustBeDefined(d, X, Cloud(5, 4, 20)); }
}

TEST_CASE("values up to 1e308 and down to 1e-308") {
  const Matrix base = Cloud(80, 3);
  for (const double scale : {1e306, 1e160, 1e-160, 1e-307}) {
    Matrix X(80, 3), mixed = Cloud(80, 3);
    for (int64_t j = 0; j < 3; ++j) {
      for (int64_t i = 0; i < 80; ++i) X(i, j) = base(i, 0) * scale * static_cast<double>(j + 1);
    }
    mixed(3, 0) = 1.7e308;
    mixed(4, 0) = -1.7e308;
    Matrix extreme(4, 3);
    for (int64_t j = 0; j < 3; ++j) {
      extreme(0, j) = 1.7e308;
      extreme(1, j) = -1.7e308;
      extreme(2, j) = 5e-324;
    }
    FOR_EACH_ALGORITHM(d) {
      INFO("scale " << scale);
      MustBeDefined(d, X, extreme);
      MustBeDefined(d, mixed, extreme);
      MustBeDefined(d, base, extreme);
    }
  }
}

TEST_CASE("a state that is cut off anywhere is DATA_LOSS") {
  const Matrix X = Cloud(24, 3);
  FOR_EACH_ALGORITHM(d) {
    ByteWriter out;
    Fitted(d, X)->Save(out);
    const std::string& bytes = out.bytes();
    const size_t cuts = std::clamp<size_t>(20'000'000 / bytes.size(), 50, 4000), step = std::max<size_t>(1, bytes.size() / cuts);
    for (size_t size = 0; size < bytes.size(); size += step) {
      const auto loaded = MakeDetector(d);
      ByteReader in(std::string_view(bytes).substr(0, size));
      const absl::Status status = loaded->Load(in);
      if (status.code() != absl::StatusCode::kDataLoss) FAIL_CHECK("at " << size << " of " << bytes.size() << ": " << status);
    }
  }
}

TEST_CASE("a state with flipped bits is DATA_LOSS or gives defined scores") {
  const Matrix X = Cloud(24, 3), fresh = Cloud(3, 3, 30);
  FOR_EACH_ALGORITHM(d) {
    ByteWriter out;
    Fitted(d, X)->Save(out);
    Rng rng(5);
    const int rounds = std::clamp(static_cast<int>(20'000'000 / out.bytes().size()), 30, 1500);  // large states take longer
    for (int round = 0; round < rounds; ++round) {
      std::string bytes = out.bytes();
      const uint64_t flips = 1 + rng.Below(3);
      // The first bytes hold the sizes; they get half of the flips.
      for (uint64_t f = 0; f < flips; ++f) {
        const uint64_t at = rng.Below(2) == 0 ? rng.Below(std::min<uint64_t>(64, bytes.size())) : rng.Below(bytes.size());
        bytes[at] = static_cast<char>(bytes[at] ^ (1 << rng.Below(8)));
      }
      const auto loaded = MakeDetector(d);
      ByteReader in(bytes);
      const absl::Status status = loaded->Load(in);
      if (!status.ok()) {
        if (status.code() != absl::StatusCode::kDataLoss) FAIL_CHECK(status);
        continue;
      }
      if (loaded->features() != 3) continue;  // Model compares the number of features
      std::vector<double> scores(3);
      CHECK(loaded->Score(fresh, scores, Context{}).ok());
      if (std::any_of(scores.begin(), scores.end(), [](double s) { return std::isnan(s); })) FAIL_CHECK("NaN in round " << round);
      if (d.explains) CHECK(loaded->Explain(fresh, Context{}).ok());
    }
  }
}

}  // namespace vedette::outlier::conformance
