// Our own tensors on the processor, for learner.h.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "neural/module/host_tensor.h"

namespace vedette::neural {

namespace host {
inline Tensor RowSums(const Tensor& x) { return x.row_sums(); }
inline Tensor RowSoftmax(const Tensor& x) { return softmax(x); }
inline Tensor Clamp(const Tensor& x, double most) { return x.clamp(most); }
}  // namespace host

class HostBackend {
 public:
  using Tensor = host::Tensor;
  struct Recording {  // a tape knows by itself what is needed
    explicit Recording(bool) {}
  };

  /// Not copied, not padded: what Rows takes rows from.
  struct Table {
    const float* from = nullptr;
    int64_t rows = 0, cols = 0;
  };
  Table Data(const float* from, int64_t rows, int64_t cols) const { return {from, rows, cols}; }
  Tensor Constant(const float* from, int64_t rows, int64_t cols) { return Fill(tape_.New(rows, cols), from); }
  /// In x out: products then read both in order.
  Tensor Weights(const float* from, int64_t out, int64_t in, bool) {
    const Tensor t = tape_.NewLeaf(in, out);
    host::Turn(from, out, in, in, t->value, t->stride);
    return t;
  }
  Tensor Biases(const float* from, int64_t out, bool) { return Fill(tape_.NewLeaf(1, out), from); }
  static void CopyWeights(const Tensor& t, float* to, int64_t out, int64_t in) {
    host::Turn(t->value, in, out, t->stride, to, in);
  }
  static void CopyBiases(const Tensor& t, float* to, int64_t out) { std::copy_n(t->value, out, to); }
  static bool Finite(const Tensor& t) {
    return std::all_of(t->value, t->value + t->size(), [](float v) { return std::isfinite(v); });
  }
  static std::vector<float> Column(const Tensor& t) {
    std::vector<float> out;
    for (int64_t i = 0; i < t->rows; ++i) out.push_back(t.at(i, 0));
    return out;
  }

  const std::vector<int64_t>& Order(const std::vector<int64_t>& rows) const { return rows; }
  Tensor Rows(const Table& from, const std::vector<int64_t>& order, int64_t begin, int64_t count) {
    const Tensor out = tape_.New(count, from.cols);
    for (int64_t i = 0; i < count; ++i) {
      std::copy_n(from.from + order[static_cast<size_t>(begin + i)] * from.cols, from.cols,
                  out->value + i * out->stride);
    }
    return out;
  }
  static Tensor Affine(const Tensor& x, const Tensor& weights, const Tensor& biases) {
    return host::Affine(x, weights, biases);
  }

  void Backward(const Tensor& loss, const std::vector<Tensor>& wanted) { tape_.Backward(loss, wanted); }
  void EndStep() { tape_.Reset(); }

  class Sum {
   public:
    explicit Sum(const HostBackend&) {}
    void Add(const Tensor& number, double weight) { total_ += weight * static_cast<double>(number.at(0, 0)); }
    double Read() const { return total_; }

   private:
    double total_ = 0;
  };

  /// What the optimiser keeps of a parameter.
  class Rule {
   public:
    Rule(const Tensor& p, double decay, bool momentum)
        : momentum_(momentum),
          decay_(decay),
          mean_(static_cast<size_t>(p->size())),
          square_(momentum ? 0 : mean_.size()) {}
    void Apply(Tensor& p, double rate) {
      if (!p->has_gradient) return;
      p->fresh = false;
      if (momentum_) return host::MomentumStep(p->value, p->gradient, mean_.data(), p->size(), rate);
      mean_share_ *= host::kAdamMean;
      square_share_ *= host::kAdamSquare;
      host::AdamStep(p->value, p->gradient, mean_.data(), square_.data(), p->size(), rate / (1 - mean_share_),
                     1 / std::sqrt(1 - square_share_), decay_);
    }

   private:
    bool momentum_;
    double decay_, mean_share_ = 1, square_share_ = 1;
    std::vector<float> mean_, square_;  // the velocity is in mean_
  };

 private:
  static Tensor Fill(const Tensor& t, const float* from) {
    for (int64_t i = 0; i < t->rows; ++i) std::copy_n(from + i * t->cols, t->cols, t->value + i * t->stride);
    return t;
  }

  host::Tape tape_;
};

}  // namespace vedette::neural
