#include "caffe/common.hpp"
#include "caffe/util/batched_gemm.hpp"

namespace caffe {

static inline cublasOperation_t operation(CBLAS_TRANSPOSE trans) {
  return trans == CblasNoTrans ? CUBLAS_OP_N : CUBLAS_OP_T;
}

static inline cublasStatus_t strided(const BatchedGemm& g, const float* alpha,
    const float* A, const float* B, const float* beta, float* C) {
  return cublasSgemmStridedBatched(Caffe::cublas_handle(),
      operation(g.trans_a), operation(g.trans_b), g.m, g.n, g.k, alpha,
      A, g.a.ld, g.a.stride, B, g.b.ld, g.b.stride, beta,
      C, g.c.ld, g.c.stride, g.batch);
}

static inline cublasStatus_t strided(const BatchedGemm& g, const double* alpha,
    const double* A, const double* B, const double* beta, double* C) {
  return cublasDgemmStridedBatched(Caffe::cublas_handle(),
      operation(g.trans_a), operation(g.trans_b), g.m, g.n, g.k, alpha,
      A, g.a.ld, g.a.stride, B, g.b.ld, g.b.stride, beta,
      C, g.c.ld, g.c.stride, g.batch);
}

static inline cublasStatus_t pointed(const BatchedGemm& g, const float* alpha,
    const float* const* A, const float* const* B, const float* beta,
    float* const* C) {
  return cublasSgemmBatched(Caffe::cublas_handle(),
      operation(g.trans_a), operation(g.trans_b), g.m, g.n, g.k, alpha,
      A, g.a.ld, B, g.b.ld, beta, C, g.c.ld, g.batch);
}

static inline cublasStatus_t pointed(const BatchedGemm& g, const double* alpha,
    const double* const* A, const double* const* B, const double* beta,
    double* const* C) {
  return cublasDgemmBatched(Caffe::cublas_handle(),
      operation(g.trans_a), operation(g.trans_b), g.m, g.n, g.k, alpha,
      A, g.a.ld, B, g.b.ld, beta, C, g.c.ld, g.batch);
}

template <typename Dtype>
void caffe_gpu_gemm_batched(const BatchedGemm& g, const Dtype alpha,
    const Dtype* A, const Dtype* B, const Dtype beta, Dtype* C,
    SyncedMemory* pointers) {
  if (g.strided()) {
    CUBLAS_CHECK(strided(g, &alpha, A, B, &beta, C));
    return;
  }
  CHECK_GE(pointers->size(), 3 * g.batch * sizeof(Dtype*));
  const Dtype** host =
      static_cast<const Dtype**>(pointers->mutable_cpu_data());
  for (int i = 0; i < g.batch; ++i) {
    host[i] = A + g.a.offset(i);
    host[g.batch + i] = B + g.b.offset(i);
    host[2 * g.batch + i] = C + g.c.offset(i);
  }
  const Dtype* const* device =
      static_cast<const Dtype* const*>(pointers->gpu_data());
  CUBLAS_CHECK(pointed(g, &alpha, device, device + g.batch, &beta,
      const_cast<Dtype* const*>(device + 2 * g.batch)));
}

template void caffe_gpu_gemm_batched<float>(const BatchedGemm& g,
    const float alpha, const float* A, const float* B, const float beta,
    float* C, SyncedMemory* pointers);
template void caffe_gpu_gemm_batched<double>(const BatchedGemm& g,
    const double alpha, const double* A, const double* B, const double beta,
    double* C, SyncedMemory* pointers);

}  // namespace caffe
