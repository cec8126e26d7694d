// cuBLAS of the test double, written from NVIDIA's description of each call: column-major operands
// in device memory, cuBLAS's own refusals of sizes and leading dimensions (said on stderr, then
// returned as INVALID_VALUE), and a stop, naming the call and operand, where an operand leaves its
// allocation or the results of a batch overlap. It cannot show the order in which a GPU adds, TF32.
#include "cublas_v2.h"

#include <cblas.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <type_traits>
#include <utility>
#include <vector>

#include "memory.hpp"

struct cublasContext {
  cudaStream_t stream;
  cublasPointerMode_t mode;
};
typedef cublasHandle_t Handle;
typedef cublasOperation_t Op;
typedef cublasStatus_t Status;

Status cublasCreate(Handle* handle) { return *handle = new cublasContext(), CUBLAS_STATUS_SUCCESS; }
Status cublasDestroy(Handle handle) { return delete handle, CUBLAS_STATUS_SUCCESS; }
Status cublasSetStream(Handle handle, cudaStream_t stream) {
  return handle->stream = stream, CUBLAS_STATUS_SUCCESS;
}
Status cublasGetStream(Handle handle, cudaStream_t* stream) {
  return *stream = handle->stream, CUBLAS_STATUS_SUCCESS;
}
Status cublasGetVersion(Handle, int* version) { return *version = 0, CUBLAS_STATUS_SUCCESS; }
Status cublasSetMathMode(Handle, cublasMath_t) { return CUBLAS_STATUS_SUCCESS; }  // all is float
Status cublasSetPointerMode(Handle handle, cublasPointerMode_t mode) {
  return handle->mode = mode, CUBLAS_STATUS_SUCCESS;
}

namespace {

#define BLAS(name) /* blas_gemm<float> is cblas_sgemm, and so on */ \
template <typename T, typename... Args> \
auto blas_##name(Args... args) { \
  if constexpr (std::is_same_v<T, float>) { return cblas_s##name(args...); } \
  else { return cblas_d##name(args...); } \
}
BLAS(gemm) BLAS(gemv) BLAS(axpy) BLAS(copy) BLAS(dot) BLAS(asum)

CBLAS_TRANSPOSE blas(Op op) { return op == CUBLAS_OP_N ? CblasNoTrans : CblasTrans; }

// One call: its name, its handle, and whether cuBLAS would refuse it.
struct Call {
  const char* name;
  Handle handle;
  Status status;

  Call(const char* name, Handle handle) : name(name), handle(handle),
      status(handle ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_NOT_INITIALIZED) {}
  void at_least(const char* what, int value, int least) {
    if (value >= least) { return; }
    status = CUBLAS_STATUS_INVALID_VALUE;
    fprintf(stderr, "cuda_host: %s: %s is %d, less than %d\n", name, what, value, least);
  }
  // Operands: their storage, if all of it is there.
  template <typename T>
  T* elements(const char* what, T* pointer, size_t count) const {
    return static_cast<T*>(cuda_host::device(name, what, pointer, count * sizeof(T)));
  }
  template <typename T>
  T* vector(const char* what, T* pointer, int n, int inc) const {
    return elements(what, pointer, size_t{1} * (n - 1) * abs(inc) + 1);
  }
  template <typename T>
  T* matrix(const char* what, T* pointer, int rows, int cols, int ld) const {
    return elements(what, pointer, size_t{1} * (cols - 1) * ld + rows);
  }
  // alpha, beta or a result: on the host or the device, as the pointer mode says.
  template <typename T>
  T* scalar(const char* what, T* pointer) const {
    if (handle->mode == CUBLAS_POINTER_MODE_DEVICE) { return elements(what, pointer, 1); }
    return cuda_host::host(name, what, pointer), pointer;
  }
};

template <typename T>
struct Operands { const T *A, *B; T* C; };

// C[i] = alpha op(A[i]) op(B[i]) + beta C[i] for each i of the batch; `at` gives the three operands
// of one i, by their device addresses.
template <typename T, typename At>
Status gemm(Call call, Op ta, Op tb, int m, int n, int k, const T* alpha, int lda, int ldb,
            const T* beta, int ldc, int batch, At at) {
  call.at_least("m", m, 0);
  call.at_least("n", n, 0);
  call.at_least("k", k, 0);
  call.at_least("lda", lda, std::max(1, ta ? k : m));
  call.at_least("ldb", ldb, std::max(1, tb ? n : k));
  call.at_least("ldc", ldc, std::max(1, m));
  call.at_least("batchCount", batch, 0);
  if (call.status || !m || !n || !batch) { return call.status; }
  const T a = *call.scalar("alpha", alpha), b = *call.scalar("beta", beta);
  std::vector<std::pair<const T*, const T*>> columns;  // of all C, to compare
  for (int i = 0; i < batch; ++i) {
    auto [A, B, C] = at(i);
    C = call.matrix("C", C, m, n, ldc);
    if (k) {
      A = call.matrix("A", A, ta ? k : m, ta ? m : k, lda);
      B = call.matrix("B", B, tb ? n : k, tb ? k : n, ldb);
    }
    for (int j = 0; batch > 1 && j < n; ++j) {
      columns.emplace_back(C + size_t{1} * j * ldc, C + size_t{1} * j * ldc + m);
    }
    // BLAS does not read C where beta is 0, as cuBLAS promises.
    blas_gemm<T>(CblasColMajor, blas(ta), blas(tb), m, n, k, a, A, lda, B, ldb, b, C, ldc);
  }
  std::sort(columns.begin(), columns.end());
  for (size_t i = 1; i < columns.size(); ++i) {
    if (columns[i].first < columns[i - 1].second) {
      cuda_host::stop(call.name, "the matrices C of the batch overlap");
    }
  }
  return CUBLAS_STATUS_SUCCESS;
}

}  // namespace

#define BEGIN(S, name, nothing_to_do) \
  Call call("cublas" #S #name, handle); \
  if (call.status || (nothing_to_do)) { return call.status; }

#define DEFINE(S, T) \
Status cublas##S##gemm(Handle handle, Op ta, Op tb, int m, int n, int k, const T* alpha, \
    const T* A, int lda, const T* B, int ldb, const T* beta, T* C, int ldc) { \
  return gemm(Call("cublas" #S "gemm", handle), ta, tb, m, n, k, alpha, lda, ldb, beta, ldc, 1, \
              [=](int) { return Operands<T>{A, B, C}; }); \
} \
Status cublas##S##gemmStridedBatched(Handle handle, Op ta, Op tb, int m, int n, int k, \
    const T* alpha, const T* A, int lda, long long sa, const T* B, int ldb, long long sb, \
    const T* beta, T* C, int ldc, long long sc, int batch) { \
  return gemm(Call("cublas" #S "gemmStridedBatched", handle), ta, tb, m, n, k, alpha, lda, ldb, \
              beta, ldc, batch, \
              [=](int i) { return Operands<T>{A + i * sa, B + i * sb, C + i * sc}; }); \
} \
Status cublas##S##gemmBatched(Handle handle, Op ta, Op tb, int m, int n, int k, const T* alpha, \
    const T* const A[], int lda, const T* const B[], int ldb, const T* beta, T* const C[], \
    int ldc, int batch) { \
  const Call call("cublas" #S "gemmBatched", handle); \
  return gemm(call, ta, tb, m, n, k, alpha, lda, ldb, beta, ldc, batch, [&](int i) { \
    return Operands<T>{*call.elements("Aarray", A + i, 1), *call.elements("Barray", B + i, 1), \
                       *call.elements("Carray", C + i, 1)}; \
  }); \
} \
Status cublas##S##gemv(Handle handle, Op trans, int m, int n, const T* alpha, const T* A, int lda, \
    const T* x, int incx, const T* beta, T* y, int incy) { \
  Call call("cublas" #S "gemv", handle); \
  call.at_least("m", m, 0); \
  call.at_least("n", n, 0); \
  call.at_least("lda", lda, std::max(1, m)); \
  call.at_least("|incx|", abs(incx), 1); \
  call.at_least("|incy|", abs(incy), 1); \
  if (call.status || !m || !n) { return call.status; } \
  x = call.vector("x", x, trans ? m : n, incx); \
  y = call.vector("y", y, trans ? n : m, incy); \
  blas_gemv<T>(CblasColMajor, blas(trans), m, n, *call.scalar("alpha", alpha), \
               call.matrix("A", A, m, n, lda), lda, x, incx, *call.scalar("beta", beta), y, incy); \
  return call.status; \
} \
Status cublas##S##axpy(Handle handle, int n, const T* alpha, const T* x, int incx, T* y, \
    int incy) { \
  BEGIN(S, axpy, n <= 0) \
  blas_axpy<T>(n, *call.scalar("alpha", alpha), call.vector("x", x, n, incx), incx, \
               call.vector("y", y, n, incy), incy); \
  return call.status; \
} \
Status cublas##S##copy(Handle handle, int n, const T* x, int incx, T* y, int incy) { \
  BEGIN(S, copy, n <= 0) \
  blas_copy<T>(n, call.vector("x", x, n, incx), incx, call.vector("y", y, n, incy), incy); \
  return call.status; \
} \
/* A loop of its own: a BLAS may write 0 for 0 * NaN, and a GPU does not. */ \
Status cublas##S##scal(Handle handle, int n, const T* alpha, T* x, int incx) { \
  BEGIN(S, scal, n <= 0 || incx <= 0) \
  T* const to = call.vector("x", x, n, incx); \
  for (int i = 0; i < n; ++i) { to[size_t{1} * i * incx] *= *call.scalar("alpha", alpha); } \
  return call.status; \
} \
Status cublas##S##dot(Handle handle, int n, const T* x, int incx, const T* y, int incy, \
    T* result) { \
  BEGIN(S, dot, false) \
  *call.scalar("result", result) = n <= 0 ? 0 : \
      blas_dot<T>(n, call.vector("x", x, n, incx), incx, call.vector("y", y, n, incy), incy); \
  return call.status; \
} \
Status cublas##S##asum(Handle handle, int n, const T* x, int incx, T* result) { \
  BEGIN(S, asum, false) \
  *call.scalar("result", result) = n <= 0 || incx <= 0 ? 0 : \
      blas_asum<T>(n, call.vector("x", x, n, incx), incx); \
  return call.status; \
}
DEFINE(S, float)
DEFINE(D, double)
