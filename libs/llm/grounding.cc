#include "llm/grounding.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <optional>
#include <set>

#include "llm/text.h"

namespace vedette::llm {
namespace {

bool Digit(char c) { return c >= '0' && c <= '9'; }
bool Lower(char c) { return c >= 'a' && c <= 'z'; }
bool Upper(char c) { return c >= 'A' && c <= 'Z'; }
bool Word(char c) { return Digit(c) || Lower(c) || Upper(c) || c == '_' || static_cast<unsigned char>(c) >= 0x80; }

bool ForeignDigit(char32_t c) {
  // Superscripts, subscripts, fractions, Roman and circled numerals, full-width and mathematical digits, Arabic, Indic,
  // Thai, Lao, Tibetan, Myanmar, Khmer, Mongolian, Chinese numerals.
  if (c == 0xB2 || c == 0xB3 || c == 0xB9 || (c >= 0xBC && c <= 0xBE) || (c >= 0x2070 && c <= 0x2089) ||
      (c >= 0x2150 && c <= 0x218B) || (c >= 0x2460 && c <= 0x24FF) || (c >= 0x2776 && c <= 0x2793) ||
      (c >= 0xFF10 && c <= 0xFF19) || (c >= 0x1D7CE && c <= 0x1D7FF) || (c >= 0x660 && c <= 0x669) ||
      (c >= 0x6F0 && c <= 0x6F9) || (c >= 0x1040 && c <= 0x1049) || (c >= 0x17E0 && c <= 0x17E9) ||
      (c >= 0x1810 && c <= 0x1819) || (c >= 0xE50 && c <= 0xE59) || (c >= 0xED0 && c <= 0xED9) || (c >= 0xF20 && c <= 0xF33)) {
    return true;
  }
  for (char32_t zero = 0x966; zero <= 0xD66; zero += 0x80) {
    if (c >= zero && c <= zero + 9) return true;
  }
  for (const char32_t n : {0x4E00, 0x4E8C, 0x4E09, 0x56DB, 0x4E94, 0x516D, 0x4E03, 0x516B, 0x4E5D, 0x5341, 0x767E, 0x5343, 0x4E07}) {
    if (c == n) return true;
  }
  return false;
}

/// Tokens: runs of word characters with . , : / - + ' between two of them, signs before a digit.
std::vector<std::string> Tokens(std::string_view s) {
  std::vector<std::string> out;
  for (size_t i = 0; i < s.size();) {
    if (!Word(s[i])) {
      ++i;
      continue;
    }
    size_t end = i + 1;
    while (end < s.size() && (Word(s[end]) || (end + 1 < s.size() && std::string_view(".,:/-+'").find(s[end]) != std::string_view::npos &&
                                               Word(s[end + 1])))) {
      ++end;
    }
    out.emplace_back(s.substr(i, end - i));
    i = end;
  }
  return out;
}

/// The value of "1,234.5", "2.5e18"; with up to three letters behind it for a unit ("12ms", "3x").
std::optional<double> ValueOf(std::string_view token) {
  size_t letters = 0;
  while (letters < token.size() && (Lower(token[token.size() - 1 - letters]) || Upper(token[token.size() - 1 - letters]))) ++letters;
  if (letters > 3) return std::nullopt;
  token.remove_suffix(letters);
  std::string plain;
  for (size_t i = 0; i < token.size(); ++i) {
    if (token[i] != ',') {
      plain += token[i];
      continue;
    }
    // A separator of thousands: three digits follow, and not a fourth.
    for (size_t k = 1; k <= 3; ++k) {
      if (i + k >= token.size() || !Digit(token[i + k])) return std::nullopt;
    }
    if (i + 4 < token.size() && Digit(token[i + 4])) return std::nullopt;
  }
  double value = 0;
  const auto [end, error] = std::from_chars(plain.data(), plain.data() + plain.size(), value);
  if (error != std::errc() || end != plain.data() + plain.size() || !std::isfinite(value)) return std::nullopt;
  return value;
}

std::string LowerCase(std::string s) {
  std::transform(s.begin(), s.end(), s.begin(), [](char c) { return Upper(c) ? char(c + 32) : c; });
  return s;
}

const std::set<std::string>& NumberWords() {
  static const std::set<std::string> words = {
      "zero",    "two",      "three",   "four",    "five",      "six",      "seven",    "eight",   "nine",      "ten",
      "eleven",  "twelve",   "thirteen", "fourteen", "fifteen", "sixteen",  "seventeen", "eighteen", "nineteen", "twenty",
      "thirty",  "forty",    "fifty",   "sixty",   "seventy",   "eighty",   "ninety",   "hundred", "thousand",  "million",
      "billion", "trillion", "dozen",   "hundreds", "thousands", "millions", "billions", "dozens",  "twice",     "thrice",
      "double",  "doubled",  "triple",  "tripled", "tenfold",   "twofold",  "threefold", "hundredfold", "half", "quarter",
      "quadruple", "hundredth", "tenth"};
  return words;
}

/// Names in code: a_b, a.b (but not a sentence's end), aB.
bool LooksLikeName(const std::string& t) {
  if (t.find('_') != std::string::npos) return true;
  for (size_t i = 1; i + 1 < t.size(); ++i) {
    if (t[i] == '.' && Word(t[i - 1]) && Word(t[i + 1]) && t.size() > 4) return true;
  }
  for (size_t i = 1; i < t.size(); ++i) {
    if (Lower(t[i - 1]) && Upper(t[i])) return true;
  }
  return false;
}

/// `text` without whole occurrences of `name`.
void TakeOut(std::string& text, const std::string& name) {
  if (name.empty()) return;
  const bool long_text = std::count(name.begin(), name.end(), ' ') > 2;
  const std::string wanted = long_text ? '"' + name + '"' : name;
  for (size_t at = 0; (at = text.find(wanted, at)) != std::string::npos;) {
    const size_t end = at + wanted.size();
    const bool whole = (at == 0 || !Word(text[at - 1]) || !Word(wanted.front())) &&
                       (end == text.size() || !Word(text[end]) || !Word(wanted.back()));
    // "12" is no whole name in "12.5" or "3.12".
    const bool inside = (end + 1 < text.size() && (text[end] == '.' || text[end] == ',') && Digit(text[end + 1])) ||
                        (at > 1 && (text[at - 1] == '.' || text[at - 1] == ',') && Digit(text[at - 2]));
    if (whole && !inside) text.replace(at, wanted.size(), " ; ");
    else ++at;
  }
}

struct Allowed {
  std::set<std::string> tokens, words;
  std::vector<double> numbers;
  explicit Allowed(const Grounds& grounds) {
    for (const std::string& v : grounds.values) {
      for (std::string& t : Tokens(v)) {
        if (const auto value = ValueOf(t)) numbers.push_back(*value);
        words.insert(LowerCase(t));
        tokens.insert(std::move(t));
      }
    }
  }
  bool Number(double value) const {
    return std::any_of(numbers.begin(), numbers.end(), [value](double n) { return std::abs(n - value) <= 1e-9 * std::abs(n); });
  }
};

}  // namespace

std::string CheckText(std::string_view text, const Grounds& grounds) {
  if (HasMarkup(text)) return "markup";
  std::string rest(text);
  std::vector<std::string> names = grounds.names;
  std::sort(names.begin(), names.end(), [](const auto& a, const auto& b) { return a.size() > b.size(); });
  for (const std::string& name : names) TakeOut(rest, name);
  for (const char32_t c : Decode(rest)) {
    if (ForeignDigit(c)) return "ungrounded";
  }
  const Allowed allowed(grounds);
  for (const std::string& t : Tokens(rest)) {
    if (allowed.tokens.contains(t)) continue;
    if (std::any_of(t.begin(), t.end(), Digit)) {
      const auto value = ValueOf(t);
      if (!value || !allowed.Number(*value)) return "ungrounded";
    } else if (LooksLikeName(t)) {
      return "ungrounded";
    } else {
      for (const std::string& part : Tokens(t)) {
        std::string word;
        for (const char c : LowerCase(part) + '-') {
          if (Lower(c)) {
            word += c;
            continue;
          }
          if (NumberWords().contains(word) && !allowed.words.contains(word)) return "ungrounded";
          word.clear();
        }
      }
    }
  }
  return "";
}

}  // namespace vedette::llm
