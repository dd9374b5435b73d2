#!/usr/bin/env bash
# Installs what is missing of what Corral needs, from Debian's packages.
#
#   packaging/install-deps.sh run | test | ci
#
# run: to build and serve; test: also to run every test; ci: also the tools of .ci/run. It asks
# first what is there, so that it does nothing, at once and without root, when nothing is missing.
set -euo pipefail

say() { printf 'install-deps: %s\n' "$*" >&2; }

missing=()

# need COMMAND PACKAGE…: a command from anywhere on PATH will do.
need() {
    local command=$1
    shift
    command -v "$command" >/dev/null || missing+=("$@")
}

# need_package PACKAGE…: nothing but the package itself will do (libraries, for their headers).
need_package() {
    local package
    for package; do
        [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] ||
            missing+=("$package")
    done
}

# Boost 1.81 or newer. Debian 12's default is 1.74, so the versioned packages are named there; of
# Debian 13's two, 1.83 is the default and 1.88 comes without Boost.Process.
boost_packages() {
    local version
    case $(. /etc/os-release && echo "${VERSION_CODENAME:-}") in
    bookworm) version=1.81 ;;
    trixie) version=1.83 ;;
    *) version='' ;;
    esac
    echo "libboost$version-dev libboost-filesystem$version-dev libboost-json$version-dev"
}

needs_to_run() {
    need g++ g++
    need cmake cmake
    need ninja ninja-build
    need ccache ccache
    need mold mold
    need pkg-config pkgconf
    need curl curl # the line that ./run ends with
    # shellcheck disable=SC2046  # a list of words
    need_package $(boost_packages)
    need_package libyaml-cpp-dev nlohmann-json3-dev libfmt-dev libspdlog-dev libcli11-dev \
        libre2-dev libsystemd-dev libssl-dev prometheus-cpp-dev
    need_package doctest-dev # headers only; the build is configured once, with the tests in it
}

needs_to_test() {
    needs_to_run
    need_package python3 python3-pytest ca-certificates
    need openssl openssl # certificates for the tests of TLS
    need_package python3-jsonschema python3-yaml # a second opinion on `corral schema`
    # The tests' Node.js client. Only when the command is missing: another distribution's build of
    # Node.js brings its own npm, and Debian's npm conflicts with that.
    need node nodejs
    need npm npm
}

needs_of_ci() {
    needs_to_test
    need git git
    need clang++-16 clang-16
    need clang-format-16 clang-format-16
    need clang-tidy-16 clang-tidy-16
    need_package libclang-rt-16-dev # sanitizers and libFuzzer of clang
    need_package llvm-16            # the symbolizer of their reports
    need shellcheck shellcheck
    need systemd-analyze systemd
}

install() {
    local as_root=()
    say "missing: $*"
    if [ "$(id -u)" != 0 ]; then
        command -v sudo >/dev/null || {
            say "neither root nor sudo; as root, run: apt-get install --no-install-recommends $*"
            return 1
        }
        as_root=(sudo)
    fi
    as_root+=(env DEBIAN_FRONTEND=noninteractive apt-get -qq -o Dpkg::Use-Pty=0
        -o DPkg::Lock::Timeout=300)
    "${as_root[@]}" update || say "apt-get update failed; going on with the lists that are here"
    "${as_root[@]}" install -y --no-install-recommends "$@" >&2
}

main() {
    if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
        say "this is not a Debian system: the build will say what it misses"
        return 0
    fi
    case ${1:-} in
    run) needs_to_run ;;
    test) needs_to_test ;;
    ci) needs_of_ci ;;
    *) say "usage: install-deps.sh run | test | ci"; return 2 ;;
    esac
    if [ ${#missing[@]} -gt 0 ]; then
        install "${missing[@]}"
    fi
}

main "$@"
