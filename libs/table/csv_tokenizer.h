// Finds where fields and records end. No cell is copied or converted here.
//
// 64 bytes at a time: vector compares give one bit mask each for quotes, delimiters and line ends (the idea of Langdale
// and Lemire, "Parsing Gigabytes of JSON per Second", VLDB Journal 28, 2019). Blocks without a quote emit their bits
// directly. Blocks with quotes walk the set bits through a small state machine, because a quote inside an unquoted
// field (5" pipe) is an ordinary character and must not flip the state of all that follows.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace vedette::table {

/// The grammar: fields are separated by `delimiter`, records end with LF, CRLF or CR. A field whose first character other
/// than a blank is '"' is quoted: delimiters and line ends inside are data, "" is one quote, what follows the closing
/// quote belongs to the field as it stands. A quote anywhere else is an ordinary character.
class CsvTokenizer {
 public:
  static constexpr size_t kPadding = 64;           ///< readable bytes that the buffer must have after its end
  static constexpr uint32_t kQuoted = 0x80000000;  ///< flag of a field end: the field needs UnquoteField
  static constexpr uint32_t kPosition = 0x7FFFFFFF;

  struct Record {
    uint32_t begin = 0;        ///< of the first field; may still stand on the LF of a CRLF
    uint32_t first_field = 0;  ///< index into field_ends()
    uint32_t fields = 0;
    int64_t line = 0;          ///< 1-based line of the input on which the record starts
  };

  /// `skip` bytes of the input, one line of it, come before the first record.
  explicit CsvTokenizer(char delimiter, size_t skip = 0)
      : delimiter_(delimiter), scanned_(skip), field_begin_(skip), record_begin_(skip) {
    if (skip > 0) line_ = record_line_ = 2;
  }

  /// Continues in data[scanned, size). The bytes before `scanned` must be those of the last call. size < 2^31.
  void Scan(const char* data, size_t size);
  /// Ends the input: the last record needs no line end.
  void Finish(const char* data, size_t size);

  const std::vector<Record>& records() const { return records_; }
  const std::vector<uint32_t>& field_ends() const { return ends_; }
  /// Where the record that is not complete yet begins; everything before may be dropped with DropRecords.
  size_t open_begin() const { return record_begin_; }
  /// Line on which the open quote stands, or 0 when no quote is open.
  int64_t open_quote_line() const { return state_ == State::kQuoted ? quote_line_ : 0; }
  /// Line on which the open record starts.
  int64_t open_line() const { return record_line_; }

  /// Forgets all records and the data[0, open_begin()) they lie in: the caller moves the rest to the front.
  void DropRecords();

 private:
  /// kFresh: at the start of a field, only blanks so far. kPlain: an unquoted field, or behind a closing quote.
  /// kMaybeClosed: behind a quote in a quoted field; another quote right behind it would be data.
  enum class State : uint8_t { kFresh, kPlain, kQuoted, kMaybeClosed };

  void WalkBlock(const char* data, size_t base, uint64_t quotes, uint64_t delimiters, uint64_t lf, uint64_t cr);
  void EmitBlock(size_t base, uint64_t delimiters, uint64_t line_ends);
  void Quote(const char* data, size_t at);
  void EndField(size_t at);
  void EndRecord(size_t at);

  char delimiter_;
  State state_ = State::kFresh;
  bool field_quoted_ = false;
  size_t scanned_ = 0;
  size_t field_begin_ = 0;
  size_t record_begin_ = 0;
  size_t quote_at_ = 0;       ///< last quote seen in a quoted field
  size_t after_cr_ = SIZE_MAX;  ///< position behind the last CR: a LF there belongs to it
  uint32_t record_first_field_ = 0;
  int64_t line_ = 1;
  int64_t record_line_ = 1;
  int64_t quote_line_ = 0;
  std::vector<uint32_t> ends_;
  std::vector<Record> records_;
};

/// The content of a quoted field: `raw` is all between its delimiters. Appends to `out`.
void UnquoteField(std::string_view raw, std::string* out);

}  // namespace vedette::table
