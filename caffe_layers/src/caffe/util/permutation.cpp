#include "caffe/util/permutation.hpp"

#include <random>
#include <vector>

#include "caffe/util/rng.hpp"

namespace caffe {

std::vector<int> KeyedPermutation(int size, const std::vector<uint32_t>& key) {
  std::seed_seq sequence(key.begin(), key.end());
  rng_t generator(sequence);
  std::vector<int> permutation(size);
  for (int i = 0; i < size; ++i) {
    permutation[i] = i;
  }
  shuffle(permutation.begin(), permutation.end(), &generator);
  return permutation;
}

}  // namespace caffe
