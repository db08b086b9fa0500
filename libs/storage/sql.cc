#include "storage/sql.h"

#include <absl/strings/cord.h>
#include <absl/time/civil_time.h>

#include <charconv>
#include <cmath>
#include <cstring>
#include <limits>

#include "base/status.h"
#include "storage/sql_internal.h"

namespace vedette::storage {
namespace {

constexpr char kSqlStatePayload[] = "vedette/sqlstate";
constexpr char kConstraintPayload[] = "vedette/constraint";

bool ParseInt(std::string_view s, int64_t* out) {
  const auto [end, error] = std::from_chars(s.data(), s.data() + s.size(), *out);
  return error == std::errc() && end == s.data() + s.size();
}

bool ParseDouble(std::string_view s, double* out) {
  if (s == "NaN") return *out = std::numeric_limits<double>::quiet_NaN(), true;
  if (s == "Infinity") return *out = std::numeric_limits<double>::infinity(), true;
  if (s == "-Infinity") return *out = -std::numeric_limits<double>::infinity(), true;
  const auto [end, error] = std::from_chars(s.data(), s.data() + s.size(), *out);
  return error == std::errc() && end == s.data() + s.size();
}

bool TakeInt(std::string_view* s, char stop, int64_t* out) {
  const size_t at = stop == '\0' ? s->size() : s->find(stop);
  if (at == std::string_view::npos || !ParseInt(s->substr(0, at), out)) return false;
  s->remove_prefix(std::min(s->size(), at + 1));
  return true;
}

// "2024-02-29 12:34:56.789+00", "2024-02-29", "12024-01-01 00:00:00+00", "0044-03-15 00:00:00+00 BC", "infinity".
// The session's TimeZone is UTC and its DateStyle ISO, so the offset is always +00.
bool ParseTime(std::string_view s, absl::Time* out) {
  if (s == "infinity") return *out = absl::InfiniteFuture(), true;
  if (s == "-infinity") return *out = absl::InfinitePast(), true;
  const bool bc = s.ends_with(" BC");
  if (bc) s.remove_suffix(3);
  int64_t y = 0, mo = 0, d = 0, h = 0, mi = 0, sec = 0, micros = 0;
  const size_t space = s.find(' ');
  std::string_view date = s.substr(0, space);
  if (!TakeInt(&date, '-', &y) || !TakeInt(&date, '-', &mo) || !TakeInt(&date, '\0', &d)) return false;
  if (space != std::string_view::npos) {
    std::string_view time = s.substr(space + 1);
    if (time.ends_with("+00")) time.remove_suffix(3);
    if (!TakeInt(&time, ':', &h) || !TakeInt(&time, ':', &mi)) return false;
    const size_t dot = time.find('.');
    if (!ParseInt(time.substr(0, dot), &sec)) return false;
    if (dot != std::string_view::npos) {
      std::string digits(time.substr(dot + 1));
      if (digits.empty() || digits.size() > 6) return false;
      digits.resize(6, '0');
      if (!ParseInt(digits, &micros)) return false;
    }
  }
  if (bc) y = 1 - y;
  *out = absl::FromCivil(absl::CivilSecond(y, mo, d, h, mi, sec), absl::UTCTimeZone()) + absl::Microseconds(micros);
  return true;
}

int HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;
}

bool ParseBytea(std::string_view s, std::string* out) {
  if (!s.starts_with("\\x") || s.size() % 2 != 0) return false;
  s.remove_prefix(2);
  out->reserve(s.size() / 2);
  for (size_t i = 0; i < s.size(); i += 2) {
    const int high = HexDigit(s[i]), low = HexDigit(s[i + 1]);
    if (high < 0 || low < 0) return false;
    out->push_back(static_cast<char>(high * 16 + low));
  }
  return true;
}

struct ArrayElement {
  std::string text;
  bool null = false;
};

// {a,"b \"c\"",NULL}: one dimension only.
bool ParseArray(std::string_view s, std::vector<ArrayElement>* out) {
  if (s.size() < 2 || s.front() != '{' || s.back() != '}') return false;
  s = s.substr(1, s.size() - 2);
  size_t i = 0;
  while (i < s.size()) {
    ArrayElement e;
    if (s[i] == '{') return false;
    if (s[i] == '"') {
      for (++i; i < s.size() && s[i] != '"'; ++i) {
        if (s[i] == '\\' && ++i == s.size()) return false;
        e.text.push_back(s[i]);
      }
      if (i++ >= s.size()) return false;
    } else {
      const size_t end = std::min(s.find(',', i), s.size());
      e.text = s.substr(i, end - i);
      e.null = e.text == "NULL";
      i = end;
    }
    out->push_back(std::move(e));
    if (i < s.size() && s[i++] != ',') return false;
  }
  return true;
}

template <typename T, typename Append>
std::string FormatArray(const std::vector<T>& v, Append append) {
  std::string out = "{";
  for (size_t i = 0; i < v.size(); ++i) {
    if (i > 0) out += ',';
    append(v[i], &out);
  }
  return out += '}';
}

}  // namespace

Param::Param(absl::Time v) {
  if (v == absl::InfiniteFuture()) {
    text_ = "infinity";
  } else if (v == absl::InfinitePast()) {
    text_ = "-infinity";
  } else {
    const absl::CivilSecond c = absl::ToCivilSecond(v, absl::UTCTimeZone());
    const int64_t micros = absl::ToInt64Microseconds(v - absl::FromCivil(c, absl::UTCTimeZone()));
    const bool bc = c.year() <= 0;
    text_ = fmt::format("{:04}-{:02}-{:02} {:02}:{:02}:{:02}.{:06}+00{}", bc ? 1 - c.year() : c.year(), c.month(),
                        c.day(), c.hour(), c.minute(), c.second(), micros, bc ? " BC" : "");
  }
}

std::string Param::FormatDouble(double v) { return fmt::format("{}", v); }

Param::Param(const std::vector<std::string>& v)
    : text_(FormatArray(v, [](const std::string& s, std::string* out) {
        *out += '"';
        for (const char c : s) {
          if (c == '"' || c == '\\') *out += '\\';
          *out += c;
        }
        *out += '"';
      })) {}
Param::Param(const std::vector<int64_t>& v)
    : text_(FormatArray(v, [](int64_t x, std::string* out) { *out += std::to_string(x); })) {}
Param::Param(const std::vector<double>& v)
    : text_(FormatArray(v, [](double x, std::string* out) { *out += FormatDouble(x); })) {}

int Row::Find(const Column& c) const {
  const PGresult* r = data_->result.get();
  const int n = PQnfields(r);
  if (c.name().data() == nullptr) return c.index() >= 0 && c.index() < n ? c.index() : -1;
  for (int i = 0; i < n; ++i) {
    if (c.name() == PQfname(r, i)) return i;
  }
  return -1;
}

void Row::Fail(std::string_view column, std::string_view wanted) const {
  // The value is left out on purpose: it may be a customer's.
  const absl::Status bad =
      Internal("column {} of a result read as {}: there is no such column or it holds another type", column, wanted);
  if (data_->own->status.ok()) data_->own->status = bad;
  if (data_->fault != nullptr && data_->fault->status.ok()) data_->fault->status = bad;
}

template <typename T, typename Parse>
T Row::Read(const Column& c, std::string_view wanted, T empty, Parse parse) const {
  const int i = Find(c);
  const auto label = [&] { return c.name().data() != nullptr ? std::string(c.name()) : fmt::format("#{}", c.index()); };
  if (i < 0) {
    Fail(label(), wanted);
    return empty;
  }
  const PGresult* r = data_->result.get();
  if (PQgetisnull(r, row_, i)) return empty;
  T out = empty;
  if (!parse(std::string_view(PQgetvalue(r, row_, i), static_cast<size_t>(PQgetlength(r, row_, i))), &out)) {
    Fail(label(), wanted);
    return empty;
  }
  return out;
}

bool Row::IsNull(Column c) const {
  const int i = Find(c);
  if (i < 0) {
    Fail(c.name().data() != nullptr ? c.name() : std::string_view("(by number)"), "anything");
    return true;
  }
  return PQgetisnull(data_->result.get(), row_, i) != 0;
}
std::string_view Row::Text(Column c) const {
  return Read<std::string_view>(c, "text", {},
                                [](std::string_view s, std::string_view* out) { return *out = s, true; });
}
int64_t Row::Int64(Column c) const { return Read<int64_t>(c, "an integer", 0, ParseInt); }
double Row::Double(Column c) const { return Read<double>(c, "a number", 0.0, ParseDouble); }
bool Row::Bool(Column c) const {
  return Read<bool>(c, "a boolean", false,
                    [](std::string_view s, bool* out) { return *out = s == "t", s == "t" || s == "f"; });
}
absl::Time Row::Time(Column c) const { return Read<absl::Time>(c, "a time", absl::UnixEpoch(), ParseTime); }
std::string Row::Bytes(Column c) const { return Read<std::string>(c, "bytea", {}, ParseBytea); }

std::vector<std::string> Row::TextArray(Column c) const {
  return Read<std::vector<std::string>>(c, "an array", {}, [](std::string_view s, std::vector<std::string>* out) {
    std::vector<ArrayElement> elements;
    if (!ParseArray(s, &elements)) return false;
    for (ArrayElement& e : elements) out->push_back(e.null ? std::string() : std::move(e.text));
    return true;
  });
}
std::vector<double> Row::DoubleArray(Column c) const {
  return Read<std::vector<double>>(c, "an array of numbers", {}, [](std::string_view s, std::vector<double>* out) {
    std::vector<ArrayElement> elements;
    if (!ParseArray(s, &elements)) return false;
    for (const ArrayElement& e : elements) {
      double v = std::numeric_limits<double>::quiet_NaN();
      if (!e.null && !ParseDouble(e.text, &v)) return false;
      out->push_back(v);
    }
    return true;
  });
}
std::vector<int64_t> Row::Int64Array(Column c) const {
  return Read<std::vector<int64_t>>(c, "an array of integers", {}, [](std::string_view s, std::vector<int64_t>* out) {
    std::vector<ArrayElement> elements;
    if (!ParseArray(s, &elements)) return false;
    for (const ArrayElement& e : elements) {
      int64_t v = 0;
      if (!e.null && !ParseInt(e.text, &v)) return false;
      out->push_back(v);
    }
    return true;
  });
}

std::optional<std::string> Row::OptionalText(Column c) const {
  return IsNull(c) ? std::nullopt : std::optional<std::string>(Text(c));
}
std::optional<int64_t> Row::OptionalInt64(Column c) const { return IsNull(c) ? std::nullopt : std::optional(Int64(c)); }
std::optional<double> Row::OptionalDouble(Column c) const {
  return IsNull(c) ? std::nullopt : std::optional(Double(c));
}
std::optional<absl::Time> Row::OptionalTime(Column c) const {
  return IsNull(c) ? std::nullopt : std::optional(Time(c));
}

Result::Result() = default;
Result::Result(std::unique_ptr<internal::ResultData> data) : data_(std::move(data)) {}
Result::Result(Result&&) noexcept = default;
Result& Result::operator=(Result&&) noexcept = default;
Result::~Result() = default;

int Result::rows() const { return data_ == nullptr ? 0 : PQntuples(data_->result.get()); }
int Result::columns() const { return data_ == nullptr ? 0 : PQnfields(data_->result.get()); }
Row Result::operator[](int row) const { return Row(data_.get(), row); }
int64_t Result::affected() const {
  int64_t n = 0;
  if (data_ != nullptr) ParseInt(PQcmdTuples(data_->result.get()), &n);
  return n;
}
absl::Status Result::status() const { return data_ == nullptr ? absl::OkStatus() : data_->own->status; }

std::string SqlState(const absl::Status& status) {
  const auto payload = status.GetPayload(kSqlStatePayload);
  return payload.has_value() ? std::string(*payload) : std::string();
}
std::string ConstraintName(const absl::Status& status) {
  const auto payload = status.GetPayload(kConstraintPayload);
  return payload.has_value() ? std::string(*payload) : std::string();
}

namespace internal {
namespace {

absl::StatusCode CodeFor(std::string_view s, std::string_view message) {
  using enum absl::StatusCode;
  const std::string_view kind = s.substr(0, 2);
  if (s == "23505" || s == "23P01") return kAlreadyExists;
  if (s == "23502" || s == "23514") return kInvalidArgument;
  if (kind == "23") return kFailedPrecondition;
  if (kind == "40" || s == "55P03") return kAborted;
  if (s == "0A000" && message.find("cached plan") != std::string_view::npos) return kAborted;
  if (kind == "08" || s.starts_with("57P") || s == "53300") return kUnavailable;
  if (s == "57014") return kDeadlineExceeded;
  if (s == "25P03") return kAborted;  // idle in transaction for too long
  if (s == "42501") return kPermissionDenied;
  if (kind == "22") return kInvalidArgument;
  if (s == "42P07" || s == "42710" || s == "42P06" || s == "42P04" || s == "42701" || s == "42723")
    return kAlreadyExists;
  if (kind == "53" || kind == "54") return kResourceExhausted;
  if (kind == "28") return kUnauthenticated;
  if (s == "3D000") return kNotFound;
  return kInternal;
}

}  // namespace

absl::Status StatusFromSqlState(std::string_view sqlstate, std::string_view message, std::string_view constraint) {
  absl::Status status(CodeFor(sqlstate, message), absl::string_view(message.data(), message.size()));
  status.SetPayload(kSqlStatePayload, absl::Cord(absl::string_view(sqlstate.data(), sqlstate.size())));
  if (!constraint.empty()) {
    status.SetPayload(kConstraintPayload, absl::Cord(absl::string_view(constraint.data(), constraint.size())));
  }
  return status;
}

}  // namespace internal
}  // namespace vedette::storage
