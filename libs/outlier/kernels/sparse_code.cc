// The active set grows by the row that the residual is most aligned with, and is minimised over before the next joins:
// along the line to the minimum of the set's own orthant, where a coefficient that would change its sign leaves the set
// (as in feature-sign search, Lee et al., NIPS 2006). The objective falls with every step, so no set comes twice.
#include "outlier/kernels/sparse_code.h"

#include <algorithm>
#include <cmath>

namespace vedette::outlier {
namespace {

/// Relative slack of the optimality condition: rounding must not let a row in again and again.
constexpr double kSlack = 1e-10;
/// Of a diagonal element of the Gram matrix: keeps the systems of equal rows solvable.
constexpr double kLeastRidge = 1e-12;
/// A row that is not made of this many is not sparse in them; bounds the time of one solution.
constexpr size_t kMostChosen = 128;

double Product(const double* a, const double* b, size_t d) {
  double sum = 0;
  for (size_t j = 0; j < d; ++j) sum += a[j] * b[j];
  return sum;
}

}  // namespace

const double* SparseCoder::Row(int64_t k) const {
  return k == static_cast<int64_t>(p_.rows->rows()) ? p_.extra : p_.values + static_cast<size_t>(k) * p_.y.size();
}

/// The row outside the set with the largest |scale x . residual|, the lowest of equal ones; -1 when all are 0.
int64_t SparseCoder::MostAligned(double* correlation) {
  const size_t n = p_.rows->rows();
  products_.resize(p_.rows->padded());
  p_.rows->Products(residual_.data(), products_.data());
  int64_t best = -1;
  double most = 0;
  const auto consider = [&](size_t k, double product) {
    const double c = product * p_.scales[k];
    if (std::fabs(c) > most && active_[k] == 0) {
      most = std::fabs(c);
      *correlation = c;
      best = static_cast<int64_t>(k);
    }
  };
  for (size_t k = 0; k < n; ++k) consider(k, products_[k]);
  if (p_.extra != nullptr) consider(n, Product(p_.extra, residual_.data(), p_.y.size()));
  return best;
}

void SparseCoder::Join(int64_t k, double sign) {
  const size_t d = p_.y.size(), size = chosen_.size();
  const double* const row = Row(k);
  const double scale = p_.scales[static_cast<size_t>(k)];
  std::vector<double> wider((size + 1) * (size + 1));
  for (size_t a = 0; a < size; ++a) {
    std::copy_n(gram_.begin() + static_cast<int64_t>(a * size), size,
                wider.begin() + static_cast<int64_t>(a * (size + 1)));
    const double product = scale * p_.scales[static_cast<size_t>(chosen_[a])] * Product(row, Row(chosen_[a]), d);
    wider[a * (size + 1) + size] = wider[size * (size + 1) + a] = product;
  }
  wider[(size + 1) * (size + 1) - 1] = scale * scale * Product(row, row, d);
  gram_ = std::move(wider);
  chosen_.push_back(static_cast<int32_t>(k));
  coefficients_.push_back(0);
  signs_.push_back(sign);
  target_.push_back(scale * Product(row, p_.y.data(), d));
  active_[static_cast<size_t>(k)] = 1;
}

void SparseCoder::Leave(size_t place) {
  const size_t size = chosen_.size();
  active_[static_cast<size_t>(chosen_[place])] = 0;
  factored_ = std::min(factored_, place);
  const auto at = static_cast<int64_t>(place);
  chosen_.erase(chosen_.begin() + at);
  for (auto* v : {&coefficients_, &signs_, &target_}) v->erase(v->begin() + at);
  size_t to = 0;
  for (size_t a = 0; a < size; ++a) {
    for (size_t b = 0; b < size; ++b) {
      if (a != place && b != place) gram_[to++] = gram_[a * size + b];
    }
  }
  gram_.resize(to);
}

/// solution_ = the minimum over the set, were its signs kept. False when the system cannot be solved. Rows of the
/// factor that did not change since the last call are kept: many equal rows come in one by one.
bool SparseCoder::SolveActive() {
  const size_t n = chosen_.size();
  factor_.resize(kMostChosen * kMostChosen);
  solution_.resize(n);
  for (; factored_ < n; ++factored_) {
    const size_t i = factored_;
    double* const row = factor_.data() + i * kMostChosen;
    for (size_t j = 0; j <= i; ++j) {
      const double* const other = factor_.data() + j * kMostChosen;
      double sum = gram_[i * n + j] + (i == j ? ridge_ + kLeastRidge * gram_[i * n + i] : 0);
      for (size_t k = 0; k < j; ++k) sum -= row[k] * other[k];
      if (i != j) {
        row[j] = sum / other[j];
      } else if (sum > 0 && std::isfinite(sum)) {
        row[i] = std::sqrt(sum);
      } else {
        return false;
      }
    }
  }
  for (size_t i = 0; i < n; ++i) {
    const double* const row = factor_.data() + i * kMostChosen;
    double sum = target_[i] - bound_ * signs_[i];
    for (size_t k = 0; k < i; ++k) sum -= row[k] * solution_[k];
    solution_[i] = sum / row[i];
  }
  for (size_t i = n; i-- > 0;) {
    double sum = solution_[i];
    for (size_t k = i + 1; k < n; ++k) sum -= factor_[k * kMostChosen + i] * solution_[k];
    solution_[i] = sum / factor_[i * kMostChosen + i];
  }
  return std::all_of(solution_.begin(), solution_.end(), [](double c) { return std::isfinite(c); });
}

/// Minimises over the set; rows whose coefficient reaches 0 leave it. False when the newest row could not come in.
bool SparseCoder::Descend() {
  const int32_t newest = chosen_.back();
  while (!chosen_.empty()) {
    if (!SolveActive()) {
      Leave(chosen_.size() - 1);
      return false;
    }
    double step = 1;
    size_t first = chosen_.size();
    for (size_t a = 0; a < chosen_.size(); ++a) {
      if (solution_[a] * signs_[a] > 0) continue;
      const double way = coefficients_[a] - solution_[a], share = way == 0 ? 0 : coefficients_[a] / way;
      if (share < step || first == chosen_.size()) {
        step = std::clamp(share, 0.0, 1.0);
        first = a;
      }
    }
    if (first == chosen_.size()) {
      coefficients_ = solution_;
      return true;
    }
    for (size_t a = 0; a < chosen_.size(); ++a) coefficients_[a] += step * (solution_[a] - coefficients_[a]);
    const bool refused = chosen_[first] == newest && step == 0;
    Leave(first);
    if (refused) return false;
  }
  return true;
}

void SparseCoder::UpdateResidual() {
  residual_.assign(p_.y.begin(), p_.y.end());
  weights_.resize(chosen_.size());
  for (size_t a = 0; a < chosen_.size(); ++a) {
    weights_[a] = coefficients_[a] * p_.scales[static_cast<size_t>(chosen_[a])];
    const double* const row = Row(chosen_[a]);
    for (size_t j = 0; j < residual_.size(); ++j) residual_[j] -= weights_[a] * row[j];
  }
}

void SparseCoder::Solve(const Problem& problem) {
  p_ = problem;
  const size_t n = p_.rows->rows();
  for (auto* v : {&coefficients_, &signs_, &target_, &gram_}) v->clear();
  chosen_.clear();
  factored_ = 0;
  active_.assign(n + 1, 0);
  if (p_.left_out >= 0) active_[static_cast<size_t>(p_.left_out)] = 1;
  UpdateResidual();
  double correlation = 0;
  int64_t best = MostAligned(&correlation);
  bound_ = std::fabs(correlation) / p_.gamma;
  ridge_ = bound_ * (1 - p_.tau) / p_.tau;
  // Each row comes in a few times at most; more rounds than this are rounding at work.
  const size_t most_rounds = 20 * (p_.y.size() + 10);
  for (size_t round = 0; best >= 0 && round < most_rounds && chosen_.size() < kMostChosen; ++round) {
    if (!(std::fabs(correlation) > bound_ * (1 + kSlack)) || !std::isfinite(correlation)) break;
    Join(best, correlation > 0 ? 1 : -1);
    if (!Descend()) break;
    UpdateResidual();
    correlation = 0;
    best = MostAligned(&correlation);
  }
  UpdateResidual();
}

}  // namespace vedette::outlier
