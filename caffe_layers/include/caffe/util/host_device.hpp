#ifndef CAFFE_UTIL_HOST_DEVICE_HPP_
#define CAFFE_UTIL_HOST_DEVICE_HPP_

// A function with one body for the CPU and for CUDA kernels: what tests of the
// CPU execute is what the GPU executes.
#ifdef __CUDACC__
#define CAFFE_HOST_DEVICE __host__ __device__
#else
#define CAFFE_HOST_DEVICE
#endif

#endif  // CAFFE_UTIL_HOST_DEVICE_HPP_
