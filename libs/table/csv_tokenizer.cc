#include "table/csv_tokenizer.h"

#if defined(__AVX2__)
#include <immintrin.h>
#endif

#include <algorithm>
#include <bit>
#include <cstring>

namespace vedette::table {
namespace {

/// Bit i is set where p[i] is the character, for 64 characters.
#if defined(__AVX2__)
struct Block {
  explicit Block(const char* p)
      : lo(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p))),
        hi(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p + 32))) {}
  uint64_t Equal(char c) const {
    const __m256i v = _mm256_set1_epi8(c);
    const auto a = static_cast<uint32_t>(_mm256_movemask_epi8(_mm256_cmpeq_epi8(lo, v)));
    const auto b = static_cast<uint32_t>(_mm256_movemask_epi8(_mm256_cmpeq_epi8(hi, v)));
    return static_cast<uint64_t>(b) << 32 | a;
  }
  __m256i lo, hi;
};
#else
struct Block {
  explicit Block(const char* p) { std::memcpy(bytes, p, sizeof bytes); }
  uint64_t Equal(char c) const {
    uint64_t mask = 0;
    for (int i = 0; i < 64; ++i) mask |= static_cast<uint64_t>(bytes[i] == c) << i;
    return mask;
  }
  char bytes[64];
};
#endif

bool IsBlank(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }

}  // namespace

void CsvTokenizer::EndField(size_t at) {
  ends_.push_back(static_cast<uint32_t>(at) | (field_quoted_ ? kQuoted : 0));
  field_quoted_ = false;
  field_begin_ = at + 1;
  state_ = State::kFresh;
}

void CsvTokenizer::EndRecord(size_t at) {
  EndField(at);
  const auto total = static_cast<uint32_t>(ends_.size());
  records_.push_back({static_cast<uint32_t>(record_begin_), record_first_field_, total - record_first_field_, record_line_});
  record_first_field_ = total;
  record_begin_ = at + 1;
  record_line_ = ++line_;
}

void CsvTokenizer::Quote(const char* data, size_t at) {
  switch (state_) {
    case State::kFresh:
      // Blanks before the quote are forgiven; anything else makes it an ordinary character.
      if (std::all_of(data + field_begin_, data + at, IsBlank)) {
        state_ = State::kQuoted;
        field_quoted_ = true;
        quote_at_ = at;
        quote_line_ = line_;
      } else {
        state_ = State::kPlain;
      }
      break;
    case State::kPlain:
      break;
    case State::kQuoted:
      state_ = State::kMaybeClosed;
      quote_at_ = at;
      break;
    case State::kMaybeClosed:
      state_ = at == quote_at_ + 1 ? State::kQuoted : State::kPlain;
      break;
  }
}

void CsvTokenizer::WalkBlock(const char* data, size_t base, uint64_t quotes, uint64_t delimiters, uint64_t lf, uint64_t cr) {
  for (uint64_t bits = quotes | delimiters | lf | cr; bits != 0; bits &= bits - 1) {
    const int i = std::countr_zero(bits);
    const uint64_t bit = bits & (~bits + 1);
    const size_t at = base + static_cast<size_t>(i);
    if ((quotes & bit) != 0) {
      Quote(data, at);
      continue;
    }
    const bool second = (lf & bit) != 0 && at == after_cr_;  // the LF of a CRLF
    if ((cr & bit) != 0) after_cr_ = at + 1;
    if (state_ == State::kQuoted) {
      if (((lf | cr) & bit) != 0 && !second) ++line_;
    } else if ((delimiters & bit) != 0) {
      EndField(at);
    } else if (second) {
      if (at == field_begin_) field_begin_ = at + 1;
    } else {
      EndRecord(at);
    }
  }
}

void CsvTokenizer::EmitBlock(size_t base, uint64_t delimiters, uint64_t line_ends) {
  uint64_t bits = delimiters | line_ends;
  if (bits == 0) return;
  const size_t first = ends_.size();
  const auto count = static_cast<size_t>(std::popcount(bits));
  ends_.resize(first + count);
  uint32_t* out = ends_.data() + first;
  for (uint64_t rest = bits; rest != 0; rest &= rest - 1) {
    *out++ = static_cast<uint32_t>(base) + static_cast<uint32_t>(std::countr_zero(rest));
  }
  if (field_quoted_) ends_[first] |= kQuoted;
  field_quoted_ = false;
  field_begin_ = (ends_.back() & kPosition) + 1;
  state_ = State::kFresh;
  for (; line_ends != 0; line_ends &= line_ends - 1) {
    const uint64_t bit = line_ends & (~line_ends + 1);
    const auto end = static_cast<uint32_t>(first + static_cast<size_t>(std::popcount(bits & (bit - 1))) + 1);
    records_.push_back({static_cast<uint32_t>(record_begin_), record_first_field_, end - record_first_field_, record_line_});
    record_first_field_ = end;
    record_begin_ = base + static_cast<size_t>(std::countr_zero(bit)) + 1;
    record_line_ = ++line_;
  }
}

void CsvTokenizer::Scan(const char* data, size_t size) {
  for (size_t base = scanned_; base < size; base += 64) {
    const Block block(data + base);
    const uint64_t valid = size - base >= 64 ? ~0ULL : (1ULL << (size - base)) - 1;
    const uint64_t quotes = block.Equal('"') & valid;
    const uint64_t delimiters = block.Equal(delimiter_) & valid;
    const uint64_t lf = block.Equal('\n') & valid;
    const uint64_t cr = block.Equal('\r') & valid;
    // The bits of LFs that belong to a CR before them.
    const uint64_t second = lf & (cr << 1 | static_cast<uint64_t>(after_cr_ == base));
    if (quotes != 0) {
      WalkBlock(data, base, quotes, delimiters, lf, cr);
    } else {
      if (cr != 0) after_cr_ = base + 64 - static_cast<size_t>(std::countl_zero(cr));
      if (state_ == State::kQuoted) {
        line_ += std::popcount((lf | cr) & ~second);
      } else {
        EmitBlock(base, delimiters, (lf | cr) & ~second);
      }
    }
  }
  scanned_ = std::max(scanned_, size);
}

void CsvTokenizer::Finish(const char* data, size_t size) {
  const bool only_lf = record_begin_ + 1 == size && after_cr_ == record_begin_ && data[record_begin_] == '\n';  // the LF of the last CRLF
  if (record_first_field_ < ends_.size() || (record_begin_ < size && !only_lf)) EndRecord(size);
}

void CsvTokenizer::DropRecords() {
  const size_t shift = record_begin_;
  ends_.erase(ends_.begin(), ends_.begin() + record_first_field_);
  for (uint32_t& end : ends_) end -= static_cast<uint32_t>(shift);
  records_.clear();
  record_first_field_ = 0;
  scanned_ -= shift;
  field_begin_ -= std::min(field_begin_, shift);
  quote_at_ -= std::min(quote_at_, shift);
  after_cr_ = after_cr_ == SIZE_MAX || after_cr_ < shift ? SIZE_MAX : after_cr_ - shift;
  record_begin_ = 0;
}

void UnquoteField(std::string_view raw, std::string* out) {
  size_t i = raw.find('"') + 1;
  for (;;) {
    const size_t quote = raw.find('"', i);
    if (quote == raw.npos) {
      out->append(raw.substr(i));
      return;
    }
    out->append(raw.substr(i, quote - i));
    i = quote + 1;
    if (i >= raw.size() || raw[i] != '"') break;
    out->push_back('"');
    ++i;
  }
  out->append(raw.substr(i));
}

}  // namespace vedette::table
