#!/usr/bin/python3
"""What slow clients do to the others, and how long they last. By hand, not in ctest:

    ninja -C build/release corral bench_load bench_upstream
    tests/bench/slow_clients.py [--each 1000] [--quick] [--build FOLDER]

So many clients each send a head, send a body and take an answer, a byte now and then; whoever is
cut off is replaced. Prints the 99th percentile of ordinary requests without and with them, and
for each kind how long the longest lived, beside its limit. Exit status 1: a figure was missed.
"""

import argparse
import heapq
import os
import select
import socket
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
P99_MORE_MS_MAX = 5.0
# A client counts from its connect, Corral from its accept, which waits while 3,000 come at once.
SLACK_SECONDS = 4.0
HEAD = b"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\n"
BODY = (HEAD + b"Content-Type: application/json\r\nContent-Length: 1000000\r\n\r\n"
        + b'{"model":"bench","x":"')
READER_BODY = b'{"model":"bench","stream":true}'
READER = (HEAD + b"Content-Type: application/json\r\nX-Bench: bulk bytes=1000000000\r\n"
          b"Content-Length: %d\r\n\r\n" % len(READER_BODY) + READER_BODY)
FIRST = {"head": HEAD + b"X: ", "body": BODY, "reader": READER}


class Slow:
    """One slow client."""

    def __init__(self, kind, port):
        self.kind = kind
        self.socket = socket.socket()
        if kind == "reader":
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.socket.connect(("127.0.0.1", port))
        self.begun = time.monotonic()
        self.socket.setblocking(False)
        self.socket.send(FIRST[kind])

    def move(self):
        """A byte more; False when the other side has ended it."""
        try:
            if self.kind == "reader":
                return len(self.socket.recv(1)) == 1
            return self.socket.send(b"x") == 1
        except BlockingIOError:
            return True
        except OSError:
            return False


class Crowd:
    """All of them, in one thread."""

    def __init__(self, port, each, pause):
        self.port, self.pause = port, pause
        self.poll = select.epoll()
        self.clients, self.due = {}, []
        self.longest = dict.fromkeys(FIRST, 0.0)
        self.ended = dict.fromkeys(FIRST, 0)
        for number in range(each):
            for kind in FIRST:
                self.add(kind, (number % 100) / 100)
            if number % 16 == 0:
                self.run(time.monotonic() + 0.001)  # whoever is cut off meanwhile is seen at once

    def add(self, kind, phase=0.0):
        client = Slow(kind, self.port)
        descriptor = client.socket.fileno()
        self.clients[descriptor] = client
        # What a reader does not take must not wake us all the time.
        self.poll.register(descriptor, select.EPOLLRDHUP)
        self.wait(client, self.pause * (0.5 + phase))

    def wait(self, client, seconds):
        heapq.heappush(self.due, (time.monotonic() + seconds, id(client), client))

    def end(self, client):
        descriptor = client.socket.fileno()
        if self.clients.pop(descriptor, None) is None:
            return
        lived = time.monotonic() - client.begun
        self.longest[client.kind] = max(self.longest[client.kind], lived)
        self.ended[client.kind] += 1
        self.poll.unregister(descriptor)
        client.socket.close()
        self.add(client.kind)

    def run(self, until):
        while (now := time.monotonic()) < until:
            wait = min(until, self.due[0][0] if self.due else until) - now
            for descriptor, _ in self.poll.poll(max(wait, 0.0), 256):
                self.end(self.clients[descriptor])
            now = time.monotonic()
            while self.due and self.due[0][0] <= now:
                _, _, client = heapq.heappop(self.due)
                if self.clients.get(client.socket.fileno()) is not client:
                    continue
                if client.move():
                    self.wait(client, self.pause)
                else:
                    self.end(client)

    def oldest(self):
        """How long the oldest client of each kind that is still there has lived."""
        now = time.monotonic()
        ages = dict.fromkeys(FIRST, 0.0)
        for client in self.clients.values():
            ages[client.kind] = max(ages[client.kind], now - client.begun)
        return ages


def crowd_process(port, each, pause, seconds):
    """Keeps the crowd up, and prints a line a second; the child of main()."""
    crowd = Crowd(port, each, pause)
    end = time.monotonic() + seconds
    print("up", flush=True)
    while time.monotonic() < end:
        crowd.run(min(end, time.monotonic() + 1.0))
    ages = crowd.oldest()
    for kind in FIRST:
        print(kind, crowd.ended[kind], max(crowd.longest[kind], ages[kind]), flush=True)


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", type=Path, default=ROOT / "build/release")
    parser.add_argument("--each", type=int, default=1000, help="clients of each kind")
    parser.add_argument("--quick", action="store_true", help="with limits of a few seconds")
    parser.add_argument("--crowd", nargs=4, type=float, help=argparse.SUPPRESS)
    return parser.parse_args()


def main():
    options = parse_arguments()
    if options.crowd:
        port, each, pause, seconds = options.crowd
        crowd_process(int(port), int(each), pause, seconds)
        return
    os.environ.setdefault("CORRAL_BIN", str(options.build.resolve() / "corral"))
    sys.path.insert(0, str(ROOT / "tests/support"))
    from crowd import Alone, raise_file_limit, settle
    from proxies import session_of_its_own

    files = raise_file_limit()
    each = min(options.each, (files - 200) // 4)  # a reader is two for Corral
    limits = {"head": 10.0, "body": 30.0, "reader": 60.0}
    if options.quick:
        limits = {"head": 3.0, "body": 5.0, "reader": 7.0}
    pause = min(4.0, limits["head"] / 3)
    seconds = max(limits.values()) + 8
    config = {"headTimeout": f"{limits['head']}s", "bodyRateAfter": f"{limits['body']}s",
              "writeTimeout": f"{limits['reader']}s"}
    print(f"{each} clients of each kind, a byte each {pause:.1f} s; {files} files may be open")
    with Alone(options.build.resolve() / "tests/bench", config) as alone:
        alone.normal_requests(1)
        before = alone.normal_requests(4)
        rss = alone.cost.rss()
        words = [sys.executable, __file__, "--crowd", alone.corral.port, each, pause, seconds]
        crowd = subprocess.Popen(list(map(str, words)), stdout=subprocess.PIPE, text=True,
                                 preexec_fn=session_of_its_own(None))
        assert crowd.stdout.readline() == "up\n"
        alone.wait_until_quiet()  # the readers' buffers are full
        during = alone.normal_requests(4)
        cpu, begun = alone.cost.cpu(), time.monotonic()
        settle(2)
        cpu = (alone.cost.cpu() - cpu) / (time.monotonic() - begun)
        grown = (alone.cost.rss() - rss) / 1024 / (3 * each)
        output = crowd.communicate(timeout=seconds + 60)[0]
        log = alone.corral.log
        assert "request refused" in log or "status=499" in log, log[-2000:]
    more = (during["p99"] - before["p99"]) / 1000
    missed = more > P99_MORE_MS_MAX
    print(f"p99 of ordinary requests: {before['p99'] / 1000:.2f} ms without, "
          f"{during['p99'] / 1000:.2f} ms with them: {more:+.2f} ms (at most "
          f"{P99_MORE_MS_MAX:g} ms more){'  MISSED' if missed else ''}")
    print(f"p50: {before['p50'] / 1000:.2f} ms without, {during['p50'] / 1000:.2f} ms with them; "
          f"CPU for them alone {cpu * 100:.1f} %; memory {grown:.1f} KiB each")
    for line in output.splitlines():
        kind, ended, longest = line.split()
        late = float(longest) > limits[kind] + SLACK_SECONDS
        missed = missed or late
        print(f"slow {kind}: {ended} were cut off, the longest lived {float(longest):.1f} s "
              f"(limit {limits[kind]:g} s){'  MISSED' if late else ''}")
    sys.exit(1 if missed else 0)


if __name__ == "__main__":
    main()
