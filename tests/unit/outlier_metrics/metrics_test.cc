#include "outlier/metrics.h"

#include <catch2/catch.hpp>
#include <filesystem>
#include <limits>
#include <vector>

#include "base/status.h"
#include "table/csv.h"

namespace vedette::outlier {
namespace {

using Labels = std::vector<uint8_t>;
using Scores = std::vector<double>;

}  // namespace

TEST_CASE("metrics of a small ranking, by hand") {
  const Scores scores = {0.1, 0.4, 0.35, 0.8};
  const Labels labels = {0, 0, 1, 1};
  // Pairs (anomaly, normal): 0.35 beats 0.1, loses to 0.4; 0.8 beats both.
  CHECK(RocAuc(scores, labels).value() == Approx(3.0 / 4));
  // Hits at ranks 1 and 3: (1/1 + 2/3) / 2.
  CHECK(AveragePrecision(scores, labels).value() == Approx((1 + 2.0 / 3) / 2));
  // Median 0.375: 0.4 and 0.8 are above, one of them an anomaly.
  CHECK(PrecisionAtN(scores, labels).value() == Approx(0.5));
}

TEST_CASE("ties count one half in the ROC area, and share one threshold in the average precision") {
  const Scores scores = {1, 1, 0, 1};
  const Labels labels = {1, 0, 0, 0};
  CHECK(RocAuc(scores, labels).value() == Approx((0.5 + 0.5 + 1) / 3));
  CHECK(AveragePrecision(scores, labels).value() == Approx(1.0 / 3));
  CHECK(PrecisionAtN(scores, labels).value() == 0);  // the quantile is 1, and nothing is above it
  const Scores equal(4, 7.0);
  CHECK(RocAuc(equal, labels).value() == Approx(0.5));
  CHECK(AveragePrecision(equal, labels).value() == Approx(0.25));
}

TEST_CASE("perfect and reversed rankings") {
  const Scores scores = {5, 4, 3, 2, 1};
  const Labels labels = {1, 1, 0, 0, 0};
  const auto perfect = Evaluate(scores, labels).value();
  CHECK(perfect.roc_auc == 1);
  CHECK(perfect.average_precision == 1);
  CHECK(perfect.precision_at_n == 1);
  const Labels reversed = {0, 0, 0, 1, 1};
  CHECK(RocAuc(scores, reversed).value() == 0);
  CHECK(AveragePrecision(scores, reversed).value() == Approx((1.0 / 4 + 2.0 / 5) / 2));
}

TEST_CASE("what cannot be measured is an error") {
  const Scores scores = {1, 2};
  CHECK(absl::IsInvalidArgument(RocAuc(scores, Labels{0, 0}).status()));
  CHECK(absl::IsInvalidArgument(RocAuc(scores, Labels{1, 1}).status()));
  CHECK(absl::IsInvalidArgument(RocAuc(scores, Labels{1}).status()));
  CHECK(absl::IsInvalidArgument(RocAuc(Scores{1, std::numeric_limits<double>::quiet_NaN()}, Labels{0, 1}).status()));
  CHECK(absl::IsInvalidArgument(Evaluate({}, {}).status()));
}

TEST_CASE("PyOD's own scores give PyOD's own figures") {
  const std::string shared = VEDETTE_SOURCE_DIR "/../shared";
  if (!std::filesystem::exists(shared + "/oracle/pyod_benchmark.csv")) {
    WARN("SKIPPED: no " << shared << "/oracle: the comparison with PyOD's figures did not run");
    return;
  }
  const auto figures = table::ReadCsvFile(shared + "/oracle/pyod_benchmark.csv");
  REQUIRE(figures.ok());
  const auto column = [](const table::Table& t, std::string_view name) -> const table::Column& {
    const int64_t at = t.Find(name);
    REQUIRE(at >= 0);
    return t.columns[static_cast<size_t>(at)];
  };
  // The scores were written with 12 digits, which makes a tie of what was none: hence not closer than 2e-5.
  int compared = 0;
  for (const std::string set : {"wine", "glass", "vertebral", "WBC", "cardio", "thyroid"}) {
    const auto scores = table::ReadCsvFile(shared + "/oracle/pyod_scores/" + set + ".csv");
    const auto data = table::ReadCsvFile(shared + "/data/tabular/" + set + ".csv");
    REQUIRE(scores.ok());
    REQUIRE(data.ok());
    const auto& truth = column(data->table, "label").values;
    const Labels labels(truth.begin(), truth.end());
    for (int64_t row = 0; row < figures->table.rows(); ++row) {
      const auto& t = figures->table;
      const std::string detector = column(t, "detector").Text(row);
      if (column(t, "dataset").Text(row) != set || column(t, "preprocess").Text(row) != "raw") continue;
      if (detector != "ECOD" && detector != "COPOD" && detector != "HBOS" && detector != "KNN" && detector != "LOF")
        continue;
      INFO(set << " " << detector);
      const auto metrics = Evaluate(column(scores->table, detector).values, labels);
      REQUIRE(metrics.ok());
      CHECK(metrics->roc_auc == Approx(column(t, "roc_auc").values[static_cast<size_t>(row)]).margin(2e-5));
      CHECK(metrics->average_precision ==
            Approx(column(t, "average_precision").values[static_cast<size_t>(row)]).margin(2e-5));
      CHECK(metrics->precision_at_n ==
            Approx(column(t, "precision_at_n").values[static_cast<size_t>(row)]).margin(2e-5));
      ++compared;
    }
  }
  CHECK(compared == 30);
}

}  // namespace vedette::outlier
