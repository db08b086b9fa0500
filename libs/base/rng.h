// Own generator and own distributions: the standard library's distributions differ between implementations,
// and a seed must give the same bits everywhere and at any thread count.
//
// Generator: xoshiro256++ (Blackman and Vigna, "Scrambled linear pseudorandom number generators", 2021), seeded
// by SplitMix64. For parallel work take one stream per unit of work: Rng(seed, tree_index), never one per thread.
#pragma once

#include <array>
#include <cstdint>
#include <utility>
#include <vector>

namespace vedette {

class Rng {
 public:
  explicit Rng(uint64_t seed, uint64_t stream = 0);

  /// 64 random bits.
  uint64_t Next() {
    const uint64_t result = Rotl(s_[0] + s_[3], 23) + s_[0];
    const uint64_t t = s_[1] << 17;
    s_[2] ^= s_[0];
    s_[3] ^= s_[1];
    s_[1] ^= s_[2];
    s_[0] ^= s_[3];
    s_[2] ^= t;
    s_[3] = Rotl(s_[3], 45);
    return result;
  }
  /// Uniform in [0, 1), 53 bits.
  double Uniform() { return static_cast<double>(Next() >> 11) * 0x1.0p-53; }
  /// Uniform in [lo, hi).
  double Uniform(double lo, double hi) { return lo + (hi - lo) * Uniform(); }
  /// Uniform integer in [0, n), unbiased (Lemire 2019). n > 0.
  uint64_t Below(uint64_t n);
  /// Standard normal (polar method, Marsaglia 1964).
  double Normal();
  /// Fisher-Yates.
  template <typename T>
  void Shuffle(std::vector<T>& v) {
    for (uint64_t i = v.size(); i > 1; --i) std::swap(v[i - 1], v[Below(i)]);
  }
  /// k distinct indices of [0, n) in random order; all of them when k >= n.
  std::vector<int64_t> Sample(int64_t n, int64_t k);

 private:
  static uint64_t Rotl(uint64_t x, int k) { return (x << k) | (x >> (64 - k)); }
  std::array<uint64_t, 4> s_;
  double spare_ = 0;
  bool has_spare_ = false;
};

}  // namespace vedette
