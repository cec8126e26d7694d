// Kernel launches of the test double: all threads of all blocks, one after the other, on the
// calling thread. A thread that waits at a barrier keeps its stack on a fiber and the next one
// starts on another; kernels without barriers never leave the first. CUDA_HOST_ORDER=reversed runs
// threads and blocks from the last to the first, so that a result that depends on the order shows.
// Stops at a launch that is empty or too large and at a barrier that not all threads of a block
// reach. It cannot show races or anything about warps.
#include <setjmp.h>
#include <sys/mman.h>
#include <ucontext.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <vector>

#include "cuda_runtime.h"
#include "memory.hpp"

namespace cuda_host {

__thread uint3 thread_index, block_index, block_dim, grid_dim;

namespace {

struct Fiber {
  jmp_buf at;
  uint3 thread;
  int line;  // of the barrier where it waits
};

// The one launch that runs; others wait for the mutex.
std::mutex launching;
const char *kernel_name, *launch_file;
int launch_line;
void (*body)(void*);
void* context;
unsigned threads, next_thread;
bool reversed;
jmp_buf scheduler;
Fiber* running;
std::vector<Fiber*> idle, waiting;
std::vector<void*> shared_seen;  // __shared__ variables filled in this block

uint3 index_in(unsigned i, unsigned count, const uint3& dim) {
  if (reversed) { i = count - 1 - i; }
  if (i < dim.x) { return uint3{i, 0, 0}; }
  return uint3{i % dim.x, i / dim.x % dim.y, i / dim.x / dim.y};
}

std::string who() {
  return cat("kernel ", kernel_name, " (", launch_file, ":", launch_line, ")");
}

std::string position() {
  const uint3 &b = block_index, &t = thread_index;
  return cat(who(), ", block (", b.x, ", ", b.y, ", ", b.z, "), thread (", t.x, ", ", t.y,
             ", ", t.z, ")");
}

// Leaves this fiber for the scheduler; comes back when the scheduler switches to it.
void leave(Fiber* self) {
  if (_setjmp(self->at) == 0) { _longjmp(scheduler, 1); }
}

// What a fiber does: start threads until none is left. A thread that has waited at a barrier finds
// none left when it comes back here.
void fiber_main() {
  for (Fiber* const self = running;;) {
    idle.push_back(self);
    leave(self);
    while (next_thread < threads) {
      thread_index = index_in(next_thread++, threads, block_dim);
      body(context);
    }
  }
}

void switch_to(Fiber* fiber) {
  running = fiber;
  if (_setjmp(scheduler) == 0) { _longjmp(fiber->at, 1); }
}

Fiber* idle_fiber() {
  if (idle.empty()) {  // a new one, kept for the launches to come
    ucontext_t start;
    getcontext(&start);
    start.uc_stack.ss_size = 256 << 10;
    start.uc_stack.ss_sp = mmap(nullptr, start.uc_stack.ss_size, PROT_READ | PROT_WRITE,
                                MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (start.uc_stack.ss_sp == MAP_FAILED) { stop(who(), "no memory for a stack"); }
    makecontext(&start, fiber_main, 0);
    running = new Fiber();
    if (_setjmp(scheduler) == 0) { setcontext(&start); }
  }
  Fiber* fiber = idle.back();
  idle.pop_back();
  return fiber;
}

void run_block() {
  shared_seen.clear();
  next_thread = 0;
  while (next_thread < threads) { switch_to(idle_fiber()); }
  while (!waiting.empty()) {
    std::vector<Fiber*> wave;
    wave.swap(waiting);
    const int line = wave[0]->line;
    const auto same_line = [&](const Fiber* fiber) { return fiber->line == line; };
    const size_t there = std::count_if(wave.begin(), wave.end(), same_line);
    if (there != threads) {
      stop(who(), cat("__syncthreads in line ", line, " is reached by ", there, " of ",
                            threads, " threads"));
    }
    for (Fiber* fiber : wave) {
      thread_index = fiber->thread;
      switch_to(fiber);
    }
  }
}

void check(const char* what, size_t value, size_t limit) {
  if (value == 0) { stop(who(), cat("an empty launch: ", what, " is 0")); }
  if (value > limit) { stop(who(), cat(what, " is ", value, ", more than ", limit)); }
}

}  // namespace

void run_grid(const char* kernel, const char* file, int line, const Config& config,
              void (*call)(void*), void* argument) {
  std::lock_guard<std::mutex> lock(launching);
  const dim3 &grid = config.grid, &block = config.block;
  kernel_name = kernel;
  launch_file = file;
  launch_line = line;
  check("gridDim.x", grid.x, 0x7FFFFFFF);
  check("gridDim.y", grid.y, 65535);
  check("gridDim.z", grid.z, 65535);
  check("the number of threads in a block", size_t{1} * block.x * block.y * block.z, 1024);
  const char* order = getenv("CUDA_HOST_ORDER");
  reversed = order && strcmp(order, "reversed") == 0;
  if (order && !reversed && strcmp(order, "forward")) { stop("CUDA_HOST_ORDER", order); }
  in_kernel = position;
  grid_dim = uint3{grid.x, grid.y, grid.z};
  block_dim = uint3{block.x, block.y, block.z};
  body = call;
  context = argument;
  threads = block.x * block.y * block.z;
  const unsigned blocks = grid.x * grid.y * grid.z;
  for (unsigned i = 0; i < blocks; ++i) {
    block_index = index_in(i, blocks, grid_dim);
    run_block();
  }
  in_kernel = nullptr;
}

void barrier(int line) {
  running->line = line;
  running->thread = thread_index;
  waiting.push_back(running);
  leave(running);
}

// Shared memory is garbage when a block starts: NaN, the first time in each block that a thread
// comes by the declaration.
void fresh_shared(void* variable, size_t size) {
  if (std::count(shared_seen.begin(), shared_seen.end(), variable)) { return; }
  shared_seen.push_back(variable);
  memset(variable, 0xFF, size);
}

}  // namespace cuda_host
