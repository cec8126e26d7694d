#include <string.h>

#include <algorithm>
#include <utility>

#include "caffe/util/dot_blocks.hpp"

// In a register: as an operand in memory it would be read with every use. (Clang
// takes no vector wider than those of the processor that all code is for.)
#if defined(__x86_64__) && !defined(__clang__)
#define KEEP(vector) asm("" : "+v"(vector))
#else
#define KEEP(vector)
#endif

namespace caffe {

// A vector register of so many bytes. As many sums are computed at a time as it
// has lanes: then they, too, make one vector.
template <typename Dtype, int BYTES> struct Register : Vector<Dtype, BYTES> {
  typedef typename Vector<Dtype, BYTES>::Values Values;
  typedef typename Vector<Dtype, BYTES>::Place Place;
  typedef typename Vector<Dtype, BYTES>::Places Places;
  enum { LANES = Vector<Dtype, BYTES>::LANES };

  static CAFFE_INLINE Values Load(const Dtype* from) {
    Values values;
    memcpy(&values, from, sizeof(values));
    return values;
  }

  static CAFFE_INLINE Values Load(const Dtype* from, const Places& mask) {
    Places bits;
    memcpy(&bits, from, sizeof(bits));
    bits &= mask;
    Values values;
    memcpy(&values, &bits, sizeof(values));
    return values;
  }

  static CAFFE_INLINE void Store(const Values& values, Dtype* to) {
    memcpy(to, &values, sizeof(values));
  }

  // -1 in the last lanes, 0 in the others.
  template <int... l>
  static CAFFE_INLINE Places Last(int count, std::integer_sequence<int, l...>) {
    const Places lane = {l...};
    return lane >= static_cast<Place>(LANES - count);
  }

  // Lane l: the sum of a's lanes l and l + STEP if l / STEP is even, else of
  // b's l and l - STEP.
  template <int STEP, int... l>
  static CAFFE_INLINE Values Fold(const Values& a, const Values& b,
      std::integer_sequence<int, l...>) {
    const Places own = {(l & STEP ? LANES + l : l)...};
    const Places other = {(l & STEP ? LANES + l - STEP : l + STEP)...};
    return Shuffle(a, b, own) + Shuffle(a, b, other);
  }

  // Lane l becomes the sum of sums[l]'s lanes.
  template <int STEP>
  static CAFFE_INLINE Values Total(const Values* sums) {
    if constexpr (STEP == LANES) {
      return sums[0];
    } else {
      Values folded[LANES / STEP / 2];
      for (int i = 0; i < LANES / STEP / 2; ++i) {
        folded[i] = Fold<STEP>(sums[2 * i], sums[2 * i + 1],
            std::make_integer_sequence<int, LANES>());
      }
      return Total<2 * STEP>(folded);
    }
  }
};

// A product's part: rows of x (columns of B) and of w (of A), each of k terms
// which follow each other.
template <typename Dtype>
struct Part {
  int k, rows, outputs;
  const Dtype* x;
  int64_t ld_x;
  const Dtype* w;
  int64_t ld_w;
  const Dtype* start;  // what is added to: NULL, the bias or y itself
  int64_t ld_start;
  Dtype* y;
  int64_t ld_y;
};

// R rows by S outputs, at once; rows before `fresh` are there already.
template <typename Dtype, int BYTES, int R, int S>
static CAFFE_INLINE void Tile(const Part<Dtype>& p, int row, int fresh,
    int output) {
  typedef Register<Dtype, BYTES> V;
  typedef typename V::Values Values;
  enum { L = V::LANES };
  const int64_t ld_x = p.ld_x, ld_w = p.ld_w;
  const Dtype* x = p.x + row * ld_x;
  const Dtype* w = p.w + output * ld_w;
  const int k = p.k;
  Values sums[L] = {};
  Values weights[S];
  for (const Dtype* const end = x + k / L * L; x != end; x += L, w += L) {
#pragma GCC unroll 16
    for (int s = 0; s < S; ++s) {
      weights[s] = V::Load(w + s * ld_w);
      if (R > 1) { KEEP(weights[s]); }
    }
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r) {
      Values in = V::Load(x + r * ld_x);
      if (S > 1) { KEEP(in); }
#pragma GCC unroll 16
      for (int s = 0; s < S; ++s) { sums[r * S + s] += in * weights[s]; }
    }
  }
  const int rest = k % L;
  if (rest > 0) {  // the last terms, by vectors that end with them
    x += rest - L;
    w += rest - L;
    const typename V::Places mask = V::Last(rest,
        std::make_integer_sequence<int, L>());
#pragma GCC unroll 16
    for (int s = 0; s < S; ++s) { weights[s] = V::Load(w + s * ld_w, mask); }
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r) {
      const Values in = V::Load(x + r * ld_x, mask);
#pragma GCC unroll 16
      for (int s = 0; s < S; ++s) { sums[r * S + s] += in * weights[s]; }
    }
  }
  Dtype all[L];
  V::Store(V::template Total<1>(sums), all);
  for (int r = fresh - row; r < R; ++r) {
    Dtype* y = p.y + (row + r) * p.ld_y + output;
    if (p.start) {
      const Dtype* start = p.start + (row + r) * p.ld_start + output;
      for (int s = 0; s < S; ++s) { y[s] = start[s] + all[r * S + s]; }
    } else {
      memcpy(y, all + r * S, S * sizeof(Dtype));
    }
  }
}

// S outputs of all rows, R rows at a time, or fewer if there are fewer. The
// last rows make a whole tile with some before them.
template <typename Dtype, int BYTES, int R, int S>
static CAFFE_INLINE void Rows(const Part<Dtype>& p, int output) {
  if constexpr (R > 1) {
    if (p.rows < R) {
      Rows<Dtype, BYTES, R / 2, S>(p, output);
      return;
    }
  }
  for (int row = 0; row < p.rows; row += R) {
    Tile<Dtype, BYTES, R, S>(p, std::min(row, p.rows - R), row, output);
  }
}

// S outputs at a time, from *output on as long as there are so many.
template <typename Dtype, int BYTES, int S>
static CAFFE_INLINE void Columns(const Part<Dtype>& p, int* output) {
  enum { L = Register<Dtype, BYTES>::LANES };
  if constexpr (S <= L) {
    for (; *output + S <= p.outputs; *output += S) {
      Rows<Dtype, BYTES, L / S, S>(p, *output);
    }
  }
}

// Rows at a time: so many lines have room in the first cache whatever their
// distance.
static const int kBatchRows = 32;

struct DotProducts {
  template <int BYTES, typename Dtype>
  static CAFFE_INLINE void Run(const BatchedGemm& g, const Dtype* A,
      const Dtype* B, Dtype beta, Dtype* C, const Dtype* bias) {
    Part<Dtype> p;
    p.k = g.k;
    p.outputs = g.m;
    p.ld_x = g.b.ld;
    p.ld_w = g.k;
    p.ld_y = g.c.ld;
    p.ld_start = bias ? 0 : g.c.ld;
    for (int row = 0; row < g.n; row += p.rows) {
      const int left = g.n - row;
      p.rows = left < 2 * kBatchRows ? left : kBatchRows;
      for (int i = 0; i < g.batch; ++i) {
        p.x = B + g.b.offset(i) + row * p.ld_x;
        p.w = A + static_cast<int64_t>(i) * g.m * g.k;
        p.y = C + g.c.offset(i) + row * p.ld_y;
        p.start = bias ? bias + i * g.m : beta != 0 ? p.y : NULL;
        int output = 0;
        Columns<Dtype, BYTES, 4>(p, &output);
        Columns<Dtype, BYTES, 2>(p, &output);
        Columns<Dtype, BYTES, 1>(p, &output);
      }
    }
  }
};

// The matrices A one after the other, rows contiguous.
template <typename Dtype>
static const Dtype* ByRows(const BatchedGemm& g, const Dtype* A,
    AlignedVector<Dtype>* scratch) {
  const int64_t size = static_cast<int64_t>(g.m) * g.k;
  if (g.trans_a == CblasTrans && g.a.ld == g.k && g.a.stride == size &&
      !g.a.order) {
    return A;
  }
  scratch->resize(g.batch * size);
  Dtype* rows = &(*scratch)[0];
  for (int i = 0; i < g.batch; ++i) {
    const Dtype* a = A + g.a.offset(i);
    for (int r = 0; r < g.m; ++r) {
      for (int c = 0; c < g.k; ++c) {
        *rows++ = g.trans_a == CblasTrans ? a[c + r * g.a.ld] :
            a[r + c * g.a.ld];
      }
    }
  }
  return rows - g.batch * size;
}

template <typename Dtype>
void DotBlocks(const BatchedGemm& g, const Dtype* A, const Dtype* B,
    Dtype beta, Dtype* C, const Dtype* bias, AlignedVector<Dtype>* scratch,
    int vector_bytes) {
  CHECK_EQ(g.trans_b, CblasNoTrans);
  CHECK_GE(g.k * sizeof(Dtype), vector_bytes);
  const Dtype* rows = ByRows(g, A, scratch);
  WithVectors<DotProducts>(vector_bytes, g, rows, B, beta, C, bias);
}

template void DotBlocks<float>(const BatchedGemm& g, const float* A,
    const float* B, float beta, float* C, const float* bias,
    AlignedVector<float>* scratch, int vector_bytes);
template void DotBlocks<double>(const BatchedGemm& g, const double* A,
    const double* B, double beta, double* C, const double* bias,
    AlignedVector<double>* scratch, int vector_bytes);

}  // namespace caffe

#undef KEEP
