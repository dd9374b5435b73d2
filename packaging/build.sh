#!/usr/bin/env bash
# Configures a preset when that has not been done, and builds it:  build.sh PRESET [TARGET…]
# What is up to date is not built again, so a second call takes a second.
set -euo pipefail

repository=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
preset=$1
shift
build=$repository/build/$preset

# One job a core, but no more than fit into memory: a file with coroutines takes about 1.5 GB.
jobs=$(nproc)
memory=$(awk '$1 == "MemAvailable:" { print int($2 / 1500000) }' /proc/meminfo 2>/dev/null || true)
if [ -n "$memory" ] && [ "$memory" -lt "$jobs" ]; then
    jobs=$((memory > 0 ? memory : 1))
fi

# build.ninja is written last, and calls CMake again by itself when a CMakeLists.txt has changed.
if [ ! -f "$build/build.ninja" ]; then
    (cd "$repository" && cmake --preset "$preset")
fi
cmake --build "$build" --parallel "$jobs" ${1:+--target "$@"}
