#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "boost/scoped_ptr.hpp"
#include "google/protobuf/text_format.h"
#include "gtest/gtest.h"

#include "caffe/blob.hpp"
#include "caffe/common.hpp"
#include "caffe/filler.hpp"
#include "caffe/layers/block_inner_product_layer.hpp"
#include "caffe/layers/inner_product_layer.hpp"
#include "caffe/sgd_solvers.hpp"
#include "caffe/util/block_products.hpp"
#include "caffe/util/dot_blocks.hpp"
#include "caffe/util/io.hpp"
#include "caffe/util/tiny_blocks.hpp"

#include "caffe/test/test_caffe_main.hpp"
#include "caffe/test/test_gradient_check_util.hpp"

using boost::scoped_ptr;
using std::ostringstream;

namespace caffe {

// One layer's shape: bottom of A x B x C, from which axis on it is flattened,
// outputs, blocks.
struct BlockShape {
  int bottom[3];
  int axis;
  int N;
  int b;
  bool bias;

  int M() const { return axis == 1 ? bottom[0] : bottom[0] * bottom[1]; }
  int K() const { return axis == 1 ? bottom[1] * bottom[2] : bottom[2]; }
  string name() const {
    ostringstream s;
    s << "M " << M() << ", K " << K() << ", N " << N << ", b " << b
        << (bias ? "" : ", no bias");
    return s.str();
  }
};

static const BlockShape kShapes[] = {
    {{4, 4, 5}, 1, 10, 5, true},
    {{4, 4, 5}, 1, 10, 5, false},
    {{1, 4, 6}, 1, 12, 4, true},    // M = 1
    {{1, 1, 1}, 1, 1, 1, true},     // everything 1
    {{5, 3, 5}, 1, 7, 1, true},     // b = 1
    {{5, 7, 1}, 1, 7, 7, true},     // b = K = N
    {{3, 4, 5}, 1, 4, 4, true},     // b = N
    {{3, 1, 4}, 1, 20, 4, true},    // b = K
    {{7, 5, 9}, 1, 27, 3, true},    // odd sizes
    {{2, 3, 20}, 2, 10, 5, true},   // axis 2
    {{2, 3, 15}, 2, 9, 3, false},
    {{64, 50, 16}, 1, 500, 1, true},  // LeNet-5's own
    {{64, 50, 16}, 1, 500, 10, true},
    {{64, 50, 16}, 1, 500, 100, true},
    {{64, 1, 500}, 1, 10, 10, true},
    {{100, 64, 16}, 1, 64, 8, true},  // cuda-convnet's own
    {{100, 64, 16}, 1, 64, 64, true},
    {{100, 1, 64}, 1, 10, 2, true},
    {{19, 1, 136}, 1, 136, 17, true},   // 8 x 8, and what is left of a vector
    {{35, 1, 136}, 1, 136, 17, false},
    {{11, 1, 76}, 1, 76, 19, true},     // 4 x 4
    {{11, 1, 76}, 1, 76, 19, false},
    {{9, 1, 78}, 1, 78, 39, true},      // 2 x 2
    {{9, 1, 41}, 1, 41, 41, false},     // 1 x 1
    {{1, 1, 64}, 1, 64, 16, true},
    {{21, 1, 512}, 1, 512, 64, true},   // rows a multiple of 1 KB apart
    {{37, 1, 512}, 1, 256, 8, false},
    {{70, 1, 256}, 1, 256, 16, true},
    {{21, 1, 1024}, 1, 512, 64, true},
    {{5, 1, 280}, 1, 140, 2, true},     // matrices turned round in parts
    {{9, 1, 280}, 1, 140, 2, true},
    {{3, 1, 400}, 1, 300, 2, true},     // large ones
    {{64, 1, 500}, 1, 10, 5, true},     // few outputs: LeNet-5's and
    {{100, 64, 16}, 1, 64, 16, true},   // cuda-convnet's own
    {{100, 64, 16}, 1, 64, 32, false},
    {{37, 1, 122}, 1, 10, 2, true},     // odd ones, and few rows
    {{13, 1, 102}, 1, 6, 2, false},
    {{1, 1, 111}, 1, 21, 3, true},
    {{64, 1, 12}, 1, 260, 2, true},     // few inputs
    {{71, 1, 9}, 1, 303, 3, false},
};
static const int kNumShapes = sizeof(kShapes) / sizeof(kShapes[0]);

template <typename TypeParam>
class BlockInnerProductLayerTest : public MultiDeviceTest<TypeParam> {
  typedef typename TypeParam::Dtype Dtype;

 protected:
  BlockInnerProductLayerTest()
      : bottom_(new Blob<Dtype>()), top_(new Blob<Dtype>()) {
    Caffe::set_random_seed(1701);
    bottom_vec_.push_back(bottom_.get());
    top_vec_.push_back(top_.get());
  }

  LayerParameter Parameter(const BlockShape& shape, const string& shuffle) {
    ostringstream text;
    text << "name: 'ip' type: 'BlockInnerProduct' block_inner_product_param {"
        << " num_output: " << shape.N << " blocks: " << shape.b
        << " axis: " << shape.axis << " bias_term: " << shape.bias
        << " shuffle: " << shuffle
        << " weight_filler { type: 'gaussian' std: 0.5 }"
        << " bias_filler { type: 'gaussian' std: 1 } }";
    LayerParameter param;
    CHECK(google::protobuf::TextFormat::ParseFromString(text.str(), &param));
    return param;
  }

  void FillBottom(const BlockShape& shape) {
    bottom_->Reshape(vector<int>(shape.bottom, shape.bottom + 3));
    Gaussian(bottom_.get(), false);
  }

  // Gaussian numbers in a blob's data or diff.
  void Gaussian(Blob<Dtype>* blob, bool diff) {
    FillerParameter param;
    GaussianFiller<Dtype> filler(param);
    Blob<Dtype> numbers(blob->shape());
    filler.Fill(&numbers);
    caffe_copy(blob->count(), numbers.cpu_data(),
        diff ? blob->mutable_cpu_diff() : blob->mutable_cpu_data());
  }

  // How far a sum of so many products may be off.
  Dtype Tolerance(int terms) {
    return (sizeof(Dtype) == 4 ? 1e-6 : 1e-14) * 10 * std::sqrt(terms);
  }

  // Forward and all gradients against the definition, term by term.
  void CheckAgainstDefinition(const BlockShape& shape, Layer<Dtype>* layer,
      const vector<int>& order) {
    const int M = shape.M(), K = shape.K(), N = shape.N;
    const int n = N / shape.b, k = K / shape.b;
    const vector<shared_ptr<Blob<Dtype> > >& blobs = layer->blobs();
    layer->Forward(bottom_vec_, top_vec_);
    ASSERT_EQ(top_->count(), M * N) << shape.name();
    Gaussian(top_.get(), true);
    // Parameters' gradients are added to what is there, the data's are set.
    vector<vector<double> > before(blobs.size());
    for (int i = 0; i < blobs.size(); ++i) {
      Gaussian(blobs[i].get(), true);
      const Dtype* diff = blobs[i]->cpu_diff();
      before[i].assign(diff, diff + blobs[i]->count());
    }
    Gaussian(bottom_.get(), true);
    layer->Backward(top_vec_, vector<bool>(1, true), bottom_vec_);

    const Dtype* x = bottom_->cpu_data();
    const Dtype* dy = top_->cpu_diff();
    const Dtype* w = blobs[0]->cpu_data();
    vector<double> dx(M * K, 0.);
    vector<double> dw = before[0];
    vector<double> dc(N, 0.);
    if (shape.bias) { dc = before[1]; }
    for (int m = 0; m < M; ++m) {
      for (int o = 0; o < N; ++o) {
        const int input = m * K + order[o / n] * k;
        double y = shape.bias ? blobs[1]->cpu_data()[o] : 0.;
        for (int j = 0; j < k; ++j) {
          y += static_cast<double>(w[o * k + j]) * x[input + j];
          dx[input + j] += static_cast<double>(w[o * k + j]) * dy[m * N + o];
          dw[o * k + j] += static_cast<double>(x[input + j]) * dy[m * N + o];
        }
        dc[o] += dy[m * N + o];
        ASSERT_NEAR(y, top_->cpu_data()[m * N + o], Tolerance(k + 1))
            << shape.name() << ": output " << m << ", " << o;
      }
    }
    for (int i = 0; i < M * K; ++i) {
      ASSERT_NEAR(dx[i], bottom_->cpu_diff()[i], Tolerance(n))
          << shape.name() << ": bottom's gradient " << i;
    }
    for (int i = 0; i < N * k; ++i) {
      ASSERT_NEAR(dw[i], blobs[0]->cpu_diff()[i], Tolerance(M + 1))
          << shape.name() << ": weights' gradient " << i;
    }
    for (int i = 0; shape.bias && i < N; ++i) {
      ASSERT_NEAR(dc[i], blobs[1]->cpu_diff()[i], Tolerance(M + 1))
          << shape.name() << ": bias's gradient " << i;
    }
  }

  // Which block of the inputs each block of the outputs sees in a forward pass:
  // all weights 1, block i of the inputs all i + 1.
  vector<int> ObserveOrder(const BlockShape& shape, Layer<Dtype>* layer) {
    const int k = shape.K() / shape.b;
    caffe_set(layer->blobs()[0]->count(), Dtype(1),
        layer->blobs()[0]->mutable_cpu_data());
    if (shape.bias) {
      caffe_set(shape.N, Dtype(0), layer->blobs()[1]->mutable_cpu_data());
    }
    for (int i = 0; i < bottom_->count(); ++i) {
      bottom_->mutable_cpu_data()[i] = i % shape.K() / k + 1;
    }
    layer->Forward(bottom_vec_, top_vec_);
    vector<int> order(shape.b);
    for (int i = 0; i < shape.b; ++i) {
      const Dtype y = top_->cpu_data()[i * (shape.N / shape.b)];
      order[i] = static_cast<int>(y / k + 0.5) - 1;
    }
    return order;
  }

  vector<int> Identity(int b) {
    vector<int> order(b);
    for (int i = 0; i < b; ++i) { order[i] = i; }
    return order;
  }

  shared_ptr<Blob<Dtype> > bottom_;
  shared_ptr<Blob<Dtype> > top_;
  vector<Blob<Dtype>*> bottom_vec_;
  vector<Blob<Dtype>*> top_vec_;
};

TYPED_TEST_CASE(BlockInnerProductLayerTest, TestDtypesAndDevices);

TYPED_TEST(BlockInnerProductLayerTest, TestSetUp) {
  typedef typename TypeParam::Dtype Dtype;
  const BlockShape shape = {{2, 3, 20}, 2, 10, 5, true};
  this->FillBottom(shape);
  BlockInnerProductLayer<Dtype> layer(this->Parameter(shape, "FIXED"));
  layer.SetUp(this->bottom_vec_, this->top_vec_);
  EXPECT_EQ(this->top_->shape_string(), "2 3 10 (60)");
  ASSERT_EQ(layer.blobs().size(), 3);
  EXPECT_EQ(layer.blobs()[0]->shape_string(), "10 4 (40)");
  EXPECT_EQ(layer.blobs()[1]->shape_string(), "10 (10)");
  EXPECT_EQ(layer.blobs()[2]->shape_string(), "5 (5)");
}

TYPED_TEST(BlockInnerProductLayerTest, TestDefinition) {
  typedef typename TypeParam::Dtype Dtype;
  for (int i = 0; i < kNumShapes; ++i) {
    this->FillBottom(kShapes[i]);
    BlockInnerProductLayer<Dtype> layer(this->Parameter(kShapes[i], "NONE"));
    layer.SetUp(this->bottom_vec_, this->top_vec_);
    this->CheckAgainstDefinition(kShapes[i], &layer,
        this->Identity(kShapes[i].b));
  }
}

TYPED_TEST(BlockInnerProductLayerTest, TestDefinitionFixedShuffle) {
  typedef typename TypeParam::Dtype Dtype;
  for (int i = 0; i < kNumShapes; ++i) {
    if (kShapes[i].b == 1) { continue; }
    this->FillBottom(kShapes[i]);
    BlockInnerProductLayer<Dtype> layer(this->Parameter(kShapes[i], "FIXED"));
    layer.SetUp(this->bottom_vec_, this->top_vec_);
    const Dtype* permutation = layer.blobs().back()->cpu_data();
    this->CheckAgainstDefinition(kShapes[i], &layer,
        vector<int>(permutation, permutation + kShapes[i].b));
  }
}

TYPED_TEST(BlockInnerProductLayerTest, TestGradient) {
  typedef typename TypeParam::Dtype Dtype;
  const BlockShape shapes[] = {
      {{3, 2, 4}, 1, 4, 2, true}, {{2, 2, 6}, 2, 6, 3, false},
      {{1, 1, 6}, 1, 6, 6, true}};
  for (int i = 0; i < 3; ++i) {
    this->FillBottom(shapes[i]);
    BlockInnerProductLayer<Dtype> layer(this->Parameter(shapes[i], "NONE"));
    GradientChecker<Dtype> checker(1e-2, 1e-3);
    checker.CheckGradientExhaustive(&layer, this->bottom_vec_, this->top_vec_);
  }
}

TYPED_TEST(BlockInnerProductLayerTest, TestReshape) {
  typedef typename TypeParam::Dtype Dtype;
  BlockShape shape = {{4, 4, 5}, 1, 10, 5, true};
  this->FillBottom(shape);
  BlockInnerProductLayer<Dtype> layer(this->Parameter(shape, "FIXED"));
  layer.SetUp(this->bottom_vec_, this->top_vec_);
  const Dtype* permutation = layer.blobs().back()->cpu_data();
  const vector<int> order(permutation, permutation + shape.b);
  const int batches[] = {9, 1, 4};
  for (int i = 0; i < 3; ++i) {
    shape.bottom[0] = batches[i];
    this->FillBottom(shape);
    layer.Reshape(this->bottom_vec_, this->top_vec_);
    this->CheckAgainstDefinition(shape, &layer, order);
  }
}

template <typename Dtype>
static void Numbers(int count, vector<Dtype>* numbers) {
  numbers->resize(count);
  caffe_rng_gaussian<Dtype>(count, 0, 1, &(*numbers)[0]);
}

// C = A B + beta C, or with a bias in place of C, against the definition; what
// lies between the matrices of C is as before.
template <typename Dtype>
static void ExpectProduct(const BatchedGemm& g, const vector<Dtype>& a,
    const vector<Dtype>& b, Dtype beta, const vector<Dtype>& before,
    const vector<Dtype>* bias, const vector<Dtype>& c, const string& what) {
  const Dtype tolerance = sizeof(Dtype) == 4 ? 1e-5 : 1e-13;
  vector<bool> written(c.size());
  for (int i = 0; i < g.batch; ++i) {
    for (int column = 0; column < g.n; ++column) {
      for (int row = 0; row < g.m; ++row) {
        const int at = g.c.offset(i) + column * g.c.ld + row;
        double sum = bias ? (*bias)[i * g.m + row] : beta * before[at];
        double size = std::fabs(sum);
        for (int l = 0; l < g.k; ++l) {
          const double term = static_cast<double>(a[g.a.offset(i) +
              (g.trans_a == CblasTrans ? l + row * g.a.ld :
              row + l * g.a.ld)]) * b[g.b.offset(i) +
              (g.trans_b == CblasTrans ? column + l * g.b.ld :
              l + column * g.b.ld)];
          sum += term;
          size += std::fabs(term);
        }
        written[at] = true;
        ASSERT_NEAR(sum, c[at], tolerance * size) << what << ", product " << i
            << ", row " << row << ", column " << column;
      }
    }
  }
  for (int at = 0; at < c.size(); ++at) {
    if (!written[at]) { ASSERT_EQ(before[at], c[at]) << what; }
  }
}

// Dot products, with every vector that this processor has: column-major A_i of
// m x k (or k x m), B_i of k x n, C_i of m x n.
template <typename Dtype>
class DotBlocksTest : public ::testing::Test {
 protected:
  void Check(int m, int n, int k, bool trans_a, Dtype beta, bool with_bias,
      int vector_bytes) {
    ostringstream what;
    what << "m " << m << ", n " << n << ", k " << k << ", trans_a " << trans_a
        << ", beta " << beta << ", bias " << with_bias << ", vectors of "
        << vector_bytes;
    const int order[] = {2, 0, 1};
    const int blocks = 3;
    BatchedGemm g;
    g.trans_a = trans_a ? CblasTrans : CblasNoTrans;
    g.m = m;
    g.n = n;
    g.k = k;
    g.batch = blocks;
    g.a = BatchedGemm::Operand(trans_a ? k : m, m * k);
    g.b = BatchedGemm::Operand(blocks * k + 1, k, order);
    g.c = BatchedGemm::Operand(blocks * m + 2, m);
    vector<Dtype> a, b, c, bias;
    AlignedVector<Dtype> scratch;
    Numbers(blocks * m * k, &a);
    Numbers(n * g.b.ld, &b);
    Numbers(n * g.c.ld, &c);
    Numbers(blocks * m, &bias);
    const vector<Dtype> before = c;
    DotBlocks<Dtype>(g, &a[0], &b[0], beta, &c[0],
        with_bias ? &bias[0] : NULL, &scratch, vector_bytes);
    ExpectProduct<Dtype>(g, a, b, beta, before, with_bias ? &bias : NULL, c,
        what.str());
  }
};

TYPED_TEST_CASE(DotBlocksTest, TestDtypes);

TYPED_TEST(DotBlocksTest, TestDefinition) {
  Caffe::set_random_seed(1701);
  const int ms[] = {1, 2, 3, 4, 5, 7, 10};
  const int ns[] = {1, 2, 3, 5, 8, 15, 16, 31, 33, 64, 100};
  const int ks[] = {16, 17, 31, 32, 50, 103};
  for (int bytes = 16; bytes <= WidestVector(); bytes *= 2) {
    for (int m : ms) {
      for (int n : ns) {
        for (int k : ks) {
          for (int way = 0; way < 6; ++way) {
            this->Check(m, n, k, way % 2, way / 2 > 0, way / 2 > 1, bytes);
          }
        }
      }
    }
  }
}

// The bits of an entry do not depend on what is computed beside it.
TYPED_TEST(DotBlocksTest, TestSameBitsInAnyTile) {
  const int m = 7, n = 45, k = 53;
  vector<TypeParam> a, b, all(m * n), one(1);
  AlignedVector<TypeParam> scratch;
  Caffe::set_random_seed(1701);
  Numbers(m * k, &a);
  Numbers(n * k, &b);
  for (int bytes = 16; bytes <= WidestVector(); bytes *= 2) {
    BatchedGemm g;
    g.trans_a = CblasTrans;
    g.m = m;
    g.n = n;
    g.k = k;
    g.batch = 1;
    g.a = g.b = BatchedGemm::Operand(k, 0);
    g.c = BatchedGemm::Operand(m, 0);
    DotBlocks<TypeParam>(g, &a[0], &b[0], 0, &all[0], NULL, &scratch, bytes);
    g.m = g.n = 1;
    for (int column = 0; column < n; ++column) {
      for (int row = 0; row < m; ++row) {
        DotBlocks<TypeParam>(g, &a[row * k], &b[column * k], 0, &one[0], NULL,
            &scratch, bytes);
        EXPECT_EQ(one[0], all[column * m + row]) << row << ", " << column;
      }
    }
  }
}

// The three products with blocks of 1 x 1 to 8 x 8, with every vector that this
// processor has: as many blocks as fill vectors, fewer and more.
template <typename Dtype>
class TinyBlocksTest : public ::testing::Test {
 protected:
  void Check(const BatchedGemm& g, int vector_bytes, const string& what) {
    vector<Dtype> a, b, c, bias;
    AlignedVector<Dtype> scratch;
    const bool trans_b = g.trans_b == CblasTrans;
    const int weights = g.batch * g.m * g.m, width = g.batch * g.m;
    for (int way = 0; way < (trans_b ? 2 : 3); ++way) {
      const Dtype beta = way > 0;
      Numbers(trans_b ? g.k * width : weights, &a);
      Numbers((trans_b ? g.k : g.n) * width, &b);
      Numbers(trans_b ? weights : g.n * width, &c);
      Numbers(width, &bias);
      const vector<Dtype> before = c;
      TinyBlocks<Dtype>(g, &a[0], &b[0], beta, &c[0],
          way == 2 ? &bias[0] : NULL, &scratch, vector_bytes);
      ExpectProduct<Dtype>(g, a, b, beta, before, way == 2 ? &bias : NULL, c,
          what);
    }
  }
};

TYPED_TEST_CASE(TinyBlocksTest, TestDtypes);

TYPED_TEST(TinyBlocksTest, TestDefinition) {
  Caffe::set_random_seed(1701);
  for (int bytes = 16; bytes <= WidestVector(); bytes *= 2) {
    for (int size : {1, 2, 4, 8}) {
      for (int blocks : {1, 2, 5, 16, 39}) {
        for (int M : {1, 7, 8, 19}) {
          ostringstream what;
          what << "blocks " << blocks << " of " << size << ", M " << M
              << ", vectors of " << bytes;
          const BlockProducts products(M, blocks * size, blocks * size, blocks,
              NULL);
          EXPECT_EQ(size < 8 || bytes == 64, IsTiny(products.forward, bytes));
          if (!IsTiny(products.forward, bytes)) { continue; }
          this->Check(products.forward, bytes, "forward, " + what.str());
          this->Check(products.data_gradient, bytes, "dX, " + what.str());
          this->Check(products.weight_gradient, bytes, "dW, " + what.str());
        }
      }
    }
  }
}

// Others are not for it: not square, or in another order.
TEST(IsTinyTest, TestShapes) {
  const int order[] = {1, 0};
  EXPECT_TRUE(IsTiny(BlockProducts(3, 8, 8, 2, NULL).forward, 16));
  EXPECT_FALSE(IsTiny(BlockProducts(3, 8, 4, 2, NULL).forward, 64));
  EXPECT_FALSE(IsTiny(BlockProducts(3, 4, 8, 2, NULL).forward, 64));
  EXPECT_FALSE(IsTiny(BlockProducts(3, 6, 6, 2, NULL).forward, 64));
  EXPECT_FALSE(IsTiny(BlockProducts(3, 8, 8, 2, order).forward, 64));
}

// A batch without an element, as a Filter layer that lets nothing through gives.
TYPED_TEST(BlockInnerProductLayerTest, TestEmptyBatch) {
  typedef typename TypeParam::Dtype Dtype;
  const int sizes[][2] = {{2000, 100}, {64, 2}, {64, 16}, {64, 64}};
  for (const int (&size)[2] : sizes) {
    LayerParameter param;
    BlockInnerProductParameter* own = param.mutable_block_inner_product_param();
    own->set_num_output(size[0]);
    own->set_blocks(size[1]);
    own->mutable_weight_filler()->set_type("xavier");
    own->mutable_bias_filler()->set_value(2);
    Blob<Dtype> bottom(vector<int>{3, size[0]}), top;
    const vector<Blob<Dtype>*> bottoms(1, &bottom), tops(1, &top);
    BlockInnerProductLayer<Dtype> layer(param);
    layer.SetUp(bottoms, tops);
    for (int rows : {0, 3, 0}) {
      bottom.Reshape(vector<int>{rows, size[0]});
      caffe_set(bottom.count(), Dtype(0), bottom.mutable_cpu_data());
      caffe_set(layer.blobs()[0]->count(), Dtype(7),
          layer.blobs()[0]->mutable_cpu_diff());
      layer.Forward(bottoms, tops);
      EXPECT_EQ(rows, top.shape(0));
      caffe_set(top.count(), Dtype(1), top.mutable_cpu_diff());
      layer.Backward(tops, vector<bool>(1, true), bottoms);
      for (int i = 0; i < top.count(); ++i) {
        ASSERT_EQ(2, top.cpu_data()[i]) << size[1];
      }
      for (int i = 0; i < layer.blobs()[0]->count(); ++i) {
        ASSERT_EQ(7, layer.blobs()[0]->cpu_diff()[i]) << size[1];
      }
    }
  }
}

// Where malloc gives 16 bytes, the products above take up to 1.7 times as long.
TEST(HostMemoryTest, TestBlobBeginsWithLine) {
  for (int count = 1; count < 5000; count = count * 3 + 1) {
    const Blob<float> blob(vector<int>(1, count));
    EXPECT_EQ(0, reinterpret_cast<uintptr_t>(blob.cpu_data()) % 64) << count;
    EXPECT_EQ(0, reinterpret_cast<uintptr_t>(blob.cpu_diff()) % 64) << count;
  }
}

// blocks: 1 computes what InnerProduct computes.
TYPED_TEST(BlockInnerProductLayerTest, TestOneBlockIsInnerProduct) {
  typedef typename TypeParam::Dtype Dtype;
  const BlockShape shape = {{64, 50, 16}, 1, 500, 1, true};
  this->FillBottom(shape);
  BlockInnerProductLayer<Dtype> block(this->Parameter(shape, "NONE"));
  block.SetUp(this->bottom_vec_, this->top_vec_);
  LayerParameter param;
  param.mutable_inner_product_param()->set_num_output(shape.N);
  InnerProductLayer<Dtype> dense(param);
  Blob<Dtype> dense_top;
  vector<Blob<Dtype>*> dense_top_vec(1, &dense_top);
  dense.SetUp(this->bottom_vec_, dense_top_vec);
  for (int i = 0; i < 2; ++i) {
    dense.blobs()[i]->CopyFrom(*block.blobs()[i]);  // dies if shapes differ
  }
  block.Forward(this->bottom_vec_, this->top_vec_);
  dense.Forward(this->bottom_vec_, dense_top_vec);
  for (int i = 0; i < dense_top.count(); ++i) {
    ASSERT_NEAR(dense_top.cpu_data()[i], this->top_->cpu_data()[i],
        this->Tolerance(shape.K()));
  }
  this->Gaussian(&dense_top, true);
  this->top_->CopyFrom(dense_top, true);
  Blob<Dtype> bottom_diff(this->bottom_->shape());
  for (int pass = 0; pass < 2; ++pass) {
    Layer<Dtype>* layer = pass ? static_cast<Layer<Dtype>*>(&dense) : &block;
    for (int i = 0; i < 2; ++i) {
      caffe_set(layer->blobs()[i]->count(), Dtype(0),
          layer->blobs()[i]->mutable_cpu_diff());
    }
    layer->Backward(pass ? dense_top_vec : this->top_vec_,
        vector<bool>(1, true), this->bottom_vec_);
    if (!pass) { bottom_diff.CopyFrom(*this->bottom_, true); }
  }
  for (int i = 0; i < bottom_diff.count(); ++i) {
    ASSERT_NEAR(this->bottom_->cpu_diff()[i], bottom_diff.cpu_diff()[i],
        this->Tolerance(shape.N));
  }
  for (int i = 0; i < 2; ++i) {
    for (int j = 0; j < block.blobs()[i]->count(); ++j) {
      ASSERT_NEAR(dense.blobs()[i]->cpu_diff()[j],
          block.blobs()[i]->cpu_diff()[j], this->Tolerance(shape.M()));
    }
  }
}

// Xavier's variance is one over the fan-in, K/b, or the fan-out, N/b, or their
// mean; MSRA's twice that.
TYPED_TEST(BlockInnerProductLayerTest, TestFillerVariance) {
  typedef typename TypeParam::Dtype Dtype;
  const struct {
    FillerParameter::VarianceNorm norm;
    double fan;  // b times a block's
  } cases[] = {{FillerParameter::FAN_IN, 800}, {FillerParameter::FAN_OUT, 500},
      {FillerParameter::AVERAGE, 650}};
  for (int b : {1, 10, 50}) {
    const BlockShape shape = {{1, 50, 16}, 1, 500, b, true};
    this->FillBottom(shape);
    for (int i = 0; i < 6; ++i) {
      const bool msra = i % 2;
      LayerParameter param = this->Parameter(shape, "NONE");
      FillerParameter* filler = param.mutable_block_inner_product_param()
          ->mutable_weight_filler();
      filler->set_type(msra ? "msra" : "xavier");
      filler->set_variance_norm(cases[i / 2].norm);
      BlockInnerProductLayer<Dtype> layer(param);
      layer.SetUp(this->bottom_vec_, this->top_vec_);
      const Blob<Dtype>& weights = *layer.blobs()[0];
      double squares = 0;
      for (int j = 0; j < weights.count(); ++j) {
        squares += weights.cpu_data()[j] * weights.cpu_data()[j];
      }
      const double expected = (1. + msra) * b / cases[i / 2].fan;
      // 8,000 or more draws: the estimate's deviation is under 1.6%.
      EXPECT_NEAR(squares / weights.count() / expected, 1, 0.08)
          << shape.name() << ", norm " << cases[i / 2].norm;
    }
  }
}

// By the fan-in blocks are filled with the numbers that a matrix of their rows
// is filled with, and all that is drawn later is the same.
TYPED_TEST(BlockInnerProductLayerTest, TestFillerDrawsAsForOneMatrix) {
  typedef typename TypeParam::Dtype Dtype;
  const BlockShape shape = {{2, 3, 7}, 1, 9, 3, false};  // blocks of 3 x 7
  this->FillBottom(shape);
  const char* types[] = {"constant", "uniform", "gaussian", "xavier", "msra",
      "positive_unitball"};
  for (const char* type : types) {
    LayerParameter param = this->Parameter(shape, "NONE");
    FillerParameter* filler_param = param.mutable_block_inner_product_param()
        ->mutable_weight_filler();
    filler_param->set_type(type);
    filler_param->set_value(3);
    Caffe::set_random_seed(7);
    BlockInnerProductLayer<Dtype> layer(param);
    layer.SetUp(this->bottom_vec_, this->top_vec_);
    const unsigned int next = caffe_rng_rand();
    Blob<Dtype> expected(vector<int>{9, 7});
    Caffe::set_random_seed(7);
    scoped_ptr<Filler<Dtype> > filler(GetFiller<Dtype>(*filler_param));
    filler->Fill(&expected);
    ASSERT_EQ(expected.shape(), layer.blobs()[0]->shape());
    for (int i = 0; i < expected.count(); ++i) {
      EXPECT_EQ(expected.cpu_data()[i], layer.blobs()[0]->cpu_data()[i])
          << type << ", entry " << i;
    }
    EXPECT_EQ(caffe_rng_rand(), next) << type;
  }
}

// Caffe's `sparse` counts on as many inputs as outputs: those of a block.
TYPED_TEST(BlockInnerProductLayerTest, TestSparseFiller) {
  typedef typename TypeParam::Dtype Dtype;
  const BlockShape shape = {{1, 50, 16}, 1, 500, 10, false};
  this->FillBottom(shape);
  LayerParameter param = this->Parameter(shape, "NONE");
  param.mutable_block_inner_product_param()->mutable_weight_filler()
      ->set_sparse(5);
  BlockInnerProductLayer<Dtype> layer(param);
  layer.SetUp(this->bottom_vec_, this->top_vec_);
  const Blob<Dtype>& weights = *layer.blobs()[0];
  const int zeros = std::count(weights.cpu_data(),
      weights.cpu_data() + weights.count(), Dtype(0));
  // 5 of a block's 50 outputs; the deviation is .0015.
  EXPECT_NEAR(1. - static_cast<double>(zeros) / weights.count(), 0.1, 0.008);
}

// A shuffled layer and those after it are filled as without the shuffle.
TYPED_TEST(BlockInnerProductLayerTest, TestShuffleLeavesTheGeneratorAlone) {
  typedef typename TypeParam::Dtype Dtype;
  const BlockShape shape = {{2, 4, 5}, 1, 10, 5, true};
  this->FillBottom(shape);
  const char* shuffles[] = {"NONE", "FIXED", "PER_PASS"};
  unsigned int next[3];
  for (int i = 0; i < 3; ++i) {
    Caffe::set_random_seed(7);
    BlockInnerProductLayer<Dtype> layer(this->Parameter(shape, shuffles[i]));
    layer.SetUp(this->bottom_vec_, this->top_vec_);
    layer.Forward(this->bottom_vec_, this->top_vec_);
    next[i] = caffe_rng_rand();
  }
  EXPECT_EQ(next[0], next[1]);
  EXPECT_EQ(next[0], next[2]);
}

TYPED_TEST(BlockInnerProductLayerTest, TestFixedShuffleIsOnePermutation) {
  typedef typename TypeParam::Dtype Dtype;
  const BlockShape shape = {{2, 4, 10}, 1, 20, 20, true};
  this->FillBottom(shape);
  vector<vector<int> > seen;
  for (int seed = 1; seed < 4; ++seed) {
    Caffe::set_random_seed(seed % 2);
    BlockInnerProductLayer<Dtype> layer(this->Parameter(shape, "FIXED"));
    layer.SetUp(this->bottom_vec_, this->top_vec_);
    const vector<int> order = this->ObserveOrder(shape, &layer);
    EXPECT_TRUE(order == this->ObserveOrder(shape, &layer));
    vector<int> sorted = order;
    std::sort(sorted.begin(), sorted.end());
    EXPECT_TRUE(sorted == this->Identity(shape.b));
    EXPECT_FALSE(order == sorted);
    seen.push_back(order);
  }
  EXPECT_TRUE(seen[0] == seen[2]);   // seed 1 and seed 1
  EXPECT_FALSE(seen[0] == seen[1]);  // seed 1 and seed 0
}

TYPED_TEST(BlockInnerProductLayerTest, TestPerPassShuffle) {
  typedef typename TypeParam::Dtype Dtype;
  const BlockShape shape = {{2, 4, 10}, 1, 20, 20, true};
  this->FillBottom(shape);
  LayerParameter param = this->Parameter(shape, "PER_PASS");
  param.set_phase(TRAIN);
  vector<vector<int> > orders;
  {
    Caffe::set_random_seed(3);
    BlockInnerProductLayer<Dtype> layer(param);
    layer.SetUp(this->bottom_vec_, this->top_vec_);
    EXPECT_EQ(layer.blobs().size(), 2);
    for (int pass = 0; pass < 4; ++pass) {
      EXPECT_EQ(layer.position(), pass);
      orders.push_back(this->ObserveOrder(shape, &layer));
      // The gradient goes back the way the data came: block i of the outputs
      // carries i + 1, and has one row.
      for (int i = 0; i < this->top_->count(); ++i) {
        this->top_->mutable_cpu_diff()[i] = i % shape.N + 1;
      }
      layer.Backward(this->top_vec_, vector<bool>(1, true), this->bottom_vec_);
      for (int i = 0; i < shape.b; ++i) {
        EXPECT_EQ(this->bottom_->cpu_diff()[orders[pass][i] * 2], i + 1);
      }
      for (int before = 0; before < pass; ++before) {
        EXPECT_FALSE(orders[pass] == orders[before]);
      }
    }
  }
  {
    // The same seed draws the same, and a pass can be gone to.
    Caffe::set_random_seed(3);
    BlockInnerProductLayer<Dtype> layer(param);
    layer.SetUp(this->bottom_vec_, this->top_vec_);
    EXPECT_TRUE(this->ObserveOrder(shape, &layer) == orders[0]);
    layer.SetPosition(3);
    EXPECT_TRUE(this->ObserveOrder(shape, &layer) == orders[3]);
  }
  param.set_name("another");
  {
    Caffe::set_random_seed(3);
    BlockInnerProductLayer<Dtype> layer(param);
    layer.SetUp(this->bottom_vec_, this->top_vec_);
    EXPECT_FALSE(this->ObserveOrder(shape, &layer) == orders[0]);
  }
  param.set_phase(TEST);
  BlockInnerProductLayer<Dtype> layer(param);
  layer.SetUp(this->bottom_vec_, this->top_vec_);
  EXPECT_EQ(layer.position(), -1);
  EXPECT_TRUE(this->ObserveOrder(shape, &layer) == this->Identity(shape.b));
  EXPECT_TRUE(this->ObserveOrder(shape, &layer) == this->Identity(shape.b));
}

// A backward pass goes by the permutation that is there, whether or not a
// forward pass has seen it, and by the identity before the first that draws one.
TYPED_TEST(BlockInnerProductLayerTest, TestBackwardWithoutForward) {
  typedef typename TypeParam::Dtype Dtype;
  const BlockShape shape = {{2, 4, 10}, 1, 20, 20, true};
  this->FillBottom(shape);
  const char* shuffles[] = {"FIXED", "PER_PASS"};
  for (int i = 0; i < 2; ++i) {
    LayerParameter param = this->Parameter(shape, shuffles[i]);
    param.set_phase(TRAIN);
    BlockInnerProductLayer<Dtype> layer(param);
    layer.SetUp(this->bottom_vec_, this->top_vec_);
    caffe_set(layer.blobs()[0]->count(), Dtype(1),
        layer.blobs()[0]->mutable_cpu_data());
    vector<int> order = this->Identity(shape.b);
    if (i == 0) {
      layer.Forward(this->bottom_vec_, this->top_vec_);
      std::reverse(order.begin(), order.end());
      std::copy(order.begin(), order.end(),
          layer.blobs()[2]->mutable_cpu_data());
    }
    for (int j = 0; j < this->top_->count(); ++j) {
      this->top_->mutable_cpu_diff()[j] = j % shape.N + 1;
    }
    layer.Backward(this->top_vec_, vector<bool>(1, true), this->bottom_vec_);
    for (int j = 0; j < shape.b; ++j) {
      EXPECT_EQ(this->bottom_->cpu_diff()[order[j] * 2], j + 1) << shuffles[i];
    }
  }
}

TYPED_TEST(BlockInnerProductLayerTest, TestRefusals) {
  typedef typename TypeParam::Dtype Dtype;
  const struct {
    int N, b;
    const char* shuffle;
    const char* message;
  } cases[] = {
      {12, 3, "NONE", "3 blocks do not divide the 20 inputs .num_output is 12"},
      {12, 5, "NONE", "5 blocks do not divide num_output, 12 .there are 20 in"},
      {12, 0, "NONE", "blocks has to be at least 1"},
      {12, -4, "NONE", "blocks has to be at least 1"},
      {0, 1, "NONE", "num_output has to be at least 1"},
      {12, 1, "FIXED", "with 1 block there is nothing to shuffle"},
      {12, 1, "PER_PASS", "with 1 block there is nothing to shuffle"}};
  for (int i = 0; i < sizeof(cases) / sizeof(cases[0]); ++i) {
    const BlockShape shape = {{2, 4, 5}, 1, cases[i].N, cases[i].b, true};
    this->FillBottom(shape);
    BlockInnerProductLayer<Dtype> layer(
        this->Parameter(shape, cases[i].shuffle));
    EXPECT_DEATH(layer.SetUp(this->bottom_vec_, this->top_vec_),
        cases[i].message);
  }
  const BlockShape shape = {{2, 4, 5}, 1, 10, 5, true};
  this->FillBottom(shape);
  BlockInnerProductLayer<Dtype> layer(this->Parameter(shape, "FIXED"));
  layer.SetUp(this->bottom_vec_, this->top_vec_);
  layer.blobs()[2]->mutable_cpu_data()[0] =
      layer.blobs()[2]->mutable_cpu_data()[1];
  EXPECT_DEATH(layer.Forward(this->bottom_vec_, this->top_vec_),
      "blob 2 is not a permutation of 0 ... 4");
  EXPECT_DEATH(
      layer.Backward(this->top_vec_, vector<bool>(1, true), this->bottom_vec_),
      "blob 2 is not a permutation of 0 ... 4");
  BlockInnerProductLayer<Dtype> in_place(this->Parameter(shape, "NONE"));
  EXPECT_DEATH(in_place.SetUp(this->bottom_vec_, this->bottom_vec_),
      "Layer ip: cannot compute in place");
  const BlockShape wider = {{2, 4, 10}, 1, 10, 5, true};
  this->FillBottom(wider);
  EXPECT_DEATH(layer.Reshape(this->bottom_vec_, this->top_vec_),
      "was set up with 20 inputs and now has 40");
}

// Whole nets, trained by Caffe's own solver.
template <typename TypeParam>
class BlockInnerProductNetTest : public MultiDeviceTest<TypeParam> {
  typedef typename TypeParam::Dtype Dtype;

 protected:
  // A solver of the least squares problem from `data` (6 x 12) to `target`
  // (6 x 9) with the layers in between, which end in `ip`.
  shared_ptr<Solver<Dtype> > NewSolver(const string& layers) {
    const string text = string("base_lr: 0.05 lr_policy: 'fixed' momentum: 0.9 "
        "weight_decay: 0.01 max_iter: 100 random_seed: 5 "
        "snapshot_after_train: false net_param { "
        "layer { name: 'in' type: 'Input' top: 'data' top: 'target' input_param "
        "{ shape { dim: 6 dim: 12 } shape { dim: 6 dim: 9 } } } ") + layers +
        "layer { name: 'loss' type: 'EuclideanLoss' bottom: 'ip' "
        "bottom: 'target' top: 'loss' } }";
    SolverParameter param;
    CHECK(google::protobuf::TextFormat::ParseFromString(text, &param));
    param.set_solver_mode(Caffe::mode() == Caffe::CPU ?
        SolverParameter_SolverMode_CPU : SolverParameter_SolverMode_GPU);
    return shared_ptr<Solver<Dtype> >(new SGDSolver<Dtype>(param));
  }

  string BlockLayer(const string& more) {
    return "layer { name: 'ip' type: 'BlockInnerProduct' bottom: 'data' "
        "top: 'ip' block_inner_product_param { num_output: 9 blocks: 3 "
        "weight_filler { type: 'gaussian' std: 0.3 } "
        "bias_filler { type: 'gaussian' std: 0.3 } " + more + " } } ";
  }

  // One iteration on batch number i.
  void Step(Solver<Dtype>* solver, int i) {
    Caffe::set_random_seed(100 + i);
    FillerParameter param;
    GaussianFiller<Dtype> filler(param);
    filler.Fill(solver->net()->blob_by_name("data").get());
    filler.Fill(solver->net()->blob_by_name("target").get());
    solver->Step(1);
  }
};

TYPED_TEST_CASE(BlockInnerProductNetTest, TestDtypesAndDevices);

// The same net, written with Caffe's own layers.
TYPED_TEST(BlockInnerProductNetTest, TestSliceInnerProductConcat) {
  typedef typename TypeParam::Dtype Dtype;
  string layers = "layer { name: 's' type: 'Slice' bottom: 'data' top: 'x0' "
      "top: 'x1' top: 'x2' slice_param { axis: 1 } } ";
  for (char i = '0'; i < '3'; ++i) {
    layers += string("layer { name: 'ip") + i + "' type: 'InnerProduct' "
        "bottom: 'x" + i + "' top: 'y" + i + "' inner_product_param { "
        "num_output: 3 weight_filler { type: 'gaussian' } } } ";
  }
  layers += "layer { name: 'c' type: 'Concat' bottom: 'y0' bottom: 'y1' "
      "bottom: 'y2' top: 'ip' concat_param { axis: 1 } } ";
  shared_ptr<Solver<Dtype> > block = this->NewSolver(this->BlockLayer(""));
  shared_ptr<Solver<Dtype> > parts = this->NewSolver(layers);
  const vector<shared_ptr<Blob<Dtype> > >& ip =
      block->net()->layer_by_name("ip")->blobs();
  for (int i = 0; i < 3; ++i) {
    const vector<shared_ptr<Blob<Dtype> > >& part =
        parts->net()->layer_by_name(string("ip") + char('0' + i))->blobs();
    for (int j = 0; j < 2; ++j) {
      caffe_copy(part[j]->count(), ip[j]->cpu_data() + i * part[j]->count(),
          part[j]->mutable_cpu_data());
    }
  }
  vector<Dtype> first(ip[0]->cpu_data(), ip[0]->cpu_data() + ip[0]->count());
  for (int i = 0; i < 10; ++i) {
    this->Step(block.get(), i);
    this->Step(parts.get(), i);
  }
  double moved = 0;
  for (int i = 0; i < 3; ++i) {
    const vector<shared_ptr<Blob<Dtype> > >& part =
        parts->net()->layer_by_name(string("ip") + char('0' + i))->blobs();
    for (int j = 0; j < 2; ++j) {
      for (int l = 0; l < part[j]->count(); ++l) {
        const int at = i * part[j]->count() + l;
        EXPECT_NEAR(part[j]->cpu_data()[l], ip[j]->cpu_data()[at], 1e-5);
        if (j == 0) { moved += std::fabs(first[at] - ip[0]->cpu_data()[at]); }
      }
    }
  }
  EXPECT_GT(moved, 0.1);  // it did learn
}

// A permutation travels with the weights, by either format, and no solver
// changes it.
TYPED_TEST(BlockInnerProductNetTest, TestPermutationTravels) {
  typedef typename TypeParam::Dtype Dtype;
  const string layer = this->BlockLayer("shuffle: FIXED");
  shared_ptr<Solver<Dtype> > solver = this->NewSolver(layer);
  const vector<shared_ptr<Blob<Dtype> > >& ip =
      solver->net()->layer_by_name("ip")->blobs();
  const Dtype permutation[] = {2, 0, 1};
  caffe_copy(3, permutation, ip[2]->mutable_cpu_data());
  for (int i = 0; i < 5; ++i) {
    this->Step(solver.get(), i);
  }
  string prefix;
  MakeTempFilename(&prefix);
  NetParameter weights;
  solver->net()->ToProto(&weights);
  WriteProtoToBinaryFile(weights, prefix + ".caffemodel");
  solver->net()->ToHDF5(prefix + ".caffemodel.h5");
  const char* endings[] = {".caffemodel", ".caffemodel.h5"};
  for (int i = 0; i < 2; ++i) {
    shared_ptr<Solver<Dtype> > other = this->NewSolver(layer);
    other->net()->CopyTrainedLayersFrom(prefix + endings[i]);
    const vector<shared_ptr<Blob<Dtype> > >& loaded =
        other->net()->layer_by_name("ip")->blobs();
    for (int j = 0; j < 3; ++j) {
      EXPECT_EQ(loaded[2]->cpu_data()[j], permutation[j]);
    }
    for (int j = 0; j < ip[0]->count(); ++j) {
      EXPECT_EQ(loaded[0]->cpu_data()[j], ip[0]->cpu_data()[j]);
    }
  }
}

// blocks: 1 and InnerProduct read each other's weights.
TYPED_TEST(BlockInnerProductNetTest, TestWeightsOfInnerProduct) {
  typedef typename TypeParam::Dtype Dtype;
  const string filler = " weight_filler { type: 'gaussian' } } } ";
  const string layers[] = {
      "layer { name: 'ip' type: 'InnerProduct' bottom: 'data' top: 'ip' "
      "inner_product_param { num_output: 9" + filler,
      "layer { name: 'ip' type: 'BlockInnerProduct' bottom: 'data' top: 'ip' "
      "block_inner_product_param { num_output: 9" + filler};
  for (int i = 0; i < 2; ++i) {
    shared_ptr<Solver<Dtype> > from = this->NewSolver(layers[i]);
    shared_ptr<Solver<Dtype> > to = this->NewSolver(layers[1 - i]);
    this->Step(from.get(), 1);
    NetParameter weights;
    from->net()->ToProto(&weights);
    to->net()->CopyTrainedLayersFrom(weights);
    this->Step(from.get(), 2);
    this->Step(to.get(), 2);
    EXPECT_NEAR(from->net()->blob_by_name("loss")->cpu_data()[0],
        to->net()->blob_by_name("loss")->cpu_data()[0], 1e-5);
  }
}

TYPED_TEST(BlockInnerProductNetTest, TestWrongShapeIsRefused) {
  // A fork of a process that uses CUDA cannot go on using it.
  ::testing::FLAGS_gtest_death_test_style = "threadsafe";
  typedef typename TypeParam::Dtype Dtype;
  shared_ptr<Solver<Dtype> > solver = this->NewSolver(this->BlockLayer(""));
  NetParameter weights;
  solver->net()->ToProto(&weights);
  vector<int> dense_shape(2, 9);
  dense_shape[1] = 12;
  Blob<Dtype>(dense_shape).ToProto(weights.mutable_layer(1)->mutable_blobs(0));
  EXPECT_DEATH(solver->net()->CopyTrainedLayersFrom(weights),
      "Cannot copy param 0 weights from layer 'ip'; shape mismatch");
}

// Two layers with one set of weights learn.
TYPED_TEST(BlockInnerProductNetTest, TestSharedWeights) {
  typedef typename TypeParam::Dtype Dtype;
  const string shared = "num_output: 12 blocks: 3 "
      "weight_filler { type: 'gaussian' std: 0.3 } } "
      "param { name: 'w' } param { name: 'c' } } ";
  const string layer = "layer { type: 'BlockInnerProduct' "
      "block_inner_product_param { " + shared;
  string first = layer, second = layer;
  first.insert(8, "name: 'a' bottom: 'data' top: 'a' ");
  second.insert(8, "name: 'b' bottom: 'a' top: 'b' ");
  shared_ptr<Solver<Dtype> > solver =
      this->NewSolver(first + second + "layer { name: 'ip' "
      "type: 'InnerProduct' bottom: 'b' top: 'ip' inner_product_param { "
      "num_output: 9 weight_filler { type: 'gaussian' std: 0.3 } } } ");
  this->Step(solver.get(), 1);
  const Blob<Dtype>& a = *solver->net()->layer_by_name("a")->blobs()[0];
  const Blob<Dtype>& b = *solver->net()->layer_by_name("b")->blobs()[0];
  EXPECT_EQ(a.cpu_data(), b.cpu_data());
  Dtype before = 0, after = 0;
  solver->net()->Forward(&before);
  for (int i = 0; i < 20; ++i) {
    Caffe::set_random_seed(0);
    solver->Step(1);
  }
  solver->net()->Forward(&after);
  EXPECT_LT(after, before);
}

}  // namespace caffe
