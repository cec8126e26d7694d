// Planted faults: `planted FAULT right|wrong` runs a small piece of GPU code as
// it should be, or with one mistake in it. Right has to end with 0; wrong has to
// end in the way that tests/test_cuda_host.py states for it, by the double's
// stop or by a result that differs ("differs from"). A fault that the double
// cannot show (a missing atomic, a forgotten __device__) has no place here.
#include <cublas_v2.h>
#include <cuda_runtime.h>
#include <curand.h>

#include <cstdio>
#include <cstdlib>
#include <functional>
#include <map>
#include <string>
#include <vector>

typedef std::vector<float> Floats;

// The mistake is made where this is true.
static bool wrong;

static void check(cublasStatus_t status) {
  if (status != CUBLAS_STATUS_SUCCESS) {
    fprintf(stderr, "cuBLAS status %d\n", status);
    exit(1);
  }
}

static void expect(const Floats& found, const Floats& expected) {
  for (size_t i = 0; i < expected.size(); ++i) {
    if (!(found[i] == expected[i])) {  // also for NaN
      fprintf(stderr, "element %zu is %g and differs from %g\n", i, found[i],
              expected[i]);
      exit(1);
    }
  }
}

// Device memory with these numbers, and with none written to it.
static float* device(const Floats& values) {
  float* pointer;
  cudaMalloc(&pointer, values.size() * sizeof(float));
  cudaMemcpy(pointer, values.data(), values.size() * sizeof(float),
             cudaMemcpyHostToDevice);
  return pointer;
}
static float* device(size_t count) {
  float* pointer;
  cudaMalloc(&pointer, count * sizeof(float));
  return pointer;
}
static Floats host(const float* pointer, size_t count) {
  Floats values(count);
  cudaMemcpy(values.data(), pointer, count * sizeof(float),
             cudaMemcpyDeviceToHost);
  return values;
}

__global__ void AddOne(const int n, const float* x, float* y) {
  for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n;
       i += blockDim.x * gridDim.x) {
    y[i] = x[i] + 1;
  }
}

static void host_pointer_to_kernel() {
  const Floats kept = {1, 2, 3};
  float* const x = device(kept);
  float* const y = device(3);
  AddOne<<<1, 32>>>(3, wrong ? kept.data() : x, y);
  expect(host(y, 3), {2, 3, 4});
}

void host_reads_device() {
  float* const x = device(Floats{5});
  const float value = wrong ? x[0] : host(x, 1)[0];
  expect({value}, {5});
}

void host_writes_device() {
  float* const x = device(Floats{5});
  if (wrong) { x[0] = 6; }
}

static void host_past_memcpy() {
  float* const x = device(3);
  const Floats kept(4);
  cudaMemcpy(x, kept.data(), (wrong ? 4 : 3) * sizeof(float),
             cudaMemcpyHostToDevice);
}

static void wrong_direction() {
  float* const x = device(3);
  Floats kept(3);
  cudaMemcpy(kept.data(), x, 3 * sizeof(float),
             wrong ? cudaMemcpyHostToDevice : cudaMemcpyDeviceToHost);
}

static void loop_one_too_far() {
  float* const x = device(Floats{1, 2, 3});
  float* const y = device(3);
  AddOne<<<1, 32>>>(wrong ? 4 : 3, x, y);
  expect(host(y, 3), {2, 3, 4});
}

__global__ void WriteAt(float* x, int i) { x[i] = 1; }
static void write_before_start() {
  float* const x = device(3);
  WriteAt<<<1, 1>>>(x, wrong ? -1 : 0);
  cudaFree(x);
}

static void use_after_free() {
  float* const x = device(Floats{1});
  float* const y = device(1);
  if (wrong) { cudaFree(x); }
  AddOne<<<1, 32>>>(1, x, y);
  expect(host(y, 1), {2});
}

static void freed_twice() {
  float* const x = device(1);
  cudaFree(x);
  if (wrong) { cudaFree(x); }
}

static void memory_not_set() {
  float* const x = device(1);
  float* const y = device(1);
  if (!wrong) { cudaMemset(x, 0, sizeof(float)); }
  AddOne<<<1, 32>>>(1, x, y);
  expect(host(y, 1), {1});
}

static void empty_launch() {
  float* const x = device(Floats{1});
  float* const y = device(1);
  const int n = wrong ? 0 : 1;
  AddOne<<<(n + 31) / 32, 32>>>(n, x, y);
}

static void too_many_threads() {
  float* const x = device(Floats{1});
  float* const y = device(1);
  AddOne<<<1, wrong ? 1025 : 1024>>>(1, x, y);
}

static void null_to_kernel() {
  float* const x = device(Floats{1});
  float* const y = device(1);
  float* const null = nullptr;
  AddOne<<<1, 32>>>(1, wrong ? null : x, y);
}

struct Holder {
  int i;
  float* x;
};
__global__ void Held(Holder holder) { holder.x[holder.i] = 1; }
static void host_pointer_in_struct() {
  Floats kept(3);
  float* const x = device(3);
  Held<<<1, 1>>>(Holder{2, wrong ? kept.data() : x});
  expect({host(x, 3)[2]}, {1});
}

__global__ void Followed(float** list, float* x) { *(list ? *list : x) = 1; }
static void pointer_in_device_memory() {
  float* const x = device(1);
  float** list;
  cudaMalloc(&list, sizeof(x));
  cudaMemcpy(list, &x, sizeof(x), cudaMemcpyHostToDevice);
  Followed<<<1, 1>>>(wrong ? list : nullptr, x);
}

// Reverses 64 numbers through shared memory.
__global__ void Reverse(float* x, bool wait) {
  __shared__ float copy[64];
  copy[threadIdx.x] = x[threadIdx.x];
  if (wait) { __syncthreads(); }
  x[threadIdx.x] = copy[63 - threadIdx.x];
}
static void missing_barrier() {
  Floats numbers(64), reversed(64);
  for (int i = 0; i < 64; ++i) { reversed[63 - i] = numbers[i] = i + 1; }
  float* const x = device(numbers);
  Reverse<<<1, 64>>>(x, !wrong);
  expect(host(x, 64), reversed);
}

__global__ void PartlyWaits(float* x, unsigned count) {
  if (threadIdx.x < count) { __syncthreads(); }
  x[threadIdx.x] = 1;
}
static void barrier_of_some() {
  float* const x = device(64);
  PartlyWaits<<<1, 64>>>(x, wrong ? 32 : 64);
}

__global__ void Last(float* x, bool only_last) {
  if (!only_last || threadIdx.x == 31) { *x = only_last ? 31 : threadIdx.x; }
}
static void depends_on_order() {  // shows with CUDA_HOST_ORDER=reversed
  float* const x = device(1);
  Last<<<1, 32>>>(x, !wrong);
  expect(host(x, 1), {31});
}

// A is 2 x 3 and B 3 x 2, column-major.
static const Floats kA = {1, 4, 2, 5, 3, 6}, kB = {7, 9, 11, 8, 10, 12};
static const float kOne = 1, kZero = 0;

static void host_pointer_to_gemm() {
  cublasHandle_t handle;
  cublasCreate(&handle);
  float* const A = device(kA);
  float* const B = device(kB);
  float* const C = device(4);
  check(cublasSgemm(handle, CUBLAS_OP_N, CUBLAS_OP_N, 2, 2, 3, &kOne,
                    wrong ? kA.data() : A, 2, B, 3, &kZero, C, 2));
  expect(host(C, 4), {58, 139, 64, 154});
}

static void wrong_transpose() {  // of a square matrix: every size is right
  cublasHandle_t handle;
  cublasCreate(&handle);
  float* const A = device(Floats{1, 2, 3, 4});
  float* const x = device(Floats{1, 1});
  float* const y = device(2);
  check(cublasSgemm(handle, wrong ? CUBLAS_OP_T : CUBLAS_OP_N, CUBLAS_OP_N, 2,
                    1, 2, &kOne, A, 2, x, 2, &kZero, y, 2));
  expect(host(y, 2), {4, 6});
}

static void wrong_leading_dimension() {
  cublasHandle_t handle;
  cublasCreate(&handle);
  float* const A = device(kA);
  float* const B = device(kB);
  float* const C = device(4);
  check(cublasSgemm(handle, CUBLAS_OP_N, CUBLAS_OP_N, 2, 2, 3, &kOne, A, 2, B,
                    wrong ? 2 : 3, &kZero, C, 2));
}

// Two products of 1 x 2 and 2 x 1 in one batch.
static Floats strided(long long stride_a, long long stride_c) {
  cublasHandle_t handle;
  cublasCreate(&handle);
  float* const A = device(Floats{1, 2, 3, 4});
  float* const B = device(Floats{1, 1, 10, 10});
  float* const C = device(2);
  check(cublasSgemmStridedBatched(handle, CUBLAS_OP_N, CUBLAS_OP_N, 1, 1, 2,
                                  &kOne, A, 1, stride_a, B, 2, 2, &kZero, C, 1,
                                  stride_c, 2));
  return host(C, 2);
}
static void wrong_stride() { expect(strided(wrong ? 1 : 2, 1), {3, 70}); }
static void stride_past_end() { expect(strided(wrong ? 3 : 2, 1), {3, 70}); }
static void overlapping_batch() { expect(strided(2, wrong ? 0 : 1), {3, 70}); }

static void host_array_to_batched() {
  cublasHandle_t handle;
  cublasCreate(&handle);
  float* const A = device(Floats{2});
  float* const B = device(Floats{3});
  float* const C = device(1);
  float* list[] = {A, B, C};
  float** array;
  cudaMalloc(&array, sizeof(list));
  cudaMemcpy(array, list, sizeof(list), cudaMemcpyHostToDevice);
  float** const p = wrong ? list : array;
  check(cublasSgemmBatched(handle, CUBLAS_OP_N, CUBLAS_OP_N, 1, 1, 1, &kOne, p,
                           1, p + 1, 1, &kZero, p + 2, 1, 1));
  expect(host(C, 1), {6});
}

static void host_pointer_in_array() {
  cublasHandle_t handle;
  cublasCreate(&handle);
  Floats b = {3};
  float* const A = device(Floats{2});
  float* const B = device(b);
  float* const C = device(1);
  float* list[] = {A, wrong ? b.data() : B, C};
  float** p;
  cudaMalloc(&p, sizeof(list));
  cudaMemcpy(p, list, sizeof(list), cudaMemcpyHostToDevice);
  check(cublasSgemmBatched(handle, CUBLAS_OP_N, CUBLAS_OP_N, 1, 1, 1, &kOne, p,
                           1, p + 1, 1, &kZero, p + 2, 1, 1));
}

static void device_alpha() {
  cublasHandle_t handle;
  cublasCreate(&handle);
  float* const alpha = device(Floats{2});
  float* const x = device(Floats{3});
  if (!wrong) { cublasSetPointerMode(handle, CUBLAS_POINTER_MODE_DEVICE); }
  check(cublasSscal(handle, 1, alpha, x, 1));
  expect(host(x, 1), {6});
}

static void odd_normal_count() {
  curandGenerator_t generator;
  curandCreateGenerator(&generator, CURAND_RNG_PSEUDO_DEFAULT);
  float* const x = device(4);
  const int n = wrong ? 3 : 4;
  if (curandGenerateNormal(generator, x, n, 0, 1) != CURAND_STATUS_SUCCESS) {
    fprintf(stderr, "cuRAND refuses %d normal numbers\n", n);
    exit(1);
  }
}

int main(int argc, char** argv) {
#define FAULT(name) {#name, name}
  const std::map<std::string, std::function<void()>> faults = {
    FAULT(host_pointer_to_kernel), FAULT(host_reads_device),
    FAULT(host_writes_device), FAULT(host_past_memcpy), FAULT(wrong_direction),
    FAULT(loop_one_too_far), FAULT(write_before_start), FAULT(use_after_free),
    FAULT(freed_twice), FAULT(memory_not_set), FAULT(empty_launch),
    FAULT(too_many_threads), FAULT(null_to_kernel),
    FAULT(host_pointer_in_struct), FAULT(pointer_in_device_memory),
    FAULT(missing_barrier), FAULT(barrier_of_some), FAULT(depends_on_order),
    FAULT(host_pointer_to_gemm), FAULT(wrong_transpose),
    FAULT(wrong_leading_dimension), FAULT(wrong_stride),
    FAULT(stride_past_end), FAULT(overlapping_batch),
    FAULT(host_array_to_batched), FAULT(host_pointer_in_array),
    FAULT(device_alpha), FAULT(odd_normal_count),
  };
  if (argc == 1) {  // the names, so that the table can be compared with them
    for (const auto& fault : faults) { puts(fault.first.c_str()); }
    return 0;
  }
  wrong = std::string(argv[2]) == "wrong";
  faults.at(argv[1])();
  return 0;
}
