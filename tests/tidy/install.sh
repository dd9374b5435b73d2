#!/usr/bin/env bash
# `cmake --install` puts everything in place, below DESTDIR and whatever the prefix is, and the unit
# names the program where it will be.   install.sh BUILD_FOLDER CMAKE
set -euo pipefail
build=$1 cmake=$2
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT

fail() { printf 'FAILED: %s\n' "$*"; exit 1; }

DESTDIR=$root "$cmake" --install "$build" --prefix /opt/corral >/dev/null

for file in bin/corral lib/systemd/system/corral.service lib/sysusers.d/corral.conf \
    lib/tmpfiles.d/corral.conf share/doc/corral/config.example.yaml \
    share/doc/corral/docs/configuration.md share/doc/corral/models-in-home.conf \
    share/doc/corral/LICENSE; do
    [ -s "$root/opt/corral/$file" ] || fail "$file was not installed"
done
[ "$(cd "$root" && find . -type f | grep -vc '^./opt/corral/')" = 0 ] ||
    fail "something was installed outside of the prefix"
[ -x "$root/opt/corral/bin/corral" ] || fail "the program cannot be run"
"$root/opt/corral/bin/corral" --version || fail "the installed program does not start"

doc=$root/opt/corral/share/doc/corral
schema=$(sed -n '1s/^# yaml-language-server: $schema=//p' "$doc/config.example.yaml")
"$root/opt/corral/bin/corral" schema | cmp - "$doc/$schema" ||
    fail "the example's first line does not lead to the schema"

unit=$root/opt/corral/lib/systemd/system/corral.service
grep -qx 'ExecStart=/opt/corral/bin/corral serve' "$unit" || fail "ExecStart names another program"
! grep -q '@CORRAL' "$unit" || fail "a placeholder is left in the unit"
echo "installed: $(cd "$root" && find . -type f | sort | tr '\n' ' ')"
