#include "oracle/compare.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <numeric>

#include "base/thread_pool.h"
#ifdef VEDETTE_NEURAL
#include "neural/algorithms.h"
#endif
#include "oracle/oracle_data.h"
#include "outlier/metrics.h"
#include "outlier/registry.h"

namespace vedette::oracle {
namespace {

using outlier::Detector;

const outlier::Descriptor& Find(const std::string& algorithm) {
#ifdef VEDETTE_NEURAL
  static const outlier::Catalog catalog({outlier::AllAlgorithms(), neural::Algorithms()});
#else
  static const outlier::Catalog catalog({outlier::AllAlgorithms()});
#endif
  const auto descriptor = catalog.Find(algorithm);
  INFO(descriptor.status());
  REQUIRE(descriptor.ok());
  return **descriptor;
}

std::unique_ptr<Detector> FitOne(const std::string& algorithm, const std::map<std::string, std::string>& given, const Matrix& X,
                                 uint64_t seed, ThreadPool* pool) {
  const outlier::Descriptor& descriptor = Find(algorithm);
  const auto params = outlier::ParamSet::Make(descriptor.params, given);
  INFO(params.status());
  REQUIRE(params.ok());
  auto detector = descriptor.make(*params);
  Context ctx;
  ctx.seed = seed;
  ctx.pool = pool;
  const absl::Status fitted = detector->Fit(X, ctx);
  INFO(fitted);
  REQUIRE(fitted.ok());
  return detector;
}

/// Largest relative difference.
double Worst(std::span<const double> ours, const std::vector<double>& theirs) {
  REQUIRE(ours.size() == theirs.size());
  double worst = 0;
  for (size_t i = 0; i < ours.size(); ++i) {
    const double difference = std::fabs(ours[i] - theirs[i]) / std::max(1e-12, std::fabs(theirs[i]));
    worst = std::isnan(difference) ? INFINITY : std::max(worst, difference);
  }
  return worst;
}

/// Ranks with ties at their mean.
std::vector<double> Ranks(std::span<const double> v) {
  std::vector<size_t> order(v.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) { return v[a] < v[b]; });
  std::vector<double> ranks(v.size());
  for (size_t begin = 0; begin < order.size();) {
    size_t end = begin;
    while (end < order.size() && v[order[end]] == v[order[begin]]) ++end;
    for (size_t i = begin; i < end; ++i) ranks[order[i]] = static_cast<double>(begin + end - 1) / 2;
    begin = end;
  }
  return ranks;
}

Matrix Input(const Case& c, const Matrix& X) {
  if (!c.first_column_only) return X;
  Matrix first(X.rows(), 1);
  for (int64_t i = 0; i < X.rows(); ++i) first(i, 0) = X(i, 0);
  return first;
}

void Compare(const std::string& set, const Case& c, std::span<const double> ours, const std::vector<double>& theirs) {
  CHECK(std::all_of(ours.begin(), ours.end(), [](double s) { return std::isfinite(s); }));
  if (c.by_rank.count(set) != 0) {
    const double correlation = Spearman(ours, theirs);
    INFO("Spearman " << correlation);
    CHECK(correlation > c.least_rank_correlation);
    return;
  }
  const double worst = Worst(ours, theirs);
  INFO("largest relative difference " << worst);
  CHECK(worst < c.tolerance);
}

}  // namespace

const std::vector<std::string>& ScoreSets() {
  static const std::vector<std::string> sets = {"wine", "glass", "vertebral", "WBC", "cardio", "thyroid"};
  return sets;
}

std::string ScoresPath(const std::string& set, const std::string& suffix) {
  return SharedPath("oracle/pyod_scores/" + set + suffix);
}

double Spearman(std::span<const double> a, std::span<const double> b) {
  REQUIRE(a.size() == b.size());
  const std::vector<double> x = Ranks(a), y = Ranks(b);
  const double mean = static_cast<double>(x.size() - 1) / 2;
  double xy = 0, xx = 0, yy = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    xy += (x[i] - mean) * (y[i] - mean);
    xx += (x[i] - mean) * (x[i] - mean);
    yy += (y[i] - mean) * (y[i] - mean);
  }
  return xx > 0 && yy > 0 ? xy / std::sqrt(xx * yy) : 0;
}

std::unique_ptr<Detector> Fitted(const Case& c, const Matrix& X, uint64_t seed) {
  return FitOne(c.algorithm, c.params, X, seed, nullptr);
}

void CompareTrainingScores(std::span<const Case> cases) {
  if (!SharedDataPresent()) return;
  for (const std::string& set : ScoreSets()) {
    const Csv reference = ReadCsv(ScoresPath(set, ".csv"));
    const DataSet data = LoadSet(set);
    for (const Case& c : cases) {
      if (reference.Find(c.column) < 0 || c.left_out.count(set) != 0) continue;
      if (kSanitized && data.X.rows() > 2000) continue;
      INFO(set << " " << c.column);
      const auto detector = Fitted(c, Input(c, data.X));
      Compare(set, c, detector->training_scores(), reference.Numbers(c.column));
    }
  }
}

void CompareNewScores(std::span<const Case> cases) {
  if (!SharedDataPresent()) return;
  for (const std::string& set : ScoreSets()) {
    const Csv reference = ReadCsv(ScoresPath(set, ".newpoints.csv"));
    const DataSet data = LoadSet(set);
    const auto split = static_cast<int64_t>(0.7 * static_cast<double>(data.X.rows()));
    for (const Case& c : cases) {
      if (c.new_column.empty() || reference.Find(c.new_column) < 0 || c.left_out.count(set) != 0) continue;
      if (kSanitized && data.X.rows() > 2000) continue;
      INFO(set << " new rows " << c.new_column);
      const Matrix X = Input(c, data.X);
      const auto detector = Fitted(c, CopyRows(X, 0, split));
      const Matrix rest = CopyRows(X, split, X.rows());
      std::vector<double> scores(static_cast<size_t>(rest.rows()));
      REQUIRE(detector->Score(rest, scores, Context{}).ok());
      Compare(set, c, scores, reference.Numbers(c.new_column));
    }
  }
}

void CompareQuality(const std::string& algorithm, const std::string& pyod, const QualityBounds& bounds) {
  if (!SharedDataPresent()) return;
  const bool random = !Find(algorithm).deterministic;
  const Csv benchmark = ReadCsv(SharedPath("oracle/pyod_benchmark.csv"));
  const auto cell = [&](const auto& row, const char* name) -> const std::string& {
    return row[static_cast<size_t>(benchmark.Find(name))];
  };
  ThreadPool pool(AvailableCpus());
  int compared = 0;
  double mean = 0, mean_expected = 0;
  for (const auto& row : benchmark.rows) {
    if (cell(row, "preprocess") != "raw" || cell(row, "detector") != pyod || cell(row, "roc_auc").empty()) continue;
    const std::string& name = cell(row, "dataset");
    const int64_t n = std::stoll(cell(row, "n"));
    if ((kSanitized && n >= 2000) || (bounds.most_rows > 0 && n > bounds.most_rows)) continue;
    const DataSet set = LoadSet(name, n);
    INFO(algorithm << " on " << name);
    const int seeds = !random || kSanitized ? 1 : (n < 1000 ? 10 : (n < 4000 ? 4 : 1));
    double auc = 0;
    for (int seed = 0; seed < seeds; ++seed) {
      const auto detector = FitOne(algorithm, bounds.params, set.X, static_cast<uint64_t>(42 + seed), &pool);
      const auto one = outlier::RocAuc(detector->training_scores(), set.labels);
      REQUIRE(one.ok());
      auc += *one / seeds;
    }
    const double expected = std::stod(cell(row, "roc_auc"));
    const std::string& deviation = cell(row, "roc_auc_std");
    const double error = random && !deviation.empty() ? 2 * std::stod(deviation) / std::sqrt(2.0) : 0;
    const auto wider = bounds.sets.find(name);
    const double bound = wider != bounds.sets.end() ? wider->second : (random ? bounds.random + error : bounds.deterministic);
    INFO("ROC AUC " << auc << ", PyOD " << expected << " with standard error " << error / 2);
    if (!bounds.mean_only) CHECK((bounds.or_better ? expected - auc : std::fabs(auc - expected)) <= bound);
    mean += auc;
    mean_expected += expected;
    ++compared;
  }
  INFO(algorithm << ": mean ROC AUC over " << compared << " sets " << mean / compared << ", PyOD " << mean_expected / compared);
  if (bounds.mean_only) CHECK(mean >= mean_expected - bounds.random * compared);
  CHECK(compared >= (kSanitized ? std::min(8, bounds.least_sets / 2) : bounds.least_sets));
}

void CompareRanks(const std::string& algorithm, const std::string& pyod, double slack,
                  const std::map<std::string, std::string>& params) {
  if (!SharedDataPresent()) return;
  ThreadPool pool(AvailableCpus());
  for (const std::string& set : ScoreSets()) {
    const Csv reference = ReadCsv(ScoresPath(set, ".stochastic.csv"));
    if (reference.Find(pyod + "_s42") < 0) continue;
    const DataSet data = LoadSet(set);
    if (kSanitized && data.X.rows() > 2000) continue;
    std::vector<std::vector<double>> theirs, ours;
    for (const uint64_t seed : {42, 43, 44}) {
      theirs.push_back(reference.Numbers(pyod + "_s" + std::to_string(seed)));
      const auto detector = FitOne(algorithm, params, data.X, seed, &pool);
      ours.emplace_back(detector->training_scores().begin(), detector->training_scores().end());
    }
    double among = 0, between = 0;
    for (size_t a = 0; a < 3; ++a) {
      among += Spearman(theirs[a], theirs[(a + 1) % 3]) / 3;
      for (size_t b = 0; b < 3; ++b) between += Spearman(ours[a], theirs[b]) / 9;
    }
    INFO(algorithm << " on " << set << ": " << between << " with PyOD, " << among << " among PyOD's seeds");
    CHECK(between >= among - slack);
  }
}

}  // namespace vedette::oracle
