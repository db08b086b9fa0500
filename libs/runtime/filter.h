// The filter language of List methods (AIP-160, https://google.aip.dev/160), parsed and turned into SQL.
//
//   severity >= HIGH AND (status = "open" OR status = "triaged") AND -subject:"test"
//   create_time > "2024-05-01T00:00:00Z"   metadata.region = "west*"   score > 0.9 score < 0.99
//
// AND, OR (binds tighter than AND, as AIP-160 says), NOT or -, = != < <= > >= and : (has), * in strings of = and !=,
// parentheses; two terms side by side mean AND. Bounded: 4 KiB, 100 restrictions, 32 levels.
// Values never become part of the SQL text: they are bind parameters.
#pragma once

#include <absl/status/statusor.h>

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace vedette::runtime {

struct FilterNode {
  enum class Kind { kAnd, kOr, kNot, kRestriction, kSearch };
  Kind kind = Kind::kAnd;
  std::vector<FilterNode> children;  ///< kAnd, kOr: two or more; kNot: one
  std::vector<std::string> path;     ///< kRestriction: field, then keys: metadata.region is {"metadata", "region"}
  std::string op;                    ///< kRestriction: = != < <= > >= :
  std::string value;                 ///< kRestriction, kSearch
  bool quoted = false;               ///< the value was in quotes
  std::string like;                  ///< LIKE pattern of a value with * in it (\* is a star itself), else empty
  int position = 0;                  ///< byte of the filter text, from 0
};

/// Nothing but an empty kAnd for an empty filter. INVALID_ARGUMENT (field filter) with the position otherwise.
absl::StatusOr<FilterNode> ParseFilter(std::string_view text);

/// One field that may be filtered on.
struct FilterField {
  enum class Type {
    kString,
    kNumber,     ///< any SQL number
    kInteger,
    kBool,
    kTimestamp,  ///< timestamptz; RFC 3339, or a date
    kDuration,   ///< interval; seconds with an s, "90s"
    kEnum,       ///< text or integer column; `values` lists the names, in the order that < and > use
    kUuid,
    kJson,       ///< jsonb object; metadata.key = value, metadata:key (has the key)
    kStringArray ///< text[]; tags:value
  };
  std::string name;             ///< as written in the filter; may hold dots
  std::string sql;              ///< trusted SQL expression of that type
  Type type = Type::kString;
  std::vector<std::string> values = {};      ///< kEnum
  std::vector<std::string> sql_values = {};  ///< kEnum: what the column holds for each value; empty: the value itself
};

struct FilterSchema {
  std::vector<FilterField> fields;
  /// Trusted SQL text expressions that a bare word is searched in (case does not matter). Empty: bare words are refused.
  std::vector<std::string> search_sql = {};
};

struct SqlFilter {
  std::string where;                ///< "TRUE" for an empty filter
  std::vector<std::string> params;  ///< for $first_param, $first_param+1...; text format, cast in the SQL
};

/// INVALID_ARGUMENT (field filter) for an unknown field (names the nearest), a comparison that the type does not have,
/// or a value that is not of the type.
absl::StatusOr<SqlFilter> FilterToSql(const FilterNode& filter, const FilterSchema& schema, int first_param = 1);
/// Both steps.
absl::StatusOr<SqlFilter> FilterToSql(std::string_view text, const FilterSchema& schema, int first_param = 1);

/// The candidate that needs the fewest edits to become `name`, or empty when none is near. For "did you mean".
std::string NearestName(std::string_view name, std::span<const std::string> candidates);

}  // namespace vedette::runtime
