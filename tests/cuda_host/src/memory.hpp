// How the test double's own files check and translate an address. A device address lies in a range
// that is never mapped, its storage at a fixed offset from it. Shows every use of one as the other;
// cannot show a kernel that reads the host's memory through a global variable (nvcc refuses that).
#ifndef CUDA_HOST_MEMORY_H_
#define CUDA_HOST_MEMORY_H_

#include <cstddef>
#include <sstream>
#include <string>

namespace cuda_host {

template <typename... Parts>
std::string cat(const Parts&... parts) {
  std::ostringstream text;
  (text << ... << parts);
  return text.str();
}
// Prints "cuda_host: <who>: <what>" and aborts.
[[noreturn]] void stop(const std::string& who, const std::string& what);

// While this thread runs a kernel: says which, for the message of a fault.
extern thread_local std::string (*in_kernel)();

bool is_device(const void* pointer);
// The storage of `size` bytes at a device address: stops, naming `who` and `what`, unless all of
// them lie in one living allocation. Null is refused.
void* device(const std::string& who, const char* what, const void* pointer, size_t size);
// Stops unless the pointer is the host's.
void host(const std::string& who, const char* what, const void* pointer);

void* allocate(size_t size);  // null if there is no memory left
void release(void* pointer);

}  // namespace cuda_host

#endif  // CUDA_HOST_MEMORY_H_
