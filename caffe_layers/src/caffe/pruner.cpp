#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#if defined(__GNUC__) && !defined(__clang__)
// Nobody asks for the exceptions of comparisons with NaN; if they are to be
// kept, no loop with a choice in it becomes vector instructions.
// And the bits are the same whether a processor multiplies and adds at once.
#pragma GCC push_options
#pragma GCC optimize("no-trapping-math", "fp-contract=off")
#endif
#include "caffe/util/prune_math.hpp"

#include "caffe/pruner.hpp"
#include "caffe/util/format.hpp"
#include "caffe/util/math_functions.hpp"
#include "caffe/util/permutation.hpp"
#include "caffe/util/target_clones.hpp"

#define INLINE __attribute__((always_inline))

namespace caffe {

template <typename Dtype>
Pruner<Dtype>::Pruner(const PruneParameter& param, const Net<Dtype>& net,
    int layer_id, int param_id, int max_iter)
    : param_(param), blob_(net.layers()[layer_id]->blobs()[param_id].get()),
      cut_(false) {
  name_ = net.layer_names()[layer_id] + "[" + format_int(param_id) + "]";
  Check(net, layer_id, param_id, max_iter);
  rows_ = blob_->shape(0);
  cols_ = blob_->shape(1);
  switch (param_.type()) {
  case PruneParameter_Type_BLOCK_L1: {
    kind_ = PruneRegion::BLOCKS;
    vector<int> order;
    if (param_.has_shuffle_seed()) {
      order = KeyedPermutation(param_.blocks(),
          vector<uint32_t>(1, param_.shuffle_seed()));
    } else {
      for (int i = 0; i < param_.blocks(); ++i) {
        order.push_back(i);
      }
    }
    table_.Reshape(vector<int>(1, param_.blocks()));
    std::copy(order.begin(), order.end(), table_.mutable_cpu_data());
    break;
  }
  case PruneParameter_Type_MAGNITUDE:
    kind_ = PruneRegion::EVERYWHERE;
    break;
  case PruneParameter_Type_NODE:
    kind_ = PruneRegion::ROWS;
    table_.Reshape(vector<int>(1, rows_));
    FindFollowers(net, layer_id);
    break;
  }
}

template <typename Dtype>
void Pruner<Dtype>::Check(const Net<Dtype>& net, int layer_id, int param_id,
    int max_iter) {
  const string what = "prune of " + name_ + ": ";
  CHECK_EQ(blob_->num_axes(), 2) << what << "only a matrix of weights can be "
      << "pruned, and this parameter has the shape " << blob_->shape_string();
  CHECK_GE(param_.start(), 0) << what << "start is negative";
  CHECK_GE(param_.iters(), 1) << what << "iters has to be at least 1";
  CHECK(max_iter <= 0 || param_.start() + param_.iters() <= max_iter) << what
      << "it ends at iteration " << param_.start() + param_.iters()
      << ", and training (max_iter) at " << max_iter;
  CHECK_GE(param_.alpha(), 0) << what << "alpha is negative";
  CHECK_GE(param_.threshold(), 0) << what << "threshold is negative";
  if (param_.type() == PruneParameter_Type_BLOCK_L1) {
    CHECK_GE(param_.blocks(), 1) << what << "blocks has to be at least 1";
    CHECK(blob_->shape(0) % param_.blocks() == 0 &&
        blob_->shape(1) % param_.blocks() == 0) << what << param_.blocks()
        << " blocks do not divide " << blob_->shape(0) << " outputs and "
        << blob_->shape(1) << " inputs";
  } else {
    const bool node = param_.type() == PruneParameter_Type_NODE;
    const int64_t most = node ? blob_->shape(0) : blob_->count();
    CHECK(param_.keep() >= 1 && param_.keep() <= most) << what << "keep is "
        << param_.keep() << ", not between 1 and the " << most
        << (node ? " outputs" : " entries");
    CHECK(param_.steps() >= 1 && param_.steps() <= param_.iters()) << what
        << "steps is " << param_.steps() << ", not between 1 and the "
        << param_.iters() << " iterations";
    CHECK(!node || param_.alpha() == 0) << what
        << "removing outputs knows no penalty: leave alpha out";
    CHECK(!node || (param_id == 0 &&
        string(net.layers()[layer_id]->type()) == "InnerProduct"))
        << what << "outputs can be removed of an InnerProduct's weights only";
  }
  // With transpose, a matrix has outputs in its columns. Blocks on the diagonal
  // are the same either way.
  const bool by_outputs = param_.type() == PruneParameter_Type_NODE ||
      param_.has_shuffle_seed();
  CHECK(!by_outputs || !Transposed(net, layer_id)) << what << "neither outputs "
      << "can be removed nor blocks shuffled of a layer that has transpose";
}

template <typename Dtype>
bool Pruner<Dtype>::Transposed(const Net<Dtype>& net, int layer_id) {
  const LayerParameter& param = net.layers()[layer_id]->layer_param();
  return param.type() == "InnerProduct" &&
      param.inner_product_param().transpose();
}

// The layer's bias, and the weights of the inner products that its outputs go
// to, through layers in place.
template <typename Dtype>
void Pruner<Dtype>::FindFollowers(const Net<Dtype>& net, int layer_id) {
  const vector<shared_ptr<Blob<Dtype> > >& own =
      net.layers()[layer_id]->blobs();
  if (own.size() > 1) {
    followers_.push_back(std::make_pair(own[1].get(), PruneRegion::ROWS));
  }
  vector<int> tops(1, net.top_ids(layer_id)[0]);
  for (int i = layer_id + 1; i < net.layers().size(); ++i) {
    const vector<int>& bottoms = net.bottom_ids(i);
    for (int j = 0; j < bottoms.size(); ++j) {
      if (std::find(tops.begin(), tops.end(), bottoms[j]) == tops.end()) {
        continue;
      }
      const vector<int>& next = net.top_ids(i);
      const string type = net.layers()[i]->type();
      if (next.size() == 1 && next[0] == bottoms[j]) {
        continue;  // in place: the same outputs
      } else if (type == "Split") {
        tops.insert(tops.end(), next.begin(), next.end());
      } else if (type == "InnerProduct" && !Transposed(net, i) &&
          net.layers()[i]->blobs()[0]->shape(1) == blob_->shape(0)) {
        followers_.push_back(std::make_pair(net.layers()[i]->blobs()[0].get(),
            PruneRegion::COLUMNS));
      } else {
        LOG(FATAL) << "prune of " << name_ << ": its outputs go to layer "
            << net.layer_names()[i] << " of type " << type
            << ", and only an InnerProduct without transpose, which takes "
            << "nothing else, can lose inputs";
      }
    }
  }
}

template <typename Dtype>
typename Pruner<Dtype>::Phase Pruner<Dtype>::phase(int iter) const {
  if (iter < param_.start()) { return BEFORE; }
  return iter < param_.start() + param_.iters() ? DURING : AFTER;
}

template <typename Dtype>
int64_t Pruner<Dtype>::left() const {
  const Dtype* w = blob_->cpu_data();
  return blob_->count() - std::count(w, w + blob_->count(), Dtype(0));
}

// A cut at the start of each of `steps` equal parts of the phase, each of which
// leaves the same fraction of what the one before left. If that of the part at
// hand, or past the phase that of the last one, was not made yet, now.
template <typename Dtype>
int64_t Pruner<Dtype>::CutTo(int iter) const {
  const int64_t steps = param_.steps();
  const int64_t done = iter - param_.start();
  const int64_t step = std::min(done * steps / param_.iters(), steps - 1);
  const bool begins = phase(iter) == DURING &&
      (done == 0 || step > (done - 1) * steps / param_.iters());
  if (cut_ && !begins) { return -1; }
  const double all = kind_ == PruneRegion::ROWS ? rows_ : blob_->count();
  return std::floor(all * std::pow(param_.keep() / all,
      (step + 1.) / steps) + 0.5);
}

template <typename Dtype>
void Pruner<Dtype>::CutEntries(int64_t keep) {
  const int64_t cut = blob_->count() - keep;
  Dtype* w = blob_->mutable_cpu_data();
  // By magnitude, among equals the first: the same on any machine.
  vector<std::pair<Dtype, int> > entries(blob_->count());
  for (int i = 0; i < entries.size(); ++i) {
    entries[i] = std::make_pair(std::fabs(w[i]), i);
    CheckSize(entries[i].first);
  }
  std::nth_element(entries.begin(), entries.begin() + cut, entries.end());
  for (int i = 0; i < cut; ++i) {
    w[entries[i].second] = 0;
  }
}

template <typename Dtype>
void Pruner<Dtype>::CutOutputs(int64_t keep) {
  const Dtype* w = blob_->cpu_data();
  vector<std::pair<Dtype, int> > outputs(rows_);
  for (int i = 0; i < rows_; ++i) {
    // Those that are removed first: the squares of others may come to 0 too.
    const Dtype squares = table_.cpu_data()[i] ? Dtype(-1) :
        caffe_cpu_dot(cols_, w + i * cols_, w + i * cols_);
    outputs[i] = std::make_pair(squares, i);
    CheckSize(squares);
  }
  std::sort(outputs.begin(), outputs.end());
  for (int i = 0; i < rows_ - keep; ++i) {
    table_.mutable_cpu_data()[outputs[i].second] = 1;
  }
  ApplyZero(PruneRegion::ROWS, blob_, DATA);
}

// What is not a number has no place in an order.
template <typename Dtype>
void Pruner<Dtype>::CheckSize(Dtype size) const {
  CHECK(!std::isnan(size)) << "Training has diverged before the cut of " << name_
      << ": some of its weights are not numbers. A smaller base_lr may help.";
}

#ifndef CPU_ONLY
template <typename Dtype>
void prune_gradient_gpu(const PruneRegion& region, Dtype l1, Dtype l2,
    const Dtype* w, Dtype* g);
template <typename Dtype>
void prune_update_gpu(const PruneRegion& region, PruneRule rule,
    Dtype threshold, const Dtype* d, Dtype* w);
template <typename Dtype>
void prune_zero_gpu(const PruneRegion& region, Dtype* w);
template <typename Dtype>
void prune_find_gpu(int rows, int cols, const Dtype* w, int* removed);
#endif

// An output is removed if all of its weights are 0. Looked at in each update,
// since weights may be set and loaded at any time.
template <typename Dtype>
void Pruner<Dtype>::FindRemovedOutputs() {
  if (kind_ != PruneRegion::ROWS) { return; }
  if (Caffe::mode() == Caffe::GPU) {
#ifndef CPU_ONLY
    prune_find_gpu(rows_, cols_, blob_->gpu_data(),
        table_.mutable_gpu_data());
#else
    NO_GPU;
#endif
    return;
  }
  for (int i = 0; i < rows_; ++i) {
    table_.mutable_cpu_data()[i] =
        AllZero(blob_->cpu_data() + i * cols_, cols_);
  }
}

template <typename Dtype>
void Pruner<Dtype>::MaskGradient(int iter) {
  if (phase(iter) == BEFORE) { return; }
  FindRemovedOutputs();
  ApplyGradient(0, 0, blob_, DIFF);
  for (int i = 0; i < followers_.size(); ++i) {
    ApplyZero(followers_[i].second, followers_[i].first, DIFF);
  }
}

template <typename Dtype>
void Pruner<Dtype>::Gradient(int iter) {
  if (phase(iter) == BEFORE) { return; }
  FindRemovedOutputs();
  const Dtype alpha = phase(iter) == DURING ? param_.alpha() : 0;
  const bool l1 = param_.type() == PruneParameter_Type_BLOCK_L1;
  ApplyGradient(l1 ? alpha : 0, l1 ? 0 : alpha, blob_, DIFF);
}

template <typename Dtype>
void Pruner<Dtype>::Update(int iter) {
  if (phase(iter) == BEFORE) {
    blob_->Update();
    return;
  }
  const bool in_steps = param_.type() != PruneParameter_Type_BLOCK_L1;
  const int64_t keep = in_steps ? CutTo(iter) : -1;
  switch (param_.type()) {
  case PruneParameter_Type_BLOCK_L1: {
    const bool last = phase(iter + 1) == AFTER;
    ApplyUpdate(last ? PRUNE_CUT : PRUNE_SHRINK, param_.threshold());
    break;
  }
  case PruneParameter_Type_MAGNITUDE:
    ApplyUpdate(PRUNE_HOLD, 0);
    if (keep >= 0) { CutEntries(keep); }
    break;
  case PruneParameter_Type_NODE:
    ApplyUpdate(PRUNE_CUT, 0);
    if (keep >= 0) { CutOutputs(keep); }
    break;
  }
  cut_ = true;
}

template <typename Dtype>
void Pruner<Dtype>::RemoveOutputs(int iter) {
  if (phase(iter) == BEFORE) { return; }
  for (int i = 0; i < followers_.size(); ++i) {
    ApplyZero(followers_[i].second, followers_[i].first, DATA);
  }
}

template <typename Dtype>
void Pruner<Dtype>::ClearHistory(int iter, const Blob<Dtype>* parameter,
    Blob<Dtype>* history) {
  const int interval = 64;  // 0.5 to the 64th is far from subnormal
  if (phase(iter) == BEFORE || iter % interval != 0) { return; }
  if (parameter == blob_) { ApplyGradient(0, 0, history, DATA); }
  for (int i = 0; i < followers_.size(); ++i) {
    if (parameter == followers_[i].first) {
      ApplyZero(followers_[i].second, history, DATA);
    }
  }
}

template <typename Dtype>
PruneRegion Pruner<Dtype>::Region(PruneRegion::Kind kind,
    const Blob<Dtype>& blob) {
  PruneRegion region;
  region.kind = kind;
  region.rows = blob.shape(0);
  region.cols = blob.count(1);
  region.block_rows = region.block_cols = 1;
  region.count = region.rows * region.cols;
  if (kind == PruneRegion::BLOCKS) {
    region.block_rows = region.rows / param_.blocks();
    region.block_cols = region.cols / param_.blocks();
  }
  region.table = NULL;
  if (kind != PruneRegion::EVERYWHERE) {
#ifndef CPU_ONLY
    region.table = Caffe::mode() == Caffe::GPU ? table_.gpu_data() :
        table_.cpu_data();
#else
    region.table = table_.cpu_data();
#endif
  }
  return region;
}

// Calls body(begin, end, inside) for all runs of entries which are in the region
// or not: loops without a test or a division for each entry.
template <typename Body>
static INLINE inline void ForEachRun(const PruneRegion& region,
    const Body& body) {
  const int cols = region.cols;
  const int count = region.count;
  if (region.kind == PruneRegion::EVERYWHERE) {
    body(0, count, true);
    return;
  }
  if (region.kind == PruneRegion::BLOCKS) {
    // What follows a row's block and what precedes the next row's are one run.
    int end = 0;
    for (int row = 0; row < region.rows; ++row) {
      const int block = row * cols + region.block_cols *
          region.table[row / region.block_rows];
      body(end, block, true);
      end = block + region.block_cols;
      body(block, end, false);
    }
    body(end, count, true);
    return;
  }
  for (int row = 0; row < region.rows; ++row) {
    const int begin = row * cols;
    if (region.kind == PruneRegion::ROWS) {
      body(begin, begin + cols, region.contains(begin));
    } else {
      for (int col = 0; col < cols; ++col) {
        body(begin + col, begin + col + 1, region.contains(col));
      }
    }
  }
}

template <typename Dtype>
static INLINE inline void GradientRuns(const PruneRegion& region, Dtype l1,
    Dtype l2, const Dtype* __restrict__ w, Dtype* __restrict__ g) {
  ForEachRun(region, [=](int begin, int end, bool inside) INLINE {
    if (!inside) { return; }
    for (int i = begin; i < end; ++i) {
      g[i] = PrunedGradient(w[i], g[i], l1, l2);
    }
  });
}

template <typename Dtype>
static INLINE inline void UpdateRuns(const PruneRegion& region, PruneRule rule,
    Dtype threshold, const Dtype* __restrict__ d, Dtype* __restrict__ w) {
  ForEachRun(region, [=](int begin, int end, bool inside) INLINE {
    if (inside && rule == PRUNE_SHRINK) {
      for (int i = begin; i < end; ++i) {
        w[i] = PrunedWeight(w[i], d[i], PRUNE_SHRINK, threshold);
      }
    } else if (inside) {
      for (int i = begin; i < end; ++i) {
        w[i] = PrunedWeight(w[i], d[i], rule, threshold);
      }
    } else {
      for (int i = begin; i < end; ++i) {
        w[i] -= d[i];
      }
    }
  });
}

CAFFE_TARGET_CLONES
static void prune_gradient_cpu(const PruneRegion& region, float l1, float l2,
    const float* w, float* g) {
  GradientRuns(region, l1, l2, w, g);
}

CAFFE_TARGET_CLONES
static void prune_gradient_cpu(const PruneRegion& region, double l1, double l2,
    const double* w, double* g) {
  GradientRuns(region, l1, l2, w, g);
}

CAFFE_TARGET_CLONES
static void prune_update_cpu(const PruneRegion& region, PruneRule rule,
    float threshold, const float* d, float* w) {
  UpdateRuns(region, rule, threshold, d, w);
}

CAFFE_TARGET_CLONES
static void prune_update_cpu(const PruneRegion& region, PruneRule rule,
    double threshold, const double* d, double* w) {
  UpdateRuns(region, rule, threshold, d, w);
}

template <typename Dtype>
void Pruner<Dtype>::ApplyGradient(Dtype l1, Dtype l2, Blob<Dtype>* gradient,
    Part part) {
  const PruneRegion region = Region(kind_, *blob_);
  if (Caffe::mode() == Caffe::GPU) {
#ifndef CPU_ONLY
    prune_gradient_gpu(region, l1, l2, blob_->gpu_data(), part == DIFF ?
        gradient->mutable_gpu_diff() : gradient->mutable_gpu_data());
#else
    NO_GPU;
#endif
    return;
  }
  prune_gradient_cpu(region, l1, l2, blob_->cpu_data(), part == DIFF ?
      gradient->mutable_cpu_diff() : gradient->mutable_cpu_data());
}

template <typename Dtype>
void Pruner<Dtype>::ApplyUpdate(PruneRule rule, Dtype threshold) {
  const PruneRegion region = Region(kind_, *blob_);
  // With 0, what is not above 0 is pruned all the same.
  threshold = std::max(threshold, std::numeric_limits<Dtype>::denorm_min());
  if (Caffe::mode() == Caffe::GPU) {
#ifndef CPU_ONLY
    prune_update_gpu(region, rule, threshold, blob_->gpu_diff(),
        blob_->mutable_gpu_data());
#else
    NO_GPU;
#endif
    return;
  }
  prune_update_cpu(region, rule, threshold, blob_->cpu_diff(),
      blob_->mutable_cpu_data());
}

template <typename Dtype>
void Pruner<Dtype>::ApplyZero(PruneRegion::Kind kind, Blob<Dtype>* blob,
    Part part) {
  const PruneRegion region = Region(kind, *blob);
  if (Caffe::mode() == Caffe::GPU) {
#ifndef CPU_ONLY
    prune_zero_gpu(region, part == DIFF ? blob->mutable_gpu_diff() :
        blob->mutable_gpu_data());
#else
    NO_GPU;
#endif
    return;
  }
  Dtype* values = part == DIFF ? blob->mutable_cpu_diff() :
      blob->mutable_cpu_data();
  ForEachRun(region, [=](int begin, int end, bool inside) {
    for (int i = begin; inside && i < end; ++i) {
      values[i] = 0;
    }
  });
}

INSTANTIATE_CLASS(Pruner);

}  // namespace caffe

#undef INLINE
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC pop_options
#endif
