// The test double of CUDA has all of the real <driver_types.h> that is used in
// cuda_runtime.h, which also says what it shows and what it cannot.
#include <cuda_runtime.h>
