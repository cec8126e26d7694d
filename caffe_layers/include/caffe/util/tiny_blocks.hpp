#ifndef CAFFE_UTIL_TINY_BLOCKS_HPP_
#define CAFFE_UTIL_TINY_BLOCKS_HPP_

#include "caffe/common.hpp"
#include "caffe/util/aligned_vector.hpp"
#include "caffe/util/batched_gemm.hpp"
#include "caffe/util/vectors.hpp"

namespace caffe {

/// @brief Whether TinyBlocks can execute a product: matrices A of 1 x 1, 2 x 2
///        or 4 x 4, with vectors of 64 bytes 8 x 8, too, which in B and C
///        follow each other without gaps.
bool IsTiny(const BatchedGemm& gemm, int vector_bytes = WidestVector());

/**
 * @brief C = A B + beta C for A of 1 x 1 to 8 x 8: a vector holds rows of
 *        several products, and each of them meets the entry of B that it wants
 *        by a permutation within the vector.
 *
 * @param scratch room that is kept from call to call
 * @param vector_bytes 16, 32 or 64: which vectors are used
 */
template <typename Dtype>
void TinyBlocks(const BatchedGemm& gemm, const Dtype* A, const Dtype* B,
    Dtype beta, Dtype* C, const Dtype* bias, AlignedVector<Dtype>* scratch,
    int vector_bytes = WidestVector());

}  // namespace caffe

#endif  // CAFFE_UTIL_TINY_BLOCKS_HPP_
