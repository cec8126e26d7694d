#!/bin/bash
# The Debian packages that building and running need. Says what is missing and
# installs that (as root, or through sudo); does nothing when all is there.
set -euo pipefail

packages=(
  # building Caffe
  g++ cmake ninja-build ccache patch ca-certificates debian-archive-keyring
  protobuf-compiler libprotobuf-dev
  libboost-system-dev libboost-thread-dev libboost-filesystem-dev
  libboost-python-dev libboost-regex-dev
  libgoogle-glog-dev libgflags-dev libhdf5-dev liblmdb-dev libopenblas-dev libdnnl-dev
  # pycaffe and everything written in Python
  python3-dev python3-venv
)

# libxsmm makes code for one family of processors.
[ "$(uname -m)" != x86_64 ] || packages+=(libxsmm-dev)

missing=()
for package in "${packages[@]}"; do
  status=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)
  [ "$status" = installed ] || missing+=("$package")
done
[ ${#missing[@]} -gt 0 ] || exit 0

if ! command -v apt-get >/dev/null; then
  echo "error: this system has no apt-get: install what corresponds to Debian's ${missing[*]}" >&2
  exit 1
fi
as_root=()
if [ "$(id -u)" != 0 ]; then
  if ! command -v sudo >/dev/null; then
    echo "error: as root, run: apt-get install ${missing[*]}" >&2
    exit 1
  fi
  as_root=(sudo)
fi
echo "Installing Debian packages: ${missing[*]}"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
if ! { "${as_root[@]}" apt-get update &&
       "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
         apt-get install -y --no-install-recommends "${missing[@]}"; } >"$log" 2>&1; then
  tail -n 5 "$log" >&2
  echo "error: apt-get could not install ${missing[*]}" >&2
  exit 1
fi
