#!/usr/bin/env bash
# Every shell script of the repository parses, and shellcheck has nothing to say where it is there.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

mapfile -t scripts < <(
    printf '%s\n' run test .ci/run
    find packaging tests -name '*.sh' -not -path '*/node_modules/*'
)
for script in "${scripts[@]}"; do
    bash -n "$script"
    [ -x "$script" ] || { echo "$script is not executable"; exit 1; }
done
echo "${#scripts[@]} scripts parse"
if command -v shellcheck >/dev/null; then
    # SC1091: /etc/os-release is not there to be followed.
    shellcheck --severity=warning --exclude=SC1091 "${scripts[@]}"
    echo "shellcheck is content"
else
    echo "shellcheck is not installed, so nothing but the syntax was looked at"
fi
