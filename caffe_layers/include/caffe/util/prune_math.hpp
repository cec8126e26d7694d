#ifndef CAFFE_UTIL_PRUNE_MATH_HPP_
#define CAFFE_UTIL_PRUNE_MATH_HPP_

#include <math.h>

#include "caffe/util/host_device.hpp"

// What pruning does to a single entry of a matrix, in the CPU's loops and in
// CUDA kernels alike.

namespace caffe {

/// @brief Which entries of a row-major rows x cols matrix may be pruned.
struct PruneRegion {
  enum Kind {
    EVERYWHERE,
    BLOCKS,  ///< off the blocks: rows' block i keeps columns' block table[i]
    ROWS,    ///< rows r with table[r] != 0
    COLUMNS  ///< columns c with table[c] != 0
  };

  CAFFE_HOST_DEVICE inline bool contains(int index) const {
    const int row = index / cols;
    const int col = index % cols;
    switch (kind) {
    case BLOCKS:
      return col / block_cols != table[row / block_rows];
    case ROWS:
      return table[row] != 0;
    case COLUMNS:
      return table[col] != 0;
    default:
      return true;
    }
  }

  Kind kind;
  int rows, cols;
  int block_rows, block_cols;
  int count;  // rows * cols, where there would be bytes that nobody sets
  const int* table;
};

enum PruneRule {
  PRUNE_HOLD,    ///< what is 0 stays 0
  PRUNE_SHRINK,  ///< that, and what crosses 0 or comes under the threshold is 0
  PRUNE_CUT      ///< 0
};

// Names that are the same on the host and on the device.
CAFFE_HOST_DEVICE inline float WithSign(float size, float sign) {
  return copysignf(size, sign);
}
CAFFE_HOST_DEVICE inline double WithSign(double size, double sign) {
  return copysign(size, sign);
}

/// @brief The gradient g of weight w with the penalty l1 |w| + l2 w^2 / 2.
template <typename Dtype>
CAFFE_HOST_DEVICE inline Dtype PrunedGradient(Dtype w, Dtype g, Dtype l1,
    Dtype l2) {
  // Computed whether it is wanted or not, here and below: loops of such
  // functions become vector instructions, those with branches do not. And as
  // few comparisons as there can be: they are the slow ones.
  const Dtype penalized = g + WithSign(l1, w) + l2 * w;
  return w == 0 ? Dtype(0) : penalized;
}

/// @brief Weight w after the update w -= d, for a threshold above 0.
template <typename Dtype>
CAFFE_HOST_DEVICE inline Dtype PrunedWeight(Dtype w, Dtype d, PruneRule rule,
    Dtype threshold) {
  const Dtype updated = w - d;
  // How far it is from 0, on the side of 0 where it was.
  const Dtype away = updated * WithSign(Dtype(1), w);
  // Not >=: what is not a number stays so, and training is seen to diverge.
  const bool live = (w != 0) & (rule != PRUNE_CUT) &
      ((rule == PRUNE_HOLD) | !(away < threshold));
  return live ? updated : Dtype(0);
}

/// @brief Whether all of n weights are 0.
template <typename Dtype>
CAFFE_HOST_DEVICE inline bool AllZero(const Dtype* w, int n) {
  int i = 0;
  while (i < n && w[i] == 0) { ++i; }
  return i == n;
}

}  // namespace caffe

#endif  // CAFFE_UTIL_PRUNE_MATH_HPP_
