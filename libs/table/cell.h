// One cell of text: is it missing, is it a number, is it a time? Shared by every reader of tables (CSV, workbooks, JSON).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace vedette::table {

/// True for the spellings of "no value", without regard to surrounding blanks or ASCII case:
/// (empty) - -- . ? na n/a #n/a #na n.a. nan null none nil \n (backslash n) <na> missing #null! #value! #ref! #div/0!
bool IsMissingText(std::string_view text);

/// `text` without leading and trailing blanks: space, tab, CR, LF, VT, FF, and in UTF-8 the no-break spaces U+00A0, U+202F
/// and U+FEFF (a byte order mark in the middle of files that were joined).
std::string_view TrimBlanks(std::string_view text);

/// Which character starts the fraction; the other one of '.' and ',' may then separate groups of three digits.
enum class DecimalMark : uint8_t { kPoint, kComma };

/// A number as people write it, wholly consumed, or false with `reason`. Accepted around the digits: blanks, one sign
/// ('+', '-', U+2212, or a trailing '-' as ledgers print it), parentheses for a negative amount, one currency sign
/// ($ EUR-sign pound yen) before or after, '%' (divides by 100); inside: groups of three digits separated by the other
/// mark, a blank or an apostrophe. Rounded correctly to the nearest double; "1e309" is refused as too large, "inf" and
/// "nan" as not usable; what underflows becomes 0.
bool ParseNumberAs(std::string_view text, DecimalMark mark, double* value, std::string* reason = nullptr);

/// The shortest decimal form that reads back to the same double ("0.1", "1e+300", "-7").
std::string FormatNumber(double value);

/// For 03/04/2024: which comes first. A day above 12 is taken as what it must be under kMonthFirst / kDayFirst only if
/// it fits; otherwise the text is not a time.
enum class DateOrder : uint8_t { kMonthFirst, kDayFirst };

/// A date or a time of the years 1 to 9999 as seconds since 1970-01-01 UTC, to the microsecond. Forms:
///   2024-01-31, 2024/01/31, 2024-01 (first of the month), 31.01.2024, 31/01/2024 or 01/31/2024 (by `order`; also with
///   '-'), 31 Jan 2024, 31-Jan-2024, Jan 31, 2024 (English month names, short or long);
/// each but the month followed by nothing or by a blank or 'T' and HH:MM[:SS[.ffffff]] [AM|PM] [Z|+HH:MM|+HHMM|+HH].
/// Without a zone the time is UTC. Not accepted: plain digits (20240131 is a number) and years of two digits.
bool ParseTimestamp(std::string_view text, DateOrder order, double* seconds);

/// RFC 3339 in UTC, with as much of the fraction as there is, to the microsecond; "" when not finite or outside the
/// years 1 to 9999.
std::string FormatTimestamp(double seconds);

}  // namespace vedette::table
