// Interventional TreeSHAP (see tree_shap.h).
#include <algorithm>
#include <bit>

#include "base/status.h"
#include "explain/tree_shap.h"
#include "explain/tree_shap_lanes.h"
#include "outlier/parallel.h"

#if defined(__AVX2__)
#include <immintrin.h>
#endif

namespace vedette::explain {
namespace {

constexpr int64_t kMaxBackground = 10000;
constexpr size_t kMaxMasks = size_t{1} << 28;
constexpr int64_t kRowsAtOnce = 32;
constexpr size_t kScanned = 8;  // masks at once
constexpr int kSlots = TreeShap::kMaxPathFeatures;

/// Shapley weights of a only-row and b only-background features, for either side: [b][a].
struct PairWeights {
  PairWeights() {
    for (size_t a = 0; a <= kSlots; ++a) {
      for (size_t b = 0; b <= kSlots; ++b) {
        // (a-1)! b! / (a+b)! = 1 / (a C(a+b, a)): built by products, exact to rounding.
        double ways = 1;
        for (size_t k = 1; k <= std::min(a, b); ++k) {
          ways = ways * static_cast<double>(a + b + 1 - k) / static_cast<double>(k);
        }
        row[b][a] = a == 0 ? 0 : 1 / (static_cast<double>(a) * ways);
        background[b][a] = b == 0 ? 0 : 1 / (static_cast<double>(b) * ways);
      }
    }
  }
  double row[kSlots + 1][kSlots + 1];
  double background[kSlots + 1][kSlots + 1];
};

const PairWeights& Weights() {
  static const PairWeights weights;
  return weights;
}

/// All bits of lane i set where bit i of the index is.
struct Selections {
  Selections() {
    for (int index = 0; index < 16; ++index) {
      for (int lane = 0; lane < kLanes; ++lane) bits[index][lane] = (index >> lane & 1) != 0 ? -1 : 0;
    }
  }
  LaneBits bits[16];
};
const Selections kSelections;

/// Bit i is set where masks[i] shares no bit with `mask`, for kScanned masks.
inline uint32_t Disjoint(const uint32_t* masks, uint32_t mask) {
#if defined(__AVX2__)
  const __m256i shared = _mm256_and_si256(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(masks)),
                                          _mm256_set1_epi32(static_cast<int>(mask)));
  return static_cast<uint32_t>(
      _mm256_movemask_ps(_mm256_castsi256_ps(_mm256_cmpeq_epi32(shared, _mm256_setzero_si256()))));
#else
  uint32_t out = 0;
  for (size_t i = 0; i < kScanned; ++i) out |= ((masks[i] & mask) == 0 ? 1U : 0U) << i;
  return out;
#endif
}

/// One leaf's masks of background rows, and their shares.
struct Masks {
  const uint32_t* missed = nullptr;
  const double* shares = nullptr;
  size_t count = 0;
};

/// Slots' parts of a leaf of value 1: what they gain from the background rows that can reach the leaf together with the
/// row, less what the intervals that miss the row lose. (A slot that misses the row never gains.)
template <int kBlocks>
bool Gather(const PairWeights& table, const Masks& masks, uint32_t missed, Lanes* parts) {
  const auto b = static_cast<size_t>(std::popcount(missed));
  const double* gain_of = table.row[b];
  const double* loss_of = table.background[b];
  double lost = 0;
  bool any = false;
  for (int block = 0; block < kBlocks; ++block) parts[block] = Lanes{};
  for (size_t first = 0; first < masks.count; first += kScanned) {
    uint32_t hits = Disjoint(masks.missed + first, missed);
    if (masks.count - first < kScanned) hits &= (1U << (masks.count - first)) - 1;
    any |= hits != 0;
    for (; hits != 0; hits &= hits - 1) {
      const size_t i = first + static_cast<size_t>(std::countr_zero(hits));
      const uint32_t only_row = masks.missed[i];
      const auto a = static_cast<size_t>(std::popcount(only_row));
      lost += masks.shares[i] * loss_of[a];
      const Lanes gain = Lanes{} + masks.shares[i] * gain_of[a];
      for (int block = 0; block < kBlocks; ++block) {
        parts[block] += (Lanes)((LaneBits)gain & kSelections.bits[only_row >> (kLanes * block) & 15]);
      }
    }
  }
  const Lanes loss = Lanes{} + lost;
  for (int block = 0; block < kBlocks; ++block) {
    parts[block] -= (Lanes)((LaneBits)loss & kSelections.bits[missed >> (kLanes * block) & 15]);
  }
  return any;
}

}  // namespace

/// Per node: which slots' intervals on the way there miss the row.
template <bool kPlain>
void TreeShap::Missed(const Tree& tree, const double* row, uint32_t* missed) const {
  missed[0] = 0;
  for (uint32_t s = tree.first_split; s < tree.first_split + tree.splits; ++s) {
    const Split& split = splits_[s];
    const uint32_t above = missed[split.node], left = GoesLeft<kPlain>(split, row) ? 1 : 0;
    missed[split.left] = above | (left ^ 1) << split.slot;
    missed[split.left + 1] = above | left << split.slot;
  }
}

absl::StatusOr<TreeShap::Background> TreeShap::Prepare(MatrixView background, const Context& ctx) const {
  if (background.cols != features_) return InvalidArgument("{} columns, the forest has {}", background.cols, features_);
  if (background.rows < 1 || background.rows > kMaxBackground) {
    return InvalidArgument("{} background rows, 1 to {} are needed", background.rows, kMaxBackground);
  }
  Background out;
  std::vector<std::vector<double>> rows;
  for (int64_t i = 0; i < background.rows; ++i) rows.push_back(RowOf(background, i));
  const double share = 1.0 / static_cast<double>(background.rows);
  for (const auto& row : rows) out.expected += share * OutputOf(row);
  std::vector<uint32_t> nodes(most_nodes_), masks;
  std::vector<uint8_t> plain;
  for (const auto& row : rows) plain.push_back(Plain(row) ? 1 : 0);
  for (const Tree& tree : trees_) {
    RETURN_IF_ERROR(ctx.Check());
    masks.resize(tree.leaves * rows.size());  // [leaf][row]
    for (size_t i = 0; i < rows.size(); ++i) {
      plain[i] ? Missed<true>(tree, rows[i].data(), nodes.data()) : Missed<false>(tree, rows[i].data(), nodes.data());
      for (uint32_t l = 0; l < tree.leaves; ++l) masks[l * rows.size() + i] = nodes[leaves_[tree.first_leaf + l].node];
    }
    for (uint32_t l = 0; l < tree.leaves; ++l) {
      const std::span<uint32_t> own = std::span(masks).subspan(l * rows.size(), rows.size());
      std::sort(own.begin(), own.end());
      out.begin.push_back(out.weights.size());
      for (size_t i = 0; i < own.size(); ++i) {
        if (i > 0 && own[i] == own[i - 1]) {
          out.weights.back() += share;
        } else {
          out.missed.push_back(own[i]);
          out.weights.push_back(share);
        }
      }
    }
    if (out.missed.size() > kMaxMasks) {
      return ResourceExhausted("{} trees with {} background rows are too much at once; path-dependent values need none",
                               trees_.size(), rows.size());
    }
  }
  out.begin.push_back(out.weights.size());
  out.missed.resize(out.missed.size() + kScanned);  // what is scanned beyond the last
  return out;
}

void TreeShap::InterventionalTree(const Tree& tree, const uint32_t* missed, const Background& background,
                                  double* phi) const {
  const PairWeights& table = Weights();
  for (uint32_t l = tree.first_leaf; l < tree.first_leaf + tree.leaves; ++l) {
    const Leaf& leaf = leaves_[l];
    const uint64_t begin = background.begin[l];
    const Masks masks{background.missed.data() + begin, background.weights.data() + begin,
                      background.begin[l + 1] - begin};
    Lanes parts[kSlots / kLanes];
    const uint32_t own = missed[leaf.node];
    const bool any = leaf.slots <= 4   ? Gather<1>(table, masks, own, parts)
                     : leaf.slots <= 8 ? Gather<2>(table, masks, own, parts)
                                       : Gather<kSlots / kLanes>(table, masks, own, parts);
    if (!any) continue;
    const int32_t* features = slot_features_.data() + leaf.begin;
    for (uint32_t s = 0; s < leaf.slots; ++s) phi[features[s]] += leaf.value * parts[s / kLanes][s % kLanes];
  }
}

absl::StatusOr<TreeShapResult> TreeShap::Interventional(MatrixView rows, const Background& background,
                                                        const Context& ctx) const {
  if (rows.cols != features_) return InvalidArgument("{} columns, the forest has {}", rows.cols, features_);
  if (background.begin.size() != leaves_.size() + 1) return InvalidArgument("the background is another forest's");
  TreeShapResult out{Matrix(rows.rows, rows.cols), std::vector<double>(static_cast<size_t>(rows.rows)),
                     background.expected};
  RETURN_IF_ERROR(outlier::ParallelBlocks(ctx, rows.rows, kRowsAtOnce, [&](int64_t begin, int64_t end) {
    std::vector<uint32_t> missed(most_nodes_);
    std::vector<std::vector<double>> values, phi;
    for (int64_t i = begin; i < end; ++i) values.push_back(RowOf(rows, i));
    phi.assign(values.size(), std::vector<double>(static_cast<size_t>(rows.cols), 0));
    std::vector<uint8_t> plain;
    for (const auto& row : values) plain.push_back(Plain(row) ? 1 : 0);
    for (const Tree& tree : trees_) {
      for (size_t i = 0; i < values.size(); ++i) {
        plain[i] ? Missed<true>(tree, values[i].data(), missed.data())
                 : Missed<false>(tree, values[i].data(), missed.data());
        InterventionalTree(tree, missed.data(), background, phi[i].data());
      }
    }
    for (int64_t i = begin; i < end; ++i) {
      const auto at = static_cast<size_t>(i - begin);
      out.output[static_cast<size_t>(i)] = OutputOf(values[at]);
      for (int64_t j = 0; j < rows.cols; ++j) out.phi(i, j) = phi[at][static_cast<size_t>(j)];
    }
  }));
  return out;
}

}  // namespace vedette::explain
