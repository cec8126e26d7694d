#include "caffe/util/batched_gemm.hpp"

namespace caffe {

static inline void gemm(const BatchedGemm& g, float alpha, const float* A,
    const float* B, float beta, float* C) {
  cblas_sgemm(CblasColMajor, g.trans_a, g.trans_b, g.m, g.n, g.k, alpha,
      A, g.a.ld, B, g.b.ld, beta, C, g.c.ld);
}

static inline void gemm(const BatchedGemm& g, double alpha, const double* A,
    const double* B, double beta, double* C) {
  cblas_dgemm(CblasColMajor, g.trans_a, g.trans_b, g.m, g.n, g.k, alpha,
      A, g.a.ld, B, g.b.ld, beta, C, g.c.ld);
}

template <typename Dtype>
void caffe_cpu_gemm_batched(const BatchedGemm& g, const Dtype alpha,
    const Dtype* A, const Dtype* B, const Dtype beta, Dtype* C) {
  for (int i = 0; i < g.batch; ++i) {
    gemm(g, alpha, A + g.a.offset(i), B + g.b.offset(i), beta,
        C + g.c.offset(i));
  }
}

template void caffe_cpu_gemm_batched<float>(const BatchedGemm& g,
    const float alpha, const float* A, const float* B, const float beta,
    float* C);
template void caffe_cpu_gemm_batched<double>(const BatchedGemm& g,
    const double alpha, const double* A, const double* B, const double beta,
    double* C);

}  // namespace caffe
