#include "services/gateway/core/path_template.h"

#include <algorithm>
#include <cctype>

#include "base/status.h"

namespace vedette::gateway {
namespace {

constexpr size_t kMaxSegments = 32;

bool IsIdentifier(std::string_view text) {
  return !text.empty() && !std::isdigit(static_cast<unsigned char>(text.front())) &&
         std::all_of(text.begin(), text.end(),
                     [](char c) { return std::isalnum(static_cast<unsigned char>(c)) || c == '_'; });
}

bool IsFieldPath(std::string_view text) {
  while (true) {
    const size_t dot = text.find('.');
    if (!IsIdentifier(text.substr(0, dot))) return false;
    if (dot == std::string_view::npos) return true;
    text.remove_prefix(dot + 1);
  }
}

bool IsLiteral(std::string_view text) {
  return !text.empty() && text != "." && text != ".." && std::all_of(text.begin(), text.end(), [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) || c == '-' || c == '_' || c == '.' || c == '~';
  });
}

class Parser {
 public:
  explicit Parser(std::string_view text) : rest_(text) { out_.text = text; }

  absl::StatusOr<PathTemplate> Run() {
    if (!Take('/')) return Mistake("a template begins with a slash");
    RETURN_IF_ERROR(Segments(/*inside=*/false));
    if (Take(':')) {
      if (!IsLiteral(rest_)) return Mistake("a verb is a literal");
      out_.verb = std::exchange(rest_, {});
    }
    if (!rest_.empty()) return Mistake("nothing may follow here");
    for (size_t i = 0; i + 1 < out_.segments.size(); ++i) {
      if (out_.segments[i].kind == PathSegment::kDoubleStar) return Mistake("** must be the last segment");
    }
    return std::move(out_);
  }

 private:
  bool Take(char c) {
    if (rest_.empty() || rest_.front() != c) return false;
    rest_.remove_prefix(1);
    return true;
  }

  absl::Status Mistake(std::string_view what) const {
    return InvalidArgument("path template \"{}\", character {}: {}", out_.text, out_.text.size() - rest_.size() + 1,
                           what);
  }

  absl::Status Segments(bool inside) {
    do {
      if (out_.segments.size() >= kMaxSegments) return Mistake("too many segments");
      if (!inside && Take('{')) {
        RETURN_IF_ERROR(Variable());
      } else {
        RETURN_IF_ERROR(Segment());
      }
    } while (Take('/'));
    return absl::OkStatus();
  }

  absl::Status Segment() {
    const std::string_view text = rest_.substr(0, rest_.find_first_of("/:{}="));
    PathSegment segment;
    if (text == "*") {
      segment.kind = PathSegment::kStar;
    } else if (text == "**") {
      segment.kind = PathSegment::kDoubleStar;
    } else if (IsLiteral(text)) {
      segment.literal = text;
    } else {
      return Mistake("expected *, ** or a literal");
    }
    rest_.remove_prefix(text.size());
    out_.segments.push_back(std::move(segment));
    return absl::OkStatus();
  }

  absl::Status Variable() {
    PathVariable variable;
    const std::string_view name = rest_.substr(0, rest_.find_first_of("=}"));
    if (!IsFieldPath(name)) return Mistake("expected the path of a field");
    variable.field_path = name;
    for (const PathVariable& other : out_.variables) {
      if (other.field_path == name) return Mistake("the same variable twice");
    }
    rest_.remove_prefix(name.size());
    variable.begin = out_.segments.size();
    if (Take('=')) {
      RETURN_IF_ERROR(Segments(/*inside=*/true));
    } else {
      out_.segments.push_back({PathSegment::kStar, {}});
    }
    if (!Take('}')) return Mistake("expected }");
    variable.end = out_.segments.size();
    out_.variables.push_back(std::move(variable));
    return absl::OkStatus();
  }

  PathTemplate out_;
  std::string_view rest_;
};

}  // namespace

absl::StatusOr<PathTemplate> PathTemplate::Parse(std::string_view text) { return Parser(text).Run(); }

std::string PathTemplate::Shape() const {
  std::string out;
  for (const PathSegment& segment : segments) {
    out += '/';
    out += segment.kind == PathSegment::kLiteral ? segment.literal : segment.kind == PathSegment::kStar ? "*" : "**";
  }
  return verb.empty() ? out : out + ":" + verb;
}

}  // namespace vedette::gateway
