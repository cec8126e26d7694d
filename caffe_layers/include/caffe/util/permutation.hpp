#ifndef CAFFE_UTIL_PERMUTATION_HPP_
#define CAFFE_UTIL_PERMUTATION_HPP_

#include <stdint.h>

#include <vector>

namespace caffe {

/**
 * @brief A permutation of 0 ... size - 1, all equally likely, which is a
 *        function of the key alone: no generator advances.
 */
std::vector<int> KeyedPermutation(int size, const std::vector<uint32_t>& key);

}  // namespace caffe

#endif  // CAFFE_UTIL_PERMUTATION_HPP_
