#include "caffe/common.hpp"
#include "caffe/util/prune_math.hpp"

namespace caffe {

template <typename Dtype>
__global__ void PruneGradientKernel(const int n, const PruneRegion region,
    const Dtype l1, const Dtype l2, const Dtype* w, Dtype* g) {
  CUDA_KERNEL_LOOP(i, n) {
    if (region.contains(i)) {
      g[i] = PrunedGradient(w[i], g[i], l1, l2);
    }
  }
}

template <typename Dtype>
__global__ void PruneUpdateKernel(const int n, const PruneRegion region,
    const PruneRule rule, const Dtype threshold, const Dtype* d, Dtype* w) {
  CUDA_KERNEL_LOOP(i, n) {
    w[i] = region.contains(i) ? PrunedWeight(w[i], d[i], rule, threshold) :
        w[i] - d[i];
  }
}

template <typename Dtype>
__global__ void PruneZeroKernel(const int n, const PruneRegion region,
    Dtype* w) {
  CUDA_KERNEL_LOOP(i, n) {
    if (region.contains(i)) {
      w[i] = 0;
    }
  }
}

template <typename Dtype>
__global__ void PruneFindKernel(const int rows, const int cols, const Dtype* w,
    int* removed) {
  CUDA_KERNEL_LOOP(row, rows) {
    removed[row] = AllZero(w + row * cols, cols);
  }
}

template <typename Dtype>
void prune_gradient_gpu(const PruneRegion& region, Dtype l1, Dtype l2,
    const Dtype* w, Dtype* g) {
  const int n = region.count;
  // NOLINT_NEXT_LINE(whitespace/operators)
  PruneGradientKernel<Dtype><<<CAFFE_GET_BLOCKS(n), CAFFE_CUDA_NUM_THREADS>>>(
      n, region, l1, l2, w, g);
  CUDA_POST_KERNEL_CHECK;
}

template <typename Dtype>
void prune_update_gpu(const PruneRegion& region, PruneRule rule,
    Dtype threshold, const Dtype* d, Dtype* w) {
  const int n = region.count;
  // NOLINT_NEXT_LINE(whitespace/operators)
  PruneUpdateKernel<Dtype><<<CAFFE_GET_BLOCKS(n), CAFFE_CUDA_NUM_THREADS>>>(
      n, region, rule, threshold, d, w);
  CUDA_POST_KERNEL_CHECK;
}

template <typename Dtype>
void prune_zero_gpu(const PruneRegion& region, Dtype* w) {
  const int n = region.count;
  // NOLINT_NEXT_LINE(whitespace/operators)
  PruneZeroKernel<Dtype><<<CAFFE_GET_BLOCKS(n), CAFFE_CUDA_NUM_THREADS>>>(
      n, region, w);
  CUDA_POST_KERNEL_CHECK;
}

template <typename Dtype>
void prune_find_gpu(int rows, int cols, const Dtype* w, int* removed) {
  // NOLINT_NEXT_LINE(whitespace/operators)
  PruneFindKernel<Dtype><<<CAFFE_GET_BLOCKS(rows), CAFFE_CUDA_NUM_THREADS>>>(
      rows, cols, w, removed);
  CUDA_POST_KERNEL_CHECK;
}

template void prune_gradient_gpu<float>(const PruneRegion& region, float l1,
    float l2, const float* w, float* g);
template void prune_gradient_gpu<double>(const PruneRegion& region, double l1,
    double l2, const double* w, double* g);
template void prune_update_gpu<float>(const PruneRegion& region,
    PruneRule rule, float threshold, const float* d, float* w);
template void prune_update_gpu<double>(const PruneRegion& region,
    PruneRule rule, double threshold, const double* d, double* w);
template void prune_zero_gpu<float>(const PruneRegion& region, float* w);
template void prune_zero_gpu<double>(const PruneRegion& region, double* w);
template void prune_find_gpu<float>(int rows, int cols, const float* w,
    int* removed);
template void prune_find_gpu<double>(int rows, int cols, const double* w,
    int* removed);

}  // namespace caffe
