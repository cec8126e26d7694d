// What one core can do at most: arithmetic in registers, and a scaled copy.
#include <algorithm>
#include <cstring>

#include "bench.hpp"

namespace bench {

typedef float V64 __attribute__((vector_size(64)));
typedef float V32 __attribute__((vector_size(32)));
typedef float V16 __attribute__((vector_size(16)));

// Chains: enough for two units of a latency of five cycles, few enough for 16 registers.
template <typename V>
static inline __attribute__((always_inline)) double Chains(int rounds) {
  enum { CHAINS = 12 };
  V sums[CHAINS], factor = {}, term = {};
  factor += 0.999f;
  term += 1e-3f;
  for (int i = 0; i < CHAINS; ++i) { sums[i] = term * static_cast<float>(i); }
  const double start = Seconds();
  for (int r = 0; r < rounds; ++r) {
#pragma GCC unroll 12
    for (int i = 0; i < CHAINS; ++i) { sums[i] = sums[i] * factor + term; }
  }
  V all = sums[0];
  for (int i = 1; i < CHAINS; ++i) { all += sums[i]; }
  const double end = Seconds();
  volatile float keep = all[0];
  (void)keep;
  return 2. * CHAINS * (sizeof(V) / sizeof(float)) * rounds / (end - start);
}

#ifdef __x86_64__
__attribute__((target("avx512f"))) static double Chains512(int rounds) { return Chains<V64>(rounds); }
__attribute__((target("avx2,fma"))) static double Chains256(int rounds) { return Chains<V32>(rounds); }
#endif
static double ChainsPlain(int rounds) { return Chains<V16>(rounds); }

std::string Isa() {
#ifdef __x86_64__
  __builtin_cpu_init();
  if (__builtin_cpu_supports("avx512f")) { return "AVX-512"; }
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) { return "AVX2"; }
  return "SSE2";
#else
  return "plain";
#endif
}

double PeakFlops() {
  double best = 0;
  for (int repeat = 0; repeat < 15; ++repeat) {
    const int rounds = 2000000;
    double flops = 0;
#ifdef __x86_64__
    const std::string isa = Isa();
    if (isa == "AVX-512") {
      flops = Chains512(rounds);
    } else if (isa == "AVX2") {
      flops = Chains256(rounds);
    } else {
      flops = ChainsPlain(rounds);
    }
#else
    flops = ChainsPlain(rounds);
#endif
    best = std::max(best, flops);
  }
  return best;
}

#ifdef __x86_64__
__attribute__((target_clones("arch=skylake-avx512", "arch=haswell", "default")))
#endif
static void Scale(const float* from, float* to, size_t count) {
  typedef float V __attribute__((vector_size(64)));
  for (size_t i = 0; i < count; i += 16) {
    V v;
    memcpy(&v, from + i, sizeof(v));
    v *= 1.5f;
    memcpy(to + i, &v, sizeof(v));
  }
}

double Bandwidth(size_t bytes) {
  const size_t count = bytes / 8 / 16 * 16;
  Floats from(count), to(count);
  from.Fill(1);
  to.Zero();
  const size_t calls = std::max<size_t>(1, (64u << 20) / bytes);
  double best = 0;
  for (int repeat = 0; repeat < 9; ++repeat) {
    const double start = Seconds();
    for (size_t i = 0; i < calls; ++i) { Scale(from.data(), to.data(), count); }
    best = std::max(best, 8. * count * calls / (Seconds() - start));
  }
  return best;
}

}  // namespace bench
