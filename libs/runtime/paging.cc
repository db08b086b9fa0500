#include "runtime/paging.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <google/protobuf/message.h>

#include <algorithm>
#include <memory>

#include "base/bytes.h"
#include "base/hash.h"
#include "base/status.h"
#include "runtime/es256.h"
#include "runtime/filter.h"
#include "runtime/status.h"

namespace vedette::runtime {
namespace {

constexpr uint8_t kTokenVersion = 1;
constexpr size_t kMaxPageTokenBytes = 4 << 10;
constexpr size_t kMaxOrderTerms = 8;

absl::Status BadToken(std::string_view why) { return InvalidField("page_token", why); }

std::string_view Trim(std::string_view text) {
  const size_t begin = text.find_first_not_of(" \t");
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(" \t") - begin + 1);
}

absl::StatusOr<OrderTerm> ParseOrderTerm(std::string_view part, std::span<const OrderField> fields) {
  const size_t space = part.find_first_of(" \t");
  const std::string_view name = part.substr(0, space);
  const std::string_view direction = space == std::string_view::npos ? "" : Trim(part.substr(space));
  if (!direction.empty() && direction != "desc" && direction != "asc") {
    return InvalidField("order_by", fmt::format("\"{}\": write a field, then nothing, asc or desc", part));
  }
  for (const OrderField& field : fields) {
    if (field.name == name) return OrderTerm{&field, direction == "desc"};
  }
  std::vector<std::string> names;
  for (const OrderField& field : fields) names.emplace_back(field.name);
  const std::string nearest = NearestName(name, names);
  return InvalidField("order_by", nearest.empty()
                                      ? fmt::format("unknown field \"{}\"; known: {}", name, fmt::join(names, ", "))
                                      : fmt::format("unknown field \"{}\"; did you mean {}?", name, nearest));
}

}  // namespace

absl::StatusOr<int> PageSize(int32_t requested, int default_size, int max_size) {
  if (requested < 0) return InvalidField("page_size", "must not be negative");
  return requested == 0 ? default_size : std::min<int>(requested, max_size);
}

std::string RequestFingerprint(const google::protobuf::Message& request) {
  const std::unique_ptr<google::protobuf::Message> copy(request.New());
  copy->CopyFrom(request);
  for (const char* name : {"page_size", "page_token"}) {
    if (const auto* field = copy->GetDescriptor()->FindFieldByName(name))
      copy->GetReflection()->ClearField(copy.get(), field);
  }
  std::string bytes = copy->GetDescriptor()->full_name();
  {
    google::protobuf::io::StringOutputStream stream(&bytes);
    google::protobuf::io::CodedOutputStream coded(&stream);
    coded.SetSerializationDeterministic(true);  // maps in a fixed order
    copy->SerializeToCodedStream(&coded);
  }
  return Sha256Hex(bytes).substr(0, 16);
}

std::string EncodePageToken(std::span<const std::string> cursor, std::string_view fingerprint) {
  ByteWriter out;
  out.U8(kTokenVersion);
  out.String(fingerprint);
  out.U32(static_cast<uint32_t>(cursor.size()));
  for (const std::string& value : cursor) out.String(value);
  return Base64UrlEncode(out.bytes());
}

absl::StatusOr<std::vector<std::string>> DecodePageToken(std::string_view token, std::string_view fingerprint,
                                                         size_t keys) {
  std::vector<std::string> cursor;
  if (token.empty()) return cursor;
  const std::optional<std::string> bytes = token.size() > kMaxPageTokenBytes ? std::nullopt : Base64UrlDecode(token);
  if (!bytes) return BadToken("not a page token of this service");
  ByteReader in(*bytes);
  const uint8_t version = in.U8();
  const std::string made_for = in.String();
  const uint32_t count = in.U32();
  if (!in.ok() || version != kTokenVersion) return BadToken("not a page token of this service");
  if (made_for != fingerprint) return BadToken("belongs to a listing with other parameters; start at the first page");
  if (count != keys) return BadToken("not a page token of this listing");
  for (uint32_t i = 0; i < count; ++i) cursor.push_back(in.String());
  if (!in.Finish().ok()) return BadToken("not a page token of this service");
  return cursor;
}

absl::StatusOr<std::vector<OrderTerm>> ParseOrderBy(std::string_view text, std::span<const OrderField> fields) {
  std::vector<OrderTerm> terms;
  if (Trim(text).empty()) return terms;
  for (size_t begin = 0; begin <= text.size();) {
    const size_t comma = std::min(text.find(',', begin), text.size());
    const std::string_view part = Trim(text.substr(begin, comma - begin));
    if (part.empty()) return InvalidField("order_by", "a field is missing beside a comma");
    ASSIGN_OR_RETURN(const OrderTerm term, ParseOrderTerm(part, fields));
    const bool repeated =
        std::any_of(terms.begin(), terms.end(), [&](const OrderTerm& t) { return t.field == term.field; });
    if (repeated) return InvalidField("order_by", fmt::format("\"{}\" is given twice", term.field->name));
    terms.push_back(term);
    if (terms.size() > kMaxOrderTerms)
      return InvalidField("order_by", fmt::format("more than {} fields", kMaxOrderTerms));
    begin = comma + 1;
  }
  return terms;
}

}  // namespace vedette::runtime
