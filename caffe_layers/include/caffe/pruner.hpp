#ifndef CAFFE_PRUNER_HPP_
#define CAFFE_PRUNER_HPP_

#include <stdint.h>

#include <string>
#include <utility>
#include <vector>

#include "caffe/blob.hpp"
#include "caffe/net.hpp"
#include "caffe/proto/caffe.pb.h"
#include "caffe/util/prune_math.hpp"

namespace caffe {

/**
 * @brief Prunes one parameter while a solver trains it: what `prune { }` in a
 *        ParamSpec asks for (PruneParameter in caffe.proto says what that is).
 *
 * In iteration t an update of a pruned parameter is, in this order,
 *   1. clipping, in which entries that are pruned already have no gradient,
 *   2. division by iter_size and the solver's own regularization,
 *   3. Gradient(t): the penalty is added, what is pruned loses its gradient,
 *   4. the solver's update value (momentum, Adam's moments ...),
 *   5. Update(t): w -= update; what is pruned stays 0, and what is to be pruned
 *      now becomes 0,
 *   6. RemoveOutputs(t): for NODE, bias and next weights of removed outputs
 *      become 0,
 *   7. ClearHistory(t): now and then, what the solver remembers of pruned
 *      entries becomes 0.
 * An entry that may be pruned and is 0 is pruned, whoever set it: there is no
 * other state, so weights are all that a snapshot has to hold.
 */
template <typename Dtype>
class Pruner {
 public:
  /// @param param_id index of the parameter among the layer's blobs
  Pruner(const PruneParameter& param, const Net<Dtype>& net, int layer_id,
      int param_id, int max_iter);

  /// @brief No gradient for what is pruned, before the norm of all is taken.
  void MaskGradient(int iter);
  void Gradient(int iter);
  void Update(int iter);
  void RemoveOutputs(int iter);
  /// @brief Pruned entries have no gradient, so that their momentum decays: to
  ///        subnormal numbers, with which processors are many times slower, and
  ///        which never become 0. It moves nothing, and is cleared in time.
  /// @param parameter whose history it is, this one or any other
  void ClearHistory(int iter, const Blob<Dtype>* parameter,
      Blob<Dtype>* history);
  /// @brief To be called when weights came from elsewhere (a snapshot): they may
  ///        not be pruned as far as the phase has come.
  void Forget() { cut_ = false; }

  /// @brief How many entries of the parameter are not 0.
  int64_t left() const;
  int64_t count() const { return blob_->count(); }
  const string& name() const { return name_; }
  Blob<Dtype>* blob() const { return blob_; }

 protected:
  enum Phase { BEFORE, DURING, AFTER };
  enum Part { DATA, DIFF };
  Phase phase(int iter) const;
  void Check(const Net<Dtype>& net, int layer_id, int param_id, int max_iter);
  /// @brief Whether a layer's weights are stored as inputs by outputs.
  static bool Transposed(const Net<Dtype>& net, int layer_id);
  void FindFollowers(const Net<Dtype>& net, int layer_id);
  /// @brief How many entries (MAGNITUDE) or outputs (NODE) are to be left after
  ///        the update of iteration iter; -1: nothing is cut in it.
  int64_t CutTo(int iter) const;
  void CutEntries(int64_t keep);
  void CutOutputs(int64_t keep);
  void CheckSize(Dtype size) const;
  /// @brief NODE: sets table_ to what the weights say.
  void FindRemovedOutputs();
  PruneRegion Region(PruneRegion::Kind kind, const Blob<Dtype>& blob);
  /// @param gradient the blob whose data, or diff, is the gradient
  void ApplyGradient(Dtype l1, Dtype l2, Blob<Dtype>* gradient, Part part);
  void ApplyUpdate(PruneRule rule, Dtype threshold);
  void ApplyZero(PruneRegion::Kind kind, Blob<Dtype>* blob, Part part);

  const PruneParameter param_;
  string name_;
  Blob<Dtype>* blob_;
  int rows_, cols_;
  PruneRegion::Kind kind_;
  /// BLOCKS: the block of columns that belongs to each block of rows. ROWS: 1
  /// for outputs that are removed.
  Blob<int> table_;
  bool cut_;  ///< MAGNITUDE, NODE: whether as much is cut as has to be by now
  /// NODE: what else loses removed outputs, and whether by rows or by columns.
  vector<std::pair<Blob<Dtype>*, PruneRegion::Kind> > followers_;

  DISABLE_COPY_AND_ASSIGN(Pruner);
};

}  // namespace caffe

#endif  // CAFFE_PRUNER_HPP_
