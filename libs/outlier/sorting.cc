#include "outlier/sorting.h"

#include <algorithm>
#include <array>
#include <bit>
#include <limits>
#include <utility>

namespace vedette::outlier {
namespace {

/// Bits whose unsigned order is the order of the doubles. Adding 0 turns -0 into 0.
uint64_t OrderedBits(double x) {
  const auto bits = std::bit_cast<uint64_t>(x + 0.0);
  return (bits >> 63) != 0 ? ~bits : bits | (uint64_t{1} << 63);
}

constexpr int kDigitBits = 11;
constexpr int kPasses = 3;  // 33 >= 32 bits
constexpr uint32_t kBuckets = 1U << kDigitBits;
constexpr size_t kSmall = 768;  // below this a comparison sort is faster than clearing the histograms

uint32_t Digit(uint64_t packed, int pass) { return static_cast<uint32_t>(packed >> (32 + pass * kDigitBits)) & (kBuckets - 1); }

constexpr int64_t kPerLook = int64_t{1} << 19;  // values between two looks at the context

/// f(i) for all i below n.
template <typename F>
absl::Status Each(size_t n, const Context& ctx, const F& f) {
  return Blocks(ctx, static_cast<int64_t>(n), kPerLook, [&](int64_t begin, int64_t end) {
    for (auto i = static_cast<size_t>(begin); i < static_cast<size_t>(end); ++i) f(i);
  });
}

}  // namespace

/// Stable sort by the upper 32 bits.
absl::Status ColumnSorter::RadixSort(const Context& ctx) {
  const size_t n = packed_.size();
  std::array<std::array<uint32_t, kBuckets>, kPasses> counts{};
  RETURN_IF_ERROR(Each(n, ctx, [&](size_t i) {
    for (int pass = 0; pass < kPasses; ++pass) ++counts[static_cast<size_t>(pass)][Digit(packed_[i], pass)];
  }));
  scratch_.resize(n);
  for (int pass = 0; pass < kPasses; ++pass) {
    auto& count = counts[static_cast<size_t>(pass)];
    if (count[Digit(packed_[0], pass)] == n) continue;  // all values agree in this digit
    uint32_t start = 0;
    for (uint32_t& c : count) start += std::exchange(c, start);
    RETURN_IF_ERROR(Each(n, ctx, [&](size_t i) { scratch_[count[Digit(packed_[i], pass)]++] = packed_[i]; }));
    packed_.swap(scratch_);
  }
  return absl::OkStatus();
}

absl::Status ColumnSorter::Order(std::span<const double> values, std::span<uint32_t> order, const Context& ctx) {
  const size_t n = values.size();
  if (n == 0) return absl::OkStatus();
  uint64_t low = std::numeric_limits<uint64_t>::max(), high = 0;
  for (const double x : values) {
    const uint64_t bits = OrderedBits(x);
    low = std::min(low, bits);
    high = std::max(high, bits);
  }
  const int shift = std::max(0, static_cast<int>(std::bit_width(high - low)) - 32);
  packed_.resize(n);
  RETURN_IF_ERROR(Each(n, ctx, [&](size_t i) { packed_[i] = ((OrderedBits(values[i]) - low) >> shift) << 32 | i; }));
  if (n <= kSmall) {
    std::sort(packed_.begin(), packed_.end());
  } else {
    RETURN_IF_ERROR(RadixSort(ctx));
  }
  RETURN_IF_ERROR(Each(n, ctx, [&](size_t i) { order[i] = static_cast<uint32_t>(packed_[i]); }));
  if (shift > 0) SortRuns(values, order);
  return absl::OkStatus();
}

/// Runs that agree in the leading bits.
void ColumnSorter::SortRuns(std::span<const double> values, std::span<uint32_t> order) const {
  const size_t n = values.size();
  for (size_t begin = 0; begin < n;) {
    size_t end = begin + 1;
    bool sorted = true;
    while (end < n && packed_[end] >> 32 == packed_[begin] >> 32) {
      sorted = sorted && values[order[end - 1]] <= values[order[end]];
      ++end;
    }
    if (!sorted) {
      std::sort(order.begin() + static_cast<std::ptrdiff_t>(begin), order.begin() + static_cast<std::ptrdiff_t>(end),
                [values](uint32_t a, uint32_t b) { return values[a] != values[b] ? values[a] < values[b] : a < b; });
    }
    begin = end;
  }
}

absl::Status ColumnSorter::Sort(std::span<const double> values, std::span<uint32_t> order, std::span<double> sorted,
                                const Context& ctx) {
  RETURN_IF_ERROR(Order(values, order, ctx));
  return Each(values.size(), ctx, [&](size_t i) { sorted[i] = values[order[i]]; });
}

}  // namespace vedette::outlier
