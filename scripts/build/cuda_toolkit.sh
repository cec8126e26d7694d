#!/bin/bash
# Prints the root of a CUDA toolkit (12 or 13) with nvcc, cuBLAS and cuRAND.
#
# The system's (CUDA_HOME, nvcc on the PATH, /usr/local/cuda), if it has all three. If it lacks the libraries,
# a root made of links, build/cuda-toolkit, completes it with NVIDIA's Python packages, pinned with hashes; so
# no installer that wants root is needed.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
fail() {
  echo "error: $*" >&2
  exit 1
}

for candidate in "${CUDA_HOME:-}" "$(dirname "$(dirname "$(readlink -f "$(command -v nvcc || true)")")")" /usr/local/cuda; do
  if [ -n "$candidate" ] && [ -x "$candidate/bin/nvcc" ]; then
    system=$(readlink -f "$candidate")
    break
  fi
done
[ -n "${system:-}" ] || fail "CUDA=1 needs nvcc: install a CUDA toolkit (12 or 13), or set CUDA_HOME to one"
version=$("$system/bin/nvcc" --version | sed -nE 's/.*release ([0-9]+)\..*/\1/p')
case $version in
  12 | 13) ;;
  *) fail "$system is CUDA $version; 12 and 13 are supported" ;;
esac

complete=1
for header in cublas_v2.h curand.h; do
  [ -e "$system/include/$header" ] || complete=
done
if [ -n "$complete" ]; then
  echo "$system"
  exit
fi

toolkit=$root/build/cuda-toolkit
requirements=$here/requirements.cuda$version.txt
stamp=$toolkit/complete
wanted="$system $(sha256sum <"$requirements")"
if [ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ]; then
  echo "$toolkit"
  exit
fi
echo "Completing the CUDA toolkit in $system with cuBLAS and cuRAND (half a gigabyte)" >&2
rm -rf "$toolkit"
mkdir -p "$toolkit"/{include,lib64}
"$root/build/venv/bin/python" -m pip install --quiet --no-deps --require-hashes --requirement "$requirements" \
  --target "$toolkit/packages" >&2 || fail "NVIDIA's Python packages could not be installed"
# All of the system's toolkit, but for the two folders which get more.
for path in "$system"/*; do
  name=$(basename "$path")
  [ -e "$toolkit/$name" ] || ln -s "$path" "$toolkit/$name"
done
ln -sfn lib64 "$toolkit/lib"
ln -s "$system"/include/* "$toolkit/include/"
ln -s "$system"/lib64/* "$toolkit/lib64/"
for path in "$toolkit"/packages/nvidia/*/include/*; do
  ln -sfn "$path" "$toolkit/include/$(basename "$path")"
done
for path in "$toolkit"/packages/nvidia/*/lib/lib*.so*; do
  name=$(basename "$path")
  ln -sfn "$path" "$toolkit/lib64/$name"
  ln -sfn "$path" "$toolkit/lib64/${name%%.so*}.so"
done
echo "$wanted" >"$stamp"
echo "$toolkit"
