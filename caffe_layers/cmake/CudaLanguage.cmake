# CUDA through CMake's own CUDA language, in place of the FindCUDA macros of
# cmake/Cuda.cmake: nvcc is called like any other compiler, so a compiler
# launcher (ccache) works and a header's change rebuilds what includes it.
#
# Settings: CPU_ONLY, CMAKE_CUDA_ARCHITECTURES, CMAKE_CUDA_COMPILER and
# CUDAToolkit_ROOT. CUDA 12 and 13. cuDNN is not supported.
if(CPU_ONLY)
  return()
endif()

if(USE_CUDNN)
  message(FATAL_ERROR "This build does not support cuDNN: set -DUSE_CUDNN=OFF.")
endif()

enable_language(CUDA)
find_package(CUDAToolkit 12 REQUIRED)
set(HAVE_CUDA TRUE)
set(CUDA_VERSION ${CUDAToolkit_VERSION})
message(STATUS "CUDA ${CUDA_VERSION}, architectures ${CMAKE_CUDA_ARCHITECTURES}")

# Paths, not the targets CUDA::cublas etc.: Caffe exports its link line to
# projects which would not have those targets. CUDAToolkit_ROOT comes first, for
# a toolkit whose libraries lie elsewhere than its compiler.
find_path(CUDA_LIBRARIES_INCLUDE cublas_v2.h
    HINTS ${CUDAToolkit_ROOT}/include ${CUDAToolkit_INCLUDE_DIRS})
list(APPEND Caffe_INCLUDE_DIRS PUBLIC
    ${CUDAToolkit_INCLUDE_DIRS} ${CUDA_LIBRARIES_INCLUDE})
foreach(lib cudart curand cublas)
  find_library(CUDA_${lib}_PATH ${lib}
      HINTS ${CUDAToolkit_ROOT}/lib64 ${CUDAToolkit_LIBRARY_DIR})
  if(NOT CUDA_LIBRARIES_INCLUDE OR NOT CUDA_${lib}_PATH)
    message(FATAL_ERROR
        "The CUDA toolkit has no ${lib} library: set CUDAToolkit_ROOT.")
  endif()
  list(APPEND Caffe_LINKER_LIBS PUBLIC ${CUDA_${lib}_PATH})
endforeach()

# Warnings of nvcc's front end that boost, glog and gtest provoke.
foreach(diag cc_clobber_ignored integer_sign_change useless_using_declaration
    set_but_not_used)
  set(CMAKE_CUDA_FLAGS "${CMAKE_CUDA_FLAGS} -Xcudafe --diag_suppress=${diag}")
endforeach()

# Which device Caffe's own tests use; -1: the first one.
if(NOT DEFINED CUDA_TEST_DEVICE)
  set(CUDA_TEST_DEVICE -1)
endif()
