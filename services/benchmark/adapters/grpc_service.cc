#include "services/benchmark/adapters/grpc_service.h"

#include <google/protobuf/util/time_util.h>

#include <algorithm>
#include <cctype>
#include <set>

#include "base/status.h"
#include "runtime/filter.h"
#include "runtime/paging.h"
#include "runtime/status.h"

namespace vedette::benchmark {
namespace {

using google::protobuf::util::TimeUtil;
using runtime::CallContext;
using GrpcContext = grpc::CallbackServerContext;

constexpr int kMaxMembers = 10000;

google::protobuf::Timestamp Stamp(absl::Time t) { return TimeUtil::MicrosecondsToTimestamp(absl::ToUnixMicros(t)); }
absl::Time FromStamp(const google::protobuf::Timestamp& t) { return absl::FromUnixMicros(TimeUtil::TimestampToMicroseconds(t)); }

void ToProto(const PeerGroup& g, v1::PeerGroup* out) {
  out->set_name("peerGroups/" + g.id);
  out->set_display_name(g.display_name);
  out->mutable_members()->Add(g.members.begin(), g.members.end());
  out->set_min_members(g.min_members);
  *out->mutable_create_time() = Stamp(g.create_time);
}

void ToProto(const Benchmark& b, v1::Benchmark* out) {
  out->set_entity(b.entity);
  out->set_metric(b.metric);
  *out->mutable_period_start() = Stamp(b.period_start);
  *out->mutable_period_end() = Stamp(b.period_end);
  out->set_value(b.value);
  out->set_peer_median(b.peer_median);
  out->set_peer_spread(b.peer_spread);
  out->set_robust_z(b.robust_z);
  out->set_percentile(b.percentile);
  out->set_peer_count(b.peer_count);
}

bool IsId(std::string_view id) {
  return !id.empty() && id.size() <= 63 && std::all_of(id.begin(), id.end(), [](unsigned char c) {
    return std::islower(c) != 0 || std::isdigit(c) != 0 || c == '-';
  });
}

absl::StatusOr<std::string> GroupId(std::string_view field, const std::string& name) {
  constexpr std::string_view kPrefix = "peerGroups/";
  if (!name.starts_with(kPrefix) || !IsId(std::string_view(name).substr(kPrefix.size()))) {
    return runtime::InvalidField(field, fmt::format("'{}' is not a name like peerGroups/{{id}}", name));
  }
  return name.substr(kPrefix.size());
}

absl::StatusOr<PeerGroup> ReadGroup(const v1::CreatePeerGroupRequest& request, int min_members) {
  std::vector<runtime::FieldViolation> bad;
  const auto& g = request.peer_group();
  if (!IsId(request.peer_group_id())) bad.push_back({"peer_group_id", "must be 1 to 63 of a-z, 0-9 and -"});
  const std::set<std::string> distinct(g.members().begin(), g.members().end());
  if (g.members_size() > kMaxMembers) bad.push_back({"peer_group.members", "at most 10000"});
  if (static_cast<int>(distinct.size()) != g.members_size()) bad.push_back({"peer_group.members", "a member comes twice"});
  if (std::any_of(distinct.begin(), distinct.end(), [](const std::string& m) { return !m.starts_with("entities/"); })) {
    bad.push_back({"peer_group.members", "each must be a name like entities/{entity}"});
  }
  const int least = g.min_members() == 0 ? min_members : g.min_members();
  if (least < kMinMembers) bad.push_back({"peer_group.min_members", "must be at least 3"});
  if (g.members_size() < least) bad.push_back({"peer_group.members", fmt::format("at least {} are needed", least)});
  RETURN_IF_ERROR(runtime::InvalidFields(bad));
  return PeerGroup{.id = request.peer_group_id(),
                   .display_name = g.display_name(),
                   .members = {g.members().begin(), g.members().end()},
                   .min_members = least};
}

const runtime::FilterSchema& BenchmarkFilter() {
  using Type = runtime::FilterField::Type;
  static const runtime::FilterSchema schema{.fields = {{.name = "entity", .sql = "entity"},
                                                       {.name = "metric", .sql = "metric"},
                                                       {.name = "period_start", .sql = "period_start", .type = Type::kTimestamp},
                                                       {.name = "robust_z", .sql = "robust_z", .type = Type::kNumber},
                                                       {.name = "percentile", .sql = "percentile", .type = Type::kNumber}}};
  return schema;
}

/// Page size and cursor; one row more is asked for, to know whether another page follows.
template <typename Request>
absl::StatusOr<Listing> ReadListing(const Request& rq, size_t keys) {
  Listing listing;
  ASSIGN_OR_RETURN(const int size, runtime::PageSize(rq.page_size()));
  listing.limit = size + 1;
  ASSIGN_OR_RETURN(listing.cursor, runtime::DecodePageToken(rq.page_token(), runtime::RequestFingerprint(rq), keys));
  return listing;
}

}  // namespace

grpc::ServerUnaryReactor* BenchmarkGrpc::CreatePeerGroup(GrpcContext* ctx, const v1::CreatePeerGroupRequest* rq, v1::PeerGroup* rs) {
  return runtime::Unary(server_, ctx, rq, rs, [this](const auto& request, auto* out, CallContext& call) -> absl::Status {
    ASSIGN_OR_RETURN(const PeerGroup group, ReadGroup(request, min_members_));
    ASSIGN_OR_RETURN(const PeerGroup created, store_.CreateGroup(call.tenant, group));
    ToProto(created, out);
    return absl::OkStatus();
  });
}

grpc::ServerUnaryReactor* BenchmarkGrpc::ListPeerGroups(GrpcContext* ctx, const v1::ListPeerGroupsRequest* rq,
                                                        v1::ListPeerGroupsResponse* rs) {
  return runtime::Unary(server_, ctx, rq, rs, [this](const auto& request, auto* out, CallContext& call) -> absl::Status {
    ASSIGN_OR_RETURN(const Listing listing, ReadListing(request, 1));
    ASSIGN_OR_RETURN(std::vector<PeerGroup> groups, store_.ListGroups(call.tenant, listing));
    if (static_cast<int>(groups.size()) == listing.limit) {
      groups.pop_back();
      const std::vector<std::string> keys = {groups.back().id};
      out->set_next_page_token(runtime::EncodePageToken(keys, runtime::RequestFingerprint(request)));
    }
    for (const PeerGroup& g : groups) ToProto(g, out->add_peer_groups());
    return absl::OkStatus();
  });
}

grpc::ServerUnaryReactor* BenchmarkGrpc::RefreshBenchmark(GrpcContext* ctx, const v1::RefreshBenchmarkRequest* rq,
                                                          v1::RefreshBenchmarkResponse* rs) {
  return runtime::Unary(server_, ctx, rq, rs, [this](const auto& request, auto* out, CallContext& call) -> absl::Status {
    ASSIGN_OR_RETURN(const std::string id, GroupId("peer_group", request.peer_group()));
    if (!request.metric().starts_with("metrics/")) return runtime::InvalidField("metric", "must be a name like metrics/{metric}");
    const absl::Time start = FromStamp(request.period_start()), end = FromStamp(request.period_end());
    if (!request.has_period_start() || end <= start) return runtime::InvalidField("period_end", "must be after period_start");
    ASSIGN_OR_RETURN(const PeerGroup group, store_.GetGroup(call.tenant, id));
    std::vector<Value> values;
    for (const auto& v : request.values()) values.push_back({v.entity(), v.value()});
    ASSIGN_OR_RETURN(const std::vector<Benchmark> all, Compare(group, request.metric(), start, end, values));
    RETURN_IF_ERROR(store_.Write(call.tenant, id, all));
    for (const Benchmark& b : all) ToProto(b, out->add_benchmarks());
    return absl::OkStatus();
  });
}

grpc::ServerUnaryReactor* BenchmarkGrpc::ListBenchmarks(GrpcContext* ctx, const v1::ListBenchmarksRequest* rq,
                                                        v1::ListBenchmarksResponse* rs) {
  return runtime::Unary(server_, ctx, rq, rs, [this](const auto& request, auto* out, CallContext& call) -> absl::Status {
    ASSIGN_OR_RETURN(const std::string id, GroupId("peer_group", request.peer_group()));
    ASSIGN_OR_RETURN(Listing listing, ReadListing(request, 3));
    ASSIGN_OR_RETURN(runtime::SqlFilter sql, runtime::FilterToSql(request.filter(), BenchmarkFilter()));
    listing.where = std::move(sql.where);
    listing.params = std::move(sql.params);
    RETURN_IF_ERROR(store_.GetGroup(call.tenant, id).status());
    ASSIGN_OR_RETURN(std::vector<Benchmark> all, store_.List(call.tenant, id, listing));
    if (static_cast<int>(all.size()) == listing.limit) {
      all.pop_back();
      const std::vector<std::string> keys = {absl::FormatTime(absl::RFC3339_full, all.back().period_start, absl::UTCTimeZone()),
                                             all.back().metric, all.back().entity};
      out->set_next_page_token(runtime::EncodePageToken(keys, runtime::RequestFingerprint(request)));
    }
    for (const Benchmark& b : all) ToProto(b, out->add_benchmarks());
    return absl::OkStatus();
  });
}

}  // namespace vedette::benchmark
