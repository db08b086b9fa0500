#include "outlier/kernels/kd_tree.h"

#include <algorithm>
#include <bit>
#include <limits>

namespace vedette::outlier {
namespace {
constexpr double kInfinity = std::numeric_limits<double>::infinity();
}

KdTree::KdTree(const UniqueRows& rows, Metric metric, const StopFn& stop) : rows_(&rows), metric_(metric) {
  slack_ = 1 - 4.5e-16 * static_cast<double>(rows.features() + 8);
  order_.resize(rows.locations());
  for (size_t i = 0; i < order_.size(); ++i) order_[i] = static_cast<int32_t>(i);
  column_.resize(order_.size());
  root_ = Build({0, static_cast<int32_t>(order_.size())}, stop);
  column_ = {};
  FillLeaves(stop);
}

void KdTree::Box(Range range, double* low, double* high) const {
  for (int64_t j = 0; j < rows_->stride(); j += 4) {
    F64x4 least = F64x4::Set(kInfinity), most = F64x4::Set(-kInfinity);
    for (int32_t i = range.begin; i < range.end; ++i) {
      const F64x4 v = F64x4::Load(rows_->at(order_[i]) + j);
      least = Min(least, v);
      most = Max(most, v);
    }
    least.Store(low + j);
    most.Store(high + j);
  }
}

// Binary splits, the largest part first, until there are eight children: the same boxes as three levels of a binary
// tree, but a search tests them together.
int32_t KdTree::Build(Range range, const StopFn& stop) {
  std::vector<Range> parts = {range}, final_parts;
  while (!stop() && !parts.empty() && parts.size() + final_parts.size() < kFan) {
    const auto largest = std::max_element(parts.begin(), parts.end(),
                                          [](const Range& a, const Range& b) { return a.size() < b.size(); });
    Range left, right;
    if (Split(*largest, &left, &right)) {
      *largest = left;
      parts.insert(largest + 1, right);
    } else {
      final_parts.push_back(*largest);
      parts.erase(largest);
    }
  }
  if (parts.empty() && final_parts.size() == 1) return AddLeaf(range);
  const auto index = static_cast<int32_t>(inner_.size());
  inner_.emplace_back();
  const int64_t d = rows_->features(), stride = rows_->stride();
  boxes_.resize(inner_.size() * 2 * kFan * d, kInfinity);  // absent children: infinitely far
  std::vector<double> low(stride), high(stride);
  const auto add = [&](Range part, int32_t child) {
    const int32_t at = inner_[index].count++;
    inner_[index].child[at] = child;
    Box(part, low.data(), high.data());
    double* box = boxes_.data() + index * 2 * kFan * d + at;
    for (int64_t j = 0; j < d; ++j) {
      box[j * 2 * kFan] = low[j];
      box[j * 2 * kFan + kFan] = high[j];
    }
  };
  for (const Range& part : parts) {
    if (!stop()) add(part, Build(part, stop));
  }
  for (const Range& part : final_parts) add(part, AddLeaf(part));
  return index;
}

// By the mean absolute deviation in a sample: the range would follow outliers, which are what such tables are searched
// for, and cuts across it leave boxes that are wide everywhere else. -1: the sample shows no difference.
int64_t KdTree::WidestFeature(Range range) const {
  const int32_t step = std::max(1, range.size() / kSpreadSample);
  const auto sum_of = [&](int64_t j, const auto& term) {
    F64x4 sum = F64x4::Zero();
    for (int32_t i = range.begin; i < range.end; i += step) sum = sum + term(F64x4::Load(rows_->at(order_[i]) + j));
    return sum;
  };
  const F64x4 share = F64x4::Set(1 / static_cast<double>((range.size() + step - 1) / step));
  double most = 0;
  int64_t widest = -1;
  for (int64_t j = 0; j < rows_->stride(); j += 4) {  // beyond the features there are zeros
    const F64x4 mean = sum_of(j, [](F64x4 v) { return v; }) * share;
    double deviations[4];
    sum_of(j, [mean](F64x4 v) { return Abs(v - mean); }).Store(deviations);
    for (int64_t f = 0; f < 4; ++f) {
      if (deviations[f] > most) {
        most = deviations[f];
        widest = j + f;
      }
    }
  }
  return widest;
}

// At the median of the widest feature, by value: rows with equal values stay together.
bool KdTree::Split(Range range, Range* left, Range* right) {
  if (range.size() <= kLeafRows) return false;
  // The values side by side with their locations: looking for the median walks over them several times.
  const std::span column(column_.data() + range.begin, static_cast<size_t>(range.size()));
  const auto read = [&](int64_t feature) {  // whether they differ
    double low = kInfinity, high = -kInfinity;
    for (int32_t i = 0; i < range.size(); ++i) {
      const int32_t location = order_[range.begin + i];
      const double value = rows_->at(location)[feature];
      column[i] = {value, location};
      low = std::min(low, value);
      high = std::max(high, value);
    }
    return high > low;
  };
  const int64_t widest = WidestFeature(range);
  if (widest < 0 || !read(widest)) {  // equal but for rounding, or but for rows outside the sample
    const int64_t stride = rows_->stride();
    std::vector<double> low(stride), high(stride);
    Box(range, low.data(), high.data());
    int64_t other = 0;
    for (int64_t j = 1; j < rows_->features(); ++j) {
      if (high[j] - low[j] > high[other] - low[other]) other = j;
    }
    if (!read(other)) return false;
  }
  const auto begin = column.begin(), end = column.end(), middle = begin + range.size() / 2;
  std::nth_element(begin, middle, end, [](const auto& a, const auto& b) { return a.first < b.first; });
  const double at = middle->first;
  auto split = std::partition(begin, middle, [at](const auto& a) { return a.first < at; });
  const auto above = std::partition(middle, end, [at](const auto& a) { return a.first <= at; });
  // The median may be a common value: cut on the side of it that is nearer to the middle.
  if (split == begin || (above != end && above - middle < middle - split)) split = above;
  for (int32_t i = 0; i < range.size(); ++i) order_[range.begin + i] = column[i].second;
  const int32_t cut = range.begin + static_cast<int32_t>(split - begin);
  *left = {range.begin, cut};
  *right = {cut, range.end};
  return true;
}

int32_t KdTree::AddLeaf(Range range) {
  const int64_t lanes = (range.size() + 3) / 4 * 4;
  leaves_.push_back({range, value_count_});
  value_count_ += lanes * rows_->stride();
  return -static_cast<int32_t>(leaves_.size());
}

void KdTree::FillLeaves(const StopFn& stop) {
  values_ = AlignedArray<double>(value_count_);
  row_.resize(order_.size());
  for (const Leaf& leaf : leaves_) {
    if (stop()) return;
    const Range range = leaf.range;
    const int64_t lanes = (range.size() + 3) / 4 * 4;
    double* const block = values_.get() + leaf.block;
    for (int64_t i = 0; i < lanes; ++i) {  // the last lanes repeat the last row
      const double* const row = rows_->at(order_[std::min<int64_t>(range.begin + i, range.end - 1)]);
      for (int64_t j = 0; j < rows_->stride(); ++j) block[j * lanes + i] = row[j];
    }
    for (int32_t i = range.begin; i < range.end; ++i) {
      const std::span<const int32_t> members = rows_->members(order_[i]);
      row_[i] = members.size() == 1 ? members[0] : -1 - order_[i];
    }
  }
}

// kFeatures > 0: known when compiled, so that the query stays in registers; 0: any number.
template <MetricKind kKind, int kFeatures>
void KdTree::ScanLeaf(const Leaf& leaf, const double* query, TopK& top) const {
  const RankOf<kKind> rank{metric_.p};
  const int64_t count = leaf.range.size(), lanes = (count + 3) / 4 * 4;
  const double* block = values_.get() + leaf.block;
  for (int64_t i = 0; i < lanes; i += 4) {
    F64x4 sums[4] = {};  // over the features with the same index modulo 4, as everywhere
    if constexpr (kFeatures > 0) {
#pragma GCC unroll 8
      for (int64_t j = 0; j < kFeatures; ++j) {
        sums[j % 4] = rank.Add(F64x4::Set(query[j]) - F64x4::LoadAny(block + j * lanes + i), sums[j % 4]);
      }
    } else {
      for (int64_t j = 0; j < rows_->stride(); j += 4) {  // beyond the features there are zeros
#pragma GCC unroll 4
        for (int64_t f = 0; f < 4; ++f) {
          sums[f] = rank.Add(F64x4::Set(query[j + f]) - F64x4::LoadAny(block + (j + f) * lanes + i), sums[f]);
        }
      }
    }
    const F64x4 total = rank.Join(rank.Join(sums[0], sums[2]), rank.Join(sums[1], sums[3]));
    unsigned mask = total.NotAbove(F64x4::Set(top.bound()));
    if (mask == 0) continue;
    double ranks[4];
    total.Store(ranks);
    if (i + 4 > count) mask &= (1U << (count - i)) - 1;  // the last lanes repeat the last row
    for (; mask != 0; mask &= mask - 1) {
      const int lane = std::countr_zero(mask);
      const int32_t row = row_[leaf.range.begin + i + lane];
      if (row >= 0) {
        top.Offer(ranks[lane], row);
      } else {
        top.Offer(ranks[lane], rows_->members(-1 - row));
      }
    }
  }
}

template <MetricKind kKind>
void KdTree::Scan(const Leaf& leaf, const double* query, TopK& top) const {
  switch (rows_->features()) {
    case 1:
      return ScanLeaf<kKind, 1>(leaf, query, top);
    case 2:
      return ScanLeaf<kKind, 2>(leaf, query, top);
    case 3:
      return ScanLeaf<kKind, 3>(leaf, query, top);
    case 4:
      return ScanLeaf<kKind, 4>(leaf, query, top);
    case 5:
      return ScanLeaf<kKind, 5>(leaf, query, top);
    case 6:
      return ScanLeaf<kKind, 6>(leaf, query, top);
    case 7:
      return ScanLeaf<kKind, 7>(leaf, query, top);
    case 8:
      return ScanLeaf<kKind, 8>(leaf, query, top);
    default:
      return ScanLeaf<kKind, 0>(leaf, query, top);
  }
}

// How far the query is from the boxes of a node's children: four and four.
template <typename Rank>
std::pair<F64x4, F64x4> KdTree::BoxRanks(const Rank& rank, int32_t node, const double* query) const {
  const int64_t d = rows_->features();
  const double* box = boxes_.data() + node * 2 * kFan * d;
  F64x4 a = F64x4::Zero(), b = a;
  for (int64_t j = 0; j < d; ++j, box += 2 * kFan) {
    const F64x4 q = F64x4::Set(query[j]);
    a = rank.Add(Max(Max(F64x4::LoadAny(box) - q, q - F64x4::LoadAny(box + 8)), F64x4::Zero()), a);
    b = rank.Add(Max(Max(F64x4::LoadAny(box + 4) - q, q - F64x4::LoadAny(box + 12)), F64x4::Zero()), b);
  }
  return {a, b};
}

template <MetricKind kKind>
void KdTree::SearchOne(const double* query, TopK& top, Work& work) const {
  const RankOf<kKind> rank{metric_.p};
  const F64x4 slack = F64x4::Set(slack_);
  struct Waiting {
    double rank;
    int32_t node;
  };
  static thread_local std::vector<Waiting> stack;
  stack.clear();
  stack.push_back({0, root_});
  while (!stack.empty()) {
    const Waiting next = stack.back();
    stack.pop_back();
    if (next.rank > top.bound()) continue;
    if (next.node < 0) {
      const Leaf& leaf = leaves_[-1 - next.node];
      work.distances += leaf.range.size();
      Scan<kKind>(leaf, query, top);
      continue;
    }
    const Inner& inner = inner_[next.node];
    ++work.boxes;
    const auto [a, b] = BoxRanks(rank, next.node, query);
    double ranks[kFan];
    (a * slack).Store(ranks);
    (b * slack).Store(ranks + 4);
    const F64x4 bound = F64x4::Set(top.bound());
    unsigned mask = F64x4::LoadAny(ranks).NotAbove(bound) | F64x4::LoadAny(ranks + 4).NotAbove(bound) << 4;
    mask &= (1U << inner.count) - 1;
    const size_t base = stack.size();  // nearest last: it is looked at first
    for (; mask != 0; mask &= mask - 1) {
      const int lane = std::countr_zero(mask);
      stack.push_back({ranks[lane], inner.child[lane]});
      for (size_t i = stack.size() - 1; i > base && stack[i].rank > stack[i - 1].rank; --i)
        std::swap(stack[i], stack[i - 1]);
    }
  }
}

int32_t KdTree::LeafNear(const double* query) const {
  int32_t node = root_;
  while (node >= 0) {
    const Inner& inner = inner_[node];
    const auto [a, b] = BoxRanks(RankOf<MetricKind::kManhattan>{1}, node, query);
    double gaps[kFan];
    a.Store(gaps);
    b.Store(gaps + 4);
    node = inner.child[std::min_element(gaps, gaps + inner.count) - gaps];
  }
  return -1 - node;
}

template <MetricKind kKind>
void KdTree::SearchAll(std::span<const double* const> queries, std::span<TopK> tops, const StopFn& stop,
                       Work& work) const {
  const RankOf<kKind> rank{metric_.p};
  for (size_t i = 0; i < queries.size(); ++i) {
    if (i % 4 == 0 && stop()) return;
    if (i > 0 && tops[i - 1].full()) {
      // The last query's k rows are k rows for this one, too: the furthest of them bounds what is to be found.
      double furthest = 0;
      for (const int32_t row : tops[i - 1].rows()) {
        furthest = std::max(furthest, rank.Between(queries[i], rows_->at(rows_->location(row)), rows_->stride()));
      }
      tops[i].Limit(furthest);
    }
    SearchOne<kKind>(queries[i], tops[i], work);
  }
}

void KdTree::Search(std::span<const double* const> queries, std::span<TopK> tops, const StopFn& stop,
                    Work* work) const {
  Work sum;
  switch (metric_.kind) {
    case MetricKind::kEuclidean:
      SearchAll<MetricKind::kEuclidean>(queries, tops, stop, sum);
      break;
    case MetricKind::kManhattan:
      SearchAll<MetricKind::kManhattan>(queries, tops, stop, sum);
      break;
    case MetricKind::kChebyshev:
      SearchAll<MetricKind::kChebyshev>(queries, tops, stop, sum);
      break;
    case MetricKind::kMinkowski:
      SearchAll<MetricKind::kMinkowski>(queries, tops, stop, sum);
      break;
  }
  if (work != nullptr) *work = sum;
}

}  // namespace vedette::outlier
