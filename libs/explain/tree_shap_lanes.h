// Four doubles side by side, for TreeSHAP's units: the compiler's vectors, on any processor.
#pragma once

#include <cstdint>
#include <vector>

#include "base/matrix.h"

namespace vedette::explain {

inline constexpr int kLanes = 4;
typedef double Lanes __attribute__((vector_size(32)));
typedef int64_t LaneBits __attribute__((vector_size(32)));

typedef double LanesInMemory __attribute__((vector_size(32), aligned(8), may_alias));

inline Lanes LoadLanes(const double* from) { return *reinterpret_cast<const LanesInMemory*>(from); }
inline void StoreLanes(double* to, Lanes lanes) { *reinterpret_cast<LanesInMemory*>(to) = lanes; }

std::vector<double> RowOf(MatrixView rows, int64_t i);

}  // namespace vedette::explain
