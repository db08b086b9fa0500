#include "services/gateway/core/http_status.h"

#include <array>

namespace vedette::gateway {
namespace {

struct Row {
  std::string_view name;
  int http;
};
/// By the number of the code, 0 to 16.
constexpr std::array<Row, 17> kRows = {{{"OK", 200},
                                        {"CANCELLED", 499},
                                        {"UNKNOWN", 500},
                                        {"INVALID_ARGUMENT", 400},
                                        {"DEADLINE_EXCEEDED", 504},
                                        {"NOT_FOUND", 404},
                                        {"ALREADY_EXISTS", 409},
                                        {"PERMISSION_DENIED", 403},
                                        {"RESOURCE_EXHAUSTED", 429},
                                        {"FAILED_PRECONDITION", 400},
                                        {"ABORTED", 409},
                                        {"OUT_OF_RANGE", 400},
                                        {"UNIMPLEMENTED", 501},
                                        {"INTERNAL", 500},
                                        {"UNAVAILABLE", 503},
                                        {"DATA_LOSS", 500},
                                        {"UNAUTHENTICATED", 401}}};

const Row& Find(absl::StatusCode code) {
  const auto number = static_cast<size_t>(code);
  return number < kRows.size() ? kRows[number] : kRows[2];
}

}  // namespace

int HttpStatus(absl::StatusCode code) { return Find(code).http; }
std::string_view CodeName(absl::StatusCode code) { return Find(code).name; }

}  // namespace vedette::gateway
