// A network that is drawn and never trained: three layers without biases, tanh between them, weights near N(0, 1). It gives
// representations in which straight cuts are curved cuts of the original space (deep isolation forest).
#pragma once

#include <cstdint>
#include <vector>

#include "outlier/kernels/aligned.h"

namespace vedette::outlier {

class RandomNetwork {
 public:
  struct Shape {
    int64_t inputs = 0, hidden1 = 0, hidden2 = 0, outputs = 0;
    /// Floats that a network of this shape holds.
    int64_t Weights() const;
  };
  /// Room for the layers' values of one tile.
  struct Scratch {
    explicit Scratch(const Shape& shape);
    AlignedArray<float> first, second, out;
  };

  /// The weights depend on seed, stream and shape alone, so a model file needs none of them.
  RandomNetwork(const Shape& shape, uint64_t seed, uint64_t stream);

  /// in[j * lanes + r], lanes 8 or 16, aligned to 32 bytes, every |value| <= 1e6; fills scratch.out[c * lanes + r]. A row's
  /// result has the same bits in any lane of either width.
  void Run(const float* in, int lanes, Scratch& scratch) const;

 private:
  Shape shape_;
  AlignedArray<float> first_, second_, third_;  // groups of four outputs: [group][input][4]
};

/// tanh of `count` values (a multiple of 8) in place, to about 2e-7.
void TanhInPlace(float* values, int64_t count);

}  // namespace vedette::outlier
