#!/usr/bin/env python3
"""The example config is right and whole: `corral check` has nothing to say about it, and every key
that core/load/keys.cpp marks as working stands in it.

    example_config.py CORRAL
"""

import re
import subprocess
import sys

from sources import ROOT

EXAMPLE = ROOT / "config.example.yaml"
# llama-swap's second spelling of groups; the example shows the first.
OTHER_SPELLING = {"routing", "router", "use", "settings"}


def main():
    text = EXAMPLE.read_text(encoding="utf-8")
    keys = set(re.findall(r'Key\{"(\w+)",\s*\w+,\s*works\b',
                          (ROOT / "core/load/keys.cpp").read_text(encoding="utf-8")))
    assert len(keys) > 30, f"found only {len(keys)} keys in the table"
    written = set(re.findall(r"^\s*(\w+):", text, re.M))
    missing = sorted(keys - written - OTHER_SPELLING)
    checked = subprocess.run([sys.argv[1], "check", str(EXAMPLE)], capture_output=True, text=True,
                             check=False, timeout=30)
    print(checked.stdout + checked.stderr)
    if missing:
        print("not in the example:", ", ".join(missing))
    if re.search(r"\b(?:warning|error)\b:", checked.stdout + checked.stderr):
        print("the example has mistakes")
        sys.exit(1)
    sys.exit(1 if missing or checked.returncode != 0 else 0)


main()
