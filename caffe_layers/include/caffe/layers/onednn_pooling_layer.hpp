#ifndef CAFFE_ONEDNN_POOLING_LAYER_HPP_
#define CAFFE_ONEDNN_POOLING_LAYER_HPP_

#include <vector>

#include "caffe/blob.hpp"
#include "caffe/layer.hpp"
#include "caffe/layers/pooling_layer.hpp"
#include "caffe/proto/caffe.pb.h"

namespace caffe {

#ifdef USE_ONEDNN

struct OneDNNPlane;

/**
 * @brief PoolingLayer with vectorized loops on the CPU, bit for bit the same.
 *
 * The engine of nets whose convolutions are oneDNN's. The loops are our own:
 * oneDNN's pooling wants another order of the data than Caffe's, and average
 * pooling divides by another number at the right and bottom edges. Here every
 * window is gone through in PoolingLayer's order, many at a time, so the first
 * of equal maxima is taken and sums round the same way. Stochastic
 * pooling, a second top, double precision and the GPU are PoolingLayer's.
 */
template <typename Dtype>
class OneDNNPoolingLayer : public PoolingLayer<Dtype> {
 public:
  explicit OneDNNPoolingLayer(const LayerParameter& param)
      : PoolingLayer<Dtype>(param) {}

 protected:
  virtual void Forward_cpu(const vector<Blob<Dtype>*>& bottom,
      const vector<Blob<Dtype>*>& top);
  virtual void Backward_cpu(const vector<Blob<Dtype>*>& top,
      const vector<bool>& propagate_down, const vector<Blob<Dtype>*>& bottom);

 private:
  // Makes the buffers anew if the shape has changed; false: not for our loops.
  bool Prepare(const vector<Blob<Dtype>*>& top);
  bool is_max() const {
    return this->layer_param_.pooling_param().pool() ==
        PoolingParameter_PoolMethod_MAX;
  }

  shared_ptr<OneDNNPlane> plane_;
  vector<float> padded_;  // one plane of the bottom with its margins
  // Average pooling: of one plane of the top what each window's sum is divided
  // by, and the diff of its entries, in rows of share_row_ numbers.
  vector<float> sizes_, shares_;
  int share_row_;
};

#endif  // USE_ONEDNN

}  // namespace caffe

#endif  // CAFFE_ONEDNN_POOLING_LAYER_HPP_
