// Whole nets, and the update of pruned weights.
#include "bench.hpp"
#include "caffe/caffe.hpp"
#include "caffe/sgd_solvers.hpp"
#include "google/protobuf/text_format.h"

namespace bench {
namespace {

class Solver : public caffe::SGDSolver<float> {
 public:
  explicit Solver(const caffe::SolverParameter& param) : caffe::SGDSolver<float>(param) {}
  using caffe::SGDSolver<float>::ApplyUpdate;
};

class InnerProducts {
 public:
  explicit InnerProducts(boost::shared_ptr<caffe::Net<float>> net) : net_(net) {
    for (int i = 0; i < net->layers().size(); ++i) {
      const std::string type = net->layers()[i]->type();
      if (type == "InnerProduct" || type == "BlockInnerProduct") { layers_.push_back(i); }
    }
  }
  void operator()() {
    for (int i : layers_) { net_->layers()[i]->Forward(net_->bottom_vecs()[i], net_->top_vecs()[i]); }
    for (int i : layers_) {
      net_->layers()[i]->Backward(net_->top_vecs()[i], net_->bottom_need_backward()[i], net_->bottom_vecs()[i]);
    }
  }

 private:
  boost::shared_ptr<caffe::Net<float>> net_;
  std::vector<int> layers_;
};

// A solver of one inner product layer, in the middle of its pruning if it prunes.
class Update {
 public:
  Update(int N, int K, int b, bool prune) {
    std::ostringstream text;
    text << "base_lr: 0.1 lr_policy: 'fixed' momentum: 0.9 weight_decay: 0.0005 display: 0 "
         << "snapshot_after_train: false net_param { "
         << "layer { name: 'data' type: 'Input' top: 'data' input_param { shape { dim: 1 dim: " << K << " } } } "
         << "layer { name: 'ip' type: 'InnerProduct' bottom: 'data' top: 'ip' ";
    if (prune) {
      text << "param { prune { type: BLOCK_L1 blocks: " << b << " start: 0 iters: 1000000000 alpha: 0.001 } } ";
    }
    text << "inner_product_param { num_output: " << N << " bias_term: false "
         << "weight_filler { type: 'uniform' min: -1 max: 1 } } } }";
    caffe::SolverParameter param;
    CHECK(google::protobuf::TextFormat::ParseFromString(text.str(), &param));
    solver_.reset(new Solver(param));
    float* gradient = solver_->net()->learnable_params()[0]->mutable_cpu_diff();
    // 0.1 + 0.9 = 1: without new gradients the step stays what it is.
    for (int i = 0; i < N * K; ++i) { gradient[i] = (i % 7 - 3) * 1e-6f; }
    solver_->ApplyUpdate();
  }
  void operator()() { solver_->ApplyUpdate(); }

 private:
  boost::shared_ptr<Solver> solver_;
};

}  // namespace

void AddNet(const std::string& name, const std::string& solver_file, std::map<std::string, Action>* actions) {
  caffe::SolverParameter param;
  caffe::ReadSolverParamsFromTextFileOrDie(solver_file, &param);
  boost::shared_ptr<Solver> solver(new Solver(param));
  (*actions)[name + ".step"] = [solver] { solver->Step(1); };
  (*actions)[name + ".ip"] = InnerProducts(solver->net());
}

void AddUpdates(int N, int K, int b, std::map<std::string, Action>* actions) {
  (*actions)["update"] = Update(N, K, b, false);
  (*actions)["prune"] = Update(N, K, b, true);
}

}  // namespace bench
