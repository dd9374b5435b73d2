#!/usr/bin/python3
"""What Corral adds to a swap between two real engines, what a model's trouble costs its neighbours,
and what an idle Corral with many models takes. By hand, not in ctest:

    ninja -C build/release corral fake_engine tiny_gguf bench_stamp
    tests/bench/swap.py [--only swap|neighbour|idle]… [--swaps 200] [--engine LLAMA_SERVER]
        [--nice N | --realtime] [--build FOLDER]

The exit status is 1 when a gate was missed. docs/benchmarks.md tells what the figures mean.
"""

import argparse
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/support"))

from corral_http import wait_briefly  # noqa: E402
from corral_processes import resident_bytes  # noqa: E402

MISSED = []


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", type=Path, default=ROOT / "build/release")
    parser.add_argument("--only", action="append", choices=("swap", "neighbour", "idle"))
    parser.add_argument("--swaps", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=8, help="of each kind of trouble")
    parser.add_argument("--idle", type=float, default=30, help="seconds to watch an idle Corral")
    parser.add_argument("--engine", type=Path, default=ROOT / "build/engine/llama-server")
    parser.add_argument("--nice", type=int, help="of all processes; below 0: before other work")
    parser.add_argument(
        "--realtime", action="store_true", help="before all other work of a machine that has some"
    )
    return parser.parse_args()


def percentile(values, of_hundred):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * of_hundred / 100))]


def hold(name, value, limit, unit, gate):
    """One figure against its limit. A missed gate makes the exit status."""
    word = "gate" if gate else "aim"
    if value > limit and gate:
        MISSED.append(name)
    verdict = "OK" if value <= limit else "MISSED"
    print(f"  {name}: {value:.2f} {unit}; {word} {limit:g} {unit}: {verdict}", flush=True)


def put_first(pid, options, children_too=False):
    """Before other work of the machine: what is measured is Corral, not who else is at work."""
    if options.realtime:
        policy = os.SCHED_FIFO | (0 if children_too else os.SCHED_RESET_ON_FORK)
        for task in os.listdir(f"/proc/{pid}/task"):
            os.sched_setscheduler(int(task), policy, os.sched_param(2))
    if options.nice is not None:
        os.setpriority(os.PRIO_PROCESS, pid, options.nice)
        # Where sessions share the CPU (autogroup), what counts is the niceness of the session.
        group = Path(f"/proc/{pid}/autogroup")
        if group.exists():
            group.write_text(str(options.nice))


def answers_200(port):
    """One GET /health, without a library between."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
            connection.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            return connection.recv(64).startswith(b"HTTP/1.1 200")
    except OSError:
        return False


class Watch(threading.Thread):
    """Asks an engine every half millisecond until it answers 200, and keeps that moment."""

    def __init__(self, port):
        super().__init__(daemon=True)
        self.port, self.first, self.given_up = port, None, False
        self.start()

    def run(self):
        while not self.given_up:
            if answers_200(self.port):
                self.first = time.monotonic_ns()
                return
            wait_briefly(0.0005)


class Engines:
    """Two real engines on tiny models with ports of their own, each start stamped."""

    def __init__(self, yard, build, engine, nice):
        self.ports = {name: yard.ports.start + i for i, name in enumerate("ab")}
        self.stamps = {name: yard.folder / f"stamps-{name}" for name in "ab"}
        self.words = {}
        for seed, name in enumerate("ab", 1):
            file = yard.folder / f"{name}.gguf"
            subprocess.run(
                [build / "tiny_gguf", file, "--seed", str(seed), "--name", name], check=True
            )
            words = [build / "tests/bench/bench_stamp", self.stamps[name], nice, engine, "-m", file]
            words += ["--host", "127.0.0.1", "--port", self.ports[name], "-c", "512"]
            self.words[name] = list(map(str, words))

    def config(self):
        models = {
            name: {"cmd": " ".join(words), "proxy": f"http://127.0.0.1:{self.ports[name]}"}
            for name, words in self.words.items()
        }
        return {"healthCheckTimeout": 60, "models": models}

    def executed(self, name):
        return int(self.stamps[name].read_text().split()[-1])

    def alone(self, name):
        """An engine without Corral: milliseconds from exec to its first 200, and to its end."""
        watch = Watch(self.ports[name])
        process = subprocess.Popen(
            self.words[name],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        watch.join(60)
        began = time.monotonic_ns()
        process.send_signal(signal.SIGTERM)
        process.wait(60)
        ended = time.monotonic_ns()
        return (watch.first - self.executed(name)) / 1e6, (ended - began) / 1e6


def spawn_and_end():
    """What the machine takes for a process that does nothing."""
    begin = time.monotonic_ns()
    os.waitpid(os.posix_spawn("/bin/true", ["true"], {}), 0)
    return (time.monotonic_ns() - begin) / 1e6


def bench_swap(yard, options):
    """Swaps there and back. Of each swap: what its client waited, less what that very engine took
    from exec to the first 200 that a watcher beside Corral got."""
    engines = Engines(yard, options.build, options.engine, options.nice or 0)
    put_first(os.getpid(), options, children_too=True)
    corral = yard.serve(engines.config())
    put_first(corral.server_pid, options, children_too=True)
    waited, own, added, before, after = [], [], [], [], []
    alone, ends, spawns = [], [], []
    corral.get("/upstream/b/health", deadline=60)
    for number in range(options.swaps):
        name = "ab"[number % 2]
        watch = Watch(engines.ports[name])
        with corral.connect(60) as connection:
            begin = time.monotonic_ns()
            answer = connection.request("GET", f"/upstream/{name}/health")
            end = time.monotonic_ns()
        watch.join(60)
        assert answer.status == 200, answer
        waited.append((end - begin) / 1e6)
        own.append((watch.first - engines.executed(name)) / 1e6)
        added.append(waited[-1] - own[-1])
        before.append((engines.executed(name) - begin) / 1e6)
        after.append((end - watch.first) / 1e6)
        spawns.append(spawn_and_end())
        if number % 10 == 9:
            corral.post("/api/models/unload", deadline=60)
            taken, ended = engines.alone(name)
            alone.append(taken)
            ends.append(ended)
            corral.get(f"/upstream/{name}/health", deadline=60)
    print(f"swap: {options.swaps} swaps between two llama-servers on tiny models")
    for what, values in (
        ("a client waits", waited),
        ("of that the engine, exec to first 200", own),
        ("an engine alone, exec to first 200", alone),
        ("an engine alone, SIGTERM to its end", ends),
        ("added by Corral (the old one's end included)", added),
        ("of that before exec", before),
        ("of that after the first 200", after),
        ("for comparison: /bin/true from spawn to its end", spawns),
    ):
        middle, most = statistics.median(values), percentile(values, 99)
        print(f"  {what}: median {middle:.2f} ms, 99 % {most:.2f} ms")
    hold("added, median", statistics.median(added), 20, "ms", True)
    hold("added, median", statistics.median(added), 10, "ms", False)
    hold("added, 99 %", percentile(added, 99), 25, "ms", False)


class Trouble:
    """One model that is in trouble again and again, in a thread, while `going` is set."""

    def __init__(self, corral, model, unload):
        self.corral, self.model, self.unload = corral, model, unload
        self.going, self.over = threading.Event(), False
        self.idle = threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        while not self.over:
            if not self.going.is_set():
                self.idle.set()
                self.going.wait(0.05)
                continue
            self.idle.clear()
            self.corral.post("/v1/completions", {"model": self.model}, deadline=60)
            if self.unload:
                self.corral.post(f"/api/models/unload/{self.model}", deadline=60)

    def close(self):
        self.over = True
        self.going.set()
        self.thread.join(60)


def latencies(corral, seconds):
    """Milliseconds of requests to the model that has no trouble, one after the other."""
    taken = []
    with corral.connect() as connection:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            begin = time.perf_counter()
            answer = connection.request("POST", "/v1/completions", {"model": "ready"})
            taken.append((time.perf_counter() - begin) * 1000)
            assert answer.status == 200, answer
    return taken


TROUBLES = {
    "starting": ({"load": "300ms"}, True),
    "failing": ({"die_at_start": 1, "stderr": "no such file\\n"}, False),
    "never ready": ({"never_listen": True}, False),
    "draining": ({"interval": "400ms"}, True),
    "being killed": ({"ignore_term": True, "setsid_grandchild": True}, True),
    "flooding": ({"stderr_flood": True, "flood_for": "60s"}, False),
}


def bench_neighbour(yard, options):
    """Requests to a ready model, in turns with and without another one in trouble."""
    print("neighbour: latency of a ready model beside one in trouble, a second of each in turns")
    for number, (name, (script, unload)) in enumerate(TROUBLES.items()):
        corner = type(yard)(yard.folder / str(number))
        corner.folder.mkdir()
        corner.engine("ready", {"concurrencyLimit": 50})
        corner.engine("bad", {"healthCheckTimeout": 1, "unloadTimeout": 1}, **script)
        corral = corner.serve(groups=corner.together())
        put_first(corral.server_pid, options)
        quiet, loud = [], []
        trouble = Trouble(corral, "bad", unload)
        try:
            latencies(corral, 0.5)
            put_first(corner.engines["ready"].starts[0], options)
            for _ in range(options.rounds):
                quiet += latencies(corral, 1)
                trouble.going.set()
                loud += latencies(corral, 1)
                trouble.going.clear()
                trouble.idle.wait(60)
        finally:
            trouble.close()
            corner.close()
        print(
            f"  {name}: median {statistics.median(quiet):.3f} → {statistics.median(loud):.3f} ms,"
            f" 99 % {percentile(quiet, 99):.3f} → {percentile(loud, 99):.3f} ms"
        )
        hold(f"{name}, added at 99 %", percentile(loud, 99) - percentile(quiet, 99), 1, "ms", False)


def cpu_seconds(pid):
    """User and system time, finer than in /proc/PID/stat."""
    tasks = Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(task.read_text().split()[0]) for task in tasks) / 1e9


def bench_idle(yard, options):
    """500 models, 50 of them running and nobody asking."""
    names = [f"m{number:03}" for number in range(500)]
    for name in names:
        yard.engine(name)
    corral = yard.serve(yard.config(groups=yard.together(), startPort=40000))
    for name in names[:50]:
        assert corral.chat(name).status == 200
    wait_briefly(3)  # connections that idle are closed meanwhile
    pids = (corral.guard_pid, corral.server_pid)
    begin, before = time.monotonic(), sum(map(cpu_seconds, pids))
    wait_briefly(options.idle)
    share = (sum(map(cpu_seconds, pids)) - before) / (time.monotonic() - begin) * 100
    assert len(corral.running()) == 50
    memory = [resident_bytes(pid) / (1 << 20) for pid in pids]
    print(f"idle: 500 models, 50 running, {options.idle:.0f} s")
    print(f"  resident: server {memory[1]:.1f} MiB, guard {memory[0]:.1f} MiB")
    hold("CPU of one core, guard and server", share, 1, "%", True)


def main():
    options = parse_arguments()
    options.build = options.build.resolve()
    os.environ.setdefault("CORRAL_BIN", str(options.build / "corral"))
    os.environ.setdefault("FAKE_ENGINE_BIN", str(options.build / "fake_engine"))
    from corral_harness import Yard  # after the places are known

    put_first(os.getpid(), options)
    rows = {"swap": bench_swap, "neighbour": bench_neighbour, "idle": bench_idle}
    for name, row in rows.items():
        if options.only and name not in options.only:
            continue
        with tempfile.TemporaryDirectory(prefix="corral-bench-") as folder:
            yard = Yard(folder)
            try:
                row(yard, options)
            finally:
                yard.close()
    sys.exit(1 if MISSED else 0)


if __name__ == "__main__":
    main()
