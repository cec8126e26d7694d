#ifndef CAFFE_UTIL_ALIGNED_VECTOR_HPP_
#define CAFFE_UTIL_ALIGNED_VECTOR_HPP_

#include <boost/align/aligned_allocator.hpp>

#include <vector>

namespace caffe {

/// @brief Begins with a line of the cache, so that no vector register's worth
///        of it lies across two.
template <typename Dtype>
using AlignedVector =
    std::vector<Dtype, boost::alignment::aligned_allocator<Dtype, 64> >;

}  // namespace caffe

#endif  // CAFFE_UTIL_ALIGNED_VECTOR_HPP_
