#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <limits>

#include "bench.hpp"

namespace bench {

Floats::~Floats() { std::free(data_); }

void Floats::Resize(size_t count) {
  if (count == count_ && data_) { return; }
  std::free(data_);
  // A line more: kernels may read, not write, past the end of a row's last vector.
  data_ = static_cast<float*>(std::aligned_alloc(64, (count * sizeof(float) + 127) / 64 * 64));
  count_ = count;
}

void Floats::Fill(uint32_t seed) const {
  uint32_t state = seed * 2654435761u + 12345u;
  for (size_t i = 0; i < count_; ++i) {
    state = state * 1664525u + 1013904223u;
    data_[i] = static_cast<float>(static_cast<int32_t>(state >> 8) - (1 << 23)) / (1 << 23);
  }
}

void Floats::Zero() const { std::memset(data_, 0, count_ * sizeof(float)); }

void Problem::Set(int M_, int N_, int K_, int b_) {
  M = M_;
  N = N_;
  K = K_;
  b = b_;
  Floats* const inputs[] = {&x, &w, &dy};
  Floats* const outputs[] = {&y, &dx, &dw};
  x.Resize(static_cast<size_t>(M) * K);
  w.Resize(weights());
  dy.Resize(static_cast<size_t>(M) * N);
  y.Resize(static_cast<size_t>(M) * N);
  dx.Resize(static_cast<size_t>(M) * K);
  dw.Resize(weights());
  for (int i = 0; i < 3; ++i) {
    inputs[i]->Fill(i + 1);
    outputs[i]->Zero();
  }
}

void Problem::SpoilOutputs() const {
  for (const Floats* output : {&y, &dx, &dw}) {
    std::fill(output->data(), output->data() + output->count(), std::numeric_limits<float>::quiet_NaN());
  }
}

namespace {
struct Sum {
  double value = 0, size = 0;
  void Add(double a, double b) {
    value += a * b;
    size += std::fabs(a * b);
  }
  double Error(double got) const {
    const double error = std::fabs(got - value) / std::max(size, 1e-30);
    return std::isfinite(error) ? error : std::numeric_limits<double>::max();  // no maximum takes a NaN
  }
};
}  // namespace

double Problem::Error(const float* x, const float* w, const float* dy, const float* y, const float* dx,
                      const float* dw, bool all) const {
  double worst = 0;
  uint32_t state = 7;
  auto draw = [&](int below) {
    state = state * 1664525u + 1013904223u;
    return static_cast<int>((static_cast<uint64_t>(state) * below) >> 32);
  };
  for (int sample = 0; sample < 48; ++sample) {
    const int m = draw(M), o = draw(N), c = draw(k());
    const int block = o / n();
    const int input = block * k();
    Sum out, in, weight;
    for (int j = 0; j < k(); ++j) {
      out.Add(x[static_cast<size_t>(m) * K + input + j], w[static_cast<size_t>(o) * k() + j]);
    }
    worst = std::max(worst, out.Error(y[static_cast<size_t>(m) * N + o]));
    if (!all) { continue; }
    for (int r = block * n(); r < (block + 1) * n(); ++r) {
      in.Add(dy[static_cast<size_t>(m) * N + r], w[static_cast<size_t>(r) * k() + c]);
    }
    for (int row = 0; row < M; ++row) {
      weight.Add(dy[static_cast<size_t>(row) * N + o], x[static_cast<size_t>(row) * K + input + c]);
    }
    worst = std::max(worst, in.Error(dx[static_cast<size_t>(m) * K + input + c]));
    worst = std::max(worst, weight.Error(dw[static_cast<size_t>(o) * k() + c]));
  }
  return worst;
}

double OnProblem::Check(bool all) {
  p.dw.Zero();
  Forward();
  if (all) { Backward(); }
  return p.Error(p.x.data(), p.w.data(), p.dy.data(), p.y.data(), p.dx.data(), p.dw.data(), all);
}

std::vector<Span> OnProblem::Touched(bool all) const {
  std::vector<Span> spans;
  for (const Floats* f : {&p.x, &p.w, &p.y}) { spans.push_back({f->data(), f->count() * sizeof(float)}); }
  if (all) {
    for (const Floats* f : {&p.dx, &p.dw, &p.dy}) { spans.push_back({f->data(), f->count() * sizeof(float)}); }
  }
  return spans;
}

}  // namespace bench
