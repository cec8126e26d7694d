// Device memory of the test double, and what is said when it is misused. Each allocation ends at a
// guard page, is filled with NaN (all bits set), and when it is freed its pages go back and its
// addresses are never used again. So these stop at the instruction that is wrong: host code at a
// device address, on any thread; a kernel past the end; anything after a free. A write before the
// start in the same page shows at the free. It cannot show an access that hits another place of the
// same allocation.
#include "memory.hpp"

#include <cxxabi.h>
#include <dlfcn.h>
#include <signal.h>
#include <sys/mman.h>
#include <ucontext.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>

#include "cuda_runtime.h"

namespace cuda_host {

thread_local std::string (*in_kernel)() = nullptr;

namespace {

const uintptr_t kRange = uintptr_t{1} << 40, kPage = 4096;
const size_t kAlignment = 256;  // cudaMalloc's
const int kReserved = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;

typedef std::map<uintptr_t, size_t> Map;  // device address and size
std::mutex mutex;
Map &live = *new Map, &freed = *new Map;  // for ever: static objects may free as they end
uintptr_t begin, next;  // of the device's range; of its unused part

bool in_device(uintptr_t at) { return at - begin < kRange; }
bool in_storage(uintptr_t at) { return at - begin - kRange < kRange; }
uintptr_t number(const void* p) { return reinterpret_cast<uintptr_t>(p); }
void* pointer_to(uintptr_t p) { return reinterpret_cast<void*>(p); }
uintptr_t pages(uintptr_t size) { return (size + kPage - 1) / kPage * kPage; }

// The last allocation that starts at or before the address, within reach.
Map::iterator find(Map* map, uintptr_t at, uintptr_t reach) {
  Map::iterator it = map->upper_bound(at);
  if (it == map->begin()) { return map->end(); }
  --it;
  return at - it->first <= it->second + reach ? it : map->end();
}

std::string describe(uintptr_t at) {
  Map::iterator it = find(&freed, at, 0);
  if (it != freed.end()) { return cat("in an allocation of ", it->second, " that was freed"); }
  it = find(&live, at, 16 * kPage);
  if (it == live.end()) { return "in no allocation"; }
  const uintptr_t i = at - it->first;
  if (i < it->second) { return cat("at byte ", i, " of an allocation of ", it->second); }
  return cat(i - it->second, " bytes past the end of an allocation of ", it->second);
}

struct sigaction previous;
void on_fault(int signal, siginfo_t* info, void* context) {
  const uintptr_t at = number(info->si_addr);
  const char* verb = "reads or writes";
  const void* code = nullptr;
#ifdef __x86_64__
  const ucontext_t* state = static_cast<ucontext_t*>(context);
  verb = state->uc_mcontext.gregs[REG_ERR] & 2 ? "writes" : "reads";
  code = pointer_to(state->uc_mcontext.gregs[REG_RIP]);
#endif
  const bool device = in_device(at) || in_storage(at);
  const std::string place = device ? describe(in_storage(at) ? at - kRange : at) :
      cat("the host's address ", info->si_addr);
  if (in_kernel) {
    stop(in_kernel(), cat(verb, in_device(at) ? " through a pointer that was not its argument, " :
                          " ", place));
  }
  if (device) {
    Dl_info where = {};
    int status;
    dladdr(code, &where);
    const char* name = where.dli_sname ? where.dli_sname : "(no symbol)";
    const char* plain = abi::__cxa_demangle(name, nullptr, nullptr, &status);
    stop(cat("host code in ", plain ? plain : name), cat(verb, " device memory, ", place));
  }
  sigaction(signal, &previous, nullptr);  // and it faults once more
}

// Done at every allocation: glog, for one, installs its own handler later.
void install_handler() {
  struct sigaction ours = {}, old;
  ours.sa_sigaction = on_fault;
  ours.sa_flags = SA_SIGINFO | SA_NODEFER;
  sigaction(SIGSEGV, &ours, &old);
  if (old.sa_sigaction != on_fault) { previous = old; }
}

}  // namespace

void stop(const std::string& who, const std::string& what) {
  fprintf(stderr, "cuda_host: %s: %s\n", who.c_str(), what.c_str());
  abort();
}

bool is_device(const void* pointer) {
  return in_device(number(pointer)) || in_storage(number(pointer));
}

void* device(const std::string& who, const char* what, const void* pointer, size_t size) {
  uintptr_t at = number(pointer);
  if (!pointer) { stop(who, cat(what, " is a null pointer")); }
  if (in_storage(at)) { at -= kRange; }  // a kernel computed it and left it in device memory
  if (!in_device(at)) { stop(who, cat(what, " is a host pointer")); }
  std::lock_guard<std::mutex> lock(mutex);
  const Map::iterator it = find(&live, at, 0);
  if (it == live.end()) { stop(who, cat(what, " lies ", describe(at))); }
  const size_t left = it->first + it->second - at;
  if (size > left) {
    stop(who, cat(what, " needs ", size, " bytes where ", left, " are left of an allocation of ",
                  it->second));
  }
  return pointer_to(at + kRange);
}

void host(const std::string& who, const char* what, const void* pointer) {
  if (!pointer) { stop(who, cat(what, " is a null pointer")); }
  if (is_device(pointer)) { stop(who, cat(what, " is a device pointer")); }
}

bool lives(const void* pointer) {
  std::lock_guard<std::mutex> lock(mutex);
  return find(&live, number(pointer), 0) != live.end();
}

void* kernel_argument(const char* kernel, int index, const void* pointer) {
  if (!pointer) { return nullptr; }
  if (lives(pointer)) { return pointer_to(number(pointer) + kRange); }  // without words, quickly
  return device(cat("kernel ", kernel), cat("argument ", index).c_str(), pointer, 0);
}

// A word is taken for a pointer where it lies in a living allocation or in a mapped page of the
// host; anything else (integers, padding) stays, and faults if it was a pointer after all.
void kernel_structure(const char* kernel, int index, void* structure, size_t size) {
  for (size_t i = 0; i + sizeof(void*) <= size; i += sizeof(void*)) {
    void** const word = reinterpret_cast<void**>(static_cast<char*>(structure) + i);
    unsigned char resident;
    if (lives(*word) || (!is_device(*word) &&
        !mincore(pointer_to(number(*word) / kPage * kPage), 1, &resident))) {
      *word = kernel_argument(kernel, index, *word);
    }
  }
}

void* allocate(size_t size) {
  std::lock_guard<std::mutex> lock(mutex);
  install_handler();
  if (!begin) {
    void* range = mmap(nullptr, 2 * kRange, PROT_NONE, kReserved, -1, 0);
    if (range == MAP_FAILED) { stop("cudaMalloc", "cannot reserve 2 TiB of addresses"); }
    begin = number(range);
    next = begin + kPage;
  }
  const uintptr_t length = pages(size);
  void* const storage = pointer_to(next + kRange);
  if (next - begin + length + kPage > kRange ||
      mprotect(storage, length, PROT_READ | PROT_WRITE)) { return nullptr; }
  memset(storage, 0xFF, length);
  // It ends at the guard page, as nearly as the alignment of its size allows.
  const size_t alignment = std::min<size_t>(size & -size, kAlignment);
  const uintptr_t start = next + (length - size) / alignment * alignment;
  next += length + kPage;
  live[start] = size;
  return pointer_to(start);
}

void release(void* pointer) {
  std::lock_guard<std::mutex> lock(mutex);
  const uintptr_t at = number(pointer), page = at / kPage * kPage;
  const Map::iterator it = live.find(at);
  if (it == live.end()) { stop("cudaFree", cat("cudaMalloc did not give this: ", describe(at))); }
  const auto* storage = static_cast<unsigned char*>(pointer_to(page + kRange));
  const size_t first = std::find_if(storage, storage + (at - page),
                                    [](unsigned char c) { return c != 0xFF; }) - storage;
  if (page + first != at) {
    stop("cudaFree", cat("something wrote ", at - page - first, " bytes before an allocation of ",
                         it->second));
  }
  if (mmap(pointer_to(page + kRange), pages(at - page + it->second), PROT_NONE,
           kReserved | MAP_FIXED, -1, 0) == MAP_FAILED) {
    stop("cudaFree", "cannot unmap the storage");
  }
  freed[at] = it->second;
  live.erase(it);
}

}  // namespace cuda_host
