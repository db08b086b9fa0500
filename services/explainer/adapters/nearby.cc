#include "services/explainer/adapters/nearby.h"

#include <google/protobuf/util/time_util.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "base/status.h"
#include "vedette/benchmark/v1/benchmark.grpc.pb.h"
#include "vedette/ingest/v1/ingest.grpc.pb.h"
#include "wire/table_chunk.h"

namespace vedette::explainer {
namespace {

using google::protobuf::util::TimeUtil;
using BenchmarkStub = benchmark::v1::BenchmarkService::Stub;

constexpr absl::Duration kPatience = absl::Seconds(2);
constexpr int kChanges = 10;
constexpr size_t kPeers = 5;
constexpr int kGroups = 1000;
constexpr int kPeriods = 100;

absl::Time FromStamp(const google::protobuf::Timestamp& t) {
  return absl::FromUnixMicros(TimeUtil::TimestampToMicroseconds(t));
}

runtime::Outgoing Briefly(const runtime::Outgoing& out) {
  runtime::Outgoing brief = out;
  brief.deadline = std::min(out.deadline, absl::Now() + kPatience);
  return brief;
}

/// A string of the filter language; names reach here only after their services checked them, this is for the rest.
std::string Quoted(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\' || c == '*') out += '\\';
    out += c;
  }
  return out + "\"";
}

std::string QuotedTime(absl::Time t) { return Quoted(absl::FormatTime(absl::RFC3339_full, t, absl::UTCTimeZone())); }

PeerStanding FromProto(const std::string& group, const benchmark::v1::Benchmark& b) {
  return {.peer_group = group,
          .metric = b.metric(),
          .period_start = FromStamp(b.period_start()),
          .period_end = FromStamp(b.period_end()),
          .value = b.value(),
          .peer_median = b.peer_median(),
          .robust_z = b.robust_z(),
          .percentile = b.percentile(),
          .peer_count = b.peer_count()};
}

/// Groups that the entity is a member of.
absl::StatusOr<std::vector<std::string>> GroupsOf(BenchmarkStub& stub, const runtime::Outgoing& out,
                                                  const std::string& entity) {
  benchmark::v1::ListPeerGroupsRequest request;
  request.set_page_size(kGroups);
  ASSIGN_OR_RETURN(const auto page, runtime::Call(stub, &BenchmarkStub::ListPeerGroups, out, request));
  std::vector<std::string> groups;
  for (const auto& g : page.peer_groups()) {
    if (std::find(g.members().begin(), g.members().end(), entity) != g.members().end()) groups.push_back(g.name());
  }
  return groups;
}

}  // namespace

absl::StatusOr<std::vector<ChangeEvent>> ReadChanges(runtime::Channels& channels, const runtime::Outgoing& out,
                                                     absl::Duration before, const Finding& finding) {
  ASSIGN_OR_RETURN(const auto channel, channels.Get("ingest"));
  const auto stub = ingest::v1::IngestService::NewStub(channel);
  ingest::v1::ListChangeEventsRequest request;
  request.set_page_size(kChanges);
  const absl::Time when = finding.When();
  request.set_filter(fmt::format("event_time >= {} AND event_time <= {} AND (entity = \"\"{})", QuotedTime(when - before),
                                 QuotedTime(when),
                                 finding.entity.empty() ? "" : fmt::format(" OR entity = {}", Quoted(finding.entity))));
  ASSIGN_OR_RETURN(const auto page,
                   runtime::Call(*stub, &ingest::v1::IngestService::Stub::ListChangeEvents, Briefly(out), request));
  std::vector<ChangeEvent> all;
  for (const auto& e : page.change_events())
    all.push_back({e.name(), e.kind(), e.title(), e.entity(), FromStamp(e.event_time())});
  return all;
}

absl::StatusOr<std::vector<PeerStanding>> ReadPeers(runtime::Channels& channels, const runtime::Outgoing& out,
                                                    const Finding& finding) {
  ASSIGN_OR_RETURN(const auto channel, channels.Get("benchmark"));
  const auto stub = benchmark::v1::BenchmarkService::NewStub(channel);
  const runtime::Outgoing brief = Briefly(out);
  ASSIGN_OR_RETURN(const std::vector<std::string> groups, GroupsOf(*stub, brief, finding.entity));
  std::vector<PeerStanding> all;
  for (const std::string& group : groups) {
    benchmark::v1::ListBenchmarksRequest request;
    request.set_peer_group(group);
    request.set_page_size(kPeriods);
    request.set_filter(
        fmt::format("entity = {} AND period_start <= {}{}", Quoted(finding.entity), QuotedTime(finding.When()),
                    finding.metric.empty() ? "" : fmt::format(" AND metric = {}", Quoted(finding.metric))));
    ASSIGN_OR_RETURN(const auto page, runtime::Call(*stub, &BenchmarkStub::ListBenchmarks, brief, request));
    std::vector<PeerStanding> here;
    for (const auto& b : page.benchmarks()) here.push_back(FromProto(group, b));
    std::stable_sort(here.begin(), here.end(),
                     [](const auto& a, const auto& b) { return a.period_start > b.period_start; });
    std::set<std::string> seen;  // the latest period of each metric
    for (PeerStanding& p : here) {
      if (seen.insert(p.metric).second) all.push_back(std::move(p));
    }
  }
  std::stable_sort(all.begin(), all.end(),
                   [](const auto& a, const auto& b) { return std::fabs(a.robust_z) > std::fabs(b.robust_z); });
  if (all.size() > kPeers) all.resize(kPeers);
  return all;
}

absl::StatusOr<std::shared_ptr<const explain::Timeline>> ReadTimeline(runtime::Channels& channels,
                                                                      const runtime::Outgoing& out,
                                                                      const Finding& finding) {
  ASSIGN_OR_RETURN(const auto channel, channels.Get("ingest"));
  const auto stub = ingest::v1::IngestService::NewStub(channel);
  using Stub = ingest::v1::IngestService::Stub;
  const runtime::Outgoing brief = Briefly(out);
  ingest::v1::GetDatasetRequest get;
  get.set_name(finding.dataset);
  ASSIGN_OR_RETURN(const ingest::v1::Dataset dataset, runtime::Call(*stub, &Stub::GetDataset, brief, get));
  std::string time;
  bool entities = false;
  ingest::v1::ReadDatasetRequest request;
  request.set_name(finding.dataset);
  for (const auto& column : dataset.columns()) {
    const bool place = column.name() == "entity" || column.name() == "metric";
    const bool first_time = time.empty() && column.type() == common::v1::COLUMN_TYPE_TIMESTAMP;
    if (first_time) time = column.name();
    if (place || first_time) request.add_columns(column.name());
    entities |= place;
  }
  if (time.empty()) return nullptr;
  if (dataset.row_count() > kTimelineRows)
    return FailedPrecondition("the dataset has more than {} rows", kTimelineRows);

  auto timeline = std::make_shared<explain::Timeline>(entities);
  int64_t next = 0;
  const auto add = [&](const common::v1::TableChunk& chunk) -> absl::Status {
    ASSIGN_OR_RETURN(const table::Table rows, wire::FromProto(chunk));
    const int64_t at = rows.Find(time), entity = rows.Find("entity"), metric = rows.Find("metric");
    if (chunk.first_row() != next || next + rows.rows() > kTimelineRows || at < 0 ||
        rows.columns[static_cast<size_t>(at)].type != table::ColumnType::kTimestamp) {
      return DataLoss("the rows of {} came in another shape than it has", finding.dataset);
    }
    const auto cell = [&](int64_t column, int64_t row) {
      return column < 0 ? std::string() : rows.columns[static_cast<size_t>(column)].Text(row);
    };
    for (int64_t i = 0; i < rows.rows(); ++i) {
      timeline->Add(next + i, cell(entity, i), cell(metric, i),
                    rows.columns[static_cast<size_t>(at)].values[static_cast<size_t>(i)]);
    }
    next += rows.rows();
    return absl::OkStatus();
  };
  RETURN_IF_ERROR(runtime::CallStream(*stub, &Stub::ReadDataset, brief, request, add));
  timeline->Finish();
  return timeline;
}

}  // namespace vedette::explainer
