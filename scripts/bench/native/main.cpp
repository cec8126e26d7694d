// Reads commands, a line each, and answers each with a line of JSON:
//
//   describe                          device, libraries, methods
//   machine CORES                     what so many cores can do at most
//   case M N K b forward|all STATE    makes and checks every method: the largest relative error of each
//   net NAME SOLVER                   NAME.step and NAME.ip become methods
//   updates N K b                     update and prune become methods
//   time METHOD STATE SECONDS         seconds of a call, over as many calls as fill SECONDS
//
// STATE is warm or cold; on a GPU also tf32, graph, and several of them joined by "+".
// BENCH_METHODS, names with commas between, leaves out all other methods. scripts/bench/workers.py is the
// other end. What is a CPU's is in cpu.cpp, a GPU's in gpu.cpp.
#include <glog/logging.h>

#include <algorithm>
#include <cstdlib>
#include <iostream>
#include <sstream>

#include "bench.hpp"
#include "caffe/common.hpp"

namespace bench {
namespace {

struct Bench {
  std::vector<Entry> entries;
  Problem blocks, dense;
  std::map<std::string, std::unique_ptr<Method>> methods;
  // What the dense methods among them were made for, and their errors: cases that differ by b have them in common.
  std::string dense_case;
  std::map<std::string, double> dense_errors;
  std::map<std::string, Action> actions;
  bool all = false;

  std::string Describe() const {
    std::ostringstream out;
    out << "{" << Device() << ", \"methods\": {";
    for (const Entry& entry : entries) {
      out << (&entry == &entries[0] ? "" : ", ") << "\"" << entry.name << "\": [\"" << entry.library
          << "\", \"" << entry.version << "\"]";
    }
    out << "}}";
    return out.str();
  }

  std::string Machine(int cores) const {
    std::ostringstream out;
    out << "{\"peak_flops\": " << PeakFlops(cores) << ", \"bandwidth\": {";
    for (size_t bytes = 16 << 10; bytes <= (256u << 20); bytes *= 2) {
      out << (bytes == (16 << 10) ? "" : ", ") << "\"" << bytes << "\": " << Bandwidth(bytes, cores);
    }
    out << "}}";
    return out.str();
  }

  std::string Case(std::istringstream* words) {
    int M, N, K, b;
    std::string product, state;
    *words >> M >> N >> K >> b >> product >> state;
    CHECK(*words && M > 0 && b > 0 && N % b == 0 && K % b == 0) << "case M N K b product state";
    std::ostringstream shape, out;
    shape << M << " " << N << " " << K << " " << product << " " << state;
    if (shape.str() != dense_case) { Forget(); }
    dense_case = shape.str();
    actions.clear();
    SetState(state);
    all = product == "all";
    blocks.Set(M, N, K, b);
    if (dense.M != M || dense.N != N || dense.K != K) { dense.Set(M, N, K, 1); }
    const char* separator = "{";
    for (const Entry& entry : entries) {
      const bool known = entry.dense && methods.count(entry.name);
      Problem* const problem = entry.dense ? &dense : &blocks;
      if (!known) {
        problem->SpoilOutputs();
        methods[entry.name] = entry.make(problem);
      }
      Method* method = methods[entry.name].get();
      if (!method) { continue; }
      const double error = known ? dense_errors[entry.name] : method->Check(all);
      if (entry.dense) { dense_errors[entry.name] = error; }
      out << separator << "\"" << entry.name << "\": " << error;
      separator = ", ";
    }
    out << "}";
    return out.str();
  }

  void Forget() {
    methods.clear();
    dense_case.clear();
  }

  std::string Time(std::istringstream* words) {
    std::string name, state;
    double seconds = 0;
    *words >> name >> state >> seconds;
    Action action;
    std::function<std::vector<Span>()> touched;
    if (Method* method = methods.count(name) ? methods[name].get() : nullptr) {
      const bool back = all;
      action = [method, back] {
        method->Forward();
        if (back) { method->Backward(); }
      };
      touched = [method, back] { return method->Touched(back); };
    } else {
      if (!actions.count(name)) { return "{}"; }
      action = actions[name];
    }
    const Timing timing = Measure(action, touched, state, seconds);
    std::ostringstream out;
    out << "{\"seconds\": " << timing.seconds << ", \"calls\": " << timing.calls << "}";
    return out.str();
  }

  std::string Answer(const std::string& line) {
    std::istringstream words(line);
    std::string command;
    words >> command;
    if (command == "describe") { return Describe(); }
    if (command == "machine") {
      int cores;
      words >> cores;
      return Machine(cores);
    }
    if (command == "case") { return Case(&words); }
    if (command == "time") { return Time(&words); }
    if (command == "net") {
      std::string name, file;
      words >> name >> file;
      Forget();
      AddNet(name, file, &actions);
      return "{}";
    }
    if (command == "updates") {
      int N, K, b;
      words >> N >> K >> b;
      Forget();
      AddUpdates(N, K, b, &actions);
      return "{}";
    }
    LOG(FATAL) << "unknown command: " << line;
    return "";
  }
};

// Of the methods those in a list with commas; all where there is none.
void KeepNamed(const char* names, std::vector<Entry>* entries) {
  if (!names) { return; }
  const std::string list = "," + std::string(names) + ",";
  entries->erase(std::remove_if(entries->begin(), entries->end(),
                                [&](const Entry& entry) { return list.find("," + entry.name + ",") == std::string::npos; }),
                 entries->end());
}

}  // namespace
}  // namespace bench

int main(int, char** argv) {
  google::InitGoogleLogging(argv[0]);
  bench::Bench bench;
  bench::Begin(&bench.entries);
  bench::KeepNamed(std::getenv("BENCH_METHODS"), &bench.entries);
  std::cout.precision(9);
  std::string line;
  while (std::getline(std::cin, line)) { std::cout << bench.Answer(line) << std::endl; }
}
