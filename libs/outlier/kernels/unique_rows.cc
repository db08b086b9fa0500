#include "outlier/kernels/unique_rows.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

#include "base/status.h"
#include "outlier/parallel.h"
#include "outlier/state.h"

namespace vedette::outlier {
namespace {

uint64_t Hash(const double* row, int64_t d) {
  uint64_t h = 0x9e3779b97f4a7c15ULL;
  for (int64_t j = 0; j < d; ++j) {
    h = (h ^ std::bit_cast<uint64_t>(row[j])) * 0xff51afd7ed558ccdULL;
    h ^= h >> 32;
  }
  return h;
}

}  // namespace

absl::StatusOr<UniqueRows> UniqueRows::Of(MatrixView X, double unit, const Context& ctx) {
  UniqueRows u;
  u.features_ = X.cols;
  u.stride_ = (X.cols + 3) / 4 * 4;
  u.values_ = AlignedArray<double>(X.rows * u.stride_);
  u.location_.resize(X.rows);
  const size_t size = std::bit_ceil(static_cast<size_t>(X.rows) * 2);
  std::vector<int32_t> table(size, -1);
  int32_t found = 0;
  constexpr int64_t kBlock = 256;  // columns of a block of rows stay in cache while they are turned into rows
  const AlignedArray<double> block(std::min(kBlock, X.rows) * u.stride_);
  std::fill_n(block.get(), block.size(), 0.0);
  RETURN_IF_ERROR(Blocks(ctx, X.rows, kBlock, [&](int64_t begin, int64_t end) {
    for (int64_t j = 0; j < X.cols; ++j) {
      const double* column = X.data + j * X.stride;
      for (int64_t i = begin; i < end; ++i) block[(i - begin) * u.stride_ + j] = column[i] * unit + 0.0;
    }
    for (int64_t i = begin; i < end; ++i) {
      const double* row = block.get() + (i - begin) * u.stride_;
      size_t slot = Hash(row, X.cols) & (size - 1);
      while (table[slot] >= 0 && std::memcmp(u.at(table[slot]), row, X.cols * sizeof(double)) != 0) {
        slot = (slot + 1) & (size - 1);
      }
      if (table[slot] < 0) {
        std::copy_n(row, u.stride_, u.values_.get() + found * u.stride_);
        table[slot] = found++;
      }
      u.location_[i] = table[slot];
    }
  }));
  RETURN_IF_ERROR(u.ListMembers(ctx));
  return u;
}

absl::Status UniqueRows::ListMembers(const Context& ctx) {
  const int32_t count = location_.empty() ? 0 : *std::max_element(location_.begin(), location_.end()) + 1;
  RETURN_IF_ERROR(ctx.Check());
  begin_.assign(count + 1, 0);
  for (const int32_t u : location_) ++begin_[u + 1];
  RETURN_IF_ERROR(ctx.Check());
  for (int32_t u = 0; u < count; ++u) begin_[u + 1] += begin_[u];
  members_.resize(location_.size());
  std::vector<int32_t> next(begin_.begin(), begin_.end() - 1);
  return Blocks(ctx, rows(), RowsPerLook(4), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) members_[next[location_[i]]++] = static_cast<int32_t>(i);
  });
}

void UniqueRows::Save(ByteWriter& out) const {
  out.I64(features_);
  out.I32s(location_);
  std::vector<double> packed(static_cast<size_t>(locations() * features_));
  for (int64_t u = 0; u < locations(); ++u) std::copy_n(at(u), features_, packed.data() + u * features_);
  out.Doubles(packed);
}

UniqueRows UniqueRows::Load(ByteReader& in) {
  UniqueRows u;
  u.features_ = ReadInt(in, "the number of features", 1, kMaxColumns);
  u.stride_ = (u.features_ + 3) / 4 * 4;
  u.location_ = in.I32s();
  if (!in.ok()) return {};
  int32_t count = 0;  // numbered by their first row, so each new one is the next
  for (const int32_t location : u.location_) {
    if (location < 0 || location > count) {
      in.Fail("a row refers to a location out of order");
      return {};
    }
    count = std::max(count, location + 1);
  }
  if (count == 0) in.Fail("there are no rows");
  const std::vector<double> packed = ReadDoubles(in, "the rows", count * u.features_);
  if (!in.ok()) return {};
  u.values_ = AlignedArray<double>(count * u.stride_);
  std::fill_n(u.values_.get(), u.values_.size(), 0.0);
  for (int32_t i = 0; i < count; ++i) {
    std::copy_n(packed.data() + i * u.features_, u.features_, u.values_.get() + i * u.stride_);
  }
  if (const absl::Status listed = u.ListMembers({}); !listed.ok()) in.Fail(std::string(Message(listed)));
  return u;
}

}  // namespace vedette::outlier
