// The double's own test, one check a name: `selftest NAME` ends with 0 if the
// double computes what CUDA's documents promise. cuBLAS's products are compared
// with loops written here element by element from
//   C[i] = alpha op(A[i]) op(B[i]) + beta C[i],  column-major,
// so that neither a BLAS nor the layers' code is judge of itself.
#include <cublas_v2.h>
#include <cuda_runtime.h>
#include <curand.h>

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <map>
#include <random>
#include <string>
#include <vector>

#define REQUIRE(condition) \
  do { \
    if (!(condition)) { \
      fprintf(stderr, "line %d: %s\n", __LINE__, #condition); \
      exit(1); \
    } \
  } while (0)

static std::mt19937 generator(1);
static int pick(int low, int high) {
  return std::uniform_int_distribution<int>(low, high)(generator);
}

template <typename T>
static std::vector<T> numbers(size_t count) {
  std::vector<T> values(count);
  for (T& value : values) { value = pick(-8, 8); }  // sums of these are exact
  return values;
}
template <typename T>
static T* to_device(const std::vector<T>& values) {
  T* pointer;
  cudaMalloc(&pointer, values.size() * sizeof(T));
  cudaMemcpy(pointer, values.data(), values.size() * sizeof(T),
             cudaMemcpyHostToDevice);
  return pointer;
}
template <typename T>
static std::vector<T> to_host(const T* pointer, size_t count) {
  std::vector<T> values(count);
  cudaMemcpy(values.data(), pointer, count * sizeof(T), cudaMemcpyDeviceToHost);
  return values;
}

#define SELECT(name) \
  static auto name(float) { return cublasS##name; } \
  static auto name(double) { return cublasD##name; }
SELECT(gemm) SELECT(gemmStridedBatched) SELECT(gemmBatched)
#undef SELECT

// One random product of a random batch, in all three calls that cuBLAS has.
template <typename T>
static void one_product(cublasHandle_t handle) {
  const int m = pick(1, 5), n = pick(1, 5), k = pick(0, 5), batch = pick(1, 4);
  const bool ta = pick(0, 1), tb = pick(0, 1);
  const int rows_a = ta ? k : m, cols_a = ta ? m : k;
  const int rows_b = tb ? n : k, cols_b = tb ? k : n;
  const int lda = std::max(1, rows_a) + pick(0, 2);
  const int ldb = std::max(1, rows_b) + pick(0, 2);
  // Matrices C side by side in columns, or one below the other in rows.
  const bool below = pick(0, 1);
  const int ldc = below ? m * batch + pick(0, 2) : m + pick(0, 2);
  const long long sc = below ? m : ldc * n;  // NOLINT(runtime/int)
  const long long sa = pick(0, 2) * lda;  // NOLINT(runtime/int)
  const long long sb = pick(0, 2) * ldb;  // NOLINT(runtime/int)
  const T alpha = pick(-2, 2), beta = pick(-1, 1);
  const auto A = numbers<T>(sa * (batch - 1) + lda * std::max(1, cols_a));
  const auto B = numbers<T>(sb * (batch - 1) + ldb * std::max(1, cols_b));
  auto C = numbers<T>(sc * (batch - 1) + ldc * n);
  if (beta == 0) { C.assign(C.size(), NAN); }

  std::vector<T> expected = C;
  for (int i = 0; i < batch; ++i) {
    for (int row = 0; row < m; ++row) {
      for (int col = 0; col < n; ++col) {
        T sum = 0;
        for (int l = 0; l < k; ++l) {
          sum += A[i * sa + (ta ? l + row * lda : row + l * lda)] *
              B[i * sb + (tb ? col + l * ldb : l + col * ldb)];
        }
        T& c = expected[i * sc + row + col * ldc];
        c = alpha * sum + (beta == 0 ? 0 : beta * c);
      }
    }
  }
  const auto same = [&](const T* found) {
    const std::vector<T> values = to_host(found, C.size());
    for (size_t i = 0; i < C.size(); ++i) {
      REQUIRE(values[i] == expected[i] ||
              (std::isnan(values[i]) && std::isnan(expected[i])));
    }
  };
  const cublasOperation_t op_a = ta ? CUBLAS_OP_T : CUBLAS_OP_N;
  const cublasOperation_t op_b = tb ? CUBLAS_OP_T : CUBLAS_OP_N;
  T *const a = to_device(A), *const b = to_device(B);
  T* c = to_device(C);
  REQUIRE(gemmStridedBatched(T())(handle, op_a, op_b, m, n, k, &alpha, a, lda,
      sa, b, ldb, sb, &beta, c, ldc, sc, batch) == CUBLAS_STATUS_SUCCESS);
  same(c);
  c = to_device(C);
  std::vector<T*> pa, pb, pc;
  for (int i = 0; i < batch; ++i) {
    pa.push_back(a + i * sa);
    pb.push_back(b + i * sb);
    pc.push_back(c + i * sc);
  }
  REQUIRE(gemmBatched(T())(handle, op_a, op_b, m, n, k, &alpha, to_device(pa),
      lda, to_device(pb), ldb, &beta, to_device(pc), ldc, batch) ==
      CUBLAS_STATUS_SUCCESS);
  same(c);
  c = to_device(C);
  for (int i = 0; i < batch; ++i) {
    REQUIRE(gemm(T())(handle, op_a, op_b, m, n, k, &alpha, a + i * sa, lda,
        b + i * sb, ldb, &beta, c + i * sc, ldc) == CUBLAS_STATUS_SUCCESS);
  }
  same(c);
}
static void products() {
  cublasHandle_t handle;
  cublasCreate(&handle);
  for (int i = 0; i < 500; ++i) {
    one_product<float>(handle);
    one_product<double>(handle);
  }
}

// Every size and leading dimension that cuBLAS refuses, one at a time.
static void refused_sizes() {
  cublasHandle_t handle;
  cublasCreate(&handle);
  float* const x = to_device(numbers<float>(100));
  const float one = 1;
  const auto call = [&](bool ta, bool tb, int m, int n, int k, int lda, int ldb,
                        int ldc, int batch) {
    return cublasSgemmStridedBatched(handle, ta ? CUBLAS_OP_T : CUBLAS_OP_N,
        tb ? CUBLAS_OP_T : CUBLAS_OP_N, m, n, k, &one, x, lda, 0, x, ldb, 0,
        &one, x + 50, ldc, 20, batch);
  };
  const cublasStatus_t bad = CUBLAS_STATUS_INVALID_VALUE;
  REQUIRE(call(0, 0, 2, 3, 4, 2, 4, 2, 2) == CUBLAS_STATUS_SUCCESS);
  REQUIRE(call(0, 0, -1, 3, 4, 2, 4, 2, 2) == bad);
  REQUIRE(call(0, 0, 2, -1, 4, 2, 4, 2, 2) == bad);
  REQUIRE(call(0, 0, 2, 3, -1, 2, 4, 2, 2) == bad);
  REQUIRE(call(0, 0, 2, 3, 4, 1, 4, 2, 2) == bad);
  REQUIRE(call(1, 0, 2, 3, 4, 3, 4, 2, 2) == bad);
  REQUIRE(call(0, 0, 2, 3, 4, 2, 3, 2, 2) == bad);
  REQUIRE(call(0, 1, 2, 3, 4, 2, 2, 2, 2) == bad);
  REQUIRE(call(0, 0, 2, 3, 4, 2, 4, 1, 2) == bad);
  REQUIRE(call(0, 0, 2, 3, 4, 2, 4, 2, -1) == bad);
  REQUIRE(cublasSgemv(handle, CUBLAS_OP_N, 2, 2, &one, x, 1, x, 1, &one, x, 1)
          == bad);
  REQUIRE(cublasSgemv(handle, CUBLAS_OP_N, 2, 2, &one, x, 2, x, 0, &one, x, 1)
          == bad);
}

static void vectors() {
  cublasHandle_t handle;
  cublasCreate(&handle);
  const double two = 2, zero = 0;
  double* const A = to_device<double>({1, 2, 3, 4, 5, 6});  // 2 x 3
  double* const x = to_device<double>({1, -1, 2});
  double* const y = to_device<double>({1, 1, 1});
  double result;
  cublasDgemv(handle, CUBLAS_OP_N, 2, 3, &two, A, 2, x, 1, &zero, y, 1);
  REQUIRE((to_host(y, 3) == std::vector<double>{16, 20, 1}));
  cublasDaxpy(handle, 3, &two, x, 1, y, 1);
  REQUIRE((to_host(y, 3) == std::vector<double>{18, 18, 5}));
  cublasDdot(handle, 3, x, 1, y, 1, &result);
  REQUIRE(result == 10);
  cublasDasum(handle, 3, x, 1, &result);
  REQUIRE(result == 4);
  cublasDscal(handle, 3, &two, x, 1);
  cublasDcopy(handle, 2, x, 2, y, 1);
  REQUIRE((to_host(y, 3) == std::vector<double>{2, 4, 5}));
  cudaMemset(y, 0xFF, 8);  // NaN times 0 stays NaN, as on a GPU
  cublasDscal(handle, 1, &zero, y, 1);
  REQUIRE(std::isnan(to_host(y, 1)[0]));
}

// A sum over a block in shared memory, with a barrier in a loop: every thread
// keeps its own variables across many waits.
__global__ void BlockSums(const int* x, int* sums) {
  __shared__ int part[64];
  const int thread = threadIdx.x + blockDim.x * threadIdx.y;
  const int count = blockDim.x * blockDim.y;
  part[thread] = x[(blockIdx.x + gridDim.x * blockIdx.y) * count + thread];
  __syncthreads();
  for (int half = count / 2; half > 0; half /= 2) {
    if (thread < half) { part[thread] += part[thread + half]; }
    __syncthreads();
  }
  if (thread == 0) { sums[blockIdx.x + gridDim.x * blockIdx.y] = part[0]; }
}
static void barriers() {
  const std::vector<int> x = numbers<int>(6 * 64);
  int* const sums = to_device(std::vector<int>(6));
  BlockSums<<<dim3(3, 2), dim3(16, 4)>>>(to_device(x), sums);
  const std::vector<int> found = to_host(sums, 6);
  for (int block = 0; block < 6; ++block) {
    int sum = 0;
    for (int i = 0; i < 64; ++i) { sum += x[block * 64 + i]; }
    REQUIRE(found[block] == sum);
  }
}

__global__ void SharedIsFresh(int* stale) {
  __shared__ int value;
  if (value != -1) { atomicAdd(stale, 1); }  // all bits set: NaN as a float
  value = 0;
}
static void fresh_shared_memory() {
  int* const stale = to_device<int>({0});
  SharedIsFresh<<<4, 1>>>(stale);
  REQUIRE(to_host(stale, 1)[0] == 0);
}

// A structure with a pointer, and with padding that holds half of another.
struct Holder {
  int* x;
  int value;
};
__global__ void Store(Holder holder) { *holder.x = holder.value; }
static void structures() {
  Holder holder;
  int* const x = to_device<int>({0});
  memcpy(&holder, &x, sizeof(x));
  char* const far = reinterpret_cast<char*>(x) + (1LL << 32);
  memcpy(reinterpret_cast<char*>(&holder) + sizeof(x), &far, sizeof(far));
  holder.value = 5;
  Store<<<1, 1>>>(holder);
  REQUIRE(to_host(x, 1)[0] == 5);
}

// Forms of launches that the rewriter has to take; each adds to the result.
template <typename T, int kStep>
__global__ void Add(T* sum, T value) { atomicAdd(sum, value * kStep); }
template <typename T>
__global__ void AddDeduced(T* sum, T value) { *sum += value; }
__global__ void AddOneHundred(int* sum) { *sum += 100; }
#define LAUNCHING(name) \
  static void launch_##name(int* sum) { \
    /* a comment */ \
    name##OneHundred<<<1, \
                       1>>>( \
        sum); \
  }
LAUNCHING(Add)
static void forms_of_launches() {
  int* const sum = to_device<int>({0});
  cudaStream_t stream;
  cudaStreamCreate(&stream);
  Add<int, 1>  // NOLINT: a comment, even with <<< in it
      <<<1, 1>>>(sum, 1);
  Add<int, (4 > 3)> <<<dim3(1, 1), 1, 0, stream>>>(sum, 2);
  ::AddDeduced<<<1, 1>>>(sum, pick(4, 4));
  if (true) AddDeduced<int><<<1, 1>>>(sum, pick(8, 8));
  launch_Add(sum);
  REQUIRE(to_host(sum, 1)[0] == 115);
}

static void random_numbers() {
  const size_t n = 100000;
  curandGenerator_t first, second;
  curandCreateGenerator(&first, CURAND_RNG_PSEUDO_DEFAULT);
  curandCreateGenerator(&second, CURAND_RNG_PSEUDO_DEFAULT);
  float* const x = to_device(std::vector<float>(n));
  curandSetPseudoRandomGeneratorSeed(first, 7);
  curandGenerateUniform(first, x, n);
  const std::vector<float> draw = to_host(x, n);
  double mean = 0;
  for (float value : draw) {
    REQUIRE(value > 0 && value <= 1);
    mean += value / n;
  }
  REQUIRE(std::abs(mean - .5) < .005);
  curandSetPseudoRandomGeneratorSeed(second, 7);
  curandSetGeneratorOffset(second, 10);
  curandGenerateUniform(second, x, 5);
  REQUIRE(to_host(x, 5) == std::vector<float>(&draw[10], &draw[15]));
  curandSetPseudoRandomGeneratorSeed(second, 8);
  curandGenerateUniform(second, x, n);
  REQUIRE(to_host(x, n) != draw);
  double* const z = to_device(std::vector<double>(n));
  curandGenerateNormalDouble(first, z, n, 3, 2);
  double square = mean = 0;
  for (double value : to_host(z, n)) {
    mean += value / n;
    square += (value - 3) * (value - 3) / n;
  }
  REQUIRE(std::abs(mean - 3) < .05 && std::abs(square - 4) < .1);
}

int main(int argc, char** argv) {
#define CHECK(name) {#name, name}
  const std::map<std::string, std::function<void()>> checks = {
    CHECK(products), CHECK(refused_sizes), CHECK(vectors), CHECK(barriers),
    CHECK(fresh_shared_memory), CHECK(forms_of_launches), CHECK(random_numbers),
    CHECK(structures),
  };
  if (argc == 1) {
    for (const auto& check : checks) { puts(check.first.c_str()); }
    return 0;
  }
  checks.at(argv[1])();
  return 0;
}
