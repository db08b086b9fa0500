#include "neural/module/host_tensor.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <new>

#include "neural/lanes.h"

namespace vedette::neural::host {
namespace {

constexpr int64_t kAlignment = 64;        // bytes
constexpr int64_t kLeastChunk = 1 << 14;  // floats
constexpr int64_t kFloatsALine = kAlignment / static_cast<int64_t>(sizeof(float));

/// Where gradients of a node are added up: zeros the first time.
float* Gradient(Node& n) {
  if (n.gradient == nullptr) n.gradient = n.tape->Scratch(n.size());
  if (!n.has_gradient) std::fill_n(n.gradient, n.size(), 0.0f);
  n.has_gradient = true;
  return n.gradient;
}

Tensor Result(const Tensor& like, int64_t rows, int64_t cols, void (*back)(Node&), Node* a, Node* b = nullptr,
              Node* c = nullptr) {
  const Tensor out = like->tape->New(rows, cols);
  out->back = back;
  out->parents[0] = a, out->parents[1] = b, out->parents[2] = c;
  return out;
}

/// After an operation that does not leave 0 as it is.
void ClearPadding(Node& n) {
  if (n.cols == n.stride) return;
  for (int64_t i = 0; i < n.rows; ++i) std::fill(n.value + i * n.stride + n.cols, n.value + (i + 1) * n.stride, 0.0f);
}

/// A function of each number: y = Op::Of(x), and what a gradient g of y is for x. In whole registers.
template <typename Op>
Tensor Each(const Tensor& x, float number = 0, bool keeps_zero = true) {
  const auto back = [](Node& self) {
    Node& from = *self.parents[0];
    auto* const to = reinterpret_cast<Lanes*>(Gradient(from));
    const auto* const v = reinterpret_cast<const Lanes*>(from.value);
    const auto* const y = reinterpret_cast<const Lanes*>(self.value);
    const auto* const g = reinterpret_cast<const Lanes*>(self.gradient);
    for (int64_t i = 0; i < self.size() / kLanes; ++i) to[i] += Op::Back(v[i], y[i], g[i], self.number);
  };
  const Tensor out = Result(x, x->rows, x->cols, back, x.node());
  out->number = number;
  const auto* const v = reinterpret_cast<const Lanes*>(x->value);
  auto* const y = reinterpret_cast<Lanes*>(out->value);
  for (int64_t i = 0; i < x->size() / kLanes; ++i) y[i] = Op::Of(v[i], number);
  if (!keeps_zero) ClearPadding(*out);
  return out;
}

constexpr Lanes kZero = {};

struct Square {
  static Lanes Of(Lanes x, float) { return x * x; }
  static Lanes Back(Lanes x, Lanes, Lanes g, float) { return 2.0f * x * g; }
};
struct Times {
  static Lanes Of(Lanes x, float factor) { return x * factor; }
  static Lanes Back(Lanes, Lanes, Lanes g, float factor) { return g * factor; }
};
struct Plus {
  static Lanes Of(Lanes x, float term) { return x + term; }
  static Lanes Back(Lanes, Lanes, Lanes g, float) { return g; }
};
struct Relu {
  static Lanes Of(Lanes x, float) { return x > kZero ? x : kZero; }
  static Lanes Back(Lanes, Lanes y, Lanes g, float) { return y > kZero ? g : kZero; }
};
struct Size {
  static Lanes Of(Lanes x, float) { return x < kZero ? -x : x; }
  static Lanes Back(Lanes x, Lanes, Lanes g, float) { return x > kZero ? g : x < kZero ? -g : kZero; }
};
struct Cut {  // to -number..number
  static Lanes Of(Lanes x, float most) {
    const Lanes low = x > kZero + most ? kZero + most : x;
    return low < kZero - most ? kZero - most : low;
  }
  static Lanes Back(Lanes x, Lanes, Lanes g, float most) { return (x > kZero + most) | (x < kZero - most) ? kZero : g; }
};
struct Exponential {
  static Lanes Of(Lanes x, float) {
    for (int i = 0; i < kLanes; ++i) x[i] = std::exp(x[i]);
    return x;
  }
  static Lanes Back(Lanes, Lanes y, Lanes g, float) { return y * g; }
};
struct CosineOf {
  static Lanes Of(Lanes x, float) { return Cosine(x); }
  static Lanes Back(Lanes x, Lanes, Lanes g, float) { return -Sine(x) * g; }
};
struct TanhOf {
  static Lanes Of(Lanes x, float) { return Tanh(x); }
  static Lanes Back(Lanes, Lanes y, Lanes g, float) { return g * (1.0f - y * y); }
};
struct SigmoidOf {
  static Lanes Of(Lanes x, float) { return Sigmoid(x); }
  static Lanes Back(Lanes, Lanes y, Lanes g, float) { return g * y * (1.0f - y); }
};
struct Softplus {
  static Lanes Of(Lanes x, float) {
    const Lanes far = Cut::Of(x < kZero ? x : -x, 87.0f);
    return Relu::Of(x, 0) + LogOfOnePlus(ExpOfNegative(far));
  }
  static Lanes Back(Lanes x, Lanes, Lanes g, float) { return g * Sigmoid(x); }
};

enum class Pairing { kAdd, kSubtract, kMultiply };

/// How b lies beside a: of the same shape, one row for all, or one number.
enum class Spread { kSame, kRow, kNumber };
Spread SpreadOf(const Node& a, const Node& b) {
  if (a.rows == b.rows && a.cols == b.cols) return Spread::kSame;
  return b.cols == a.cols ? Spread::kRow : Spread::kNumber;
}

int64_t PlaceOf(const Node& b, Spread spread, int64_t i, int64_t j) {
  return spread == Spread::kSame ? i * b.stride + j : spread == Spread::kRow ? j : 0;
}

Lanes Paired(Pairing pairing, Lanes a, Lanes b) {
  return pairing == Pairing::kMultiply ? a * b : pairing == Pairing::kAdd ? a + b : a - b;
}

void PairBack(Node& self) {
  Node &a = *self.parents[0], &b = *self.parents[1];
  const auto pairing = static_cast<Pairing>(self.place);
  const Spread spread = SpreadOf(a, b);
  const bool product = pairing == Pairing::kMultiply;
  const float sign = pairing == Pairing::kSubtract ? -1.0f : 1.0f;
  float* const to_a = a.needed ? Gradient(a) : nullptr;
  float* const to_b = b.needed ? Gradient(b) : nullptr;
  for (int64_t i = 0; i < a.rows; ++i) {
    for (int64_t j = 0; j < a.cols; ++j) {
      const int64_t at = i * a.stride + j, place = PlaceOf(b, spread, i, j);
      const float g = self.gradient[at];
      if (to_a != nullptr) to_a[at] += product ? g * b.value[place] : g;
      if (to_b != nullptr) to_b[place] += product ? g * a.value[at] : sign * g;
    }
  }
}

Tensor Pair(const Tensor& a, const Tensor& b, Pairing pairing) {
  const Tensor out = Result(a, a->rows, a->cols, PairBack, a.node(), b.node());
  out->place = static_cast<int64_t>(pairing);
  const Spread spread = SpreadOf(*a, *b);
  for (int64_t i = 0; i < a->rows; ++i) {
    for (int64_t j = 0; j < a->cols; j += kLanes) {
      const int64_t at = i * a->stride + j;
      const float* const other = b->value + PlaceOf(*b, spread, i, j);
      const Lanes right = spread == Spread::kNumber ? kZero + other[0] : *reinterpret_cast<const Lanes*>(other);
      *reinterpret_cast<Lanes*>(out->value + at) =
          Paired(pairing, *reinterpret_cast<const Lanes*>(a->value + at), right);
    }
  }
  if (spread == Spread::kNumber) ClearPadding(*out);
  return out;
}

/// Sum of all times `number`.
Tensor Total(const Tensor& x, double factor) {
  const Tensor out = Result(
      x, 1, 1,
      [](Node& self) {
        Node& from = *self.parents[0];
        float* const to = Gradient(from);
        const float g = self.gradient[0] * self.number;
        for (int64_t i = 0; i < from.rows; ++i) {
          for (int64_t j = 0; j < from.cols; ++j) to[i * from.stride + j] += g;
        }
      },
      x.node());
  out->number = static_cast<float>(factor);
  double sum = 0;
  for (int64_t i = 0; i < x->rows; ++i) {
    Lanes row = {};
    const auto* const v = reinterpret_cast<const Lanes*>(x->value + i * x->stride);
    for (int64_t j = 0; j < x->stride / kLanes; ++j) row += v[j];
    for (int k = 0; k < kLanes; ++k) sum += static_cast<double>(row[k]);
  }
  out->value[0] = static_cast<float>(sum * factor);
  return out;
}

/// Copies `count` columns of every row, or adds them.
void CopyColumns(int64_t rows, int64_t count, const float* from, int64_t from_stride, float* to, int64_t to_stride,
                 bool add) {
  for (int64_t i = 0; i < rows; ++i, from += from_stride, to += to_stride) {
    if (!add) {
      std::memcpy(to, from, static_cast<size_t>(count) * sizeof(float));
      continue;
    }
    for (int64_t j = 0; j < count; ++j) to[j] += from[j];
  }
}

/// Two side by side (`place` = 1) or one above the other (0).
void CatBack(Node& self) {
  Node &a = *self.parents[0], &b = *self.parents[1];
  const float* const second = self.gradient + (self.place == 1 ? a.cols : a.rows * self.stride);
  if (a.needed) CopyColumns(a.rows, a.cols, self.gradient, self.stride, Gradient(a), a.stride, true);
  if (b.needed) CopyColumns(b.rows, b.cols, second, self.stride, Gradient(b), b.stride, true);
}

Tensor CatTwo(const Tensor& a, const Tensor& b, int64_t dimension) {
  const bool beside = dimension == 1;
  const Tensor out = Result(a, beside ? a->rows : a->rows + b->rows, beside ? a->cols + b->cols : a->cols, CatBack,
                            a.node(), b.node());
  out->place = dimension;
  CopyColumns(a->rows, a->cols, a->value, a->stride, out->value, out->stride, false);
  CopyColumns(b->rows, b->cols, b->value, b->stride, out->value + (beside ? a->cols : a->rows * out->stride),
              out->stride, false);
  return out;
}

void AffineBack(Node& self) {
  Node &x = *self.parents[0], &w = *self.parents[1], &bias = *self.parents[2];
  if (w.needed) {
    const bool add = w.has_gradient;
    if (w.gradient == nullptr) w.gradient = w.tape->Scratch(w.size());
    w.has_gradient = true;
    Multiply({.rows = x.cols,
              .inner = x.rows,
              .cols = self.stride,
              .a = x.value,
              .a_row = 1,
              .a_inner = x.stride,
              .b = self.gradient,
              .b_stride = self.stride,
              .c = w.gradient,
              .c_stride = w.stride,
              .add = add});
  }
  if (bias.needed) {
    auto* const to = reinterpret_cast<Lanes*>(Gradient(bias));
    const auto* g = reinterpret_cast<const Lanes*>(self.gradient);
    const int64_t registers = self.stride / kLanes;
    for (int64_t i = 0; i < self.rows; ++i, g += registers) {
      for (int64_t j = 0; j < registers; ++j) to[j] += g[j];
    }
  }
  if (!x.needed) return;
  if (!w.fresh) {
    const int64_t stride = Padded(w.rows);
    if (w.turned == nullptr) w.turned = w.tape->NewLeaf(w.cols, w.rows)->value;
    Turn(w.value, w.rows, w.cols, w.stride, w.turned, stride);
    w.fresh = true;
  }
  const bool add = x.has_gradient;
  if (x.gradient == nullptr) x.gradient = x.tape->Scratch(x.size());
  x.has_gradient = true;
  Multiply({.rows = x.rows,
            .inner = self.cols,
            .cols = x.stride,
            .a = self.gradient,
            .a_row = self.stride,
            .a_inner = 1,
            .b = w.turned,
            .b_stride = Padded(w.rows),
            .c = x.gradient,
            .c_stride = x.stride,
            .add = add});
}

}  // namespace

void Arena::Release::operator()(float* p) const { std::free(p); }

void Arena::Add(int64_t size) {
  auto* const data = static_cast<float*>(std::aligned_alloc(kAlignment, static_cast<size_t>(size) * sizeof(float)));
  if (data == nullptr) throw std::bad_alloc();
  chunks_.push_back({std::unique_ptr<float, Release>(data), size});
  used_ = 0;
}

float* Arena::Take(int64_t count) {
  const int64_t size = (count + kFloatsALine - 1) / kFloatsALine * kFloatsALine;
  if (chunks_.empty() || chunks_.back().size - used_ < size) {
    Add(std::max(kLeastChunk, size));
  }
  float* const out = chunks_.back().data.get() + used_;
  used_ += size;
  return out;
}

void Arena::Reset() {
  if (chunks_.size() > 1) {  // the next step finds its memory in one piece
    int64_t total = 0;
    for (const Chunk& c : chunks_) total += c.size;
    chunks_.clear();
    Add(total);
  }
  used_ = 0;
}

Node* Tape::NewNode() {
  if (used_ == nodes_.size()) nodes_.push_back(std::make_unique<Node>());
  Node* const n = nodes_[used_++].get();
  *n = Node{};
  n->tape = this;
  return n;
}

Tensor Tape::New(int64_t rows, int64_t cols) {
  Node* const n = NewNode();
  n->rows = rows, n->cols = cols, n->stride = Padded(cols);
  n->value = steps_.Take(n->size());
  ClearPadding(*n);
  return Tensor(n);
}

Tensor Tape::NewLeaf(int64_t rows, int64_t cols) {
  leaf_nodes_.push_back(std::make_unique<Node>());
  Node* const n = leaf_nodes_.back().get();
  n->tape = this;
  n->rows = rows, n->cols = cols, n->stride = Padded(cols);
  n->value = leaves_.Take(n->size());
  std::fill_n(n->value, n->size(), 0.0f);
  return Tensor(n);
}

void Tape::Reset() {
  steps_.Reset();
  used_ = 0;
  for (const auto& leaf : leaf_nodes_) leaf->gradient = nullptr, leaf->has_gradient = false;
}

void Tape::Backward(const Tensor& loss, const std::vector<Tensor>& wanted) {
  for (const auto& leaf : leaf_nodes_) leaf->needed = leaf->has_gradient = false;
  for (const Tensor& leaf : wanted) leaf->needed = true;
  for (size_t i = 0; i < used_; ++i) {
    Node& n = *nodes_[i];
    n.has_gradient = false;
    n.needed = std::any_of(std::begin(n.parents), std::end(n.parents),
                           [](const Node* p) { return p != nullptr && p->needed; });
  }
  Gradient(*loss)[0] = 1;
  for (size_t i = used_; i-- > 0;) {
    Node& n = *nodes_[i];
    if (n.needed && n.has_gradient) n.back(n);
  }
}

Tensor Tensor::square() const { return Each<Square>(*this); }
Tensor Tensor::exp() const { return Each<Exponential>(*this, 0, false); }
Tensor Tensor::cos() const { return Each<CosineOf>(*this, 0, false); }
Tensor Tensor::abs() const { return Each<Size>(*this); }
Tensor Tensor::clamp(double most) const { return Each<Cut>(*this, static_cast<float>(most)); }
Tensor Tensor::sum() const { return Total(*this, 1); }
Tensor Tensor::mean() const { return Total(*this, 1.0 / static_cast<double>(node_->rows * node_->cols)); }

Tensor Tensor::row_sums() const {
  const auto back = [](Node& self) {
    Node& from = *self.parents[0];
    float* to = Gradient(from);
    for (int64_t i = 0; i < from.rows; ++i, to += from.stride) {
      for (int64_t j = 0; j < from.cols; ++j) to[j] += self.gradient[i * self.stride];
    }
  };
  const Tensor out = Result(*this, node_->rows, 1, back, node_);
  for (int64_t i = 0; i < node_->rows; ++i) {
    float sum = 0;
    for (int64_t j = 0; j < node_->cols; ++j) sum += at(i, j);
    out->value[i * out->stride] = sum;
  }
  return out;
}

Tensor Tensor::narrow(int64_t dimension, int64_t begin, int64_t count) const {
  const bool rows = dimension == 0;
  const auto back = [](Node& self) {
    Node& from = *self.parents[0];
    CopyColumns(self.rows, self.cols, self.gradient, self.stride, Gradient(from) + self.place, from.stride, true);
  };
  const Tensor out = Result(*this, rows ? count : node_->rows, rows ? node_->cols : count, back, node_);
  out->place = rows ? begin * node_->stride : begin;
  CopyColumns(out->rows, out->cols, node_->value + out->place, node_->stride, out->value, out->stride, false);
  return out;
}

Tensor Tensor::detach() const {
  const Tensor out = node_->tape->New(node_->rows, node_->cols);
  std::copy_n(node_->value, node_->size(), out->value);
  return out;
}

Tensor operator+(const Tensor& a, const Tensor& b) { return Pair(a, b, Pairing::kAdd); }
Tensor operator-(const Tensor& a, const Tensor& b) { return Pair(a, b, Pairing::kSubtract); }
Tensor operator*(const Tensor& a, const Tensor& b) { return Pair(a, b, Pairing::kMultiply); }
Tensor operator+(const Tensor& a, double b) { return Each<Plus>(a, static_cast<float>(b), false); }
Tensor operator*(const Tensor& a, double b) { return Each<Times>(a, static_cast<float>(b)); }
Tensor relu(const Tensor& x) { return Each<Relu>(x); }
Tensor tanh(const Tensor& x) { return Each<TanhOf>(x); }
Tensor sigmoid(const Tensor& x) { return Each<SigmoidOf>(x, 0, false); }
Tensor softplus(const Tensor& x) { return Each<Softplus>(x, 0, false); }

Tensor softmax(const Tensor& x) {
  const auto back = [](Node& self) {  // y (g - sum of y g)
    Node& from = *self.parents[0];
    float* to = Gradient(from);
    const float *y = self.value, *g = self.gradient;
    for (int64_t i = 0; i < self.rows; ++i, y += self.stride, g += self.stride, to += self.stride) {
      float mean = 0;
      for (int64_t j = 0; j < self.cols; ++j) mean += y[j] * g[j];
      for (int64_t j = 0; j < self.cols; ++j) to[j] += y[j] * (g[j] - mean);
    }
  };
  const Tensor out = Result(x, x->rows, x->cols, back, x.node());
  for (int64_t i = 0; i < x->rows; ++i) {
    const float* const from = x->value + i * x->stride;
    float* const to = out->value + i * x->stride;
    const float most = *std::max_element(from, from + x->cols);
    float sum = 0;
    for (int64_t j = 0; j < x->cols; ++j) to[j] = std::max(from[j] - most, -87.0f);
    for (int64_t j = 0; j < x->stride; j += kLanes) {
      auto& lanes = *reinterpret_cast<Lanes*>(to + j);
      lanes = ExpOfNegative(lanes);
    }
    for (int64_t j = 0; j < x->cols; ++j) sum += to[j];
    for (int64_t j = 0; j < x->cols; ++j) to[j] /= sum;
  }
  ClearPadding(*out);
  return out;
}

Tensor cat(const std::vector<Tensor>& parts, int64_t dimension) {
  Tensor all = parts.front();
  for (size_t i = 1; i < parts.size(); ++i) all = CatTwo(all, parts[i], dimension);
  return all;
}

Tensor Affine(const Tensor& x, const Tensor& weights, const Tensor& bias) {
  const Tensor out = Result(x, x->rows, weights->cols, AffineBack, x.node(), weights.node(), bias.node());
  Multiply({.rows = x->rows,
            .inner = x->cols,
            .cols = out->stride,
            .a = x->value,
            .a_row = x->stride,
            .a_inner = 1,
            .b = weights->value,
            .b_stride = weights->stride,
            .c = out->value,
            .c_stride = out->stride,
            .start = bias->value});
  return out;
}

}  // namespace vedette::neural::host
