#!/usr/bin/python3
"""What Corral's relay costs beside nginx's, in one run on this machine. By hand, not in ctest:

    CORRAL_BIN=… FAKE_ENGINE_BIN=… tests/bench/relay.py [--requests 2000] [--bytes 268435456]

Latency: serial POSTs on one kept-alive connection, p50 and p99, minus the same straight to the
engine. Throughput: one large answer. Ratios against nginx when nginx is installed.
"""

import argparse
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "support"))

from corral_harness import Yard  # noqa: E402
from corral_http import Connection, make_request  # noqa: E402
from corral_processes import cmdline, poll_until  # noqa: E402

ASK = make_request("POST", "/v1/completions", {"model": "small", "prompt": "x" * 500})
BULK = make_request("POST", "/v1/completions", {"model": "bulk"})


def latency(port, count):
    """Seconds a request, sorted."""
    taken = []
    with Connection(port) as connection:
        for number in range(count + 50):
            start = time.perf_counter()
            connection.send(ASK)
            assert connection.read_response().status == 200
            if number >= 50:  # the first ones warm everything up
                taken.append(time.perf_counter() - start)
    return sorted(taken)


def throughput(port):
    """Bytes a second of one large answer."""
    with Connection(port, deadline=120) as connection:
        start = time.perf_counter()
        connection.send(BULK)
        size = int(connection.read_head().field("Content-Length"))
        left = size - len(connection.buffer)
        room = bytearray(1 << 20)
        while left > 0:
            got = connection.socket.recv_into(room)
            assert got, left
            left -= got
        return size / (time.perf_counter() - start)


def engine_port(engine):
    words = cmdline(engine.starts[-1])
    return int(words[words.index("--port") + 1])


def start_nginx(folder, port, upstream):
    """nginx with the settings that its users copy for streaming upstreams."""
    config = folder / "nginx.conf"
    config.write_text(
        f"""daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/error.log;
events {{ worker_connections 256; }}
http {{
  access_log off;
  client_body_temp_path {folder}; proxy_temp_path {folder}; fastcgi_temp_path {folder};
  uwsgi_temp_path {folder}; scgi_temp_path {folder};
  keepalive_requests 1000000;
  upstream engine {{ server 127.0.0.1:{upstream}; keepalive 8; }}
  server {{ listen 127.0.0.1:{port};
    location / {{ proxy_pass http://engine; proxy_http_version 1.1;
      proxy_set_header Connection ""; proxy_buffering off; proxy_request_buffering off; }} }}
}}
"""
    )
    return subprocess.Popen(["nginx", "-c", config, "-p", folder])


def answers(port):
    try:
        with Connection(port) as connection:
            return connection.request("GET", "/health").status == 200
    except OSError:
        return False


def measure(ports, rounds, count):
    """Latencies and throughputs by name, measured in turns so that all meet the same machine."""
    times = {name: [] for name in ports}
    speeds = {name: [] for name in ports}
    for _ in range(rounds):
        for name, (small, bulk) in ports.items():
            times[name] += latency(small, count // rounds)
            speeds[name].append(throughput(bulk))
    return {name: sorted(t) for name, t in times.items()}, speeds


def report(times, speeds):
    """Prints a line each; the ratios against nginx when it took part."""
    direct = times["direct"]
    full = statistics.median(speeds["direct"])
    print(f"direct   p50 {statistics.median(direct) * 1e6:.0f} us   bulk {full / 2**30:.2f} GiB/s")
    added, speed = {}, {}
    for name in times.keys() - {"direct"}:
        mine = times[name]
        added[name] = (statistics.median(mine) - statistics.median(direct)) * 1e6
        tail = (mine[len(mine) * 99 // 100] - direct[len(direct) * 99 // 100]) * 1e6
        speed[name] = statistics.median(speeds[name])
        print(
            f"{name:8} added p50 {added[name]:6.0f} us   added p99 {tail:6.0f} us   "
            f"bulk {speed[name] / 2**30:.2f} GiB/s ({speed[name] / full:.0%} of direct)"
        )
    if "nginx" in added:
        ratio = added["corral"] / added["nginx"]
        print(f"corral / nginx: added p50 {ratio:.2f}, bulk {speed['corral'] / speed['nginx']:.2f}")
    else:
        print("nginx is not installed: no ratio")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--requests", type=int, default=2000)
    parser.add_argument("--bytes", type=int, default=256 << 20)
    wanted = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="corral-bench-"))
    yard = Yard(folder)
    nginx = []
    try:
        raw = folder / "bulk"
        with open(raw, "wb") as file:
            file.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % wanted.bytes)
            for _ in range(wanted.bytes >> 16):
                file.write(b"\0" * (1 << 16))
        small, bulk = yard.engine("small"), yard.engine("bulk", raw_response=raw)
        small.cmd = small.cmd.replace(f" --record {small.record_file}", "")
        corral = yard.serve(groups=yard.together())
        for name in ("small", "bulk"):
            assert corral.get(f"/upstream/{name}/warm").status == 200
        both = corral.port, corral.port
        ports = {"direct": (engine_port(small), engine_port(bulk)), "corral": both}
        if shutil.which("nginx"):
            ports["nginx"] = (yard.ports.start + 30, yard.ports.start + 31)
            for port, upstream in zip(ports["nginx"], ports["direct"]):
                place = folder / f"nginx-{port}"
                place.mkdir()
                nginx.append(start_nginx(place, port, upstream))
                poll_until(lambda: answers(port), what="nginx to answer")
        report(*measure(ports, 5, wanted.requests))
    finally:
        for process in nginx:
            process.terminate()
            process.wait()
        yard.close()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
