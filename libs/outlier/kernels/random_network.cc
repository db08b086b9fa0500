#include "outlier/kernels/random_network.h"

#include <bit>
#include <cmath>
#include <cstring>

#include "base/rng.h"

namespace vedette::outlier {
namespace {

constexpr int64_t kGroup = 4;

using V8 = float __attribute__((vector_size(32)));
using I8 = int32_t __attribute__((vector_size(32)));

int64_t Groups(int64_t outputs) { return (outputs + kGroup - 1) / kGroup; }

/// Binomial(48, 1/2) with a uniform number added, which fills the gaps between whole numbers: within 0.002 of the normal
/// distribution function, at a tenth of its price. Millions of weights are drawn whenever a model is loaded.
float NearNormal(Rng& rng) {
  constexpr double kInverse = 0.28767798089123053;  // 1 / sqrt(48 / 4 + 1 / 12)
  const uint64_t bits = rng.Next();
  const double whole = std::popcount(bits >> 16), part = static_cast<double>(bits & 0xFFFF) * 0x1.0p-16;
  return static_cast<float>((whole - 24 + (part - 0.5)) * kInverse);
}

AlignedArray<float> Draw(int64_t inputs, int64_t outputs, Rng& rng) {
  const int64_t size = Groups(outputs) * inputs * kGroup;
  AlignedArray<float> weights(size);
  for (int64_t i = 0; i < size; ++i) weights.get()[i] = NearNormal(rng);
  return weights;
}

V8 LoadV(const float* p) {
  V8 v;
  std::memcpy(&v, p, sizeof v);
  return v;
}

void StoreV(float* p, V8 v) { std::memcpy(p, &v, sizeof v); }

/// Four outputs at once: each loaded value is used for all of them, and the sums stay in registers.
template <int kVectors>
void Layer(const float* in, int64_t inputs, const float* weights, int64_t outputs, float* out) {
  constexpr int64_t kLanes = 8 * kVectors;
  for (int64_t g = 0; g < Groups(outputs); ++g) {
    const float* w = weights + g * inputs * kGroup;
    V8 low[kGroup] = {}, high[kGroup] = {};
    for (int64_t j = 0; j < inputs; ++j, w += kGroup) {
      const V8 a = LoadV(in + j * kLanes), b = kVectors == 2 ? LoadV(in + j * kLanes + 8) : V8{};
      for (int q = 0; q < kGroup; ++q) {
        low[q] += a * w[q];
        if constexpr (kVectors == 2) high[q] += b * w[q];
      }
    }
    for (int q = 0; q < kGroup; ++q) {
      StoreV(out + (g * kGroup + q) * kLanes, low[q]);
      if constexpr (kVectors == 2) StoreV(out + (g * kGroup + q) * kLanes + 8, high[q]);
    }
  }
}

}  // namespace

// tanh|x| = (1 - t) / (1 + t), t = e^(-2|x|) = 2^k 2^f with |f| <= 1/2.
void TanhInPlace(float* values, int64_t count) {
  for (int64_t i = 0; i < count; i += 8) {
    V8 x;
    std::memcpy(&x, values + i, sizeof x);
    const I8 sign = std::bit_cast<I8>(x) & static_cast<int32_t>(0x80000000);
    V8 a = std::bit_cast<V8>(std::bit_cast<I8>(x) & 0x7FFFFFFF);
    a = a > 10.0F ? V8{} + 10.0F : a;
    const V8 y = a * -2.8853900817779268F;  // -2 log2(e)
    const V8 shifted = y + 12582912.0F;     // 1.5 * 2^23: rounds to whole numbers, in the low bits
    const V8 f = y - (shifted - 12582912.0F);
    V8 p = V8{} + 1.5353362e-4F;
    for (const float c : {1.3398874e-3F, 9.6184373e-3F, 5.5503324e-2F, 2.4022648e-1F, 6.9314718e-1F, 1.0F}) p = p * f + c;
    const I8 exponent = (std::bit_cast<I8>(shifted) - 0x4B400000) << 23;
    const V8 t = std::bit_cast<V8>(std::bit_cast<I8>(p) + exponent);
    const V8 y2 = (1.0F - t) / (1.0F + t);
    x = std::bit_cast<V8>(std::bit_cast<I8>(y2) | sign);
    std::memcpy(values + i, &x, sizeof x);
  }
}

int64_t RandomNetwork::Shape::Weights() const {
  return kGroup * (Groups(hidden1) * inputs + Groups(hidden2) * hidden1 + Groups(outputs) * hidden2);
}

RandomNetwork::Scratch::Scratch(const Shape& shape)
    : first(Groups(shape.hidden1) * kGroup * 16), second(Groups(shape.hidden2) * kGroup * 16), out(Groups(shape.outputs) * kGroup * 16) {}

RandomNetwork::RandomNetwork(const Shape& shape, uint64_t seed, uint64_t stream) : shape_(shape) {
  Rng rng(seed, stream);
  first_ = Draw(shape.inputs, shape.hidden1, rng);
  second_ = Draw(shape.hidden1, shape.hidden2, rng);
  third_ = Draw(shape.hidden2, shape.outputs, rng);
}

void RandomNetwork::Run(const float* in, int lanes, Scratch& s) const {
  const auto layer = lanes == 16 ? Layer<2> : Layer<1>;
  layer(in, shape_.inputs, first_.get(), shape_.hidden1, s.first.get());
  TanhInPlace(s.first.get(), shape_.hidden1 * lanes);
  layer(s.first.get(), shape_.hidden1, second_.get(), shape_.hidden2, s.second.get());
  TanhInPlace(s.second.get(), shape_.hidden2 * lanes);
  layer(s.second.get(), shape_.hidden2, third_.get(), shape_.outputs, s.out.get());
}

}  // namespace vedette::outlier
