// The variational autoencoder behind `vae` and `beta_vae`, which differ in the weight of the divergence alone.
#pragma once

#include <memory>

#include "outlier/detector.h"

namespace vedette::neural {

/// `mean_error`: the error is its mean over the columns, not half its sum: a decoder whose variance is half their number.
std::unique_ptr<outlier::Detector> MakeVariational(const outlier::ParamSet& params, double divergence_weight, bool mean_error);
outlier::Cost VariationalCost(const outlier::ParamSet& params, int64_t rows, int64_t features);

}  // namespace vedette::neural
