#!/bin/bash
# Builds Caffe with our layers: build/caffe (patched source) -> build/<flavour>/, and points
# build/bin, build/python and the virtual environment's `import caffe` at that flavour.
#
#   build_caffe.sh cpu|cuda|cuda_host [target...]
#
# Without targets the library, the tools and pycaffe are built and linked up; with targets (test.testbin)
# only those are built. Settings from the environment: CAFFE_TARBALL (an archive of the commit), CUDA_ARCH
# (CMake's CMAKE_CUDA_ARCHITECTURES), CAFFE_TESTS (test files to compile, "" for all of Caffe's).
set -euo pipefail

flavour=$1
shift
root=$(cd "$(dirname "$0")/../.." && pwd)
here=$root/scripts/build
tree=$root/build/$flavour
mkdir -p "$tree"

"$here/system_packages.sh"
"$here/python_packages.sh"
# One build at a time: two would write the same objects.
exec 9>"$root/build/lock"
if ! flock -n 9; then
  echo "Waiting for another build of Caffe to end"
  flock 9
fi
# What pycaffe is built from, for scripts/provenance.py: told before the sources are copied, so that an edit while
# they are compiled is another digest.
overlay=$(cd "$root" && build/venv/bin/python -c "from scripts import provenance; print(provenance.overlay_digest())")
/usr/bin/python3 "$here/caffe_source.py" build ${CAFFE_TARBALL:+--tarball "$CAFFE_TARBALL"}

# $1: folder of pycaffe. Half installed it is neither what it was built from before nor what it is to be.
unstamp() {
  [ "$(cat "$tree/$1/caffe/overlay.sha256" 2>/dev/null)" = "$overlay" ] || rm -f "$tree/$1/caffe/overlay.sha256"
}
link() {
  mkdir -p "$root/build/bin"
  ln -sfn "../$flavour/$1" "$root/build/bin/caffe"
  ln -sfn "$flavour/$2" "$root/build/python"
  echo "$flavour" >"$root/build/flavour"
  # Runs that start meanwhile read it: what is right already stays as it is.
  [ -e "$tree/$2/caffe/overlay.sha256" ] || echo "$overlay" >"$tree/$2/caffe/overlay.sha256"
}
if [ "$flavour" = cuda_host ]; then
  unstamp python
  "$root/tests/cuda_host/build.sh" "$root/build/caffe" "$tree" "$CAFFE_TESTS"
  link caffe python
  exit
fi
options=(
  -DCMAKE_BUILD_TYPE=Release
  -DCMAKE_C_COMPILER_LAUNCHER=ccache -DCMAKE_CXX_COMPILER_LAUNCHER=ccache
  -DCMAKE_INSTALL_PREFIX="$tree/install" -DCMAKE_INSTALL_MESSAGE=NEVER
  -DBLAS=Open -DUSE_ONEDNN=ON -DUSE_OPENCV=OFF -DUSE_LEVELDB=OFF -DBUILD_docs=OFF
  -Dpython_version=3 -DPYTHON_EXECUTABLE="$root/build/venv/bin/python"
  -DBUILD_only_tests="${CAFFE_TESTS-}"
  # caffe and pycaffe find the library that lies beside them first: the project's folder may be moved or copied.
  -DCMAKE_EXE_LINKER_FLAGS_RELEASE='-Wl,-rpath,\$ORIGIN/../lib'
  -DCMAKE_SHARED_LINKER_FLAGS_RELEASE='-Wl,-rpath,\$ORIGIN/../../lib'
)
[ "$(uname -m)" != x86_64 ] || options+=(-DUSE_LIBXSMM=ON)
case $flavour in
  cpu)
    options+=(-DCPU_ONLY=ON)
    ;;
  cuda)
    toolkit=$("$here/cuda_toolkit.sh")
    if [ -z "${CUDA_ARCH:-}" ]; then
      # The card in this machine; without one, code for sm_75 and PTX that newer ones compile at first use.
      # Where it finds no card, nvidia-smi says so in the place of the number.
      CUDA_ARCH=$(nvidia-smi --query-gpu=compute_cap --format=csv,noheader 2>/dev/null | grep -m 1 -xE '[0-9]+\.[0-9]+' |
        tr -d '.' || true)
      CUDA_ARCH=${CUDA_ARCH:-75}
    fi
    options+=(
      -DUSE_CUDNN=OFF -DCMAKE_CUDA_COMPILER="$toolkit/bin/nvcc" -DCUDAToolkit_ROOT="$toolkit"
      -DCMAKE_CUDA_COMPILER_LAUNCHER=ccache -DCMAKE_POLICY_DEFAULT_CMP0074=NEW -DCMAKE_CUDA_ARCHITECTURES="$CUDA_ARCH"
    )
    ;;
  *)
    echo "error: the flavours are cpu, cuda and cuda_host, not $flavour" >&2
    exit 1
    ;;
esac

log=$tree/build.log
step() {
  if ! "$@" >"$log" 2>&1; then
    tail -n 25 "$log" >&2
    echo "error: building Caffe failed; the whole output is in $log" >&2
    exit 1
  fi
}
"$here/drop_moved_cache.sh" "$tree" "$root/build/caffe"
step cmake -S "$root/build/caffe" -B "$tree" -G Ninja "${options[@]}"
if [ $# -gt 0 ]; then
  step ninja -C "$tree" "$@"
  exit
fi
pending=$(ninja -C "$tree" -n | grep -oE '^\[[0-9]+/[0-9]+\]' | tail -n 1 | tr -d '[]' | cut -d/ -f2 || true)
if [ "${pending:-0}" -gt 20 ]; then
  echo "Building Caffe ($flavour), $pending steps: some minutes the first time"
fi
unstamp install/python
step ninja -C "$tree" install

link install/bin/caffe install/python
# What a user does next, once for each build; a wrong NumPy, say, shows here.
if ! [ "$tree/imported" -nt "$tree/install/python/caffe/_caffe.so" ]; then
  step "$root/build/venv/bin/python" -c "import caffe"
  touch "$tree/imported"
fi
