#include <absl/time/time.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <optional>

#include "base/status.h"
#include "runtime/filter.h"
#include "runtime/status.h"

namespace vedette::runtime {
namespace {

using Kind = FilterNode::Kind;
using Type = FilterField::Type;

absl::Status At(const FilterNode& node, std::string_view why) {
  return InvalidField("filter", fmt::format("at character {}: {}", node.position + 1, why));
}

std::string PathText(const FilterNode& node) { return fmt::format("{}", fmt::join(node.path, ".")); }

bool IsOrdering(std::string_view op) { return op == "<" || op == "<=" || op == ">" || op == ">="; }

std::optional<double> ToNumber(const std::string& text) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || !std::isfinite(value)) return std::nullopt;
  return value;
}

std::optional<int64_t> ToInteger(const std::string& text) {
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::optional<std::string> ToTimestamp(const std::string& text) {
  absl::Time time;
  std::string error;
  if (!absl::ParseTime(absl::RFC3339_full, text, &time, &error) &&
      !absl::ParseTime("%Y-%m-%d", text, absl::UTCTimeZone(), &time, &error)) {
    return std::nullopt;
  }
  // PostgreSQL's range ends far beyond; four-digit years are what RFC 3339 can write.
  static const absl::Time kFirst = absl::FromCivil(absl::CivilYear(1), absl::UTCTimeZone());
  static const absl::Time kEnd = absl::FromCivil(absl::CivilYear(10000), absl::UTCTimeZone());
  if (time < kFirst || time >= kEnd) return std::nullopt;
  return absl::FormatTime("%E4Y-%m-%dT%H:%M:%E6SZ", time, absl::UTCTimeZone());
}

bool IsUuid(std::string_view text) {
  if (text.size() != 36) return false;
  for (size_t i = 0; i < text.size(); ++i) {
    const bool dash = i == 8 || i == 13 || i == 18 || i == 23;
    if (dash ? text[i] != '-' : !std::isxdigit(static_cast<unsigned char>(text[i]))) return false;
  }
  return true;
}

class Renderer {
 public:
  Renderer(const FilterSchema& schema, int first_param) : schema_(schema), next_(first_param) {}

  absl::StatusOr<std::string> Render(const FilterNode& node) {
    switch (node.kind) {
      case Kind::kAnd: return RenderAll(node, " AND ", "TRUE");
      case Kind::kOr: return RenderAll(node, " OR ", "FALSE");
      case Kind::kNot: {
        ASSIGN_OR_RETURN(const std::string child, Render(node.children.front()));
        return fmt::format("({}) IS NOT TRUE", child);  // NULL counts as "does not match", so its negation matches
      }
      case Kind::kSearch: return Search(node);
      case Kind::kRestriction: return Restriction(node);
    }
    return Internal("unknown kind of filter node");
  }

  std::vector<std::string> TakeParams() { return std::move(params_); }

 private:
  std::string Bind(std::string value, std::string_view cast) {
    params_.push_back(std::move(value));
    return fmt::format("${}{}{}", next_++, cast.empty() ? "" : "::", cast);
  }

  absl::StatusOr<std::string> RenderAll(const FilterNode& node, std::string_view glue, std::string_view empty) {
    std::string out;
    for (const FilterNode& child : node.children) {
      ASSIGN_OR_RETURN(const std::string sql, Render(child));
      out += fmt::format("{}({})", out.empty() ? "" : glue, sql);
    }
    return out.empty() ? std::string(empty) : out;
  }

  absl::StatusOr<std::string> Search(const FilterNode& node) {
    if (schema_.search_sql.empty()) {
      return At(node, fmt::format("\"{}\" stands alone; write field = value (fields: {})", node.value, FieldList()));
    }
    const std::string pattern = Bind(Substring(node), "text");
    std::string out;
    for (const std::string& sql : schema_.search_sql) {
      out += fmt::format("{}{} ILIKE {}", out.empty() ? "" : " OR ", sql, pattern);
    }
    return out;
  }

  static std::string Substring(const FilterNode& node) {
    if (!node.like.empty()) return "%" + node.like + "%";
    std::string pattern = "%";
    for (const char c : node.value) {
      if (c == '%' || c == '_' || c == '\\') pattern.push_back('\\');
      pattern.push_back(c);
    }
    return pattern + "%";
  }

  std::string FieldList() const {
    std::vector<std::string> names;
    for (const FilterField& field : schema_.fields) names.push_back(field.name);
    return fmt::format("{}", fmt::join(names, ", "));
  }

  absl::StatusOr<std::string> Restriction(const FilterNode& node) {
    const std::string path = PathText(node);
    for (const FilterField& field : schema_.fields) {
      if (field.name == path) return Compare(node, field);
    }
    for (const FilterField& field : schema_.fields) {
      if (field.type == Type::kJson && path.starts_with(field.name + ".")) return CompareJson(node, field);
    }
    std::vector<std::string> names;
    for (const FilterField& field : schema_.fields) names.push_back(field.name);
    const std::string nearest = NearestName(path, names);
    return At(node, nearest.empty() ? fmt::format("unknown field \"{}\"; fields: {}", path, FieldList())
                                    : fmt::format("unknown field \"{}\"; did you mean {}?", path, nearest));
  }

  absl::StatusOr<std::string> Compare(const FilterNode& node, const FilterField& field) {
    const bool present = node.op == ":" && node.value == "*" && !node.quoted;
    switch (field.type) {
      case Type::kString: return CompareString(node, field.sql, present);
      case Type::kJson: return CompareJson(node, field);
      case Type::kStringArray:
        if (node.op != ":") return At(node, fmt::format("use {}:value, it is a list", field.name));
        if (present) return fmt::format("cardinality({}) > 0", field.sql);
        return fmt::format("{} = ANY({})", Bind(node.value, "text"), field.sql);
      default: break;
    }
    if (present) return fmt::format("{} IS NOT NULL", field.sql);
    if (field.type == Type::kEnum) return CompareEnum(node, field);
    ASSIGN_OR_RETURN(const std::string value, Typed(node, field));
    return Operator(node, field.sql, value);
  }

  /// A bind parameter of the field's type.
  absl::StatusOr<std::string> Typed(const FilterNode& node, const FilterField& field) {
    const auto wrong = [&](std::string_view what) {
      return At(node, fmt::format("{} takes {}, not \"{}\"", field.name, what, node.value));
    };
    switch (field.type) {
      case Type::kNumber: {
        if (!ToNumber(node.value)) return wrong("a number");
        return Bind(node.value, "float8");
      }
      case Type::kInteger:
        if (!ToInteger(node.value)) return wrong("an integer");
        return Bind(node.value, "bigint");
      case Type::kBool:
        if (node.value != "true" && node.value != "false") return wrong("true or false");
        if (IsOrdering(node.op)) return At(node, fmt::format("{} has no order; use = or !=", field.name));
        return Bind(node.value, "boolean");
      case Type::kTimestamp: {
        std::optional<std::string> time = ToTimestamp(node.value);
        if (!time) return wrong("a time like \"2024-05-01T12:00:00Z\" or a date");
        return Bind(*std::move(time), "timestamptz");
      }
      case Type::kDuration: {
        std::string seconds = node.value;
        if (!seconds.ends_with('s')) return wrong("a duration in seconds like 90s");
        seconds.pop_back();
        const std::optional<double> parsed = ToNumber(seconds);
        if (!parsed || std::abs(*parsed) > 1e10) return wrong("a duration in seconds like 90s");
        return fmt::format("make_interval(secs => {})", Bind(seconds, "float8"));
      }
      case Type::kUuid:
        if (!IsUuid(node.value)) return wrong("a UUID");
        if (IsOrdering(node.op)) return At(node, fmt::format("{} has no order; use = or !=", field.name));
        return Bind(node.value, "uuid");
      default: return Internal("filter field {} has no scalar type", field.name);
    }
  }

  static std::string Operator(const FilterNode& node, const std::string& sql, const std::string& value) {
    if (node.op == "!=") return fmt::format("{} IS DISTINCT FROM {}", sql, value);
    return fmt::format("{} {} {}", sql, node.op == ":" ? "=" : node.op, value);
  }

  absl::StatusOr<std::string> CompareString(const FilterNode& node, const std::string& sql, bool present) {
    if (present) return fmt::format("{} <> ''", sql);
    if (node.op == ":") return fmt::format("{} ILIKE {}", sql, Bind(Substring(node), "text"));
    if (!node.like.empty()) {
      if (node.op == "=") return fmt::format("{} LIKE {}", sql, Bind(node.like, "text"));
      if (node.op == "!=") return fmt::format("({} LIKE {}) IS NOT TRUE", sql, Bind(node.like, "text"));
      return At(node, "* only works with = and !=");
    }
    return Operator(node, sql, Bind(node.value, "text"));
  }

  absl::StatusOr<std::string> CompareEnum(const FilterNode& node, const FilterField& field) {
    std::string wanted = node.value;
    for (char& c : wanted) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
    const auto upper_equal = [&](const std::string& v) {
      return v.size() == wanted.size() && std::equal(v.begin(), v.end(), wanted.begin(), [](char a, char b) {
               return std::toupper(static_cast<unsigned char>(a)) == b;
             });
    };
    const auto it = std::find_if(field.values.begin(), field.values.end(), upper_equal);
    if (it == field.values.end()) {
      return At(node, fmt::format("{} is one of {}, not \"{}\"", field.name, fmt::join(field.values, ", "), node.value));
    }
    const size_t index = static_cast<size_t>(it - field.values.begin());
    std::string list;
    for (size_t i = 0; i < field.values.size(); ++i) {
      const bool in = node.op == "<"    ? i < index
                      : node.op == "<=" ? i <= index
                      : node.op == ">"  ? i > index
                      : node.op == ">=" ? i >= index
                                        : i == index;
      if (!in) continue;
      list += (list.empty() ? "" : ", ") + Bind(field.sql_values.empty() ? field.values[i] : field.sql_values[i], "");
    }
    if (list.empty()) return std::string("FALSE");
    return node.op == "!=" ? fmt::format("({} IN ({})) IS NOT TRUE", field.sql, list)
                           : fmt::format("{} IN ({})", field.sql, list);
  }

  absl::StatusOr<std::string> CompareJson(const FilterNode& node, const FilterField& field) {
    const std::string path = PathText(node);
    const size_t own = static_cast<size_t>(std::count(field.name.begin(), field.name.end(), '.')) + 1;
    if (node.path.size() == own && path == field.name) {
      if (node.op != ":") return At(node, fmt::format("name a key: {}.key {} value", field.name, node.op));
      if (node.value == "*" && !node.quoted) return fmt::format("{0} IS NOT NULL AND {0} <> '{{}}'::jsonb", field.sql);
      return fmt::format("jsonb_exists({}, {})", field.sql, Bind(node.value, "text"));
    }
    std::string parent = field.sql;
    for (size_t i = own; i + 1 < node.path.size(); ++i) parent = fmt::format("{} -> {}", parent, Bind(node.path[i], "text"));
    const std::string key = Bind(node.path.back(), "text");
    const std::string json = fmt::format("({} -> {})", parent, key);
    const std::string text = fmt::format("({} ->> {})", parent, key);
    if (node.op == ":") {
      if (node.value == "*" && !node.quoted) return fmt::format("{} IS NOT NULL", text);
      return fmt::format("jsonb_exists({}, {})", json, Bind(node.value, "text"));
    }
    if (node.quoted || !ToNumber(node.value)) return CompareString(node, text, false);
    const std::string number = Bind(node.value, "numeric");
    if (IsOrdering(node.op)) {
      return fmt::format("CASE WHEN jsonb_typeof({0}) = 'number' THEN {1}::numeric {2} {3} END", json, text, node.op, number);
    }
    const std::string equal = fmt::format("{} = to_jsonb({}) OR {} = {}", json, number, text, Bind(node.value, "text"));
    return node.op == "!=" ? fmt::format("({}) IS NOT TRUE", equal) : equal;
  }

  const FilterSchema& schema_;
  int next_;
  std::vector<std::string> params_;
};

}  // namespace

absl::StatusOr<SqlFilter> FilterToSql(const FilterNode& filter, const FilterSchema& schema, int first_param) {
  Renderer renderer(schema, first_param);
  SqlFilter out;
  ASSIGN_OR_RETURN(out.where, renderer.Render(filter));
  out.params = renderer.TakeParams();
  return out;
}

absl::StatusOr<SqlFilter> FilterToSql(std::string_view text, const FilterSchema& schema, int first_param) {
  ASSIGN_OR_RETURN(const FilterNode filter, ParseFilter(text));
  return FilterToSql(filter, schema, first_param);
}

}  // namespace vedette::runtime
