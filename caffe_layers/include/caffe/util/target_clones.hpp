#ifndef CAFFE_UTIL_TARGET_CLONES_HPP_
#define CAFFE_UTIL_TARGET_CLONES_HPP_

// A function with this is compiled for three kinds of processor; the loader
// takes the one that fits. By features: "arch=..." would ask for one model.
#if defined(__x86_64__) && defined(__gnu_linux__) && !defined(__clang__)
#define CAFFE_TARGET_CLONES \
    __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define CAFFE_TARGET_CLONES
#endif

#endif  // CAFFE_UTIL_TARGET_CLONES_HPP_
