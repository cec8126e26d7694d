#!/bin/bash
# Makes a build tree of CMake begin anew where it was made in another folder: CMake refuses to go on in one that was
# moved or copied with the project. What was compiled comes from ccache.
#
#   drop_moved_cache.sh TREE SOURCE
set -euo pipefail

cache=$1/CMakeCache.txt
[ -f "$cache" ] || exit 0
made_of=$(sed -n 's/^CMAKE_HOME_DIRECTORY:INTERNAL=//p' "$cache")
# The same folder, whatever links lead there.
[ "$made_of" -ef "$2" ] || rm -rf "$cache" "$1/CMakeFiles"
