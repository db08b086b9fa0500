#include "outlier/kernels/kd_tree.h"

#include <algorithm>
#include <limits>

namespace vedette::outlier {
namespace {
constexpr double kInfinity = std::numeric_limits<double>::infinity();
}

KdTree::KdTree(const UniqueRows& rows, Metric metric) : rows_(&rows), metric_(metric) {
  slack_ = 1 - 4.5e-16 * static_cast<double>(rows.features() + 8);
  order_.resize(rows.locations());
  for (size_t i = 0; i < order_.size(); ++i) order_[i] = static_cast<int32_t>(i);
  nodes_.push_back({0, static_cast<int32_t>(order_.size()), 0, 0});
  const int64_t stride = rows.stride();
  for (size_t node = 0; node < nodes_.size(); ++node) {
    boxes_.resize((node + 1) * 2 * stride);
    Box(nodes_[node], boxes_.data() + node * 2 * stride);
    Split(static_cast<int32_t>(node));
  }
  int64_t size = 0;
  for (Node& node : nodes_) {
    if (node.children != 0) continue;
    node.block = size;
    size += (node.end - node.begin + 3) / 4 * 4 * stride;
  }
  values_ = AlignedArray<double>(size);
  for (Node& node : nodes_) {
    if (node.children == 0) FillLeaf(node);
  }
}

void KdTree::Box(Node node, double* box) const {
  const int64_t stride = rows_->stride(), d = rows_->features();
  for (int64_t j = 0; j < stride; j += 4) {
    F64x4 low = F64x4::Set(kInfinity), high = F64x4::Set(-kInfinity);
    for (int32_t i = node.begin; i < node.end; ++i) {
      const F64x4 v = F64x4::Load(rows_->at(order_[i]) + j);
      low = Min(low, v);
      high = Max(high, v);
    }
    low.Store(box + 2 * j);
    high.Store(box + 2 * j + 4);
  }
  for (int64_t j = d; j < stride; ++j) {  // unused features are inside every box
    box[j / 4 * 8 + j % 4] = -kInfinity;
    box[j / 4 * 8 + 4 + j % 4] = kInfinity;
  }
}

// At the median of the widest feature, by value: rows with equal values stay together.
bool KdTree::Split(int32_t index) {
  const Node node = nodes_[index];
  if (node.end - node.begin <= kLeafRows) return false;
  const int64_t stride = rows_->stride();
  const double* box = boxes_.data() + index * 2 * stride;
  const auto width = [box](int64_t j) { return box[j / 4 * 8 + 4 + j % 4] - box[j / 4 * 8 + j % 4]; };
  int64_t widest = 0;
  for (int64_t j = 1; j < rows_->features(); ++j) {
    if (width(j) > width(widest)) widest = j;
  }
  if (!(width(widest) > 0)) return false;
  const auto value = [&](int32_t location) { return rows_->at(location)[widest]; };
  const auto begin = order_.begin() + node.begin, end = order_.begin() + node.end;
  const auto middle = begin + (node.end - node.begin) / 2;
  std::nth_element(begin, middle, end, [&](int32_t a, int32_t b) { return value(a) < value(b); });
  const double at = value(*middle);
  auto split = std::partition(begin, end, [&](int32_t a) { return value(a) < at; });
  const auto above = std::partition(split, end, [&](int32_t a) { return value(a) <= at; });
  // The median may be a common value: cut on the side of it that is nearer to the middle.
  if (split == begin || (above != end && above - middle < middle - split)) split = above;
  const auto cut = static_cast<int32_t>(split - order_.begin());
  nodes_[index].children = static_cast<int32_t>(nodes_.size());
  nodes_.push_back({node.begin, cut, 0, 0});
  nodes_.push_back({cut, node.end, 0, 0});
  return true;
}

void KdTree::FillLeaf(Node& node) {
  const int64_t lanes = (node.end - node.begin + 3) / 4 * 4;
  double* block = values_.get() + node.block;
  for (int64_t j = 0; j < rows_->stride(); ++j) {
    for (int64_t i = 0; i < lanes; ++i) {
      block[j * lanes + i] = rows_->at(order_[std::min<int64_t>(node.begin + i, node.end - 1)])[j];
    }
  }
}

template <MetricKind kKind>
void KdTree::ScanLeaf(const Node& node, const double* query, TopK& top) const {
  const RankOf<kKind> rank{metric_.p};
  const int64_t count = node.end - node.begin, lanes = (count + 3) / 4 * 4, stride = rows_->stride();
  const double* block = values_.get() + node.block;
  for (int64_t i = 0; i < lanes; i += 4) {
    F64x4 s0 = F64x4::Zero(), s1 = s0, s2 = s0, s3 = s0;
    const double* column = block + i;
    for (int64_t j = 0; j < stride; j += 4, column += 4 * lanes) {
      s0 = rank.Add(F64x4::Set(query[j]) - F64x4::Load(column), s0);
      s1 = rank.Add(F64x4::Set(query[j + 1]) - F64x4::Load(column + lanes), s1);
      s2 = rank.Add(F64x4::Set(query[j + 2]) - F64x4::Load(column + 2 * lanes), s2);
      s3 = rank.Add(F64x4::Set(query[j + 3]) - F64x4::Load(column + 3 * lanes), s3);
    }
    const F64x4 total = rank.Join(rank.Join(s0, s2), rank.Join(s1, s3));
    unsigned mask = total.NotAbove(F64x4::Set(top.bound()));
    if (mask == 0) continue;
    double ranks[4];
    total.Store(ranks);
    for (int lane = 0; lane < 4 && i + lane < count; ++lane) {
      if ((mask >> lane & 1U) != 0 && ranks[lane] <= top.bound()) {
        top.Offer(ranks[lane], rows_->members(order_[node.begin + i + lane]));
      }
    }
  }
}

template <MetricKind kKind>
void KdTree::SearchOne(const double* query, TopK& top, Work& work) const {
  const RankOf<kKind> rank{metric_.p};
  const int64_t stride = rows_->stride();
  const auto box_rank = [&](int32_t node) {
    const double* box = boxes_.data() + node * 2 * stride;
    F64x4 sum = F64x4::Zero();
    for (int64_t j = 0; j < stride; j += 4) {
      const F64x4 q = F64x4::Load(query + j);
      const F64x4 gap = Max(Max(F64x4::LoadAny(box + 2 * j) - q, q - F64x4::LoadAny(box + 2 * j + 4)), F64x4::Zero());
      sum = rank.Add(gap, sum);
    }
    return rank.Total(sum) * slack_;
  };
  struct Waiting {
    int32_t node;
    double rank;
  };
  static thread_local std::vector<Waiting> stack;
  stack.clear();
  stack.push_back({0, 0});
  while (!stack.empty()) {
    Waiting next = stack.back();
    stack.pop_back();
    if (next.rank > top.bound()) continue;
    while (nodes_[next.node].children != 0) {
      const int32_t left = nodes_[next.node].children;
      const double l = box_rank(left), r = box_rank(left + 1);
      work.boxes += 2;
      Waiting near{left, l}, far{left + 1, r};
      if (r < l) std::swap(near, far);
      if (far.rank <= top.bound()) stack.push_back(far);
      next = near;
      if (next.rank > top.bound()) break;
    }
    if (next.rank > top.bound()) continue;
    const Node& leaf = nodes_[next.node];
    work.distances += leaf.end - leaf.begin;
    ScanLeaf<kKind>(leaf, query, top);
  }
}

void KdTree::Search(std::span<const double* const> queries, std::span<TopK> tops, const StopFn& stop, Work* work) const {
  Work sum;
  for (size_t i = 0; i < queries.size(); ++i) {
    if (i % 4 == 0 && stop()) return;
    switch (metric_.kind) {
      case MetricKind::kEuclidean: SearchOne<MetricKind::kEuclidean>(queries[i], tops[i], sum); break;
      case MetricKind::kManhattan: SearchOne<MetricKind::kManhattan>(queries[i], tops[i], sum); break;
      case MetricKind::kChebyshev: SearchOne<MetricKind::kChebyshev>(queries[i], tops[i], sum); break;
      case MetricKind::kMinkowski: SearchOne<MetricKind::kMinkowski>(queries[i], tops[i], sum); break;
    }
  }
  if (work != nullptr) *work = sum;
}

}  // namespace vedette::outlier
