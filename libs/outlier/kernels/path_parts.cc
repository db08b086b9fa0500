#include "outlier/kernels/path_parts.h"

#include <vector>

namespace vedette::outlier {
namespace {

constexpr int64_t kFewRows = 16;    // for which no table is made
constexpr int64_t kRowsAtOnce = 4;  // side by side, so that they do not wait for their own next node alone

/// A node without branches: [0] where the value is not above the threshold, [1] where it is. A leaf leads to itself.
struct Step {
  float threshold = 0;
  int32_t feature = 0;
  int32_t next[2] = {0, 0};
  double part[2] = {0, 0};
};

void AddOne(const IsolationTree& tree, const float* row, double* parts) {
  size_t node = 0;
  while (tree.feature[node] >= 0) {
    const auto f = static_cast<size_t>(tree.feature[node]);
    const size_t child = row[f] <= tree.threshold[node] ? node + 1 : static_cast<size_t>(tree.right[node]);
    parts[f] += static_cast<double>(tree.path_length[node] - tree.path_length[child]);
    node = child;
  }
}

std::vector<Step> StepsOf(const IsolationTree& tree) {
  std::vector<Step> steps(tree.feature.size());
  for (size_t node = 0; node < steps.size(); ++node) {
    Step& step = steps[node];
    const auto here = static_cast<int32_t>(node);
    if (tree.feature[node] < 0) {
      step.next[0] = step.next[1] = here;
      continue;
    }
    step.threshold = tree.threshold[node];
    step.feature = tree.feature[node];
    step.next[0] = here + 1;
    step.next[1] = tree.right[node];
    for (int side = 0; side < 2; ++side) {
      step.part[side] =
          static_cast<double>(tree.path_length[node] - tree.path_length[static_cast<size_t>(step.next[side])]);
    }
  }
  return steps;
}

}  // namespace

void AddPathParts(const IsolationTree& tree, const float* rows, int64_t count, int64_t features, double* parts) {
  int64_t i = 0;
  if (count >= kFewRows) {
    const std::vector<Step> steps = StepsOf(tree);
    for (; i + kRowsAtOnce <= count; i += kRowsAtOnce) {
      int32_t node[kRowsAtOnce] = {};
      for (int level = 0; level < tree.depth; ++level) {
        for (int64_t r = 0; r < kRowsAtOnce; ++r) {
          const Step& step = steps[static_cast<size_t>(node[r])];
          const int64_t at = (i + r) * features + step.feature;
          const int above = rows[at] <= step.threshold ? 0 : 1;
          parts[at] += step.part[above];  // 0 at a leaf
          node[r] = step.next[above];
        }
      }
    }
  }
  for (; i < count; ++i) AddOne(tree, rows + i * features, parts + i * features);
}

}  // namespace vedette::outlier
