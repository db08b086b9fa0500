#include "outlier/committee.h"

#include <algorithm>
#include <cmath>
#include <mutex>

#include "base/status.h"
#include "outlier/cost.h"
#include "outlier/parallel.h"
#include "outlier/registry.h"
#include "outlier/state.h"

namespace vedette::outlier {
namespace {

constexpr int64_t kMostMembers = 1000;
constexpr size_t kMostInText = 50;

std::vector<std::string> Split(const std::string& text, char at) {
  std::vector<std::string> out(1);
  for (const char c : text) {
    if (c == at) out.emplace_back();
    else out.back() += c;
  }
  return out;
}

/// Of each member, the first that will be like it in every bit.
std::vector<size_t> FirstLike(const std::vector<MemberSpec>& specs) {
  std::vector<size_t> first(specs.size());
  for (size_t m = 0; m < specs.size(); ++m) {
    const bool repeats = std::any_of(AllAlgorithms().begin(), AllAlgorithms().end(), [&](const Descriptor* descriptor) {
      return descriptor->name == specs[m].algorithm && descriptor->deterministic;
    });
    first[m] = repeats ? static_cast<size_t>(std::find(specs.begin(), specs.end(), specs[m]) - specs.begin()) : m;
  }
  return first;
}

}  // namespace

absl::StatusOr<std::vector<MemberSpec>> ParseMembers(const std::string& text, std::string_view owner) {
  std::vector<MemberSpec> specs;
  for (const std::string& one : Split(text, '+')) {
    const std::vector<std::string> parts = Split(one, ':');
    MemberSpec spec{.algorithm = parts[0]};
    if (spec.algorithm == owner) return InvalidArgument("{}: a member cannot be of the same algorithm", owner);
    for (size_t p = 1; p < parts.size(); ++p) {
      const size_t equals = parts[p].find('=');
      if (equals == std::string::npos) return InvalidArgument("{}: '{}' of member {} is not like name=value", owner, parts[p], parts[0]);
      const std::string name = parts[p].substr(0, equals), value = parts[p].substr(equals + 1);
      if (name != "scale") {
        spec.params[name] = value;
      } else if (value == "standard" || value == "none") {
        spec.standardised = value == "standard";
      } else {
        return InvalidArgument("{}: scale of member {} must be none or standard", owner, parts[0]);
      }
    }
    auto member = MakeMember(spec.algorithm, spec.params);
    if (!member.ok()) return InvalidArgument("{}: {}", owner, Message(member.status()));
    specs.push_back(std::move(spec));
  }
  if (specs.size() > kMostInText) return InvalidArgument("{}: {} members are more than {}", owner, specs.size(), kMostInText);
  return specs;
}

Cost MembersCost(const absl::StatusOr<std::vector<MemberSpec>>& specs, int64_t n, int64_t d) {
  Cost sum{kFitFloor, kRowFloor, kBytesFloor, kBytesFloor};
  if (!specs.ok()) return sum;
  for (const MemberSpec& spec : *specs) {
    for (const Descriptor* member : AllAlgorithms()) {
      if (member->name != spec.algorithm) continue;
      const auto params = ParamSet::Make(member->params, spec.params);
      if (!params.ok()) continue;
      const Cost one = member->cost(*params, n, d);
      sum = {sum.fit_seconds + one.fit_seconds, sum.score_seconds_per_row + one.score_seconds_per_row + 1e-8 * std::log2(static_cast<double>(n) + 2),
             sum.fit_bytes + one.fit_bytes + 8 * static_cast<double>(n), sum.model_bytes + one.model_bytes + 8 * static_cast<double>(n)};
    }
  }
  return sum;
}

absl::StatusOr<Matrix> Committee::Input(const Member& member, MatrixView X, const Context& ctx) const {
  const std::vector<int32_t>& columns = member.spec.columns;
  const bool scaled = member.spec.standardised && member.scaling.size() > 0;
  const int64_t width = columns.empty() ? X.cols : static_cast<int64_t>(columns.size());
  Matrix out = Matrix::ForOverwrite(X.rows, width);
  RETURN_IF_ERROR(ParallelBlocks(ctx, X.rows, RowsPerLook(2 * width), [&](int64_t begin, int64_t end) {
    for (int64_t c = 0; c < width; ++c) {
      const double* const from = X.col(columns.empty() ? c : columns[static_cast<size_t>(c)]).data();
      double* const to = out.col(c).data();
      std::copy(from + begin, from + end, to + begin);
      for (int64_t i = begin; i < end && scaled; ++i) to[i] = member.scaling.Z(c, to[i]);
    }
  }));
  return out;
}

absl::Status Committee::FitMember(Member& member, MatrixView X, const Context& ctx) const {
  Matrix own;
  MatrixView input = X;
  if (!SeesAll(member)) {
    ASSIGN_OR_RETURN(own, Input(member, X, ctx));
    if (member.spec.standardised) {
      RETURN_IF_ERROR(member.scaling.FitMeanAndDeviation(own, ctx));
      ASSIGN_OR_RETURN(own, Input(member, X, ctx));
    }
    input = own;
  }
  ASSIGN_OR_RETURN(std::unique_ptr<Detector> detector, MakeMember(member.spec.algorithm, member.spec.params));
  RETURN_IF_ERROR(detector->Fit(input, ctx));
  member.detector = std::move(detector);
  std::vector<double> scores(member.detector->training_scores().begin(), member.detector->training_scores().end());
  double most = 0;
  for (const double s : scores) most = std::max(most, std::fabs(s));
  const double unit = UnitFor(most);
  const Moments moments = MomentsOf(scores, unit);
  const double deviation = std::sqrt(moments.variance) / unit;
  member.mean = moments.mean / unit;
  member.inverse = deviation > 1e-300 && std::isfinite(deviation) ? 1 / deviation : 0;
  return absl::OkStatus();
}

absl::Status Committee::Fit(std::vector<MemberSpec> specs, MatrixView X, const Context& ctx) {
  features_ = X.cols;
  members_.clear();
  const std::vector<size_t> first = FirstLike(specs);
  for (MemberSpec& spec : specs) members_.push_back(Member{.spec = std::move(spec)});
  std::vector<size_t> order;
  std::vector<double> seconds;
  for (const Member& member : members_) {
    const int64_t width = member.spec.columns.empty() ? X.cols : static_cast<int64_t>(member.spec.columns.size());
    seconds.push_back(MembersCost(std::vector<MemberSpec>{member.spec}, X.rows, width).fit_seconds);
  }
  for (size_t m = 0; m < first.size(); ++m) {
    if (first[m] == m) order.push_back(m);
  }
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return seconds[a] > seconds[b]; });
  std::vector<absl::Status> fitted(members_.size());
  std::mutex mutex;
  size_t done = 0;
  RETURN_IF_ERROR(ParallelBlocks(ctx, static_cast<int64_t>(order.size()), 1, [&](int64_t begin, int64_t end) {
    for (int64_t at = begin; at < end; ++at) {
      const size_t m = order[static_cast<size_t>(at)];
      Context own = ctx;
      own.seed = ctx.seed + 0x9E3779B97F4A7C15 * m;
      own.progress = nullptr;
      fitted[m] = FitMember(members_[m], X, own);
      const std::lock_guard lock(mutex);
      if (ctx.progress) ctx.progress(static_cast<double>(++done) / static_cast<double>(order.size()));
    }
  }));
  for (size_t m = 0; m < members_.size(); ++m) {
    if (!fitted[m].ok()) return Annotate(fitted[m], members_[m].spec.algorithm);
    if (first[m] == m) continue;
    members_[m] = members_[first[m]];
  }
  return absl::OkStatus();
}

size_t Committee::First(size_t member) const {
  size_t at = 0;
  while (members_[at].detector != members_[member].detector) ++at;
  return at;
}

void Committee::Keep(std::span<const size_t> members) {
  std::vector<Member> kept;
  for (const size_t m : members) kept.push_back(std::move(members_[m]));
  members_ = std::move(kept);
}

absl::Status Committee::ScoreMember(const Member& member, MatrixView X, std::span<double> scores,
                                    const Context& ctx) const {
  if (SeesAll(member)) return member.detector->Score(X, scores, ctx);
  const int64_t together = std::max<int64_t>(16384, RowsPerLook(X.cols));  // rows: what a member sees of them is a copy
  for (int64_t at = 0; at < X.rows; at += together) {
    const MatrixView some = X.Rows(at, std::min(together, X.rows - at));
    ASSIGN_OR_RETURN(const Matrix own, Input(member, some, ctx));
    const auto part = scores.subspan(static_cast<size_t>(at), static_cast<size_t>(some.rows));
    RETURN_IF_ERROR(member.detector->Score(own, part, ctx));
  }
  return absl::OkStatus();
}

absl::StatusOr<Matrix> Committee::Score(MatrixView X, const Context& ctx) const {
  RETURN_IF_ERROR(ctx.Check());
  Matrix out = Matrix::ForOverwrite(X.rows, static_cast<int64_t>(members_.size()));
  for (size_t m = 0; m < members_.size(); ++m) {
    const Member& member = members_[m];
    if (const size_t first = First(m); first != m) {
      std::ranges::copy(out.col(static_cast<int64_t>(first)), out.col(static_cast<int64_t>(m)).begin());
      continue;
    }
    RETURN_IF_ERROR(ScoreMember(member, X, out.col(static_cast<int64_t>(m)), ctx));
  }
  return out;
}

absl::StatusOr<Attribution> Committee::Explain(size_t index, MatrixView X, const Context& ctx) const {
  const Member& member = members_[index];
  Matrix own;
  if (!SeesAll(member)) {
    ASSIGN_OR_RETURN(own, Input(member, X, ctx));
  }
  const MatrixView input = SeesAll(member) ? X : own.view();
  ASSIGN_OR_RETURN(Attribution part, member.detector->Explain(input, ctx));
  if (SeesAll(member)) return part;
  Attribution out{Matrix(X.rows, X.cols), Matrix(X.rows, X.cols), part.space};
  out.scores = std::move(part.scores);
  for (int64_t j = 0; j < X.cols; ++j) {
    for (int64_t i = 0; i < X.rows; ++i) out.expected(i, j) = X(i, j);
  }
  for (int64_t c = 0; c < part.contributions.cols(); ++c) {
    const int64_t j = member.spec.columns.empty() ? c : member.spec.columns[static_cast<size_t>(c)];
    for (int64_t i = 0; i < X.rows; ++i) {
      out.contributions(i, j) = part.contributions(i, c);
      const double expected = part.Expected(i, c);
      out.expected(i, j) = member.spec.standardised ? member.scaling.Unscaled(c, expected) : expected;
    }
  }
  return out;
}

absl::Status Committee::ExplainAll(MatrixView X, const Context& ctx,
                                   absl::FunctionRef<absl::Status(const Parts&)> visit) const {
  constexpr int64_t kMostCells = int64_t{1} << 20;  // of all members' parts that are held at a time
  const int64_t together =
      std::clamp<int64_t>(kMostCells / (static_cast<int64_t>(size()) * X.cols), 16, 4096);
  for (int64_t at = 0; at < X.rows; at += together) {
    const MatrixView some = X.Rows(at, std::min(together, X.rows - at));
    Parts parts{at, Matrix::ForOverwrite(some.rows, static_cast<int64_t>(size())), {}};
    for (size_t m = 0; m < size(); ++m) {
      const std::span<double> scores = parts.raw.col(static_cast<int64_t>(m));
      if (const size_t first = First(m); first != m) {
        std::ranges::copy(parts.raw.col(static_cast<int64_t>(first)), scores.begin());
        parts.members.push_back(parts.members[first]);
        continue;
      }
      absl::StatusOr<Attribution> own = Explain(m, some, ctx);
      const bool none = own.status().code() == absl::StatusCode::kUnimplemented;
      if (!none) RETURN_IF_ERROR(own.status());
      if (none || own->scores.empty()) {
        RETURN_IF_ERROR(ScoreMember(members_[m], some, scores, ctx));
      } else {
        std::ranges::copy(own->scores, scores.begin());
      }
      parts.members.push_back(none ? nullptr : std::make_shared<const Attribution>(*std::move(own)));
    }
    RETURN_IF_ERROR(visit(parts));
  }
  return ctx.Check();
}

void Committee::AddShares(const Attribution& part, int64_t i, double weight, int64_t to, std::span<double> weights,
                          Attribution* out) {
  const int64_t d = part.contributions.cols();
  double most = 0, sum = 0;
  for (int64_t j = 0; j < d; ++j) most = std::max(most, std::fabs(part.contributions(i, j)));
  if (!(most > 0) || !(weight > 0)) return;
  for (int64_t j = 0; j < d; ++j) sum += std::fabs(part.contributions(i, j)) / most;
  const double share = weight / (weights[static_cast<size_t>(to)] += weight);
  for (int64_t j = 0; j < d; ++j) {
    out->contributions(to, j) += weight * (part.contributions(i, j) / most / sum);
    // A running mean: halves first, so that the largest doubles do not overflow.
    out->expected(to, j) += share * part.Expected(i, j) - share * out->expected(to, j);
  }
}

void Committee::Save(ByteWriter& out) const {
  out.I64(features_);
  out.I64(static_cast<int64_t>(members_.size()));
  for (size_t m = 0; m < members_.size(); ++m) {
    const Member& member = members_[m];
    out.String(member.spec.algorithm);
    out.I64(static_cast<int64_t>(member.spec.params.size()));
    for (const auto& [name, value] : member.spec.params) {
      out.String(name);
      out.String(value);
    }
    out.I32s(member.spec.columns);
    out.U8(member.spec.standardised ? 1 : 0);
    if (member.spec.standardised) member.scaling.Save(out);
    out.F64(member.mean);
    out.F64(member.inverse);
    ByteWriter state;  // empty: that of the first equal member
    if (First(m) == m) member.detector->Save(state);
    out.String(state.bytes());
  }
}

void Committee::Load(ByteReader& in) {
  // A hostile file could put committees into committees without end.
  static thread_local int depth = 0;
  if (depth >= 3) return in.Fail("committees within committees within committees");
  ++depth;
  LoadMembers(in);
  --depth;
}

void Committee::LoadMembers(ByteReader& in) {
  features_ = ReadInt(in, "the number of columns", 1, kMaxColumns);
  const int64_t count = ReadInt(in, "the number of members", 1, kMostMembers);
  members_.clear();
  for (int64_t m = 0; m < count && in.ok(); ++m) {
    Member member;
    member.spec.algorithm = in.String();
    const int64_t params = ReadInt(in, "the number of parameters", 0, 100);
    for (int64_t p = 0; p < params && in.ok(); ++p) {
      std::string name = in.String();
      member.spec.params[std::move(name)] = in.String();
    }
    member.spec.columns = in.I32s();
    const auto width = static_cast<int64_t>(member.spec.columns.empty() ? features_ : static_cast<int64_t>(member.spec.columns.size()));
    for (const int32_t column : member.spec.columns) {
      if (column < 0 || column >= features_) return in.Fail("a member sees a column that is not there");
    }
    member.spec.standardised = in.U8() == 1;
    if (member.spec.standardised && in.ok()) member.scaling.Load(in, width);
    member.mean = ReadFinite(in, "a member's mean");
    member.inverse = ReadFinite(in, "a member's deviation");
    const std::string state = in.String();
    if (!in.ok()) return;
    if (state.empty()) {
      const auto equal = std::ranges::find(members_, member.spec, &Member::spec);
      if (equal == members_.end()) return in.Fail("a member has no state, nor is there another like it");
      member.detector = equal->detector;
      members_.push_back(std::move(member));
      continue;
    }
    auto detector = MakeMember(member.spec.algorithm, member.spec.params);
    if (!detector.ok()) return in.Fail("a member is of no known algorithm, or has wrong parameters");
    ByteReader inner(state);
    if (const absl::Status loaded = (*detector)->Load(inner); !loaded.ok() || !inner.Finish().ok() || (*detector)->features() != width) {
      return in.Fail("a member's state is damaged");
    }
    member.detector = *std::move(detector);
    members_.push_back(std::move(member));
  }
}

}  // namespace vedette::outlier
