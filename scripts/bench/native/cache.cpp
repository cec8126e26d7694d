#include <cstddef>
#ifdef __x86_64__
#include <emmintrin.h>
#endif

extern "C" int CanEmptyCache() {
#ifdef __x86_64__
  return 1;
#else
  return 0;
#endif
}

extern "C" void EmptyCache(const void* data, size_t bytes) {
#ifdef __x86_64__
  const char* line = static_cast<const char*>(data);
  for (size_t i = 0; i < bytes; i += 64) { _mm_clflush(line + i); }
  _mm_mfence();
#else
  (void)data;
  (void)bytes;
#endif
}
