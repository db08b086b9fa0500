#include "runtime/filter.h"

#include <algorithm>
#include <cctype>

#include "base/status.h"
#include "runtime/status.h"

namespace vedette::runtime {
namespace {

constexpr size_t kMaxFilterBytes = 4 << 10;
constexpr int kMaxRestrictions = 100;
constexpr int kMaxDepth = 32;
constexpr size_t kMaxPath = 8;

using Kind = FilterNode::Kind;

absl::Status At(size_t position, std::string_view why) {
  return InvalidField("filter", fmt::format("at character {}: {}", position + 1, why));
}

bool IsSpace(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

/// Recursive descent over the grammar of AIP-160 (without functions):
///   expression = sequence { AND sequence }      sequence = factor { factor }      factor = term { OR term }
///   term = [ NOT | - ] simple                   simple = restriction | "(" expression ")"
class Parser {
 public:
  explicit Parser(std::string_view text) : text_(text) {}

  absl::StatusOr<FilterNode> Run() {
    if (text_.size() > kMaxFilterBytes)
      return InvalidField("filter", fmt::format("longer than {} bytes", kMaxFilterBytes));
    FilterNode empty;
    SkipSpace();
    if (AtEnd()) return empty;
    ASSIGN_OR_RETURN(FilterNode node, Expression(0));
    if (!AtEnd()) return At(pos_, text_[pos_] == ')' ? "an unmatched )" : "expected AND, OR or the end");
    return node;
  }

 private:
  bool AtEnd() const { return pos_ >= text_.size(); }
  void SkipSpace() {
    while (!AtEnd() && IsSpace(text_[pos_])) ++pos_;
  }
  static bool IsFieldChar(char c) {
    return std::isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '.' || c == '-' || c == '*' || c == '@' ||
           c == '/' || c == '+' || c == '%' || c == '#' || static_cast<unsigned char>(c) >= 0x80;
  }
  static bool IsValueChar(char c) { return IsFieldChar(c) || c == ':'; }

  /// The keyword, when it stands here as a word of its own; consumed then.
  bool Keyword(std::string_view word) {
    if (!text_.substr(pos_).starts_with(word)) return false;
    const size_t end = pos_ + word.size();
    if (end < text_.size() && !IsSpace(text_[end]) && text_[end] != '(') return false;
    pos_ = end;
    SkipSpace();
    return true;
  }
  bool AtKeyword(std::string_view word) {
    const size_t before = pos_;
    const bool found = Keyword(word);
    pos_ = before;
    return found;
  }

  static FilterNode Join(Kind kind, std::vector<FilterNode> nodes) {
    if (nodes.size() == 1) return std::move(nodes.front());
    FilterNode node;
    node.kind = kind;
    node.children = std::move(nodes);
    return node;
  }

  absl::StatusOr<FilterNode> Expression(int depth) {
    if (depth > kMaxDepth) return At(pos_, fmt::format("nested deeper than {} levels", kMaxDepth));
    std::vector<FilterNode> all;
    do {
      ASSIGN_OR_RETURN(FilterNode first, Factor(depth));
      all.push_back(std::move(first));
      while (!AtEnd() && text_[pos_] != ')' && !AtKeyword("AND")) {
        ASSIGN_OR_RETURN(FilterNode next, Factor(depth));
        all.push_back(std::move(next));
      }
    } while (Keyword("AND"));
    return Join(Kind::kAnd, std::move(all));
  }

  absl::StatusOr<FilterNode> Factor(int depth) {
    std::vector<FilterNode> any;
    do {
      ASSIGN_OR_RETURN(FilterNode term, Term(depth));
      any.push_back(std::move(term));
    } while (Keyword("OR"));
    return Join(Kind::kOr, std::move(any));
  }

  absl::StatusOr<FilterNode> Term(int depth) {
    bool negate = Keyword("NOT");
    if (!negate && !AtEnd() && text_[pos_] == '-') {
      ++pos_;
      negate = true;
    }
    ASSIGN_OR_RETURN(FilterNode node, Simple(depth));
    if (!negate) return node;
    FilterNode out;
    out.kind = Kind::kNot;
    out.position = node.position;
    out.children.push_back(std::move(node));
    return out;
  }

  absl::StatusOr<FilterNode> Simple(int depth) {
    if (AtEnd()) return At(pos_, "expected a field or a word");
    if (text_[pos_] != '(') return Restriction();
    const size_t open = pos_++;
    SkipSpace();
    ASSIGN_OR_RETURN(FilterNode node, Expression(depth + 1));
    if (AtEnd() || text_[pos_] != ')') return At(open, "this ( is not closed");
    ++pos_;
    SkipSpace();
    return node;
  }

  absl::StatusOr<FilterNode> Restriction() {
    if (++restrictions_ > kMaxRestrictions) return At(pos_, fmt::format("more than {} terms", kMaxRestrictions));
    FilterNode node;
    node.position = static_cast<int>(pos_);
    const size_t begin = pos_;
    RETURN_IF_ERROR(Value(&node, /*in_field=*/true));
    if (!AtEnd() && text_[pos_] == '(') return At(begin, "functions are not supported");
    SkipSpace();
    ASSIGN_OR_RETURN(node.op, Comparator());
    if (node.op.empty()) {
      if (!node.quoted && (node.value == "AND" || node.value == "OR" || node.value == "NOT")) {
        return At(begin, fmt::format("{} needs a term on each side", node.value));
      }
      node.kind = Kind::kSearch;
      return node;
    }
    node.kind = Kind::kRestriction;
    RETURN_IF_ERROR(SplitPath(begin, &node));
    SkipSpace();
    node.quoted = false;
    node.like.clear();
    if (AtEnd()) return At(pos_, fmt::format("expected a value after {}", node.op));
    if (text_[pos_] == '(') return At(pos_, "lists of values are not supported; use OR");
    RETURN_IF_ERROR(Value(&node, /*in_field=*/false));
    SkipSpace();
    return node;
  }

  static absl::Status SplitPath(size_t begin, FilterNode* node) {
    std::string part;
    if (node->quoted) {
      node->path.push_back(node->value);
      return absl::OkStatus();
    }
    for (const char c : node->value + ".") {
      if (c != '.') {
        part.push_back(c);
        continue;
      }
      if (part.empty()) return At(begin, fmt::format("\"{}\" is not a field", node->value));
      node->path.push_back(std::move(part));
      part.clear();
    }
    if (node->path.size() > kMaxPath) return At(begin, fmt::format("more than {} parts in a field", kMaxPath));
    return absl::OkStatus();
  }

  absl::StatusOr<std::string> Comparator() {
    for (const std::string_view op : {"<=", ">=", "!=", "=", "<", ">", ":"}) {
      if (!text_.substr(pos_).starts_with(op)) continue;
      pos_ += op.size();
      return std::string(op);
    }
    return std::string();
  }

  /// A word or a quoted string into value, quoted and like.
  absl::Status Value(FilterNode* node, bool in_field) {
    node->value.clear();
    const char first = text_[pos_];
    const size_t begin = pos_;
    bool wildcard = false;
    std::string like;
    const auto add = [&](char c) {
      node->value.push_back(c);
      if (c == '%' || c == '_' || c == '\\') like.push_back('\\');
      like.push_back(c);
    };
    const auto star = [&] {
      node->value.push_back('*');
      like.push_back('%');
      wildcard = true;
    };
    if (first == '"' || first == '\'') {
      node->quoted = true;
      for (++pos_;; ++pos_) {
        if (AtEnd()) return At(begin, "this string is not closed");
        char c = text_[pos_];
        if (c == first) break;
        if (c == '*') {
          star();
          continue;
        }
        if (c == '\\') {
          if (++pos_ >= text_.size()) return At(begin, "this string is not closed");
          c = text_[pos_];
        }
        add(c);
      }
      ++pos_;
    } else {
      for (; !AtEnd() && (in_field ? IsFieldChar(text_[pos_]) : IsValueChar(text_[pos_])); ++pos_) {
        text_[pos_] == '*' ? star() : add(text_[pos_]);
      }
      if (pos_ == begin) return At(begin, fmt::format("unexpected {}", text_[begin]));
    }
    if (node->value.find('\0') != std::string::npos) return At(begin, "a NUL byte is not text");
    if (wildcard) node->like = std::move(like);
    return absl::OkStatus();
  }

  std::string_view text_;
  size_t pos_ = 0;
  int restrictions_ = 0;
};

}  // namespace

absl::StatusOr<FilterNode> ParseFilter(std::string_view text) { return Parser(text).Run(); }

std::string NearestName(std::string_view name, std::span<const std::string> candidates) {
  // Levenshtein distance, one row at a time; letter case costs nothing.
  const auto lower = [](char c) { return std::tolower(static_cast<unsigned char>(c)); };
  size_t best = std::max<size_t>(2, name.size() / 3) + 1;
  std::string nearest;
  if (name.size() > 200) return nearest;
  std::vector<size_t> row(name.size() + 1);
  for (const std::string& candidate : candidates) {
    for (size_t i = 0; i <= name.size(); ++i) row[i] = i;
    for (size_t j = 1; j <= candidate.size(); ++j) {
      size_t diagonal = row[0];
      row[0] = j;
      for (size_t i = 1; i <= name.size(); ++i) {
        const size_t replace = diagonal + (lower(name[i - 1]) == lower(candidate[j - 1]) ? 0 : 1);
        diagonal = row[i];
        row[i] = std::min({replace, row[i] + 1, row[i - 1] + 1});
      }
    }
    if (row.back() < best && row.back() < std::max(name.size(), candidate.size())) {
      best = row.back();
      nearest = candidate;
    }
  }
  return nearest;
}

}  // namespace vedette::runtime
