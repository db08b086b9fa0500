// Pages of a List method (AIP-158) and its order (AIP-132).
#pragma once

#include <absl/status/statusor.h>

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace google::protobuf {
class Message;
}

namespace vedette::runtime {

/// 0 gives default_size, more than max_size gives max_size, negative is INVALID_ARGUMENT (field page_size).
absl::StatusOr<int> PageSize(int32_t requested, int default_size = 50, int max_size = 1000);

/// Short hash of everything in a List request but page_size and page_token: a token only continues its own listing.
std::string RequestFingerprint(const google::protobuf::Message& request);

/// `cursor`: the values of the sort keys of the last row given, so that the next page starts after it (keyset paging).
/// The token is opaque, not secret: rows are guarded by tenant, never by the token.
std::string EncodePageToken(std::span<const std::string> cursor, std::string_view fingerprint);
/// An empty token gives an empty cursor (first page). INVALID_ARGUMENT (field page_token) when it is not ours, comes
/// from another listing, or does not hold `keys` values.
absl::StatusOr<std::vector<std::string>> DecodePageToken(std::string_view token, std::string_view fingerprint,
                                                         size_t keys);

struct OrderField {
  std::string_view name;  ///< as written in order_by
  std::string_view sql;
};
struct OrderTerm {
  const OrderField* field = nullptr;
  bool descending = false;
};
/// "create_time desc, score" against a whitelist. Empty gives an empty list. INVALID_ARGUMENT (field order_by) with the
/// nearest name for an unknown or repeated field.
absl::StatusOr<std::vector<OrderTerm>> ParseOrderBy(std::string_view text, std::span<const OrderField> fields);

}  // namespace vedette::runtime
