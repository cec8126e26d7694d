#ifdef USE_ONEDNN
#include <dnnl.hpp>

#include <type_traits>
#include <vector>

#include "caffe/layers/onednn_conv_layer.hpp"
#include "caffe/util/math_functions.hpp"
#include "caffe/util/one_thread.hpp"

namespace caffe {

using dnnl::memory;

// A primitive's description, of a backward one with the forward one's as hint:
// oneDNN 2 makes it in two steps, oneDNN 3 in one.
template <typename Primitive, typename... Arguments>
static typename Primitive::primitive_desc ForwardDescription(
    const dnnl::engine& engine, const Arguments&... arguments) {
#if DNNL_VERSION_MAJOR >= 3
  return typename Primitive::primitive_desc(engine, arguments...);
#else
  return typename Primitive::primitive_desc(
      typename Primitive::desc(arguments...), engine);
#endif
}
template <typename Primitive, typename... Arguments>
static typename Primitive::primitive_desc BackwardDescription(
    const dnnl::convolution_forward::primitive_desc& hint,
    const dnnl::engine& engine, const Arguments&... arguments) {
#if DNNL_VERSION_MAJOR >= 3
  return typename Primitive::primitive_desc(engine, arguments..., hint);
#else
  return typename Primitive::primitive_desc(
      typename Primitive::desc(arguments...), engine, hint);
#endif
}

// One argument of a primitive: Caffe's data and, where oneDNN wants another
// order of it, a copy in that order.
class OneDNNArgument {
 public:
  OneDNNArgument() {}
  OneDNNArgument(const memory::desc& plain, const memory::desc& wanted,
      const dnnl::engine& engine)
      : plain_(plain, engine, NULL), copied_(wanted != plain) {
    if (copied_) { copy_ = memory(wanted, engine); }
  }
  // An input of the primitive.
  const memory& Input(const float* data, const dnnl::stream& stream) {
    plain_.set_data_handle(const_cast<float*>(data));
    if (!copied_) { return plain_; }
    if (!reorder_) { reorder_ = dnnl::reorder(plain_, copy_); }
    reorder_.execute(stream, {{DNNL_ARG_FROM, plain_}, {DNNL_ARG_TO, copy_}});
    return copy_;
  }
  // An output of the primitive, which Finish then brings to `data`.
  const memory& Output(float* data) {
    plain_.set_data_handle(data);
    return copied_ ? copy_ : plain_;
  }
  void Finish(const dnnl::stream& stream) {
    if (!copied_) { return; }
    if (!reorder_) { reorder_ = dnnl::reorder(copy_, plain_); }
    reorder_.execute(stream, {{DNNL_ARG_FROM, copy_}, {DNNL_ARG_TO, plain_}});
  }

 private:
  memory plain_, copy_;
  bool copied_;
  dnnl::reorder reorder_;
};

struct ConvolutionShape {
  memory::dims bottom, top, weights;
  memory::dims stride, dilation, pad;
  bool bias;

  // Of the sizes, those of the blobs may change while a layer lives.
  bool operator==(const ConvolutionShape& other) const {
    return bottom == other.bottom && top == other.top;
  }
};

// The primitives for one shape, each made when it is first needed.
class OneDNNConvolution {
 public:
  explicit OneDNNConvolution(const ConvolutionShape& shape);

  const ConvolutionShape& shape() const { return shape_; }
  void Forward(const float* bottom, const float* weights, const float* bias,
      float* top);
  void BackwardData(const float* top_diff, const float* weights,
      float* bottom_diff);
  // Adds to the diffs of weights and, unless it is NULL, bias.
  void BackwardWeights(const float* bottom, const float* top_diff,
      float* weights_diff, float* bias_diff);

 private:
  struct Forwards {
    dnnl::convolution_forward primitive;
    OneDNNArgument bottom, weights, top;
  };
  struct BackwardsData {
    dnnl::convolution_backward_data primitive;
    OneDNNArgument top_diff, weights, bottom_diff;
  };
  struct BackwardsWeights {
    dnnl::convolution_backward_weights primitive;
    OneDNNArgument bottom, top_diff, weights_diff;
    vector<float> weights_sum, bias_sum;
  };

  dnnl::convolution_forward::primitive_desc ForwardDesc() const;
  OneDNNArgument Argument(const memory::desc& plain,
      const memory::desc& wanted) const {
    return OneDNNArgument(plain, wanted, engine_);
  }
  // In the order that oneDNN likes: with Caffe's own, a step of cuda-convnet
  // takes 1.7 times as long, for all the copying that it saves.
  static memory::desc Any(const memory::dims& dims) {
    return memory::desc(dims, memory::data_type::f32,
        memory::format_tag::any);
  }
  // Of an absent bias an empty one.
  memory::desc BiasDesc(bool bias) const {
    return bias ? bias_ : memory::desc();
  }

  const ConvolutionShape shape_;
  const dnnl::engine engine_;
  const dnnl::stream stream_;
  memory::desc bottom_, top_, weights_, bias_;
  shared_ptr<Forwards> forwards_;
  shared_ptr<BackwardsData> backwards_data_;
  shared_ptr<BackwardsWeights> backwards_weights_[2];  // without, with bias
};

static memory::desc PlainDesc(const memory::dims& dims) {
  const memory::format_tag tags[] = {memory::format_tag::a,
      memory::format_tag::abcd, memory::format_tag::abcde};
  return memory::desc(dims, memory::data_type::f32,
      tags[dims.size() == 1 ? 0 : dims.size() - 3]);
}

OneDNNConvolution::OneDNNConvolution(const ConvolutionShape& shape)
    : shape_(shape), engine_(dnnl::engine::kind::cpu, 0), stream_(engine_),
      bottom_(PlainDesc(shape.bottom)), top_(PlainDesc(shape.top)),
      weights_(PlainDesc(shape.weights)), bias_(PlainDesc({shape.top[1]})) {}

dnnl::convolution_forward::primitive_desc OneDNNConvolution::ForwardDesc()
    const {
  return ForwardDescription<dnnl::convolution_forward>(engine_,
      dnnl::prop_kind::forward_training, dnnl::algorithm::convolution_direct,
      Any(shape_.bottom), Any(shape_.weights), BiasDesc(shape_.bias),
      Any(shape_.top), shape_.stride, shape_.dilation, shape_.pad, shape_.pad);
}

void OneDNNConvolution::Forward(const float* bottom, const float* weights,
    const float* bias, float* top) {
  if (!forwards_) {
    const dnnl::convolution_forward::primitive_desc desc = ForwardDesc();
    forwards_.reset(new Forwards());
    forwards_->primitive = dnnl::convolution_forward(desc);
    forwards_->bottom = Argument(bottom_, desc.src_desc());
    forwards_->weights = Argument(weights_, desc.weights_desc());
    forwards_->top = Argument(top_, desc.dst_desc());
  }
  Forwards& f = *forwards_;
  f.primitive.execute(stream_, {
      {DNNL_ARG_SRC, f.bottom.Input(bottom, stream_)},
      {DNNL_ARG_WEIGHTS, f.weights.Input(weights, stream_)},
      {DNNL_ARG_BIAS, memory(BiasDesc(shape_.bias), engine_,
          const_cast<float*>(bias))},
      {DNNL_ARG_DST, f.top.Output(top)}});
  f.top.Finish(stream_);
}

void OneDNNConvolution::BackwardData(const float* top_diff,
    const float* weights, float* bottom_diff) {
  if (!backwards_data_) {
    const dnnl::convolution_backward_data::primitive_desc desc =
        BackwardDescription<dnnl::convolution_backward_data>(ForwardDesc(),
            engine_, dnnl::algorithm::convolution_direct, Any(shape_.bottom),
            Any(shape_.weights), Any(shape_.top), shape_.stride,
            shape_.dilation, shape_.pad, shape_.pad);
    backwards_data_.reset(new BackwardsData());
    backwards_data_->primitive = dnnl::convolution_backward_data(desc);
    backwards_data_->top_diff = Argument(top_, desc.diff_dst_desc());
    backwards_data_->weights = Argument(weights_, desc.weights_desc());
    backwards_data_->bottom_diff = Argument(bottom_, desc.diff_src_desc());
  }
  BackwardsData& b = *backwards_data_;
  b.primitive.execute(stream_, {
      {DNNL_ARG_DIFF_DST, b.top_diff.Input(top_diff, stream_)},
      {DNNL_ARG_WEIGHTS, b.weights.Input(weights, stream_)},
      {DNNL_ARG_DIFF_SRC, b.bottom_diff.Output(bottom_diff)}});
  b.bottom_diff.Finish(stream_);
}

void OneDNNConvolution::BackwardWeights(const float* bottom,
    const float* top_diff, float* weights_diff, float* bias_diff) {
  const bool with_bias = bias_diff != NULL;
  shared_ptr<BackwardsWeights>& made = backwards_weights_[with_bias];
  if (!made) {
    const dnnl::convolution_backward_weights::primitive_desc desc =
        BackwardDescription<dnnl::convolution_backward_weights>(ForwardDesc(),
            engine_, dnnl::algorithm::convolution_direct, Any(shape_.bottom),
            Any(shape_.weights), BiasDesc(with_bias), Any(shape_.top),
            shape_.stride, shape_.dilation, shape_.pad, shape_.pad);
    made.reset(new BackwardsWeights());
    made->primitive = dnnl::convolution_backward_weights(desc);
    made->bottom = Argument(bottom_, desc.src_desc());
    made->top_diff = Argument(top_, desc.diff_dst_desc());
    made->weights_diff = Argument(weights_, desc.diff_weights_desc());
    made->weights_sum.resize(weights_.get_size() / sizeof(float));
    made->bias_sum.resize(bias_.get_size() / sizeof(float));
  }
  BackwardsWeights& b = *made;
  b.primitive.execute(stream_, {
      {DNNL_ARG_SRC, b.bottom.Input(bottom, stream_)},
      {DNNL_ARG_DIFF_DST, b.top_diff.Input(top_diff, stream_)},
      {DNNL_ARG_DIFF_WEIGHTS, b.weights_diff.Output(b.weights_sum.data())},
      {DNNL_ARG_DIFF_BIAS, memory(BiasDesc(with_bias), engine_,
          b.bias_sum.data())}});
  b.weights_diff.Finish(stream_);
  caffe_axpy<float>(b.weights_sum.size(), 1, b.weights_sum.data(),
      weights_diff);
  if (with_bias) {
    caffe_axpy<float>(b.bias_sum.size(), 1, b.bias_sum.data(), bias_diff);
  }
}

template <typename Dtype>
void OneDNNConvolutionLayer<Dtype>::LayerSetUp(
    const vector<Blob<Dtype>*>& bottom, const vector<Blob<Dtype>*>& top) {
  ConvolutionLayer<Dtype>::LayerSetUp(bottom, top);
  const bool is_2d = this->num_spatial_axes_ == 2 &&
      this->channel_axis_ == 1 && !this->force_nd_im2col_;
  CHECK(is_2d || this->layer_param_.convolution_param().engine() !=
      ConvolutionParameter_Engine_ONEDNN) << "Layer "
      << this->layer_param_.name() << ": engine ONEDNN wants blobs of 4 axes, "
      << "axis: 1 and no force_nd_im2col; engine DEFAULT takes all.";
  supported_ = is_2d && std::is_same<Dtype, float>::value;
}

template <typename Dtype>
void OneDNNConvolutionLayer<Dtype>::Prepare(
    const vector<Blob<Dtype>*>& bottom) {
  ConvolutionShape shape;
  shape.bottom.assign(bottom[0]->shape().begin(), bottom[0]->shape().end());
  shape.top = {this->num_, this->num_output_, this->output_shape_[0],
      this->output_shape_[1]};
  if (convolution_ && convolution_->shape() == shape) { return; }
  const int* kernel = this->kernel_shape_.cpu_data();
  const int* stride = this->stride_.cpu_data();
  const int* dilation = this->dilation_.cpu_data();
  const int* pad = this->pad_.cpu_data();
  if (this->group_ > 1) { shape.weights.push_back(this->group_); }
  shape.weights.push_back(this->num_output_ / this->group_);
  shape.weights.push_back(this->channels_ / this->group_);
  shape.weights.insert(shape.weights.end(), kernel, kernel + 2);
  shape.stride.assign(stride, stride + 2);
  shape.dilation = {dilation[0] - 1, dilation[1] - 1};  // gaps, for oneDNN
  shape.pad.assign(pad, pad + 2);
  shape.bias = this->bias_term_;
  convolution_.reset(new OneDNNConvolution(shape));
}

// Only the float layer gets to oneDNN; the double one has to compile.
template <typename Dtype>
static const float* Floats(const Dtype* data) {
  return reinterpret_cast<const float*>(data);
}
template <typename Dtype>
static float* Floats(Dtype* data) { return reinterpret_cast<float*>(data); }

template <typename Dtype>
void OneDNNConvolutionLayer<Dtype>::Forward_cpu(
    const vector<Blob<Dtype>*>& bottom, const vector<Blob<Dtype>*>& top) {
  if (!supported_) {
    ConvolutionLayer<Dtype>::Forward_cpu(bottom, top);
    return;
  }
  OneThread one_thread;
  Prepare(bottom);
  const Dtype* weights = this->blobs_[0]->cpu_data();
  const Dtype* bias = this->bias_term_ ? this->blobs_[1]->cpu_data() : NULL;
  for (int i = 0; i < bottom.size(); ++i) {
    convolution_->Forward(Floats(bottom[i]->cpu_data()), Floats(weights),
        Floats(bias), Floats(top[i]->mutable_cpu_data()));
  }
}

template <typename Dtype>
void OneDNNConvolutionLayer<Dtype>::Backward_cpu(
    const vector<Blob<Dtype>*>& top, const vector<bool>& propagate_down,
    const vector<Blob<Dtype>*>& bottom) {
  const bool weights_learn = this->param_propagate_down_[0];
  const bool bias_learns = this->bias_term_ && this->param_propagate_down_[1];
  if (!supported_ || (bias_learns && !weights_learn)) {
    ConvolutionLayer<Dtype>::Backward_cpu(top, propagate_down, bottom);
    return;
  }
  OneThread one_thread;
  Prepare(bottom);
  for (int i = 0; i < top.size(); ++i) {
    const Dtype* top_diff = top[i]->cpu_diff();
    if (weights_learn) {
      convolution_->BackwardWeights(Floats(bottom[i]->cpu_data()),
          Floats(top_diff), Floats(this->blobs_[0]->mutable_cpu_diff()),
          bias_learns ? Floats(this->blobs_[1]->mutable_cpu_diff()) : NULL);
    }
    if (propagate_down[i]) {
      convolution_->BackwardData(Floats(top_diff),
          Floats(this->blobs_[0]->cpu_data()),
          Floats(bottom[i]->mutable_cpu_diff()));
    }
  }
}

INSTANTIATE_CLASS(OneDNNConvolutionLayer);

}  // namespace caffe
#endif  // USE_ONEDNN
