#ifndef CAFFE_UTIL_VECTORS_HPP_
#define CAFFE_UTIL_VECTORS_HPP_

#include <stdint.h>

#include "caffe/common.hpp"

// Run of WithVectors and all that it calls: they have to become a part of the
// function that is compiled for a processor.
#define CAFFE_INLINE inline __attribute__((always_inline))

// No vector is handed to a function that is not inlined.
#pragma GCC diagnostic ignored "-Wpsabi"

namespace caffe {

/// @brief Bytes of the vector registers of the processor at hand, 16 to 64.
inline int WidestVector() {
#ifdef __x86_64__
  __builtin_cpu_init();
  if (__builtin_cpu_supports("avx512f")) { return 64; }
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
    return 32;
  }
#endif
  return 16;
}

template <int SIZE> struct Integer;
template <> struct Integer<4> { typedef int32_t Type; };
template <> struct Integer<8> { typedef int64_t Type; };

/// @brief A vector of so many bytes (GCC's and Clang's), and one of places in
///        it.
template <typename Dtype, int BYTES> struct Vector {
  typedef typename Integer<sizeof(Dtype)>::Type Place;
  typedef Dtype Values __attribute__((vector_size(BYTES)));
  typedef Place Places __attribute__((vector_size(BYTES)));
  enum { LANES = BYTES / sizeof(Dtype) };
};

/// @brief Lane l: the one at places[l] among a's and then b's.
template <typename Values, typename Places>
CAFFE_INLINE Values Shuffle(const Values& a, const Values& b,
    const Places& places) {
#ifdef __clang__
  // It has no such function, and needs none where places are constants.
  enum { LANES = sizeof(places) / sizeof(places[0]) };
  Values values;
  for (int lane = 0; lane < LANES; ++lane) {
    values[lane] = places[lane] < LANES ? a[places[lane]] :
        b[places[lane] - LANES];
  }
  return values;
#else
  return __builtin_shuffle(a, b, places);
#endif
}

template <typename Body, typename... Arguments>
void WithVectors16(const Arguments&... arguments) {
  Body::template Run<16>(arguments...);
}
#ifdef __x86_64__
template <typename Body, typename... Arguments>
__attribute__((target("avx2,fma")))
void WithVectors32(const Arguments&... arguments) {
  Body::template Run<32>(arguments...);
}
template <typename Body, typename... Arguments>
__attribute__((target("avx512f,fma")))
void WithVectors64(const Arguments&... arguments) {
  Body::template Run<64>(arguments...);
}
#endif

/// @brief Body::Run<vector_bytes>(arguments...), compiled for processors that
///        have such vectors: 16, 32 or 64 bytes, WidestVector() at most.
template <typename Body, typename... Arguments>
void WithVectors(int vector_bytes, const Arguments&... arguments) {
  CHECK_LE(vector_bytes, WidestVector());
  switch (vector_bytes) {
#ifdef __x86_64__
  case 64: WithVectors64<Body>(arguments...); break;
  case 32: WithVectors32<Body>(arguments...); break;
#endif
  default: WithVectors16<Body>(arguments...); break;
  }
}

}  // namespace caffe

#endif  // CAFFE_UTIL_VECTORS_HPP_
