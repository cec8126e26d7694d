// What the parts of bdip_bench share.
#ifndef BENCH_BENCH_HPP_
#define BENCH_BENCH_HPP_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace bench {

// ---- clock.cpp --------------------------------------------------------------------

// Seconds. With one thread the processor time of that thread, which other programs on the machine do not
// lengthen; with more the time of day.
double Seconds();
void UseThreads(int threads);

// ---- cache.cpp --------------------------------------------------------------------

// Takes these bytes out of all caches; nothing where the processor has no such instruction.
extern "C" void EmptyCache(const void* data, size_t bytes);
extern "C" int CanEmptyCache();

// ---- problem.cpp ------------------------------------------------------------------

// Numbers that begin at a cache line.
class Floats {
 public:
  explicit Floats(size_t count = 0) { Resize(count); }
  ~Floats();
  Floats(const Floats&) = delete;
  void operator=(const Floats&) = delete;
  void Resize(size_t count);
  float* data() const { return data_; }
  size_t count() const { return count_; }
  void Fill(uint32_t seed) const;  // uniform in [-1, 1)
  void Zero() const;

 private:
  float* data_ = nullptr;
  size_t count_ = 0;
};

// Three products, all row-major: Y = X W^T, dX = dY W, dW += dY^T X, with W of N x K/b, block i in rows
// i N/b ... (i + 1) N/b - 1.
struct Problem {
  int M = 0, N = 0, K = 0, b = 0;
  Floats x, w, y, dx, dw, dy;

  int n() const { return N / b; }
  int k() const { return K / b; }
  size_t weights() const { return static_cast<size_t>(N) * k(); }
  void Set(int M, int N, int K, int b);
  void SpoilOutputs() const;  // NaN, so that no method is found right by what the one before it left
  // The largest error among some entries of the outputs, each relative to the sum of the absolute values of
  // its terms. The arrays are those that a method read and wrote.
  double Error(const float* x, const float* w, const float* dy, const float* y, const float* dx,
               const float* dw, bool all) const;
};

// ---- methods ----------------------------------------------------------------------

struct Span {
  const void* data;
  size_t bytes;
};

// A way to compute a problem's products.
class Method {
 public:
  virtual ~Method() {}
  virtual void Forward() = 0;
  virtual void Backward() = 0;
  // Computes all once and compares; prior contents of dW count as 0.
  virtual double Check(bool all) = 0;
  // What a pass touches.
  virtual std::vector<Span> Touched(bool all) const = 0;
};

// On a problem's own arrays.
class OnProblem : public Method {
 public:
  explicit OnProblem(Problem* problem) : p(*problem) {}
  double Check(bool all) override;
  std::vector<Span> Touched(bool all) const override;

 protected:
  Problem& p;
};

using Maker = std::function<std::unique_ptr<Method>(Problem*)>;
struct Entry {
  std::string name, library, version;
  bool dense;  // of an N x K matrix, whatever b is
  Maker make;  // makes nothing where the library has nothing for the problem
};

void AddProducts(std::vector<Entry>* entries);  // products.cpp
void AddOneDnn(std::vector<Entry>* entries);    // onednn.cpp
void AddLibxsmm(std::vector<Entry>* entries);   // libxsmm.cpp
void AddLayer(std::vector<Entry>* entries);     // layer.cpp

// ---- machine.cpp, or gpu.cpp --------------------------------------------------------

// Of so many cores at once, a thread each; or of the GPU.
double PeakFlops(int cores);                // float, multiply and add counted as two
double Bandwidth(size_t bytes, int cores);  // read and written bytes/s, half each, of a working set of that size
std::string Isa();

// ---- cpu.cpp, or gpu.cpp ------------------------------------------------------------

using Action = std::function<void()>;
struct Timing {
  double seconds = 0;  // of a call
  long calls = 0;
};

void Begin(std::vector<Entry>* entries);  // once, before all else
std::string Device();                     // members of a JSON object
void SetState(const std::string& state);  // what of a state counts for results too
// Calls as often as fill `seconds`; `touched` may be empty.
Timing Measure(const Action& action, const std::function<std::vector<Span>()>& touched, const std::string& state,
               double seconds);

// ---- nets.cpp ---------------------------------------------------------------------

// name.step: one iteration of training; name.ip: forward and backward of its inner product layers.
void AddNet(const std::string& name, const std::string& solver_file, std::map<std::string, Action>* actions);
// update, prune: a solver's update of N x K weights, plain and while it prunes towards b blocks.
void AddUpdates(int N, int K, int b, std::map<std::string, Action>* actions);

}  // namespace bench

#endif  // BENCH_BENCH_HPP_
