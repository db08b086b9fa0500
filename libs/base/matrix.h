// Numeric data, column-major: column j is one contiguous run of doubles. Rows are subjects, columns are features.
// No Eigen types here: users map it (Eigen::Map<const MatrixXd, 0, OuterStride<>>) where they need algebra.
#pragma once

#include <cstdint>
#include <memory>
#include <new>
#include <span>
#include <utility>
#include <vector>

namespace vedette {

/// A read-only view; does not own. A row range of a view is a view.
struct MatrixView {
  const double* data = nullptr;
  int64_t rows = 0;
  int64_t cols = 0;
  int64_t stride = 0;  ///< doubles from one column to the next, >= rows

  double operator()(int64_t i, int64_t j) const { return data[j * stride + i]; }
  std::span<const double> col(int64_t j) const { return {data + j * stride, static_cast<size_t>(rows)}; }
  MatrixView Rows(int64_t begin, int64_t count) const { return {data + begin, count, cols, stride}; }
};

/// Owns rows x cols doubles, zero-filled.
class Matrix {
 public:
  Matrix() = default;
  Matrix(int64_t rows, int64_t cols) : rows_(rows), cols_(cols), data_(static_cast<size_t>(rows * cols), 0.0) {}
  /// Holds anything at first, for those who write every cell.
  static Matrix ForOverwrite(int64_t rows, int64_t cols) {
    Matrix out;
    out.rows_ = rows;
    out.cols_ = cols;
    out.data_.resize(static_cast<size_t>(rows * cols));
    return out;
  }

  int64_t rows() const { return rows_; }
  int64_t cols() const { return cols_; }
  double& operator()(int64_t i, int64_t j) { return data_[static_cast<size_t>(j * rows_ + i)]; }
  double operator()(int64_t i, int64_t j) const { return data_[static_cast<size_t>(j * rows_ + i)]; }
  std::span<double> col(int64_t j) { return {data_.data() + j * rows_, static_cast<size_t>(rows_)}; }
  std::span<const double> col(int64_t j) const { return {data_.data() + j * rows_, static_cast<size_t>(rows_)}; }
  double* data() { return data_.data(); }
  const double* data() const { return data_.data(); }
  MatrixView view() const { return {data_.data(), rows_, cols_, rows_}; }
  operator MatrixView() const { return view(); }  // NOLINT: a matrix is usable wherever a view is

 private:
  /// Leaves new doubles as they are where no value is given.
  struct Allocator : std::allocator<double> {
    template <typename>
    struct rebind {  // NOLINT: the standard's name
      using other = Allocator;
    };
    void construct(double* at) { ::new (static_cast<void*>(at)) double; }
    void construct(double* at, double value) { ::new (static_cast<void*>(at)) double(value); }
  };

  int64_t rows_ = 0;
  int64_t cols_ = 0;
  std::vector<double, Allocator> data_;
};

}  // namespace vedette
