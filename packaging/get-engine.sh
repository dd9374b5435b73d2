#!/usr/bin/env bash
# Prints the path of a llama-server that runs on this machine; no root is needed.
#
#   packaging/get-engine.sh [FOLDER]      FOLDER: where one is unpacked, by default build/engine
#
# In this order: $CORRAL_LLAMA_SERVER, `llama-server` on PATH, Debian's own llama.cpp-tools. Debian
# 12 and 13 do not have that package, so it is taken from the newest suite that does, with every
# library it needs, libc included, and unpacked into FOLDER. A wrapper starts it with that suite's
# own dynamic linker. The mirror, its keys, proxies and credentials are the ones that the system's
# apt is configured with; nothing of the system is changed.
# Only the path goes to standard output; the rest to standard error. Exit status 1: none to be had.
set -euo pipefail

suites=${CORRAL_ENGINE_SUITES:-forky sid}
package=llama.cpp-tools
repository=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

say() { printf 'get-engine: %s\n' "$*" >&2; }

# Each archive in the system's apt sources that can be Debian's own, one file a mirror in folder $1:
# a deb822 stanza with the system's address and keys for it, and no suite yet. Both source formats
# are read. Security archives carry no other suites; what a third party serves under Debian's suite
# names is told apart in `fetch_lists`, which asks the archive who it is.
list_mirrors() {
    local codename file
    codename=$(. /etc/os-release && echo "${VERSION_CODENAME:-sid}")
    mkdir -p "$1"
    for file in /etc/apt/sources.list /etc/apt/sources.list.d/*.list \
        /etc/apt/sources.list.d/*.sources; do
        [ -r "$file" ] && cat "$file"
        printf '\n\n' # a stanza ends with its file
    done | awk -v folder="$1" -v codename="$codename" '
        function debian_suite(names, list, i) {
            split(names, list, /[ \t\n]+/)
            for (i in list)
                if (list[i] == codename || list[i] ~ /^(old)?stable$|^testing$|^unstable$|^sid$/)
                    return 1
            return 0
        }
        function mirror(uri, suites, components, key, file) {
            if (uri ~ /security|^cdrom:/ || seen[uri]++) return
            if (!debian_suite(suites) || (" " components " ") !~ /[ \t]main[ \t]/) return
            file = sprintf("%s/%02d", folder, ++count)
            printf "Types: deb\nURIs: %s\nComponents: main\n", uri >file
            if (key != "") printf "Signed-By:%s\n", key >file
            close(file)
        }
        function end_of_stanza(list, i, n) {
            if (field["enabled"] !~ /no/ && (" " field["types"] " ") ~ /[ \t]deb[ \t]/) {
                n = split(field["uris"], list, /[ \t\n]+/)
                for (i = 1; i <= n; i++)
                    if (list[i] != "")
                        mirror(list[i], field["suites"], field["components"], field["signed-by"])
            }
            split("", field)
            name = ""
        }
        /^#/ { next }
        /^[ \t]*$/ { end_of_stanza(); next }
        /^deb[ \t]/ {
            key = ""
            if (match($0, /\[[^]]*\]/)) {
                options = substr($0, RSTART + 1, RLENGTH - 2)
                $0 = substr($0, 1, RSTART - 1) substr($0, RSTART + RLENGTH)
                if (match(options, /signed-by=[^ \t]+/))
                    key = " " substr(options, RSTART + 10, RLENGTH - 10)
            }
            components = $4
            for (i = 5; i <= NF; i++) components = components " " $i
            mirror($2, $3, components, key)
            next
        }
        /^[A-Za-z-]+:/ {
            name = tolower(substr($0, 1, index($0, ":") - 1))
            field[name] = substr($0, index($0, ":") + 1)
            next
        }
        /^[ \t]/ && name != "" { field[name] = field[name] "\n" $0 }'
}

# A private apt in $1: its own lists, cache and (empty) package database, so that it asks nobody and
# disturbs nothing. Hooks belong to the system's apt, and would fail or meddle here.
write_apt_config() {
    local apt=$1
    mkdir -p "$apt"/{etc/sources,state/lists/partial,cache/archives/partial}
    : >"$apt/etc/status"
    cat >"$apt/apt.conf" <<CONF
Dir::State "$apt/state";
Dir::State::Lists "$apt/state/lists";
Dir::State::status "$apt/etc/status";
Dir::Cache "$apt/cache";
Dir::Etc::SourceList "/dev/null";
Dir::Etc::SourceParts "$apt/etc/sources";
Dir::Etc::Preferences "/dev/null";
Dir::Etc::PreferencesParts "/dev/null";
Debug::NoLocking "true";
Acquire::Languages "none";
Acquire::IndexTargets::deb::DEP-11::DefaultEnabled "false";
Acquire::IndexTargets::deb::DEP-11-icons-small::DefaultEnabled "false";
Acquire::IndexTargets::deb::Contents-deb::DefaultEnabled "false";
APT::Default-Release "";
APT::Install-Recommends "false";
APT::Get::AllowUnauthenticated "false";
#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
#clear DPkg::Pre-Install-Pkgs;
CONF
    # As root, apt would download as the user _apt, who may not enter a private folder.
    if [ "$(id -u)" = 0 ]; then
        echo 'APT::Sandbox::User "root";' >>"$apt/apt.conf"
    fi
}

# Gets the lists of suite $2 from the mirror in file $3, and makes sure that they are Debian's and
# have the package.
fetch_lists() {
    local apt=$1 suite=$2 mirror=$3
    rm -rf "$apt/state/lists"
    mkdir -p "$apt/state/lists/partial"
    { echo "Suites: $suite"; cat "$mirror"; } >"$apt/etc/sources/debian.sources"
    apt-get -c "$apt/apt.conf" -q -o APT::Update::Error-Mode=any update >"$apt/log" 2>&1 || return 1
    grep -qs '^Origin: Debian$' "$apt"/state/lists/*Release || return 1
    apt-cache -c "$apt/apt.conf" show "$package" >/dev/null 2>&1
}

# Downloads the package and all that it depends on, as a machine with nothing installed would need
# it, and unpacks that into $2. What it depends on is the archive's word; no name is listed here.
unpack_with_dependencies() {
    local apt=$1 root=$2 names deb
    names=$(apt-get -c "$apt/apt.conf" -s install "$package" | awk '$1 == "Inst" { print $2 }')
    [ -n "$names" ] || return 1
    mkdir -p "$apt/debs" "$root"
    # shellcheck disable=SC2086  # a list of words
    (cd "$apt/debs" && apt-get -c "$apt/apt.conf" -q download $names) >"$apt/log" 2>&1 || return 1
    for deb in "$apt"/debs/*.deb; do
        dpkg-deb -x "$deb" "$root" || return 1
    done
    rm -rf "$root"/usr/share/{doc,info,locale,man} "$root"/usr/lib/*/{gconv,perl*}
}

# Writes $1/llama-server, which becomes the engine by exec, so that its pid is the engine's. The
# engine looks for its backends beside its own program file, which here is the linker's: so it is
# told one, the best that this processor can run.
write_wrapper() {
    local folder=$1 loader libraries impl backends
    cd "$folder/root" || return 1
    loader=$(find . -name 'ld-linux*.so.*' -printf '%P\n' -quit)
    libraries=$(find . -name 'libc.so.6' -printf '%P\n' -quit)
    impl=$(find . -name 'libllama-server-impl.so*' -printf '%P\n' -quit)
    backends=$(find . -name 'libggml-cpu*.so' -printf '%P\n' -quit)
    cd - >/dev/null || return 1
    [ -n "$loader" ] && [ -n "$libraries" ] && [ -n "$backends" ] || return 1
    libraries="\$root/$(dirname "$libraries")${impl:+:\$root/$(dirname "$impl")}"
    cat >"$folder/llama-server" <<WRAPPER
#!/bin/sh
# Debian's llama-server with that suite's own libraries. Made by packaging/get-engine.sh.
[ ! -L "\$0" ] || exec "\$(readlink -f "\$0")" "\$@"
root=\${0%/*}/root
flags=
while IFS= read -r line; do
    case \$line in flags*) flags="\${line#*:} "; break ;; esac
done </proc/cpuinfo
can() { for flag; do case \$flags in *" \$flag "*) ;; *) return 1 ;; esac; done; }
use() {
    [ -e "\$root/$(dirname "$backends")/libggml-cpu\$1.so" ] && backend=libggml-cpu\$1.so
}
{ can avx2 bmi2 f16c fma && use -haswell; } || { can avx && use -sandybridge; } ||
    { can sse4_2 && use -sse42; } || use -x64 || use -armv8.0_1 || use '' ||
    backend=$(basename "$backends")
export GGML_BACKEND_PATH="\$root/$(dirname "$backends")/\$backend"
exec "\$root/$loader" --library-path "$libraries" \\
    "\$root/usr/bin/llama-server" "\$@"
WRAPPER
    chmod +x "$folder/llama-server"
}

# Makes the folder $1 whole or not at all: all happens in a folder beside it, which is moved at the
# end. One at a time, so that nobody takes away the engine that another one has just started.
fetch_engine() {
    local target=$1 suite mirror
    command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null ||
        { say "no llama-server on PATH, and no apt to get one with"; return 1; }
    mkdir -p "$(dirname "$target")"
    exec 9>"$target.lock"
    flock 9
    [ ! -x "$target/llama-server" ] || return 0
    work=$(mktemp -d "$target.XXXXXX") # not local: the trap needs it
    trap 'rm -rf "$work"' EXIT
    write_apt_config "$work/apt"
    list_mirrors "$work/mirrors"
    for suite in $suites; do
        for mirror in "$work"/mirrors/*; do
            [ -e "$mirror" ] || { say "the apt sources name no mirror of Debian"; return 1; }
            say "looking for $package in $suite ($(sed -n 's/^URIs: //p' "$mirror"))"
            rm -rf "$work/engine" "$work/apt/debs"
            fetch_lists "$work/apt" "$suite" "$mirror" || continue
            say "unpacking it and its libraries into $target"
            unpack_with_dependencies "$work/apt" "$work/engine/root" || continue
            write_wrapper "$work/engine" ||
                { say "what $suite has is laid out in a new way"; continue; }
            "$work/engine/llama-server" --version >"$work/apt/log" 2>&1 ||
                { say "what $suite has does not start here"; continue; }
            rm -rf "$target"
            mv -T "$work/engine" "$target"
            return 0
        done
    done
    say "no $package that starts here in any of: $suites. The last messages were:"
    tail -n 8 "$work/apt/log" >&2 2>/dev/null || true
    return 1
}

main() {
    local target path
    target=$(realpath -m -- "${1:-$repository/build/engine}")
    if [ -n "${CORRAL_LLAMA_SERVER:-}" ]; then
        path=$(command -v -- "$CORRAL_LLAMA_SERVER") ||
            { say "CORRAL_LLAMA_SERVER=$CORRAL_LLAMA_SERVER cannot be run"; return 1; }
    elif ! path=$(command -v llama-server); then
        path=$target/llama-server
        if [ ! -x "$path" ]; then
            fetch_engine "$target" </dev/null
        fi
    fi
    realpath -s -- "$path"
}

main "$@"
