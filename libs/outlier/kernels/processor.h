// Which forms of the kernels this processor can run.
#pragma once

namespace vedette::outlier {

/// Those of the files *_avx512.cc: AVX-512 with its F, VL, DQ and BW parts, as in every processor for servers since
/// 2017.
inline bool HasAvx512() {
#if defined(__x86_64__)
  static const bool has = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
                          __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw");
  return has;
#else
  return false;
#endif
}

}  // namespace vedette::outlier
