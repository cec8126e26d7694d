#!/bin/bash
# Prints the root of a CUDA toolkit (12 or 13) with nvcc, cuBLAS and cuRAND.
#
# The system's (CUDA_HOME, nvcc on the PATH, /usr/local/cuda), if it has all three. What it lacks comes from
# NVIDIA's Python packages, pinned with hashes, so no installer that wants root is needed: all of it into
# build/cuda-toolkit if there is no nvcc; else the libraries, and links there to the rest of the system's.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
fail() {
  echo "error: $*" >&2
  exit 1
}

system=
if [ -n "${CUDA_HOME:-}" ]; then
  [ -x "$CUDA_HOME/bin/nvcc" ] || fail "CUDA_HOME is $CUDA_HOME, which has no bin/nvcc; correct or unset it"
  system=$(readlink -f "$CUDA_HOME")
else
  for candidate in "$(dirname "$(dirname "$(readlink -f "$(command -v nvcc || true)")")")" /usr/local/cuda; do
    if [ -x "$candidate/bin/nvcc" ]; then
      system=$(readlink -f "$candidate")
      break
    fi
  done
fi
version=13
requirements=()
if [ -n "$system" ]; then
  version=$("$system/bin/nvcc" --version | sed -nE 's/.*release ([0-9]+)\..*/\1/p')
  case $version in
    12 | 13) ;;
    *) fail "$system is CUDA $version; 12 and 13 are supported" ;;
  esac
  if [ -e "$system/include/cublas_v2.h" ] && [ -e "$system/include/curand.h" ]; then
    echo "$system"
    exit
  fi
else
  requirements+=("$here/requirements.nvcc.txt")
fi
requirements+=("$here/requirements.cuda$version.txt")

toolkit=$root/build/cuda-toolkit
stamp=$toolkit/complete
wanted="$system $(cat "${requirements[@]}" | sha256sum)"
if [ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ] && [ -e "$toolkit/include/cublas_v2.h" ]; then
  echo "$toolkit"
  exit
fi
if [ -n "$system" ]; then
  echo "Completing the CUDA toolkit in $system with cuBLAS and cuRAND (half a gigabyte)" >&2
else
  echo "No nvcc here: getting CUDA's compiler and libraries (0.7 gigabytes)" >&2
fi
rm -rf "$toolkit"
mkdir -p "$toolkit"/{include,lib64}
"$root/build/venv/bin/python" -m pip install --quiet --no-deps --require-hashes \
  "${requirements[@]/#/--requirement=}" --target "$toolkit/packages" >&2 ||
  fail "NVIDIA's Python packages could not be installed"
ln -sfn lib64 "$toolkit/lib"
if [ -n "$system" ]; then
  # All of the system's toolkit, but for the two folders which get more.
  for path in "$system"/*; do
    name=$(basename "$path")
    [ -e "$toolkit/$name" ] || ln -s "$path" "$toolkit/$name"
  done
  ln -s "$system"/include/* "$toolkit/include/"
  ln -s "$system"/lib64/* "$toolkit/lib64/"
fi
# Links within the toolkit are relative: the project's folder may be moved.
for path in "$toolkit"/packages/nvidia/*/include/*; do
  ln -sfnr "$path" "$toolkit/include/$(basename "$path")"
done
for path in "$toolkit"/packages/nvidia/*/lib/*; do
  ln -sfnr "$path" "$toolkit/lib64/$(basename "$path")"
done
for path in "$toolkit"/packages/nvidia/*/lib/lib*.so.*; do
  name=$(basename "$path")
  ln -sfnr "$path" "$toolkit/lib64/${name%%.so*}.so"
done
if [ -z "$system" ]; then
  # nvcc looks for the rest of the toolkit beside the folder that it is in, whatever links lead there.
  packages=$(dirname "$(echo "$toolkit"/packages/nvidia/*/bin/nvcc)")/..
  ln -sfnr "$packages/bin" "$toolkit/bin"
  ln -sfnr "$packages/nvvm" "$toolkit/nvvm"
  ln -sfnr "$toolkit/lib64" "$packages/lib64"
fi
echo "$wanted" >"$stamp"
echo "$toolkit"
