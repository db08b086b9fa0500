// Multiply for processors with AVX-512, chosen at run time: 16 numbers a register, and twice as many registers.
#include "neural/lanes.h"
#include "neural/module/host_kernels.h"

#if defined(__x86_64__)
#pragma GCC push_options
#pragma GCC target("avx512f,avx512vl,avx2,fma")
#include "neural/module/host_product.h"

namespace vedette::neural::host {

void MultiplyAvx512(const Product& p) {
  using Wide = float __attribute__((vector_size(64), may_alias, aligned(32)));
  constexpr int64_t kWide = 2 * kLanes;
  int64_t col = 0;
  while (p.cols - col >= 2 * kWide) Strip<Wide, 8, 2>(p, col), col += 2 * kWide;
  if (p.cols - col >= kWide) Strip<Wide, 8, 1>(p, col), col += kWide;
  if (col < p.cols) Strip<Lanes, 8, 1>(p, col);
}

}  // namespace vedette::neural::host

#pragma GCC pop_options
#endif
