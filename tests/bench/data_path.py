#!/usr/bin/python3
"""What Corral's data path costs beside nginx's and HAProxy's, in one run. By hand, not in ctest:

    ninja -C build/release corral bench_load bench_upstream
    tests/bench/data_path.py [--only ROW]… [--quick] [--nice N] [--json FILE] [--build FOLDER]

Prints one table; docs/benchmarks.md tells what its rows mean. The exit status is 1 when a gate was
missed or a row could not be measured.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
COLUMNS = ("corral", "nginx", "haproxy", "direct")


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", type=Path, default=ROOT / "build/release")
    parser.add_argument("--only", action="append", default=[], metavar="ROW", help="repeatable")
    parser.add_argument("--quick", action="store_true", help="less than a minute, and less exact")
    parser.add_argument("--json", type=Path, metavar="FILE", help="writes the figures there, too")
    parser.add_argument("--nice", type=int, help="of all processes; below 0: before other work")
    return parser.parse_args()


def verdict(figure, value, ratio):
    """Whether the gate holds and the aim is reached; None: there is nothing to hold to."""
    compared = value if figure.absolute else ratio
    if figure.gate is None or compared is None:
        return None, None
    return compared <= figure.gate, figure.aim is None or compared <= figure.aim


def summarize(name, figure, values):
    """One line of the table, as a dictionary."""
    medians = {who: statistics.median(v) for who, v in values.get(figure.key, {}).items()}
    mine, theirs = medians.get("corral"), medians.get("nginx")
    ratio = mine / theirs if theirs and theirs > 0 else None
    gate, aim = verdict(figure, mine, ratio)
    return {
        "row": name,
        "figure": figure.title,
        "unit": figure.unit,
        **{who: medians.get(who) for who in COLUMNS},
        "ratio": ratio,
        "gate": figure.gate,
        "aim": figure.aim,
        "absolute": figure.absolute,
        "gate_holds": gate,
        "aim_reached": aim,
        "rounds": values.get(figure.key, {}),
    }


def number(value):
    if value is None:
        return "-"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def limit(value, line):
    if value is None:
        return ""
    return f"{value:g} {line['unit']}" if line["absolute"] else f"{value:g} x"


def print_head():
    print(f"{'':34}", *(f"{who:>8}" for who in COLUMNS), " / nginx      gate       aim")


def print_line(line):
    figure = f"  {line['figure']}, {line['unit']}"
    words = {None: "", True: "OK", False: "MISSED"}[line["gate_holds"]]
    if line["gate_holds"] and not line["aim_reached"]:
        words += ", aim missed"
    ratio = "-" if line["ratio"] is None else f"{line['ratio']:.2f}"
    limits = f"{limit(line['gate'], line):>9} {limit(line['aim'], line):>9}"
    columns = " ".join(f"{number(line[who]):>8}" for who in COLUMNS)
    print(f"{figure:34} {columns} {ratio:>8} {limits}  {words}".rstrip(), flush=True)


def measure_row(name, row, run):
    """The lines of one row, printed as they are known; None when it could not be measured."""
    print(f"{name}: {row.title}", flush=True)
    try:
        values = row.measure(run)
    except (AssertionError, OSError, RuntimeError, ValueError, subprocess.SubprocessError) as error:
        print(f"  FAILED: {error}")
        return None
    lines = [summarize(name, figure, values) for figure in row.figures]
    for line in lines:
        print_line(line)
    return lines


def main():
    options = parse_arguments()
    os.environ.setdefault("CORRAL_BIN", str(options.build.resolve() / "corral"))
    sys.path.insert(0, str(ROOT / "tests/support"))
    from rows import ROWS, Run  # after the place of corral is known

    unknown = set(options.only) - set(ROWS)
    if unknown:
        sys.exit(f"no row {', '.join(unknown)}; there are: {', '.join(ROWS)}")
    for name in ("nginx", "haproxy"):
        if not shutil.which(name):
            print(f"{name} is not installed: no figures of it")
    run = Run(options.build.resolve() / "tests/bench", options.quick, options.nice)
    print_head()
    measured = {
        name: measure_row(name, row, run)
        for name, row in ROWS.items()
        if not options.only or name in options.only
    }
    lines = [line for row in measured.values() for line in row or []]
    if options.json:
        options.json.write_text(json.dumps(lines, indent=1) + "\n")
    failed = None in measured.values()
    sys.exit(1 if failed or any(line["gate_holds"] is False for line in lines) else 0)


if __name__ == "__main__":
    main()
