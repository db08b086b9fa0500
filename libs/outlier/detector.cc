#include "outlier/detector.h"

namespace vedette::outlier {

absl::StatusOr<Attribution> Detector::Explain(MatrixView, const Context&) const {
  return absl::UnimplementedError("this algorithm has no native attribution");
}

}  // namespace vedette::outlier
