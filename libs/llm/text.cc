#include "llm/text.h"

#include <algorithm>

namespace vedette::llm {
namespace {

bool Invisible(char32_t c) {
  return c == 0xAD || c == 0x34F || c == 0x61C || c == 0x115F || c == 0x1160 || c == 0x17B4 || c == 0x17B5 ||
         (c >= 0x180B && c <= 0x180F) || (c >= 0x200B && c <= 0x200F) || (c >= 0x202A && c <= 0x202E) ||
         (c >= 0x2060 && c <= 0x206F) || c == 0x3164 || (c >= 0xFE00 && c <= 0xFE0F) || c == 0xFEFF || c == 0xFFA0 ||
         (c >= 0xFFF0 && c <= 0xFFFB) || (c >= 0xE0000 && c <= 0xE0FFF);
}

bool Blank(char32_t c) { return c <= 0x20 || (c >= 0x7F && c <= 0xA0) || c == 0x2028 || c == 0x2029; }

bool Contains(std::string_view text, std::string_view part) { return text.find(part) != std::string_view::npos; }

}  // namespace

std::vector<char32_t> Decode(std::string_view s) {
  std::vector<char32_t> out;
  for (size_t i = 0; i < s.size();) {
    const auto byte = static_cast<unsigned char>(s[i]);
    const size_t length = byte < 0x80 ? 1 : byte >> 5 == 6 ? 2 : byte >> 4 == 14 ? 3 : byte >> 3 == 30 ? 4 : 0;
    char32_t c = length == 1 ? byte : length == 0 ? 0 : byte & (0x7F >> length);
    bool valid = length > 0 && i + length <= s.size();
    for (size_t k = 1; valid && k < length; ++k) {
      const auto next = static_cast<unsigned char>(s[i + k]);
      valid = next >> 6 == 2;
      c = c << 6 | (next & 0x3F);
    }
    constexpr char32_t kLeast[] = {0, 0, 0x80, 0x800, 0x10000};
    valid = valid && c >= kLeast[length] && c <= 0x10FFFF && !(c >= 0xD800 && c <= 0xDFFF);
    out.push_back(valid ? c : U'?');
    i += valid ? length : 1;
  }
  return out;
}

std::string Encode(char32_t c) {
  const auto tail = [c](int shift) { return static_cast<char>(0x80 | (c >> shift & 0x3F)); };
  if (c < 0x80) return {static_cast<char>(c)};
  if (c < 0x800) return {static_cast<char>(0xC0 | c >> 6), tail(0)};
  if (c < 0x10000) return {static_cast<char>(0xE0 | c >> 12), tail(6), tail(0)};
  return {static_cast<char>(0xF0 | c >> 18), tail(12), tail(6), tail(0)};
}

std::string CleanText(std::string_view text, size_t max_chars) {
  // Whatever the length of the cell, only this much of it is looked at.
  std::string out;
  size_t length = 0;
  bool space = false;
  for (const char32_t c : Decode(text.substr(0, 64 * max_chars + 64))) {
    if (Blank(c)) {
      space = length > 0;
    } else if (!Invisible(c)) {
      if (length + (space ? 2 : 1) > max_chars) return out + "...";
      if (space) out += ' ', ++length;
      out += Encode(c);
      ++length;
      space = false;
    }
  }
  return out;
}

std::string EncodeData(const Json& data) {
  std::string out;
  for (const char c : data.dump(-1, ' ', /*ensure_ascii=*/true, Json::error_handler_t::replace)) {
    // These occur inside strings only.
    switch (c) {
      case '<': out += "\\u003c"; break;
      case '>': out += "\\u003e"; break;
      case '&': out += "\\u0026"; break;
      case '`': out += "\\u0060"; break;
      default: out += c;
    }
  }
  return out;
}

std::string_view StripFence(std::string_view text) {
  const auto trim = [](std::string_view s) {
    const size_t begin = s.find_first_not_of(" \t\r\n");
    if (begin == std::string_view::npos) return std::string_view();
    return s.substr(begin, s.find_last_not_of(" \t\r\n") - begin + 1);
  };
  text = trim(text);
  if (text.size() < 6 || !text.starts_with("```") || !text.ends_with("```")) return text;
  text = text.substr(3, text.size() - 6);
  if (text.starts_with("json") || text.starts_with("JSON")) text.remove_prefix(4);
  return trim(text);
}

bool HasMarkup(std::string_view text) {
  std::string lower(text);
  std::transform(lower.begin(), lower.end(), lower.begin(), [](char c) { return c >= 'A' && c <= 'Z' ? char(c + 32) : c; });
  for (const char* mark : {"://", "www.", "](", "```", "javascript:", "data:", "mailto:", "{{", "${", "<|"}) {
    if (Contains(lower, mark)) return true;
  }
  for (size_t i = 0; i + 1 < lower.size(); ++i) {
    if (lower[i] == '<' && (lower[i + 1] == '/' || lower[i + 1] == '!' || (lower[i + 1] >= 'a' && lower[i + 1] <= 'z'))) return true;
  }
  return !lower.empty() && (lower[0] == '=' || lower[0] == '+' || lower[0] == '@' || lower[0] == '-');
}

bool HasExactly(const Json& value, const std::vector<std::string>& members) {
  if (!value.is_object() || value.size() != members.size()) return false;
  return std::all_of(members.begin(), members.end(), [&](const std::string& m) { return value.contains(m); });
}

Json StrictObject(const Json& properties) {
  Json required = Json::array();
  for (const auto& [name, schema] : properties.items()) required.push_back(name);
  return {{"type", "object"}, {"properties", properties}, {"required", required}, {"additionalProperties", false}};
}

}  // namespace vedette::llm
