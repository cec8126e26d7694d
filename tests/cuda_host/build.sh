#!/bin/bash
# Builds Caffe with its GPU code on the CPU, against the test double of CUDA in this folder, through
# ccache; incremental, nothing is installed.
#
#   build.sh SOURCE BUILD TESTS
#
# SOURCE  the patched Caffe tree
# BUILD   folder for the results: BUILD/caffe, the tool; BUILD/python, pycaffe; BUILD/test.testbin
# TESTS   which of Caffe's test files: all, or a list such as net,solver,inner_product_layer
#
# PYTHON in the environment is the interpreter that pycaffe is for (build/venv/bin/python).
set -euo pipefail
if [ $# -ne 3 ]; then
  sed -n '2,/^set/{s/^# \{0,1\}//p}' "$0" >&2
  exit 2
fi
here=$(cd "$(dirname "$0")" && pwd)
source=$(cd "$1" && pwd)
build=$2
tests=$3
mkdir -p "$build"
log=$build/build.log
step() {
  if ! "$@" >"$log" 2>&1; then
    grep -E -A 5 'error|FAILED' "$log" | head -n 40 >&2 || tail -n 40 "$log" >&2
    echo "error: building Caffe on the CUDA double failed; the whole output is in $log" >&2
    exit 1
  fi
}
"$here/../../scripts/build/drop_moved_cache.sh" "$build" "$here"
step cmake -S "$here" -B "$build" -G Ninja -DCAFFE_SRC="$source" -DTESTS="${tests//,/;}" \
  -DPython3_EXECUTABLE="${PYTHON:-$here/../../build/venv/bin/python}" \
  -DCMAKE_C_COMPILER_LAUNCHER=ccache -DCMAKE_CXX_COMPILER_LAUNCHER=ccache
pending=$(ninja -C "$build" -n | sed -n 's/^\[[0-9]*\/\([0-9]*\)\].*/\1/p' | tail -n 1)
if [ "${pending:-0}" -gt 20 ]; then
  echo "Building Caffe on the CUDA double, $pending steps: some minutes the first time"
fi
step nice -n 10 ninja -C "$build" -j "${BUILD_JOBS:-$(nproc)}"
