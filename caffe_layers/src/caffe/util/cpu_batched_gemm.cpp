#ifdef USE_LIBXSMM
#include <libxsmm.h>
#endif
#ifdef USE_ONEDNN
#include <dnnl.h>

#include "caffe/util/one_thread.hpp"
#endif

#include <algorithm>
#include <numeric>

#include "caffe/util/cpu_batched_gemm.hpp"
#include "caffe/util/dot_blocks.hpp"
#include "caffe/util/tiny_blocks.hpp"

namespace caffe {

// ---- Large matrices, one by one ---------------------------------------------

static inline void gemm(const BatchedGemm& g, const float* A, const float* B,
    float beta, float* C) {
#ifdef USE_ONEDNN
  // In rows C^T = B^T A^T; oneDNN's is the faster one of the two. A single
  // matrix is InnerProduct's, with the same bits.
  if (g.batch > 1) {
    OneThread one_thread;
    const dnnl_status_t status = dnnl_sgemm(
        g.trans_b == CblasTrans ? 'T' : 'N', g.trans_a == CblasTrans ? 'T' : 'N',
        g.n, g.m, g.k, 1, B, g.b.ld, A, g.a.ld, beta, C, g.c.ld);
    CHECK_EQ(status, dnnl_success) << "dnnl_sgemm failed.";
    return;
  }
#endif
  cblas_sgemm(CblasColMajor, g.trans_a, g.trans_b, g.m, g.n, g.k, 1, A, g.a.ld,
      B, g.b.ld, beta, C, g.c.ld);
}

static inline void gemm(const BatchedGemm& g, const double* A, const double* B,
    double beta, double* C) {
  cblas_dgemm(CblasColMajor, g.trans_a, g.trans_b, g.m, g.n, g.k, 1, A, g.a.ld,
      B, g.b.ld, beta, C, g.c.ld);
}

// ---- libxsmm's kernels ------------------------------------------------------

#ifdef USE_LIBXSMM
typedef void (*AnyFunction)();

// C = A B + beta C, column-major, B transposed if trans_b; NULL: not to be had.
static AnyFunction Kernel(bool trans_b, int m, int n, int k, int lda, int ldb,
    int ldc, float beta) {
  const float alpha = 1;
  const int flags = trans_b ? LIBXSMM_GEMM_FLAG_TRANS_B : 0;
  const int prefetch = LIBXSMM_GEMM_PREFETCH_NONE;
  return reinterpret_cast<AnyFunction>(libxsmm_smmdispatch(m, n, k, &lda, &ldb,
      &ldc, &alpha, &beta, &flags, &prefetch));
}

static AnyFunction Kernel(bool trans_b, int m, int n, int k, int lda, int ldb,
    int ldc, double beta) {
  const double alpha = 1;
  const int flags = trans_b ? LIBXSMM_GEMM_FLAG_TRANS_B : 0;
  const int prefetch = LIBXSMM_GEMM_PREFETCH_NONE;
  return reinterpret_cast<AnyFunction>(libxsmm_dmmdispatch(m, n, k, &lda, &ldb,
      &ldc, &alpha, &beta, &flags, &prefetch));
}

static inline void Call(AnyFunction kernel, const float* a, const float* b,
    float* c) {
  reinterpret_cast<libxsmm_smmfunction>(kernel)(a, b, c);
}

static inline void Call(AnyFunction kernel, const double* a, const double* b,
    double* c) {
  reinterpret_cast<libxsmm_dmmfunction>(kernel)(a, b, c);
}

// Turns a column-major m x n matrix round into one with leading dimension ldo.
static AnyFunction TurnKernel(int size, int m, int n, int ldo) {
  libxsmm_descriptor_blob blob;
  return reinterpret_cast<AnyFunction>(libxsmm_dispatch_trans(
      libxsmm_trans_descriptor_init(&blob, size, m, n, ldo)));
}
#endif

// Side of the squares in which a matrix is turned round.
static const int kTurn = 32;

// ---- Which way --------------------------------------------------------------

template <typename Dtype>
CpuBatchedGemm<Dtype>::CpuBatchedGemm(const BatchedGemm& gemm, Dtype beta)
    : gemm_(gemm), beta_(beta), whole_(NULL), rest_(NULL), turned_ld_(0) {
  CHECK(beta == 0 || beta == 1);
  length_ = gemm.trans_b == CblasTrans ? gemm.k : gemm.n;
  tile_ = std::max(1, std::min(length_, Tile()));
  way_ = Choose();
#ifdef USE_LIBXSMM
  if (way_ == KERNELS) { FindKernels(); }
#endif
}

template <typename Dtype>
typename CpuBatchedGemm<Dtype>::Way CpuBatchedGemm<Dtype>::Choose() const {
  if (gemm_.batch == 1) { return BLAS; }
  if (IsTiny(gemm_)) { return TINY; }
  if (FewRows()) { return DOTS; }
#ifdef USE_LIBXSMM
  if (gemm_.trans_a == CblasTrans && gemm_.trans_b == CblasTrans) {
    return BLAS;  // none of the layer's products
  }
  const int weights = gemm_.trans_b == CblasTrans ? gemm_.m * gemm_.n :
      gemm_.m * gemm_.k;
  // Where packing pays, and where turning A round would cost more than the
  // product itself.
  const bool large = weights > 256 * 256;
  const bool one_use = gemm_.trans_a == CblasTrans && gemm_.n < 8 &&
      weights >= 32 * 32;
  return large || one_use ? BLAS : KERNELS;
#else
  return BLAS;
#endif
}

// Whether a vector for the rows of A would be too empty. Both sides count what
// was measured: a dot product costs what three vectors more of terms would, the
// other kernels a vector for each term, and one of the two A turned round.
template <typename Dtype>
bool CpuBatchedGemm<Dtype>::FewRows() const {
  const int lanes = 64 / sizeof(Dtype);
  const int64_t m = gemm_.m, n = gemm_.n, k = gemm_.k;
  if (gemm_.trans_b == CblasTrans || m > lanes || k < lanes) { return false; }
  // Where the library for large matrices is the better one.
  if (m * k > (n < 8 ? 64 * 64 : 128 * 128) && (n < 8 || m > 8)) {
    return false;
  }
  const bool by_rows = gemm_.trans_a == CblasTrans;
  const int64_t dots = m * (k + 3 * lanes) * (n + (by_rows ? 0 : 32));
  const int64_t others = (lanes == 16 ? 20 : 5) * k * (n + (by_rows ? 5 : 0));
  return dots <= others;
}

// Over how many sets of the first cache one column of rows spreads.
template <typename Dtype>
static int RowSets(int ld) {
  const int64_t bytes = static_cast<int64_t>(ld) * sizeof(Dtype);
  return 4096 / std::gcd(bytes, static_cast<int64_t>(4096));
}

// Rows at a distance of a multiple of 1 KB share few sets of the first cache
// (64 sets of lines make 4 KB), and there is room for about eight in each: then
// all products take so many rows, which stay there, before they take the next
// ones. With larger matrices the rows are not worth the weights' way from the
// second cache.
template <typename Dtype>
int CpuBatchedGemm<Dtype>::Tile() const {
  const BatchedGemm::Operand& x = gemm_.b;
  const BatchedGemm::Operand& y = gemm_.trans_b == CblasTrans ? gemm_.a :
      gemm_.c;
  const int sets = std::min(RowSets<Dtype>(x.ld), RowSets<Dtype>(y.ld));
  if (gemm_.batch == 1 || sets > 4) { return length_; }
  // Sums over the batch, which a tile has to take up again, gain only where
  // blocks share lines, or beyond the second cache.
  if (gemm_.trans_b == CblasTrans) {
    if (beta_ == 0) { return length_; }
    const int64_t numbers = static_cast<int64_t>(length_) * (x.ld + y.ld);
    const bool share = gemm_.m < 64 / sizeof(Dtype);
    if (!share && numbers * sizeof(Dtype) <= (1 << 20)) { return length_; }
  }
  const int weights = gemm_.trans_b == CblasTrans ? gemm_.m * gemm_.n :
      gemm_.m * gemm_.k;
  return weights <= 32 * 32 ? 8 * sets : length_;
}

template <typename Dtype>
void CpuBatchedGemm<Dtype>::FindKernels() {
#ifdef USE_LIBXSMM
  const BatchedGemm& g = gemm_;
  const bool turn = g.trans_a == CblasTrans;
  const bool trans_b = g.trans_b == CblasTrans;
  // An odd number of lines apart, columns do not meet in the cache.
  const int line = 64 / sizeof(Dtype);
  turned_ld_ = g.m < 4 * line ? g.m : (g.m + line - 1) / line / 2 * 2 * line
      + line;
  const int lda = turn ? turned_ld_ : g.a.ld;
  const int rest = length_ % tile_;
  for (int i = 0; i < 2; ++i) {
    const int part = i ? rest : tile_;
    if (part == 0) { continue; }
    Function kernel = trans_b ?
        Kernel(true, g.m, g.n, part, lda, g.b.ld, g.c.ld, beta_) :
        Kernel(false, g.m, part, g.k, lda, g.b.ld, g.c.ld, beta_);
    if (kernel == NULL) { way_ = BLAS; }  // an older processor
    (i ? rest_ : whole_) = kernel;
  }
  if (!turn) { return; }
  for (int i = 0; i < 2; ++i) {
    for (int j = 0; j < 2; ++j) {
      const int rows = i ? g.k % kTurn : std::min(kTurn, g.k);
      const int cols = j ? g.m % kTurn : std::min(kTurn, g.m);
      if (rows == 0 || cols == 0) { continue; }
      turn_[i][j] = TurnKernel(sizeof(Dtype), rows, cols, turned_ld_);
      if (turn_[i][j] == NULL) { way_ = BLAS; }
    }
  }
  const int matrices = tile_ < length_ ? g.batch : 1;
  turned_.resize(static_cast<size_t>(matrices) * turned_ld_ * g.k);
#endif
}

// ---- Execution --------------------------------------------------------------

template <typename Dtype>
void CpuBatchedGemm<Dtype>::Run(const Dtype* A, const Dtype* B, Dtype* C,
    const Dtype* bias) {
  CHECK(bias == NULL || (beta_ == 1 && gemm_.trans_b == CblasNoTrans));
  if (length_ == 0) { return; }  // an empty batch
  switch (way_) {
  case BLAS: RunBlas(A, B, C, bias); break;
  case KERNELS: RunKernels(A, B, C, bias); break;
  case DOTS: RunDots(A, B, C, bias); break;
  case TINY: RunTiny(A, B, C, bias); break;
  }
}

template <typename Dtype>
static void SetColumns(const BatchedGemm& g, int begin, int end,
    const Dtype* bias, Dtype* C) {
  const int64_t length = static_cast<int64_t>(g.batch) * g.m;
  for (int column = begin; column < end; ++column) {
    std::copy(bias, bias + length, C + static_cast<int64_t>(column) * g.c.ld);
  }
}

template <typename Dtype>
void CpuBatchedGemm<Dtype>::RunBlas(const Dtype* A, const Dtype* B, Dtype* C,
    const Dtype* bias) {
  if (bias) { SetColumns(gemm_, 0, gemm_.n, bias, C); }
  for (int i = 0; i < gemm_.batch; ++i) {
    gemm(gemm_, A + gemm_.a.offset(i), B + gemm_.b.offset(i), beta_,
        C + gemm_.c.offset(i));
  }
}

template <typename Dtype>
void CpuBatchedGemm<Dtype>::RunTiny(const Dtype* A, const Dtype* B, Dtype* C,
    const Dtype* bias) {
  TinyBlocks(gemm_, A, B, beta_, C, bias, &turned_);
}

template <typename Dtype>
void CpuBatchedGemm<Dtype>::RunDots(const Dtype* A, const Dtype* B, Dtype* C,
    const Dtype* bias) {
  DotBlocks(gemm_, A, B, beta_, C, bias, &turned_);
}

template <typename Dtype>
void CpuBatchedGemm<Dtype>::Turn(const Dtype* a, Dtype* turned) const {
#ifdef USE_LIBXSMM
  const unsigned int ldi = gemm_.a.ld;
  const unsigned int ldo = turned_ld_;
  for (int col = 0; col < gemm_.m; col += kTurn) {
    for (int row = 0; row < gemm_.k; row += kTurn) {
      const Function kernel =
          turn_[row + kTurn > gemm_.k && row > 0][col + kTurn > gemm_.m && col];
      reinterpret_cast<libxsmm_xtransfunction>(kernel)(
          a + static_cast<int64_t>(col) * ldi + row, &ldi,
          turned + static_cast<int64_t>(row) * ldo + col, &ldo);
    }
  }
#endif
}

template <typename Dtype>
void CpuBatchedGemm<Dtype>::RunKernels(const Dtype* A, const Dtype* B, Dtype* C,
    const Dtype* bias) {
#ifdef USE_LIBXSMM
  const BatchedGemm& g = gemm_;
  const bool turn = g.trans_a == CblasTrans;
  const bool trans_b = g.trans_b == CblasTrans;
  const bool at_once = tile_ == length_;
  const int64_t room = static_cast<int64_t>(turned_ld_) * g.k;
  for (int i = 0; turn && !at_once && i < g.batch; ++i) {
    Turn(A + g.a.offset(i), &turned_[i * room]);
  }
  for (int begin = 0; begin < length_; begin += tile_) {
    const int end = std::min(begin + tile_, length_);
    const Function kernel = end - begin == tile_ ? whole_ : rest_;
    if (bias) { SetColumns(g, begin, end, bias, C); }
    const Dtype* b = B + static_cast<int64_t>(begin) * g.b.ld;
    const Dtype* a = A + (trans_b ? static_cast<int64_t>(begin) * g.a.ld : 0);
    Dtype* c = C + (trans_b ? 0 : static_cast<int64_t>(begin) * g.c.ld);
    for (int i = 0; i < g.batch; ++i) {
      const Dtype* left = a + g.a.offset(i);
      if (turn) {
        Dtype* turned = &turned_[at_once ? 0 : i * room];
        if (at_once) { Turn(left, turned); }
        left = turned;
      }
      Call(kernel, left, b + g.b.offset(i), c + g.c.offset(i));
    }
  }
#endif
}

INSTANTIATE_CLASS(CpuBatchedGemm);

}  // namespace caffe
