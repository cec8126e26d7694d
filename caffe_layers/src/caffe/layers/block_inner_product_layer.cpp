#include <algorithm>
#include <numeric>
#include <string>
#include <vector>

#include "caffe/filler.hpp"
#include "caffe/layers/block_inner_product_layer.hpp"
#include "caffe/util/math_functions.hpp"
#include "caffe/util/permutation.hpp"
#include "caffe/util/rng.hpp"

namespace caffe {

template <typename Dtype>
void BlockInnerProductLayer<Dtype>::LayerSetUp(
    const vector<Blob<Dtype>*>& bottom, const vector<Blob<Dtype>*>& top) {
  const string& name = this->layer_param_.name();
  CHECK(bottom[0] != top[0]) << "Layer " << name
      << ": cannot compute in place, its top needs a name of its own.";
  blocks_ = param().blocks();
  bias_term_ = param().bias_term();
  N_ = param().num_output();
  K_ = bottom[0]->count(bottom[0]->CanonicalAxisIndex(param().axis()));
  CHECK_GE(blocks_, 1) << "Layer " << name << ": blocks has to be at least 1.";
  CHECK_GE(N_, 1) << "Layer " << name << ": num_output has to be at least 1.";
  CHECK_EQ(K_ % blocks_, 0) << "Layer " << name << ": " << blocks_
      << " blocks do not divide the " << K_ << " inputs (num_output is " << N_
      << ").";
  CHECK_EQ(N_ % blocks_, 0) << "Layer " << name << ": " << blocks_
      << " blocks do not divide num_output, " << N_ << " (there are " << K_
      << " inputs).";
  CHECK(blocks_ > 1 ||
      param().shuffle() == BlockInnerProductParameter_Shuffle_NONE)
      << "Layer " << name << ": with 1 block there is nothing to shuffle.";
  const int num_blobs = 1 + bias_term_ + fixed();
  if (this->blobs_.size() > 0) {
    CHECK_EQ(this->blobs_.size(), num_blobs)
        << "Layer " << name << ": wrong number of blobs.";
    LOG(INFO) << "Skipping parameter initialization";
  } else {
    this->blobs_.resize(num_blobs);
    vector<int> weight_shape(2);
    weight_shape[0] = N_;
    weight_shape[1] = K_ / blocks_;
    this->blobs_[0].reset(new Blob<Dtype>(weight_shape));
    shared_ptr<Filler<Dtype> > weight_filler(
        GetFiller<Dtype>(param().weight_filler()));
    // Block by block, so that a filler finds the fans of an output block.
    Blob<Dtype> block(vector<int>{N_ / blocks_, K_ / blocks_});
    for (int i = 0; i < blocks_; ++i) {
      block.set_cpu_data(
          this->blobs_[0]->mutable_cpu_data() + i * block.count());
      weight_filler->Fill(&block);
    }
    if (bias_term_) {
      this->blobs_[1].reset(new Blob<Dtype>(vector<int>(1, N_)));
      shared_ptr<Filler<Dtype> > bias_filler(
          GetFiller<Dtype>(param().bias_filler()));
      bias_filler->Fill(this->blobs_[1].get());
    }
  }  // parameter initialization
  // The generator's next number, from a copy: shuffled or not, the layers after
  // this one are filled alike.
  rng_t generator = *caffe_rng();
  seed_ = generator();
  if (fixed()) {
    shared_ptr<Blob<Dtype> >& permutation = this->blobs_.back();
    if (!permutation) {
      DrawOrder(0);
      permutation.reset(new Blob<Dtype>(vector<int>(1, blocks_)));
      std::copy(order_.begin(), order_.end(), permutation->mutable_cpu_data());
    }
    FreezePermutation();
  }
  this->param_propagate_down_.resize(this->blobs_.size(), true);
}

template <typename Dtype>
void BlockInnerProductLayer<Dtype>::FreezePermutation() {
  while (this->layer_param_.param_size() < this->blobs_.size()) {
    ParamSpec* spec = this->layer_param_.add_param();
    if (this->layer_param_.param_size() == this->blobs_.size()) {
      spec->set_lr_mult(0);
      spec->set_decay_mult(0);
    }
  }
  CHECK_EQ(this->layer_param_.param(this->blobs_.size() - 1).lr_mult(), 0)
      << "Layer " << this->layer_param_.name() << ": the permutation, blob "
      << this->blobs_.size() - 1
      << ", cannot be learned: set its lr_mult to 0.";
}

template <typename Dtype>
void BlockInnerProductLayer<Dtype>::DrawOrder(int64_t pass) {
  const string& name = this->layer_param_.name();
  vector<uint32_t> key(name.begin(), name.end());
  key.push_back(seed_);
  key.push_back(static_cast<uint32_t>(pass));
  key.push_back(static_cast<uint32_t>(pass >> 32));
  const vector<int> order = KeyedPermutation(blocks_, key);
  // Copied, not assigned: the products hold order_'s address.
  order_.resize(blocks_);
  std::copy(order.begin(), order.end(), order_.begin());
}

template <typename Dtype>
void BlockInnerProductLayer<Dtype>::NextOrder() {
  if (draws()) {
    DrawOrder(passes_++);
  } else {
    ReadOrder();
  }
}

template <typename Dtype>
void BlockInnerProductLayer<Dtype>::ReadOrder() {
  if (!fixed()) { return; }
  const Dtype* permutation = this->blobs_.back()->cpu_data();
  vector<bool> seen(blocks_, false);
  for (int i = 0; i < blocks_; ++i) {
    const Dtype p = permutation[i];
    CHECK(p >= 0 && p < blocks_ && p == static_cast<int>(p) &&
        !seen[static_cast<int>(p)]) << "Layer " << this->layer_param_.name()
        << ": blob " << this->blobs_.size() - 1
        << " is not a permutation of 0 ... " << blocks_ - 1 << ".";
    order_[i] = static_cast<int>(p);
    seen[order_[i]] = true;
  }
}

template <typename Dtype>
void BlockInnerProductLayer<Dtype>::Reshape(const vector<Blob<Dtype>*>& bottom,
    const vector<Blob<Dtype>*>& top) {
  const int axis = bottom[0]->CanonicalAxisIndex(param().axis());
  const int new_K = bottom[0]->count(axis);
  CHECK_EQ(K_, new_K) << "Layer " << this->layer_param_.name() << " was set up "
      << "with " << K_ << " inputs and now has " << new_K << ".";
  vector<int> top_shape = bottom[0]->shape();
  top_shape.resize(axis + 1);
  top_shape[axis] = N_;
  top[0]->Reshape(top_shape);
  if (M_ == bottom[0]->count(0, axis)) { return; }  // as in the pass before
  M_ = bottom[0]->count(0, axis);
  const bool shuffled = draws() || fixed();
  if (shuffled && order_.empty()) {  // the identity before the first pass
    order_.resize(blocks_);
    std::iota(order_.begin(), order_.end(), 0);
  }
  products_ = BlockProducts(M_, N_, K_, blocks_, shuffled ? &order_[0] : NULL);
  cpu_forward_ = CpuBatchedGemm<Dtype>(products_.forward, bias_term_);
  cpu_data_gradient_ = CpuBatchedGemm<Dtype>(products_.data_gradient, 0);
  cpu_weight_gradient_ = CpuBatchedGemm<Dtype>(products_.weight_gradient, 1);
  if (shuffled && !pointers_) {
    pointers_.reset(new SyncedMemory(3 * blocks_ * sizeof(Dtype*)));
  }
  if (bias_term_) {
    bias_multiplier_.Reshape(vector<int>(1, M_));
    caffe_set(M_, Dtype(1), bias_multiplier_.mutable_cpu_data());
  }
}

template <typename Dtype>
void BlockInnerProductLayer<Dtype>::Forward_cpu(
    const vector<Blob<Dtype>*>& bottom, const vector<Blob<Dtype>*>& top) {
  NextOrder();
  cpu_forward_.Run(this->blobs_[0]->cpu_data(), bottom[0]->cpu_data(),
      top[0]->mutable_cpu_data(),
      bias_term_ ? this->blobs_[1]->cpu_data() : NULL);
}

template <typename Dtype>
void BlockInnerProductLayer<Dtype>::Backward_cpu(
    const vector<Blob<Dtype>*>& top, const vector<bool>& propagate_down,
    const vector<Blob<Dtype>*>& bottom) {
  ReadOrder();
  const Dtype* top_diff = top[0]->cpu_diff();
  if (this->param_propagate_down_[0]) {
    cpu_weight_gradient_.Run(bottom[0]->cpu_data(), top_diff,
        this->blobs_[0]->mutable_cpu_diff());
  }
  if (bias_term_ && this->param_propagate_down_[1]) {
    caffe_cpu_gemv<Dtype>(CblasTrans, M_, N_, Dtype(1), top_diff,
        bias_multiplier_.cpu_data(), Dtype(1),
        this->blobs_[1]->mutable_cpu_diff());
  }
  if (propagate_down[0]) {
    cpu_data_gradient_.Run(this->blobs_[0]->cpu_data(), top_diff,
        bottom[0]->mutable_cpu_diff());
  }
}

#ifdef CPU_ONLY
STUB_GPU(BlockInnerProductLayer);
#endif

INSTANTIATE_CLASS(BlockInnerProductLayer);
REGISTER_LAYER_CLASS(BlockInnerProduct);

}  // namespace caffe
