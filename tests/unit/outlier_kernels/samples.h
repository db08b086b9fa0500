// Data for the tests of the fast kernels.
#pragma once

#include <memory>
#include <string>

#include "base/rng.h"
#include "outlier/registry.h"

namespace vedette::outlier {

inline Matrix NormalMatrix(int64_t n, int64_t d, uint64_t seed, double scale = 1, double offset = 0) {
  Rng rng(seed);
  Matrix X(n, d);
  for (int64_t i = 0; i < n * d; ++i) X.data()[i] = offset + scale * rng.Normal();
  return X;
}

/// Small integers: many ties and repeated rows.
inline Matrix GridMatrix(int64_t n, int64_t d, uint64_t levels, uint64_t seed) {
  Rng rng(seed);
  Matrix X(n, d);
  for (int64_t i = 0; i < n * d; ++i) X.data()[i] = static_cast<double>(rng.Below(levels));
  return X;
}

inline std::unique_ptr<Detector> Make(std::string_view algorithm,
                                      const std::map<std::string, std::string>& params = {}) {
  const Catalog catalog({AllAlgorithms()});
  const absl::StatusOr<const Descriptor*> descriptor = catalog.Find(algorithm);
  if (!descriptor.ok()) return nullptr;
  const absl::StatusOr<ParamSet> set = ParamSet::Make((*descriptor)->params, params);
  return set.ok() ? (*descriptor)->make(*set) : nullptr;
}

}  // namespace vedette::outlier
