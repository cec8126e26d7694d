// What cores can do at most: arithmetic in registers, and a scaled copy.
#include <algorithm>
#include <chrono>
#include <cstring>
#include <thread>

#include "bench.hpp"
#include "caffe/util/target_clones.hpp"

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
  for (int r = 0; r < rounds; ++r) {
#pragma GCC unroll 12
    for (int i = 0; i < CHAINS; ++i) { sums[i] = sums[i] * factor + term; }
  }
  V all = sums[0];
  for (int i = 1; i < CHAINS; ++i) { all += sums[i]; }
  volatile float keep = all[0];
  (void)keep;
  return 2. * CHAINS * (sizeof(V) / sizeof(float)) * rounds;
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

// Multiplications and additions done.
static double Arithmetic(int rounds) {
#ifdef __x86_64__
  const std::string isa = Isa();
  if (isa == "AVX-512") { return Chains512(rounds); }
  if (isa == "AVX2") { return Chains256(rounds); }
#endif
  return ChainsPlain(rounds);
}

// What all cores together do in a second, the best of some repeats: one core by the clock of all timings, more
// by the time of day from the first's start to the last's end. work(core) returns how much it did.
static double Rate(int cores, int repeats, const std::function<double(int)>& work) {
  typedef std::chrono::steady_clock Clock;
  double best = 0;
  for (int repeat = 0; repeat < repeats; ++repeat) {
    if (cores == 1) {
      const double start = Seconds();
      const double done = work(0);
      best = std::max(best, done / (Seconds() - start));
      continue;
    }
    std::vector<Clock::time_point> begins(cores), ends(cores);
    std::vector<double> done(cores);
    std::vector<std::thread> threads;
    for (int core = 0; core < cores; ++core) {
      threads.emplace_back([&, core] {
        begins[core] = Clock::now();
        done[core] = work(core);
        ends[core] = Clock::now();
      });
    }
    double sum = 0;
    for (int core = 0; core < cores; ++core) {
      threads[core].join();
      sum += done[core];
    }
    const std::chrono::duration<double> passed =
        *std::max_element(ends.begin(), ends.end()) - *std::min_element(begins.begin(), begins.end());
    best = std::max(best, sum / passed.count());
  }
  return best;
}

double PeakFlops(int cores) {
  return Rate(cores, 15, [](int) { return Arithmetic(2000000); });
}

CAFFE_TARGET_CLONES
static void Scale(const float* from, float* to, size_t count) {
  typedef float V __attribute__((vector_size(64)));
  for (size_t i = 0; i < count; i += 16) {
    V v;
    memcpy(&v, from + i, sizeof(v));
    v *= 1.5f;
    memcpy(to + i, &v, sizeof(v));
  }
}

double Bandwidth(size_t bytes, int cores) {
  const size_t count = bytes / cores / 8 / 16 * 16;
  std::vector<std::unique_ptr<Floats>> from, to;
  for (int core = 0; core < cores; ++core) {
    from.push_back(std::make_unique<Floats>(count));
    to.push_back(std::make_unique<Floats>(count));
    from.back()->Fill(1);
    to.back()->Zero();
  }
  const size_t calls = std::max<size_t>(1, (64u << 20) / bytes);
  return Rate(cores, 9, [&](int core) {
    for (size_t i = 0; i < calls; ++i) { Scale(from[core]->data(), to[core]->data(), count); }
    return 8. * count * calls;
  });
}

}  // namespace bench
