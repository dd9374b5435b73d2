"""The rows of the data path's table: how each is measured, and what must hold.

A measurement returns its figures: {figure: {proxy: [a value of each round]}}. "direct" is the same
load without a proxy between.
"""

import json
import subprocess
from collections import namedtuple

from proxies import Bench, session_of_its_own

# gate, aim: how many times nginx's figure, or, when `absolute`, the figure itself. None: told only.
Figure = namedtuple("Figure", "key title unit gate aim absolute", defaults=(None, None, False))
Row = namedtuple("Row", "title measure figures")

MIB = 1 << 20
BODIES, BODY_BYTES = 16, 8 * MIB
ANSWER_BYTES = 200_000_000
IDLE_CONNECTIONS = 10_000
DEADLINE_SECONDS = 120


class LoadFailed(RuntimeError):
    """Not every request was answered as it should be: then no figure means anything."""


class Run:
    """Where the programs are, and how long to measure."""

    def __init__(self, programs, quick, nice):
        self.programs, self.quick, self.nice = programs, quick, nice

    def bench(self, connections=500):
        return Bench(self.programs, connections, self.nice)

    def start(self, mode, port, options):
        """bench_load, with pipes."""
        words = [self.programs / "bench_load", mode, "--port", port]
        for key, value in options.items():
            words += ["--" + key, value]
        return subprocess.Popen(
            list(map(str, words)),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            preexec_fn=session_of_its_own(self.nice),
        )

    def load(self, mode, port, **options):
        """What bench_load counted, when nothing failed."""
        output = finish(self.start(mode, port, options))
        counted = json.loads(output)
        if counted["errors"] or not counted["requests"]:
            raise LoadFailed(f"{mode} to port {port}: {output.strip()}")
        return counted

    def warm_up(self, port, connections=16):
        self.load("post", port, connections=connections, seconds=0.2)


def finish(load):
    """Ends the input of a bench_load, waits for its end, and returns its output."""
    try:
        return load.communicate(timeout=DEADLINE_SECONDS)[0]
    finally:
        load.kill()
        load.wait()


class Values:
    """{figure: {proxy: [values]}}, filled one by one."""

    def __init__(self):
        self.figures = {}

    def add(self, figure, name, value):
        self.figures.setdefault(figure, {}).setdefault(name, []).append(value)

    def add_difference(self, figure, source):
        """What each proxy's `source` has more than the direct one of the same round."""
        for name, values in self.figures[source].items():
            for value, direct in zip(values, self.figures[source]["direct"]):
                self.add(figure, name, value if name == "direct" else value - direct)


def in_turns(bench, rounds):
    """Every proxy and the direct way once a round, another one first in each."""
    names = list(bench.ports)
    for number in range(rounds):
        first = number % len(names)
        for name in names[first:] + names[:first]:
            yield name, bench.ports[name], bench.costs.get(name)


def measure_posts(connections):
    def measure(run):
        values = Values()
        rounds, seconds = (3, 0.3) if run.quick else (9, 0.8)
        with run.bench() as bench:
            for port in bench.ports.values():
                run.warm_up(port, connections)
            for name, port, cost in in_turns(bench, rounds):
                before = cost.cpu() if cost else 0
                done = run.load("post", port, connections=connections, seconds=seconds)
                if cost:
                    values.add("cpu", name, (cost.cpu() - before) / done["requests"] * 1e6)
                values.add("rate", name, done["requests"] / done["seconds"])
                values.add("p50", name, done["p50"])
        values.add_difference("added", "p50")
        return values.figures

    return measure


def measure_streams(streams, every_ms):
    """Each event knows when it was written; what it then takes is its latency."""

    def measure(run):
        values = Values()
        rounds, seconds = (1, 0.8) if run.quick else (3, 2.5)
        words = f"sse events={int(seconds * 1000 / every_ms)} every={every_ms * 1_000_000}"
        words += " after=500000000"  # when even a thousand requests are through
        with run.bench(streams) as bench:
            for port in bench.ports.values():
                run.warm_up(port)
            for name, port, cost in in_turns(bench, rounds):
                before = cost.cpu() if cost else 0
                done = run.load("sse", port, connections=streams, bench=words)
                if cost:
                    values.add("cpu", name, (cost.cpu() - before) / done["events"] * 1e6)
                values.add("p50", name, done["p50"])
                values.add("p99", name, done["p99"])
        values.add_difference("added p50", "p50")
        values.add_difference("added p99", "p99")
        return values.figures

    return measure


def measure_growth(mode, **options):
    """How far the peak of RSS lies above what a fresh proxy takes that has seen some requests."""

    def measure(run):
        values = Values()
        for _ in range(1 if run.quick else 5):
            with run.bench() as bench:
                for name, port, cost in in_turns(bench, 1):
                    run.warm_up(port)
                    before = cost.rss() if cost else 0
                    if cost:
                        cost.reset_peak()
                    done = run.load(mode, port, **options)
                    if cost:
                        values.add("growth", name, (cost.peak() - before) / MIB)
                    values.add("time", name, done["seconds"])
        return values.figures

    return measure


def measure_idle_connections(run):
    values = Values()
    with run.bench(IDLE_CONNECTIONS) as bench:
        for name, cost in bench.costs.items():
            load = run.start("idle", bench.ports[name], {"connections": IDLE_CONNECTIONS})
            try:
                answered = json.loads(load.stdout.readline())
                values.add("rss", name, cost.rss() / MIB)
            finally:
                output = finish(load)  # lets its connections go
            if answered["errors"] or json.loads(output)["open"] != IDLE_CONNECTIONS:
                raise LoadFailed(f"idle connections of {name}: {answered}, {output.strip()}")
    return values.figures


def measure_fresh(run):
    values = Values()
    for _ in range(1 if run.quick else 3):
        with run.bench() as bench:
            for name, (rss, pss) in bench.fresh.items():
                values.add("rss", name, rss / MIB)
                values.add("pss", name, pss / MIB)
    return values.figures


def stream_row(streams, every_ms):
    return Row(
        f"{streams:,} SSE streams, an event each {every_ms} ms",
        measure_streams(streams, every_ms),
        [
            Figure("cpu", "CPU an event", "us", 1.5, 1.0),
            Figure("added p99", "added p99", "us", 1.5, 1.0),
            Figure("added p50", "added p50", "us"),
        ],
    )


def upload_row(model, most):
    options = {"connections": BODIES, "bytes": BODY_BYTES, "model": model}
    return Row(
        f"{BODIES} posts of {BODY_BYTES // MIB} MiB at once, model {model}",
        measure_growth("upload", bench="upload pause=300000000", **options),
        [Figure("growth", "RSS growth", "MiB", most, None, True), Figure("time", "time", "s")],
    )


ROWS = {
    "post-32": Row(
        "1 KiB chat POST, 32 connections",
        measure_posts(32),
        [Figure("cpu", "CPU a request", "us", 1.6, 1.0), Figure("rate", "requests", "/s")],
    ),
    "post-1": Row(
        "1 KiB chat POST, 1 connection",
        measure_posts(1),
        [Figure("added", "added p50", "us", 1.5, 1.0), Figure("cpu", "CPU a request", "us")],
    ),
    "sse-100": stream_row(100, 20),
    "sse-1000": stream_row(1000, 100),
    "upload-first": upload_row("first", 8),
    "upload-last": upload_row("last", 1.1 * BODIES * BODY_BYTES / MIB),
    "answer": Row(
        f"SSE answer of {ANSWER_BYTES // 1_000_000} MB",
        measure_growth("download", bench=f"bulk bytes={ANSWER_BYTES}"),
        [
            Figure("time", "time", "s", 2.0, 1.0),
            Figure("growth", "RSS growth", "MiB", 2, None, True),
        ],
    ),
    "idle-connections": Row(
        f"{IDLE_CONNECTIONS:,} idle keep-alive connections",
        measure_idle_connections,
        [Figure("rss", "RSS", "MiB", 100, 40, True)],
    ),
    "idle": Row(
        "idle after the start",
        measure_fresh,
        [Figure("rss", "RSS", "MiB", 14, 8, True), Figure("pss", "PSS", "MiB")],
    ),
}
