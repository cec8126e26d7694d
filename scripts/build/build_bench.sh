#!/bin/bash
# build/bench: what `make bench` times with (scripts/bench/native), from the Caffe of the cpu flavour.
set -euo pipefail

root=$(cd "$(dirname "$0")/../.." && pwd)
tree=$root/build/bench
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
step cmake -S "$root/scripts/bench/native" -B "$tree" -G Ninja -DCMAKE_CXX_COMPILER_LAUNCHER=ccache \
  -DCAFFE="$root/build/cpu/install"
step ninja -C "$tree"
