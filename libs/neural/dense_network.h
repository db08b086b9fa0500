// A small dense network for inference without Torch, float32: ReLU after every layer but the last, or what was set.
//
// Rows are pushed through in tiles of 16, feature-major, so that each row is one SIMD lane and its sums run in the order
// of the inputs: a row's result has the same bits in any batch, at any place in it, on any number of threads.
#pragma once

#include <absl/status/statusor.h>

#include <cstdint>
#include <span>
#include <vector>

#include "base/bytes.h"

namespace vedette::neural {

/// float32 storage for tiles, aligned for any SIMD width.
class TileBuffer {
 public:
  explicit TileBuffer(int64_t width);
  float* data() { return data_; }
  const float* data() const { return data_; }

 private:
  std::vector<float> storage_;
  float* data_;
};

enum class Activation : int32_t { kLinear = 0, kRelu = 1, kTanh = 2, kSigmoid = 3 };  // numbers of module/abi.h

class DenseNetwork {
 public:
  static constexpr int64_t kTileRows = 16;
  static constexpr int32_t kMaxWidth = 1 << 20;
  static constexpr size_t kMaxSizes = 64;

  DenseNetwork() = default;
  /// Zero weights. sizes: from input to output, at least two, each in [1, kMaxWidth].
  explicit DenseNetwork(std::vector<int32_t> sizes);

  /// Weights and biases uniform in +-1/sqrt(inputs of the layer), as torch.nn.Linear starts (LeCun, Bottou, Orr, Mueller,
  /// "Efficient BackProp", 1998, up to a factor), drawn in storage order from Rng(seed, stream).
  void Initialize(uint64_t seed, uint64_t stream = 0);
  /// Part of an algorithm's design, not of the state: not saved.
  void SetActivations(Activation hidden, Activation output) { hidden_ = hidden, output_ = output; }
  Activation hidden_activation() const { return hidden_; }
  Activation output_activation() const { return output_; }

  std::span<const int32_t> sizes() const { return sizes_; }
  int64_t inputs() const { return sizes_.empty() ? 0 : sizes_.front(); }
  int64_t outputs() const { return sizes_.empty() ? 0 : sizes_.back(); }
  /// For each layer its weights [out][in], then its biases [out].
  std::span<float> parameters() { return parameters_; }
  std::span<const float> parameters() const { return parameters_; }

  /// Floats a row that each of Forward's buffers needs.
  int64_t buffer_width() const;
  /// `in` holds a tile: in[feature * kTileRows + row]. Returns the outputs, a tile in `a` or `b`. `in` is kept.
  const float* Forward(const TileBuffer& in, TileBuffer& a, TileBuffer& b) const;

  /// What the layers gave in ForwardKeeping, for Backward.
  using Trace = std::vector<TileBuffer>;
  Trace MakeTrace() const;
  /// As Forward; the outputs of layer l stay in trace[l].
  const float* ForwardKeeping(const float* in, Trace& trace) const;
  /// Gradient with respect to the inputs of ForwardKeeping, a tile in `a` or `b`. `outputs` holds that with respect to the outputs
  /// and is overwritten; `a` and `b` are as wide as the widest of sizes(). A row's gradient has the same bits in any tile.
  const float* Backward(float* outputs, const Trace& trace, TileBuffer& a, TileBuffer& b) const;

  void Save(ByteWriter& out) const;
  /// Checks sizes, counts and that every weight is finite before it is used.
  static absl::StatusOr<DenseNetwork> Load(ByteReader& in);

 private:
  std::vector<int32_t> sizes_;
  std::vector<float> parameters_;
  Activation hidden_ = Activation::kRelu, output_ = Activation::kLinear;
};

}  // namespace vedette::neural
