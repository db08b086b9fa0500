// The API described for machines (OpenAPI 3.0.3, https://spec.openapis.org/oas/v3.0.3) and, on one page, for people.
#pragma once

#include <string>

#include "services/gateway/adapters/api.h"

namespace vedette::gateway {

/// The document as JSON. Schemas are named as the messages are, without the package's version: "jobs.Job".
std::string OpenApiDocument(const Api& api, const std::string& version);
/// HTML without scripts: every endpoint with the first sentence of its comment.
std::string LandingPage(const Api& api, const std::string& version);

}  // namespace vedette::gateway
