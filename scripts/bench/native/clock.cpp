#include <time.h>

#include "bench.hpp"

namespace bench {

static clockid_t clock_id = CLOCK_THREAD_CPUTIME_ID;

double Seconds() {
  timespec t;
  clock_gettime(clock_id, &t);
  return t.tv_sec + 1e-9 * t.tv_nsec;
}

void UseThreads(int threads) {
  clock_id = threads > 1 ? CLOCK_MONOTONIC : CLOCK_THREAD_CPUTIME_ID;
}

}  // namespace bench
