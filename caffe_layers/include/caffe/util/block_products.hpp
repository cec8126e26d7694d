#ifndef CAFFE_UTIL_BLOCK_PRODUCTS_HPP_
#define CAFFE_UTIL_BLOCK_PRODUCTS_HPP_

#include "caffe/util/batched_gemm.hpp"
#include "caffe/util/host_device.hpp"

namespace caffe {

/**
 * @brief The three matrix products of a block diagonal inner product.
 *
 * Row-major, as Caffe's blobs: inputs X of M x K, outputs Y of M x N, weights W
 * of N x K/b, of which rows i N/b ... (i + 1) N/b - 1 are block i. X and Y stay
 * as the other layers have them: block i of X begins at its column i K/b and
 * keeps K as its leading dimension, so that nothing is copied.
 *
 * The column-major matrix with the same elements is the transpose, hence, with
 * n = N/b and k = K/b and W_i, X_i, Y_i the blocks as row-major matrices,
 *   forward          Y_i^T  = W_i X_i^T,
 *   data_gradient    dX_i^T = W_i^T dY_i^T,
 *   weight_gradient  dW_i^T = X_i^T dY_i.
 */
struct BlockProducts {
  BlockProducts() {}
  /// @param order block i of Y and W meets block order[i] of X; NULL: block i
  BlockProducts(int M, int N, int K, int b, const int* order) {
    const int n = N / b;
    const int k = K / b;
    const BatchedGemm::Operand x(K, k, order);
    const BatchedGemm::Operand y(N, n);
    const BatchedGemm::Operand w(k, static_cast<int64_t>(n) * k);

    forward.trans_a = CblasTrans;  // the column-major W is k x n
    forward.m = n;
    forward.n = M;
    forward.k = k;
    forward.a = w;
    forward.b = x;
    forward.c = y;

    data_gradient.m = k;
    data_gradient.n = M;
    data_gradient.k = n;
    data_gradient.a = w;
    data_gradient.b = y;
    data_gradient.c = x;

    weight_gradient.trans_b = CblasTrans;
    weight_gradient.m = k;
    weight_gradient.n = n;
    weight_gradient.k = M;
    weight_gradient.a = x;
    weight_gradient.b = y;
    weight_gradient.c = w;

    forward.batch = data_gradient.batch = weight_gradient.batch = b;
  }

  BatchedGemm forward;          ///< A = W, B = X, C = Y
  BatchedGemm data_gradient;    ///< A = W, B = dY, C = dX
  BatchedGemm weight_gradient;  ///< A = X, B = dY, C = dW
};

/// @brief Row m, column n of an M x N output before the product is added to it.
template <typename Dtype>
CAFFE_HOST_DEVICE inline void CopyBias(int m, int n, int N, const Dtype* bias,
    Dtype* top) {
  top[m * N + n] = bias[n];
}

}  // namespace caffe

#endif  // CAFFE_UTIL_BLOCK_PRODUCTS_HPP_
