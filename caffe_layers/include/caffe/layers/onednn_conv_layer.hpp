#ifndef CAFFE_ONEDNN_CONV_LAYER_HPP_
#define CAFFE_ONEDNN_CONV_LAYER_HPP_

#include <vector>

#include "caffe/blob.hpp"
#include "caffe/layer.hpp"
#include "caffe/layers/conv_layer.hpp"
#include "caffe/proto/caffe.pb.h"

namespace caffe {

#ifdef USE_ONEDNN

class OneDNNConvolution;

/**
 * @brief ConvolutionLayer with its products on the CPU done by oneDNN.
 *
 * Blobs and parameters are those of ConvolutionLayer. What oneDNN does not do
 * here is done by ConvolutionLayer: the GPU, double precision, a bias which
 * learns without the weights; and, unless it is asked for by engine: ONEDNN
 * (then it is an error), other than two spatial axes after one of channels, and
 * force_nd_im2col. Sums are taken in another order than by ConvolutionLayer, so
 * results differ from its by rounding. They are the same in every run on
 * one kind of processor: there is one thread, unless OMP_NUM_THREADS in the
 * environment says how many.
 */
template <typename Dtype>
class OneDNNConvolutionLayer : public ConvolutionLayer<Dtype> {
 public:
  explicit OneDNNConvolutionLayer(const LayerParameter& param)
      : ConvolutionLayer<Dtype>(param), supported_(false) {}
  virtual void LayerSetUp(const vector<Blob<Dtype>*>& bottom,
      const vector<Blob<Dtype>*>& top);

 protected:
  virtual void Forward_cpu(const vector<Blob<Dtype>*>& bottom,
      const vector<Blob<Dtype>*>& top);
  virtual void Backward_cpu(const vector<Blob<Dtype>*>& top,
      const vector<bool>& propagate_down, const vector<Blob<Dtype>*>& bottom);

 private:
  // Makes convolution_ anew if the blobs' shape has changed.
  void Prepare(const vector<Blob<Dtype>*>& bottom);

  bool supported_;
  shared_ptr<OneDNNConvolution> convolution_;
};

#endif  // USE_ONEDNN

}  // namespace caffe

#endif  // CAFFE_ONEDNN_CONV_LAYER_HPP_
