// Kernels that have a form for AVX-512 give the same bits in every form (see also dense_search_test.cc,
// forest_test.cc).
#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <limits>
#include <vector>

#include "base/rng.h"
#include "outlier/kernels/ball_cover.h"
#include "outlier/kernels/gaussian_sums.h"
#include "outlier/kernels/histogram_cuts.h"
#include "outlier/kernels/kmeans_kernels.h"
#include "outlier/kernels/processor.h"

namespace vedette::outlier {
namespace {

template <typename T>
std::vector<T> Normal(size_t count, uint64_t seed) {
  Rng rng(seed);
  std::vector<T> out(count);
  for (T& v : out) v = static_cast<T>(rng.Normal());
  return out;
}

}  // namespace

TEST_CASE("sums of Gaussian kernels: the same bits in every form") {
  if (!HasAvx512()) return;
  for (const size_t d : {1, 4, 21}) {
    for (const size_t n : {3, 33, 130}) {
      const RowBlocks blocks(Normal<double>(n * d, 1), n, d);
      std::vector<double> weights = Normal<double>(blocks.padded(), 2);
      const std::vector<double> x = Normal<double>(7 * d, 3);
      const double* queries[7];
      for (size_t q = 0; q < 7; ++q) queries[q] = x.data() + q * d;
      const std::vector<double> shift(7, 1e-3);
      for (const double* const w : {static_cast<const double*>(nullptr), static_cast<const double*>(weights.data())}) {
        GaussianSum portable[7], fast[7];
        GaussianSumsPortable(blocks, w, 0.3, queries, shift.data(), 7, portable);
        GaussianSumsAvx512(blocks, w, 0.3, queries, shift.data(), 7, fast);
        for (size_t q = 0; q < 7; ++q) {
          CHECK(portable[q].sum == fast[q].sum);
          CHECK(portable[q].nearest == fast[q].nearest);
        }
      }
    }
  }
}

TEST_CASE("k-means: candidates and nearest centers have the same bits in every form") {
  if (!HasAvx512()) return;
  for (const size_t d : {1, 5, 30}) {
    for (const size_t blocks : {1, 2, 7}) {
      const std::vector<double> rows = Normal<double>(blocks * 8 * d, 1), x = Normal<double>(4 * d, 2);
      std::vector<double> nearest = Normal<double>(blocks * 8, 3);
      for (double& v : nearest) v = v * v * static_cast<double>(d);
      std::vector<double> trial[2];
      CandidateBlocks made[2];
      for (int form = 0; form < 2; ++form) {
        trial[form].assign(blocks * 32, -1);
        made[form] = {.values = rows.data(), .features = d, .blocks = blocks, .nearest = nearest.data()};
        for (size_t q = 0; q < 4; ++q) {
          made[form].candidates[q] = x.data() + q * d;
          made[form].trial[q] = trial[form].data() + q * blocks * 8;
        }
      }
      TryCandidatesPortable(made[0]);
      TryCandidatesAvx512(made[1]);
      CHECK(trial[0] == trial[1]);
      for (size_t q = 0; q < 4; ++q) CHECK(std::equal(made[0].sums[q], made[0].sums[q] + 8, made[1].sums[q]));
    }
    for (const size_t groups : {1, 3}) {
      const std::vector<float> rows = Normal<float>(16 * d, 4), centers = Normal<float>(groups * 8 * d, 5);
      const std::vector<float> norms = Normal<float>(groups * 8, 6), doubt = Normal<float>(groups * 8, 7);
      const CenterTile tile{rows.data(), centers.data(), norms.data(), doubt.data(), d, groups};
      CenterFound portable, fast;
      NearestCentersPortable(tile, portable);
      NearestCentersAvx512(tile, fast);
      const auto same = [](const float* a, const float* b) { return std::equal(a, a + CenterTile::kRows, b); };
      CHECK(same(portable.first, fast.first));
      CHECK(same(portable.second, fast.second));
      CHECK(same(portable.doubt, fast.doubt));
      CHECK(same(portable.center, fast.center));
    }
  }
}

TEST_CASE("nearest centers in double: the same bits in every form and number of rows") {
  for (const size_t d : {1, 5, 30}) {
    for (const size_t count : {1, 7, 8, 13, 20}) {
      std::vector<double> centers = Normal<double>((count + 7) / 8 * 8 * d, 1), rows = Normal<double>(16 * d, 2);
      for (size_t j = 0; j < d; ++j) rows[j * 16 + 3] = centers[j * 8];  // a row that is a center
      double squared[3][16], nearest[3][16];
      const ExactTile tile{.rows = rows.data(), .lanes = 16, .centers = centers.data(), .features = d, .count = count};
      const auto form = [&](ExactTile own, int at) {
        own.squared = squared[at];
        own.nearest = nearest[at];
        return own;
      };
      ExactCentersPortable(form(tile, 0));
      if (HasAvx512()) {
        ExactCentersAvx512(form(tile, 1));
        CHECK(std::equal(squared[0], squared[0] + 16, squared[1]));
        CHECK(std::equal(nearest[0], nearest[0] + 16, nearest[1]));
      }
      std::vector<double> few(4 * d);  // rows 2 to 5
      for (size_t j = 0; j < d; ++j) std::copy_n(rows.data() + j * 16 + 2, 4, few.data() + j * 4);
      ExactTile narrow = tile;
      narrow.rows = few.data();
      narrow.lanes = 4;
      ExactCentersPortable(form(narrow, 2));
      CHECK(std::equal(squared[2], squared[2] + 4, squared[0] + 2));
      CHECK(std::equal(nearest[2], nearest[2] + 4, nearest[0] + 2));
    }
  }
}

TEST_CASE("bins of projections are those of a division, at their very edges, too") {
  const HistogramKernel kernel = HistogramKernelAvx512();
  if (kernel.tile == nullptr) return;
  for (const int64_t bins : {2, 7, 10, 15}) {
    for (const double width : {0.1, 1.0 / 3, 0.0, 1e-320, 1e90}) {
      // On edges, beside them, within and beyond.
      const double low = -width * 2, divisor = width > 0 ? width : std::numeric_limits<double>::infinity();
      std::vector<double> values;
      for (int64_t b = 0; b <= bins; ++b) {
        const double edge = low + static_cast<double>(b) * width;
        for (const double v : {edge, std::nextafter(edge, -1e300), std::nextafter(edge, 1e300), edge + width / 3})
          values.push_back(v);
      }
      const std::vector<double> inside = [&] {
        std::vector<double> out;
        for (const double v : values) out.push_back(std::max(v, low));
        return out;
      }();
      std::vector<int64_t> expected(static_cast<size_t>(bins), 0), counts = expected;
      for (const double v : inside) {
        const double at = (v - low) / divisor, last = static_cast<double>(bins - 1);
        ++expected[static_cast<size_t>(at < last ? at : last)];
      }
      kernel.count(inside.data(), inside.size(), low, divisor, bins, counts.data());
      CHECK(counts == expected);

      const int32_t begin[] = {0, 1}, column[] = {0};
      const double weight[] = {1};
      const std::vector<double> worth = Normal<double>(static_cast<size_t>(bins) + 1, 9);
      const HistogramCuts cuts{.begin = begin,
                               .column = column,
                               .weight = weight,
                               .low = &low,
                               .width = &width,
                               .divisor = &divisor,
                               .worth = worth.data(),
                               .cuts = 1,
                               .bins = bins};
      while (values.size() % HistogramCuts::kRows != 0) values.push_back(low + 1000 * width);
      size_t wrong = 0;
      for (size_t i = 0; i < values.size(); i += HistogramCuts::kRows) {
        double sums[HistogramCuts::kRows];
        kernel.tile(cuts, values.data() + i, sums);
        for (size_t r = 0; r < HistogramCuts::kRows; ++r) {
          const double offset = values[i + r] - low, most = width * (static_cast<double>(bins) + 1e-9);
          const double at = std::clamp(offset / divisor, 0.0, static_cast<double>(bins - 1));
          const bool within = -1e-9 * width <= offset && offset <= most;
          wrong += sums[r] != worth[within ? static_cast<size_t>(at) : static_cast<size_t>(bins)] ? 1 : 0;
        }
      }
      CHECK(wrong == 0);
    }
  }
}

TEST_CASE("balls that cover a row: their worth and parts by the definition, the same bits in every form") {
  for (const int64_t d : {1, 5, 24}) {
    for (const int64_t size : {1, 2, 8, 19}) {
      const int64_t sets = 7, rows = 9;
      const auto all = static_cast<size_t>(sets * size);
      Balls drawn{sets, size, d, Normal<double>(all * static_cast<size_t>(d), 1), Normal<double>(all, 2),
                  Normal<double>(all, 3)};
      for (double& r : drawn.radius) r = r * r * static_cast<double>(d);
      const BallSets balls(drawn, 5);
      CHECK((balls.Plain().centers == drawn.centers && balls.Plain().radius == drawn.radius &&
             balls.Plain().worth == drawn.worth));
      const auto stride = static_cast<size_t>(balls.stride()), cells = static_cast<size_t>(rows) * stride;
      std::vector<double> X(cells, 0);
      for (size_t i = 0; i < cells; ++i) X[i] = i % stride < static_cast<size_t>(d) ? 0.1 * static_cast<double>(i % 17) - 0.7 : 0;
      std::copy_n(drawn.centers.data(), d, X.data());  // at a center
      std::vector<double> scores(rows), parts(cells), expected(cells), also(rows);
      BallsPortable().score(balls, X.data(), rows, scores.data());
      BallsPortable().explain(balls, X.data(), rows, parts.data(), expected.data(), also.data());
      CHECK(also == scores);
      for (int64_t i = 0; i < rows; ++i) {
        const double* const row = X.data() + static_cast<size_t>(i) * stride;
        std::vector<double> wanted(stride, 0), middle(stride, 0), p(stride), e(stride);
        double score = 0, alone;
        for (int64_t t = 0; t < sets; ++t) {
          double worth = 5, least = std::numeric_limits<double>::infinity();
          const double* nearest = nullptr;
          for (int64_t b = t * size; b < (t + 1) * size; ++b) {
            const double* const center = drawn.centers.data() + b * d;
            double squared = 0;
            for (int64_t j = 0; j < d; ++j) squared = std::fma(row[j] - center[j], row[j] - center[j], squared);
            if (squared <= drawn.radius[b]) worth = drawn.worth[b];
            if (squared < least) least = squared, nearest = center;
          }
          score += worth / sets;
          for (int64_t j = 0; j < d; ++j) {
            const double gap = row[j] - nearest[j];
            wanted[j] += worth / sets * (least > 0 ? gap * gap / least : 1.0 / static_cast<double>(d));
            middle[j] += nearest[j] / sets;
          }
        }
        CHECK(scores[i] == Approx(score).margin(1e-12));
        for (int64_t j = 0; j < d; ++j) {
          CHECK(parts[static_cast<size_t>(i) * stride + j] == Approx(wanted[j]).margin(1e-12));
          CHECK(expected[static_cast<size_t>(i) * stride + j] == Approx(middle[j]).margin(1e-12));
        }
        BallsPortable().explain(balls, row, 1, p.data(), e.data(), &alone);
        CHECK(alone == scores[i]);
        CHECK(std::equal(p.begin(), p.begin() + d, parts.data() + static_cast<size_t>(i) * stride));
        CHECK(std::equal(e.begin(), e.begin() + d, expected.data() + static_cast<size_t>(i) * stride));
      }
      if (!HasAvx512() || BallsAvx512().score == nullptr) continue;
      std::vector<double> wide(rows), wide_parts(cells), wide_expected(cells);
      BallsAvx512().score(balls, X.data(), rows, wide.data());
      CHECK(wide == scores);
      BallsAvx512().explain(balls, X.data(), rows, wide_parts.data(), wide_expected.data(), wide.data());
      CHECK(wide == scores);
      for (size_t c = 0; c < cells; ++c) {
        if (c % stride < static_cast<size_t>(d)) CHECK((wide_parts[c] == parts[c] && wide_expected[c] == expected[c]));
      }
    }
  }
}

}  // namespace vedette::outlier
