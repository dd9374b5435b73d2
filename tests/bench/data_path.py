#!/usr/bin/python3
"""What Corral's data path costs beside nginx's and HAProxy's, in one run. By hand, not in ctest:

    tests/bench/data_path.py [--build build/release] [--only ROW] [--quick] [--json FILE]

Each row is measured in turns, so that all proxies meet the same machine; docs/benchmarks.md tells
what the rows mean. The programs are built with `ninja -C build/release corral bench_load
bench_upstream`.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/support"))


class Load:
    """Runs bench_load."""

    def __init__(self, programs):
        self.program = programs / "bench_load"

    def words(self, mode, port, options):
        pairs = (("--" + key, str(value)) for key, value in options.items())
        return [self.program, mode, "--port", str(port), *(word for pair in pairs for word in pair)]

    def run(self, mode, port, **options):
        """What it counted, without errors."""
        output = subprocess.check_output(self.words(mode, port, options), text=True, timeout=120)
        counted = json.loads(output)
        assert counted["errors"] == 0 and counted["requests"] > 0, output
        return counted


class Row:
    """One measurement: figures by name, each with a value for every proxy."""

    def __init__(self, programs, quick):
        self.programs, self.quick = programs, quick
        self.load = Load(programs)


class Post(Row):
    """1 KiB chat requests on so many kept-alive connections, each after the last one's answer."""

    def __init__(self, connections, **common):
        super().__init__(**common)
        self.connections = connections

    def measure(self):
        from proxies import Bench

        rounds, seconds = (2, 0.7) if self.quick else (5, 1.5)
        cpu, rate, p50 = {}, {}, {}
        with Bench(self.programs) as bench:
            for number in range(rounds + 1):
                for name, port in bench.ports.items():
                    cost = bench.costs.get(name)
                    before = cost.cpu() if cost else 0
                    took = 0.2 if number == 0 else seconds  # the first round warms everything up
                    done = self.load.run("post", port, connections=self.connections, seconds=took)
                    if number == 0:
                        continue
                    if cost:
                        taken = (cost.cpu() - before) / done["requests"] * 1e6
                        cpu.setdefault(name, []).append(taken)
                    rate.setdefault(name, []).append(done["requests"] / done["seconds"])
                    p50.setdefault(name, []).append(done["p50"])
        return {"cpu": cpu, "rate": rate, "p50": p50}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", type=Path, default=ROOT / "build/release")
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    os.environ.setdefault("CORRAL_BIN", str(options.build.resolve() / "corral"))
    programs = options.build.resolve() / "tests/bench"
    for connections in (32, 1):
        figures = Post(connections, programs=programs, quick=options.quick).measure()
        for figure, values in figures.items():
            medians = {name: round(statistics.median(v), 1) for name, v in values.items()}
            print(f"post-{connections} {figure:5}", medians)


if __name__ == "__main__":
    main()
