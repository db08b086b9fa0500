#include "table/csv_infer.h"

#include <absl/container/flat_hash_map.h>
#include <absl/container/flat_hash_set.h>

#include <algorithm>

#include "base/status.h"
#include "table/encoding.h"
#include "table/fast_number.h"

namespace vedette::table {
namespace {

constexpr size_t kDetectRecords = 200;
constexpr size_t kMaxNameBytes = 1024;
constexpr size_t kMaxNotes = 20;  // of one kind

bool IsNumberEitherWay(std::string_view text) {
  double v = 0;
  return ParseNumberAs(text, DecimalMark::kPoint, &v) || ParseNumberAs(text, DecimalMark::kComma, &v);
}

/// Notes of one kind: the first few in full, the rest as a count.
class NoteList {
 public:
  explicit NoteList(std::vector<std::string>* notes) : notes_(notes) {}
  ~NoteList() {
    if (count_ > kMaxNotes) notes_->push_back(fmt::format("... and {} more notes like the last", count_ - kMaxNotes));
  }
  void Add(std::string note) {
    if (++count_ <= kMaxNotes) notes_->push_back(std::move(note));
  }

 private:
  std::vector<std::string>* notes_;
  size_t count_ = 0;
};

/// What the cells of one column could be.
struct Evidence {
  int64_t present = 0;
  int64_t point = 0, comma = 0;            ///< numbers under each decimal mark
  int64_t point_only = 0, comma_only = 0;  ///< under this one and not the other
  int64_t month_first = 0, day_first = 0, order_matters = 0;

  void Add(std::string_view text) {
    if (const PlainShape shape = ShapeOf(text); shape.plain) {
      // With a comma as decimal mark, 1.234 could be a number of thousands.
      const size_t sign = text[0] == '-' ? 1 : 0;
      const bool grouped = shape.after == 3 && shape.before <= 3 && text[sign] != '0';
      ++present, ++point;
      comma += !shape.has_point || grouped;
      point_only += shape.has_point && !grouped;
      return;
    }
    if (IsMissingText(text) || text.find('\0') != text.npos) return;  // with a zero byte it is bad in any column
    ++present;
    double a = 0, b = 0;
    const bool as_point = ParseNumberAs(text, DecimalMark::kPoint, &a);
    const bool marked = text.find_first_of(".,") != text.npos;
    const bool as_comma = marked ? ParseNumberAs(text, DecimalMark::kComma, &a) : as_point;
    point += as_point;
    comma += as_comma;
    point_only += as_point && !as_comma;
    comma_only += as_comma && !as_point;
    if (as_point || as_comma) return;
    const bool mf = ParseTimestamp(text, DateOrder::kMonthFirst, &a);
    const bool df = ParseTimestamp(text, DateOrder::kDayFirst, &b);
    month_first += mf;
    day_first += df;
    order_matters += mf && df && a != b;
  }
  bool Enough(int64_t count) const { return static_cast<double>(count) >= kTypeShare * static_cast<double>(present); }
  bool SaysComma() const { return comma_only > point_only && Enough(comma); }
  bool SaysPoint() const { return point_only > comma_only && Enough(point); }
};

std::string HeaderName(std::string_view text) {
  std::string name(TrimBlanks(text));
  std::replace_if(name.begin(), name.end(), [](char c) { return c == '\n' || c == '\r' || c == '\t'; }, ' ');
  return std::string(TrimBlanks(Printable(name, kMaxNameBytes)));  // again: what was converted may end in blanks
}

/// Gives every column a name of its own.
void NameColumns(std::vector<std::string>* names, bool has_header, std::vector<std::string>* notes) {
  absl::flat_hash_set<std::string> taken(names->begin(), names->end());
  absl::flat_hash_set<std::string> used;
  absl::flat_hash_map<std::string, int64_t> next;
  NoteList list(notes);
  for (size_t j = 0; j < names->size(); ++j) {
    std::string& name = (*names)[j];
    if (!name.empty() && used.insert(name).second) continue;
    const bool unnamed = name.empty();
    const std::string base = unnamed ? fmt::format("column_{}", j + 1) : name;
    std::string candidate = base;
    int64_t& suffix = next[base];
    if (!unnamed || taken.contains(candidate)) {
      suffix = std::max<int64_t>(suffix, 1);
      do candidate = fmt::format("{}_{}", base, ++suffix);
      while (taken.contains(candidate));
    }
    if (has_header) {
      list.Add(unnamed ? fmt::format("column {} had no name and is called {}", j + 1, candidate)
                       : fmt::format("column {} had the name {} again and is called {}", j + 1, base, candidate));
    }
    name = candidate;
    taken.insert(name);
    used.insert(name);
  }
}

bool LooksLikeData(const CsvRows& cells, size_t record, const Schema& schema) {
  std::string scratch;
  bool any = false, all = true;
  absl::flat_hash_set<std::string> texts;
  for (size_t j = 0; j < cells.record(record).fields; ++j) {
    const std::string_view text = TrimBlanks(cells.Cell(record, j, &scratch));
    texts.emplace(text.data(), text.size());
    if (text.empty()) continue;
    any = true;
    all = all && IsNumberEitherWay(text);
  }
  if (!any || !all) return false;
  const bool names_found = !schema.empty() && std::all_of(schema.begin(), schema.end(), [&](const ColumnSchema& column) {
    return texts.contains(column.name);
  });
  return !names_found;
}

/// R writes a header with one name fewer than there are columns: the first one holds the row names.
bool LacksFirstName(const CsvRows& cells, const std::vector<size_t>& rows) {
  const size_t named = cells.record(rows[0]).fields;
  bool content = false;
  std::string scratch;
  for (size_t i = 1; i < rows.size(); ++i) {
    if (cells.record(rows[i]).fields != named + 1) return false;
    content = content || !IsMissingText(cells.Cell(rows[i], named, &scratch));
  }
  return rows.size() > 2 && content && !cells.Cell(rows[0], named - 1, &scratch).empty();
}

std::vector<std::string> ReadNames(const CsvRows& cells, const std::vector<size_t>& rows, CsvPlan* plan) {
  std::vector<std::string> names;
  const size_t fields = cells.record(rows[0]).fields;
  if (!plan->has_header) {
    names.resize(fields);
    plan->notes.push_back(fmt::format("the first row is all numbers: taken as data, the columns are called column_1 to column_{}", fields));
  } else {
    if (LacksFirstName(cells, rows)) {
      names.emplace_back();
      plan->notes.push_back("the header has one name fewer than the rows have cells: the first column is taken to be the one without");
    }
    std::string scratch;
    for (size_t j = 0; j < fields; ++j) names.push_back(HeaderName(cells.Cell(rows[0], j, &scratch)));
  }
  NameColumns(&names, plan->has_header, &plan->notes);
  return names;
}

absl::Status ApplySchema(const std::vector<std::string>& names, const CsvOptions& options, CsvPlan* plan) {
  absl::flat_hash_map<std::string, int> position;
  for (size_t j = 0; j < names.size(); ++j) position.emplace(names[j], static_cast<int>(j));
  std::vector<CsvColumnPlan> columns;
  std::vector<bool> taken(names.size());
  for (const ColumnSchema& wanted : options.schema) {
    const auto found = position.find(wanted.name);
    if (found == position.end()) {
      return InvalidArgument("there is no column named '{}'{}", Printable(wanted.name, 64),
                             plan->has_header ? "" : " (the input has no header)");
    }
    if (taken[static_cast<size_t>(found->second)]) {
      return InvalidArgument("the schema names the column '{}' twice", Printable(wanted.name, 64));
    }
    columns.push_back(plan->columns[static_cast<size_t>(found->second)]);
    columns.back().type = wanted.type;
    taken[static_cast<size_t>(found->second)] = true;
  }
  const auto others = static_cast<size_t>(std::count(taken.begin(), taken.end(), false));
  if (options.keep_other_columns) {
    for (size_t j = 0; j < names.size(); ++j) {
      if (!taken[j]) columns.push_back(plan->columns[j]);
    }
  } else if (others > 0) {
    plan->notes.push_back(fmt::format("{} columns that are not in the schema were not read", others));
  }
  plan->columns = std::move(columns);
  return absl::OkStatus();
}

/// Type, decimal mark and date order of each column from what its cells could be.
void DecideTypes(const std::vector<Evidence>& evidence, char delimiter, CsvPlan* plan) {
  int64_t point_columns = 0, comma_columns = 0;
  for (const Evidence& e : evidence) {
    point_columns += e.SaysPoint();
    comma_columns += e.SaysComma();
  }
  const bool file_has_comma = comma_columns > 0 && point_columns == 0;
  NoteList commas(&plan->notes), orders(&plan->notes);
  for (size_t j = 0; j < evidence.size(); ++j) {
    const Evidence& e = evidence[j];
    CsvColumnPlan& column = plan->columns[j];
    if (e.SaysComma() || (file_has_comma && e.point_only == 0)) column.mark = DecimalMark::kComma;
    const int64_t numbers = column.mark == DecimalMark::kComma ? e.comma : e.point;
    if (e.Enough(numbers)) {
      column.type = ColumnType::kNumeric;
      if (e.SaysComma()) commas.Add(fmt::format("column {} is read with a decimal comma", column.name));
      continue;
    }
    const bool european = delimiter == ';';
    const bool day_first = e.day_first == e.month_first ? european : e.day_first > e.month_first;
    column.order = day_first ? DateOrder::kDayFirst : DateOrder::kMonthFirst;
    column.type = e.Enough(std::max(e.day_first, e.month_first)) ? ColumnType::kTimestamp : ColumnType::kCategorical;
    if (column.type == ColumnType::kTimestamp && e.day_first == e.month_first && e.order_matters > 0) {
      orders.Add(fmt::format("column {}: no date shows whether the day or the month comes first; the {} is taken to", column.name,
                             day_first ? "day" : "month"));
    }
  }
}

}  // namespace

bool CsvRows::HasStrayQuote(size_t r) const {
  const auto& rec = record(r);
  size_t begin = Begin(r);
  for (uint32_t j = 0; j < rec.fields; ++j) {
    const uint32_t end = tokens_.field_ends()[rec.first_field + j];
    const std::string_view text = TrimBlanks({data_ + begin, (end & CsvTokenizer::kPosition) - begin});
    const bool quoted = (end & CsvTokenizer::kQuoted) != 0;
    if (quoted ? !text.ends_with('"') : text.find('"') != text.npos) return true;
    begin = (end & CsvTokenizer::kPosition) + 1;
  }
  return false;
}

size_t CsvRows::End(size_t r) const {
  const auto& rec = record(r);
  return tokens_.field_ends()[rec.first_field + rec.fields - 1] & CsvTokenizer::kPosition;
}

size_t CsvRows::Begin(size_t r) const {
  const auto& rec = record(r);
  return rec.begin < End(r) && data_[rec.begin] == '\n' ? rec.begin + 1 : rec.begin;
}

bool CsvRows::IsBlank(size_t r) const {
  const auto& rec = record(r);
  if (rec.fields != 1 || (tokens_.field_ends()[rec.first_field] & CsvTokenizer::kQuoted) != 0) return false;
  return TrimBlanks({data_ + rec.begin, End(r) - rec.begin}).empty();
}

std::string_view CsvRows::Cell(size_t r, size_t field, std::string* scratch) const {
  const auto& rec = record(r);
  if (field >= rec.fields) return {};
  const auto& ends = tokens_.field_ends();
  const size_t index = rec.first_field + field;
  const size_t begin = field == 0 ? Begin(r) : (ends[index - 1] & CsvTokenizer::kPosition) + 1;
  const bool has_quotes = (ends[index] & CsvTokenizer::kQuoted) != 0;
  std::string_view text(data_ + begin, (ends[index] & CsvTokenizer::kPosition) - begin);
  if (has_quotes) {
    scratch->clear();
    UnquoteField(text, scratch);
    text = *scratch;
  }
  bool converted = false;
  text = ToUtf8(text, scratch, &converted);
  return has_quotes ? text : TrimBlanks(text);
}

char DetectDelimiter(std::string_view sample, bool complete) {
  constexpr char kCandidates[] = {'\t', ';', '|', ','};
  std::string padded(sample);
  padded.append(CsvTokenizer::kPadding, '\0');
  char best = ',';
  double best_score = 0;
  for (const char candidate : kCandidates) {
    CsvTokenizer tokens(candidate);
    tokens.Scan(padded.data(), sample.size());
    if (complete && tokens.open_quote_line() > 0) continue;  // the quotes make no sense with this delimiter
    if (complete || tokens.records().empty()) tokens.Finish(padded.data(), sample.size());
    const CsvRows rows(padded.data(), tokens);
    absl::flat_hash_map<uint32_t, int64_t> counts;
    uint32_t first = 0;
    int64_t lines = 0, stray = 0;
    for (size_t r = 0; r < rows.size() && lines < static_cast<int64_t>(kDetectRecords); ++r) {
      if (rows.IsBlank(r)) continue;
      if (lines++ == 0) first = rows.record(r).fields;
      ++counts[rows.record(r).fields];
      stray += rows.HasStrayQuote(r);
    }
    int64_t agreeing = 0;
    if (first > 1) {
      agreeing = counts[first] + (counts.contains(first + 1) ? counts[first + 1] : 0) / 2;
    } else {  // a title line, perhaps: what most lines say, at a discount
      for (const auto& [fields, count] : counts) {
        if (fields > 1) agreeing = std::max(agreeing, count / 4);
      }
    }
    // One more line than there are: many lines that agree are worth more than one that fills the sample.
    // Quotes in the middle of fields speak against a delimiter.
    const double score = (static_cast<double>(agreeing) - 0.5 * static_cast<double>(stray)) / static_cast<double>(lines + 1);
    if (score > best_score) {
      best_score = score;
      best = candidate;
    }
  }
  return best;
}

absl::StatusOr<CsvPlan> InferCsvPlan(const CsvRows& cells, const std::vector<size_t>& rows, char delimiter,
                                     const CsvOptions& options) {
  CsvPlan plan;
  const size_t header_fields = cells.record(rows[0]).fields;
  if (static_cast<int64_t>(header_fields) > options.max_columns) {
    return InvalidArgument("line {}: {} columns; at most {} are read", cells.record(rows[0]).line, header_fields, options.max_columns);
  }
  plan.has_header = !LooksLikeData(cells, rows[0], options.schema);
  const std::vector<std::string> names = ReadNames(cells, rows, &plan);
  plan.fields = names.size();
  plan.columns.resize(names.size());
  std::vector<Evidence> evidence(names.size());
  std::string scratch;
  for (size_t i = plan.has_header ? 1 : 0; i < rows.size(); ++i) {
    const size_t fields = std::min<size_t>(cells.record(rows[i]).fields, names.size());
    for (size_t j = 0; j < fields; ++j) evidence[j].Add(cells.Cell(rows[i], j, &scratch));
  }
  for (size_t j = 0; j < names.size(); ++j) {
    plan.columns[j].name = names[j];
    plan.columns[j].field = static_cast<int>(j);
  }
  DecideTypes(evidence, delimiter, &plan);
  if (!options.schema.empty()) RETURN_IF_ERROR(ApplySchema(names, options, &plan));
  return plan;
}

}  // namespace vedette::table
