// BLAS: one product of the dense matrix, or a loop over the blocks. And the layer's own products without
// the layer around them.
#include <cblas.h>

#include "bench.hpp"
#include "caffe/util/block_products.hpp"
#include "caffe/util/cpu_batched_gemm.hpp"

namespace bench {
namespace {

// With b = 1 it is the dense product.
class BlasLoop : public OnProblem {
 public:
  using OnProblem::OnProblem;
  void Forward() override {
    const int n = p.n(), k = p.k();
    for (int i = 0; i < p.b; ++i) {
      cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, p.M, n, k, 1, p.x.data() + i * k, p.K,
                  p.w.data() + static_cast<size_t>(i) * n * k, k, 0, p.y.data() + i * n, p.N);
    }
  }
  void Backward() override {
    const int n = p.n(), k = p.k();
    for (int i = 0; i < p.b; ++i) {
      const size_t block = static_cast<size_t>(i) * n * k;
      cblas_sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, n, k, p.M, 1, p.dy.data() + i * n, p.N,
                  p.x.data() + i * k, p.K, 1, p.dw.data() + block, k);
      cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, p.M, k, n, 1, p.dy.data() + i * n, p.N,
                  p.w.data() + block, k, 0, p.dx.data() + i * k, p.K);
    }
  }
};

class Bare : public OnProblem {
 public:
  explicit Bare(Problem* problem)
      : OnProblem(problem), products_(p.M, p.N, p.K, p.b, nullptr), forward_(products_.forward, 0),
        data_(products_.data_gradient, 0), weight_(products_.weight_gradient, 1) {}
  void Forward() override { forward_.Run(p.w.data(), p.x.data(), p.y.data()); }
  void Backward() override {
    weight_.Run(p.x.data(), p.dy.data(), p.dw.data());
    data_.Run(p.w.data(), p.dy.data(), p.dx.data());
  }

 private:
  caffe::BlockProducts products_;
  caffe::CpuBatchedGemm<float> forward_, data_, weight_;
};

}  // namespace

// In OpenBLAS only; weak, so that another BLAS links too.
extern "C" char* openblas_get_config() __attribute__((weak));
extern "C" char* openblas_get_corename() __attribute__((weak));

void AddProducts(std::vector<Entry>* entries) {
  std::string library = "BLAS", version;
  if (openblas_get_config) {
    const std::string config = openblas_get_config();
    library = "OpenBLAS";
    version = config.substr(config.find(' ') + 1);
    version = version.substr(0, version.find(' ')) + " " + openblas_get_corename();
  }
  auto loop = [](Problem* p) { return std::make_unique<BlasLoop>(p); };
  entries->push_back({"dense", library, version, true, loop});
  entries->push_back({"cblas_loop", library, version, false, loop});
  entries->push_back({"product", "Caffe", "", false, [](Problem* p) { return std::make_unique<Bare>(p); }});
}

}  // namespace bench
