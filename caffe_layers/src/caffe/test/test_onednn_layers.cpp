#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "boost/scoped_ptr.hpp"
#include "google/protobuf/text_format.h"
#include "gtest/gtest.h"

#include "caffe/blob.hpp"
#include "caffe/common.hpp"
#include "caffe/filler.hpp"
#include "caffe/layer_factory.hpp"
#include "caffe/layers/conv_layer.hpp"
#include "caffe/layers/onednn_conv_layer.hpp"
#include "caffe/layers/onednn_pooling_layer.hpp"
#include "caffe/layers/pooling_layer.hpp"
#include "caffe/util/math_functions.hpp"

#include "caffe/test/test_caffe_main.hpp"
#include "caffe/test/test_gradient_check_util.hpp"

namespace caffe {

static LayerParameter Parsed(const string& text) {
  LayerParameter param;
  CHECK(google::protobuf::TextFormat::ParseFromString(text, &param)) << text;
  return param;
}

// Which class each engine gives, on every device and for both types.
template <typename TypeParam>
class OneDNNFactoryTest : public MultiDeviceTest<TypeParam> {
 protected:
  typedef typename TypeParam::Dtype Dtype;

  shared_ptr<Layer<Dtype> > Make(const string& type, const string& engine) {
    const string field = type == "Pooling" ? "pooling_param" :
        "convolution_param";
    return LayerRegistry<Dtype>::CreateLayer(Parsed("name: 'it' type: '" +
        type + "' " + field + " { kernel_size: 2 " + engine + " }"));
  }
};

TYPED_TEST_CASE(OneDNNFactoryTest, TestDtypesAndDevices);

#ifdef USE_ONEDNN

TYPED_TEST(OneDNNFactoryTest, TestEngines) {
  typedef typename TypeParam::Dtype Dtype;
  const char* engines[] = {"", "engine: DEFAULT", "engine: ONEDNN",
      "engine: CAFFE"};
  for (int i = 0; i < 4; ++i) {
    const bool expected = i < 3;
    shared_ptr<Layer<Dtype> > layer = this->Make("Convolution", engines[i]);
    EXPECT_EQ(expected, dynamic_cast<OneDNNConvolutionLayer<Dtype>*>(
        layer.get()) != NULL) << engines[i];
    EXPECT_TRUE(dynamic_cast<ConvolutionLayer<Dtype>*>(layer.get()));
    layer = this->Make("Pooling", engines[i]);
    EXPECT_EQ(expected, dynamic_cast<OneDNNPoolingLayer<Dtype>*>(
        layer.get()) != NULL) << engines[i];
    EXPECT_TRUE(dynamic_cast<PoolingLayer<Dtype>*>(layer.get()));
  }
}

#else

TYPED_TEST(OneDNNFactoryTest, TestEngineThatThisBuildLacks) {
  typedef typename TypeParam::Dtype Dtype;
  const char* types[] = {"Convolution", "Pooling"};
  for (int i = 0; i < 2; ++i) {
    EXPECT_DEATH(this->Make(types[i], "engine: ONEDNN"),
        "Layer it asks for engine ONEDNN, which this build of Caffe does not");
    shared_ptr<Layer<Dtype> > layer = this->Make(types[i], "engine: DEFAULT");
    EXPECT_STREQ(types[i], layer->type());
  }
}

#endif  // USE_ONEDNN

#ifdef USE_ONEDNN

// ---- Convolution ------------------------------------------------------------

struct ConvShape {
  int bottom[4];
  const char* param;  // convolution_param without fillers
};

static const ConvShape kConvShapes[] = {
    {{2, 3, 6, 4}, "num_output: 4 kernel_size: 3"},
    {{2, 3, 6, 4}, "num_output: 4 kernel_size: 3 bias_term: false"},
    {{1, 1, 1, 1}, "num_output: 1 kernel_size: 1"},
    {{3, 5, 7, 9}, "num_output: 6 kernel_size: 1"},
    {{3, 5, 7, 9}, "num_output: 6 kernel_size: 1 stride: 2 pad: 1"},
    {{2, 4, 9, 11}, "num_output: 6 kernel_size: 3 stride: 2 pad: 1"},
    {{2, 4, 9, 11}, "num_output: 6 kernel_size: 3 stride: 3 pad: 2"},
    {{2, 4, 8, 8}, "num_output: 6 kernel_size: 3 stride: 2"},  // a row unread
    {{2, 4, 9, 11}, "num_output: 6 kernel_h: 2 kernel_w: 5 stride_h: 1 "
        "stride_w: 2 pad_h: 0 pad_w: 3"},
    {{2, 4, 9, 11}, "num_output: 6 kernel_size: 3 dilation: 2 pad: 1"},
    {{2, 3, 12, 9}, "num_output: 6 kernel_size: 3 dilation: 3 dilation: 2 "
        "pad: 4 stride: 2"},
    {{2, 4, 9, 11}, "num_output: 6 kernel_size: 3 group: 2 pad: 1"},
    {{2, 6, 9, 11}, "num_output: 9 kernel_size: 3 group: 3 bias_term: false "
        "stride: 2"},
    {{2, 6, 8, 8}, "num_output: 6 kernel_size: 3 group: 6 pad: 1"},
    {{2, 32, 8, 8}, "num_output: 32 kernel_size: 3 group: 2 dilation: 2"},
    {{2, 5, 6, 7}, "num_output: 3 kernel_h: 6 kernel_w: 7"},  // all of it
    {{2, 17, 6, 5}, "num_output: 33 kernel_size: 3 pad: 1"},
    {{2, 3, 5, 5}, "num_output: 4 kernel_size: 3 pad: 4"},  // pad > kernel
    // LeNet-5's, and cuda-convnet's with fewer images
    {{64, 1, 28, 28}, "num_output: 20 kernel_size: 5"},
    {{64, 20, 12, 12}, "num_output: 50 kernel_size: 5"},
    {{20, 3, 32, 32}, "num_output: 32 kernel_size: 5 pad: 2"},
    {{20, 32, 16, 16}, "num_output: 32 kernel_size: 5 pad: 2"},
    {{20, 32, 8, 8}, "num_output: 64 kernel_size: 5 pad: 2"},
};
static const int kNumConvShapes = sizeof(kConvShapes) / sizeof(kConvShapes[0]);

// A layer of either kind with its blobs.
struct Convolved {
  Convolved(const LayerParameter& param, bool onednn,
      const vector<int>& bottom_shape, int bottoms) {
    for (int i = 0; i < bottoms; ++i) {
      bottoms_.push_back(shared_ptr<Blob<float> >(
          new Blob<float>(bottom_shape)));
      tops_.push_back(shared_ptr<Blob<float> >(new Blob<float>()));
      bottom.push_back(bottoms_[i].get());
      top.push_back(tops_[i].get());
    }
    if (onednn) {
      layer.reset(new OneDNNConvolutionLayer<float>(param));
    } else {
      layer.reset(new ConvolutionLayer<float>(param));
    }
    Caffe::set_random_seed(11);
    layer->SetUp(bottom, top);
  }
  // The same numbers, whatever the layer.
  void Fill(bool diffs) {
    Caffe::set_random_seed(7);
    vector<Blob<float>*> blobs = diffs ? top : bottom;
    for (int i = 0; i < layer->blobs().size(); ++i) {
      blobs.push_back(layer->blobs()[i].get());
    }
    for (int i = 0; i < blobs.size(); ++i) {
      caffe_rng_gaussian<float>(blobs[i]->count(), 0, 1, diffs ?
          blobs[i]->mutable_cpu_diff() : blobs[i]->mutable_cpu_data());
    }
  }

  vector<shared_ptr<Blob<float> > > bottoms_, tops_;
  vector<Blob<float>*> bottom, top;
  shared_ptr<Layer<float> > layer;
};

class OneDNNConvolutionLayerTest : public CPUDeviceTest<float> {
 protected:
  static LayerParameter Param(const string& convolution_param) {
    return Parsed("type: 'Convolution' convolution_param { " +
        convolution_param + " weight_filler { type: 'gaussian' } "
        "bias_filler { type: 'gaussian' } }");
  }
  static vector<int> Shape(const int (&shape)[4]) {
    return vector<int>(shape, shape + 4);
  }
  // Both sum the same products in different orders. With n of them of order 1
  // the sums are of order sqrt(n), and rounding moves them by some
  // sqrt(n) 2^-24 of that, n being at most 20 * 32 * 32 here: 1e-5.
  static void ExpectNear(const Blob<float>& stock, const Blob<float>& ours,
      bool diff, const string& what) {
    ASSERT_EQ(stock.shape(), ours.shape()) << what;
    const float* a = diff ? stock.cpu_diff() : stock.cpu_data();
    const float* b = diff ? ours.cpu_diff() : ours.cpu_data();
    float scale = 0, error = 0;
    for (int i = 0; i < stock.count(); ++i) {
      ASSERT_TRUE(std::isfinite(b[i])) << what << " " << i;
      scale = std::max(scale, std::fabs(a[i]));
      error = std::max(error, std::fabs(a[i] - b[i]));
    }
    EXPECT_LE(error, 1e-5 * scale) << what;
  }
  static void Compare(Convolved* stock, Convolved* ours, const string& what,
      const vector<bool>& propagate_down) {
    Convolved* both[] = {stock, ours};
    for (int i = 0; i < 2; ++i) {
      both[i]->Fill(false);
      both[i]->layer->Forward(both[i]->bottom, both[i]->top);
      both[i]->Fill(true);  // of the weights too: what is there is added to
      for (int j = 0; j < both[i]->bottom.size(); ++j) {
        caffe_set<float>(both[i]->bottom[j]->count(), 5,
            both[i]->bottom[j]->mutable_cpu_diff());
      }
      both[i]->layer->Backward(both[i]->top, propagate_down, both[i]->bottom);
    }
    for (int i = 0; i < stock->bottom.size(); ++i) {
      ExpectNear(*stock->top[i], *ours->top[i], false, what + ": top");
      ExpectNear(*stock->bottom[i], *ours->bottom[i], true,
          what + ": bottom diff");
    }
    for (int i = 0; i < stock->layer->blobs().size(); ++i) {
      ExpectNear(*stock->layer->blobs()[i], *ours->layer->blobs()[i], true,
          what + (i ? ": bias diff" : ": weight diff"));
    }
  }
};

TEST_F(OneDNNConvolutionLayerTest, TestAgainstStock) {
  for (int i = 0; i < kNumConvShapes; ++i) {
    const ConvShape& shape = kConvShapes[i];
    for (int bottoms = 1; bottoms <= 2; ++bottoms) {
      Convolved stock(Param(shape.param), false, Shape(shape.bottom), bottoms);
      Convolved ours(Param(shape.param), true, Shape(shape.bottom), bottoms);
      Compare(&stock, &ours, shape.param, vector<bool>(bottoms, true));
    }
  }
}

TEST_F(OneDNNConvolutionLayerTest, TestReshape) {
  const string param = "num_output: 6 kernel_size: 3 pad: 1 stride: 2";
  const int sizes[][4] = {{2, 4, 9, 11}, {5, 4, 9, 11}, {1, 4, 9, 11},
      {1, 4, 6, 3}, {2, 4, 9, 11}};
  Convolved stock(Param(param), false, Shape(sizes[0]), 1);
  Convolved ours(Param(param), true, Shape(sizes[0]), 1);
  for (int i = 0; i < 5; ++i) {
    Convolved* both[] = {&stock, &ours};
    for (int j = 0; j < 2; ++j) {
      both[j]->bottom[0]->Reshape(Shape(sizes[i]));
      both[j]->layer->Reshape(both[j]->bottom, both[j]->top);
    }
    Compare(&stock, &ours, "reshaped", vector<bool>(1, true));
  }
}

// What is not wanted is neither computed nor touched.
TEST_F(OneDNNConvolutionLayerTest, TestWhatIsWanted) {
  const int size[4] = {2, 4, 6, 5};
  for (int wanted = 0; wanted < 8; ++wanted) {
    Convolved stock(Param("num_output: 3 kernel_size: 3"), false, Shape(size),
        1);
    Convolved ours(Param("num_output: 3 kernel_size: 3"), true, Shape(size), 1);
    Convolved* both[] = {&stock, &ours};
    for (int i = 0; i < 2; ++i) {
      both[i]->layer->set_param_propagate_down(0, wanted & 1);
      both[i]->layer->set_param_propagate_down(1, wanted & 2);
    }
    Compare(&stock, &ours, "some wanted", vector<bool>(1, wanted & 4));
    if (!(wanted & 4)) { EXPECT_EQ(5, ours.bottom[0]->cpu_diff()[0]); }
  }
}

// Only the first of two bottoms wants its gradient.
TEST_F(OneDNNConvolutionLayerTest, TestOneBottomWanted) {
  const int size[4] = {2, 4, 6, 5};
  Convolved stock(Param("num_output: 3 kernel_size: 3"), false, Shape(size), 2);
  Convolved ours(Param("num_output: 3 kernel_size: 3"), true, Shape(size), 2);
  vector<bool> propagate_down(2, true);
  propagate_down[1] = false;
  Compare(&stock, &ours, "one wanted", propagate_down);
}

TEST_F(OneDNNConvolutionLayerTest, TestSameBitsAgain) {
  const int size[4] = {10, 32, 16, 16};
  const string param = "num_output: 32 kernel_size: 5 pad: 2";
  Convolved first(Param(param), true, Shape(size), 1);
  Convolved second(Param(param), true, Shape(size), 1);
  Convolved* both[] = {&first, &second};
  for (int i = 0; i < 2; ++i) {
    for (int passes = 0; passes <= i; ++passes) {  // the second one twice
      both[i]->Fill(false);
      both[i]->layer->Forward(both[i]->bottom, both[i]->top);
      both[i]->Fill(true);
      both[i]->layer->Backward(both[i]->top, vector<bool>(1, true),
          both[i]->bottom);
    }
  }
  const Blob<float>* pairs[][2] = {
      {first.bottom[0], second.bottom[0]}, {first.top[0], second.top[0]},
      {first.layer->blobs()[0].get(), second.layer->blobs()[0].get()},
      {first.layer->blobs()[1].get(), second.layer->blobs()[1].get()}};
  for (int i = 0; i < 4; ++i) {
    for (int j = 0; j < pairs[i][0]->count(); ++j) {
      ASSERT_EQ(pairs[i][0]->cpu_data()[j], pairs[i][1]->cpu_data()[j]);
      ASSERT_EQ(pairs[i][0]->cpu_diff()[j], pairs[i][1]->cpu_diff()[j]);
    }
  }
}

TEST_F(OneDNNConvolutionLayerTest, TestGradient) {
  const char* params[] = {"num_output: 2 kernel_size: 3 stride: 2 pad: 1",
      "num_output: 4 kernel_size: 2 group: 2 dilation: 2",
      "num_output: 2 kernel_size: 1 bias_term: false"};
  const int size[4] = {2, 2, 5, 4};
  for (int i = 0; i < 3; ++i) {
    Convolved ours(Param(params[i]), true, Shape(size), 2);
    ours.Fill(false);
    OneDNNConvolutionLayer<float> layer(Param(params[i]));
    GradientChecker<float> checker(1e-2, 1e-3);
    checker.CheckGradientExhaustive(&layer, ours.bottom, ours.top);
  }
}

// What oneDNN is not given here is done by the stock code, bit for bit.
TEST_F(OneDNNConvolutionLayerTest, TestStockWhereNotSupported) {
  const char* params[] = {"num_output: 2 kernel_size: 3 force_nd_im2col: true",
      "num_output: 2 kernel_size: 2 axis: 0",
      "num_output: 2 kernel_size: 3 axis: 2"};
  const int size[4] = {2, 2, 5, 4};
  for (int i = 0; i < 3; ++i) {
    const LayerParameter param = Param(params[i]);
    Convolved stock(param, false, Shape(size), 1);
    Convolved ours(param, true, Shape(size), 1);
    Compare(&stock, &ours, params[i], vector<bool>(1, true));
    for (int j = 0; j < stock.top[0]->count(); ++j) {
      ASSERT_EQ(stock.top[0]->cpu_data()[j], ours.top[0]->cpu_data()[j]);
    }
    LayerParameter explicit_param = param;
    explicit_param.set_name("it");
    explicit_param.mutable_convolution_param()->set_engine(
        ConvolutionParameter_Engine_ONEDNN);
    EXPECT_DEATH(Convolved(explicit_param, true, Shape(size), 1),
        "Layer it: engine ONEDNN wants blobs of 4 axes");
  }
}

// ---- Pooling ----------------------------------------------------------------

struct PoolShape {
  int bottom[4];
  const char* param;  // pooling_param without pool
};

static const PoolShape kPoolShapes[] = {
    {{2, 3, 6, 5}, "kernel_size: 2"},
    {{2, 3, 6, 5}, "kernel_size: 2 stride: 2"},
    {{2, 3, 7, 5}, "kernel_size: 2 stride: 2"},  // windows beyond the edge
    {{2, 3, 7, 5}, "kernel_size: 2 stride: 2 round_mode: FLOOR"},
    {{2, 3, 8, 8}, "kernel_size: 3 stride: 2 pad: 1"},
    {{2, 3, 8, 8}, "kernel_size: 3 stride: 2 pad: 1 round_mode: FLOOR"},
    {{2, 3, 9, 8}, "kernel_size: 3 stride: 2 pad: 2"},
    {{2, 3, 9, 8}, "kernel_size: 5 stride: 3 pad: 4"},
    {{2, 3, 9, 13}, "kernel_h: 2 kernel_w: 4 stride_h: 1 stride_w: 3 pad_h: 1 "
        "pad_w: 2"},
    {{2, 3, 11, 40}, "kernel_size: 3"},  // more than one vector of windows
    {{2, 3, 5, 67}, "kernel_size: 4 stride: 2 pad: 3"},
    {{2, 3, 5, 100}, "kernel_size: 4 stride: 3 pad: 1"},
    {{2, 3, 9, 9}, "kernel_size: 4 stride: 4"},
    {{2, 3, 9, 9}, "kernel_size: 2 stride: 4"},  // columns between windows
    {{2, 3, 11, 11}, "kernel_size: 2 stride: 3"},
    {{2, 3, 10, 10}, "kernel_size: 1 stride: 3 round_mode: FLOOR"},
    {{2, 3, 9, 7}, "kernel_size: 9 stride: 2 pad: 2"},  // larger than the image
    {{2, 3, 10, 11}, "kernel_size: 3 stride: 3 round_mode: FLOOR"},
    {{2, 3, 9, 7}, "global_pooling: true"},
    {{1, 1, 1, 1}, "kernel_size: 1"},
    {{2, 3, 7, 7}, "kernel_size: 1 stride: 1"},
    {{4, 20, 24, 24}, "kernel_size: 2 stride: 2"},   // LeNet-5's
    {{4, 32, 32, 32}, "kernel_size: 3 stride: 2"},   // cuda-convnet's
    {{4, 32, 16, 16}, "kernel_size: 3 stride: 2"},
    {{4, 64, 8, 8}, "kernel_size: 3 stride: 2"},
};
static const int kNumPoolShapes = sizeof(kPoolShapes) / sizeof(kPoolShapes[0]);

class OneDNNPoolingLayerTest : public CPUDeviceTest<float> {
 protected:
  static LayerParameter Param(const string& pooling_param) {
    return Parsed("type: 'Pooling' pooling_param { " + pooling_param + " }");
  }
  // Bit for bit: both go through each window in the same order.
  static void ExpectSame(const Blob<float>& stock, const Blob<float>& ours,
      bool diff, const string& what) {
    ASSERT_EQ(stock.shape(), ours.shape()) << what;
    const float* a = diff ? stock.cpu_diff() : stock.cpu_data();
    const float* b = diff ? ours.cpu_diff() : ours.cpu_data();
    for (int i = 0; i < stock.count(); ++i) {
      ASSERT_TRUE(a[i] == b[i] || (a[i] != a[i] && b[i] != b[i])) << what
          << ", entry " << i << ": " << a[i] << " and " << b[i];
    }
  }
  // values: 0: Gaussian, n: one of n integers, so that there are ties.
  static void FillBottom(int values, Blob<float>* bottom) {
    caffe_rng_gaussian<float>(bottom->count(), 0, 1,
        bottom->mutable_cpu_data());
    if (!values) { return; }
    float* data = bottom->mutable_cpu_data();
    for (int i = 0; i < bottom->count(); ++i) {
      data[i] = static_cast<int>(caffe_rng_rand() % values);
    }
  }
  static void Compare(Layer<float>* stock, Layer<float>* ours,
      const Blob<float>& filled, int tops, const string& what,
      bool backward = true) {
    Layer<float>* layers[] = {stock, ours};
    Blob<float> bottom[2], top[2], mask[2];
    for (int i = 0; i < 2; ++i) {
      bottom[i].CopyFrom(filled, false, true);
      vector<Blob<float>*> bottom_vec(1, &bottom[i]), top_vec(1, &top[i]);
      if (tops > 1) { top_vec.push_back(&mask[i]); }
      layers[i]->SetUp(bottom_vec, top_vec);
      // Buffers are used again: the second pass must not see the first.
      for (int pass = 0; pass < 2; ++pass) {
        layers[i]->Forward(bottom_vec, top_vec);
        if (!backward) { continue; }
        Caffe::set_random_seed(3);
        caffe_rng_gaussian<float>(top[i].count(), 0, 1,
            top[i].mutable_cpu_diff());
        caffe_set<float>(bottom[i].count(), 5, bottom[i].mutable_cpu_diff());
        layers[i]->Backward(top_vec, vector<bool>(1, true), bottom_vec);
      }
    }
    ExpectSame(top[0], top[1], false, what + ": top");
    if (tops > 1) { ExpectSame(mask[0], mask[1], false, what + ": mask"); }
    if (backward) {
      ExpectSame(bottom[0], bottom[1], true, what + ": bottom diff");
    }
  }
};

TEST_F(OneDNNPoolingLayerTest, TestSameAsStock) {
  const char* pools[] = {"pool: MAX ", "pool: AVE "};
  for (int i = 0; i < kNumPoolShapes; ++i) {
    const int (&size)[4] = kPoolShapes[i].bottom;
    Blob<float> bottom(size[0], size[1], size[2], size[3]);
    for (int values = 0; values < 4; ++values) {
      Caffe::set_random_seed(values);
      FillBottom(values, &bottom);
      for (int j = 0; j < 2; ++j) {
        const string text = string(pools[j]) + kPoolShapes[i].param;
        PoolingLayer<float> stock(Param(text));
        OneDNNPoolingLayer<float> ours(Param(text));
        Compare(&stock, &ours, bottom, 1, text);
        if (j == 0) {
          PoolingLayer<float> stock(Param(text));
          OneDNNPoolingLayer<float> ours(Param(text));
          Compare(&stock, &ours, bottom, 2, text);
        }
      }
    }
  }
}

// All of a window equal, -infinity, not a number, the lowest number.
TEST_F(OneDNNPoolingLayerTest, TestOddValues) {
  typedef std::numeric_limits<float> Limits;
  const float odd[] = {Limits::quiet_NaN(), -Limits::infinity(),
      Limits::infinity(), -Limits::max(), -0.f, 0.f};
  for (int values = 1; values <= 6; ++values) {
    Caffe::set_random_seed(values);
    Blob<float> bottom(2, 2, 9, 9);
    for (int i = 0; i < bottom.count(); ++i) {
      bottom.mutable_cpu_data()[i] = odd[caffe_rng_rand() % values];
    }
    const char* pools[] = {"pool: MAX ", "pool: AVE "};
    for (int i = 0; i < 2; ++i) {
      const string text = string(pools[i]) + "kernel_size: 3 stride: 2 pad: 1";
      PoolingLayer<float> stock(Param(text));
      OneDNNPoolingLayer<float> ours(Param(text));
      Compare(&stock, &ours, bottom, 1, text);
    }
  }
}

// Windows without a number have no largest one: their gradient goes nowhere.
TEST_F(OneDNNPoolingLayerTest, TestGradientOfNaN) {
  PoolingLayer<float> stock(Param("pool: MAX kernel_size: 2 stride: 2"));
  OneDNNPoolingLayer<float> ours(Param("pool: MAX kernel_size: 2 stride: 2"));
  Layer<float>* const layers[] = {&stock, &ours};
  for (int i = 0; i < 2; ++i) {
    Blob<float> bottom(1, 2, 4, 4), top;
    const vector<Blob<float>*> bottoms(1, &bottom), tops(1, &top);
    caffe_set<float>(32, 1, bottom.mutable_cpu_data());
    for (int j = 0; j < 4; ++j) {  // one window of the second channel
      bottom.mutable_cpu_data()[16 + j / 2 * 4 + j % 2] = NAN;
    }
    layers[i]->SetUp(bottoms, tops);
    layers[i]->Forward(bottoms, tops);
    caffe_set<float>(8, 1, top.mutable_cpu_diff());
    layers[i]->Backward(tops, vector<bool>(1, true), bottoms);
    EXPECT_EQ(0, bottom.cpu_diff()[15]);
    EXPECT_EQ(7, caffe_cpu_asum<float>(32, bottom.cpu_diff()));
  }
}

TEST_F(OneDNNPoolingLayerTest, TestReshape) {
  const char* pools[] = {"pool: MAX ", "pool: AVE "};
  const int sizes[][4] = {{2, 3, 9, 8}, {4, 3, 9, 8}, {1, 3, 20, 40},
      {2, 3, 9, 8}};
  for (int i = 0; i < 2; ++i) {
    const string text = string(pools[i]) + "kernel_size: 3 stride: 2 pad: 1";
    PoolingLayer<float> stock(Param(text));
    OneDNNPoolingLayer<float> ours(Param(text));
    for (int j = 0; j < 4; ++j) {
      Blob<float> bottom(sizes[j][0], sizes[j][1], sizes[j][2], sizes[j][3]);
      FillBottom(0, &bottom);
      Compare(&stock, &ours, bottom, 1, text);
    }
  }
}

TEST_F(OneDNNPoolingLayerTest, TestNotWanted) {
  const char* pools[] = {"pool: MAX ", "pool: AVE "};
  for (int i = 0; i < 2; ++i) {
    OneDNNPoolingLayer<float> layer(
        Param(string(pools[i]) + "kernel_size: 3 stride: 2"));
    Blob<float> bottom(2, 3, 8, 8), top;
    FillBottom(0, &bottom);
    vector<Blob<float>*> bottom_vec(1, &bottom), top_vec(1, &top);
    layer.SetUp(bottom_vec, top_vec);
    layer.Forward(bottom_vec, top_vec);
    caffe_set<float>(bottom.count(), 5, bottom.mutable_cpu_diff());
    layer.Backward(top_vec, vector<bool>(1, false), bottom_vec);
    for (int j = 0; j < bottom.count(); ++j) {
      ASSERT_EQ(5, bottom.cpu_diff()[j]);
    }
  }
}

#endif  // USE_ONEDNN

}  // namespace caffe
