// Reads commands, a line each, and answers each with a line of JSON:
//
//   describe                        libraries, methods, instruction set
//   machine CORES                   what so many cores can do at most
//   case M N K b forward|all        makes and checks every method: the largest relative error of each
//   net NAME SOLVER                 NAME.step and NAME.ip become methods
//   updates N K b                   update and prune become methods
//   time METHOD warm|cold SECONDS   seconds of a call, over as many calls as fill SECONDS
//
// scripts/bench/workers.py is the other end.
#include <glog/logging.h>

#include <algorithm>
#include <cmath>
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
  std::map<std::string, Action> actions;
  bool all = false;

  std::string Describe() const {
    std::ostringstream out;
    out << "{\"isa\": \"" << Isa() << "\", \"can_empty_cache\": " << CanEmptyCache() << ", \"methods\": {";
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
    std::string product;
    *words >> M >> N >> K >> b >> product;
    CHECK(*words && M > 0 && b > 0 && N % b == 0 && K % b == 0) << "case M N K b product";
    methods.clear();
    actions.clear();
    all = product == "all";
    blocks.Set(M, N, K, b);
    if (dense.M != M || dense.N != N || dense.K != K) { dense.Set(M, N, K, 1); }
    std::ostringstream out;
    out << "{";
    for (const Entry& entry : entries) {
      std::unique_ptr<Method> method = entry.make(entry.dense ? &dense : &blocks);
      if (!method) { continue; }
      out << (methods.empty() ? "" : ", ") << "\"" << entry.name << "\": " << method->Check(all);
      methods[entry.name] = std::move(method);
    }
    out << "}";
    return out.str();
  }

  std::string Time(std::istringstream* words) {
    std::string name, state;
    double seconds = 0;
    *words >> name >> state >> seconds;
    Action action;
    std::vector<Span> touched;
    if (methods.count(name)) {
      Method* method = methods[name].get();
      const bool back = all;
      action = [method, back] {
        method->Forward();
        if (back) { method->Backward(); }
      };
      touched = method->Touched(all);
    } else {
      if (!actions.count(name)) { return "{}"; }
      action = actions[name];
    }
    const bool cold = state == "cold";
    auto one = [&] {
      if (cold) {
        for (const Span& span : touched) { EmptyCache(span.data, span.bytes); }
      }
      const double start = Seconds();
      action();
      return Seconds() - start;
    };
    const double first = one();  // warms up, and tells how many calls there will be
    if (!cold && first > 5 * seconds) {  // long enough by itself, and the check was a call before it
      std::ostringstream out;
      out << "{\"seconds\": " << first << ", \"calls\": 1}";
      return out.str();
    }
    long calls = 0;
    double total = 0;
    if (cold || first > 0.2 * seconds) {
      do {
        total += one();
        ++calls;
      } while (total < seconds && calls < 1000);
    } else {
      calls = std::max(1L, std::lround(seconds / std::max(first, 1e-8)));
      const double start = Seconds();
      for (long i = 0; i < calls; ++i) { action(); }
      total = Seconds() - start;
    }
    std::ostringstream out;
    out << "{\"seconds\": " << total / calls << ", \"calls\": " << calls << "}";
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
      methods.clear();
      AddNet(name, file, &actions);
      return "{}";
    }
    if (command == "updates") {
      int N, K, b;
      words >> N >> K >> b;
      methods.clear();
      AddUpdates(N, K, b, &actions);
      return "{}";
    }
    LOG(FATAL) << "unknown command: " << line;
    return "";
  }
};

}  // namespace
}  // namespace bench

int main(int, char** argv) {
  google::InitGoogleLogging(argv[0]);
  const char* threads = std::getenv("OMP_NUM_THREADS");
  bench::UseThreads(threads ? std::atoi(threads) : 2);
  caffe::Caffe::set_mode(caffe::Caffe::CPU);
  bench::Bench bench;
  bench::AddProducts(&bench.entries);
  bench::AddOneDnn(&bench.entries);
  bench::AddLayer(&bench.entries);
  bench::AddLibxsmm(&bench.entries);
  std::cout.precision(9);
  std::string line;
  while (std::getline(std::cin, line)) { std::cout << bench.Answer(line) << std::endl; }
}
