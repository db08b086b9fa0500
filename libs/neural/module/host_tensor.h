// Automatic differentiation of matrices on the processor, for networks whose steps are so small that Torch's
// book-keeping takes longer than the arithmetic. The operations carry ATen's names and are those that our objectives
// use, so that the objectives are written once, for both (learner.h). No Torch.
//
// A Tape holds what a step of the optimiser computed, in order, in memory that the next step takes again. float32; sums
// in a fixed order. Shapes are the caller's promise (objective_trainer checks what comes from outside).
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "neural/module/host_kernels.h"

namespace vedette::neural::host {

/// Float storage that is given out piece by piece and taken back at once, aligned for any register.
class Arena {
 public:
  float* Take(int64_t count);
  void Reset();

 private:
  struct Release {
    void operator()(float* p) const;
  };
  struct Chunk {
    std::unique_ptr<float, Release> data;
    int64_t size;
  };
  void Add(int64_t size);
  std::vector<Chunk> chunks_;
  int64_t used_ = 0;  // of the last chunk
};

class Tape;

/// A matrix, row-major, each row padded with zeros to whole registers; and what it was made of.
struct Node {
  Tape* tape = nullptr;
  int64_t rows = 0, cols = 0, stride = 0;
  float* value = nullptr;
  float* gradient = nullptr;  // once the tape ran backwards to here
  bool has_gradient = false;  // in this run
  bool needed = false;        // leaves: asked for; others: something below was
  void (*back)(Node& self) = nullptr;
  Node* parents[3] = {};
  float number = 0;         // of the operation
  int64_t place = 0;        // of the operation
  float* turned = nullptr;  // weights: [out][in], made when it is first needed
  bool fresh = false;       // turned is that of value

  int64_t size() const { return rows * stride; }
};

/// A handle of a node.
class Tensor {
 public:
  Tensor() = default;
  explicit Tensor(Node* node) : node_(node) {}
  Node& operator*() const { return *node_; }
  Node* operator->() const { return node_; }
  Node* node() const { return node_; }

  int64_t size(int64_t dimension) const { return dimension == 0 ? node_->rows : node_->cols; }
  float at(int64_t i, int64_t j) const { return node_->value[i * node_->stride + j]; }
  Tensor square() const;
  Tensor exp() const;
  Tensor cos() const;
  Tensor abs() const;
  Tensor clamp(double most) const;  ///< to -most..most
  Tensor sum() const;               ///< 1 x 1
  Tensor row_sums() const;          ///< rows x 1
  Tensor mean() const;              ///< 1 x 1
  Tensor narrow(int64_t dimension, int64_t begin, int64_t count) const;
  Tensor detach() const;

 private:
  Node* node_ = nullptr;
};

/// The right-hand side may be of one row, or of one number.
Tensor operator+(const Tensor& a, const Tensor& b);
Tensor operator-(const Tensor& a, const Tensor& b);
Tensor operator*(const Tensor& a, const Tensor& b);
Tensor operator+(const Tensor& a, double b);
Tensor operator*(const Tensor& a, double b);
inline Tensor operator-(const Tensor& a, double b) { return a + -b; }
inline Tensor operator*(double a, const Tensor& b) { return b * a; }
inline Tensor operator-(const Tensor& a) { return a * -1.0; }
inline Tensor operator-(double a, const Tensor& b) { return b * -1.0 + a; }
Tensor relu(const Tensor& x);
Tensor tanh(const Tensor& x);
Tensor sigmoid(const Tensor& x);
Tensor softplus(const Tensor& x);
Tensor softmax(const Tensor& x);  ///< of each row
Tensor cat(const std::vector<Tensor>& parts, int64_t dimension);
/// x (rows x in) times weights (in x out) plus bias (1 x out).
Tensor Affine(const Tensor& x, const Tensor& weights, const Tensor& bias);

class Tape {
 public:
  Tape() = default;
  Tape(const Tape&) = delete;
  Tape& operator=(const Tape&) = delete;

  /// A matrix that stays until the next Reset; not filled, but for the padding.
  Tensor New(int64_t rows, int64_t cols);
  /// A matrix of zeros that stays: a parameter, or data.
  Tensor NewLeaf(int64_t rows, int64_t cols);
  /// Takes back all but the leaves.
  void Reset();
  /// Gradients of `loss` (1 x 1) for the wanted leaves; those that took no part have has_gradient false.
  void Backward(const Tensor& loss, const std::vector<Tensor>& wanted);
  float* Scratch(int64_t count) { return steps_.Take(count); }

 private:
  Node* NewNode();
  Arena steps_, leaves_;
  std::vector<std::unique_ptr<Node>> nodes_, leaf_nodes_;
  size_t used_ = 0;  // of nodes_, in the order in which they were made
};

}  // namespace vedette::neural::host
