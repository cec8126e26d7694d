#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "google/protobuf/text_format.h"
#include "gtest/gtest.h"

#include "caffe/blob.hpp"
#include "caffe/common.hpp"
#include "caffe/filler.hpp"
#include "caffe/sgd_solvers.hpp"
#include "caffe/util/io.hpp"
#include "caffe/util/prune_math.hpp"

#include "caffe/test/test_caffe_main.hpp"

using std::ostringstream;

namespace caffe {

// 4 outputs, 6 inputs, then 3 outputs: small enough for updates by hand.
static const int kInputs = 6;
static const int kHidden = 4;
static const int kOutputs = 3;

template <typename TypeParam>
class PrunerTest : public MultiDeviceTest<TypeParam> {
  typedef typename TypeParam::Dtype Dtype;

 protected:
  virtual void SetUp() { MakeTempDir(&folder_); }

  // prune: of ip1's weights; more: fields of the solver; extra_layers: before
  // ip2; ip1: more of its inner_product_param.
  shared_ptr<Solver<Dtype> > NewSolver(const string& prune,
      const string& more, const string& extra_layers = "",
      const string& ip1 = "") {
    const string text = "base_lr: 0.1 lr_policy: 'fixed' random_seed: 3 "
        "max_iter: 40 snapshot_after_train: false snapshot_prefix: '" +
        folder_ + "/snap' " + more + " net_param { "
        "layer { name: 'in' type: 'Input' top: 'data' top: 'target' input_param "
        "{ shape { dim: 5 dim: 6 } shape { dim: 5 dim: 3 } } } "
        "layer { name: 'ip1' type: 'InnerProduct' bottom: 'data' top: 'ip1' "
        "param { lr_mult: 1 " + prune + " } inner_product_param { "
        "num_output: 4 " + ip1 + " weight_filler { type: 'gaussian' std: 0.5 } "
        "bias_filler { type: 'constant' value: 0.2 } } } "
        "layer { name: 'act' type: 'Sigmoid' bottom: 'ip1' top: 'ip1' } " +
        extra_layers +
        "layer { name: 'ip2' type: 'InnerProduct' bottom: 'ip1' top: 'ip2' "
        "inner_product_param { num_output: 3 "
        "weight_filler { type: 'gaussian' std: 0.5 } } } "
        "layer { name: 'loss' type: 'EuclideanLoss' bottom: 'ip2' "
        "bottom: 'target' top: 'loss' } }";
    SolverParameter param;
    CHECK(google::protobuf::TextFormat::ParseFromString(text, &param)) << text;
    param.set_solver_mode(Caffe::mode() == Caffe::CPU ?
        SolverParameter_SolverMode_CPU : SolverParameter_SolverMode_GPU);
    shared_ptr<Solver<Dtype> > solver(
        SolverRegistry<Dtype>::CreateSolver(param));
    Caffe::set_random_seed(8);
    FillerParameter filler_param;
    GaussianFiller<Dtype> filler(filler_param);
    filler.Fill(solver->net()->blob_by_name("data").get());
    filler.Fill(solver->net()->blob_by_name("target").get());
    return solver;
  }

  Blob<Dtype>* Weights(Solver<Dtype>* solver, int i = 0) {
    return solver->net()->learnable_params()[i];
  }
  vector<Dtype> Values(const Blob<Dtype>& blob) {
    return vector<Dtype>(blob.cpu_data(), blob.cpu_data() + blob.count());
  }
  int Nonzero(const Blob<Dtype>& blob) {
    return blob.count() - std::count(blob.cpu_data(),
        blob.cpu_data() + blob.count(), Dtype(0));
  }
  static bool OffBlocks(int i, int blocks) {
    return i % kInputs / (kInputs / blocks) !=
        i / kInputs / (kHidden / blocks);
  }

  // SGD with momentum and a BLOCK_L1 penalty, written out entry by entry, next
  // to the solver: all weights have to agree in every iteration.
  void CheckBlockL1(const string& regularization, double clip, int iter_size) {
    const int start = 3, iters = 6, blocks = 2;
    const double alpha = 0.3, threshold = 0.01, momentum = 0.9, decay = 0.05;
    const double lr = 0.1;
    ostringstream prune, more;
    prune << "prune { type: BLOCK_L1 blocks: 2 start: 3 iters: 6 alpha: 0.3 "
        << "threshold: 0.01 }";
    more << "momentum: 0.9 weight_decay: 0.05 regularization_type: '"
        << regularization << "' iter_size: " << iter_size
        << " clip_gradients: " << clip;
    shared_ptr<Solver<Dtype> > solver = NewSolver(prune.str(), more.str());
    const vector<Blob<Dtype>*>& params = solver->net()->learnable_params();
    vector<vector<double> > w, history;
    for (int p = 0; p < params.size(); ++p) {
      const vector<Dtype> values = Values(*params[p]);
      w.push_back(vector<double>(values.begin(), values.end()));
      history.push_back(vector<double>(values.size(), 0.));
    }
    int died_early = 0;
    for (int t = 0; t < start + iters + 4; ++t) {
      // The loss's gradient at the weights which both have.
      solver->net()->ClearParamDiffs();
      solver->net()->ForwardBackward();
      vector<vector<double> > g(params.size());
      double squares = 0;
      for (int p = 0; p < params.size(); ++p) {
        g[p].assign(params[p]->cpu_diff(),
            params[p]->cpu_diff() + params[p]->count());
        for (int i = 0; i < g[p].size(); ++i) {
          // iter_size equal batches are added up before they are clipped.
          g[p][i] *= iter_size;
          if (p == 0 && t >= start && OffBlocks(i, blocks) && w[0][i] == 0) {
            g[p][i] = 0;
          }
          squares += g[p][i] * g[p][i];
        }
      }
      const double norm = std::sqrt(squares);
      const double scale = (clip > 0 && norm > clip ? clip / norm : 1)
          / iter_size;
      for (int p = 0; p < params.size(); ++p) {
        for (int i = 0; i < g[p].size(); ++i) {
          const double before = w[p][i];
          const double sign = (before > 0) - (before < 0);
          const bool off = p == 0 && OffBlocks(i, blocks);
          double gradient = g[p][i] * scale +
              decay * (regularization == "L2" ? before : sign);
          if (off && t >= start && t < start + iters) {
            gradient += alpha * sign;
          }
          if (off && t >= start && before == 0) { gradient = 0; }
          history[p][i] = momentum * history[p][i] + lr * gradient;
          w[p][i] = before - history[p][i];
          if (off && t >= start) {
            const bool crossed = w[p][i] * before <= 0;
            const bool small = std::fabs(w[p][i]) < threshold;
            if (crossed || small || t >= start + iters - 1) { w[p][i] = 0; }
          }
          died_early += off && t < start + iters - 1 && before != 0 &&
              w[p][i] == 0;
        }
      }
      solver->Step(1);
      for (int p = 0; p < params.size(); ++p) {
        for (int i = 0; i < w[p].size(); ++i) {
          ASSERT_NEAR(w[p][i], params[p]->cpu_data()[i], 1e-4) << "iteration "
              << t << ", parameter " << p << ", entry " << i;
          ASSERT_EQ(w[p][i] == 0, params[p]->cpu_data()[i] == 0)
              << "iteration " << t << ", parameter " << p << ", entry " << i;
        }
      }
    }
    EXPECT_GT(died_early, 0);  // not only in the last iteration
    for (int i = 0; i < w[0].size(); ++i) {
      EXPECT_EQ(OffBlocks(i, blocks), w[0][i] == 0) << "entry " << i;
    }
  }

  // Stopping at any iteration and going on changes no bit.
  void CheckResume(const string& prune, const string& type) {
    const int total = 16;
    const string formats[] = {"BINARYPROTO", "HDF5"};
    for (int f = 0; f < 2; ++f) {
      const string more = "type: '" + type + "' momentum: 0.9 "
          "weight_decay: 0.01 snapshot_format: " + formats[f];
      shared_ptr<Solver<Dtype> > whole = NewSolver(prune, more);
      whole->Step(total);
      for (int stop = 0; stop <= total; ++stop) {
        {
          shared_ptr<Solver<Dtype> > first = NewSolver(prune, more);
          first->Step(stop);
          first->Snapshot();
        }
        shared_ptr<Solver<Dtype> > second = NewSolver(prune, more);
        ostringstream file;
        file << folder_ << "/snap_iter_" << stop << ".solverstate"
            << (f ? ".h5" : "");
        second->Restore(file.str().c_str());
        second->Step(total - stop);
        for (int p = 0; p < whole->net()->learnable_params().size(); ++p) {
          ASSERT_TRUE(Values(*Weights(whole.get(), p)) ==
              Values(*Weights(second.get(), p))) << prune << ", " << type
              << ", " << formats[f] << ", stopped at " << stop
              << ", parameter " << p;
        }
      }
    }
  }

  string folder_;
};

TYPED_TEST_CASE(PrunerTest, TestDtypesAndDevices);

TYPED_TEST(PrunerTest, TestBlockL1ByHand) {
  this->CheckBlockL1("L2", -1, 1);
}

TYPED_TEST(PrunerTest, TestBlockL1ByHandL1) {
  this->CheckBlockL1("L1", -1, 1);
}

TYPED_TEST(PrunerTest, TestBlockL1ByHandClipped) {
  this->CheckBlockL1("L2", 0.4, 1);
}

TYPED_TEST(PrunerTest, TestBlockL1ByHandIterSize) {
  this->CheckBlockL1("L2", 0.4, 3);
}

// The literal reading of Eq. 1, with the indicator as it is printed, would
// shrink the blocks: they must not feel the penalty.
TYPED_TEST(PrunerTest, TestBlocksFeelNoPenalty) {
  typedef typename TypeParam::Dtype Dtype;
  vector<vector<Dtype> > w;
  for (int i = 0; i < 2; ++i) {
    shared_ptr<Solver<Dtype> > solver = this->NewSolver(string("prune { "
        "type: BLOCK_L1 blocks: 2 iters: 9 threshold: 0 alpha: ") +
        (i ? "0.4 }" : "0 }"), "");
    solver->Step(1);
    w.push_back(this->Values(*this->Weights(solver.get())));
  }
  for (int i = 0; i < w[0].size(); ++i) {
    if (this->OffBlocks(i, 2)) {
      EXPECT_NE(w[0][i], w[1][i]);
    } else {
      EXPECT_EQ(w[0][i], w[1][i]);
    }
  }
}

// With every solver: off the blocks all is 0 after the phase and stays so, on
// the blocks nothing is.
TYPED_TEST(PrunerTest, TestBlockL1WithAllSolvers) {
  typedef typename TypeParam::Dtype Dtype;
  const char* types[] = {"SGD", "Nesterov", "AdaGrad", "RMSProp", "AdaDelta",
      "Adam"};
  for (int s = 0; s < 6; ++s) {
    const string type = types[s];
    const string momentum = type == "AdaGrad" || type == "RMSProp" ? "" :
        "momentum: 0.9 ";
    shared_ptr<Solver<Dtype> > solver = this->NewSolver(
        "prune { type: BLOCK_L1 blocks: 2 start: 2 iters: 7 alpha: 0.1 }",
        "type: '" + type + "' " + momentum + "weight_decay: 0.01");
    for (int t = 0; t < 20; ++t) {
      solver->Step(1);
      const vector<Dtype> w = this->Values(*this->Weights(solver.get()));
      for (int i = 0; i < w.size(); ++i) {
        if (!this->OffBlocks(i, 2)) {
          EXPECT_NE(w[i], 0) << type << ", iteration " << t;
        } else if (t < 2) {
          EXPECT_NE(w[i], 0) << type << ", iteration " << t;
        } else if (t >= 8) {
          EXPECT_EQ(w[i], 0) << type << ", iteration " << t;
        }
      }
    }
  }
}

// Rows that are longer than vectors, and no multiple of them: all entries,
// block by block, to the bit.
TYPED_TEST(PrunerTest, TestBlockL1LongRows) {
  typedef typename TypeParam::Dtype Dtype;
  const int outputs = 12, inputs = 237, blocks = 3;
  SolverParameter param;
  ostringstream text;
  text << "base_lr: 0.125 lr_policy: 'fixed' random_seed: 3 max_iter: 9 "
      "snapshot_after_train: false net_param { "
      "layer { name: 'in' type: 'Input' top: 'data' top: 'target' input_param "
      "{ shape { dim: 5 dim: " << inputs << " } shape { dim: 5 dim: "
      << outputs << " } } } layer { name: 'ip' type: 'InnerProduct' "
      "bottom: 'data' top: 'ip' param { prune { type: BLOCK_L1 blocks: "
      << blocks << " iters: 9 alpha: 0.25 threshold: 0.0625 } } "
      "inner_product_param { num_output: " << outputs << " bias_term: false "
      "weight_filler { type: 'gaussian' std: 0.5 } } } "
      "layer { name: 'loss' type: 'EuclideanLoss' bottom: 'ip' "
      "bottom: 'target' top: 'loss' } }";
  CHECK(google::protobuf::TextFormat::ParseFromString(text.str(), &param));
  param.set_solver_mode(Caffe::mode() == Caffe::CPU ?
      SolverParameter_SolverMode_CPU : SolverParameter_SolverMode_GPU);
  SGDSolver<Dtype> solver(param);
  FillerParameter filler_param;
  GaussianFiller<Dtype> filler(filler_param);
  filler.Fill(solver.net()->blob_by_name("data").get());
  filler.Fill(solver.net()->blob_by_name("target").get());
  const Blob<Dtype>& weights = *this->Weights(&solver);
  for (int t = 0; t < 9; ++t) {
    const vector<Dtype> w = this->Values(weights);
    solver.net()->ClearParamDiffs();
    solver.net()->ForwardBackward();
    const vector<Dtype> g(weights.cpu_diff(),
        weights.cpu_diff() + weights.count());
    solver.Step(1);
    for (int i = 0; i < w.size(); ++i) {
      const bool off = i % inputs / (inputs / blocks) !=
          i / inputs / (outputs / blocks);
      const Dtype rate = 0.125;
      Dtype expected = w[i] - rate * g[i];
      if (off) {
        const Dtype step = rate * (g[i] + Dtype(w[i] > 0 ? 0.25 : -0.25));
        expected = w[i] - step;
        if (w[i] == 0 || expected * w[i] < 0 || t == 8 ||
            std::fabs(expected) < 0.0625) {
          expected = 0;
        }
      }
      ASSERT_EQ(expected, weights.cpu_data()[i]) << i << ", iteration " << t;
    }
  }
}

// What the solver remembers of pruned entries becomes 0, of others it does not;
// of the biases and the next weights of removed outputs too.
TYPED_TEST(PrunerTest, TestHistoryIsCleared) {
  typedef typename TypeParam::Dtype Dtype;
  const char* types[] = {"SGD", "Adam"};
  const char* prunes[] = {
      "prune { type: BLOCK_L1 blocks: 2 start: 2 iters: 7 alpha: 0.1 }",
      "prune { type: NODE keep: 2 start: 2 iters: 7 steps: 2 }"};
  for (int s = 0; s < 4; ++s) {
    shared_ptr<Solver<Dtype> > solver = this->NewSolver(prunes[s / 2],
        string("momentum: 0.9 weight_decay: 0.01 type: '") + types[s % 2] + "'");
    const vector<shared_ptr<Blob<Dtype> > >& history =
        static_cast<SGDSolver<Dtype>*>(solver.get())->history();
    const int params = solver->net()->learnable_params().size();
    solver->Step(65);
    int cleared = 0;
    for (int h = 0; h < history.size(); ++h) {
      const Dtype* w = this->Weights(solver.get(), h % params)->cpu_data();
      for (int i = 0; i < history[h]->count(); ++i) {
        EXPECT_EQ(w[i] == 0, history[h]->cpu_data()[i] == 0) << prunes[s / 2]
            << ", " << types[s % 2] << ", history " << h << ", entry " << i;
        cleared += w[i] == 0;
      }
    }
    // Half of 24 weights; and with two outputs two biases and 2 x 3 weights.
    EXPECT_EQ((s / 2 ? 12 + 2 + 6 : 12) * (s % 2 + 1), cleared);
  }
}

// However long training goes on, no subnormal number is left.
TYPED_TEST(PrunerTest, TestHistoryHasNoSubnormals) {
  typedef typename TypeParam::Dtype Dtype;
  const char* prunes[] = {
      "prune { type: BLOCK_L1 blocks: 2 start: 2 iters: 7 alpha: 0.1 }",
      "prune { type: MAGNITUDE keep: 8 start: 2 iters: 7 steps: 2 }",
      "prune { type: NODE keep: 2 start: 2 iters: 7 steps: 2 }"};
  for (int s = 0; s < 3; ++s) {
    // A momentum that by itself gets there in 200 iterations of float, and 1,500
    // of double.
    shared_ptr<Solver<Dtype> > solver =
        this->NewSolver(prunes[s], "momentum: 0.6 weight_decay: 0.01");
    const vector<shared_ptr<Blob<Dtype> > >& history =
        static_cast<SGDSolver<Dtype>*>(solver.get())->history();
    solver->Step(sizeof(Dtype) == 4 ? 250 : 1550);
    for (int h = 0; h < history.size(); ++h) {
      for (int i = 0; i < history[h]->count(); ++i) {
        EXPECT_NE(FP_SUBNORMAL, std::fpclassify(history[h]->cpu_data()[i]))
            << prunes[s] << ", history " << h << ", entry " << i;
      }
    }
  }
}

TYPED_TEST(PrunerTest, TestBlockL1IntoPermutedBlocks) {
  typedef typename TypeParam::Dtype Dtype;
  vector<vector<int> > kept;
  for (int seed = 1; seed < 9; ++seed) {
    ostringstream prune;
    prune << "prune { type: BLOCK_L1 blocks: 2 iters: 5 alpha: 0.1 "
        << "shuffle_seed: " << seed % 8 << " }";
    shared_ptr<Solver<Dtype> > solver = this->NewSolver(prune.str(), "");
    solver->Step(8);
    const Dtype* w = this->Weights(solver.get())->cpu_data();
    // Rows of one block keep the same half, of the other block the other half.
    vector<int> half(kHidden);
    for (int row = 0; row < kHidden; ++row) {
      half[row] = w[row * kInputs] == 0;
      for (int col = 0; col < kInputs; ++col) {
        EXPECT_EQ(w[row * kInputs + col] != 0, col / 3 == half[row]);
      }
    }
    EXPECT_EQ(half[0], half[1]);
    EXPECT_EQ(half[2], half[3]);
    EXPECT_NE(half[0], half[2]);
    kept.push_back(half);
  }
  // Both permutations of two blocks were drawn.
  EXPECT_FALSE(std::count(kept.begin(), kept.end(), kept[0]) == kept.size());
}

// 24 entries in 3 steps to 3: 12, 6, 3, each time the smallest go, and none
// comes back.
TYPED_TEST(PrunerTest, TestMagnitude) {
  typedef typename TypeParam::Dtype Dtype;
  shared_ptr<Solver<Dtype> > solver = this->NewSolver(
      "prune { type: MAGNITUDE keep: 3 start: 2 iters: 9 steps: 3 }",
      "momentum: 0.9 weight_decay: 0.01");
  const int left[] = {24, 24, 12, 12, 12, 6, 6, 6, 3, 3, 3, 3, 3, 3, 3};
  vector<Dtype> before = this->Values(*this->Weights(solver.get()));
  for (int t = 0; t < 15; ++t) {
    solver->Step(1);
    const vector<Dtype> w = this->Values(*this->Weights(solver.get()));
    EXPECT_EQ(this->Nonzero(*this->Weights(solver.get())), left[t])
        << "iteration " << t;
    // Where the update would have left the pruned ones.
    const Dtype* d = this->Weights(solver.get())->cpu_diff();
    Dtype largest_cut = 0, smallest_left = 1e6;
    for (int i = 0; i < w.size(); ++i) {
      EXPECT_FALSE(before[i] == 0 && w[i] != 0);
      if (before[i] == 0) { continue; }
      const Dtype updated = std::fabs(before[i] - d[i]);
      if (w[i] == 0) {
        largest_cut = std::max(largest_cut, updated);
      } else {
        smallest_left = std::min(smallest_left, updated);
      }
    }
    EXPECT_LE(largest_cut, smallest_left);
    before = w;
  }
}

// The L2 penalty of MAGNITUDE by hand, without momentum.
TYPED_TEST(PrunerTest, TestMagnitudePenalty) {
  typedef typename TypeParam::Dtype Dtype;
  shared_ptr<Solver<Dtype> > solver = this->NewSolver(
      "prune { type: MAGNITUDE keep: 24 iters: 9 steps: 1 alpha: 0.7 }", "");
  const vector<Dtype> before = this->Values(*this->Weights(solver.get()));
  solver->net()->ClearParamDiffs();
  solver->net()->ForwardBackward();
  vector<Dtype> g(24);
  caffe_copy(24, this->Weights(solver.get())->cpu_diff(), &g[0]);
  solver->Step(1);
  for (int i = 0; i < 24; ++i) {
    EXPECT_NEAR(before[i] - 0.1 * (g[i] + 0.7 * before[i]),
        this->Weights(solver.get())->cpu_data()[i], 1e-6);
  }
}

// Two of four outputs go, those with the smallest weights first, and with them
// their biases and their columns in the next layer; a sigmoid does not bring
// them back.
TYPED_TEST(PrunerTest, TestNode) {
  typedef typename TypeParam::Dtype Dtype;
  shared_ptr<Solver<Dtype> > solver = this->NewSolver(
      "prune { type: NODE keep: 2 start: 3 iters: 6 steps: 2 }",
      "momentum: 0.9 weight_decay: 0.01");
  const int left[] = {4, 4, 4, 3, 3, 3, 2, 2, 2, 2, 2, 2};
  for (int t = 0; t < 12; ++t) {
    const vector<Dtype> before = this->Values(*this->Weights(solver.get()));
    solver->Step(1);
    const vector<Dtype> w = this->Values(*this->Weights(solver.get()));
    const Dtype* d = this->Weights(solver.get())->cpu_diff();
    int outputs = 0;
    Dtype largest_cut = 0, smallest_left = 1e6;
    for (int row = 0; row < kHidden; ++row) {
      Dtype norm = 0;
      int nonzero = 0;
      for (int col = 0; col < kInputs; ++col) {
        const int i = row * kInputs + col;
        norm += (before[i] - d[i]) * (before[i] - d[i]);
        nonzero += w[i] != 0;
      }
      const bool alive = nonzero > 0;
      outputs += alive;
      if (before[row * kInputs] != 0) {
        (alive ? smallest_left : largest_cut) = alive ?
            std::min(smallest_left, norm) : std::max(largest_cut, norm);
      }
      EXPECT_TRUE(nonzero == 0 || nonzero == kInputs);
      EXPECT_EQ(alive, this->Weights(solver.get(), 1)->cpu_data()[row] != 0);
      for (int o = 0; o < kOutputs; ++o) {
        EXPECT_EQ(alive, this->Weights(solver.get(), 2)
            ->cpu_data()[o * kHidden + row] != 0);
      }
    }
    EXPECT_EQ(outputs, left[t]) << "iteration " << t;
    EXPECT_LE(largest_cut, smallest_left);
  }
}

// What is removed takes no share of a clipped gradient, in the next layer either,
// where a sigmoid gives the inputs from removed outputs a gradient.
TYPED_TEST(PrunerTest, TestNodeClipped) {
  typedef typename TypeParam::Dtype Dtype;
  shared_ptr<Solver<Dtype> > solver = this->NewSolver(
      "prune { type: NODE keep: 1 iters: 3 steps: 1 }", "clip_gradients: 0.01");
  solver->Step(3);
  vector<vector<Dtype> > before(4);
  for (int i = 0; i < 4; ++i) {
    before[i] = this->Values(*this->Weights(solver.get(), i));
  }
  solver->Step(1);
  Dtype moved = 0;
  for (int i = 0; i < 4; ++i) {
    const vector<Dtype> after = this->Values(*this->Weights(solver.get(), i));
    for (int j = 0; j < after.size(); ++j) {
      moved += (after[j] - before[i][j]) * (after[j] - before[i][j]);
    }
  }
  EXPECT_NEAR(std::sqrt(moved), 0.1 * 0.01, 1e-6);
}

TYPED_TEST(PrunerTest, TestResumeBlockL1) {
  const string prune =
      "prune { type: BLOCK_L1 blocks: 2 start: 4 iters: 6 alpha: 0.1 ";
  this->CheckResume(prune + "}", "SGD");
  this->CheckResume(prune + "shuffle_seed: 2 }", "Adam");
}

TYPED_TEST(PrunerTest, TestResumeMagnitude) {
  const string prune =
      "prune { type: MAGNITUDE keep: 5 start: 3 iters: 8 steps: 3 }";
  this->CheckResume(prune, "SGD");
  this->CheckResume(prune, "Adam");
}

TYPED_TEST(PrunerTest, TestResumeNode) {
  const string prune =
      "prune { type: NODE keep: 1 start: 3 iters: 8 steps: 3 }";
  this->CheckResume(prune, "SGD");
  this->CheckResume(prune, "Nesterov");
}

// A phase goes by the number of the iteration: a snapshot of a net without
// prune, loaded past the phase, is cut in the first update; loaded within it, as
// far as the step at hand asks for.
TYPED_TEST(PrunerTest, TestSnapshotWithoutPrune) {
  typedef typename TypeParam::Dtype Dtype;
  {
    shared_ptr<Solver<Dtype> > dense = this->NewSolver("", "");
    dense->Step(9);
    dense->Snapshot();
  }
  const struct {
    const char* prune;
    int left;  // after iterations 9 and 13
    int left_later;
  } cases[] = {
      {"type: BLOCK_L1 blocks: 2 iters: 6 alpha: 0.1", 12, 12},
      {"type: MAGNITUDE keep: 3 iters: 6 steps: 3", 3, 3},
      {"type: NODE keep: 1 iters: 6 steps: 3", 6, 6},
      {"type: MAGNITUDE keep: 6 iters: 24 steps: 2", 12, 6},
      {"type: NODE keep: 1 iters: 24 steps: 2", 12, 6},
      {"type: MAGNITUDE keep: 3 iters: 6 start: 12 steps: 1", 24, 3}};
  for (int i = 0; i < sizeof(cases) / sizeof(cases[0]); ++i) {
    shared_ptr<Solver<Dtype> > solver = this->NewSolver(
        string("prune { ") + cases[i].prune + " }", "");
    solver->Restore((this->folder_ + "/snap_iter_9.solverstate").c_str());
    EXPECT_EQ(this->Nonzero(*this->Weights(solver.get())), 24);
    solver->Step(1);
    EXPECT_EQ(this->Nonzero(*this->Weights(solver.get())), cases[i].left)
        << cases[i].prune;
    solver->Step(4);
    EXPECT_EQ(this->Nonzero(*this->Weights(solver.get())), cases[i].left_later)
        << cases[i].prune;
  }
}

// What is removed is what the weights say, whoever set them.
TYPED_TEST(PrunerTest, TestNodeAfterSurgery) {
  typedef typename TypeParam::Dtype Dtype;
  const string prune = "prune { type: NODE keep: 2 iters: 4 steps: 2 }";
  shared_ptr<Solver<Dtype> > solver = this->NewSolver(prune, "momentum: 0.9");
  solver->Step(8);
  Blob<Dtype>* weights = this->Weights(solver.get());
  EXPECT_EQ(12, this->Nonzero(*weights));
  // One of two outputs left is set to 0.
  Dtype* w = weights->mutable_cpu_data();
  int row = 0;
  while (w[row * kInputs] == 0) { ++row; }
  caffe_set(kInputs, Dtype(0), w + row * kInputs);
  solver->Snapshot();
  shared_ptr<Solver<Dtype> > resumed = this->NewSolver(prune, "momentum: 0.9");
  resumed->Restore((this->folder_ + "/snap_iter_8.solverstate").c_str());
  solver->Step(3);
  resumed->Step(3);
  EXPECT_EQ(kInputs, this->Nonzero(*weights));
  for (int p = 0; p < 4; ++p) {
    EXPECT_TRUE(this->Values(*this->Weights(solver.get(), p)) ==
        this->Values(*this->Weights(resumed.get(), p))) << "parameter " << p;
  }
  // Other weights lose none of their outputs to those removed before.
  NetParameter dense;
  this->NewSolver("", "")->net()->ToProto(&dense);
  solver->net()->CopyTrainedLayersFrom(dense);
  solver->Step(1);
  EXPECT_EQ(24, this->Nonzero(*weights));
}

// Weights that are no longer numbers are not taken for pruned, and not cut.
TYPED_TEST(PrunerTest, TestDiverged) {
  // A fork of a process that uses CUDA cannot go on using it.
  ::testing::FLAGS_gtest_death_test_style = "threadsafe";
  typedef typename TypeParam::Dtype Dtype;
  const Dtype nan = std::numeric_limits<Dtype>::quiet_NaN();
  shared_ptr<Solver<Dtype> > solver = this->NewSolver(
      "prune { type: BLOCK_L1 blocks: 2 iters: 9 alpha: 0.1 }", "");
  this->Weights(solver.get())->mutable_cpu_data()[kInputs - 1] = nan;
  solver->Step(1);
  EXPECT_EQ(24, this->Nonzero(*this->Weights(solver.get())));
  EXPECT_TRUE(std::isnan(
      this->Weights(solver.get())->cpu_data()[kInputs - 1]));
  const char* prunes[] = {"prune { type: MAGNITUDE keep: 3 iters: 9 steps: 2 }",
      "prune { type: NODE keep: 1 iters: 9 steps: 2 }"};
  for (int i = 0; i < 2; ++i) {
    shared_ptr<Solver<Dtype> > cut = this->NewSolver(prunes[i], "");
    this->Weights(cut.get())->mutable_cpu_data()[0] = nan;
    EXPECT_DEATH(cut->Step(1), "diverged before the cut of ip1.0.: some of its "
        "weights are not numbers");
  }
}

TYPED_TEST(PrunerTest, TestPrunedWeight) {
  typedef typename TypeParam::Dtype Dtype;
  const Dtype nan = std::numeric_limits<Dtype>::quiet_NaN();
  const Dtype t = 0.125;
  EXPECT_EQ(0.25, PrunedWeight<Dtype>(0.5, 0.25, PRUNE_SHRINK, t));
  EXPECT_EQ(0.125, PrunedWeight<Dtype>(0.5, 0.375, PRUNE_SHRINK, t));
  EXPECT_EQ(0, PrunedWeight<Dtype>(0.5, 0.4375, PRUNE_SHRINK, t));
  EXPECT_EQ(0, PrunedWeight<Dtype>(0.5, 0.75, PRUNE_SHRINK, t));
  EXPECT_EQ(-0.25, PrunedWeight<Dtype>(0.5, 0.75, PRUNE_HOLD, t));
  EXPECT_EQ(0, PrunedWeight<Dtype>(0, nan, PRUNE_SHRINK, t));
  EXPECT_EQ(0, PrunedWeight<Dtype>(nan, nan, PRUNE_CUT, t));
  const PruneRule rules[] = {PRUNE_SHRINK, PRUNE_HOLD};
  for (int i = 0; i < 2; ++i) {
    EXPECT_TRUE(std::isnan(PrunedWeight<Dtype>(nan, 0.25, rules[i], t)));
    EXPECT_TRUE(std::isnan(PrunedWeight<Dtype>(0.5, nan, rules[i], t)));
    EXPECT_TRUE(std::isnan(PrunedWeight<Dtype>(-0.5, nan, rules[i], t)));
  }
}

TYPED_TEST(PrunerTest, TestRefusals) {
  // A fork of a process that uses CUDA cannot go on using it.
  ::testing::FLAGS_gtest_death_test_style = "threadsafe";
  const struct {
    const char* prune;
    const char* message;
  } cases[] = {
      {"blocks: 4 iters: 9",
          "ip1.0.: 4 blocks do not divide 4 outputs and 6 inputs"},
      {"blocks: 0 iters: 9", "ip1.0.: blocks has to be at least 1"},
      {"blocks: 2 iters: 9 alpha: -1", "ip1.0.: alpha is negative"},
      {"blocks: 2 iters: 9 threshold: -1", "ip1.0.: threshold is negative"},
      {"blocks: 2 iters: 9 start: -1", "ip1.0.: start is negative"},
      {"blocks: 2", "ip1.0.: iters has to be at least 1"},
      {"blocks: 2 iters: 9 start: 32",
          "ip1.0.: it ends at iteration 41, and training .max_iter. at 40"},
      {"type: MAGNITUDE iters: 9",
          "keep is 0, not between 1 and the 24 entries"},
      {"type: MAGNITUDE iters: 9 keep: 25",
          "keep is 25, not between 1 and the 24 entries"},
      {"type: MAGNITUDE iters: 9 keep: 5 steps: 10",
          "steps is 10, not between 1 and the 9 iterations"},
      {"type: NODE iters: 9 steps: 2 keep: 5",
          "keep is 5, not between 1 and the 4 outputs"},
      {"type: NODE iters: 9 steps: 2 keep: 2 alpha: 1", "leave alpha out"}};
  for (int i = 0; i < sizeof(cases) / sizeof(cases[0]); ++i) {
    EXPECT_DEATH(this->NewSolver(string("prune { ") + cases[i].prune + " }",
        ""), cases[i].message);
  }
  EXPECT_DEATH(this->NewSolver("} param { prune { blocks: 1 iters: 2 }", ""),
      "ip1.1.: only a matrix of weights can be pruned");
  EXPECT_DEATH(this->NewSolver(
      "prune { type: NODE iters: 9 steps: 2 keep: 2 }", "",
      "layer { name: 'soft' type: 'Softmax' bottom: 'ip1' top: 'soft' } "
      "layer { name: 'silence' type: 'Silence' bottom: 'soft' } "),
      "its outputs go to layer soft of type Softmax, and only an InnerProduct");
  EXPECT_DEATH(this->NewSolver(
      "prune { type: NODE iters: 9 steps: 2 keep: 2 }", "",
      "layer { name: 'ip3' type: 'InnerProduct' bottom: 'ip1' top: 'ip3' "
      "inner_product_param { num_output: 2 transpose: true } } "
      "layer { name: 'silence' type: 'Silence' bottom: 'ip3' } "),
      "its outputs go to layer ip3 of type InnerProduct, and only an "
      "InnerProduct without transpose");
  const string transposed = "transpose: true";
  const string refused =
      "ip1.0.: neither outputs can be removed nor blocks shuffled";
  EXPECT_DEATH(this->NewSolver("prune { type: NODE iters: 9 steps: 2 keep: 2 }",
      "", "", transposed), refused);
  EXPECT_DEATH(this->NewSolver("prune { blocks: 2 iters: 9 shuffle_seed: 1 }",
      "", "", transposed), refused);
  this->NewSolver("prune { blocks: 2 iters: 9 }", "", "", transposed);
}

}  // namespace caffe
