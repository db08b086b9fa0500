// Blocks of rows or columns, in parallel or one after the other, with the context asked before each block.
#pragma once

#include <absl/status/status.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <mutex>

#include "base/context.h"
#include "base/status.h"
#include "base/thread_pool.h"

namespace vedette::outlier {

/// ParallelFor over [0, n) in pieces of `grain`, where ctx.Check() is asked before every piece: after a cancellation or
/// a passed deadline the remaining pieces are skipped and the error is returned. The pieces depend only on n and grain.
template <typename Body>
absl::Status ParallelBlocks(const Context& ctx, int64_t n, int64_t grain, const Body& body) {
  std::atomic<bool> stopped{false};
  std::mutex mutex;
  absl::Status status;
  ParallelFor(ctx.pool, n, grain, [&](int64_t begin, int64_t end) {
    if (stopped.load(std::memory_order_relaxed)) return;
    if (absl::Status check = ctx.Check(); !check.ok()) {
      const std::lock_guard lock(mutex);
      if (status.ok()) status = std::move(check);
      stopped.store(true, std::memory_order_relaxed);
      return;
    }
    body(begin, end);
  });
  return status;
}

/// ParallelBlocks for what is mostly asked of a few rows: a single piece is done at once, without what several need.
template <typename Body>
absl::Status FewOrParallelBlocks(const Context& ctx, int64_t n, int64_t grain, const Body& body) {
  if (n > grain) return ParallelBlocks(ctx, n, grain, body);
  absl::Status check = ctx.Check();
  if (check.ok() && n > 0) body(int64_t{0}, n);
  return check;
}

/// ParallelBlocks on the calling thread alone, one piece after the other.
template <typename Body>
absl::Status Blocks(const Context& ctx, int64_t n, int64_t grain, const Body& body) {
  for (int64_t begin = 0; begin < n; begin += grain) {
    RETURN_IF_ERROR(ctx.Check());
    body(begin, std::min(n, begin + grain));
  }
  return absl::OkStatus();
}

/// Rows between two looks at the context where a row costs as much as `cells` plain steps of a nanosecond or a few:
/// milliseconds of work, however wide the rows are.
inline int64_t RowsPerLook(int64_t cells) {
  return std::max<int64_t>(1, (int64_t{1} << 20) / std::max<int64_t>(1, cells));
}

}  // namespace vedette::outlier
