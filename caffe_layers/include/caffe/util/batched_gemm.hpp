#ifndef CAFFE_UTIL_BATCHED_GEMM_HPP_
#define CAFFE_UTIL_BATCHED_GEMM_HPP_

#include <stddef.h>
#include <stdint.h>

#include "caffe/syncedmem.hpp"
#include "caffe/util/mkl_alternate.hpp"

namespace caffe {

/**
 * @brief A batch of matrix products of one shape, in the terms of
 *        cublas<t>gemmStridedBatched and cublas<t>gemmBatched:
 *
 *     C_i = alpha * op(A_i) * op(B_i) + beta * C_i,    i = 0 ... batch - 1,
 *
 * with op(A_i) of m x k, op(B_i) of k x n and C_i of m x n elements, all
 * column-major. It holds every number that the library is given, and both the
 * CPU and the GPU execute it as it stands: what tests of the CPU check is what
 * cuBLAS gets.
 */
struct BatchedGemm {
  /// @brief Where the matrices of one operand lie.
  struct Operand {
    Operand() : ld(0), stride(0), order(NULL) {}
    Operand(int ld, int64_t stride, const int* order = NULL)
        : ld(ld), stride(stride), order(order) {}
    /// @brief Elements from the operand's start to its matrix in product i.
    int64_t offset(int i) const { return stride * (order ? order[i] : i); }

    int ld;            ///< leading dimension
    int64_t stride;    ///< elements from one matrix to the next
    const int* order;  ///< product i takes matrix order[i]; NULL: matrix i
  };

  BatchedGemm() : trans_a(CblasNoTrans), trans_b(CblasNoTrans), m(0), n(0),
      k(0), batch(0) {}

  bool strided() const { return !a.order && !b.order && !c.order; }

  CBLAS_TRANSPOSE trans_a, trans_b;
  int m, n, k;
  Operand a, b, c;
  int batch;
};

// On the CPU: CpuBatchedGemm.
#ifndef CPU_ONLY
/**
 * @param pointers room for 3 * batch pointers, used if not gemm.strided(): the
 *        matrices' addresses are computed on the host and sent to the device.
 */
template <typename Dtype>
void caffe_gpu_gemm_batched(const BatchedGemm& gemm, const Dtype alpha,
    const Dtype* A, const Dtype* B, const Dtype beta, Dtype* C,
    SyncedMemory* pointers);
#endif

}  // namespace caffe

#endif  // CAFFE_UTIL_BATCHED_GEMM_HPP_
