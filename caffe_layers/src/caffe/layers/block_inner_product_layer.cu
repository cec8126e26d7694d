#include <vector>

#include "caffe/layers/block_inner_product_layer.hpp"
#include "caffe/util/math_functions.hpp"

namespace caffe {

template <typename Dtype>
__global__ void CopyBiasKernel(const int count, const int N, const Dtype* bias,
    Dtype* top) {
  CUDA_KERNEL_LOOP(index, count) {
    CopyBias(index / N, index % N, N, bias, top);
  }
}

template <typename Dtype>
void BlockInnerProductLayer<Dtype>::Forward_gpu(
    const vector<Blob<Dtype>*>& bottom, const vector<Blob<Dtype>*>& top) {
  NextOrder();
  const int count = top[0]->count();
  if (count == 0) { return; }  // a kernel wants one element at least
  Dtype* top_data = top[0]->mutable_gpu_data();
  if (bias_term_) {
    // NOLINT_NEXT_LINE(whitespace/operators)
    CopyBiasKernel<Dtype><<<CAFFE_GET_BLOCKS(count), CAFFE_CUDA_NUM_THREADS>>>(
        count, N_, this->blobs_[1]->gpu_data(), top_data);
    CUDA_POST_KERNEL_CHECK;
  }
  caffe_gpu_gemm_batched<Dtype>(products_.forward, Dtype(1),
      this->blobs_[0]->gpu_data(), bottom[0]->gpu_data(), Dtype(bias_term_),
      top_data, pointers_.get());
}

template <typename Dtype>
void BlockInnerProductLayer<Dtype>::Backward_gpu(
    const vector<Blob<Dtype>*>& top, const vector<bool>& propagate_down,
    const vector<Blob<Dtype>*>& bottom) {
  if (top[0]->count() == 0) { return; }
  ReadOrder();
  const Dtype* top_diff = top[0]->gpu_diff();
  if (this->param_propagate_down_[0]) {
    caffe_gpu_gemm_batched<Dtype>(products_.weight_gradient, Dtype(1),
        bottom[0]->gpu_data(), top_diff, Dtype(1),
        this->blobs_[0]->mutable_gpu_diff(), pointers_.get());
  }
  if (bias_term_ && this->param_propagate_down_[1]) {
    caffe_gpu_gemv<Dtype>(CblasTrans, M_, N_, Dtype(1), top_diff,
        bias_multiplier_.gpu_data(), Dtype(1),
        this->blobs_[1]->mutable_gpu_diff());
  }
  if (propagate_down[0]) {
    caffe_gpu_gemm_batched<Dtype>(products_.data_gradient, Dtype(1),
        this->blobs_[0]->gpu_data(), top_diff, Dtype(0),
        bottom[0]->mutable_gpu_diff(), pointers_.get());
  }
}

INSTANTIATE_LAYER_GPU_FUNCS(BlockInnerProductLayer);

}  // namespace caffe
