// The runtime calls of the test double: devices, memory, streams, events. A copy or a fill checks
// its pointers, and that the direction that the call names is the one it is given. There is one
// device, and every call has finished when it returns: a forgotten synchronization cannot show.
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "cuda_runtime.h"
#include "memory.hpp"

struct CUstream_st {};
struct CUevent_st {
  bool recorded;
  std::chrono::steady_clock::time_point time;
};

static thread_local cudaError_t last_error = cudaSuccess;
static cudaError_t result(cudaError_t error) {
  if (error != cudaSuccess) { last_error = error; }
  return error;
}
cudaError_t cudaPeekAtLastError() { return last_error; }
cudaError_t cudaGetLastError() { return std::exchange(last_error, cudaSuccess); }
const char* cudaGetErrorString(cudaError_t error) {
  return error == cudaErrorMemoryAllocation ? "out of memory" :
      error == cudaErrorInvalidDevice ? "invalid device ordinal" :
      error == cudaErrorInvalidResourceHandle ? "invalid resource handle" :
      error == cudaErrorNotSupported ? "operation not supported" : "no error";
}

cudaError_t cudaGetDeviceCount(int* count) { return *count = 1, cudaSuccess; }
cudaError_t cudaGetDevice(int* device) { return *device = 0, cudaSuccess; }
cudaError_t cudaSetDevice(int device) {
  return result(device == 0 ? cudaSuccess : cudaErrorInvalidDevice);
}
cudaError_t cudaGetDeviceProperties(cudaDeviceProp* prop, int device) {
  *prop = {"CUDA on the host (test double)", size_t{1} << 34, 48 << 10, 0x7FFFFFFF, 64 << 10, 512,
           65536, 32, 1024, 1, {1024, 1024, 64}, {0x7FFFFFFF, 65535, 65535}, 7, 0, 1};
  return result(device == 0 ? cudaSuccess : cudaErrorInvalidDevice);
}
cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attr, int device) {
  *value = attr == cudaDevAttrClockRate ? 1000000 :  // kHz
      attr == cudaDevAttrL2CacheSize ? 1 << 20 : 0;
  return result(device == 0 ? cudaSuccess : cudaErrorInvalidDevice);
}

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned) {
  return *stream = new CUstream_st(), cudaSuccess;
}
cudaError_t cudaStreamCreate(cudaStream_t* stream) { return cudaStreamCreateWithFlags(stream, 0); }
cudaError_t cudaStreamDestroy(cudaStream_t stream) { return delete stream, cudaSuccess; }
cudaError_t cudaStreamSynchronize(cudaStream_t) { return cudaSuccess; }
cudaError_t cudaEventCreate(cudaEvent_t* event) { return *event = new CUevent_st(), cudaSuccess; }
cudaError_t cudaEventDestroy(cudaEvent_t event) { return delete event, cudaSuccess; }
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t) {
  return *event = {true, std::chrono::steady_clock::now()}, cudaSuccess;
}
cudaError_t cudaEventSynchronize(cudaEvent_t) { return cudaSuccess; }
cudaError_t cudaEventElapsedTime(float* ms, cudaEvent_t start, cudaEvent_t end) {
  if (!start->recorded || !end->recorded) { return result(cudaErrorInvalidResourceHandle); }
  *ms = std::chrono::duration<float, std::milli>(end->time - start->time).count();
  return cudaSuccess;
}

static cudaError_t no_graphs() { return result(cudaErrorNotSupported); }
cudaError_t cudaStreamBeginCapture(cudaStream_t, cudaStreamCaptureMode) { return no_graphs(); }
cudaError_t cudaStreamEndCapture(cudaStream_t, cudaGraph_t*) { return no_graphs(); }
cudaError_t cudaGraphInstantiateWithFlags(cudaGraphExec_t*, cudaGraph_t, unsigned long long) {
  return no_graphs();
}
cudaError_t cudaGraphLaunch(cudaGraphExec_t, cudaStream_t) { return no_graphs(); }
cudaError_t cudaGraphDestroy(cudaGraph_t) { return no_graphs(); }
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t) { return no_graphs(); }

cudaError_t cudaMalloc(void** pointer, size_t size) {
  *pointer = size ? cuda_host::allocate(size) : nullptr;
  return result(size && !*pointer ? cudaErrorMemoryAllocation : cudaSuccess);
}
cudaError_t cudaFree(void* pointer) {
  if (pointer) { cuda_host::release(pointer); }
  return cudaSuccess;
}
cudaError_t cudaMallocHost(void** pointer, size_t size) {
  *pointer = malloc(size);
  return result(*pointer ? cudaSuccess : cudaErrorMemoryAllocation);
}
cudaError_t cudaFreeHost(void* pointer) {
  if (pointer) { cuda_host::host("cudaFreeHost", "the pointer", pointer); }
  return free(pointer), cudaSuccess;
}
cudaError_t cudaMemset(void* pointer, int value, size_t size) {
  if (size == 0) { return cudaSuccess; }
  memset(cuda_host::device("cudaMemset", "the destination", pointer, size), value, size);
  return cudaSuccess;
}
static cudaError_t copy(const char* call, void* to, const void* from, size_t size, int kind) {
  if (size == 0) { return cudaSuccess; }
  if (kind == cudaMemcpyDefault) {
    kind = 2 * cuda_host::is_device(from) + cuda_host::is_device(to);
  }
  if (kind & 1) { to = cuda_host::device(call, "the destination", to, size); }
  else { cuda_host::host(call, "the destination", to); }
  if (kind & 2) { from = cuda_host::device(call, "the source", from, size); }
  else { cuda_host::host(call, "the source", from); }
  return memmove(to, from, size), cudaSuccess;
}
cudaError_t cudaMemcpy(void* to, const void* from, size_t size, cudaMemcpyKind kind) {
  return copy("cudaMemcpy", to, from, size, kind);
}
cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t size, cudaMemcpyKind kind,
                            cudaStream_t) {
  return copy("cudaMemcpyAsync", to, from, size, kind);
}
