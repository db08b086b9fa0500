#include "explain/words.h"

#include <fmt/format.h>

#include <cmath>

namespace vedette::explain {
namespace {

/// Puts separators into the digits before the decimal point.
std::string WithSeparators(std::string text) {
  const size_t start = text.starts_with('-') ? 1 : 0;
  size_t end = text.find('.');
  if (end == std::string::npos) end = text.size();
  for (size_t i = end; i > start + 3; i -= 3) text.insert(i - 3, 1, ',');
  return text;
}

std::string TrimZeros(std::string text) {
  if (text.find('.') == std::string::npos) return text;
  while (text.ends_with('0')) text.pop_back();
  if (text.ends_with('.')) text.pop_back();
  return text;
}

/// 2.50e+18 -> "2.5e18", 1.00e-09 -> "1e-9".
std::string Scientific(double value, int digits) {
  const std::string text = fmt::format("{:.{}e}", value, digits - 1);
  const size_t e = text.find('e');
  return TrimZeros(text.substr(0, e)) + fmt::format("e{}", std::stoi(text.substr(e + 1)));
}

/// Length of the valid UTF-8 sequence at text[i], or 0.
size_t SequenceLength(std::string_view text, size_t i) {
  const auto byte = [&](size_t k) { return static_cast<unsigned char>(text[k]); };
  const unsigned char lead = byte(i);
  if (lead < 0x80) return 1;
  const size_t length = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : lead >= 0xC2 ? 2 : 0;
  if (length == 0 || lead > 0xF4 || i + length > text.size()) return 0;
  for (size_t k = 1; k < length; ++k) {
    if ((byte(i + k) & 0xC0) != 0x80) return 0;
  }
  if ((lead == 0xE0 && byte(i + 1) < 0xA0) || (lead == 0xED && byte(i + 1) > 0x9F) ||
      (lead == 0xF0 && byte(i + 1) < 0x90) || (lead == 0xF4 && byte(i + 1) > 0x8F)) {
    return 0;
  }
  return length;
}

/// Characters that would steer a terminal or reorder the line: C0, C1, DEL, bidirectional marks, line separators.
bool Steers(std::string_view c) {
  const auto byte = [&](size_t k) { return static_cast<unsigned char>(c[k]); };
  if (c.size() == 1) return byte(0) < 0x20 || byte(0) == 0x7F;
  if (c.size() == 2) return byte(0) == 0xC2 && byte(1) < 0xA0;
  if (c.size() != 3) return false;
  if (byte(0) == 0xE2 && byte(1) == 0x80)
    return (byte(2) >= 0x8B && byte(2) <= 0x8F) || (byte(2) >= 0xA8 && byte(2) <= 0xAE);
  if (byte(0) == 0xE2 && byte(1) == 0x81) return byte(2) >= 0xA0 && byte(2) <= 0xAF;
  return byte(0) == 0xEF && byte(1) == 0xBB && byte(2) == 0xBF;
}

}  // namespace

std::string FormatNumber(double value, int digits) {
  if (!std::isfinite(value)) return "missing";
  if (value == 0) return "0";
  const double magnitude = std::fabs(value);
  if (magnitude >= 1e15 || magnitude < 1e-5) return Scientific(value, digits);
  // Round to significant digits by way of the scientific form, so that 999.7 at 3 digits becomes 1,000.
  const std::string rounded = fmt::format("{:.{}e}", value, digits - 1);
  const int exponent = std::stoi(rounded.substr(rounded.find('e') + 1));
  const int decimals = std::max(0, digits - 1 - exponent);
  return TrimZeros(WithSeparators(fmt::format("{:.{}f}", std::stod(rounded), decimals)));
}

std::string FormatActual(double value) {
  if (std::isfinite(value) && std::fabs(value) < 1e15 && value == std::floor(value)) {
    return WithSeparators(fmt::format("{:.0f}", value + 0.0));
  }
  const double magnitude = std::fabs(value);
  // A large value with cents keeps them: 1,234,567.89.
  if (std::isfinite(value) && magnitude >= 1e4 && magnitude < 1e15) {
    return TrimZeros(WithSeparators(fmt::format("{:.2f}", value)));
  }
  return FormatNumber(value, 6);
}

std::string FormatPercent(double share) {
  if (!std::isfinite(share)) return "unknown";
  if (share <= 0) return "0%";
  if (share < 0.01) return "<1%";
  if (share >= 1) return "100%";
  if (share > 0.99) return ">99%";
  return fmt::format("{:.0f}%", 100 * share);
}

std::string FormatCount(int64_t n) { return WithSeparators(std::to_string(n)); }

std::string SafeText(std::string_view text, size_t max_chars) {
  std::string out;
  size_t chars = 0, last_start = 0;
  for (size_t i = 0; i < text.size();) {
    if (chars == max_chars) {
      out.resize(last_start);
      return out + "…";
    }
    last_start = out.size();
    const size_t length = SequenceLength(text, i);
    if (length == 0) {
      out += '?';
    } else if (Steers(text.substr(i, length))) {
      out += ' ';
    } else {
      out += text.substr(i, length);
    }
    i += length == 0 ? 1 : length;
    ++chars;
  }
  return out;
}

size_t Width(std::string_view utf8) {
  size_t n = 0;
  for (const char c : utf8) n += (static_cast<unsigned char>(c) & 0xC0) != 0x80;
  return n;
}

}  // namespace vedette::explain
