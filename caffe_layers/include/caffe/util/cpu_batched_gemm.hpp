#ifndef CAFFE_UTIL_CPU_BATCHED_GEMM_HPP_
#define CAFFE_UTIL_CPU_BATCHED_GEMM_HPP_

#include "caffe/common.hpp"
#include "caffe/util/aligned_vector.hpp"
#include "caffe/util/batched_gemm.hpp"

namespace caffe {

/**
 * @brief How the CPU executes a BatchedGemm: what can be found out from its
 *        numbers is found out once, in the constructor.
 *
 * Large matrices go to the library for large matrices, one by one. Smaller ones
 * go to kernels that libxsmm compiles for just these dimensions and this
 * processor, those with few outputs (or few inputs) to DotBlocks, and square
 * ones of 8 x 8 and below to TinyBlocks, many at a time in a vector register.
 * Which it is depends on the dimensions alone: the same product has the same
 * bits whenever it is computed on the same machine.
 *
 * Without libxsmm (USE_LIBXSMM) BLAS computes what libxsmm would.
 */
template <typename Dtype>
class CpuBatchedGemm {
 public:
  CpuBatchedGemm() : way_(BLAS) {}
  /// @param beta 0 or 1: whether C is set or added to
  CpuBatchedGemm(const BatchedGemm& gemm, Dtype beta);

  /// @brief C = A B + beta C. With a bias, for beta = 1, each column of C (over
  ///        all matrices, which follow each other) is first set to it.
  void Run(const Dtype* A, const Dtype* B, Dtype* C, const Dtype* bias = NULL);

 private:
  enum Way { BLAS, KERNELS, TINY, DOTS };
  typedef void (*Function)();  // libxsmm's types stay out of headers

  Way Choose() const;
  bool FewRows() const;
  int Tile() const;
  void FindKernels();
  void RunBlas(const Dtype* A, const Dtype* B, Dtype* C, const Dtype* bias);
  void RunKernels(const Dtype* A, const Dtype* B, Dtype* C, const Dtype* bias);
  void RunDots(const Dtype* A, const Dtype* B, Dtype* C, const Dtype* bias);
  void RunTiny(const Dtype* A, const Dtype* B, Dtype* C, const Dtype* bias);
  void Turn(const Dtype* a, Dtype* turned) const;

  BatchedGemm gemm_;
  Dtype beta_;
  Way way_;
  /// The batch (columns of B and C, or, where B is transposed, what is summed
  /// over) is cut into parts of tile_; the last part may be smaller.
  int length_, tile_;
  Function whole_, rest_;
  /// A turned round, for the kernels take it as it stands only.
  int turned_ld_;
  Function turn_[2][2];
  AlignedVector<Dtype> turned_;
};

}  // namespace caffe

#endif  // CAFFE_UTIL_CPU_BATCHED_GEMM_HPP_
