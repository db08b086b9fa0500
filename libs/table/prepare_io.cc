// The stored form of a Preparation, inside a model; little-endian; see base/bytes.h. Version 3 where rows have windows;
// version 2 where a column is encoded as kNative, which version 1 lacks; else version 1. Features are stored once, for
// all lags.
#include <algorithm>
#include <cmath>

#include "base/status.h"
#include "table/prepare.h"

namespace vedette::table {
namespace {

constexpr uint32_t kMagic = 0x50455250;  // "PREP"
constexpr uint32_t kVersion = 1, kNativeVersion = 2, kWindowVersion = 3;

void SaveStrings(const std::vector<std::string>& strings, ByteWriter& out) {
  out.U64(strings.size());
  for (const std::string& s : strings) out.String(s);
}

/// Each string takes at least its length of 8 bytes, so a count that lies is found out before anything is allocated.
std::vector<std::string> LoadStrings(ByteReader& in) {
  const uint64_t n = in.U64();
  if (n > in.remaining() / 8) in.Fail("more strings than bytes");
  std::vector<std::string> strings;
  for (uint64_t i = 0; i < n && in.ok(); ++i) strings.push_back(in.String());
  return strings;
}

template <typename E>
E LoadEnum(ByteReader& in, E last) {
  const uint8_t v = in.U8();
  if (v <= static_cast<uint8_t>(last)) return static_cast<E>(v);
  in.Fail("an unknown choice");
  return E{};
}

void SaveFeature(const Feature& f, ByteWriter& out) {
  out.String(f.name);
  out.String(f.source_column);
  out.String(f.category);
  out.F64(f.fill);
  out.F64(f.offset);
  out.F64(f.scale);
}

Feature LoadFeature(ByteReader& in) {
  Feature f;
  f.name = in.String();
  f.source_column = in.String();
  f.category = in.String();
  f.fill = in.F64();
  f.offset = in.F64();
  f.scale = in.F64();
  if (in.ok() && (std::isinf(f.fill) || !std::isfinite(f.offset) || !std::isfinite(f.scale) || f.scale <= 0)) {
    in.Fail("a feature's numbers make no sense");
  }
  return f;
}

}  // namespace

void Preparation::Save(ByteWriter& out) const {
  out.U32(kMagic);
  const auto is_native = [](const Source& s) { return s.encoding == Encoding::kNative; };
  const bool native = options_.encoding == Encoding::kNative || std::any_of(sources_.begin(), sources_.end(), is_native);
  out.U32(options_.window > 1 ? kWindowVersion : native ? kNativeVersion : kVersion);
  SaveStrings(options_.ignore_columns, out);
  out.U8(static_cast<uint8_t>(options_.imputation));
  out.U8(static_cast<uint8_t>(options_.encoding));
  out.I64(options_.one_hot_max);
  out.U8(static_cast<uint8_t>(options_.scaling));
  out.U8(options_.drop_identifiers ? 1 : 0);
  out.U8(options_.drop_constant ? 1 : 0);
  if (options_.window > 1) out.I64(options_.window);
  SaveStrings(notes_, out);
  out.U64(static_cast<uint64_t>(columns_));
  for (int64_t j = 0; j < columns_; ++j) SaveFeature(features_[static_cast<size_t>(j)], out);
  out.U64(sources_.size());
  for (size_t s = 0; s < sources_.size(); ++s) {
    out.String(schema_[s].name);
    out.U8(static_cast<uint8_t>(sources_[s].type));
    out.U8(static_cast<uint8_t>(sources_[s].encoding));
    out.I64(sources_[s].count);
    SaveStrings(sources_[s].categories, out);
    out.Doubles(sources_[s].numbers);
  }
}

absl::StatusOr<Preparation> Preparation::Load(ByteReader& in) {
  Preparation p;
  if (in.U32() != kMagic) in.Fail("not a stored preparation");
  const uint32_t version = in.U32();
  if (in.ok() && (version < kVersion || version > kWindowVersion)) {
    in.Fail(fmt::format("preparation of version {}, this program reads versions {} to {}", version, kVersion,
                        kWindowVersion));
  }
  const Encoding last = version >= kNativeVersion ? Encoding::kNative : Encoding::kOrdinal;
  p.options_.ignore_columns = LoadStrings(in);
  p.options_.imputation = LoadEnum(in, Imputation::kNone);
  p.options_.encoding = LoadEnum(in, last);
  const int64_t one_hot_max = in.I64();
  if (one_hot_max < 0 || one_hot_max > INT32_MAX) in.Fail("one_hot_max is out of range");
  p.options_.one_hot_max = in.ok() ? static_cast<int>(one_hot_max) : 0;
  p.options_.scaling = LoadEnum(in, Scaling::kRobust);
  p.options_.drop_identifiers = in.U8() != 0;
  p.options_.drop_constant = in.U8() != 0;
  const int64_t window = version == kWindowVersion ? in.I64() : 1;
  if (in.ok() && (window < 1 || window > kMaxWindow)) in.Fail("window is out of range");
  p.options_.window = in.ok() ? static_cast<int>(window) : 1;
  p.notes_ = LoadStrings(in);
  const uint64_t features = in.U64();
  for (uint64_t i = 0; i < features && in.ok(); ++i) p.features_.push_back(LoadFeature(in));
  const uint64_t sources = in.U64();
  int64_t first = 0;
  for (uint64_t i = 0; i < sources && in.ok(); ++i) {
    ColumnSchema column;
    Source s;
    column.name = in.String();
    column.type = s.type = LoadEnum(in, ColumnType::kCategorical);
    s.encoding = LoadEnum(in, last);
    s.first = first;
    s.count = in.I64();
    s.categories = LoadStrings(in);
    s.numbers = in.Doubles();
    const bool one_hot = s.type == ColumnType::kCategorical && s.encoding == Encoding::kOneHot;
    const int64_t expected = one_hot ? static_cast<int64_t>(s.categories.size()) : 1;
    const size_t numbers = one_hot || s.type == ColumnType::kNumeric ? 0 : s.categories.size();
    if (s.count != expected || s.numbers.size() != numbers) in.Fail("a column's sizes contradict each other");
    if (!in.ok()) break;
    first += s.count;
    p.sources_.push_back(std::move(s));
    p.schema_.push_back(std::move(column));
  }
  if (in.ok() && (p.features_.empty() || first != static_cast<int64_t>(p.features_.size()))) {
    in.Fail("columns and features contradict each other");
  }
  if (in.ok() && window > 1 && first * window > kMaxWindowFeatures) in.Fail("more features than a window may have");
  RETURN_IF_ERROR(in.status());
  p.SpreadLags();
  return p;
}

}  // namespace vedette::table
