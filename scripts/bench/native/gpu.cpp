// Methods, states and timing on a GPU. There is no kernel here: cuBLAS, and the project's own GPU code as the
// layer calls it.
//
// States, joined by "+": warm or cold (its L2 cache overwritten before each call), tf32 (products may use
// tensor cores), graph (calls are replayed from a captured CUDA graph).
#include <cublas_v2.h>
#include <cuda_runtime.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <sstream>

#include "bench.hpp"
#include "caffe/common.hpp"
#include "caffe/util/batched_gemm.hpp"
#include "caffe/util/block_products.hpp"

namespace bench {
namespace {

// Rows and columns of the product that tells what arithmetic can reach; the tests' is small.
int Large() {
  const char* rows = std::getenv("BENCH_LARGE");
  return rows ? std::atoi(rows) : 8192;
}

// The GPU that is timed.
int Number() {
  const char* number = std::getenv("BENCH_GPU");
  return number ? std::atoi(number) : 0;
}

cublasHandle_t Handle() { return caffe::Caffe::cublas_handle(); }
bool Has(const std::string& state, const std::string& word) {
  return ("+" + state + "+").find("+" + word + "+") != std::string::npos;
}

// Floats on the GPU.
class Numbers {
 public:
  explicit Numbers(const Floats& host) : bytes_(host.count() * sizeof(float)) {
    CUDA_CHECK(cudaMalloc(&data_, bytes_));
    CUDA_CHECK(cudaMemcpy(data_, host.data(), bytes_, cudaMemcpyHostToDevice));
  }
  ~Numbers() { cudaFree(data_); }
  Numbers(const Numbers&) = delete;
  void operator=(const Numbers&) = delete;
  float* data() const { return data_; }
  void Zero() const { CUDA_CHECK(cudaMemset(data_, 0, bytes_)); }
  void Get(const Floats& host) const {
    CUDA_CHECK(cudaMemcpy(host.data(), data_, bytes_, cudaMemcpyDeviceToHost));
  }

 private:
  float* data_ = nullptr;
  size_t bytes_;
};

// The problem's arrays on the GPU, and the products in the terms in which the layer gives them to cuBLAS.
class OnDevice : public Method {
 public:
  explicit OnDevice(Problem* problem)
      : p(*problem), products(p.M, p.N, p.K, p.b, nullptr), x(p.x), w(p.w), y(p.y), dx(p.dx), dw(p.dw), dy(p.dy) {}
  void Forward() override { Run(products.forward, w, x, 0, y); }
  void Backward() override {
    Run(products.weight_gradient, x, dy, 1, dw);
    Run(products.data_gradient, w, dy, 0, dx);
  }
  double Check(bool all) override {
    dw.Zero();
    Forward();
    if (all) { Backward(); }
    y.Get(p.y);
    dx.Get(p.dx);
    dw.Get(p.dw);
    return p.Error(p.x.data(), p.w.data(), p.dy.data(), p.y.data(), p.dx.data(), p.dw.data(), all);
  }
  std::vector<Span> Touched(bool) const override { return {}; }

 protected:
  virtual void Run(const caffe::BatchedGemm& gemm, const Numbers& a, const Numbers& b, float beta,
                   const Numbers& c) = 0;
  Problem& p;
  const caffe::BlockProducts products;
  const Numbers x, w, y, dx, dw, dy;
};

// A call of cublasSgemm for each block; with b = 1 it is the dense product.
class Loop : public OnDevice {
 public:
  using OnDevice::OnDevice;

 protected:
  void Run(const caffe::BatchedGemm& g, const Numbers& a, const Numbers& b, float beta,
           const Numbers& c) override {
    const float alpha = 1;
    for (int i = 0; i < g.batch; ++i) {
      CUBLAS_CHECK(cublasSgemm(Handle(), Operation(g.trans_a), Operation(g.trans_b), g.m, g.n, g.k, &alpha,
                               a.data() + g.a.offset(i), g.a.ld, b.data() + g.b.offset(i), g.b.ld, &beta,
                               c.data() + g.c.offset(i), g.c.ld));
    }
  }

 private:
  static cublasOperation_t Operation(CBLAS_TRANSPOSE t) { return t == CblasNoTrans ? CUBLAS_OP_N : CUBLAS_OP_T; }
};

// The layer's own product: cublasSgemmStridedBatched, from the project's library.
class Batched : public OnDevice {
 public:
  using OnDevice::OnDevice;

 protected:
  void Run(const caffe::BatchedGemm& g, const Numbers& a, const Numbers& b, float beta,
           const Numbers& c) override {
    caffe::caffe_gpu_gemm_batched<float>(g, 1, a.data(), b.data(), beta, c.data(), nullptr);
  }
};

struct Clock {
  cudaEvent_t begin, end;
  cudaStream_t stream;  // on which graphs are captured: the default stream cannot be
  Numbers* flush = nullptr;

  Clock() {
    CUDA_CHECK(cudaEventCreate(&begin));
    CUDA_CHECK(cudaEventCreate(&end));
    CUDA_CHECK(cudaStreamCreate(&stream));
  }
  double Time(const Action& action, cudaStream_t on) const {
    CUDA_CHECK(cudaEventRecord(begin, on));
    action();
    CUDA_CHECK(cudaEventRecord(end, on));
    CUDA_CHECK(cudaEventSynchronize(end));
    float ms;
    CUDA_CHECK(cudaEventElapsedTime(&ms, begin, end));
    return 1e-3 * ms;
  }
  void Flush() {
    if (!flush) {
      int cache = 0;
      CUDA_CHECK(cudaDeviceGetAttribute(&cache, cudaDevAttrL2CacheSize, Number()));
      flush = new Numbers(Floats(4 * static_cast<size_t>(cache) / sizeof(float)));
    }
    flush->Zero();
  }
};

Clock& clock() {
  static Clock* made = new Clock();
  return *made;
}

// The action as a graph that can be replayed; nothing where the device has no graphs.
cudaGraphExec_t Capture(const Action& action) {
  cudaGraph_t graph;
  cudaGraphExec_t made;
  if (cudaStreamBeginCapture(clock().stream, cudaStreamCaptureModeThreadLocal) != cudaSuccess) {
    cudaGetLastError();
    return nullptr;
  }
  CUBLAS_CHECK(cublasSetStream(Handle(), clock().stream));
  action();
  CUBLAS_CHECK(cublasSetStream(Handle(), 0));
  CUDA_CHECK(cudaStreamEndCapture(clock().stream, &graph));
  CUDA_CHECK(cudaGraphInstantiateWithFlags(&made, graph, 0));
  CUDA_CHECK(cudaGraphDestroy(graph));
  return made;
}

bool HasGraphs() {
  const cudaGraphExec_t graph = Capture([] {});
  if (graph) { CUDA_CHECK(cudaGraphExecDestroy(graph)); }
  return graph;
}

}  // namespace

void Begin(std::vector<Entry>* entries) {
  caffe::Caffe::SetDevice(Number());
  caffe::Caffe::set_mode(caffe::Caffe::GPU);
  auto loop = [](Problem* p) { return std::make_unique<Loop>(p); };
  int version = 0;
  CUBLAS_CHECK(cublasGetVersion(Handle(), &version));
  const std::string told = std::to_string(version);
  entries->push_back({"dense", "cuBLAS", told, true, loop});
  entries->push_back({"cublas_loop", "cuBLAS", told, false, loop});
  entries->push_back({"product", "Caffe", "", false, [](Problem* p) { return std::make_unique<Batched>(p); }});
  AddLayer(entries);
}

std::string Isa() {
  cudaDeviceProp about;
  CUDA_CHECK(cudaGetDeviceProperties(&about, Number()));
  return "sm_" + std::to_string(about.major) + std::to_string(about.minor);
}

std::string Device() {
  cudaDeviceProp about;
  CUDA_CHECK(cudaGetDeviceProperties(&about, Number()));
  std::ostringstream out;
  out << "\"isa\": \"" << Isa() << "\", \"device\": \"" << about.name << "\", \"memory\": " << about.totalGlobalMem
      << ", \"can_empty_cache\": 1, \"graphs\": " << HasGraphs();
  return out.str();
}

void SetState(const std::string& state) {
  CUBLAS_CHECK(cublasSetMathMode(Handle(), Has(state, "tf32") ? CUBLAS_TF32_TENSOR_OP_MATH : CUBLAS_DEFAULT_MATH));
}

Timing Measure(const Action& action, const std::function<std::vector<Span>()>&, const std::string& state,
               double seconds) {
  SetState(state);
  const cudaGraphExec_t graph = Has(state, "graph") ? Capture(action) : nullptr;
  CHECK(graph || !Has(state, "graph")) << "this device captures no graphs";
  const cudaStream_t stream = graph ? clock().stream : 0;
  const Action call = graph ? [graph, stream] { CUDA_CHECK(cudaGraphLaunch(graph, stream)); } : action;
  const bool cold = Has(state, "cold");
  auto one = [&] {
    if (cold) { clock().Flush(); }
    return clock().Time(call, stream);
  };
  Timing timing;
  const double first = std::max(one(), 1e-7);  // warms up
  double total = 0;
  if (cold) {
    for (; total < seconds && timing.calls < 1000; ++timing.calls) { total += one(); }
  } else {
    timing.calls = std::max(1L, std::lround(seconds / first));
    total = clock().Time([&] {
      for (long i = 0; i < timing.calls; ++i) { call(); }
    }, stream);
  }
  if (graph) { CUDA_CHECK(cudaGraphExecDestroy(graph)); }
  timing.seconds = total / timing.calls;
  return timing;
}

// The best of large products: what cuBLAS reaches, not what the card's data sheet says.
double PeakFlops(int) {
  SetState("warm");
  Problem problem;
  const int n = Large();
  problem.Set(n, n, n, 1);
  Loop product(&problem);
  double best = 0;
  for (int repeat = 0; repeat < 5; ++repeat) {
    const double took = clock().Time([&] { product.Forward(); }, 0);
    best = std::max(best, 2. * n * n * n / took);
  }
  return best;
}

// A copy on the device.
double Bandwidth(size_t bytes, int) {
  const Numbers from{Floats(bytes / 8)}, to{Floats(bytes / 8)};
  from.Zero();
  const int calls = std::min<size_t>(20, std::max<size_t>(1, (64u << 20) / bytes));
  double best = 0;
  for (int repeat = 0; repeat < 9; ++repeat) {
    const double took = clock().Time([&] {
      for (int i = 0; i < calls; ++i) {
        CUDA_CHECK(cudaMemcpyAsync(to.data(), from.data(), bytes / 2, cudaMemcpyDeviceToDevice, 0));
      }
    }, 0);
    best = std::max(best, 1. * calls * bytes / took);
  }
  return best;
}

}  // namespace bench
