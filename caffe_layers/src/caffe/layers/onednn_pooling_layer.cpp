#ifdef USE_ONEDNN
#include <algorithm>
#include <cfloat>
#include <cstring>
#include <type_traits>
#include <vector>

#include "caffe/layers/onednn_pooling_layer.hpp"
#include "caffe/util/target_clones.hpp"

// All processors' clones round alike: there are no products to be fused with
// sums.

namespace caffe {

namespace {

// So many windows at a time. (GCC's and Clang's vectors: loops over arrays of a
// constant length are unrolled before they could become vectors.)
const int kLanes = 8;
typedef float Floats __attribute__((vector_size(32), aligned(4), may_alias));
typedef int Ints __attribute__((vector_size(32), aligned(4), may_alias));

inline const Floats& At(const float* data) {
  return *reinterpret_cast<const Floats*>(data);
}

int RoundUp(int count) { return (count + kLanes - 1) / kLanes * kLanes; }

}  // namespace

// How the planes of one layer are pooled. The columns of a padded plane are
// sorted by their remainder modulo the stride ("part"), so that what
// neighbouring windows have at the same place lies side by side.
struct OneDNNPlane {
  int height, width, pooled_height, pooled_width;
  int kernel_h, kernel_w, stride_h, stride_w, pad_h, pad_w;

  // Columns and rows of the image that windows reach.
  int columns() const {
    return std::min(width, (pooled_width - 1) * stride_w + kernel_w - pad_w);
  }
  int rows() const {
    return std::min(height, (pooled_height - 1) * stride_h + kernel_h - pad_h);
  }
  int padded_rows() const { return (pooled_height - 1) * stride_h + kernel_h; }
  // How far the last column of a window is from its first, within a part.
  int reach() const { return (kernel_w - 1) / stride_w; }
  int part() const { return RoundUp(pooled_width) + reach(); }
  // Where column kw of the first window is in its row. (Divisions would cost
  // more than all else, so a table.)
  vector<int> at;
  void SetAt() {
    at.clear();
    for (int kw = 0; kw < kernel_w; ++kw) {
      at.push_back(kw % stride_w * part() + kw / stride_w);
    }
  }
  // What the window's sum is divided by.
  int size(int ph, int pw) const {
    const int top = ph * stride_h - pad_h, left = pw * stride_w - pad_w;
    return (std::min(top + kernel_h, height + pad_h) - top) *
        (std::min(left + kernel_w, width + pad_w) - left);
  }
};

// The image into `padded`, in which the margins are set already.
CAFFE_TARGET_CLONES
static void Pad(const OneDNNPlane& p, const float* image,
    float* padded) {
  const int rows = p.rows(), columns = p.columns(), part = p.part();
  for (int r = 0; r < p.stride_w; ++r) {
    // The first column of the image whose padded one is in part r.
    const int first = ((r - p.pad_w) % p.stride_w + p.stride_w) % p.stride_w;
    const int count = (columns - first + p.stride_w - 1) / p.stride_w;
    const float* from = image + first;
    float* to = padded + (p.pad_h * p.stride_w + r) * part +
        (first + p.pad_w) / p.stride_w;
    for (int h = 0; h < rows; ++h) {
      if (p.stride_w == 2) {  // a constant stride makes vectors
        for (int i = 0; i < count; ++i) { to[i] = from[2 * i]; }
      } else {
        for (int i = 0; i < count; ++i) { to[i] = from[i * p.stride_w]; }
      }
      from += p.width;
      to += p.stride_w * part;
    }
  }
}

CAFFE_TARGET_CLONES
static void MaxPlane(const OneDNNPlane& p, const float* padded,
    float* top, int* mask) {
  const int part = p.part();
  const int* column = p.at.data();
  for (int ph = 0; ph < p.pooled_height; ++ph) {
    for (int start = 0; start < p.pooled_width; start += kLanes) {
      Floats best;
      Ints best_at, at;
      for (int i = 0; i < kLanes; ++i) {
        best[i] = -FLT_MAX;
        best_at[i] = -1;
        at[i] = (start + i) * p.stride_w;
      }
      for (int kh = 0; kh < p.kernel_h; ++kh) {
        const int h = ph * p.stride_h + kh;
        const float* row = padded + h * p.stride_w * part + start;
        for (int kw = 0; kw < p.kernel_w; ++kw) {
          const Floats x = At(row + column[kw]);
          const int offset = (h - p.pad_h) * p.width + kw - p.pad_w;
          const Ints more = x > best;
          best = more ? x : best;
          best_at = more ? at + offset : best_at;
        }
      }
      const int count = std::min(kLanes, p.pooled_width - start);
      memcpy(top + ph * p.pooled_width + start, &best, count * sizeof(*top));
      memcpy(mask + ph * p.pooled_width + start, &best_at,
          count * sizeof(*mask));
    }
  }
}

// A plane is set to 0 and filled while it is in the first cache. Where nothing
// was above -FLT_MAX, as in a net that diverged, nothing is to be added.
static void MaxPlaneBackward(const float* top, const int* mask, int count,
    int size, float* image) {
  std::fill(image, image + size, 0.f);
  for (int i = 0; i < count; ++i) {
    if (mask[i] >= 0) { image[mask[i]] += top[i]; }
  }
}

CAFFE_TARGET_CLONES
static void AveragePlane(const OneDNNPlane& p, const float* padded,
    const float* sizes, float* top) {
  const int part = p.part();
  const int* column = p.at.data();
  for (int ph = 0; ph < p.pooled_height; ++ph) {
    for (int start = 0; start < p.pooled_width; start += kLanes) {
      Floats sum = {0};
      for (int kh = 0; kh < p.kernel_h; ++kh) {
        const float* row = padded + (ph * p.stride_h + kh) * p.stride_w * part +
            start;
        for (int kw = 0; kw < p.kernel_w; ++kw) {
          sum += At(row + column[kw]);
        }
      }
      const int count = std::min(kLanes, p.pooled_width - start);
      const int index = ph * p.pooled_width + start;
      for (int i = 0; i < count; ++i) {
        top[index + i] = sum[i] / sizes[index + i];
      }
    }
  }
}

// `shares`: what each window gives to each of its entries, in rows of
// `row` numbers, of which the first reach() and those behind the last window
// are 0. Each entry of the image gathers its windows' shares in their order.
CAFFE_TARGET_CLONES
static void AveragePlaneBackward(const OneDNNPlane& p, const float* top,
    const float* sizes, int row, float* shares, float* image) {
  for (int ph = 0; ph < p.pooled_height; ++ph) {
    float* share = shares + ph * row + p.reach();
    const int index = ph * p.pooled_width;
    for (int pw = 0; pw < p.pooled_width; ++pw) {
      share[pw] = top[index + pw] / sizes[index + pw];
    }
  }
  const int rows = p.rows(), columns = p.columns();
  for (int h = 0; h < rows; ++h) {
    float* line = image + h * p.width;
    const int bottom = h + p.pad_h;
    const int first_ph = bottom < p.kernel_h ? 0 :
        (bottom - p.kernel_h) / p.stride_h + 1;
    const int last_ph = std::min(bottom / p.stride_h, p.pooled_height - 1);
    for (int r = 0; r < p.stride_w; ++r) {
      const int most = (p.kernel_w - 1 - r) / p.stride_w;
      const int end = (columns + p.pad_w - r + p.stride_w - 1) / p.stride_w;
      for (int start = 0; start < end; start += kLanes) {
        Floats sum = {0};
        if (r < p.kernel_w) {
          for (int ph = first_ph; ph <= last_ph; ++ph) {
            const float* share = shares + ph * row + p.reach() + start;
            for (int back = most; back >= 0; --back) {
              sum += At(share - back);
            }
          }
        }
        const int left = start * p.stride_w + r - p.pad_w;
        const int count = std::min(kLanes, end - start);
        for (int i = 0; i < count; ++i) {
          const int w = left + i * p.stride_w;
          if (w >= 0) { line[w] = sum[i]; }
        }
      }
    }
    for (int w = std::max(columns, 0); w < p.width; ++w) { line[w] = 0; }
  }
  std::fill(image + rows * p.width, image + p.height * p.width, 0.f);
}

template <typename Dtype>
bool OneDNNPoolingLayer<Dtype>::Prepare(const vector<Blob<Dtype>*>& top) {
  const PoolingParameter_PoolMethod pool =
      this->layer_param_.pooling_param().pool();
  // Where the stride is larger a window can be empty.
  if (!std::is_same<Dtype, float>::value || top.size() > 1 ||
      this->stride_h_ > this->kernel_h_ || this->stride_w_ > this->kernel_w_ ||
      (pool != PoolingParameter_PoolMethod_MAX &&
       pool != PoolingParameter_PoolMethod_AVE)) {
    return false;
  }
  // The rest follows from these, or does not change while a layer lives.
  if (plane_ && plane_->height == this->height_ &&
      plane_->width == this->width_) {
    return true;
  }
  plane_.reset(new OneDNNPlane{this->height_, this->width_,
      this->pooled_height_, this->pooled_width_, this->kernel_h_,
      this->kernel_w_, this->stride_h_, this->stride_w_, this->pad_h_,
      this->pad_w_});
  plane_->SetAt();
  const OneDNNPlane& plane = *plane_;
  // Entries of the margin are in no sum and no maximum.
  padded_.assign(plane.padded_rows() * plane.stride_w * plane.part(),
      is_max() ? -FLT_MAX : 0);
  sizes_.clear();
  shares_.clear();
  if (!is_max()) {
    for (int ph = 0; ph < plane.pooled_height; ++ph) {
      for (int pw = 0; pw < plane.pooled_width; ++pw) {
        sizes_.push_back(plane.size(ph, pw));
      }
    }
    share_row_ = plane.reach() + RoundUp(std::max(plane.pooled_width,
        (plane.columns() + plane.pad_w + plane.stride_w - 1) /
        plane.stride_w));
    shares_.assign(plane.pooled_height * share_row_, 0);
  }
  return true;
}

// Only the float layer gets to the loops; the double one has to compile.
template <typename Dtype>
static const float* AsFloat(const Dtype* data) {
  return reinterpret_cast<const float*>(data);
}
template <typename Dtype>
static float* AsFloat(Dtype* data) { return reinterpret_cast<float*>(data); }

template <typename Dtype>
void OneDNNPoolingLayer<Dtype>::Forward_cpu(const vector<Blob<Dtype>*>& bottom,
    const vector<Blob<Dtype>*>& top) {
  if (!Prepare(top)) {
    PoolingLayer<Dtype>::Forward_cpu(bottom, top);
    return;
  }
  const float* image = AsFloat(bottom[0]->cpu_data());
  float* pooled = AsFloat(top[0]->mutable_cpu_data());
  int* mask = is_max() ? this->max_idx_.mutable_cpu_data() : NULL;
  const int planes = bottom[0]->num() * this->channels_;
  const int pooled_size = this->pooled_height_ * this->pooled_width_;
  for (int i = 0; i < planes; ++i) {
    Pad(*plane_, image + i * this->height_ * this->width_, padded_.data());
    if (is_max()) {
      MaxPlane(*plane_, padded_.data(), pooled + i * pooled_size,
          mask + i * pooled_size);
    } else {
      AveragePlane(*plane_, padded_.data(), sizes_.data(),
          pooled + i * pooled_size);
    }
  }
}

template <typename Dtype>
void OneDNNPoolingLayer<Dtype>::Backward_cpu(const vector<Blob<Dtype>*>& top,
    const vector<bool>& propagate_down, const vector<Blob<Dtype>*>& bottom) {
  if (!Prepare(top)) {
    PoolingLayer<Dtype>::Backward_cpu(top, propagate_down, bottom);
    return;
  }
  if (!propagate_down[0]) { return; }
  const float* pooled = AsFloat(top[0]->cpu_diff());
  float* image = AsFloat(bottom[0]->mutable_cpu_diff());
  const int* mask = is_max() ? this->max_idx_.cpu_data() : NULL;
  const int planes = bottom[0]->num() * this->channels_;
  const int size = this->height_ * this->width_;
  const int pooled_size = this->pooled_height_ * this->pooled_width_;
  for (int i = 0; i < planes; ++i, image += size, pooled += pooled_size) {
    if (is_max()) {
      MaxPlaneBackward(pooled, mask + i * pooled_size, pooled_size, size,
          image);
    } else {
      AveragePlaneBackward(*plane_, pooled, sizes_.data(), share_row_,
          shares_.data(), image);
    }
  }
}

INSTANTIATE_CLASS(OneDNNPoolingLayer);

}  // namespace caffe
#endif  // USE_ONEDNN
