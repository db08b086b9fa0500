// A second reading of the CSV grammar, written one character at a time without regard to speed: what the real reader is
// compared with. It shares no code with it.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace vedette::table {

/// Records of cells; a quoted cell keeps its blanks, others are trimmed; blank lines are no records. `open_quote` is set
/// when the input ends inside quotes.
inline std::vector<std::vector<std::string>> ReferenceRecords(std::string_view text, char delimiter, bool* open_quote) {
  std::vector<std::vector<std::string>> records;
  std::vector<std::string> record;
  std::string cell;
  bool quoted = false, inside = false;
  auto trim = [](std::string s) {
    const char* blanks = " \t\r\n\v\f";
    const size_t begin = s.find_first_not_of(blanks);
    return begin == s.npos ? std::string() : s.substr(begin, s.find_last_not_of(blanks) - begin + 1);
  };
  auto end_cell = [&] {
    record.push_back(quoted ? cell : trim(cell));
    cell.clear();
    quoted = false;
  };
  auto end_record = [&] {
    const bool blank = record.empty() && !quoted && trim(cell).empty();
    end_cell();
    if (!blank) records.push_back(record);
    record.clear();
  };
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (inside) {
      if (c != '"') {
        cell += c;
      } else if (i + 1 < text.size() && text[i + 1] == '"') {
        cell += '"';
        ++i;
      } else {
        inside = false;
      }
    } else if (c == '"' && !quoted && trim(cell).empty()) {
      cell.clear();
      quoted = inside = true;
    } else if (c == delimiter) {
      end_cell();
    } else if (c == '\n' || c == '\r') {
      end_record();
      if (c == '\r' && i + 1 < text.size() && text[i + 1] == '\n') ++i;
    } else {
      cell += c;
    }
  }
  *open_quote = inside;
  if (!record.empty() || !cell.empty() || quoted) end_record();
  return records;
}

}  // namespace vedette::table
