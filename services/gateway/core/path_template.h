// Path templates of google.api.http (google/api/http.proto, "Path template syntax"):
//   Template = "/" Segments [ Verb ] ;  Segments = Segment { "/" Segment } ;  Segment = "*" | "**" | LITERAL | Variable
//   ; Variable = "{" FieldPath [ "=" Segments ] "}" ;  FieldPath = IDENT { "." IDENT } ;  Verb = ":" LITERAL ;
#pragma once

#include <absl/status/statusor.h>

#include <string>
#include <string_view>
#include <vector>

namespace vedette::gateway {

struct PathSegment {
  enum Kind { kLiteral, kStar, kDoubleStar };
  Kind kind = kLiteral;
  std::string literal;
};

/// A field of the request that is taken from the path.
struct PathVariable {
  std::string field_path;  ///< "name", "job.name"
  size_t begin = 0;        ///< its first segment
  size_t end = 0;          ///< one past its last; a "**" counts as one
};

struct PathTemplate {
  std::string text;
  std::vector<PathSegment> segments;
  std::vector<PathVariable> variables;
  std::string verb;  ///< "analyze"; empty: none

  /// INVALID_ARGUMENT with the place of the mistake. "**" is allowed at the end only.
  static absl::StatusOr<PathTemplate> Parse(std::string_view text);
  /// With the variables' names left out, "/v1/datasets/*:analyze": templates with the same shape match the same paths.
  std::string Shape() const;
};

}  // namespace vedette::gateway
