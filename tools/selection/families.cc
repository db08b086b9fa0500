#include "selection/families.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/rng.h"

namespace vedette::selection {
namespace {

constexpr const char* kLawNames[] = {"clusters", "correlated", "low_rank",  "heavy",  "skewed",
                                     "curve",    "grades",     "densities", "groups", "counts",
                                     "zeros",    "columns",    "noisy",     "wide",   "repeats"};
constexpr const char* kAnomalyNames[] = {"global", "local", "cluster",  "dependency",
                                         "mixed",  "group", "subspace", "contextual"};
static_assert(std::size(kLawNames) == kLaws && std::size(kAnomalyNames) == kAnomalies);

using Row = std::vector<double>;

size_t Index(int64_t i) { return static_cast<size_t>(i); }

/// Where rows gather: centre + width * (mix * z + noise), z normal with `rank` numbers.
struct Place {
  Row centre, mix;
  int64_t rank = 1;
  double width = 1, noise = 0, share = 1;
};

/// How a latent number becomes a column's value.
enum class Margin { kAsIs, kExponential, kGrades, kCount, kZeros, kBinary, kClipped, kCubed };

double Shown(Margin margin, double v, double at) {
  switch (margin) {
    case Margin::kAsIs:
      return v;
    case Margin::kExponential:
      return std::exp(std::min(20.0, 0.7 * v));
    case Margin::kGrades:
      return std::round(2 * v);
    case Margin::kCount:
      return std::floor(std::exp(std::clamp(0.6 * v + at, -10.0, 12.0)));
    case Margin::kZeros:
      return v > at ? v - at : 0;
    case Margin::kBinary:
      return v > at;
    case Margin::kClipped:
      return std::clamp(v, at - 1, at + 1);
    case Margin::kCubed:
      return v * v * v;
  }
  return v;
}

/// A law drawn at random. Everything about it is latent; Show makes columns of it.
class Source {
 public:
  Source(Law law, int64_t d, Rng* rng) : law_(law), d_(d), rng_(rng) {
    const bool many = law == Law::kClusters || law == Law::kDensities || law == Law::kGroups || law == Law::kWide ||
                      law == Law::kNoisy || law == Law::kRepeats;
    informative_ = law == Law::kNoisy ? std::max<int64_t>(2, d / 4) : d;
    const int64_t places = many ? 2 + static_cast<int64_t>(rng->Below(6)) : 1;
    // How far apart places lie, in deviations of a place.
    spread_ = many ? 1 + 4 * rng->Uniform() : 0;
    for (int64_t p = 0; p < places; ++p) places_.push_back(DrawPlace());
    const bool shared = rng->Uniform() < 0.5;  // one unit for all columns, as pixels or grades have
    for (int64_t j = 0; j < d; ++j) {
      unit_.push_back(shared ? 1 : std::exp(1.5 * rng->Normal()));
      phase_.push_back(6.28 * rng->Uniform());
      speed_.push_back(1 + 2 * rng->Uniform());
      margin_.push_back(DrawMargin());
      at_.push_back(law == Law::kZeros ? 0.3 + rng->Uniform() : rng->Normal());
    }
  }

  /// `wide` 1 is normal.
  Row Draw(double wide) const {
    Row row = law_ == Law::kCurve ? DrawCurve(wide) : DrawFrom(places_[Choose()], wide);
    for (int64_t j = informative_; j < d_; ++j) row[Index(j)] = rng_->Normal();
    return row;
  }
  /// A place of the same nature that no normal row comes from: moved by 0.5 to 3 deviations where there is one body
  /// alone.
  Place Another() const {
    Place other = DrawPlace();
    if (spread_ == 0) {
      const double far = (0.5 + 2.5 * rng_->Uniform()) * (law_ == Law::kCurve ? 2 : 1);
      for (double& c : other.centre) c = far * rng_->Normal();
    }
    other.width *= std::exp(0.4 * rng_->Normal());
    return other;
  }
  Row DrawFrom(const Place& place, double wide) const {
    Row row(Index(d_)), z(Index(place.rank));
    double stretch = 1;
    if (law_ == Law::kHeavy) stretch = 1 / std::sqrt(0.15 + 0.85 * rng_->Uniform());
    for (double& v : z) v = stretch * rng_->Normal();
    for (int64_t j = 0; j < d_; ++j) {
      double v = place.noise * rng_->Normal();
      for (int64_t r = 0; r < place.rank; ++r) v += place.mix[Index(j * place.rank + r)] * z[Index(r)];
      row[Index(j)] = place.centre[Index(j)] + wide * place.width * v;
    }
    return row;
  }
  double Show(double latent, int64_t j) const {
    const double v = Shown(margin_[Index(j)], latent, at_[Index(j)]);
    return margin_[Index(j)] == Margin::kGrades || margin_[Index(j)] == Margin::kCount ? v : v * unit_[Index(j)];
  }
  int64_t informative() const { return informative_; }

 private:
  Place DrawPlace() const {
    const bool flat = law_ == Law::kLowRank || law_ == Law::kGroups || law_ == Law::kWide;
    Place place;
    place.rank = flat ? 1 + static_cast<int64_t>(
                                rng_->Below(static_cast<uint64_t>(std::max<int64_t>(1, std::min<int64_t>(d_ / 4, 12)))))
                      : d_;
    place.noise = flat ? 0.15 + 0.5 * rng_->Uniform() : 0.3;
    place.width = std::exp((law_ == Law::kDensities ? 1.2 : 0.4) * rng_->Normal());
    place.share = law_ == Law::kDensities ? 0.05 + rng_->Uniform() : 0.5 + rng_->Uniform();
    for (int64_t j = 0; j < d_; ++j) place.centre.push_back(spread_ * rng_->Normal());
    const double strength = flat ? 1.2 : (spread_ == 0 && law_ != Law::kSkewed ? 1 : 0.5) * rng_->Uniform();
    for (int64_t i = 0; i < d_ * place.rank; ++i) {
      const bool own = !flat && i / place.rank == i % place.rank;
      place.mix.push_back(strength * rng_->Normal() / std::sqrt(static_cast<double>(place.rank)) + (own ? 0.6 : 0));
    }
    return place;
  }
  Margin DrawMargin() const {
    switch (law_) {
      case Law::kSkewed:
        return Margin::kExponential;
      case Law::kGrades:
      case Law::kRepeats:
        return Margin::kGrades;
      case Law::kCounts:
        return Margin::kCount;
      case Law::kZeros:
        return Margin::kZeros;
      case Law::kColumns:
        return static_cast<Margin>(rng_->Below(8));
      default:
        return Margin::kAsIs;
    }
  }
  size_t Choose() const {
    double all = 0;
    for (const Place& p : places_) all += p.share;
    double at = all * rng_->Uniform();
    for (size_t p = 0; p + 1 < places_.size(); ++p) {
      if ((at -= places_[p].share) < 0) return p;
    }
    return places_.size() - 1;
  }
  Row DrawCurve(double wide) const {
    const double t = 6.28 * rng_->Uniform();
    Row row;
    for (int64_t j = 0; j < d_; ++j)
      row.push_back(3 * std::sin(speed_[Index(j)] * t + phase_[Index(j)]) + 0.25 * wide * rng_->Normal());
    return row;
  }

  Law law_;
  int64_t d_, informative_;
  Rng* rng_;
  double spread_ = 0;
  std::vector<Place> places_;
  std::vector<Margin> margin_;
  Row unit_, phase_, speed_, at_;
};

/// The normal rows, and what their columns are like.
struct Normal {
  std::vector<Row> rows;
  Row low, high, deviation;

  explicit Normal(std::vector<Row> all) : rows(std::move(all)), low(rows[0]), high(rows[0]) {
    for (size_t j = 0; j < low.size(); ++j) {
      double sum = 0, squares = 0;
      for (const Row& row : rows) {
        low[j] = std::min(low[j], row[j]);
        high[j] = std::max(high[j], row[j]);
        sum += row[j], squares += row[j] * row[j];
      }
      const double n = static_cast<double>(rows.size());
      deviation.push_back(std::sqrt(std::max(0.0, squares / n - sum / n * (sum / n))));
    }
  }
  const Row& Any(Rng& rng) const { return rows[rng.Below(rows.size())]; }
  Row InBox(Rng& rng) const {
    Row row(low.size());
    for (size_t j = 0; j < row.size(); ++j) {
      const double margin = 0.1 * (high[j] - low[j]);
      row[j] = rng.Uniform(low[j] - margin, high[j] + margin);
    }
    return row;
  }
};

/// Draws anomalies of one kind; what all of a table share is drawn once.
class Oddities {
 public:
  Oddities(const Source& source, const Normal& normal, Rng* rng)
      : source_(source),
        normal_(normal),
        rng_(*rng),
        centre_(normal.InBox(*rng)),
        other_(source.Another()),
        wide_(1.5 + 2 * rng->Uniform()),
        tight_(0.01 * std::exp(2.5 * rng->Uniform())),
        carries_(centre_.size()) {
    const double share = 0.3 + 0.7 * rng->Uniform();
    const auto d = static_cast<int64_t>(carries_.size());
    for (int64_t j = 0; j < source.informative(); ++j) carries_[Index(j)] = rng->Uniform() < share;
    carries_[0] = carries_[Index(source.informative() - 1)] = 1;
    few_ = rng->Sample(source.informative(),
                       1 + static_cast<int64_t>(rng->Below(static_cast<uint64_t>(std::max<int64_t>(1, d / 6)))));
    block_ = rng->Sample(source.informative(), std::max<int64_t>(1, source.informative() / 3));
  }

  Row Draw(Anomaly kind) {
    const Row& base = normal_.Any(rng_);
    switch (kind) {
      case Anomaly::kGlobal:
        return Carried(normal_.InBox(rng_), base);
      case Anomaly::kLocal:
        return Informed(source_.Draw(wide_), base);
      case Anomaly::kCluster:
        return Carried(Near(centre_), base);
      case Anomaly::kDependency:
        return Shuffled();
      case Anomaly::kGroup:
        return Carried(source_.DrawFrom(other_, 1), base);
      case Anomaly::kSubspace:
        return Moved(base);
      case Anomaly::kContextual:
        return Exchanged(base);
      case Anomaly::kMixed:
        break;
    }
    return base;
  }

 private:
  /// Columns that carry no sign of the anomaly keep the values of a normal row.
  Row Carried(Row row, const Row& base) const {
    for (size_t j = 0; j < row.size(); ++j) row[j] = carries_[j] ? row[j] : base[j];
    return row;
  }
  Row Informed(Row row, const Row& base) const {
    for (size_t j = Index(source_.informative()); j < row.size(); ++j) row[j] = base[j];
    return row;
  }
  Row Near(const Row& centre) {
    Row row(centre);
    for (size_t j = 0; j < row.size(); ++j) row[j] += tight_ * (normal_.high[j] - normal_.low[j]) * rng_.Normal();
    return row;
  }
  /// Each column from another normal row: the margins stay, what ties them together goes.
  Row Shuffled() {
    Row row(centre_.size());
    for (size_t j = 0; j < row.size(); ++j) row[j] = normal_.Any(rng_)[j];
    return row;
  }
  Row Moved(Row row) {
    for (const int64_t j : few_) {
      const double far = (2 + wide_ * rng_.Uniform()) * normal_.deviation[Index(j)];
      row[Index(j)] += rng_.Uniform() < 0.8 ? far : -far;
    }
    return row;
  }
  Row Exchanged(Row row) {
    const Row& other = normal_.Any(rng_);
    for (const int64_t j : block_) row[Index(j)] = other[Index(j)];
    return row;
  }

  const Source& source_;
  const Normal& normal_;
  Rng& rng_;
  Row centre_;
  Place other_;
  double wide_, tight_;
  std::vector<uint8_t> carries_;
  std::vector<int64_t> few_, block_;
};

}  // namespace

SyntheticSet MakeSet(Law law, Anomaly anomaly, int round) {
  Rng rng(4711, static_cast<uint64_t>((static_cast<int>(law) * kAnomalies + static_cast<int>(anomaly)) * 1000 + round));
  const auto n = static_cast<int64_t>(150 * std::pow(12.0, rng.Uniform()));
  const auto d =
      static_cast<int64_t>(law == Law::kWide ? 50 * std::pow(3.0, rng.Uniform()) : 3 * std::pow(14.0, rng.Uniform()));
  const auto odd =
      std::max<int64_t>(5, static_cast<int64_t>(static_cast<double>(n) * 0.005 * std::pow(70.0, rng.Uniform())));
  const Source source(law, d, &rng);
  std::vector<Row> rows;
  for (int64_t i = 0; i < n - odd; ++i) {
    rows.push_back(law == Law::kRepeats && i > 20 && rng.Uniform() < 0.6 ? rows[rng.Below(static_cast<uint64_t>(i))]
                                                                         : source.Draw(1));
  }
  const Normal normal(rows);
  Oddities oddities(source, normal, &rng);
  for (int64_t i = 0; i < odd; ++i)
    rows.push_back(oddities.Draw(anomaly == Anomaly::kMixed ? static_cast<Anomaly>(i % 4) : anomaly));
  SyntheticSet out{
      fmt::format("{}/{}/{}", kLawNames[static_cast<int>(law)], kAnomalyNames[static_cast<int>(anomaly)], round),
      law,
      anomaly,
      Matrix(n, d),
      {}};
  for (int64_t i = 0; i < n; ++i) {
    out.labels.push_back(i >= n - odd);
    for (int64_t j = 0; j < d; ++j) out.X(i, j) = source.Show(rows[Index(i)][Index(j)], j);
  }
  return out;
}

}  // namespace vedette::selection
