#include "explain/counterfactual.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/status.h"
#include "outlier/columns.h"

namespace vedette::explain {
namespace {

constexpr size_t kTargets = 4;  // rows of the reference that are tried beside the median

std::vector<std::vector<int64_t>> PlayersOf(const CounterfactualOptions& options, size_t d) {
  std::vector<std::vector<int64_t>> players = options.players;
  if (players.empty()) {
    for (size_t j = 0; j < d; ++j) players.push_back({static_cast<int64_t>(j)});
  }
  return players;
}

absl::Status Check(const std::vector<double>& row, const CounterfactualOptions& options) {
  const size_t d = row.size(), players = options.players.empty() ? d : options.players.size();
  if (d == 0) return InvalidArgument("the row is empty");
  if (!options.frozen.empty() && options.frozen.size() != players) {
    return InvalidArgument("{} frozen marks for {} groups of features", options.frozen.size(), players);
  }
  if ((!options.low.empty() && options.low.size() != d) || (!options.high.empty() && options.high.size() != d)) {
    return InvalidArgument("ranges must be given for all {} features or for none", d);
  }
  if (!options.codes.empty() && options.codes.size() != d) {
    return InvalidArgument("{} features are said to be codes or not, there are {}", options.codes.size(), d);
  }
  if (options.max_changes < 1 || options.max_changes > 64 || options.max_evaluations < 1) {
    return InvalidArgument("at least one change and one evaluation must be allowed, at most 64 changes");
  }
  for (const auto& player : options.players) {
    for (const int64_t j : player) {
      if (j < 0 || j >= static_cast<int64_t>(d)) return InvalidArgument("a group names feature {}, there are {}", j, d);
    }
  }
  return absl::OkStatus();
}

/// Scores sets of changes from one row towards one target, and counts.
class Search {
 public:
  Search(const ScoreFn& score, const std::vector<double>& row, std::vector<double> target,
         const CounterfactualOptions& options, int64_t budget, const Context& ctx)
      : score_(score), row_(row), target_(std::move(target)), players_(PlayersOf(options, row.size())), budget_(budget), ctx_(ctx) {
    for (size_t j = 0; j < row.size(); ++j) {
      if (!options.low.empty()) target_[j] = std::max(target_[j], options.low[j]);
      if (!options.high.empty()) target_[j] = std::min(target_[j], options.high[j]);
    }
    for (size_t p = 0; p < players_.size(); ++p) {
      const bool frozen = !options.frozen.empty() && options.frozen[p];
      const bool differs = std::any_of(players_[p].begin(), players_[p].end(), [&](int64_t j) {
        return !(target_[static_cast<size_t>(j)] == row[static_cast<size_t>(j)]) && std::isfinite(target_[static_cast<size_t>(j)]);
      });
      if (!frozen && differs) movable_.push_back(static_cast<int64_t>(p));
    }
  }

  const std::vector<int64_t>& movable() const { return movable_; }
  int64_t left() const { return budget_; }

  std::vector<double> Changed(std::span<const int64_t> set) const {
    std::vector<double> x = row_;
    for (const int64_t p : set) {
      for (const int64_t j : players_[static_cast<size_t>(p)]) x[static_cast<size_t>(j)] = target_[static_cast<size_t>(j)];
    }
    return x;
  }

  /// RESOURCE_EXHAUSTED when the budget does not reach.
  absl::StatusOr<std::vector<double>> Scores(const std::vector<std::vector<int64_t>>& sets) {
    if (static_cast<int64_t>(sets.size()) > budget_) return ResourceExhausted("the search's budget is spent");
    RETURN_IF_ERROR(ctx_.Check());
    budget_ -= static_cast<int64_t>(sets.size());
    Matrix X(static_cast<int64_t>(sets.size()), static_cast<int64_t>(row_.size()));
    for (int64_t i = 0; i < X.rows(); ++i) {
      const std::vector<double> x = Changed(sets[static_cast<size_t>(i)]);
      for (int64_t j = 0; j < X.cols(); ++j) X(i, j) = x[static_cast<size_t>(j)];
    }
    std::vector<double> scores(sets.size());
    RETURN_IF_ERROR(score_(X, scores, ctx_));
    return scores;
  }

 private:
  const ScoreFn& score_;
  const std::vector<double>& row_;
  std::vector<double> target_;
  std::vector<std::vector<int64_t>> players_;
  std::vector<int64_t> movable_;
  int64_t budget_;
  const Context& ctx_;
};

size_t Least(const std::vector<double>& scores) {
  return static_cast<size_t>(std::min_element(scores.begin(), scores.end()) - scores.begin());
}

/// Adds the change that lowers the score most until it is normal; empty when that does not happen in time.
absl::StatusOr<std::vector<int64_t>> Greedy(Search& search, double threshold, int max_changes) {
  std::vector<int64_t> set;
  while (static_cast<int>(set.size()) < max_changes && set.size() < search.movable().size()) {
    std::vector<std::vector<int64_t>> trials;
    for (const int64_t p : search.movable()) {
      if (std::find(set.begin(), set.end(), p) != set.end()) continue;
      trials.push_back(set);
      trials.back().push_back(p);
    }
    ASSIGN_OR_RETURN(const std::vector<double> scores, search.Scores(trials));
    const size_t best = Least(scores);
    set = trials[best];
    if (scores[best] <= threshold) return set;
  }
  return std::vector<int64_t>{};
}

/// All sets of `size` movable players, in lexical order, in pieces; the lowest score that is normal, or empty.
absl::StatusOr<std::vector<int64_t>> BestOfSize(Search& search, double threshold, size_t size) {
  constexpr size_t kPiece = 1024;
  const auto& movable = search.movable();
  std::vector<size_t> at(size);
  for (size_t i = 0; i < size; ++i) at[i] = i;
  std::vector<int64_t> best;
  double best_score = std::numeric_limits<double>::infinity();
  for (bool more = size <= movable.size(); more;) {
    std::vector<std::vector<int64_t>> trials;
    while (more && trials.size() < kPiece) {
      trials.emplace_back();
      for (const size_t i : at) trials.back().push_back(movable[i]);
      size_t i = size;
      while (i > 0 && at[i - 1] == movable.size() - size + i - 1) --i;
      more = i > 0;
      if (!more) break;
      ++at[i - 1];
      for (; i < size; ++i) at[i] = at[i - 1] + 1;
    }
    ASSIGN_OR_RETURN(const std::vector<double> scores, search.Scores(trials));
    const size_t least = Least(scores);
    if (scores[least] <= threshold && scores[least] < best_score) {
      best_score = scores[least];
      best = trials[least];
    }
  }
  return best;
}

double SetsBelow(size_t n, size_t size) {
  double total = 0, ways = 1;
  for (size_t k = 1; k < size; ++k) {
    ways = ways * static_cast<double>(n - k + 1) / static_cast<double>(k);
    total += ways;
  }
  return total;
}

bool OutOfTime(const absl::Status& status) {
  return absl::IsDeadlineExceeded(status) || absl::IsResourceExhausted(status);
}

/// Greedy, then every smaller set from the smallest up when the budget covers them.
absl::Status Improve(Search& search, const CounterfactualOptions& options, Counterfactual* out) {
  ASSIGN_OR_RETURN(std::vector<int64_t> set, Greedy(search, options.threshold, options.max_changes));
  if (set.empty()) return absl::OkStatus();
  out->found = true;
  out->changed = set;
  out->row = search.Changed(set);
  if (SetsBelow(search.movable().size(), set.size()) > static_cast<double>(search.left())) {
    out->minimal = set.size() == 1;
    return absl::OkStatus();
  }
  for (size_t size = 1; size < set.size(); ++size) {
    ASSIGN_OR_RETURN(const std::vector<int64_t> smaller, BestOfSize(search, options.threshold, size));
    if (smaller.empty()) continue;
    out->changed = smaller;
    out->row = search.Changed(smaller);
    break;
  }
  out->minimal = true;
  return absl::OkStatus();
}

absl::StatusOr<double> ScoreOf(const ScoreFn& score, const std::vector<double>& row, const Context& ctx) {
  Matrix X(1, static_cast<int64_t>(row.size()));
  for (size_t j = 0; j < row.size(); ++j) X(0, static_cast<int64_t>(j)) = row[j];
  double value = 0;
  RETURN_IF_ERROR(score(X, std::span(&value, 1), ctx));
  return value;
}

absl::StatusOr<Counterfactual> Towards(const ScoreFn& score, const std::vector<double>& row, const std::vector<double>& target,
                                       const CounterfactualOptions& options, int64_t* budget, const Context& ctx) {
  Counterfactual out;
  out.row = row;
  ASSIGN_OR_RETURN(out.score, ScoreOf(score, row, ctx));
  if (out.score <= options.threshold) {
    out.found = out.already_normal = out.minimal = true;
    return out;
  }
  Search search(score, row, target, options, *budget, ctx);
  const absl::Status status = Improve(search, options, &out);
  *budget = search.left();
  if (!status.ok() && !OutOfTime(status)) return status;
  if (!out.found) return out;
  // The verdict counts only when the changed row, scored by itself, is normal. Free of the deadline: one row.
  Context verify = ctx;
  verify.deadline = absl::InfiniteFuture();
  ASSIGN_OR_RETURN(out.score, ScoreOf(score, out.row, verify));
  if (out.score > options.threshold) {
    out = Counterfactual{.row = row, .score = out.score};
    ASSIGN_OR_RETURN(out.score, ScoreOf(score, row, verify));
  }
  return out;
}

/// The value that occurs most often, the least of such.
double Commonest(std::vector<double>& values) {
  std::sort(values.begin(), values.end());
  double best = values.front();
  std::ptrdiff_t most = 0;
  for (auto first = values.begin(); first != values.end();) {
    const auto last = std::upper_bound(first, values.end(), *first);
    if (last - first > most) {
      most = last - first;
      best = *first;
    }
    first = last;
  }
  return best;
}

/// Medians, of codes the commonest; a group of several features takes its commonest pattern instead.
std::vector<double> TypicalRow(MatrixView reference, const CounterfactualOptions& options) {
  std::vector<double> typical(static_cast<size_t>(reference.cols));
  for (int64_t j = 0; j < reference.cols; ++j) {
    std::vector<double> values;
    for (const double x : reference.col(j)) {
      if (std::isfinite(x)) values.push_back(x);
    }
    const bool code = !options.codes.empty() && options.codes[static_cast<size_t>(j)];
    typical[static_cast<size_t>(j)] = values.empty() ? 0 : code ? Commonest(values) : outlier::MedianInPlace(values);
  }
  for (const auto& player : options.players) {
    if (player.size() < 2) continue;
    int64_t best = 0, most = -1;
    const int64_t rows = std::min<int64_t>(reference.rows, 500);
    for (int64_t i = 0; i < rows; ++i) {
      int64_t same = 0;
      for (int64_t k = 0; k < rows; ++k) {
        same += std::all_of(player.begin(), player.end(), [&](int64_t j) { return reference(i, j) == reference(k, j); });
      }
      if (same > most) {
        most = same;
        best = i;
      }
    }
    for (const int64_t j : player) typical[static_cast<size_t>(j)] = reference(best, j);
  }
  return typical;
}

/// Reference rows by distance in standard deviations, nearest first.
std::vector<int64_t> Nearest(const std::vector<double>& row, MatrixView reference) {
  std::vector<double> distance(static_cast<size_t>(reference.rows), 0);
  for (int64_t j = 0; j < reference.cols; ++j) {
    const auto column = reference.col(j);
    const auto [low, high] = outlier::RangeOf(column);
    const double range = high > low ? high - low : 1;
    for (size_t i = 0; i < distance.size(); ++i) {
      const double gap = (column[i] - row[static_cast<size_t>(j)]) / range;
      if (std::isfinite(gap)) distance[i] += gap * gap;
    }
  }
  std::vector<int64_t> order(distance.size());
  for (size_t i = 0; i < order.size(); ++i) order[i] = static_cast<int64_t>(i);
  std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) {
    return distance[static_cast<size_t>(a)] < distance[static_cast<size_t>(b)];
  });
  return order;
}

}  // namespace

absl::StatusOr<Counterfactual> CounterfactualTowards(const ScoreFn& score, const std::vector<double>& row,
                                                     const std::vector<double>& target,
                                                     const CounterfactualOptions& options, const Context& ctx) {
  RETURN_IF_ERROR(Check(row, options));
  if (target.size() != row.size()) return InvalidArgument("the target has {} values, the row {}", target.size(), row.size());
  int64_t budget = options.max_evaluations;
  return Towards(score, row, target, options, &budget, ctx);
}

absl::StatusOr<Counterfactual> FindCounterfactual(const ScoreFn& score, const std::vector<double>& row,
                                                  MatrixView reference, const CounterfactualOptions& options,
                                                  const Context& ctx) {
  RETURN_IF_ERROR(Check(row, options));
  if (reference.cols != static_cast<int64_t>(row.size()) || reference.rows < 1) {
    return InvalidArgument("a row of {} values and a reference of {} x {} do not go together", row.size(),
                           reference.rows, reference.cols);
  }
  int64_t budget = options.max_evaluations;
  ASSIGN_OR_RETURN(Counterfactual best, Towards(score, row, TypicalRow(reference, options), options, &budget, ctx));
  if (best.already_normal || best.changed.size() == 1) return best;
  const std::vector<int64_t> order = Nearest(row, reference);
  for (size_t t = 0; t < std::min(kTargets, order.size()); ++t) {
    std::vector<double> target(row.size());
    for (size_t j = 0; j < row.size(); ++j) target[j] = reference(order[t], static_cast<int64_t>(j));
    absl::StatusOr<Counterfactual> other = Towards(score, row, target, options, &budget, ctx);
    if (!other.ok() && OutOfTime(other.status())) return best;
    RETURN_IF_ERROR(other.status());
    if (other->found && (!best.found || other->changed.size() < best.changed.size())) best = std::move(*other);
  }
  return best;
}

}  // namespace vedette::explain
