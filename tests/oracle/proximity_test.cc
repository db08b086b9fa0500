// Neighbour algorithms against PyOD.
#include <catch2/catch.hpp>

#include "oracle/compare.h"

namespace vedette::oracle {
namespace {

/// Sets with equal distances (duplicates, small whole numbers): scikit-learn takes exactly k of the equally near rows, in the
/// order of its tree; ours take all that tie with the k-th, as the papers do. Only the order of scores can be compared.
const std::set<std::string> kTied = {"WBC", "thyroid", "cardio"};

const std::vector<Case> kCases = {
    {.column = "KNN", .algorithm = "knn", .new_column = "KNN"},
    {.column = "KNN_mean", .algorithm = "knn", .params = {{"method", "mean"}}, .new_column = "KNN_mean"},
    {.column = "KNN_median", .algorithm = "knn", .params = {{"method", "median"}}, .new_column = "KNN_median"},
    {.column = "KNN_k10_manhattan", .algorithm = "knn", .params = {{"n_neighbors", "10"}, {"metric", "manhattan"}},
     .new_column = "KNN_k10_manhattan"},
    {.column = "KNN_mean", .algorithm = "knn_mean", .new_column = "KNN_mean"},
    {.column = "KNN_median", .algorithm = "knn_median", .new_column = "KNN_median"},
    {.column = "COF", .algorithm = "cof", .by_rank = kTied, .least_rank_correlation = 0.9},
    {.column = "ROD", .algorithm = "rod", .tolerance = 1e-6, .by_rank = {"WBC", "cardio", "thyroid"}},
    {.column = "LOCI", .algorithm = "loci"},
    // Ties in the number of shared neighbours are as many as the rows; PyOD's sort leaves their order to chance.
    {.column = "SOD", .algorithm = "sod", .by_rank = {"wine", "glass", "vertebral", "WBC", "cardio", "thyroid"}, .least_rank_correlation = 0.8},
    {.column = "LOF", .algorithm = "lof", .new_column = "LOF", .by_rank = kTied},
    {.column = "LOF_k10_manhattan", .algorithm = "lof", .params = {{"n_neighbors", "10"}, {"metric", "manhattan"}},
     .new_column = "LOF_k10_manhattan", .by_rank = kTied},
};

}  // namespace

TEST_CASE("proximity: training scores equal PyOD's") { CompareTrainingScores(kCases); }
TEST_CASE("proximity: scores of new rows equal PyOD's, given one at a time") { CompareNewScores(kCases); }

TEST_CASE("ROC AUC on every set: knn") { CompareQuality("knn", "KNN"); }
// WBC and breastw hold small whole numbers: see kTied.
TEST_CASE("ROC AUC on every set: lof") { CompareQuality("lof", "LOF", {.sets = {{"WBC", 0.005}, {"breastw", 0.005}}}); }
TEST_CASE("ROC AUC on every set: cblof") { CompareQuality("cblof", "CBLOF", {.least_sets = 17, .most_rows = 12000}); }
TEST_CASE("the order of scores is PyOD's as far as PyOD's own seeds agree: cblof") { CompareRanks("cblof", "CBLOF", 0.04); }
TEST_CASE("ROC AUC on every set: cof") { CompareQuality("cof", "COF", {.least_sets = 10, .sets = {{"WBC", 0.02}, {"breastw", 0.1}, {"letter", 0.005}, {"mammography", 0.02}}}); }
TEST_CASE("ROC AUC on every set: sod") { CompareQuality("sod", "SOD", {.least_sets = 4, .deterministic = 0.06}); }
TEST_CASE("ROC AUC on every set: rod") { CompareQuality("rod", "ROD", {.least_sets = 4, .deterministic = 0.005}); }
TEST_CASE("ROC AUC on every set: loci") { CompareQuality("loci", "LOCI", {.least_sets = 4}); }

}  // namespace vedette::oracle
