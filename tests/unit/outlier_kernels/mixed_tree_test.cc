// Trees over categories and missing values: where rows go, and what of damaged bytes.
#include "outlier/kernels/mixed_tree.h"

#include <catch2/catch.hpp>
#include <cmath>
#include <limits>

#include "base/rng.h"

namespace vedette::outlier {
namespace {

constexpr float kMissing = std::numeric_limits<float>::quiet_NaN();

struct Sample {
  int64_t psi = 0;
  std::vector<int32_t> categories;
  std::vector<float> values;  // column by column
  std::vector<float> Row(int64_t i) const {
    std::vector<float> row;
    for (size_t j = 0; j < categories.size(); ++j)
      row.push_back(values[j * static_cast<size_t>(psi) + static_cast<size_t>(i)]);
    return row;
  }
};

/// A complete number, a number with gaps, four categories with gaps, two categories, a constant with gaps.
Sample Mixed(int64_t psi, uint64_t seed) {
  Sample out{psi, {0, 0, 4, 2, 0}, {}};
  Rng rng(seed);
  for (int64_t i = 0; i < psi; ++i) out.values.push_back(static_cast<float>(rng.Normal()));
  for (int64_t i = 0; i < psi; ++i)
    out.values.push_back(rng.Below(5) == 0 ? kMissing : static_cast<float>(rng.Normal()));
  for (int64_t i = 0; i < psi; ++i)
    out.values.push_back(rng.Below(9) == 0 ? kMissing : static_cast<float>(rng.Below(4)));
  for (int64_t i = 0; i < psi; ++i) out.values.push_back(static_cast<float>(rng.Below(2)));
  for (int64_t i = 0; i < psi; ++i) out.values.push_back(rng.Below(7) == 0 ? kMissing : 3.0F);
  return out;
}

MixedTree Grown(const Sample& s, uint64_t seed, int depth = 8) {
  Rng rng(seed);
  std::vector<int32_t> candidates;
  for (size_t j = 0; j < s.categories.size(); ++j) candidates.push_back(static_cast<int32_t>(j));
  return MixedTree::Grow(s.values, s.psi, s.categories, candidates, depth, rng);
}

/// A tree of one split over two columns, a number and three categories, 3 rows to the left and 5 to the right.
MixedTree Stump(int32_t feature, int32_t missing, std::vector<int32_t> codes) {
  ByteWriter out;
  const auto end = static_cast<int32_t>(codes.size());
  out.I32s(std::vector<int32_t>{feature, -3, -5});
  out.Floats(std::vector<float>{1, 0, 0});
  out.I32s(std::vector<int32_t>{missing, 0, 0});
  out.I32s(codes);
  out.I32s(std::vector<int32_t>{end, end, end});
  ByteReader in(out.bytes());
  const std::vector<int32_t> categories = {0, 3};
  MixedTree tree = MixedTree::Load(in, categories, 4);
  INFO(in.status());
  REQUIRE(in.ok());
  return tree;
}

}  // namespace

TEST_CASE("mixed trees: sample rows fall where they were counted") {
  const Sample s = Mixed(200, 1);
  for (uint64_t seed = 0; seed < 30; ++seed) {
    const MixedTree tree = Grown(s, seed);
    std::vector<int32_t> reached(tree.feature.size(), 0);
    for (int64_t i = 0; i < s.psi; ++i) {
      const std::vector<float> row = s.Row(i);
      size_t node = 0;
      ++reached[node];
      while (tree.feature[node] >= 0) ++reached[node = tree.Next(node, row.data())];
    }
    CHECK(reached == tree.count);
    for (size_t node = 0; node < tree.feature.size(); ++node) CHECK(tree.count[node] > 0);  // both sides of every split
  }
}

TEST_CASE("mixed trees: the quick way of a row is the way that its values say, with few categories and with many") {
  Sample s = Mixed(200, 8);
  s.categories[2] = 200;  // one column of many categories, one missing now and then
  Rng rng(9);
  for (size_t i = 0; i < 200; ++i)
    s.values[400 + i] = rng.Below(9) == 0 ? kMissing : static_cast<float>(rng.Below(200));
  for (uint64_t seed = 0; seed < 20; ++seed) {
    const MixedTree tree = Grown(s, seed);
    for (int round = 0; round < 100; ++round) {
      std::vector<float> row = s.Row(static_cast<int64_t>(rng.Below(200)));
      for (float& x : row) x = rng.Below(5) == 0 ? kMissing : rng.Below(5) == 0 ? -1.0F : x;
      for (size_t node = 0; node < tree.feature.size(); ++node) {
        if (tree.feature[node] < 0) continue;
        const auto f = static_cast<size_t>(tree.feature[node]);
        CHECK((tree.Next(node, row.data()) == node + 1) == tree.GoesLeft(node, row[f], s.categories[f] > 0));
      }
    }
  }
}

TEST_CASE("mixed trees: all kinds of splits are drawn") {
  const Sample s = Mixed(200, 2);
  std::vector<int> kinds(4, 0);
  int subsets = 0;
  for (uint64_t seed = 0; seed < 50; ++seed) {
    const MixedTree tree = Grown(s, seed);
    for (size_t node = 0; node < tree.feature.size(); ++node) {
      if (tree.feature[node] < 0) continue;
      const bool category = s.categories[static_cast<size_t>(tree.feature[node])] > 0;
      subsets += category;
      if (!category) ++kinds[static_cast<size_t>(tree.missing[node])];
    }
  }
  CHECK(subsets > 100);
  for (const int kind : kinds) CHECK(kind > 20);
}

TEST_CASE("mixed trees: what a split never saw goes to the smaller side") {
  const MixedTree number = Stump(0, MixedTree::kUnseen, {});
  CHECK(number.GoesLeft(0, 1, false));
  CHECK_FALSE(number.GoesLeft(0, 1.5F, false));
  CHECK(number.GoesLeft(0, kMissing, false));
  const MixedTree category = Stump(1, MixedTree::kUnseen, {2 * 0 + 0, 2 * 2 + 1});  // 0 left, 2 right
  CHECK(category.GoesLeft(0, 0, true));
  CHECK_FALSE(category.GoesLeft(0, 2, true));
  for (const float unseen : {1.0F, -1.0F, kMissing}) CHECK(category.GoesLeft(0, unseen, true));
}

TEST_CASE("mixed trees: missing values that a split saw go where they were sent") {
  CHECK(Stump(0, MixedTree::kLeft, {}).GoesLeft(0, kMissing, false));
  CHECK_FALSE(Stump(0, MixedTree::kRight, {}).GoesLeft(0, kMissing, false));
  const MixedTree apart = Stump(0, MixedTree::kApart, {});
  CHECK(apart.GoesLeft(0, kMissing, false));
  for (const float x : {-1e30F, 0.0F, 1e30F}) CHECK_FALSE(apart.GoesLeft(0, x, false));
}

TEST_CASE("mixed trees: over complete numbers they are the plain ones") {
  Rng values(5);
  std::vector<float> sample;
  for (int i = 0; i < 128 * 3; ++i) sample.push_back(static_cast<float>(values.Normal()));
  Rng one(6), two(6);
  const IsolationTree plain = IsolationTree::Grow(sample, 128, {0, 1, 2}, 7, one);
  const std::vector<int32_t> numbers = {0, 0, 0};
  const MixedTree grown = MixedTree::Grow(sample, 128, numbers, {0, 1, 2}, 7, two), taken = MixedTree::From(plain);
  CHECK(grown.feature == plain.feature);
  CHECK(grown.threshold == plain.threshold);
  CHECK(grown.path_length == plain.path_length);
  CHECK(taken.path_length == plain.path_length);
  CHECK(taken.right == plain.right);
}

TEST_CASE("mixed trees: rows side by side go where they go alone, new and many categories among them") {
  Sample s = Mixed(256, 5);
  s.categories.push_back(100);
  Rng rng(6);
  for (int64_t i = 0; i < s.psi; ++i) {
    const auto code = rng.Below(3) == 0 ? rng.Below(100) : rng.Below(60);
    s.values.push_back(rng.Below(9) == 0 ? kMissing : static_cast<float>(code));
  }
  std::vector<MixedTree> trees;
  for (uint64_t seed = 0; seed < 20; ++seed) trees.push_back(Grown(s, seed, seed % 2 == 0 ? 8 : 3));
  for (const size_t n : {1, 7, 8, 9, 200}) {
    std::vector<float> rows;
    for (size_t i = 0; i < n; ++i) {
      std::vector<float> row = s.Row(static_cast<int64_t>(i));
      if (i % 23 == 5) row[2] = -1;  // not among the categories
      if (i % 31 == 8) row.assign(row.size(), kMissing);
      rows.insert(rows.end(), row.begin(), row.end());
    }
    std::vector<double> sums(n, 0.5), alone(n, 0.5);
    AddPathLengths(trees, rows, s.categories, sums);
    for (const MixedTree& tree : trees) {
      for (size_t i = 0; i < n; ++i) alone[i] += tree.PathLength(rows.data() + i * s.categories.size());
    }
    CHECK(sums == alone);
  }
}

TEST_CASE("mixed trees: saved and loaded they are the same, damaged they are refused or harmless") {
  const Sample s = Mixed(60, 3);
  const MixedTree tree = Grown(s, 1);
  ByteWriter out;
  tree.Save(out);
  {
    ByteReader in(out.bytes());
    const MixedTree loaded = MixedTree::Load(in, s.categories, 8);
    REQUIRE(in.Finish().ok());
    ByteWriter again;
    loaded.Save(again);
    CHECK(again.bytes() == out.bytes());
    CHECK(loaded.count == tree.count);
  }
  for (size_t size = 0; size < out.bytes().size(); ++size) {
    ByteReader in(std::string_view(out.bytes()).substr(0, size));
    MixedTree::Load(in, s.categories, 8);
    CHECK_FALSE(in.ok());
  }
  Rng rng(4);
  for (int round = 0; round < 3000; ++round) {
    std::string bytes = out.bytes();
    for (uint64_t flips = 1 + rng.Below(3); flips > 0; --flips) {
      const uint64_t at = rng.Below(bytes.size());
      bytes[at] = static_cast<char>(bytes[at] ^ (1 << rng.Below(8)));
    }
    ByteReader in(bytes);
    const MixedTree loaded = MixedTree::Load(in, s.categories, 8);
    if (!in.ok()) continue;
    for (const std::vector<float>& row : {s.Row(0), std::vector<float>(5, kMissing), std::vector<float>(5, -1.0F)}) {
      CHECK(std::isfinite(loaded.PathLength(row.data())));
    }
  }
}

}  // namespace vedette::outlier
