#include "services/gateway/core/uri.h"

#include <algorithm>

#include "base/status.h"

namespace vedette::gateway {
namespace {

int HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

std::optional<std::string> PercentDecode(std::string_view text, bool plus_is_space) {
  std::string out;
  out.reserve(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '+' && plus_is_space) {
      out.push_back(' ');
    } else if (text[i] != '%') {
      out.push_back(text[i]);
    } else {
      if (i + 2 >= text.size()) return std::nullopt;
      const int high = HexDigit(text[i + 1]), low = HexDigit(text[i + 2]);
      if (high < 0 || low < 0) return std::nullopt;
      out.push_back(static_cast<char>(high * 16 + low));
      i += 2;
    }
  }
  return out;
}

bool IsControl(char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; }

/// Bytes of the character that begins with `lead`, and the bounds of the byte after it (Unicode 15, table 3-7).
struct Utf8Lead {
  int length = 0;
  unsigned char low = 0x80, high = 0xBF;
};
Utf8Lead ReadLead(unsigned char lead) {
  if (lead < 0x80) return {1};
  if (lead >= 0xC2 && lead <= 0xDF) return {2};
  if (lead == 0xE0) return {3, 0xA0, 0xBF};
  if (lead == 0xED) return {3, 0x80, 0x9F};
  if (lead >= 0xE1 && lead <= 0xEF) return {3};
  if (lead == 0xF0) return {4, 0x90, 0xBF};
  if (lead >= 0xF1 && lead <= 0xF3) return {4};
  if (lead == 0xF4) return {4, 0x80, 0x8F};
  return {};
}

}  // namespace

bool IsUtf8(std::string_view text) {
  for (size_t i = 0; i < text.size();) {
    const Utf8Lead lead = ReadLead(static_cast<unsigned char>(text[i]));
    if (lead.length == 0 || i + static_cast<size_t>(lead.length) > text.size()) return false;
    for (int k = 1; k < lead.length; ++k) {
      const auto byte = static_cast<unsigned char>(text[i + static_cast<size_t>(k)]);
      if (byte < (k == 1 ? lead.low : 0x80) || byte > (k == 1 ? lead.high : 0xBF)) return false;
    }
    i += static_cast<size_t>(lead.length);
  }
  return true;
}

std::optional<Target> SplitTarget(std::string_view target) {
  if (target.empty() || target.front() != '/') return std::nullopt;
  if (std::any_of(target.begin(), target.end(), [](char c) { return IsControl(c) || c == ' ' || c == '#'; }))
    return std::nullopt;
  const size_t question = target.find('?');
  if (question == std::string_view::npos) return Target{target, {}};
  return Target{target.substr(0, question), target.substr(question + 1)};
}

std::optional<std::string> DecodeSegment(std::string_view segment) {
  std::optional<std::string> out = PercentDecode(segment, /*plus_is_space=*/false);
  if (!out || out->empty() || *out == "." || *out == ".." || !IsUtf8(*out)) return std::nullopt;
  if (std::any_of(out->begin(), out->end(), [](char c) { return IsControl(c) || c == '/' || c == '\\'; }))
    return std::nullopt;
  return out;
}

absl::StatusOr<std::vector<std::pair<std::string, std::string>>> ParseQuery(std::string_view query) {
  std::vector<std::pair<std::string, std::string>> out;
  while (!query.empty()) {
    const std::string_view pair = query.substr(0, query.find('&'));
    query.remove_prefix(std::min(query.size(), pair.size() + 1));
    if (pair.empty()) continue;
    if (out.size() >= kMaxQueryParameters) return InvalidArgument("more than {} query parameters", kMaxQueryParameters);
    const size_t equals = pair.find('=');
    const auto name = PercentDecode(pair.substr(0, equals), true);
    const auto value =
        PercentDecode(equals == std::string_view::npos ? std::string_view() : pair.substr(equals + 1), true);
    if (!name || !value || !IsUtf8(*name) || !IsUtf8(*value) || value->find('\0') != std::string::npos) {
      return InvalidArgument(
          "query parameter {} is not well encoded: each % needs two hexadecimal digits, and the text must "
          "be UTF-8",
          out.size() + 1);
    }
    out.emplace_back(*name, *value);
  }
  return out;
}

}  // namespace vedette::gateway
