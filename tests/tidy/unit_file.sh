#!/usr/bin/env bash
# systemd understands the units, the users and the directories without a word, and rates the sandbox
# at 3.0 or better; the lines that a GPU depends on stay out.   unit_file.sh BUILD_FOLDER CMAKE
set -euo pipefail
build=$1 cmake=$2
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT

fail() { printf 'FAILED: %s\n' "$*"; exit 1; }

"$cmake" --install "$build" --prefix "$root" >/dev/null
unit=$root/lib/systemd/system/corral.service
socket=$root/lib/systemd/system/corral.socket

# What would take the GPU, or the knowledge of the machine's memory, away from the engines.
for setting in PrivateDevices DevicePolicy DeviceAllow ProtectClock PrivateUsers \
    MemoryDenyWriteExecute ProcSubset; do
    ! grep -q "^$setting=" "$unit" || fail "$setting= is in the unit"
    grep -q "^#.*$setting" "$unit" || fail "the unit does not say why $setting= is left out"
done
for setting in Type=notify NotifyAccess=all KillMode=mixed OOMPolicy=continue \
    LimitMEMLOCK=infinity; do
    grep -qx "$setting" "$unit" || fail "$setting is missing"
done

# Without the name of another service a socket unit belongs to the one of its own name.
for setting in ListenStream=127.0.0.1:8091 SocketMode=0660 WantedBy=sockets.target; do
    grep -qx "$setting" "$socket" || fail "$setting is missing in the socket unit"
done
! grep -qE '^(Accept|Service)=' "$socket" || fail "the socket unit has Accept= or Service="

command -v systemd-analyze >/dev/null || { echo "no systemd-analyze: skipped"; exit 77; }

said=$(systemd-analyze verify --man=no "$unit" "$socket" 2>&1) || fail "verify: $said"
[ -z "$said" ] || fail "verify: $said"
systemd-analyze security --offline=true --threshold=30 --no-pager "$unit" | tail -n 1 ||
    fail "the exposure is above 3.0"
if command -v systemd-sysusers >/dev/null; then
    systemd-sysusers --root="$root" --dry-run "$root/lib/sysusers.d/corral.conf" 2>&1
fi
