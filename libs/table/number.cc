// Numbers as text. The parser removes what people put around digits, checks the grouping, and leaves the rounding to
// fast_float (Lemire, "Number Parsing at a Gigabyte per Second", Software: Practice and Experience 51(8), 2021).
#include <absl/strings/ascii.h>
#include <fast_float/fast_float.h>

#include <charconv>
#include <cmath>

#include "table/cell.h"
#include "table/csv.h"

namespace vedette::table {
namespace {

bool EqualsLower(std::string_view text, std::string_view lower) {
  if (text.size() != lower.size()) return false;
  for (size_t i = 0; i < text.size(); ++i) {
    if (absl::ascii_tolower(text[i]) != lower[i]) return false;
  }
  return true;
}

bool Consume(std::string_view* text, std::string_view prefix) {
  if (!text->starts_with(prefix)) return false;
  text->remove_prefix(prefix.size());
  return true;
}
bool ConsumeEnd(std::string_view* text, std::string_view suffix) {
  if (!text->ends_with(suffix)) return false;
  text->remove_suffix(suffix.size());
  return true;
}

constexpr std::string_view kCurrency[] = {"$", "\xE2\x82\xAC", "\xC2\xA3", "\xC2\xA5"};  // dollar, euro, pound, yen
constexpr std::string_view kMinus = "\xE2\x88\x92";                                      // U+2212

constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";  // in the middle of files that were joined

/// Length of the blank or apostrophe that may separate digit groups at the front of `text`; 0 when there is none.
size_t GroupBlank(std::string_view text) {
  if (text.empty()) return 0;
  if (text[0] == ' ' || text[0] == '\'') return 1;
  if (text.starts_with("\xC2\xA0")) return 2;                                          // U+00A0
  if (text.starts_with("\xE2\x80\xAF") || text.starts_with("\xE2\x80\x99")) return 3;  // U+202F, U+2019
  return 0;
}

struct Shape {
  bool negative = false;
  bool percent = false;
};

/// Strips signs, parentheses, currency signs and '%' from both ends; false when they contradict each other.
bool StripAround(std::string_view* text, Shape* shape) {
  std::string_view t = TrimBlanks(*text);
  bool sign = false, currency = false;
  if (t.size() >= 2 && t.front() == '(' && t.back() == ')') {
    t = TrimBlanks(t.substr(1, t.size() - 2));
    shape->negative = sign = true;
  }
  for (bool again = true; again;) {
    again = false;
    if (!sign && (Consume(&t, "-") || Consume(&t, kMinus))) {
      shape->negative = sign = again = true;
    } else if (!sign && Consume(&t, "+")) {
      sign = again = true;
    }
    for (std::string_view symbol : kCurrency) {
      if (!currency && Consume(&t, symbol)) currency = again = true;
    }
    if (again) t = TrimBlanks(t);
  }
  for (bool again = true; again;) {
    again = false;
    if (!shape->percent && ConsumeEnd(&t, "%")) shape->percent = again = true;
    if (!sign && (ConsumeEnd(&t, "-") || ConsumeEnd(&t, kMinus))) shape->negative = sign = again = true;
    for (std::string_view symbol : kCurrency) {
      if (!currency && ConsumeEnd(&t, symbol)) currency = again = true;
    }
    if (again) t = TrimBlanks(t);
  }
  *text = t;
  return !t.empty();
}

constexpr size_t kMaxDigits = 800;  // more can never matter: 768 decide the rounding of any double

/// Copies digits, fraction and exponent of `t` to `out` in the plain form "123.45e6"; false when t is anything else.
bool Normalise(std::string_view t, DecimalMark mark, char* out, size_t* length) {
  const char point = mark == DecimalMark::kPoint ? '.' : ',';
  const char group = mark == DecimalMark::kPoint ? ',' : '.';
  size_t n = 0, digits = 0, run = 0, groups = 0, separator = 0;
  std::string_view kind;
  auto put = [&](char c) {
    if (n >= kMaxDigits) return false;
    out[n++] = c;
    return true;
  };
  const char first = t.empty() ? '\0' : t[0];
  while (!t.empty()) {
    if (absl::ascii_isdigit(t[0])) {
      if (!put(t[0])) return false;
      ++digits, ++run;
      t.remove_prefix(1);
      continue;
    }
    separator = t[0] == group ? 1 : GroupBlank(t);
    if (separator == 0) break;
    // 1,234,567: up to three digits first (not a lone zero), then exactly three each, always the same separator
    if (groups == 0 ? (run == 0 || run > 3 || first == '0') : (run != 3 || t.substr(0, separator) != kind))
      return false;
    kind = t.substr(0, separator);
    ++groups;
    run = 0;
    t.remove_prefix(separator);
  }
  if (groups > 0 && run != 3) return false;
  if (!t.empty() && t[0] == point) {
    t.remove_prefix(1);
    if (!put('.')) return false;
    while (!t.empty() && absl::ascii_isdigit(t[0])) {
      if (!put(t[0])) return false;
      ++digits;
      t.remove_prefix(1);
    }
  }
  if (digits == 0) return false;
  if (!t.empty() && (t[0] == 'e' || t[0] == 'E')) {
    t.remove_prefix(1);
    if (!put('e')) return false;
    if (!t.empty() && (t[0] == '+' || t[0] == '-')) {
      if (!put(t[0])) return false;
      t.remove_prefix(1);
    }
    if (t.empty() || !absl::ascii_isdigit(t[0])) return false;
    while (!t.empty() && absl::ascii_isdigit(t[0])) {
      if (!put(t[0])) return false;
      t.remove_prefix(1);
    }
  }
  *length = n;
  return t.empty();
}

bool Refuse(std::string* reason, std::string_view why) {
  if (reason != nullptr) *reason = why;
  return false;
}

}  // namespace

std::string_view TrimBlanks(std::string_view text) {
  if (!text.empty() && text.front() > ' ' && text.back() > ' ') return text;  // plain ASCII at both ends
  for (;;) {
    if (!text.empty() && (text.front() == ' ' || (text.front() >= '\t' && text.front() <= '\r'))) {
      text.remove_prefix(1);
    } else if (!Consume(&text, "\xC2\xA0") && !Consume(&text, "\xE2\x80\xAF") && !Consume(&text, kByteOrderMark)) {
      break;
    }
  }
  for (;;) {
    if (!text.empty() && (text.back() == ' ' || (text.back() >= '\t' && text.back() <= '\r'))) {
      text.remove_suffix(1);
    } else if (!ConsumeEnd(&text, "\xC2\xA0") && !ConsumeEnd(&text, "\xE2\x80\xAF") &&
               !ConsumeEnd(&text, kByteOrderMark)) {
      break;
    }
  }
  return text;
}

bool IsMissingText(std::string_view text) {
  text = TrimBlanks(text);
  if (text.empty()) return true;
  if (text.size() > 8 || absl::ascii_isdigit(text[0])) return false;
  constexpr std::string_view kSpellings[] = {"-",    "--",      ".",      "?",       "na",    "n/a",    "#n/a",
                                             "#na",  "n.a.",    "nan",    "null",    "none",  "nil",    "\\n",
                                             "<na>", "missing", "#null!", "#value!", "#ref!", "#div/0!"};
  for (std::string_view spelling : kSpellings) {
    if (EqualsLower(text, spelling)) return true;
  }
  return false;
}

bool ParseNumberAs(std::string_view text, DecimalMark mark, double* value, std::string* reason) {
  Shape shape;
  std::string_view t = TrimBlanks(text);
  if (!t.empty() && reason == nullptr && absl::ascii_tolower(t[0]) >= 'a' && absl::ascii_tolower(t[0]) <= 'z')
    return false;  // most texts, quickly
  if (!StripAround(&t, &shape)) return Refuse(reason, TrimBlanks(text).empty() ? "empty" : "not a number");
  const char c = absl::ascii_tolower(t[0]);
  if (c == 'i' && (EqualsLower(t, "inf") || EqualsLower(t, "infinity"))) return Refuse(reason, "infinite");
  if (c == 'n' && EqualsLower(t, "nan")) return Refuse(reason, "not a usable number (nan)");
  char digits[kMaxDigits + 1];
  size_t length = 0;
  if (c >= 'a' && c <= 'z') return Refuse(reason, "not a number");
  if (!Normalise(t, mark, digits, &length)) return Refuse(reason, "not a number");
  double v = 0;
  const auto [end, error] = fast_float::from_chars(digits, digits + length, v);
  if (end != digits + length) return Refuse(reason, "not a number");
  if (!std::isfinite(v)) return Refuse(reason, "too large for a double");
  (void)error;  // underflow is reported by some versions as out of range: 0 is what it becomes
  if (shape.percent) v /= 100;
  *value = shape.negative ? -v : v;
  return true;
}

bool ParseNumber(std::string_view text, double* value, std::string* reason) {
  return ParseNumberAs(text, DecimalMark::kPoint, value, reason);
}

std::string FormatNumber(double value) {
  char buffer[40];
  const auto [end, error] = std::to_chars(buffer, buffer + sizeof buffer, value);
  return error == std::errc() ? std::string(buffer, end) : std::string();
}

}  // namespace vedette::table
