// BlockInnerProduct as a net runs it, through Layer::Forward and Layer::Backward.
#include "bench.hpp"
#include "caffe/caffe.hpp"

namespace bench {
namespace {

class BlockLayer : public Method {
 public:
  explicit BlockLayer(Problem* problem) : p(*problem), bottoms_(1, &bottom_), tops_(1, &top_) {
    caffe::LayerParameter param;
    param.set_name("ip");
    param.set_type("BlockInnerProduct");
    param.set_phase(caffe::TRAIN);
    auto* own = param.mutable_block_inner_product_param();
    own->set_num_output(p.N);
    own->set_blocks(p.b);
    own->set_bias_term(false);  // the products are what is compared
    layer_ = caffe::LayerRegistry<float>::CreateLayer(param);
    bottom_.Reshape(std::vector<int>{p.M, p.K});
    layer_->SetUp(bottoms_, tops_);
    Copy(p.x, bottom_.mutable_cpu_data());
    Copy(p.w, layer_->blobs()[0]->mutable_cpu_data());
    Copy(p.dy, top_.mutable_cpu_diff());
    caffe::caffe_set(weights().count(), 0.f, weights().mutable_cpu_diff());
    bottom_.mutable_cpu_diff();
  }
  void Forward() override { layer_->Forward(bottoms_, tops_); }
  void Backward() override { layer_->Backward(tops_, std::vector<bool>(1, true), bottoms_); }
  double Check(bool all) override {
    caffe::caffe_set(weights().count(), 0.f, weights().mutable_cpu_diff());
    Forward();
    if (all) { Backward(); }
    return p.Error(bottom_.cpu_data(), weights().cpu_data(), top_.cpu_diff(), top_.cpu_data(),
                   bottom_.cpu_diff(), weights().cpu_diff(), all);
  }
  std::vector<Span> Touched(bool all) const override {
    std::vector<Span> spans;
    const caffe::Blob<float>* const blobs[] = {&bottom_, &top_, &weights()};
    for (const caffe::Blob<float>* blob : blobs) {
      spans.push_back({blob->cpu_data(), blob->count() * sizeof(float)});
      if (all) { spans.push_back({blob->cpu_diff(), blob->count() * sizeof(float)}); }
    }
    return spans;
  }

 private:
  caffe::Blob<float>& weights() const { return *layer_->blobs()[0]; }
  static void Copy(const Floats& from, float* to) { std::copy(from.data(), from.data() + from.count(), to); }

  Problem& p;
  caffe::Blob<float> bottom_, top_;
  std::vector<caffe::Blob<float>*> bottoms_, tops_;
  boost::shared_ptr<caffe::Layer<float>> layer_;
};

}  // namespace

void AddLayer(std::vector<Entry>* entries) {
  entries->push_back({"layer", "Caffe", "1.0.0", false,
                      [](Problem* p) { return std::make_unique<BlockLayer>(p); }});
}

}  // namespace bench
