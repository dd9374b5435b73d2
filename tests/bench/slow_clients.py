#!/usr/bin/python3
"""What slow clients do to the others, and how long they last. By hand, not in ctest:

    ninja -C build/release corral bench_load bench_upstream
    tests/bench/slow_clients.py [--each 1000] [--quick] [--build FOLDER]

So many clients each send a head, send a body and take an answer, a byte now and then; whoever is
cut off is replaced. Prints the 99th percentile of ordinary requests without and with them, and
for each kind how late the last was cut off: how long it lived beyond its limit. Exit status 1: a
figure was missed.

A limit counts from when Corral has taken what the client said first: while thousands connect and
3 GB go out to the readers, that takes its time on a busy machine, so the time since the connect is
printed, too. A reader's counts from the last byte that went out to it: before that Corral fills
what the system holds for it, which are megabytes. Both are seen in the system's table of sockets.
A life ends when the loop below wakes for it; how late that loop ever came is printed as well.
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
# Two samples of the sockets, and as much for a machine that has other work.
SLACK_SECONDS = 1.0
SAMPLE_SECONDS = 0.25
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
        self.connected = self.begun = time.monotonic()  # begun: its limit
        self.port = self.socket.getsockname()[1]
        self.taken = False  # Corral has read what it said first
        self.queued = 0  # bytes that wait for it in the system
        self.socket.setblocking(False)
        self.socket.send(FIRST[kind])

    def move(self):
        """A byte more. Whether the other side has ended it, the poll says."""
        try:
            self.socket.recv(1) if self.kind == "reader" else self.socket.send(b"x")
        except OSError:
            pass


def server_sides(port):
    """Client port → of this server's side of its connection, whether the server has read what came,
    and the bytes that it has not got rid of. Before its accept a socket has no inode."""
    found = {}
    with open("/proc/net/tcp", encoding="ascii") as table:
        for line in table:
            _, local, remote, state, sizes, _, _, _, _, inode, *_ = line.split()
            if state == "01" and local.endswith(f":{port:04X}"):
                to_client, to_server = sizes.split(":")
                read = int(to_server, 16) == 0 and inode != "0"
                found[int(remote[9:], 16)] = read, int(to_client, 16)
    return found


class Crowd:
    """All of them, in one thread."""

    def __init__(self, port, each, pause, limits):
        self.port, self.pause, self.limits = port, pause, limits
        self.poll = select.epoll()
        self.clients, self.due = {}, []
        self.latest = dict.fromkeys(FIRST, float("-inf"))  # seconds beyond the limit
        self.since_connect = dict.fromkeys(FIRST, float("-inf"))  # the same, counted from there
        self.ended = dict.fromkeys(FIRST, 0)
        self.lag = 0.0  # the longest time without a look at who was cut off
        self.looked = self.sampled = time.monotonic()
        for number in range(each):
            for kind in FIRST:
                self.add(kind, (number % 100) / 100)
            self.look_on(0.001)

    def add(self, kind, phase=0.0):
        client = Slow(kind, self.port)
        descriptor = client.socket.fileno()
        self.clients[descriptor] = client
        # What a reader does not take must not wake us all the time.
        self.poll.register(descriptor, select.EPOLLRDHUP)
        self.wait(client, self.pause * (0.5 + phase))

    def wait(self, client, seconds):
        heapq.heappush(self.due, (time.monotonic() + seconds, id(client), client))

    def look(self, seconds):
        """Waits until somebody is cut off, so long at most. All who were have ended by now, before
        the first of them is replaced."""
        events = self.poll.poll(max(seconds, 0.0), len(self.clients) + 1)
        now = time.monotonic()
        self.lag = max(self.lag, now - self.looked - max(seconds, 0.0))
        gone = [self.clients.pop(descriptor) for descriptor, _ in events]
        for client in gone:
            self.ended[client.kind] += 1
            self.note(client, now)
            client.socket.close()
        self.looked = time.monotonic()
        for number, client in enumerate(gone):
            self.add(client.kind)
            if number % 16 == 15:
                self.look(0.0)

    def note(self, client, now):
        """How long it has lived beyond its limit."""
        kind = client.kind
        end = now - self.limits[kind]
        self.latest[kind] = max(self.latest[kind], end - client.begun)
        self.since_connect[kind] = max(self.since_connect[kind], end - client.connected)

    def sample(self, now):
        """Who was not heard yet begins anew now, and a reader to whom bytes went out since the last
        sample with that one: never later than Corral counts from."""
        before, self.sampled = self.sampled, now
        sides = server_sides(self.port)
        for client in self.clients.values():
            read, size = sides.get(client.port, (False, 0))
            client.taken = client.taken or read
            if not client.taken:
                client.begun = now
            elif client.kind == "reader" and size > client.queued:
                client.queued, client.begun = size, max(client.begun, before)

    def look_on(self, seconds):
        """look(), and a sample when it is time for one."""
        if (now := time.monotonic()) - self.sampled >= SAMPLE_SECONDS:
            self.sample(now)
        self.look(min(seconds, self.sampled + SAMPLE_SECONDS - now))

    def run(self, until):
        while (now := time.monotonic()) < until:
            next_move = self.due[0][0] if self.due else until
            self.look_on(min(until, next_move) - now)
            now = time.monotonic()
            while self.due and self.due[0][0] <= now:
                _, _, client = heapq.heappop(self.due)
                if client.socket.fileno() >= 0:
                    client.move()
                    self.wait(client, self.pause)

    def close(self):
        """Those that are still there may be too old, too."""
        now = time.monotonic()
        for client in self.clients.values():
            self.note(client, now)


def crowd_process(port, each, pause, seconds, *limits):
    """Keeps the crowd up, and prints a line for each kind; the child of main()."""
    crowd = Crowd(int(port), int(each), pause, dict(zip(FIRST, limits)))
    end = time.monotonic() + seconds
    print("up", flush=True)
    crowd.run(end)
    crowd.close()
    for kind in FIRST:
        print(kind, crowd.ended[kind], crowd.latest[kind], crowd.since_connect[kind], crowd.lag,
              flush=True)


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", type=Path, default=ROOT / "build/release")
    parser.add_argument("--each", type=int, default=1000, help="clients of each kind")
    parser.add_argument("--quick", action="store_true", help="with limits of a few seconds")
    parser.add_argument("--crowd", nargs=7, type=float, help=argparse.SUPPRESS)
    return parser.parse_args()


def main():
    options = parse_arguments()
    if options.crowd:
        crowd_process(*options.crowd)
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
        words = [sys.executable, __file__, "--crowd", alone.corral.port, each, pause, seconds,
                 *(limits[kind] for kind in FIRST)]
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
        kind, ended, latest, since_connect, lag = line.split()
        late = float(latest) > SLACK_SECONDS or int(ended) == 0
        missed = missed or late
        print(f"slow {kind}: {ended} cut off, the last {float(latest):+.2f} s beyond its limit "
              f"of {limits[kind]:g} s (at most {SLACK_SECONDS:g} s; "
              f"{float(since_connect):+.2f} s since its connect){'  MISSED' if late else ''}")
    print(f"somebody who was cut off was seen {float(lag):.2f} s later at worst")
    sys.exit(1 if missed else 0)


if __name__ == "__main__":
    main()
