// The CUDA runtime as a test double that runs on the CPU: what Caffe and the layers here use of
// <cuda_runtime.h>, under the same names.
//
// Shows: wrong pointers, bounds, sizes, launches, barriers, and the numbers that a kernel computes;
// what a GPU would refuse, or would read or write where it must not, stops the program and names
// itself. Cannot show: races, warps, memory order, a missing synchronization (every call has
// finished when it returns), a GPU's rounding or speed, a forgotten __device__ (nvcc -ptx shows
// that), code under __CUDA_ARCH__. A device pointer that a kernel reads from device memory is not
// translated: a kernel that follows it is stopped, though a GPU takes it.
#ifndef CUDA_HOST_CUDA_RUNTIME_H_
#define CUDA_HOST_CUDA_RUNTIME_H_

#include <math.h>  // NOLINT: puts the float overloads into the global namespace

#include <cstddef>
#include <cstring>
#include <tuple>
#include <type_traits>

#define CUDART_VERSION 13000

enum cudaError_t {
  cudaSuccess = 0, cudaErrorMemoryAllocation = 2, cudaErrorInvalidDevice = 101,
  cudaErrorInvalidResourceHandle = 400, cudaErrorNotSupported = 801,
};
const char* cudaGetErrorString(cudaError_t error);
cudaError_t cudaGetLastError();
cudaError_t cudaPeekAtLastError();

// CUDA 13's fields: clockRate, deviceOverlap and kernelExecTimeoutEnabled are attributes there.
struct cudaDeviceProp {
  char name[256];
  size_t totalGlobalMem, sharedMemPerBlock, memPitch, totalConstMem, textureAlignment;
  int regsPerBlock, warpSize, maxThreadsPerBlock, multiProcessorCount;
  int maxThreadsDim[3], maxGridSize[3], major, minor, unifiedAddressing;
};
enum cudaDeviceAttr {
  cudaDevAttrClockRate = 13, cudaDevAttrGpuOverlap = 15, cudaDevAttrKernelExecTimeout = 17,
  cudaDevAttrL2CacheSize = 38,
};
cudaError_t cudaGetDeviceCount(int* count);
cudaError_t cudaGetDevice(int* device);
cudaError_t cudaSetDevice(int device);
cudaError_t cudaGetDeviceProperties(cudaDeviceProp* prop, int device);
cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attr, int device);

typedef struct CUstream_st* cudaStream_t;
typedef struct CUevent_st* cudaEvent_t;
enum { cudaStreamDefault = 0, cudaStreamNonBlocking = 1 };
cudaError_t cudaStreamCreate(cudaStream_t* stream);
cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned flags);
cudaError_t cudaStreamDestroy(cudaStream_t stream);
cudaError_t cudaStreamSynchronize(cudaStream_t stream);
cudaError_t cudaEventCreate(cudaEvent_t* event);
cudaError_t cudaEventDestroy(cudaEvent_t event);
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream = 0);
cudaError_t cudaEventSynchronize(cudaEvent_t event);
cudaError_t cudaEventElapsedTime(float* ms, cudaEvent_t start, cudaEvent_t end);

// There are no graphs: a capture is refused, as by a device that has none.
typedef struct CUgraph_st* cudaGraph_t;
typedef struct CUgraphExec_st* cudaGraphExec_t;
enum cudaStreamCaptureMode { cudaStreamCaptureModeGlobal, cudaStreamCaptureModeThreadLocal };
cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode mode);
cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* graph);
cudaError_t cudaGraphInstantiateWithFlags(cudaGraphExec_t* made, cudaGraph_t graph,
                                          unsigned long long flags = 0);
cudaError_t cudaGraphLaunch(cudaGraphExec_t graph, cudaStream_t stream);
cudaError_t cudaGraphDestroy(cudaGraph_t graph);
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t graph);

enum cudaMemcpyKind {  // bit 0: to the device, bit 1: from it
  cudaMemcpyHostToHost, cudaMemcpyHostToDevice, cudaMemcpyDeviceToHost, cudaMemcpyDeviceToDevice,
  cudaMemcpyDefault,
};
cudaError_t cudaMalloc(void** pointer, size_t size);
template <typename T>
inline cudaError_t cudaMalloc(T** pointer, size_t size) {
  return cudaMalloc(reinterpret_cast<void**>(pointer), size);
}
cudaError_t cudaFree(void* pointer);
cudaError_t cudaMallocHost(void** pointer, size_t size);
cudaError_t cudaFreeHost(void* pointer);
cudaError_t cudaMemset(void* pointer, int value, size_t size);
cudaError_t cudaMemcpy(void* to, const void* from, size_t size, cudaMemcpyKind kind);
cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t size, cudaMemcpyKind kind,
                            cudaStream_t stream = 0);

struct uint3 { unsigned x, y, z; };
struct dim3 {
  unsigned x, y, z;
  dim3(unsigned x = 1, unsigned y = 1, unsigned z = 1) : x(x), y(y), z(z) {}
};

// Functions that several .cu files define under one name (Caffe's LSTM and sigmoid layers do) are
// separate programs for nvcc; inlined, they stay so here.
#define __device__ __attribute__((always_inline))
#define __host__
// A kernel keeps its symbol: a file may launch what another defines.
#define __global__ __attribute__((noinline, used))
// One block runs at a time. The rewriter adds a call that fills it with NaN in each block.
#define __shared__ static

namespace cuda_host {

extern __thread uint3 thread_index, block_index, block_dim, grid_dim;

struct Config {
  // Without dynamic shared memory: a kernel that declares some is stopped by the rewriter.
  Config(dim3 grid, dim3 block, size_t = 0, cudaStream_t = 0) : grid(grid), block(block) {}
  dim3 grid, block;
};

// The storage of a kernel's pointer argument, counted from 1: stops unless it is null or lies in a
// living allocation. Does the same to the pointers in a structure.
void* kernel_argument(const char* kernel, int index, const void* pointer);
void kernel_structure(const char* kernel, int index, void* structure, size_t size);
// Calls `body(context)` once for each thread of the grid.
void run_grid(const char* kernel, const char* file, int line, const Config& config,
              void (*body)(void*), void* context);
void barrier(int line);
void fresh_shared(void* variable, size_t size);

template <typename T>
T translate(const char* kernel, int index, T argument) {
  if (std::is_class<T>::value) { kernel_structure(kernel, index, &argument, sizeof(T)); }
  return argument;
}
template <typename T>
T* translate(const char* kernel, int index, T* argument) {
  return static_cast<T*>(kernel_argument(kernel, index, argument));
}

// What `kernel<<<config>>>(arguments)` becomes. `call` is a generic lambda around the kernel's
// call, which so may deduce template arguments.
template <typename Call, typename... Args>
void launch(const char* kernel, const char* file, int line, const Config& config, Call call,
            Args... args) {
  int index = 0;
  const auto next = [&] { return ++index; };
  std::tuple<Args...> translated{translate(kernel, next(), args)...};
  auto once = [&] { std::apply(call, translated); };
  run_grid(kernel, file, line, config,
           [](void* context) { (*static_cast<decltype(once)*>(context))(); }, &once);
}

}  // namespace cuda_host

#define CUDA_HOST_NAME_(...) #__VA_ARGS__
#define CUDA_HOST_NAME(...) CUDA_HOST_NAME_(__VA_ARGS__)

#ifdef __CUDACC__  // what nvcc adds to a .cu file
#define threadIdx (cuda_host::thread_index)
#define blockIdx (cuda_host::block_index)
#define blockDim (cuda_host::block_dim)
#define gridDim (cuda_host::grid_dim)
#define __syncthreads() cuda_host::barrier(__LINE__)

// The result's type is that of C's usual conversions, as CUDA has it.
template <typename A, typename B>
inline std::common_type_t<A, B> min(A a, B b) { return b < a ? b : a; }
template <typename A, typename B>
inline std::common_type_t<A, B> max(A a, B b) { return a < b ? b : a; }

// Threads run one after the other, so these are plain. The type is the address's alone, so that a
// literal converts as it does in CUDA.
template <typename T>
inline T atomicAdd(T* address, std::common_type_t<T> value) {
  const T old = *address;
  *address = old + value;
  return old;
}
template <typename T>
inline T atomicCAS(T* address, std::common_type_t<T> compare, std::common_type_t<T> value) {
  const T old = *address;
  if (old == compare) { *address = value; }
  return old;
}

template <typename To, typename From>
inline To cuda_host_bits(From from) {
  To to;
  memcpy(&to, &from, sizeof(to));
  return to;
}
inline long long __double_as_longlong(double x) { return cuda_host_bits<long long>(x); }
inline double __longlong_as_double(long long x) { return cuda_host_bits<double>(x); }
#endif  // __CUDACC__

#endif  // CUDA_HOST_CUDA_RUNTIME_H_
