// Detectors that work together: each on its own columns and its own scaling of them, its scores standardised by those of the
// training rows. What feature_bagging, suod, lscp and ensemble are made of.
#pragma once

#include <absl/functional/function_ref.h>
#include <absl/status/statusor.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/context.h"
#include "base/matrix.h"
#include "outlier/columns.h"
#include "outlier/detector.h"

namespace vedette::outlier {

/// What a member is to be: an algorithm of this library, its parameters, the columns that it sees.
struct MemberSpec {
  std::string algorithm;
  std::map<std::string, std::string> params = {};
  std::vector<int32_t> columns = {};  ///< empty: all
  bool standardised = false;          ///< its columns are standardised by the training rows
  bool operator==(const MemberSpec&) const = default;
};

/// NAME[:parameter=value...]+NAME..., where scale=standard standardises the columns for that member alone. `owner` is named
/// in messages. Errors: INVALID_ARGUMENT.
absl::StatusOr<std::vector<MemberSpec>> ParseMembers(const std::string& text, std::string_view owner);
/// The sum of the members' costs; of the floors when `specs` are wrong.
Cost MembersCost(const absl::StatusOr<std::vector<MemberSpec>>& specs, int64_t rows, int64_t features);

class Committee {
 public:
  /// Fits all members, each with a seed of its own; on a pool the dearest begin first, so that none is left to run alone at
  /// the end. Equal members of a deterministic algorithm (of few columns, many random sets are the same) are fitted, scored
  /// and saved once. Errors: NOT_FOUND and INVALID_ARGUMENT for a spec, the members' own
  /// (annotated with their names).
  absl::Status Fit(std::vector<MemberSpec> specs, MatrixView X, const Context& ctx);

  size_t size() const { return members_.size(); }
  int64_t features() const { return features_; }
  const std::string& algorithm(size_t member) const { return members_[member].spec.algorithm; }
  /// Until the first Forget: training scores of a member.
  std::span<const double> training_scores(size_t member) const { return members_[member].detector->training_scores(); }
  /// Leaves only these members, in this order; not empty. Their training scores stay.
  void Keep(std::span<const size_t> members);
  /// n x size(): raw scores.
  absl::StatusOr<Matrix> Score(MatrixView X, const Context& ctx) const;
  /// z-score of a member's raw score among its training scores.
  double Standardised(size_t member, double score) const {
    const double z = (score - members_[member].mean) * members_[member].inverse;
    return z > 1e100 ? 1e100 : (z < -1e100 ? -1e100 : z);
  }
  /// Contributions of one member to rows of X, in all columns. UNIMPLEMENTED when it has none.
  absl::StatusOr<Attribution> Explain(size_t member, MatrixView X, const Context& ctx) const;
  /// What all members say of some rows, from `first` on: Score of them, and for each member its contributions, null
  /// where it has none.
  struct Parts {
    int64_t first = 0;
    Matrix raw;
    std::vector<std::shared_ptr<const Attribution>> members;
  };
  /// visit(parts), block by block.
  absl::Status ExplainAll(MatrixView X, const Context& ctx,
                          absl::FunctionRef<absl::Status(const Parts& parts)> visit) const;

  /// Adds row i of a member's parts, as shares of 1 times `weight`, to row `to` of `out`, whose expected values are means
  /// by these weights; weights[to] is their sum so far. Nothing where the parts are all 0.
  static void AddShares(const Attribution& part, int64_t i, double weight, int64_t to, std::span<double> weights,
                        Attribution* out);

  void Save(ByteWriter& out) const;
  void Load(ByteReader& in);

 private:
  struct Member {
    MemberSpec spec;
    Standardizer scaling;
    std::shared_ptr<const Detector> detector;  ///< equal members have the same
    double mean = 0, inverse = 1;
  };
  /// The member's columns, scaled as it wants them.
  absl::StatusOr<Matrix> Input(const Member& member, MatrixView X, const Context& ctx) const;
  absl::Status ScoreMember(const Member& member, MatrixView X, std::span<double> scores, const Context& ctx) const;
  void LoadMembers(ByteReader& in);
  absl::Status FitMember(Member& member, MatrixView X, const Context& ctx) const;
  /// The first member with the same detector: `member` itself where there is none before it.
  size_t First(size_t member) const;
  bool SeesAll(const Member& member) const { return member.spec.columns.empty() && !member.spec.standardised; }

  int64_t features_ = 0;
  std::vector<Member> members_;
};

}  // namespace vedette::outlier
