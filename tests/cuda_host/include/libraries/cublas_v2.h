// cuBLAS as a test double on the CPU: the functions that Caffe and the layers here call, with
// NVIDIA's signatures. It shows wrong operands, sizes, strides and transposes (src/cublas.cpp says
// how), not the order of a GPU's sums, its TF32 or its speed. It needs only <cuda_runtime.h>, the
// double's or NVIDIA's: nvcc -ptx takes it with the latter where a toolkit has no cuBLAS.
#ifndef CUDA_HOST_CUBLAS_V2_H_
#define CUDA_HOST_CUBLAS_V2_H_

#include <cuda_runtime.h>

enum cublasStatus_t {
  CUBLAS_STATUS_SUCCESS = 0, CUBLAS_STATUS_NOT_INITIALIZED = 1, CUBLAS_STATUS_ALLOC_FAILED = 3,
  CUBLAS_STATUS_INVALID_VALUE = 7, CUBLAS_STATUS_ARCH_MISMATCH = 8,
  CUBLAS_STATUS_MAPPING_ERROR = 11, CUBLAS_STATUS_EXECUTION_FAILED = 13,
  CUBLAS_STATUS_INTERNAL_ERROR = 14, CUBLAS_STATUS_NOT_SUPPORTED = 15,
  CUBLAS_STATUS_LICENSE_ERROR = 16,
};
enum cublasOperation_t { CUBLAS_OP_N, CUBLAS_OP_T, CUBLAS_OP_C };
enum cublasPointerMode_t { CUBLAS_POINTER_MODE_HOST, CUBLAS_POINTER_MODE_DEVICE };
enum cublasMath_t { CUBLAS_DEFAULT_MATH = 0, CUBLAS_TF32_TENSOR_OP_MATH = 3 };
typedef struct cublasContext* cublasHandle_t;

cublasStatus_t cublasCreate(cublasHandle_t* handle);
cublasStatus_t cublasDestroy(cublasHandle_t handle);
cublasStatus_t cublasSetStream(cublasHandle_t handle, cudaStream_t stream);
cublasStatus_t cublasGetStream(cublasHandle_t handle, cudaStream_t* stream);
cublasStatus_t cublasGetVersion(cublasHandle_t handle, int* version);
cublasStatus_t cublasSetMathMode(cublasHandle_t handle, cublasMath_t mode);
cublasStatus_t cublasSetPointerMode(cublasHandle_t handle, cublasPointerMode_t mode);

// The same functions for float (S) and double (D).
#define CUDA_HOST_CUBLAS(S, T) \
cublasStatus_t cublas##S##gemm(cublasHandle_t handle, cublasOperation_t transa, \
    cublasOperation_t transb, int m, int n, int k, const T* alpha, const T* A, int lda, \
    const T* B, int ldb, const T* beta, T* C, int ldc); \
cublasStatus_t cublas##S##gemmStridedBatched(cublasHandle_t handle, cublasOperation_t transa, \
    cublasOperation_t transb, int m, int n, int k, const T* alpha, const T* A, int lda, \
    long long strideA, const T* B, int ldb, long long strideB, const T* beta, T* C, int ldc, \
    long long strideC, int batchCount); \
cublasStatus_t cublas##S##gemmBatched(cublasHandle_t handle, cublasOperation_t transa, \
    cublasOperation_t transb, int m, int n, int k, const T* alpha, const T* const Aarray[], \
    int lda, const T* const Barray[], int ldb, const T* beta, T* const Carray[], int ldc, \
    int batchCount); \
cublasStatus_t cublas##S##gemv(cublasHandle_t handle, cublasOperation_t trans, int m, int n, \
    const T* alpha, const T* A, int lda, const T* x, int incx, const T* beta, T* y, int incy); \
cublasStatus_t cublas##S##axpy(cublasHandle_t handle, int n, const T* alpha, const T* x, int incx, \
    T* y, int incy); \
cublasStatus_t cublas##S##copy(cublasHandle_t handle, int n, const T* x, int incx, T* y, \
    int incy); \
cublasStatus_t cublas##S##scal(cublasHandle_t handle, int n, const T* alpha, T* x, int incx); \
cublasStatus_t cublas##S##dot(cublasHandle_t handle, int n, const T* x, int incx, const T* y, \
    int incy, T* result); \
cublasStatus_t cublas##S##asum(cublasHandle_t handle, int n, const T* x, int incx, T* result);
CUDA_HOST_CUBLAS(S, float)
CUDA_HOST_CUBLAS(D, double)
#undef CUDA_HOST_CUBLAS

#endif  // CUDA_HOST_CUBLAS_V2_H_
