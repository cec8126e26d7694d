// cuRAND of the test double. Number i of a generator is a hash of its seed and i, so seeds and
// offsets repeat exactly; the distributions are right, the numbers are not cuRAND's. It shows a
// buffer that is too short or the host's, and an odd count of normal numbers, which cuRAND refuses.
#include "curand.h"

#include <cmath>
#include <cstdint>

#include "memory.hpp"

typedef curandStatus_t Status;
typedef unsigned long long Number;  // NOLINT(runtime/int)
struct curandGenerator_st { uint64_t seed, next; };
typedef curandGenerator_t Generator;

// The finalizer of SplitMix64 (Steele, Lea and Flood 2014).
static uint64_t bits(Generator g) {
  uint64_t z = (g->seed + 1) * 0xD1342543DE82EF95 + ++g->next * 0x9E3779B97F4A7C15;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
  return z ^ (z >> 31);
}
// In (0, 1], as cuRAND's.
static double uniform(Generator g) { return ((bits(g) >> 40) + 1) * 0x1p-24; }

template <typename T, typename Draw>
static Status fill(const char* call, T* out, size_t n, Draw draw) {
  if (n == 0) { return CURAND_STATUS_SUCCESS; }
  out = static_cast<T*>(cuda_host::device(call, "the output", out, n * sizeof(T)));
  for (size_t i = 0; i < n; ++i) { out[i] = draw(); }
  return CURAND_STATUS_SUCCESS;
}
template <typename T>
static Status normal(const char* call, Generator g, T* out, size_t n, T mean, T stddev) {
  if (n % 2) { return CURAND_STATUS_LENGTH_NOT_MULTIPLE; }
  return fill(call, out, n, [=] {  // Box and Muller 1958
    const double radius = std::sqrt(-2 * std::log(uniform(g)));
    return mean + stddev * radius * std::cos(2 * M_PI * uniform(g));
  });
}

Status curandCreateGenerator(Generator* g, curandRngType_t) {
  return *g = new curandGenerator_st(), CURAND_STATUS_SUCCESS;
}
Status curandDestroyGenerator(Generator g) { return delete g, CURAND_STATUS_SUCCESS; }
Status curandSetPseudoRandomGeneratorSeed(Generator g, Number seed) {
  return *g = {seed, 0}, CURAND_STATUS_SUCCESS;
}
Status curandSetGeneratorOffset(Generator g, Number offset) {
  return g->next = offset, CURAND_STATUS_SUCCESS;
}
Status curandGenerate(Generator g, unsigned* out, size_t n) {
  return fill("curandGenerate", out, n, [=] { return bits(g) >> 32; });
}
Status curandGenerateUniform(Generator g, float* out, size_t n) {
  return fill("curandGenerateUniform", out, n, [=] { return uniform(g); });
}
Status curandGenerateUniformDouble(Generator g, double* out, size_t n) {
  return fill("curandGenerateUniformDouble", out, n, [=] { return uniform(g); });
}
Status curandGenerateNormal(Generator g, float* out, size_t n, float mean, float stddev) {
  return normal("curandGenerateNormal", g, out, n, mean, stddev);
}
Status curandGenerateNormalDouble(Generator g, double* out, size_t n, double mean, double stddev) {
  return normal("curandGenerateNormalDouble", g, out, n, mean, stddev);
}
