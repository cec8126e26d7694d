#ifndef CAFFE_BLOCK_INNER_PRODUCT_LAYER_HPP_
#define CAFFE_BLOCK_INNER_PRODUCT_LAYER_HPP_

#include <vector>

#include "caffe/blob.hpp"
#include "caffe/layer.hpp"
#include "caffe/proto/caffe.pb.h"
#include "caffe/util/block_products.hpp"
#include "caffe/util/cpu_batched_gemm.hpp"

namespace caffe {

/**
 * @brief An inner product with a block diagonal weight matrix, "block diagonal
 *        inner product (BDIP) layer" in Nesky & Stout, "Neural networks with
 *        block diagonal inner product layers" (2019).
 *
 * The K inputs and the N outputs are each cut into b (blocks) equal runs, and
 * run i of the outputs is an inner product of run i of the inputs alone:
 * @f$ y_i = W_i x_i + c_i @f$, with @f$ W_i @f$ of N/b x K/b weights, N K/b in
 * all. With blocks: 1 it is InnerProduct, and weights copy both ways.
 *
 * Blobs: the weights, (N, K/b), block i in rows i N/b ... (i + 1) N/b - 1; the
 * bias, (N), if there is one; and with shuffle: FIXED the permutation, (b), which
 * is not learned: block i of the outputs is then a product of block
 * permutation[i] of the inputs. A filler fills each block as if it were the
 * weights of an InnerProduct: it finds a fan-in of K/b, so that Xavier's variance
 * is b/K, and a fan-out of N/b outputs, which is also what gaussian's sparse goes
 * by. With shuffle: PER_PASS the permutation is drawn anew for each
 * forward pass of training, from the generator's state at setup (the solver's
 * random_seed and the fillers before), the layer's name and the number of passes
 * before, and it is the identity when testing.
 */
template <typename Dtype>
class BlockInnerProductLayer : public Layer<Dtype> {
 public:
  explicit BlockInnerProductLayer(const LayerParameter& param)
      : Layer<Dtype>(param), M_(-1), passes_(0) {}
  virtual void LayerSetUp(const vector<Blob<Dtype>*>& bottom,
      const vector<Blob<Dtype>*>& top);
  virtual void Reshape(const vector<Blob<Dtype>*>& bottom,
      const vector<Blob<Dtype>*>& top);

  virtual inline const char* type() const { return "BlockInnerProduct"; }
  virtual inline int ExactNumBottomBlobs() const { return 1; }
  virtual inline int ExactNumTopBlobs() const { return 1; }

  // Counts forward passes, if each draws a permutation.
  virtual int64_t position() const { return draws() ? passes_ : -1; }
  virtual void SetPosition(int64_t passes) { passes_ = passes; }

 protected:
  virtual void Forward_cpu(const vector<Blob<Dtype>*>& bottom,
      const vector<Blob<Dtype>*>& top);
  virtual void Forward_gpu(const vector<Blob<Dtype>*>& bottom,
      const vector<Blob<Dtype>*>& top);
  virtual void Backward_cpu(const vector<Blob<Dtype>*>& top,
      const vector<bool>& propagate_down, const vector<Blob<Dtype>*>& bottom);
  virtual void Backward_gpu(const vector<Blob<Dtype>*>& top,
      const vector<bool>& propagate_down, const vector<Blob<Dtype>*>& bottom);

  const BlockInnerProductParameter& param() const {
    return this->layer_param_.block_inner_product_param();
  }
  bool draws() const {
    return param().shuffle() == BlockInnerProductParameter_Shuffle_PER_PASS &&
        this->phase_ == TRAIN;
  }
  bool fixed() const {
    return param().shuffle() == BlockInnerProductParameter_Shuffle_FIXED;
  }
  /// @brief Keeps the solver from updating the permutation.
  void FreezePermutation();
  /// @brief The permutation of forward pass number pass.
  void DrawOrder(int64_t pass);
  /// @brief The permutation of the forward pass which begins.
  void NextOrder();
  /// @brief The permutation in the blob, which may have been set since the last
  ///        pass.
  void ReadOrder();

  int M_;  ///< independent inner products, the batch size as a rule
  int K_;  ///< inputs
  int N_;  ///< outputs
  int blocks_;
  bool bias_term_;
  unsigned int seed_;
  int64_t passes_;
  /// Of the last pass; empty: the identity. products_ has its address.
  vector<int> order_;
  BlockProducts products_;
  /// How the CPU executes them.
  CpuBatchedGemm<Dtype> cpu_forward_, cpu_data_gradient_, cpu_weight_gradient_;
  Blob<Dtype> bias_multiplier_;
  shared_ptr<SyncedMemory> pointers_;
};

}  // namespace caffe

#endif  // CAFFE_BLOCK_INNER_PRODUCT_LAYER_HPP_
