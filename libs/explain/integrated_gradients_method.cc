#include "explain/integrated_gradients_method.h"

#include <fmt/format.h>

#include <cmath>

#include "base/status.h"
#include "explain/integrated_gradients.h"
#include "outlier/gradient_source.h"

namespace vedette::explain {
namespace {

/// Of the background rows; of a one-hot column the shares of its categories. A feature without a value there has the
/// row's.
std::vector<double> MeanOf(const Matrix& background, MatrixView X) {
  std::vector<double> mean;
  for (int64_t j = 0; j < X.cols; ++j) {
    double sum = 0, count = 0;
    for (const double x : background.col(j)) {
      if (!std::isfinite(x)) continue;
      count += 1;
      sum += (x - sum) / count;  // a running mean: no sum of large values
    }
    mean.push_back(count > 0 ? sum : X(0, j));
  }
  return mean;
}

}  // namespace

absl::StatusOr<MethodResult> RunIntegratedGradients(const outlier::Model& model, MatrixView X,
                                                    const MethodOptions& options, const Context& ctx) {
  const auto* source = dynamic_cast<const outlier::GradientSource*>(&model.detector());
  if (source == nullptr) {
    return FailedPrecondition("the score of {} has no gradient to follow; kernel_shap explains every algorithm",
                              model.descriptor().name);
  }
  MethodResult out;
  out.explained = "anomaly score";
  std::vector<double> row, baseline;
  for (int64_t j = 0; j < X.cols; ++j) row.push_back(X(0, j));
  if (options.mode == "expected") {
    if (!model.descriptor().explains) {
      return FailedPrecondition(
          "{} does not say what it would have expected; the mode background_mean needs no such thing",
          model.descriptor().name);
    }
    ASSIGN_OR_RETURN(const outlier::Attribution parts, model.Attribute(X, ctx));
    for (int64_t j = 0; j < X.cols; ++j) baseline.push_back(parts.Expected(0, j));
    out.space = "anomaly score, added up from that of the row that the algorithm would have expected";
  } else {
    if (model.background().rows() == 0)
      return FailedPrecondition("the model keeps no background rows to explain against");
    const Matrix background = BackgroundOf(model, options.background_rows);
    baseline = MeanOf(background, X);
    out.space = "anomaly score, added up from that of the mean of the background";
    out.background = BackgroundId(model, options.background_rows);
    out.background_rows = background.rows();
  }
  IntegratedGradientsOptions how;
  if (options.samples > 0) how.gradients = options.samples;
  ASSIGN_OR_RETURN(const IntegratedGradientsResult values,
                   IntegratedGradients([&](MatrixView rows, std::span<double> scores,
                                           const Context& c) { return model.detector().Score(rows, scores, c); },
                                       [&](MatrixView rows, Matrix& gradients, const Context& c) {
                                         return source->Gradients(rows, gradients, c);
                                       },
                                       row, baseline, how, ctx));
  double sum = values.expected;
  for (const auto& features : SourceColumnsOf(model).features) {
    double part = 0;
    for (const int64_t j : features) part += values.phi[static_cast<size_t>(j)];
    out.contributions.push_back(part);
    sum += part;
  }
  out.expected = values.expected;
  out.output = values.output;
  out.additive = true;
  out.additivity_error = std::fabs(sum - values.output);
  out.cut_short = values.cut_short;
  if (!values.within_tolerance) {
    out.warnings.push_back(fmt::format("after {} gradients{} the pieces of the way still miss {:.3g} of the score",
                                       values.gradients, values.cut_short ? ", when the deadline came," : "",
                                       values.missed));
  }
  return out;
}

}  // namespace vedette::explain
