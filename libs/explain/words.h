// Numbers and cell texts as a person wants to read them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace vedette::explain {

/// `digits` significant digits, thousands separators, no trailing zeros: 1234567 -> "1,230,000", 0.30000000000000004
/// -> "0.3", 1e-17 -> "1e-17", 2.5e18 -> "2.5e18". Not finite: "missing".
std::string FormatNumber(double value, int digits = 3);

/// Whole numbers in full up to 15 digits ("1,234,567"), others to 6 significant digits: what a cell held.
std::string FormatActual(double value);

/// 0.9834 -> "98%"; never "100%" or "0%" for what is only near it: ">99%", "<1%".
std::string FormatPercent(double share);

/// 1234567 -> "1,234,567".
std::string FormatCount(int64_t n);

/// Text from outside made safe to print: control characters and line ends become spaces, invalid UTF-8 becomes '?',
/// and what is longer than `max_chars` characters ends in an ellipsis.
std::string SafeText(std::string_view text, size_t max_chars = 48);

/// Number of characters (code points) of UTF-8 text: the width of a column in a terminal for most scripts.
size_t Width(std::string_view utf8);

}  // namespace vedette::explain
