// Between the messages of vedette.ingest.v1 and the domain's types.
#pragma once

#include <absl/status/statusor.h>

#include <string>
#include <string_view>
#include <vector>

#include "services/ingest/core/catalogue.h"
#include "services/ingest/core/dataset.h"
#include "services/ingest/ports/dataset_store.h"
#include "services/ingest/ports/observation_store.h"
#include "vedette/ingest/v1/ingest.pb.h"

namespace vedette::ingest {

/// The id in "datasets/{id}". INVALID_ARGUMENT (field `field`) for anything else, so that a name never reaches a store
/// unchecked.
absl::StatusOr<std::string> DatasetId(std::string_view name, std::string_view field = "name");
/// The id in "<collection>/{id}" for ids that users choose.
absl::StatusOr<std::string> ChosenId(std::string_view name, std::string_view collection, std::string_view field);
/// All violations as one INVALID_ARGUMENT; OK when there is none.
absl::Status ToStatus(const std::vector<Violation>& violations);

absl::StatusOr<UploadRequest> FromProto(const v1::UploadDatasetRequest::Metadata& metadata);
absl::StatusOr<Tenant> FromProto(const v1::CreateTenantRequest& request);
absl::StatusOr<Entity> FromProto(const v1::CreateEntityRequest& request);
absl::StatusOr<Metric> FromProto(const v1::CreateMetricRequest& request);
absl::StatusOr<ChangeEvent> FromProto(const v1::CreateChangeEventRequest& request);
absl::StatusOr<ObservationBatch> FromProto(const v1::WriteObservationsRequest& request, absl::Time first,
                                           absl::Time last);
absl::StatusOr<SeriesQuery> FromProto(const v1::ListObservationsRequest& request);

void ToProto(const Dataset& dataset, v1::Dataset* out);
void ToProto(const Tenant& tenant, v1::Tenant* out);
void ToProto(const Entity& entity, v1::Entity* out);
void ToProto(const Metric& metric, v1::Metric* out);
void ToProto(const ChangeEvent& event, v1::ChangeEvent* out);

}  // namespace vedette::ingest
