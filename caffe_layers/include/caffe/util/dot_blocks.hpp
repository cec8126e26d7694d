#ifndef CAFFE_UTIL_DOT_BLOCKS_HPP_
#define CAFFE_UTIL_DOT_BLOCKS_HPP_

#include "caffe/common.hpp"
#include "caffe/util/aligned_vector.hpp"
#include "caffe/util/batched_gemm.hpp"
#include "caffe/util/vectors.hpp"

namespace caffe {

/**
 * @brief C = A B + beta C for A of few rows, B not transposed and k of at least
 *        a vector: every entry of C is a dot product whose terms fill vectors,
 *        where other kernels would have a vector for the few rows.
 *
 * @param bias NULL, or what the product is added to, in place of C: one number
 *        for each row, over all matrices
 * @param scratch room that is kept from call to call
 * @param vector_bytes 16, 32 or 64: which vectors are used
 */
template <typename Dtype>
void DotBlocks(const BatchedGemm& gemm, const Dtype* A, const Dtype* B,
    Dtype beta, Dtype* C, const Dtype* bias, AlignedVector<Dtype>* scratch,
    int vector_bytes = WidestVector());

}  // namespace caffe

#endif  // CAFFE_UTIL_DOT_BLOCKS_HPP_
