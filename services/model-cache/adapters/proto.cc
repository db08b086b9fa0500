#include "services/model-cache/adapters/proto.h"

#include <google/protobuf/util/time_util.h>

#include "base/status.h"
#include "runtime/resource_name.h"
#include "runtime/status.h"

namespace vedette::model_cache {
namespace {
google::protobuf::Timestamp Stamp(absl::Time t) {
  return google::protobuf::util::TimeUtil::MicrosecondsToTimestamp(absl::ToUnixMicros(t));
}
}  // namespace

void ToProto(const Model& m, modelcache::v1::Model* out) {
  out->set_name("models/" + m.id);
  out->set_key_hash(m.key_hash);
  auto* key = out->mutable_key();
  key->set_subject(m.key.subject);
  key->set_metric(m.key.metric);
  key->mutable_schema()->Add(m.key.schema.begin(), m.key.schema.end());
  key->set_algorithm(m.key.algorithm);
  key->mutable_parameters()->insert(m.key.parameters.begin(), m.key.parameters.end());
  key->set_feature_set(m.key.feature_set);
  key->set_feature_set_version(m.key.feature_set_version);
  out->set_state(static_cast<modelcache::v1::Model::State>(static_cast<int>(m.state) + 1));
  out->set_version(m.version);
  out->set_size_bytes(m.size_bytes);
  out->set_sha256(m.sha256);
  out->set_training_rows(m.training_rows);
  out->set_training_seconds(m.training_seconds);
  *out->mutable_create_time() = Stamp(m.create_time);
  *out->mutable_expire_time() = Stamp(m.expire_time);
  if (m.last_hit_time) *out->mutable_last_hit_time() = Stamp(*m.last_hit_time);
  out->set_hit_count(m.hit_count);
  out->set_invalidation_reason(m.invalidation_reason);
}

void ToProto(const Lease& lease, modelcache::v1::Lease* out) {
  out->set_lease_id(lease.id);
  out->set_key_hash(lease.key_hash);
  *out->mutable_expire_time() = Stamp(lease.expire_time);
}

ModelKey FromProto(const modelcache::v1::ModelKey& key) {
  return {.subject = key.subject(),
          .metric = key.metric(),
          .schema = {key.schema().begin(), key.schema().end()},
          .algorithm = key.algorithm(),
          .parameters = {key.parameters().begin(), key.parameters().end()},
          .feature_set = key.feature_set(),
          .feature_set_version = key.feature_set_version()};
}

absl::Status CheckUuid(std::string_view field, std::string_view id) {
  return runtime::IsUuid(id) ? absl::OkStatus() : runtime::InvalidField(field, fmt::format("'{}' is not a UUID", id.substr(0, 100)));
}

absl::StatusOr<std::string> ModelId(std::string_view field, const std::string& name) { return runtime::UuidOf(field, "models", name); }

}  // namespace vedette::model_cache
