#include "neural/dense_network.h"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <utility>

#include "base/rng.h"
#include "base/status.h"
#include "neural/lanes.h"

namespace vedette::neural {
namespace {

static_assert(DenseNetwork::kTileRows == 2 * sizeof(Lanes) / sizeof(float));

constexpr size_t kAlignment = 64;  // bytes

int64_t ParameterCount(std::span<const int32_t> sizes) {
  int64_t count = 0;
  for (size_t l = 1; l < sizes.size(); ++l) count += (static_cast<int64_t>(sizes[l - 1]) + 1) * sizes[l];
  return count;
}

/// N outputs of a layer at once: 2N accumulators stay in registers, and each input lane is loaded once.
template <int N>
void Outputs(const float* weights, const float* bias, int64_t inputs, const Lanes* in, Lanes* out, bool relu) {
  Lanes low[N], high[N];
  for (int o = 0; o < N; ++o) low[o] = high[o] = Lanes{} + bias[o];
  for (int64_t k = 0; k < inputs; ++k) {
    const Lanes a = in[2 * k], b = in[2 * k + 1];
    for (int o = 0; o < N; ++o) {
      const float w = weights[o * inputs + k];
      low[o] += w * a;
      high[o] += w * b;
    }
  }
  const Lanes zero = {};
  for (int o = 0; o < N; ++o) {
    out[2 * o] = relu ? (low[o] > zero ? low[o] : zero) : low[o];
    out[2 * o + 1] = relu ? (high[o] > zero ? high[o] : zero) : high[o];
  }
}

void RunLayer(const float* weights, int64_t inputs, int64_t outputs, const float* in, float* out, bool relu) {
  constexpr int kBlock = 4;
  const float* bias = weights + inputs * outputs;
  const auto* x = reinterpret_cast<const Lanes*>(in);
  auto* y = reinterpret_cast<Lanes*>(out);
  int64_t o = 0;
  for (; o + kBlock <= outputs; o += kBlock) Outputs<kBlock>(weights + o * inputs, bias + o, inputs, x, y + 2 * o, relu);
  for (; o < outputs; ++o) Outputs<1>(weights + o * inputs, bias + o, inputs, x, y + 2 * o, relu);
}

void Squash(Activation activation, int64_t outputs, float* values) {
  auto* lanes = reinterpret_cast<Lanes*>(values);
  if (activation == Activation::kTanh) {
    for (int64_t i = 0; i < 2 * outputs; ++i) lanes[i] = Tanh(lanes[i]);
  } else if (activation == Activation::kSigmoid) {
    for (int64_t i = 0; i < 2 * outputs; ++i) lanes[i] = Sigmoid(lanes[i]);
  }
}

/// gradient *= the derivative of the activation, written in terms of what it gave.
void Unsquash(Activation activation, int64_t outputs, const float* values, float* gradient) {
  const auto* y = reinterpret_cast<const Lanes*>(values);
  auto* g = reinterpret_cast<Lanes*>(gradient);
  const Lanes zero = {};
  for (int64_t i = 0; i < 2 * outputs; ++i) {
    if (activation == Activation::kRelu) g[i] = y[i] > zero ? g[i] : zero;
    if (activation == Activation::kTanh) g[i] *= 1.0f - y[i] * y[i];
    if (activation == Activation::kSigmoid) g[i] *= y[i] * (1.0f - y[i]);
  }
}

/// N of a layer's inputs at once: their part in every output's gradient.
template <int N>
void Inputs(const float* weights, int64_t inputs, int64_t outputs, const Lanes* gradient, Lanes* out) {
  Lanes low[N] = {}, high[N] = {};
  for (int64_t o = 0; o < outputs; ++o) {
    const Lanes a = gradient[2 * o], b = gradient[2 * o + 1];
    for (int k = 0; k < N; ++k) {
      const float w = weights[o * inputs + k];
      low[k] += w * a;
      high[k] += w * b;
    }
  }
  for (int k = 0; k < N; ++k) out[2 * k] = low[k], out[2 * k + 1] = high[k];
}

}  // namespace

TileBuffer::TileBuffer(int64_t width)
    : storage_(static_cast<size_t>(width * DenseNetwork::kTileRows) + kAlignment / sizeof(float)) {
  const auto address = reinterpret_cast<uintptr_t>(storage_.data());
  data_ = storage_.data() + ((kAlignment - address % kAlignment) % kAlignment) / sizeof(float);
}

DenseNetwork::DenseNetwork(std::vector<int32_t> sizes)
    : sizes_(std::move(sizes)), parameters_(static_cast<size_t>(ParameterCount(sizes_))) {
  assert(sizes_.size() >= 2);
}

void DenseNetwork::Initialize(uint64_t seed, uint64_t stream) {
  Rng rng(seed, stream);
  size_t at = 0;
  for (size_t l = 1; l < sizes_.size(); ++l) {
    const double bound = 1.0 / std::sqrt(static_cast<double>(sizes_[l - 1]));
    const int64_t count = (static_cast<int64_t>(sizes_[l - 1]) + 1) * sizes_[l];
    for (int64_t i = 0; i < count; ++i) parameters_[at++] = static_cast<float>(rng.Uniform(-bound, bound));
  }
}

int64_t DenseNetwork::buffer_width() const {
  return sizes_.size() < 2 ? 0 : *std::max_element(sizes_.begin() + 1, sizes_.end());
}

const float* DenseNetwork::Forward(const TileBuffer& in, TileBuffer& a, TileBuffer& b) const {
  const float* from = in.data();
  const float* weights = parameters_.data();
  float* to = a.data();
  for (size_t l = 1; l < sizes_.size(); ++l) {
    to = l % 2 == 1 ? a.data() : b.data();
    const Activation activation = l + 1 < sizes_.size() ? hidden_ : output_;
    RunLayer(weights, sizes_[l - 1], sizes_[l], from, to, activation == Activation::kRelu);
    Squash(activation, sizes_[l], to);
    weights += (static_cast<int64_t>(sizes_[l - 1]) + 1) * sizes_[l];
    from = to;
  }
  return to;
}

DenseNetwork::Trace DenseNetwork::MakeTrace() const {
  Trace trace;
  for (size_t l = 1; l < sizes_.size(); ++l) trace.emplace_back(sizes_[l]);
  return trace;
}

const float* DenseNetwork::ForwardKeeping(const float* in, Trace& trace) const {
  const float* weights = parameters_.data();
  for (size_t l = 1; l < sizes_.size(); ++l) {
    float* const to = trace[l - 1].data();
    const Activation activation = l + 1 < sizes_.size() ? hidden_ : output_;
    RunLayer(weights, sizes_[l - 1], sizes_[l], in, to, activation == Activation::kRelu);
    Squash(activation, sizes_[l], to);
    weights += (static_cast<int64_t>(sizes_[l - 1]) + 1) * sizes_[l];
    in = to;
  }
  return in;
}

const float* DenseNetwork::Backward(float* outputs, const Trace& trace, TileBuffer& a, TileBuffer& b) const {
  constexpr int kBlock = 4;
  const float* weights = parameters_.data() + parameters_.size();
  float* gradient = outputs;
  for (size_t l = sizes_.size(); l-- > 1;) {
    const int64_t in = sizes_[l - 1], out = sizes_[l];
    weights -= (in + 1) * out;
    Unsquash(l + 1 < sizes_.size() ? hidden_ : output_, out, trace[l - 1].data(), gradient);
    float* const to = l % 2 == 1 ? a.data() : b.data();
    const auto* g = reinterpret_cast<const Lanes*>(gradient);
    auto* y = reinterpret_cast<Lanes*>(to);
    int64_t k = 0;
    for (; k + kBlock <= in; k += kBlock) Inputs<kBlock>(weights + k, in, out, g, y + 2 * k);
    for (; k < in; ++k) Inputs<1>(weights + k, in, out, g, y + 2 * k);
    gradient = to;
  }
  return gradient;
}

void DenseNetwork::Save(ByteWriter& out) const {
  out.I32s(sizes_);
  out.Floats(parameters_);
}

absl::StatusOr<DenseNetwork> DenseNetwork::Load(ByteReader& in) {
  DenseNetwork network;
  network.sizes_ = in.I32s();
  RETURN_IF_ERROR(in.status());
  const std::vector<int32_t>& sizes = network.sizes_;
  if (sizes.size() < 2 || sizes.size() > kMaxSizes) return DataLoss("a network of {} sizes", sizes.size());
  for (const int32_t size : sizes) {
    if (size < 1 || size > kMaxWidth) return DataLoss("a layer of width {}, not in [1, {}]", size, kMaxWidth);
  }
  network.parameters_ = in.Floats();
  RETURN_IF_ERROR(in.status());
  if (static_cast<int64_t>(network.parameters_.size()) != ParameterCount(sizes)) {
    return DataLoss("{} weights where the sizes ask for {}", network.parameters_.size(), ParameterCount(sizes));
  }
  if (!std::all_of(network.parameters_.begin(), network.parameters_.end(), [](float w) { return std::isfinite(w); })) {
    return DataLoss("a weight is not finite");
  }
  return network;
}

}  // namespace vedette::neural
