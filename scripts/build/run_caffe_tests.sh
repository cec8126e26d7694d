#!/bin/bash
# Runs a flavour's C++ tests in a scratch folder, with one BLAS thread; the tests of the GPU only where there
# is one. Ends with gtest's own closing lines.
set -euo pipefail

flavour=$1
root=$(cd "$(dirname "$0")/../.." && pwd)
export OPENBLAS_NUM_THREADS=1
filter='*'
if [ "$flavour" = cpu ]; then
  filter='-*GPU*'
elif ! nvidia-smi -L >/dev/null 2>&1; then
  echo "No GPU here: the tests that need one are left out"
  # Typed tests number {float, double} x {CPU, GPU}: /2 and /3 are the GPU's. A thread that reads data asks
  # CUDA for its device, whatever it computes on.
  filter='-*/2.*:*/3.*:*GPU*:Im2colKernelTest*:InternalThreadTest*:CommonTest.TestBrewMode:PlatformTest*'
  filter+=':ExactResumeTest*:DataLayerTest*'
fi
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
cd "$root/build/caffe"
# The bundled gtest prints two lines a test: only what failed and the closing lines are shown.
status=0
TMPDIR=$scratch GLOG_log_dir=$scratch GLOG_minloglevel=2 \
  "$root/build/$flavour/test/test.testbin" --gtest_filter="$filter" >"$scratch/out" 2>&1 || status=$?
if [ $status != 0 ]; then
  grep -vE '^\[( RUN  |    OK|---)' "$scratch/out" | tail -n 60 >&2
  echo "error: C++ tests of Caffe ($flavour) failed" >&2
  exit $status
fi
grep -E '^\[(=====|  PASSED)' "$scratch/out" | tail -n 2
