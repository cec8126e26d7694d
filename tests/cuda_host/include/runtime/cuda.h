// The driver API's header in the test double of CUDA: Caffe asks it for
// CUDA_VERSION alone. What the double shows is written in cuda_runtime.h.
#include <cuda_runtime.h>
#define CUDA_VERSION CUDART_VERSION
