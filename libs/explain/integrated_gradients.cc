#include "explain/integrated_gradients.h"

#include <algorithm>
#include <cmath>

#include "base/status.h"
#include "explain/quadrature.h"

namespace vedette::explain {
namespace {

constexpr int kPoints = 4;
constexpr int64_t kFirstPieces = 8;
constexpr int64_t kMaxGradients = 1000000;
constexpr size_t kPiecesPerBatch = 256;

/// Of the way from the baseline (0) to the row (1).
struct Piece {
  double low = 0, high = 1;
  double score_low = 0, score_high = 0;
  double missed = 0;
  std::vector<double> parts;  ///< per feature
};

class Way {
 public:
  Way(const ScoreFn& score, const GradientFn& gradient, std::span<const double> row, std::span<const double> baseline)
      : score_(score), gradient_(gradient), from_(baseline.begin(), baseline.end()), reach_(row.size()) {
    for (size_t j = 0; j < row.size(); ++j) {
      const double reach = row[j] - baseline[j];
      reach_[j] = std::isfinite(reach) ? reach : 0;
      if (!std::isfinite(reach)) from_[j] = row[j];
    }
  }

  absl::Status Scores(std::span<const double> places, std::span<double> scores, const Context& ctx) const {
    RETURN_IF_ERROR(score_(At(places), scores, ctx));
    if (std::all_of(scores.begin(), scores.end(), [](double s) { return std::isfinite(s); })) return absl::OkStatus();
    return InvalidArgument("the score is not finite between the baseline and the row");
  }

  /// Parts and what is missed of pieces whose ends and scores are set.
  absl::Status Integrate(std::span<Piece> pieces, const Context& ctx) const {
    static const Quadrature rule = GaussLegendre(kPoints);
    std::vector<double> places;
    for (const Piece& piece : pieces) {
      for (const double node : rule.nodes) places.push_back(piece.low + (piece.high - piece.low) * node);
    }
    Matrix gradients(static_cast<int64_t>(places.size()), static_cast<int64_t>(reach_.size()));
    RETURN_IF_ERROR(gradient_(At(places), gradients, ctx));
    for (size_t p = 0; p < pieces.size(); ++p) {
      Piece& piece = pieces[p];
      piece.parts.assign(reach_.size(), 0);
      double sum = 0;
      for (size_t j = 0; j < reach_.size(); ++j) {
        double slope = 0;
        for (size_t q = 0; q < kPoints; ++q) {
          slope += rule.weights[q] * gradients(static_cast<int64_t>(p * kPoints + q), static_cast<int64_t>(j));
        }
        if (reach_[j] != 0) piece.parts[j] = (piece.high - piece.low) * slope * reach_[j];
        sum += piece.parts[j];
      }
      piece.missed = std::fabs(piece.score_high - piece.score_low - sum);
      if (!std::isfinite(piece.missed))
        return InvalidArgument("the gradient is not finite between the baseline and the row");
    }
    return absl::OkStatus();
  }

 private:
  Matrix At(std::span<const double> places) const {
    Matrix X(static_cast<int64_t>(places.size()), static_cast<int64_t>(reach_.size()));
    for (size_t j = 0; j < reach_.size(); ++j) {
      double* column = X.col(static_cast<int64_t>(j)).data();
      // Without a reach the value may be one that nothing can be added to.
      for (size_t i = 0; i < places.size(); ++i)
        column[i] = reach_[j] == 0 ? from_[j] : from_[j] + places[i] * reach_[j];
    }
    return X;
  }

  const ScoreFn& score_;
  const GradientFn& gradient_;
  std::vector<double> from_, reach_;
};

double Missed(std::span<const Piece> pieces) {
  double sum = 0;
  for (const Piece& piece : pieces) sum += piece.missed;
  return sum;
}

/// Halves every piece that misses more than its part of the tolerance; the rest together miss half of it at most.
absl::Status Refine(const Way& way, double tolerance, std::vector<Piece>& pieces, const Context& ctx) {
  const double share = tolerance / (2 * static_cast<double>(pieces.size()));
  std::vector<Piece> kept, halves;
  std::vector<double> middles;
  for (Piece& piece : pieces) {
    if (piece.missed <= share) {
      kept.push_back(std::move(piece));
      continue;
    }
    const double middle = piece.low + (piece.high - piece.low) / 2;
    middles.push_back(middle);
    halves.push_back({piece.low, middle, piece.score_low, 0, 0, {}});
    halves.push_back({middle, piece.high, 0, piece.score_high, 0, {}});
  }
  std::vector<double> scores(middles.size());
  RETURN_IF_ERROR(way.Scores(middles, scores, ctx));
  for (size_t i = 0; i < scores.size(); ++i) halves[2 * i].score_high = halves[2 * i + 1].score_low = scores[i];
  for (size_t begin = 0; begin < halves.size(); begin += kPiecesPerBatch) {
    RETURN_IF_ERROR(ctx.Check());
    RETURN_IF_ERROR(
        way.Integrate(std::span(halves).subspan(begin, std::min(kPiecesPerBatch, halves.size() - begin)), ctx));
  }
  kept.insert(kept.end(), std::make_move_iterator(halves.begin()), std::make_move_iterator(halves.end()));
  pieces = std::move(kept);
  return absl::OkStatus();
}

int64_t GradientsOfRefining(std::span<const Piece> pieces, double tolerance) {
  const double share = tolerance / (2 * static_cast<double>(pieces.size()));
  return 2 * kPoints * std::count_if(pieces.begin(), pieces.end(), [&](const Piece& p) { return p.missed > share; });
}

}  // namespace

absl::StatusOr<IntegratedGradientsResult> IntegratedGradients(const ScoreFn& score, const GradientFn& gradient,
                                                              std::span<const double> row,
                                                              std::span<const double> baseline,
                                                              const IntegratedGradientsOptions& options,
                                                              const Context& ctx) {
  if (row.empty() || row.size() != baseline.size() || !score || !gradient) {
    return InvalidArgument("a row of {} values and a baseline of {} do not go together", row.size(), baseline.size());
  }
  if (!(options.tolerance > 0) || options.gradients < kFirstPieces * kPoints || options.gradients > kMaxGradients) {
    return InvalidArgument("{} gradients and a tolerance of {}: {} to {}, and above 0, are possible", options.gradients,
                           options.tolerance, kFirstPieces * kPoints, kMaxGradients);
  }
  const Way way(score, gradient, row, baseline);
  std::vector<double> places, scores(kFirstPieces + 1);
  for (int64_t i = 0; i <= kFirstPieces; ++i) places.push_back(static_cast<double>(i) / kFirstPieces);
  RETURN_IF_ERROR(ctx.Check());
  RETURN_IF_ERROR(way.Scores(places, scores, ctx));
  std::vector<Piece> pieces;
  for (size_t i = 0; i < kFirstPieces; ++i)
    pieces.push_back({places[i], places[i + 1], scores[i], scores[i + 1], 0, {}});
  RETURN_IF_ERROR(way.Integrate(pieces, ctx));
  IntegratedGradientsResult out;
  out.expected = scores.front();
  out.output = scores.back();
  out.gradients = kFirstPieces * kPoints;
  const double tolerance = options.tolerance * (std::fabs(out.output - out.expected) +
                                                0.01 * std::max(std::fabs(out.output), std::fabs(out.expected)));
  while (!((out.missed = Missed(pieces)) <= tolerance)) {
    const int64_t more = GradientsOfRefining(pieces, tolerance);
    if (out.gradients + more > options.gradients) break;
    std::vector<Piece> finer = pieces;
    const absl::Status status = Refine(way, tolerance, finer, ctx);
    if (absl::IsDeadlineExceeded(status)) {
      out.cut_short = true;
      break;
    }
    RETURN_IF_ERROR(status);
    pieces = std::move(finer);
    out.gradients += more;
  }
  out.within_tolerance = out.missed <= tolerance;
  out.phi.assign(row.size(), 0);
  for (const Piece& piece : pieces) {
    for (size_t j = 0; j < row.size(); ++j) out.phi[j] += piece.parts[j];
  }
  return out;
}

}  // namespace vedette::explain
