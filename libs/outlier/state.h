// Reading fitted states: every size is checked against what was read before, every number is finite, so that a damaged
// file is an error and never a bad index or a NaN score.
#pragma once

#include <cmath>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/status.h"

namespace vedette::outlier {

/// More columns than any matrix has: a bound for what is read.
inline constexpr int64_t kMaxColumns = int64_t{1} << 24;

/// The version that a state starts with; a reader fails on any other than `expected`.
inline void ReadVersion(ByteReader& in, uint32_t expected) {
  const uint32_t version = in.U32();
  if (in.ok() && version != expected) {
    in.Fail("the state has version " + std::to_string(version) + ", this program reads " + std::to_string(expected));
  }
}

/// An integer in [min, max]; returns min after a failure, so that it is safe to use as a size.
inline int64_t ReadInt(ByteReader& in, std::string_view what, int64_t min, int64_t max) {
  const int64_t v = in.I64();
  if (in.ok() && (v < min || v > max)) in.Fail(std::string(what) + " is out of range: " + std::to_string(v));
  return in.ok() ? v : min;
}

/// A finite double.
inline double ReadFinite(ByteReader& in, std::string_view what) {
  const double v = in.F64();
  if (in.ok() && !std::isfinite(v)) in.Fail(std::string(what) + " is not finite");
  return in.ok() ? v : 0;
}

/// Exactly `size` finite doubles; `size` zeros after a failure are NOT given: check in.ok() before indexing.
inline std::vector<double> ReadDoubles(ByteReader& in, std::string_view what, int64_t size) {
  std::vector<double> v = in.Doubles();
  if (!in.ok()) return {};
  if (static_cast<int64_t>(v.size()) != size) {
    in.Fail(std::string(what) + " has " + std::to_string(v.size()) + " values instead of " + std::to_string(size));
    return {};
  }
  for (const double x : v) {
    if (!std::isfinite(x)) {
      in.Fail(std::string(what) + " holds a number that is not finite");
      return {};
    }
  }
  return v;
}

}  // namespace vedette::outlier
