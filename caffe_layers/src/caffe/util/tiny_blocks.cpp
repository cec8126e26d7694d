#include <string.h>

#include "caffe/util/tiny_blocks.hpp"

namespace caffe {

bool IsTiny(const BatchedGemm& g, int vector_bytes) {
  const int s = g.m;
  // 8 x 8 wants the many registers of AVX-512.
  const bool is_size = s == 1 || s == 2 || s == 4 ||
      (s == 8 && vector_bytes == 64);
  if (!g.strided() || !is_size) { return false; }
  if (g.trans_b == CblasNoTrans) {
    return g.k == s && g.b.stride == s && g.c.stride == s;
  }
  return g.trans_a == CblasNoTrans && g.n == s && g.a.stride == s &&
      g.b.stride == s;
}

// As wide as the processor's registers, for the compiler makes slow code of
// wider ones, but with room for four numbers.
template <typename Dtype, int BYTES>
using Lanes = Vector<Dtype, (BYTES < 4 * sizeof(Dtype) ? 4 * sizeof(Dtype) :
    BYTES)>;

// y[row, i S + r] = start + sum over c of
//     coefficients[c, i S + r] x[row, i S + c]
// where start is bias, or y itself times beta.
template <typename Dtype, int BYTES, int S>
static CAFFE_INLINE void Multiply(int rows, int width,
    const Dtype* coefficients, const Dtype* x, int ld_x, const Dtype* bias,
    Dtype beta, Dtype* y, int ld_y) {
  typedef typename Lanes<Dtype, BYTES>::Values Values;
  enum { L = Lanes<Dtype, BYTES>::LANES };
  typename Lanes<Dtype, BYTES>::Places place[S];
  for (int c = 0; c < S; ++c) {
    for (int lane = 0; lane < L; ++lane) { place[c][lane] = lane / S * S + c; }
  }
  int j = 0;
  for (; j + L <= width; j += L) {
    Values w[S];
    for (int c = 0; c < S; ++c) {
      memcpy(&w[c], coefficients + c * width + j, sizeof(Values));
    }
    Values start = {};
    if (bias) { memcpy(&start, bias + j, sizeof(Values)); }
    for (int row = 0; row < rows; ++row) {
      Values in, out = start;
      memcpy(&in, x + static_cast<int64_t>(row) * ld_x + j, sizeof(Values));
      Dtype* to = y + static_cast<int64_t>(row) * ld_y + j;
      if (!bias && beta != 0) {
        memcpy(&out, to, sizeof(Values));
        out *= beta;
      }
      for (int c = 0; c < S; ++c) {
        out += w[c] * (S == 1 ? in : Shuffle(in, in, place[c]));
      }
      memcpy(to, &out, sizeof(Values));
    }
  }
  for (; j < width; ++j) {
    for (int row = 0; row < rows; ++row) {
      Dtype* to = y + static_cast<int64_t>(row) * ld_y + j;
      const Dtype* from = x + static_cast<int64_t>(row) * ld_x + j / S * S;
      Dtype sum = bias ? bias[j] : beta != 0 ? beta * *to : 0;
      for (int c = 0; c < S; ++c) {
        sum += coefficients[c * width + j] * from[c];
      }
      *to = sum;
    }
  }
}

// sums[q, i S + r] = sum over rows of a[row, i S + r] b[row, i S + q]
template <typename Dtype, int BYTES, int S>
static CAFFE_INLINE void Accumulate(int rows, int width, const Dtype* a,
    int ld_a, const Dtype* b, int ld_b, Dtype* sums) {
  typedef typename Lanes<Dtype, BYTES>::Values Values;
  enum { L = Lanes<Dtype, BYTES>::LANES, U = 4 / S > 1 ? 4 / S : 1 };
  typename Lanes<Dtype, BYTES>::Places place[S];
  for (int q = 0; q < S; ++q) {
    for (int lane = 0; lane < L; ++lane) { place[q][lane] = lane / S * S + q; }
  }
  int j = 0;
  for (; j + U * L <= width; j += U * L) {
    Values sum[U][S] = {};
    for (int row = 0; row < rows; ++row) {
      for (int u = 0; u < U; ++u) {
        Values left, right;
        memcpy(&left, a + static_cast<int64_t>(row) * ld_a + j + u * L,
            sizeof(Values));
        memcpy(&right, b + static_cast<int64_t>(row) * ld_b + j + u * L,
            sizeof(Values));
        for (int q = 0; q < S; ++q) {
          sum[u][q] += left *
              (S == 1 ? right : Shuffle(right, right, place[q]));
        }
      }
    }
    for (int u = 0; u < U; ++u) {
      for (int q = 0; q < S; ++q) {
        memcpy(sums + q * width + j + u * L, &sum[u][q], sizeof(Values));
      }
    }
  }
  for (; j < width; ++j) {
    for (int q = 0; q < S; ++q) {
      Dtype sum = 0;
      for (int row = 0; row < rows; ++row) {
        sum += a[static_cast<int64_t>(row) * ld_a + j] *
            b[static_cast<int64_t>(row) * ld_b + j / S * S + q];
      }
      sums[q * width + j] = sum;
    }
  }
}

// Rows of x and y at a time: whatever their distance, so many lines have room
// in the first cache.
static const int kRows = 8;

template <typename Dtype, int BYTES, int S>
static CAFFE_INLINE void TinyProducts(const BatchedGemm& g, const Dtype* A,
    const Dtype* B, Dtype beta, Dtype* C, const Dtype* bias, Dtype* scratch) {
  const int width = g.batch * S;
  if (g.trans_b == CblasNoTrans) {
    for (int i = 0; i < g.batch; ++i) {
      const Dtype* a = A + i * g.a.stride;
      for (int c = 0; c < S; ++c) {
        for (int r = 0; r < S; ++r) {
          scratch[c * width + i * S + r] =
              g.trans_a == CblasNoTrans ? a[r + c * g.a.ld] : a[c + r * g.a.ld];
        }
      }
    }
    for (int row = 0; row < g.n; row += kRows) {
      const int rows = g.n - row < kRows ? g.n - row : kRows;
      Multiply<Dtype, BYTES, S>(rows, width, scratch,
          B + static_cast<int64_t>(row) * g.b.ld, g.b.ld, bias, beta,
          C + static_cast<int64_t>(row) * g.c.ld, g.c.ld);
    }
  } else {
    Accumulate<Dtype, BYTES, S>(g.k, width, A, g.a.ld, B, g.b.ld, scratch);
    for (int i = 0; i < g.batch; ++i) {
      Dtype* c = C + i * g.c.stride;
      for (int q = 0; q < S; ++q) {
        for (int r = 0; r < S; ++r) {
          Dtype* to = c + r + q * g.c.ld;
          *to = (beta != 0 ? beta * *to : 0) + scratch[q * width + i * S + r];
        }
      }
    }
  }
}

struct TinyOfAnySize {
  template <int BYTES, typename Dtype>
  static CAFFE_INLINE void Run(const BatchedGemm& g, const Dtype* A,
      const Dtype* B, Dtype beta, Dtype* C, const Dtype* bias,
      Dtype* scratch) {
    switch (g.m) {
    case 1: TinyProducts<Dtype, BYTES, 1>(g, A, B, beta, C, bias, scratch);
      break;
    case 2: TinyProducts<Dtype, BYTES, 2>(g, A, B, beta, C, bias, scratch);
      break;
    case 4: TinyProducts<Dtype, BYTES, 4>(g, A, B, beta, C, bias, scratch);
      break;
    case 8:
      if constexpr (BYTES == 64) {
        TinyProducts<Dtype, BYTES, 8>(g, A, B, beta, C, bias, scratch);
      }
      break;
    }
  }
};

template <typename Dtype>
void TinyBlocks(const BatchedGemm& g, const Dtype* A, const Dtype* B,
    Dtype beta, Dtype* C, const Dtype* bias, AlignedVector<Dtype>* scratch,
    int vector_bytes) {
  CHECK(IsTiny(g, vector_bytes));
  scratch->resize(static_cast<size_t>(g.batch) * g.m * g.m);
  WithVectors<TinyOfAnySize>(vector_bytes, g, A, B, beta, C, bias,
      &(*scratch)[0]);
}

template void TinyBlocks<float>(const BatchedGemm& g, const float* A,
    const float* B, float beta, float* C, const float* bias,
    AlignedVector<float>* scratch, int vector_bytes);
template void TinyBlocks<double>(const BatchedGemm& g, const double* A,
    const double* B, double beta, double* C, const double* bias,
    AlignedVector<double>* scratch, int vector_bytes);

}  // namespace caffe
