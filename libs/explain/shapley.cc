#include "explain/shapley.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "base/status.h"

namespace vedette::explain {
namespace {

double Mean(std::span<const double> scores) {
  double sum = 0;
  for (const double s : scores) sum += s;
  return sum / static_cast<double>(scores.size());
}

}  // namespace

absl::StatusOr<CoalitionValues> CoalitionValues::Make(const Game& game) {
  const auto d = static_cast<int64_t>(game.row.size());
  if (d < 1 || game.background.cols() != d || game.background.rows() < 1 || !game.score) {
    return InvalidArgument("a row of {} values and a background of {} x {} do not go together", d,
                           game.background.rows(), game.background.cols());
  }
  CoalitionValues out(game);
  out.players_ = game.players;
  if (out.players_.empty()) {
    for (int64_t j = 0; j < d; ++j) out.players_.push_back({j});
  }
  std::vector<int> owners(static_cast<size_t>(d), 0);
  for (const auto& player : out.players_) {
    for (const int64_t j : player) {
      if (j < 0 || j >= d) return InvalidArgument("a group names feature {}, there are {}", j, d);
      ++owners[static_cast<size_t>(j)];
    }
  }
  if (std::any_of(owners.begin(), owners.end(), [](int n) { return n != 1; })) {
    return InvalidArgument("every feature must be in exactly one group");
  }
  for (size_t p = 0; p < out.players_.size(); ++p) {
    const bool moves = std::any_of(out.players_[p].begin(), out.players_[p].end(), [&](int64_t j) {
      const auto column = game.background.col(j);
      const double x = game.row[static_cast<size_t>(j)];
      return std::any_of(column.begin(), column.end(),
                         [&](double b) { return !(b == x || (std::isnan(b) && std::isnan(x))); });
    });
    if (moves) out.moving_.push_back(static_cast<int64_t>(p));
  }
  if (game.coalitions != nullptr && out.moving_.size() <= 64) {
    outlier::CoalitionRows rows{game.row, game.background, {}};
    for (const int64_t p : out.moving_) rows.players.push_back(out.players_[static_cast<size_t>(p)]);
    out.scorer_ = game.coalitions->Coalitions(rows);
  }
  return out;
}

absl::Status CoalitionValues::Evaluate(std::span<const uint64_t> masks, std::span<double> values,
                                       const Context& ctx) const {
  constexpr size_t kFew = 8;  // for which tabulating what they share does not pay
  if (scorer_ == nullptr || masks.size() < kFew) return EvaluateRows(masks, values, ctx);
  const auto n = static_cast<size_t>(game_->background.rows());
  const size_t per_batch = std::max<size_t>(64, (size_t{1} << 20) / n);  // scores of 8 MiB
  std::vector<double> scores(n * std::min(per_batch, masks.size()));
  for (size_t begin = 0; begin < masks.size(); begin += per_batch) {
    RETURN_IF_ERROR(ctx.Check());
    const size_t count = std::min(per_batch, masks.size() - begin);
    RETURN_IF_ERROR(scorer_->Score(masks.subspan(begin, count), std::span(scores).first(count * n), ctx));
    for (size_t c = 0; c < count; ++c) values[begin + c] = Mean(std::span(scores).subspan(c * n, n));
  }
  return absl::OkStatus();
}

absl::Status CoalitionValues::EvaluateRows(std::span<const uint64_t> masks, std::span<double> values,
                                           const Context& ctx) const {
  const Matrix& background = game_->background;
  const int64_t n = background.rows();
  const auto per_batch = static_cast<size_t>(std::max<int64_t>(1, kBatchRows / n));
  std::vector<double> scores;
  Matrix X;
  for (size_t begin = 0; begin < masks.size(); begin += per_batch) {
    RETURN_IF_ERROR(ctx.Check());
    const size_t count = std::min(per_batch, masks.size() - begin);
    if (const int64_t rows = static_cast<int64_t>(count) * n; X.rows() != rows) X = Matrix(rows, background.cols());
    for (int64_t j = 0; j < X.cols(); ++j) {
      for (size_t c = 0; c < count; ++c) {
        std::copy_n(background.col(j).data(), n, X.col(j).data() + static_cast<int64_t>(c) * n);
      }
    }
    for (size_t m = 0; m < moving_.size(); ++m) {
      for (const int64_t j : players_[static_cast<size_t>(moving_[m])]) {
        for (size_t c = 0; c < count; ++c) {
          if ((masks[begin + c] >> m & 1) == 0) continue;
          std::fill_n(X.col(j).data() + static_cast<int64_t>(c) * n, n, game_->row[static_cast<size_t>(j)]);
        }
      }
    }
    scores.resize(static_cast<size_t>(X.rows()));
    RETURN_IF_ERROR(game_->score(X, scores, ctx));
    const auto each = static_cast<size_t>(n);
    for (size_t c = 0; c < count; ++c) values[begin + c] = Mean(std::span(scores).subspan(c * each, each));
  }
  return absl::OkStatus();
}

absl::StatusOr<ShapleyValues> ExactShapley(const Game& game, const Context& ctx) {
  ASSIGN_OR_RETURN(const CoalitionValues value, CoalitionValues::Make(game));
  const size_t m = value.moving().size();
  if (m > kMaxExactPlayers) {
    return InvalidArgument("exact Shapley values of {} features would take 2^{} coalitions; at most {} features", m, m,
                           kMaxExactPlayers);
  }
  std::vector<uint64_t> masks(size_t{1} << m);
  for (size_t s = 0; s < masks.size(); ++s) masks[s] = s;
  std::vector<double> v(masks.size());
  RETURN_IF_ERROR(value.Evaluate(masks, v, ctx));
  ShapleyValues out;
  out.phi.assign(value.players(), 0);
  out.standard_error.assign(value.players(), 0);
  out.expected = v.front();
  out.output = v.back();
  out.coalitions = static_cast<int64_t>(masks.size());
  out.exact = true;
  // |S|! (m - |S| - 1)! / m! = 1 / (m C(m-1, |S|))
  std::vector<double> weight(m, m == 0 ? 0 : 1.0 / static_cast<double>(m));
  double ways = 1;
  for (size_t s = 0; s < m; ++s) {
    weight[s] /= ways;
    ways = ways * static_cast<double>(m - 1 - s) / static_cast<double>(s + 1);
  }
  for (size_t p = 0; p < m; ++p) {
    double sum = 0;
    const uint64_t bit = uint64_t{1} << p;
    for (uint64_t s = 0; s < masks.size(); ++s) {
      if ((s & bit) == 0) sum += weight[static_cast<size_t>(std::popcount(s))] * (v[s | bit] - v[s]);
    }
    out.phi[static_cast<size_t>(value.moving()[p])] = sum;
  }
  return out;
}

}  // namespace vedette::explain
