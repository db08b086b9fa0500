#include "outlier/detector.h"

namespace vedette::outlier {

absl::StatusOr<Attribution> Detector::Explain(MatrixView, const Context&) const {
  return absl::UnimplementedError("this algorithm has no native attribution");
}

absl::Status Detector::FitLabelled(MatrixView, std::span<const Label>, const Context&) {
  return absl::UnimplementedError("this algorithm does not learn from labels");
}

absl::Status Detector::FitMixed(MatrixView, std::span<const int32_t>, const Context&) {
  return absl::UnimplementedError("this algorithm takes no categories as they are; encode them");
}

absl::Status Detector::Update(MatrixView, const Context&) {
  return absl::UnimplementedError("this algorithm cannot learn from further rows; fit it again");
}

}  // namespace vedette::outlier
