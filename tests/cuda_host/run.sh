#!/bin/bash
# Runs the GPU tests that build.sh built, on the CPU; or compiles .cu files with nvcc, to see what only
# nvcc checks.
#
#   run.sh tests SOURCE BUILD [forward|reversed]   the GPU tests in BUILD/test.testbin, in one process,
#                                                  threads and blocks in this order (forward)
#   run.sh ptx SOURCE BUILD FILE...                nvcc -ptx over these .cu files; says so and ends well
#                                                  where there is no nvcc
#   run.sh all SOURCE BUILD                        both orders and ptx over every .cu file of SOURCE
#
# SOURCE  the patched Caffe tree      BUILD  where build.sh built it
set -euo pipefail
if [ $# -lt 3 ]; then
  sed -n '2,/^set/{s/^# \{0,1\}//p}' "$0" >&2
  exit 2
fi
here=$(cd "$(dirname "$0")" && pwd)
mode=$1
source=$(cd "$2" && pwd)
build=$(cd "$3" && pwd)
shift 3
export OPENBLAS_NUM_THREADS=1
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

tests() {
  # Tests typed by {float, double} x {CPU, GPU}: /2 and /3 are the GPU's.
  # (MaxPoolingDropoutTest's TestBackward demands that a dropout of one half keeps at least 18 of 36 values:
  # a matter of luck that src/curand.cpp happens to have for the test's seed.)
  local gpu='*/2.*:*/3.*:*GPU*:Im2colKernelTest*:InternalThreadTest*:CommonTest.TestBrewMode:PlatformTest*'
  echo "GPU tests on the CUDA double, threads and blocks $1"
  (cd "$source" && TMPDIR=$scratch GLOG_log_dir=$scratch GLOG_minloglevel=2 CUDA_HOST_ORDER=$1 \
    "$build/test.testbin" --gtest_filter="$gpu" >"$scratch/out" 2>"$scratch/err") || {
    local status=$?
    grep -h -E '^\[  FAILED|Failure|^cuda_host' -A 4 "$scratch/out" "$scratch/err" | head -n 60 >&2 || true
    tail -n 3 "$scratch/out" >&2
    exit "$status"
  }
  tail -n 3 "$scratch/out"
  if grep -q '^\[  PASSED  \] 0 tests' "$scratch/out"; then
    echo "error: $build/test.testbin has no GPU test" >&2
    exit 1
  fi
}

ptx() {
  local nvcc file
  nvcc=$(command -v nvcc || ls /usr/local/cuda/bin/nvcc 2>/dev/null || true)
  if [ -z "$nvcc" ]; then
    echo "No nvcc here: nvcc -ptx over $# .cu files is left out"
    return
  fi
  # NVIDIA's own runtime headers; cuBLAS's and cuRAND's are the double's, since a toolkit may lack them.
  printf '%s\0' "$@" | nice -n 10 xargs -0 -P "${BUILD_JOBS:-$(nproc)}" -I '{}' \
    "$nvcc" -ptx -std=c++17 -w -Xcompiler -w -DUSE_LMDB -DUSE_HDF5 -I "$here/include/libraries" \
    -I "$source/include" -I "$source/src" -I "$build/proto" -I /usr/include/hdf5/serial -o /dev/null '{}'
  echo "nvcc -ptx takes all of $# .cu files"
}

case $mode in
  tests) tests "${1:-forward}" ;;
  ptx) ptx "$@" ;;
  all)
    tests forward
    tests reversed
    mapfile -t files < <(find "$source/src/caffe" -name '*.cu' ! -name 'cudnn_*' | sort)
    ptx "${files[@]}"
    ;;
  *) echo "error: $mode is none of tests, ptx and all" >&2; exit 2 ;;
esac
