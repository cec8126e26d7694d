#ifndef CAFFE_UTIL_ONE_THREAD_HPP_
#define CAFFE_UTIL_ONE_THREAD_HPP_

#include <cstdlib>

// Of the OpenMP that oneDNN brings, if it is built with one.
extern "C" {
int omp_get_max_threads() __attribute__((weak));
void omp_set_num_threads(int) __attribute__((weak));
}

namespace caffe {

/// @brief While it lives oneDNN has one thread, unless OMP_NUM_THREADS says how
///        many. OpenMP's own default, one for each core, changes the bits of
///        sums from machine to machine and is many times slower where the cores
///        have other work to do.
class OneThread {
 public:
  OneThread() : before_(0) {
    if (!getenv("OMP_NUM_THREADS") && omp_get_max_threads &&
        omp_set_num_threads) {
      before_ = omp_get_max_threads();
      omp_set_num_threads(1);
    }
  }
  ~OneThread() {
    if (before_) { omp_set_num_threads(before_); }
  }

 private:
  int before_;
};

}  // namespace caffe

#endif  // CAFFE_UTIL_ONE_THREAD_HPP_
