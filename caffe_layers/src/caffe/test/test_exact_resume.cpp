#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>  // NOLINT(readability/streams)
#include <numeric>
#include <string>
#include <vector>

#include "boost/scoped_ptr.hpp"
#include "google/protobuf/text_format.h"
#include "gtest/gtest.h"

#include "caffe/blob.hpp"
#include "caffe/common.hpp"
#include "caffe/layers/base_data_layer.hpp"
#include "caffe/sgd_solvers.hpp"
#include "caffe/util/db.hpp"
#include "caffe/util/hdf5.hpp"
#include "caffe/util/io.hpp"

#include "caffe/test/test_caffe_main.hpp"

using boost::scoped_ptr;
using std::ostringstream;

namespace caffe {

// What is logged while it lives.
class Log : public google::LogSink {
 public:
  Log() : level_(FLAGS_minloglevel) {
    FLAGS_minloglevel = google::GLOG_INFO;
    google::AddLogSink(this);
  }
  virtual ~Log() {
    google::RemoveLogSink(this);
    FLAGS_minloglevel = level_;
  }
  virtual void send(google::LogSeverity severity, const char* path,
      const char* name, int line, const struct ::tm* time, const char* message,
      size_t length) {
    text_ += string(severity == google::GLOG_WARNING ? "warning: " : "") +
        string(message, length) + "\n";
  }
  bool has(const string& what) const {
    return text_.find(what) != string::npos;
  }

 private:
  const int level_;
  string text_;
};

// A prefetching layer with all but what Data does better: batch i is i.
template <typename Dtype>
class CountingLayer : public BasePrefetchingDataLayer<Dtype> {
 public:
  CountingLayer() : BasePrefetchingDataLayer<Dtype>(LayerParameter()),
      loaded_(0) {}
  virtual ~CountingLayer() { this->StopInternalThread(); }
  virtual void DataLayerSetUp(const vector<Blob<Dtype>*>& bottom,
      const vector<Blob<Dtype>*>& top) {
    for (int i = 0; i < this->prefetch_.size(); ++i) {
      this->prefetch_[i]->data_.Reshape(vector<int>(1, 1));
    }
  }

 protected:
  virtual void load_batch(Batch<Dtype>* batch) {
    batch->data_.mutable_cpu_data()[0] = loaded_++;
  }

  int loaded_;
};

// Training which is stopped and goes on from a snapshot gives the bits of
// training which was never stopped, whatever the nets draw and read.
template <typename TypeParam>
class ExactResumeTest : public MultiDeviceTest<TypeParam> {
  typedef typename TypeParam::Dtype Dtype;

 protected:
  virtual void SetUp() {
    MakeTempDir(&folder_);
    // Seven different pictures of 2 x 4 x 4: no multiple of the batches.
    database_ = folder_ + "/lmdb";
    scoped_ptr<db::DB> db(db::GetDB("lmdb"));
    db->Open(database_, db::NEW);
    scoped_ptr<db::Transaction> transaction(db->NewTransaction());
    for (int i = 0; i < 7; ++i) {
      Datum datum;
      datum.set_label(i % 3);
      datum.set_channels(2);
      datum.set_height(4);
      datum.set_width(4);
      for (int j = 0; j < 32; ++j) {
        datum.mutable_data()->push_back((i * 37 + j * j * 5) % 251);
      }
      string value;
      CHECK(datum.SerializeToString(&value));
      transaction->Put(format_int(i, 3), value);
    }
    transaction->Commit();
    db->Close();
  }

  string DataLayer(const string& phase, int batch, const string& transform) {
    ostringstream text;
    text << "layer { name: 'data' type: 'Data' top: 'data' top: 'label' "
        << "include { phase: " << phase << " } transform_param { scale: 0.01 "
        << transform << " } data_param { source: '" << database_
        << "' backend: LMDB batch_size: " << batch << " } } ";
    return text.str();
  }

  // transform: of the data; more: layers between `data` and `ip`.
  shared_ptr<Solver<Dtype> > NewSolver(const string& type,
      const string& format, const string& transform, const string& shuffle,
      const string& more) {
    return shared_ptr<Solver<Dtype> >(SolverRegistry<Dtype>::CreateSolver(
        Parameter(type, format, transform, shuffle, more)));
  }

  SolverParameter Parameter(const string& type, const string& format,
      const string& transform, const string& shuffle, const string& more) {
    ostringstream text;
    text << "type: '" << type << "' base_lr: 0.02 lr_policy: 'multistep' "
        << "gamma: 0.5 stepvalue: 3 stepvalue: 9 weight_decay: 0.001 "
        << (type == "SGD" || type == "Adam" || type == "Nesterov" ?
            "momentum: 0.9 " : "")
        << "max_iter: 1000 random_seed: 11 snapshot_after_train: false "
        << "iter_size: 2 test_iter: 2 test_interval: 4 "
        << "snapshot_prefix: '" << folder_ << "/snap' "
        << "snapshot_format: " << format << " net_param { "
        << DataLayer("TRAIN", 3, transform) << DataLayer("TEST", 2, transform) << more
        << "layer { name: 'ip' type: 'BlockInnerProduct' bottom: 'data' "
        << "top: 'ip' block_inner_product_param { num_output: 8 blocks: 4 "
        << "shuffle: " << shuffle << " weight_filler { type: 'xavier' } } } "
        << "layer { name: 'out' type: 'InnerProduct' bottom: 'ip' top: 'out' "
        << "inner_product_param { num_output: 3 "
        << "weight_filler { type: 'xavier' } } } "
        << "layer { name: 'loss' type: 'SoftmaxWithLoss' bottom: 'out' "
        << "bottom: 'label' top: 'loss' } }";
    SolverParameter param;
    CHECK(google::protobuf::TextFormat::ParseFromString(text.str(), &param));
    param.set_solver_mode(Caffe::mode() == Caffe::CPU ?
        SolverParameter_SolverMode_CPU : SolverParameter_SolverMode_GPU);
    return param;
  }

  // All parameters, and what the next forward passes of both nets see: where
  // reading stands shows there.
  vector<Dtype> State(Solver<Dtype>* solver) {
    vector<Dtype> state;
    for (int i = 0; i < solver->net()->params().size(); ++i) {
      Append(*solver->net()->params()[i], &state);
    }
    solver->test_nets()[0]->ShareTrainedLayersWith(solver->net().get());
    Net<Dtype>* nets[] = {solver->net().get(), solver->test_nets()[0].get()};
    for (int i = 0; i < 2; ++i) {
      nets[i]->Forward();
      Append(*nets[i]->blob_by_name("data"), &state);
      Append(*nets[i]->blob_by_name("loss"), &state);
    }
    state.push_back(caffe_rng_rand());
    return state;
  }

  void Append(const Blob<Dtype>& blob, vector<Dtype>* state) {
    state->insert(state->end(), blob.cpu_data(),
        blob.cpu_data() + blob.count());
  }

  void Check(const string& type, const string& format, const string& transform,
      const string& shuffle, const string& more) {
    const int total = 11;
    vector<Dtype> expected;
    {
      shared_ptr<Solver<Dtype> > solver =
          NewSolver(type, format, transform, shuffle, more);
      solver->Step(total);
      expected = State(solver.get());
    }
    for (int stop = 1; stop < total; stop += 3) {
      {
        shared_ptr<Solver<Dtype> > solver =
            NewSolver(type, format, transform, shuffle, more);
        solver->Step(stop);
        solver->Snapshot();
      }
      ostringstream file;
      file << folder_ << "/snap_iter_" << stop << ".solverstate"
          << (format == "HDF5" ? ".h5" : "");
      shared_ptr<Solver<Dtype> > solver =
          NewSolver(type, format, transform, shuffle, more);
      solver->Restore(file.str().c_str());
      EXPECT_EQ(solver->iter(), stop);
      solver->Step(total - stop);
      const vector<Dtype> state = State(solver.get());
      ASSERT_EQ(state.size(), expected.size());
      for (int i = 0; i < state.size(); ++i) {
        ASSERT_EQ(state[i], expected[i]) << type << ", " << format << ", '"
            << transform << "', " << shuffle << ", stopped at " << stop
            << ": number " << i;
      }
    }
  }

  string folder_;
  string database_;
};

TYPED_TEST_CASE(ExactResumeTest, TestDtypesAndDevices);

TYPED_TEST(ExactResumeTest, TestFormats) {
  this->Check("SGD", "BINARYPROTO", "", "NONE", "");
  this->Check("SGD", "HDF5", "", "NONE", "");
}

TYPED_TEST(ExactResumeTest, TestSolvers) {
  const char* types[] = {"Nesterov", "AdaGrad", "RMSProp", "AdaDelta", "Adam"};
  for (int i = 0; i < 5; ++i) {
    this->Check(types[i], i % 2 ? "HDF5" : "BINARYPROTO", "", "NONE", "");
  }
}

TYPED_TEST(ExactResumeTest, TestRandomTransforms) {
  this->Check("SGD", "BINARYPROTO", "mirror: true", "NONE", "");
  this->Check("SGD", "BINARYPROTO", "crop_size: 2", "NONE", "");
  this->Check("SGD", "HDF5", "mirror: true crop_size: 2", "NONE", "");
}

// An earlier snapshot restored into the solver that went on: Data goes back.
TYPED_TEST(ExactResumeTest, TestGoingBack) {
  typedef typename TypeParam::Dtype Dtype;
  const char* transforms[] = {"", "mirror: true crop_size: 2"};
  for (int i = 0; i < 2; ++i) {
    shared_ptr<Solver<Dtype> > solver = this->NewSolver("SGD", "BINARYPROTO",
        transforms[i], "PER_PASS", "");
    solver->Step(8);
    const vector<Dtype> expected = this->State(solver.get());
    solver = this->NewSolver("SGD", "BINARYPROTO", transforms[i], "PER_PASS",
        "");
    solver->Step(3);
    solver->Snapshot();
    solver->Step(4);
    Log log;
    solver->Restore((this->folder_ + "/snap_iter_3.solverstate").c_str());
    EXPECT_FALSE(log.has("cannot go back")) << i;
    solver->Step(5);
    EXPECT_EQ(expected, this->State(solver.get())) << i;
  }
}

// Other layers read on where they are, and say so.
TYPED_TEST(ExactResumeTest, TestLayersThatCannotGoBack) {
  typedef typename TypeParam::Dtype Dtype;
  CountingLayer<Dtype> layer;
  Blob<Dtype> top;
  const vector<Blob<Dtype>*> tops(1, &top);
  layer.SetUp(vector<Blob<Dtype>*>(), tops);
  Log log;
  layer.SetPosition(7);
  EXPECT_TRUE(log.has("reads and drops 7 batches"));
  EXPECT_FALSE(log.has("warning"));
  for (int i = 7; i < 10; ++i) {
    layer.Forward(vector<Blob<Dtype>*>(), tops);
    EXPECT_EQ(i, top.cpu_data()[0]);
  }
  EXPECT_EQ(10, layer.position());
  layer.SetPosition(3);
  EXPECT_TRUE(log.has("warning: Layer  cannot go back and reads on"));
  EXPECT_EQ(10, layer.position());
  layer.Forward(vector<Blob<Dtype>*>(), tops);
  EXPECT_EQ(10, top.cpu_data()[0]);
}

// A snapshot restored into a net whose data is not read: with a warning where
// the snapshot tells of reading.
TYPED_TEST(ExactResumeTest, TestLayerOfAnotherType) {
  typedef typename TypeParam::Dtype Dtype;
  const string file = this->folder_ + "/snap_iter_3.solverstate";
  shared_ptr<Solver<Dtype> > solver =
      this->NewSolver("SGD", "BINARYPROTO", "", "NONE", "");
  solver->Step(3);
  solver->Snapshot();
  SolverParameter param =
      this->Parameter("SGD", "BINARYPROTO", "", "NONE", "");
  for (int i = 0; i < 2; ++i) {
    LayerParameter* data = param.mutable_net_param()->mutable_layer(i);
    data->set_type("Input");
    data->clear_data_param();
    data->clear_transform_param();
    CHECK(google::protobuf::TextFormat::ParseFromString(
        "shape { dim: 3 dim: 2 dim: 4 dim: 4 } shape { dim: 3 }",
        data->mutable_input_param()));
  }
  for (int i = 0; i < 2; ++i) {
    solver.reset(SolverRegistry<Dtype>::CreateSolver(param));
    Log log;
    solver->Restore(file.c_str());
    EXPECT_EQ(3, solver->iter());
    EXPECT_EQ(i == 0, log.has("warning: The snapshot tells where layer data "
        "stood, which is not in the net, or is of another type there"));
    EXPECT_FALSE(log.has("how far the data was read"));
    solver->Step(1);
    // Next, a snapshot of this net: it has nothing to tell.
    solver->Restore(file.c_str());
    solver->Snapshot();
  }
}

TYPED_TEST(ExactResumeTest, TestShuffles) {
  this->Check("SGD", "BINARYPROTO", "", "PER_PASS", "");
  this->Check("SGD", "HDF5", "", "PER_PASS", "");
  this->Check("SGD", "BINARYPROTO", "", "FIXED", "");
  this->Check("SGD", "HDF5", "", "FIXED", "");
}

TYPED_TEST(ExactResumeTest, TestDropout) {
  // On the GPU Dropout draws from cuRAND, whose state a snapshot does not hold.
  if (Caffe::mode() == Caffe::GPU) { return; }
  const string dropout = "layer { name: 'drop' type: 'Dropout' bottom: 'data' "
      "top: 'data' include { phase: TRAIN } } ";
  this->Check("SGD", "BINARYPROTO", "", "NONE", dropout);
  this->Check("SGD", "HDF5", "mirror: true", "PER_PASS", dropout);
}

// A snapshot that is asked for while the test net runs, as by a signal, begins
// with that test.
TYPED_TEST(ExactResumeTest, TestSnapshotWhileTesting) {
  typedef typename TypeParam::Dtype Dtype;
  shared_ptr<Solver<Dtype> > solver =
      this->NewSolver("SGD", "BINARYPROTO", "", "NONE", "");
  solver->Step(6);
  const vector<Dtype> expected = this->State(solver.get());
  const SolverAction::Enum actions[] = {SolverAction::SNAPSHOT,
      SolverAction::STOP};
  for (int i = 0; i < 2; ++i) {
    // Asked before every batch of a test (two at iterations 0 and 4) and after
    // every iteration: the eighth time one batch of the second test is read.
    int asked = 0;
    const SolverAction::Enum action = actions[i];
    solver = this->NewSolver("SGD", "BINARYPROTO", "", "NONE", "");
    solver->SetActionFunction([&asked, action]() {
      return ++asked == 8 ? action : SolverAction::NONE;
    });
    solver->Step(5);
    if (action == SolverAction::STOP) {
      EXPECT_EQ(solver->iter(), 4);
      solver->Snapshot();
    }
    solver = this->NewSolver("SGD", "BINARYPROTO", "", "NONE", "");
    const string file = this->folder_ + "/snap_iter_4.solverstate";
    solver->Restore(file.c_str());
    ASSERT_EQ(0, unlink(file.c_str()));
    solver->Step(2);
    EXPECT_EQ(expected, this->State(solver.get())) << i;
  }
}

// A snapshot of stock Caffe does not tell where reading stood: it starts over.
TYPED_TEST(ExactResumeTest, TestSnapshotOfStockCaffe) {
  typedef typename TypeParam::Dtype Dtype;
  shared_ptr<Solver<Dtype> > solver =
      this->NewSolver("SGD", "BINARYPROTO", "", "NONE", "");
  solver->Step(2);
  solver->Snapshot();
  const string file = this->folder_ + "/snap_iter_2.solverstate";
  SolverState state;
  ReadProtoFromBinaryFileOrDie(file, &state);
  ASSERT_TRUE(state.has_progress());
  state.clear_progress();
  WriteProtoToBinaryFile(state, file);
  shared_ptr<Solver<Dtype> > fresh =
      this->NewSolver("SGD", "BINARYPROTO", "", "NONE", "");
  shared_ptr<Solver<Dtype> > resumed =
      this->NewSolver("SGD", "BINARYPROTO", "", "NONE", "");
  Log log;
  resumed->Restore(file.c_str());
  EXPECT_TRUE(log.has("warning: The snapshot does not tell how far the data"));
  EXPECT_EQ(resumed->iter(), 2);
  fresh->net()->Forward();
  resumed->net()->Forward();
  const Blob<Dtype>& first = *fresh->net()->blob_by_name("data");
  for (int i = 0; i < first.count(); ++i) {
    EXPECT_EQ(first.cpu_data()[i],
        resumed->net()->blob_by_name("data")->cpu_data()[i]);
  }
}

// HDF5Data reads on where it was, shuffled by a generator that is its own.
TYPED_TEST(ExactResumeTest, TestHDF5Data) {
  typedef typename TypeParam::Dtype Dtype;
  Blob<Dtype> rows(vector<int>(1, 7));
  for (int i = 0; i < 7; ++i) { rows.mutable_cpu_data()[i] = i; }
  const string file = this->folder_ + "/rows.h5";
  hid_t id = H5Fcreate(file.c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
  hdf5_save_nd_dataset(id, "data", rows);
  H5Fclose(id);
  std::ofstream((this->folder_ + "/list").c_str()) << file << "\n";
  NetParameter param;
  ASSERT_TRUE(google::protobuf::TextFormat::ParseFromString(
      "layer { name: 'data' type: 'HDF5Data' top: 'data' hdf5_data_param { "
      "batch_size: 3 source: '" + this->folder_ + "/list' } }", &param));
  Net<Dtype> net(param);
  for (int i = 0; i < 3; ++i) { net.Forward(); }
  Net<Dtype> resumed(param);
  resumed.layers()[0]->SetPosition(net.layers()[0]->position());
  net.Forward();
  resumed.Forward();
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(net.blob_by_name("data")->cpu_data()[i], (9 + i) % 7);
    EXPECT_EQ(resumed.blob_by_name("data")->cpu_data()[i], (9 + i) % 7);
  }
  // Of several solvers each reads every so many-th row, and goes on behind the
  // last row that it read, though the position is the first one's.
  Caffe::set_solver_count(2);
  int64_t position = 0;
  for (int rank = 0; rank < 2; ++rank) {
    Caffe::set_solver_rank(rank);
    Net<Dtype> whole(param);
    for (int i = 0; i < 3; ++i) { whole.Forward(); }
    if (rank == 0) { position = whole.layers()[0]->position(); }
    Net<Dtype> part(param);
    part.layers()[0]->SetPosition(position);
    whole.Forward();
    part.Forward();
    for (int i = 0; i < 3; ++i) {
      EXPECT_EQ(part.blob_by_name("data")->cpu_data()[i],
          whole.blob_by_name("data")->cpu_data()[i]) << "solver " << rank;
    }
  }
  Caffe::set_solver_rank(0);
  Caffe::set_solver_count(1);
  param.mutable_layer(0)->mutable_hdf5_data_param()->set_shuffle(true);
  Caffe::set_random_seed(5);
  Net<Dtype> shuffled(param);
  vector<Dtype> read;
  for (int i = 0; i < 14; ++i) {
    if (i % 2) { rand(); }
    shuffled.Forward();
    this->Append(*shuffled.blob_by_name("data"), &read);
  }
  // Back it does not go.
  {
    Log log;
    shuffled.layers()[0]->SetPosition(3);
    EXPECT_TRUE(log.has("warning: Layer data cannot go back and reads on"));
    EXPECT_EQ(42, shuffled.layers()[0]->position());
  }
  // Every pass through the file has every row, and not always in one order.
  for (int pass = 0; pass < 6; ++pass) {
    const vector<Dtype> rows_of_pass(read.begin() + 7 * pass,
        read.begin() + 7 * pass + 7);
    EXPECT_EQ(21, std::accumulate(rows_of_pass.begin(), rows_of_pass.end(), 0));
    if (pass > 0) {
      EXPECT_FALSE(std::equal(rows_of_pass.begin(), rows_of_pass.end(),
          read.begin()));
    }
  }
  Caffe::set_random_seed(5);
  Net<Dtype> resumed_shuffled(param);
  resumed_shuffled.layers()[0]->SetPosition(27);
  for (int i = 9; i < 14; ++i) {
    resumed_shuffled.Forward();
    for (int j = 0; j < 3; ++j) {
      EXPECT_EQ(read[3 * i + j],
          resumed_shuffled.blob_by_name("data")->cpu_data()[j]);
    }
  }
}

// A file appears whole or not at all.
TYPED_TEST(ExactResumeTest, TestWholeFiles) {
  // A fork of a process that uses CUDA cannot go on using it.
  ::testing::FLAGS_gtest_death_test_style = "threadsafe";
  typedef typename TypeParam::Dtype Dtype;
  shared_ptr<Solver<Dtype> > solver =
      this->NewSolver("SGD", "BINARYPROTO", "", "NONE", "");
  const char* endings[] = {".caffemodel", ".solverstate"};
  // Where a snapshot cannot be written, the one which is there stays.
  const string state = this->folder_ + "/snap_iter_0.solverstate";
  std::ofstream(state.c_str()) << "old";
  ASSERT_EQ(0, mkdir((PartialName(state)).c_str(), 0700));
  EXPECT_DEATH(solver->Snapshot(), "Cannot write .*snap_iter_0.solverstate");
  string kept;
  std::ifstream(state.c_str()) >> kept;
  EXPECT_EQ(kept, "old");
  ASSERT_EQ(0, rmdir((PartialName(state)).c_str()));
  solver->Snapshot();
  for (int i = 0; i < 2; ++i) {
    const string file = this->folder_ + "/snap_iter_0" + endings[i];
    EXPECT_TRUE(std::ifstream(file.c_str()).good());
    EXPECT_FALSE(std::ifstream(PartialName(file).c_str()).good());
  }
}

}  // namespace caffe
