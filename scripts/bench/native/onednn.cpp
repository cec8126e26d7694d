// oneDNN: sgemm of the dense matrix, and its batched matmul, which takes blocks where they are by strides.
#include "bench.hpp"
#ifdef WITH_ONEDNN
#include <dnnl.hpp>
#endif

namespace bench {
#ifdef WITH_ONEDNN
namespace {

class DenseGemm : public OnProblem {
 public:
  using OnProblem::OnProblem;
  void Forward() override {
    dnnl_sgemm('N', 'T', p.M, p.N, p.K, 1, p.x.data(), p.K, p.w.data(), p.K, 0, p.y.data(), p.N);
  }
  void Backward() override {
    dnnl_sgemm('T', 'N', p.N, p.K, p.M, 1, p.dy.data(), p.N, p.x.data(), p.K, 1, p.dw.data(), p.K);
    dnnl_sgemm('N', 'N', p.M, p.K, p.N, 1, p.dy.data(), p.N, p.w.data(), p.K, 0, p.dx.data(), p.K);
  }
};

using Dims = dnnl::memory::dims;

class Matmul {
 public:
  Matmul(dnnl::engine engine, dnnl::stream stream, Dims a, Dims a_strides, float* A, Dims b, Dims b_strides,
         float* B, Dims c, Dims c_strides, float* C)
      : stream_(stream) {
    const auto f32 = dnnl::memory::data_type::f32;
    const dnnl::memory::desc ad(a, f32, a_strides), bd(b, f32, b_strides), cd(c, f32, c_strides);
#if DNNL_VERSION_MAJOR >= 3
    const dnnl::matmul::primitive_desc description(engine, ad, bd, cd);
#else
    const dnnl::matmul::primitive_desc description(dnnl::matmul::desc(ad, bd, cd), engine);
#endif
    primitive_ = dnnl::matmul(description);
    arguments_ = {{DNNL_ARG_SRC, dnnl::memory(ad, engine, A)},
                  {DNNL_ARG_WEIGHTS, dnnl::memory(bd, engine, B)},
                  {DNNL_ARG_DST, dnnl::memory(cd, engine, C)}};
  }
  void Run() {
    primitive_.execute(stream_, arguments_);
    stream_.wait();
  }

 private:
  dnnl::stream stream_;
  dnnl::matmul primitive_;
  std::unordered_map<int, dnnl::memory> arguments_;
};

class Batched : public OnProblem {
 public:
  explicit Batched(Problem* problem) : OnProblem(problem) {
    const dnnl::memory::dim M = p.M, N = p.N, K = p.K, b = p.b, n = p.n(), k = p.k();
    const dnnl::engine engine(dnnl::engine::kind::cpu, 0);
    const dnnl::stream stream(engine);
    forward_ = std::make_unique<Matmul>(engine, stream, Dims{b, M, k}, Dims{k, K, 1}, p.x.data(),
                                        Dims{b, k, n}, Dims{n * k, 1, k}, p.w.data(), Dims{b, M, n},
                                        Dims{n, N, 1}, p.y.data());
    data_ = std::make_unique<Matmul>(engine, stream, Dims{b, M, n}, Dims{n, N, 1}, p.dy.data(),
                                     Dims{b, n, k}, Dims{n * k, k, 1}, p.w.data(), Dims{b, M, k},
                                     Dims{k, K, 1}, p.dx.data());
    weight_ = std::make_unique<Matmul>(engine, stream, Dims{b, n, M}, Dims{n, 1, N}, p.dy.data(),
                                       Dims{b, M, k}, Dims{k, K, 1}, p.x.data(), Dims{b, n, k},
                                       Dims{n * k, k, 1}, p.dw.data());
  }
  void Forward() override { forward_->Run(); }
  void Backward() override {
    weight_->Run();  // sets what others add to
    data_->Run();
  }

 private:
  std::unique_ptr<Matmul> forward_, data_, weight_;
};

}  // namespace
#endif

void AddOneDnn(std::vector<Entry>* entries) {
#ifdef WITH_ONEDNN
  const dnnl_version_t* v = dnnl_version();
  const std::string version =
      std::to_string(v->major) + "." + std::to_string(v->minor) + "." + std::to_string(v->patch);
  entries->push_back({"dense_onednn", "oneDNN", version, true,
                      [](Problem* p) { return std::make_unique<DenseGemm>(p); }});
  entries->push_back({"onednn", "oneDNN", version, false,
                      [](Problem* p) { return std::make_unique<Batched>(p); }});
#else
  (void)entries;
#endif
}

}  // namespace bench
