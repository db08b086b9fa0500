#include "outlier/density_hierarchy.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "base/status.h"

namespace vedette::outlier {
namespace {

constexpr double kMost = std::numeric_limits<double>::max();
constexpr int64_t kRowBlock = 512;  ///< rows whose distances are held at a time

/// Rows that are not yet in the tree, column by column, so that the distances to one row are computed many at a time.
class Outside {
 public:
  Outside(std::span<const double> rows, int64_t d, std::span<const double> core)
      : size_(static_cast<int64_t>(core.size())), columns_(static_cast<size_t>(d)), core_(core.begin(), core.end()) {
    row_.resize(core.size());
    std::iota(row_.begin(), row_.end(), 0);
    near_.assign(core.size(), kMost);
    link_.assign(core.size(), 0);
    for (size_t j = 0; j < columns_.size(); ++j) {
      columns_[j].resize(core.size());
      for (size_t i = 0; i < core.size(); ++i) columns_[j][i] = rows[i * columns_.size() + j];
    }
    point_.resize(columns_.size());
  }

  int64_t size() const { return size_; }

  /// Takes the row at `at` out; returns its number and the edge that joins it to the tree.
  DensityEdge Take(int64_t at) {
    const auto i = static_cast<size_t>(at), last = static_cast<size_t>(size_ - 1);
    const DensityEdge edge{near_[i], link_[i], row_[i]};
    point_core_ = core_[i];
    for (size_t j = 0; j < columns_.size(); ++j) {
      point_[j] = columns_[j][i];
      columns_[j][i] = columns_[j][last];
    }
    near_[i] = near_[last], link_[i] = link_[last], row_[i] = row_[last], core_[i] = core_[last];
    --size_;
    return edge;
  }

  /// Where the row taken last is nearer than what was known; returns the place of the nearest row.
  int64_t Approach(int32_t taken) {
    int64_t best = 0;
    double best_radius = std::numeric_limits<double>::infinity();
    double squares[kRowBlock];
    for (int64_t begin = 0; begin < size_; begin += kRowBlock) {
      const int64_t width = std::min(kRowBlock, size_ - begin);
      std::fill(squares, squares + width, 0.0);
      for (size_t j = 0; j < columns_.size(); ++j) {
        const double* const column = columns_[j].data() + begin;
        const double x = point_[j];
        for (int64_t i = 0; i < width; ++i) squares[i] += (column[i] - x) * (column[i] - x);
      }
      double* const near = near_.data() + begin;
      const double* const core = core_.data() + begin;
      for (int64_t i = 0; i < width; ++i) squares[i] = std::max(std::max(std::sqrt(squares[i]), point_core_), core[i]);
      for (int64_t i = 0; i < width; ++i) {
        if (squares[i] < near[i]) near[i] = squares[i], link_[static_cast<size_t>(begin + i)] = taken;
        if (near[i] < best_radius) best_radius = near[i], best = begin + i;
      }
    }
    return best;
  }

 private:
  int64_t size_;
  std::vector<std::vector<double>> columns_;
  std::vector<double> core_, near_, point_;
  std::vector<int32_t> row_, link_;
  double point_core_ = 0;
};

/// Joins by ascending radius as a binary tree: nodes 0..n-1 are rows, n + e is the joint of edge e.
struct Joints {
  std::vector<int32_t> left, right, size;
  std::vector<double> radius;
};

Joints JointsOf(const std::vector<DensityEdge>& edges, int64_t n) {
  const auto count = static_cast<size_t>(n);
  Joints t;
  std::vector<int32_t> root(count), node(count);
  std::iota(root.begin(), root.end(), 0);
  std::iota(node.begin(), node.end(), 0);
  t.size.assign(count, 1);
  const auto find = [&root](int32_t i) {
    while (root[static_cast<size_t>(i)] != i) i = root[static_cast<size_t>(i)] = root[static_cast<size_t>(root[static_cast<size_t>(i)])];
    return static_cast<size_t>(i);
  };
  for (const DensityEdge& e : edges) {
    size_t a = find(e.a), b = find(e.b);
    const int32_t left = node[a], right = node[b], size = t.size[static_cast<size_t>(left)] + t.size[static_cast<size_t>(right)];
    if (t.size[static_cast<size_t>(left)] < t.size[static_cast<size_t>(right)]) std::swap(a, b);
    root[b] = static_cast<int32_t>(a);
    node[a] = static_cast<int32_t>(t.size.size());
    t.left.push_back(left);
    t.right.push_back(right);
    t.radius.push_back(e.radius);
    t.size.push_back(size);
  }
  return t;
}

class Condenser {
 public:
  Condenser(const Joints& joints, int64_t n, int64_t least) : joints_(joints), n_(static_cast<int32_t>(n)), least_(least) {
    out_.cluster.assign(static_cast<size_t>(n), 0);
    out_.leaves.assign(static_cast<size_t>(n), 0);
  }

  DensityHierarchy Run() {
    Open(-1, kMost);
    const auto root = static_cast<int32_t>(joints_.size.size()) - 1;
    if (root >= n_) stack_.push_back({root, 0});
    while (!stack_.empty()) {
      const auto [node, cluster] = stack_.back();
      stack_.pop_back();
      Split(node, cluster);
    }
    // A cluster lives as long as any within it; one of equal rows only has no positive radius of its own.
    for (size_t c = out_.clusters.size(); c-- > 0;) {
      DensityCluster& cluster = out_.clusters[c];
      if (cluster.parent >= 0) {
        DensityCluster& parent = out_.clusters[static_cast<size_t>(cluster.parent)];
        parent.densest = std::min(parent.densest, cluster.densest);
      }
      if (cluster.densest == kMost) cluster.densest = cluster.parent < 0 ? 0 : cluster.birth;
    }
    return std::move(out_);
  }

 private:
  int32_t Open(int32_t parent, double birth) {
    out_.clusters.push_back({parent, birth, kMost});
    return static_cast<int32_t>(out_.clusters.size()) - 1;
  }
  double RadiusOf(int32_t node) const { return joints_.radius[static_cast<size_t>(node - n_)]; }

  /// What falls apart at the radius of `node`: small parts leave the cluster; of large ones, one goes on as the cluster, two or
  /// more are clusters of their own.
  void Split(int32_t node, int32_t cluster) {
    const double radius = RadiusOf(node);
    parts_.clear();
    Gather(node, [&](int32_t part) { return part >= n_ && RadiusOf(part) == radius; }, &parts_);
    const auto large = [this](int32_t part) { return joints_.size[static_cast<size_t>(part)] >= least_; };
    const auto count = std::count_if(parts_.begin(), parts_.end(), large);
    DensityCluster& own = out_.clusters[static_cast<size_t>(cluster)];
    if (radius > 0) own.densest = std::min(own.densest, radius);
    for (const int32_t part : parts_) {
      if (large(part)) {
        stack_.push_back({part, count > 1 ? Open(cluster, radius) : cluster});
      } else {
        rows_.clear();
        Gather(part, [&](int32_t p) { return p >= n_; }, &rows_);
        for (const int32_t row : rows_) {
          out_.cluster[static_cast<size_t>(row)] = cluster;
          out_.leaves[static_cast<size_t>(row)] = radius;
        }
      }
    }
  }

  /// The first nodes below `node` (itself counts) that `opens` does not open.
  template <typename Opens>
  void Gather(int32_t node, const Opens& opens, std::vector<int32_t>* out) {
    pending_.assign(1, node);
    while (!pending_.empty()) {
      const int32_t at = pending_.back();
      pending_.pop_back();
      if (!opens(at)) {
        out->push_back(at);
        continue;
      }
      pending_.push_back(joints_.left[static_cast<size_t>(at - n_)]);
      pending_.push_back(joints_.right[static_cast<size_t>(at - n_)]);
    }
  }

  const Joints& joints_;
  int32_t n_;
  int64_t least_;
  DensityHierarchy out_;
  std::vector<std::pair<int32_t, int32_t>> stack_;
  std::vector<int32_t> parts_, rows_, pending_;
};

}  // namespace

absl::StatusOr<std::vector<DensityEdge>> ReachabilityTree(std::span<const double> rows, int64_t d, std::span<const double> core, const Context& ctx) {
  std::vector<DensityEdge> edges;
  Outside outside(rows, d, core);
  int32_t taken = outside.Take(0).b;
  // Looks at the context about every millisecond of work.
  int64_t looked = 0;
  while (outside.size() > 0) {
    looked += outside.size() * (d + 4);
    if (looked > 1'000'000) {
      RETURN_IF_ERROR(ctx.Check());
      looked = 0;
    }
    edges.push_back(outside.Take(outside.Approach(taken)));
    taken = edges.back().b;
  }
  return edges;
}

DensityHierarchy HierarchyOf(std::vector<DensityEdge> edges, int64_t n, int64_t least) {
  std::sort(edges.begin(), edges.end(), [](const DensityEdge& x, const DensityEdge& y) { return x.radius < y.radius; });
  const Joints joints = JointsOf(edges, n);
  return Condenser(joints, n, least).Run();
}

}  // namespace vedette::outlier
