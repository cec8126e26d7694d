// Methods, states and timing on a CPU.
#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <sstream>

#include "bench.hpp"
#include "caffe/common.hpp"

namespace bench {

void Begin(std::vector<Entry>* entries) {
  const char* threads = std::getenv("OMP_NUM_THREADS");
  UseThreads(threads ? std::atoi(threads) : 2);
  caffe::Caffe::set_mode(caffe::Caffe::CPU);
  AddProducts(entries);
  AddOneDnn(entries);
  AddLayer(entries);
  AddLibxsmm(entries);
}

std::string Device() {
  std::ostringstream out;
  out << "\"isa\": \"" << Isa() << "\", \"can_empty_cache\": " << CanEmptyCache();
  return out.str();
}

void SetState(const std::string&) {}

Timing Measure(const Action& action, const std::function<std::vector<Span>()>& touched, const std::string& state,
               double seconds) {
  const bool cold = state == "cold";
  const std::vector<Span> spans = cold && touched ? touched() : std::vector<Span>();
  auto one = [&] {
    for (const Span& span : spans) { EmptyCache(span.data, span.bytes); }
    const double start = Seconds();
    action();
    return Seconds() - start;
  };
  Timing timing;
  const double first = one();  // warms up, and tells how many calls there will be
  if (!cold && first > 5 * seconds) {  // long enough by itself, and the check was a call before it
    timing.seconds = first;
    timing.calls = 1;
    return timing;
  }
  double total = 0;
  if (cold || first > 0.2 * seconds) {
    // Emptying the caches takes longer than a call, and one call is a sample by itself.
    const long most = cold ? 8 : 1000;
    for (; total < seconds && timing.calls < most; ++timing.calls) { total += one(); }
  } else {
    timing.calls = std::max(1L, std::lround(seconds / std::max(first, 1e-8)));
    const double start = Seconds();
    for (long i = 0; i < timing.calls; ++i) { action(); }
    total = Seconds() - start;
  }
  timing.seconds = total / timing.calls;
  return timing;
}

}  // namespace bench
