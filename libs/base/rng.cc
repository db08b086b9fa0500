#include "base/rng.h"

#include <cmath>
#include <numeric>
#include <unordered_map>

namespace vedette {
namespace {
uint64_t SplitMix64(uint64_t& x) {
  uint64_t z = (x += 0x9e3779b97f4a7c15ULL);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
  return z ^ (z >> 31);
}
}  // namespace

Rng::Rng(uint64_t seed, uint64_t stream) {
  uint64_t x = seed;
  const uint64_t mixed = SplitMix64(x) ^ (stream * 0xd1342543de82ef95ULL);
  uint64_t y = mixed;
  for (uint64_t& word : s_) word = SplitMix64(y);
}

uint64_t Rng::Below(uint64_t n) {
  unsigned __int128 m = static_cast<unsigned __int128>(Next()) * n;
  auto low = static_cast<uint64_t>(m);
  if (low < n) {
    const uint64_t threshold = -n % n;
    while (low < threshold) {
      m = static_cast<unsigned __int128>(Next()) * n;
      low = static_cast<uint64_t>(m);
    }
  }
  return static_cast<uint64_t>(m >> 64);
}

double Rng::Normal() {
  if (has_spare_) {
    has_spare_ = false;
    return spare_;
  }
  double u = 0, v = 0, s = 0;
  do {
    u = Uniform(-1, 1);
    v = Uniform(-1, 1);
    s = u * u + v * v;
  } while (s >= 1 || s == 0);
  const double f = std::sqrt(-2 * std::log(s) / s);
  spare_ = v * f;
  has_spare_ = true;
  return u * f;
}

std::vector<int64_t> Rng::Sample(int64_t n, int64_t k) {
  if (k > n) k = n;
  std::vector<int64_t> out(static_cast<size_t>(k));
  if (k * 4 >= n) {
    std::vector<int64_t> all(static_cast<size_t>(n));
    std::iota(all.begin(), all.end(), 0);
    for (int64_t i = 0; i < k; ++i) {
      std::swap(all[i], all[i + static_cast<int64_t>(Below(static_cast<uint64_t>(n - i)))]);
      out[i] = all[i];
    }
    return out;
  }
  // Fisher-Yates on a sparse permutation: O(k) however large n is.
  std::unordered_map<int64_t, int64_t> moved;
  const auto at = [&moved](int64_t i) {
    const auto it = moved.find(i);
    return it == moved.end() ? i : it->second;
  };
  for (int64_t i = 0; i < k; ++i) {
    const int64_t j = i + static_cast<int64_t>(Below(static_cast<uint64_t>(n - i)));
    out[i] = at(j);
    moved[j] = at(i);
  }
  return out;
}

}  // namespace vedette
