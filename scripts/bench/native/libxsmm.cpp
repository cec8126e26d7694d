// A loop over the blocks of libxsmm's kernels, dispatched ahead. The forward kernel wants the weights
// transposed. A trained net keeps them so: not timed. A training changes them with each step: timed there.
#include "bench.hpp"
#ifdef WITH_LIBXSMM
#include <libxsmm.h>
#endif

namespace bench {
#ifdef WITH_LIBXSMM
namespace {

class Libxsmm : public OnProblem {
 public:
  explicit Libxsmm(Problem* problem) : OnProblem(problem), turned_(p.weights()) {
    const int n = p.n(), k = p.k();
    forward_ = Dispatch(n, p.M, k, n, p.K, p.N, 0, LIBXSMM_GEMM_FLAG_NONE);
    data_ = Dispatch(k, p.M, n, k, p.N, p.K, 0, LIBXSMM_GEMM_FLAG_NONE);
    weight_ = Dispatch(k, n, p.M, p.K, p.N, k, 1, LIBXSMM_GEMM_FLAG_TRANS_B);
    Turn();
  }
  bool able() const { return forward_ && data_ && weight_; }
  void Forward() override {
    const int n = p.n(), k = p.k();
    for (int i = 0; i < p.b; ++i) {
      forward_(turned_.data() + static_cast<size_t>(i) * n * k, p.x.data() + i * k, p.y.data() + i * n);
    }
  }
  void Backward() override {
    const int n = p.n(), k = p.k();
    for (int i = 0; i < p.b; ++i) {
      const size_t block = static_cast<size_t>(i) * n * k;
      weight_(p.x.data() + i * k, p.dy.data() + i * n, p.dw.data() + block);
      data_(p.w.data() + block, p.dy.data() + i * n, p.dx.data() + i * k);
    }
    Turn();
  }
  std::vector<Span> Touched(bool all) const override {
    std::vector<Span> spans = OnProblem::Touched(all);
    spans.push_back({turned_.data(), turned_.count() * sizeof(float)});
    return spans;
  }

 private:
  void Turn() {
    const int n = p.n(), k = p.k();
    for (int i = 0; i < p.b; ++i) {
      const size_t block = static_cast<size_t>(i) * n * k;
      libxsmm_otrans(turned_.data() + block, p.w.data() + block, sizeof(float), k, n, k, n);
    }
  }
  static libxsmm_smmfunction Dispatch(int m, int n, int k, int lda, int ldb, int ldc, float beta, int flags) {
    const float alpha = 1;
    const int prefetch = LIBXSMM_GEMM_PREFETCH_NONE;
    return libxsmm_smmdispatch(m, n, k, &lda, &ldb, &ldc, &alpha, &beta, &flags, &prefetch);
  }
  Floats turned_;
  libxsmm_smmfunction forward_, data_, weight_;
};

}  // namespace
#endif

void AddLibxsmm(std::vector<Entry>* entries) {
#ifdef WITH_LIBXSMM
  entries->push_back({"libxsmm", "libxsmm", LIBXSMM_VERSION, false, [](Problem* p) {
    // Its kernels are for small matrices: above this its own documentation sends one to BLAS.
    const bool small = static_cast<double>(p->n()) * p->k() <= 512 * 512;
    auto made = small ? std::make_unique<Libxsmm>(p) : nullptr;
    return made && made->able() ? std::move(made) : nullptr;
  }});
#else
  (void)entries;
#endif
}

}  // namespace bench
