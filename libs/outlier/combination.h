// Ways to make one score of several detectors' scores (Aggarwal, Sathe 2015; Zhao, Hryniewicki 2018). All work on one row at a
// time: what they need of the training rows was put into the scores before (z-scores or ranks among the training scores).
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace vedette::outlier {

double Average(std::span<const double> scores);
double Maximum(std::span<const double> scores);
double Median(std::span<const double> scores);
/// Sum of weight * score over the sum of the weights (all >= 0, some > 0).
double Weighted(std::span<const double> scores, std::span<const double> weights);
/// Average of maximum: detectors in `buckets` groups (bucket[i] < buckets, none empty), the mean of the groups' largest.
double AverageOfMaximum(std::span<const double> scores, std::span<const int32_t> bucket, int64_t buckets);
/// The means of the groups.
std::vector<double> GroupMeans(std::span<const double> scores, std::span<const int32_t> bucket, int64_t buckets);
/// Maximum of average: the largest of the groups' means.
double MaximumOfAverage(std::span<const double> scores, std::span<const int32_t> bucket, int64_t buckets);
/// Share of the detectors whose score is above its threshold.
double MajorityVote(std::span<const double> scores, std::span<const double> thresholds);
/// Mean of rank^power; ranks in [0, 1]. A power of 4 stresses the upper end: a row needs only some detectors that are sure.
double UpperRank(std::span<const double> ranks, double power = 4);

/// The share of `sorted` (ascending) below `score`, ties by half: the rank of a score among the training scores, [0, 1].
double RankAmong(double score, std::span<const double> sorted);

}  // namespace vedette::outlier
