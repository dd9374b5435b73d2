#!/usr/bin/python3
"""What idle SSE streams cost: memory of each, and what others notice. By hand, not in ctest:

    ninja -C build/release corral bench_load bench_upstream
    tests/bench/idle_streams.py [--streams 4000] [--build FOLDER]

Looks first how many descriptors there are, and says what it scaled to. The exit status is 1 when a
figure is missed.
"""

import argparse
import os
import selectors
import socket
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BYTES_EACH_MAX = 8_000
P99_MS_MAX = 10.0
BODY = b'{"model":"bench","stream":true,"messages":[{"role":"user","content":"Hello!"}]}'
# The head comes at once, the first event in an hour.
REQUEST = (b"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\n"
           b"Content-Type: application/json\r\nX-Bench: sse events=1 after=3600000000000\r\n"
           b"Content-Length: %d\r\n\r\n" % len(BODY) + BODY)


def open_streams(port, count, at_once=64):
    """Connections whose answer has begun."""
    selector, streams, waiting = selectors.DefaultSelector(), [], 0
    begun = {}
    while len(begun) < count:
        while len(streams) < count and waiting < at_once:
            made = socket.create_connection(("127.0.0.1", port))
            made.sendall(REQUEST)
            streams.append(made)
            selector.register(made, selectors.EVENT_READ)
            waiting += 1
        for key, _ in selector.select(30):
            head = key.fileobj.recv(4096)
            assert head.startswith(b"HTTP/1.1 200") and b"text/event-stream" in head, head
            begun[key.fd] = True
            selector.unregister(key.fileobj)
            waiting -= 1
    return streams


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", type=Path, default=ROOT / "build/release")
    parser.add_argument("--streams", type=int, default=4000)
    return parser.parse_args()


def main():
    options = parse_arguments()
    os.environ.setdefault("CORRAL_BIN", str(options.build.resolve() / "corral"))
    sys.path.insert(0, str(ROOT / "tests/support"))
    from crowd import Alone, raise_file_limit, settle

    files = raise_file_limit()
    count = min(options.streams, (files - 200) // 2)  # each is two of Corral's
    print(f"{files} files may be open: {count} streams"
          + ("" if count == options.streams else f" instead of {options.streams}"))
    with Alone(options.build.resolve() / "tests/bench", {"connections": count + 1000}) as alone:
        fresh = alone.normal_requests(2)
        before, files_before = alone.cost.rss(), alone.open_files()
        begun = time.monotonic()
        streams = open_streams(alone.corral.port, count)
        opened = time.monotonic() - begun
        settle(1)  # until all of them are idle
        each = (alone.cost.rss() - before) / count
        cpu = alone.cost.cpu()
        settle(2)
        cpu = (alone.cost.cpu() - cpu) / 2
        during = alone.normal_requests(2)
        assert alone.open_files() >= files_before + count
        for stream in streams:
            stream.close()
    heavy, slow = each > BYTES_EACH_MAX, during["p99"] > P99_MS_MAX * 1000
    print(f"memory of each: {each / 1000:.2f} kB (at most {BYTES_EACH_MAX / 1000:g} kB)"
          f"{'  MISSED' if heavy else ''}; all of them {each * count / 1e6:.1f} MB")
    print(f"p99 of ordinary requests: {fresh['p99'] / 1000:.2f} ms without, "
          f"{during['p99'] / 1000:.2f} ms with them (at most {P99_MS_MAX:g} ms)"
          f"{'  MISSED' if slow else ''}")
    print(f"opened in {opened:.1f} s; CPU while idle {cpu * 100:.2f} %")
    sys.exit(1 if heavy or slow else 0)


if __name__ == "__main__":
    main()
