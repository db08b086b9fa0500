#include "selection/families.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/rng.h"

namespace vedette::selection {
namespace {

constexpr const char* kLawNames[] = {"clusters", "correlated", "low_rank", "heavy", "skewed", "curve", "grades"};
constexpr const char* kAnomalyNames[] = {"global", "local", "cluster", "dependency", "mixed"};

using Row = std::vector<double>;

/// A law drawn at random: where rows come from, and a wider version of it around any of its places.
class Source {
 public:
  Source(Law law, int64_t d, Rng* rng) : law_(law), d_(d), rng_(rng) {
    const int64_t places = law == Law::kClusters ? 2 + static_cast<int64_t>(rng->Below(6)) : 1;
    const int64_t rank = law == Law::kLowRank ? 1 + static_cast<int64_t>(rng->Below(static_cast<uint64_t>(std::max<int64_t>(1, d / 4)))) : d;
    for (int64_t p = 0; p < places; ++p) {
      Row centre(static_cast<size_t>(d));
      for (double& c : centre) c = 6 * rng->Normal();
      centres_.push_back(centre);
      widths_.push_back(std::exp(0.6 * rng->Normal()));
      Row mix(static_cast<size_t>(d * rank));
      const double strength = law == Law::kCorrelated || law == Law::kLowRank ? 1 : 0.3;
      for (size_t i = 0; i < mix.size(); ++i) {
        const bool own = static_cast<int64_t>(i) / rank == static_cast<int64_t>(i) % rank;
        mix[i] = strength * rng->Normal() / std::sqrt(static_cast<double>(rank)) * (law == Law::kLowRank ? 2 : 1) + (own && law != Law::kLowRank ? 0.6 : 0);
      }
      mixes_.push_back(mix);
    }
    rank_ = rank;
    for (int64_t j = 0; j < d; ++j) {
      unit_.push_back(std::exp(1.5 * rng->Normal()));
      phase_.push_back(6.28 * rng->Uniform());
      speed_.push_back(1 + 2 * rng->Uniform());
    }
  }

  /// `wide` 1 is normal.
  Row Draw(double wide) const {
    const auto place = static_cast<size_t>(rng_->Below(centres_.size()));
    Row row(static_cast<size_t>(d_)), z(static_cast<size_t>(rank_));
    for (double& v : z) v = rng_->Normal();
    if (law_ == Law::kHeavy) {
      const double stretch = 1 / std::sqrt(0.15 + 0.85 * rng_->Uniform());
      for (double& v : z) v *= stretch;
    }
    const double t = 6.28 * rng_->Uniform();
    for (int64_t j = 0; j < d_; ++j) {
      double v = 0;
      for (int64_t r = 0; r < rank_; ++r) v += mixes_[place][static_cast<size_t>(j * rank_ + r)] * z[static_cast<size_t>(r)];
      if (law_ == Law::kLowRank) v += 0.15 * rng_->Normal();
      if (law_ == Law::kCurve) v = 3 * std::sin(speed_[static_cast<size_t>(j)] * t + phase_[static_cast<size_t>(j)]) + 0.25 * wide * rng_->Normal();
      else v *= wide * widths_[place];
      if (law_ == Law::kClusters) v += centres_[place][static_cast<size_t>(j)];
      if (law_ == Law::kSkewed) v = std::exp(0.7 * v);
      row[static_cast<size_t>(j)] = v;
    }
    return row;
  }
  double Unit(int64_t j) const { return unit_[static_cast<size_t>(j)]; }

 private:
  Law law_;
  int64_t d_, rank_ = 1;
  Rng* rng_;
  std::vector<Row> centres_, mixes_;
  std::vector<double> widths_, unit_, phase_, speed_;
};

/// Least and largest value of each column of the normal rows.
struct Box {
  Row low, high;
};

Row DrawGlobal(const Box& box, Rng& rng) {
  Row row(box.low.size());
  for (size_t j = 0; j < row.size(); ++j) {
    const double margin = 0.1 * (box.high[j] - box.low[j]);
    row[j] = rng.Uniform(box.low[j] - margin, box.high[j] + margin);
  }
  return row;
}

/// Each column from another normal row: the margins stay, what ties them together goes.
Row DrawDependency(const std::vector<Row>& normal, Rng& rng) {
  Row row(normal[0].size());
  for (size_t j = 0; j < row.size(); ++j) row[j] = normal[rng.Below(normal.size())][j];
  return row;
}

Row DrawCluster(const Row& centre, const Box& box, Rng& rng) {
  Row row(centre.size());
  for (size_t j = 0; j < row.size(); ++j) row[j] = centre[j] + 0.02 * (box.high[j] - box.low[j]) * rng.Normal();
  return row;
}

}  // namespace

SyntheticSet MakeSet(Law law, Anomaly anomaly, int round) {
  Rng rng(4711, static_cast<uint64_t>((static_cast<int>(law) * kAnomalies + static_cast<int>(anomaly)) * 1000 + round));
  const auto n = static_cast<int64_t>(150 * std::pow(12.0, rng.Uniform()));
  const auto d = static_cast<int64_t>(3 * std::pow(14.0, rng.Uniform()));
  const auto odd = std::max<int64_t>(5, static_cast<int64_t>(static_cast<double>(n) * (0.01 + 0.11 * rng.Uniform())));
  const Source source(law, d, &rng);
  std::vector<Row> rows;
  for (int64_t i = 0; i < n; ++i) rows.push_back(source.Draw(1));
  Box box{rows[0], rows[0]};
  for (const Row& row : rows) {
    for (size_t j = 0; j < row.size(); ++j) box.low[j] = std::min(box.low[j], row[j]), box.high[j] = std::max(box.high[j], row[j]);
  }
  const std::vector<Row> normal = rows;
  const Row centre = DrawGlobal(box, rng);
  const double wide = 1.5 + 2 * rng.Uniform();
  // Columns that carry no sign of the anomaly keep normal values: a random share of them.
  const double informative = 0.3 + 0.7 * rng.Uniform();
  std::vector<uint8_t> carries(static_cast<size_t>(d));
  for (auto& c : carries) c = rng.Uniform() < informative;
  carries[0] = carries[static_cast<size_t>(d) - 1] = 1;
  for (int64_t i = 0; i < odd; ++i) {
    const Anomaly kind = anomaly == Anomaly::kMixed ? static_cast<Anomaly>(i % 4) : anomaly;
    Row row = kind == Anomaly::kGlobal    ? DrawGlobal(box, rng)
              : kind == Anomaly::kLocal   ? source.Draw(wide)
              : kind == Anomaly::kCluster ? DrawCluster(centre, box, rng)
                                          : DrawDependency(normal, rng);
    const Row& base = normal[rng.Below(normal.size())];
    if (kind == Anomaly::kGlobal || kind == Anomaly::kCluster) {
      for (size_t j = 0; j < row.size(); ++j) row[j] = carries[j] ? row[j] : base[j];
    }
    rows.push_back(std::move(row));
  }
  SyntheticSet out{fmt::format("{}/{}/{}", kLawNames[static_cast<int>(law)], kAnomalyNames[static_cast<int>(anomaly)], round),
                   Matrix(n + odd, d), {}};
  for (int64_t i = 0; i < n + odd; ++i) {
    out.labels.push_back(i >= n);
    for (int64_t j = 0; j < d; ++j) {
      const double v = rows[static_cast<size_t>(i)][static_cast<size_t>(j)];
      out.X(i, j) = law == Law::kGrades ? std::round(2 * v) : v * source.Unit(j);
    }
  }
  return out;
}

}  // namespace vedette::selection
