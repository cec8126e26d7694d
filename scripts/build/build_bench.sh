#!/bin/bash
# What `make bench` times with (scripts/bench/native), from the Caffe of a flavour: build/bench for the CPU,
# build/bench-gpu for a GPU.
#
#   build_bench.sh cpu|cuda
set -euo pipefail

flavour=$1
root=$(cd "$(dirname "$0")/../.." && pwd)
tree=$root/build/bench
cuda=
if [ "$flavour" = cuda ]; then
  tree=$root/build/bench-gpu
  cuda=$("$root/scripts/build/cuda_toolkit.sh")
fi
mkdir -p "$tree"
exec 9>"$tree/lock"
flock 9
log=$tree/build.log
step() {
  if ! "$@" >"$log" 2>&1; then
    tail -n 25 "$log" >&2
    echo "error: building the benchmark failed; the whole output is in $log" >&2
    exit 1
  fi
}
"$root/scripts/build/drop_moved_cache.sh" "$tree" "$root/scripts/bench/native"
step cmake -S "$root/scripts/bench/native" -B "$tree" -G Ninja -DCMAKE_CXX_COMPILER_LAUNCHER=ccache \
  -DCAFFE="$root/build/$flavour/install" -DCUDA="$cuda"
step ninja -C "$tree"
