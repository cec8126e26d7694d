#!/bin/bash
# build/venv: the Python packages of requirements.txt, pinned with hashes, for the system's Python, in which
# `import caffe` finds the flavour of Caffe that was built last. `python_packages.sh slurm` adds those of
# requirements.slurm.txt, which only a cluster needs.
set -euo pipefail

root=$(cd "$(dirname "$0")/../.." && pwd)
venv=$root/build/venv

# $1: a file of requirements; $2: where it is remembered that it is installed.
install() {
  local requirements=$root/scripts/build/$1 stamp=$venv/$2 log=$root/build/pip.log wanted
  wanted=$(sha256sum <"$requirements")
  [ "$(cat "$stamp" 2>/dev/null)" != "$wanted" ] || return 0
  mkdir -p "$root/build"
  exec 9>"$root/build/venv.lock"
  flock 9
  [ "$(cat "$stamp" 2>/dev/null)" != "$wanted" ] || return 0
  echo "Installing Python packages into build/venv"
  # Anew where an attempt was cut short: then there is a Python, but no pip.
  if ! "$venv/bin/python" -m pip --version >/dev/null 2>&1 &&
     ! /usr/bin/python3 -m venv --clear "$venv" >"$log" 2>&1; then
    rm -rf "$venv"
    echo "error: Python's venv is not there: run make caffe, which installs what is missing, first" >&2
    exit 1
  fi
  if ! "$venv/bin/python" -m pip install --require-hashes --requirement "$requirements" >"$log" 2>&1; then
    tail -n 5 "$log" >&2
    echo "error: the Python packages could not be installed; the whole output is in $log" >&2
    exit 1
  fi
  echo "$wanted" >"$stamp"
}

install requirements.txt requirements.sha256
# Counted from site-packages, so that a project's folder that was moved or copied finds its own Caffe.
for site in "$venv"/lib/python3*/site-packages; do
  [ "$(cat "$site/caffe.pth" 2>/dev/null)" = ../../../../python ] || echo ../../../../python >"$site/caffe.pth"
done
[ "${1:-}" != slurm ] || install requirements.slurm.txt requirements.slurm.sha256
