// BlockInnerProduct as a net runs it, through Layer::Forward and Layer::Backward.
#include "bench.hpp"
#include "caffe/caffe.hpp"

namespace bench {
namespace {

// On the same arrays as its bare products: pages of other arrays lie otherwise in the caches.
class BlockLayer : public OnProblem {
 public:
  explicit BlockLayer(Problem* problem) : OnProblem(problem), bottoms_(1, &bottom_), tops_(1, &top_) {
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
    Use(p.x, p.dx, &bottom_);
    Use(p.w, p.dw, &weights());
    Use(p.y, p.dy, &top_);
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

 private:
  caffe::Blob<float>& weights() const { return *layer_->blobs()[0]; }
  static void Use(const Floats& data, const Floats& diff, caffe::Blob<float>* blob) {
    blob->set_cpu_data(data.data());
    blob->diff()->set_cpu_data(diff.data());
  }

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
