"""The proxies that the benchmark of the data path compares, and what they cost: CPU and memory.

All of one Bench stand before the same bench_upstream, which Corral started as its model. nginx and
HAProxy come from the distribution's packages; one that is not installed is left out.
"""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from corral_harness import Yard, die_with_parent
from corral_http import Connection
from corral_processes import children, cmdline, poll_until

# As their manuals advise for streams: nothing is buffered, upstream connections are kept.
NGINX = """daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/error.log;
worker_rlimit_nofile {files};
events {{ worker_connections {connections}; }}
http {{
  access_log off;
  client_body_temp_path {folder}; proxy_temp_path {folder}; fastcgi_temp_path {folder};
  uwsgi_temp_path {folder}; scgi_temp_path {folder};
  client_max_body_size 0;
  keepalive_requests 100000000;
  upstream engine {{
    server 127.0.0.1:{upstream}; keepalive 64; keepalive_requests 100000000;
  }}
  server {{
    listen 127.0.0.1:{port} backlog=4096;
    location / {{
      proxy_pass http://engine; proxy_http_version 1.1; proxy_set_header Connection "";
      proxy_buffering off; proxy_request_buffering off;
    }}
  }}
}}
"""
HAPROXY = """global
  nbthread 1
  maxconn {connections}
  no strict-limits
defaults
  mode http
  timeout connect 10s
  timeout client 10m
  timeout server 10m
  timeout http-keep-alive 10m
  option http-no-delay
  http-reuse always
frontend clients
  bind 127.0.0.1:{port} backlog 4096
  default_backend engine
backend engine
  server engine 127.0.0.1:{upstream}
"""
FILES_MAX = os.sysconf("SC_OPEN_MAX")


def set_nice(pid, nice):
    """Of the whole session: where sessions share the CPU (autogroup), that of a process is void."""
    Path(f"/proc/{pid}/autogroup").write_text(str(nice))


def session_of_its_own(nice):
    """What a child does first. Each process of a benchmark gets a session, as Corral and its models
    have theirs: sessions share the CPU, and none is to have more of it than another."""

    def begin():
        die_with_parent()
        os.setsid()
        if nice is not None:
            set_nice("self", nice)

    return begin


class Cost:
    """What a set of processes takes of the machine."""

    def __init__(self, pids):
        self.pids = pids

    def cpu(self):
        """Seconds, user and system, that their threads have run: the sum that /proc/PID/stat rounds
        to hundredths of a second."""
        return sum(
            int((task / "schedstat").read_text().split()[0]) / 1e9
            for pid in self.pids
            for task in Path(f"/proc/{pid}/task").iterdir()
        )

    def rss(self):
        return sum(memory(pid, "status", "VmRSS") for pid in self.pids)

    def pss(self):
        return sum(memory(pid, "smaps_rollup", "Pss") for pid in self.pids)

    def peak(self):
        """The highest RSS since reset_peak()."""
        return sum(memory(pid, "status", "VmHWM") for pid in self.pids)

    def reset_peak(self):
        for pid in self.pids:
            Path(f"/proc/{pid}/clear_refs").write_text("5")


def memory(pid, file, key):
    """Bytes."""
    for line in Path(f"/proc/{pid}/{file}").read_text().splitlines():
        if line.startswith(key + ":"):
            return int(line.split()[1]) * 1024
    raise AssertionError(f"/proc/{pid}/{file} has no {key}")


def answers(port):
    try:
        with Connection(port) as connection:
            return connection.request("GET", "/health").status == 200
    except OSError:
        return False


class Bench:
    """Corral with its model, nginx and HAProxy, fresh. A context manager."""

    def __init__(self, programs, connections=500, nice=None):
        self.nice = nice
        self.folder = Path(tempfile.mkdtemp(prefix="corral-bench-"))
        self.yard = Yard(self.folder)
        self.others = []
        self.ports, self.costs, self.fresh = {}, {}, {}
        try:
            self.start(programs / "bench_upstream", connections)
        except BaseException:
            self.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def start(self, upstream, connections):
        model = {"cmd": f"{upstream} --port ${{PORT}}", "concurrencyLimit": 100000}
        corral = self.yard.serve({"startPort": self.yard.ports.start, "models": {"bench": model}})
        self.took_up("corral", corral.port, [corral.guard_pid, corral.server_pid])
        assert corral.chat("bench").status == 200
        (model_pid,) = corral.engine_pids()
        if self.nice is not None:
            set_nice(corral.guard_pid, self.nice)
            set_nice(model_pid, self.nice)
        words = cmdline(model_pid)
        self.ports["direct"] = int(words[words.index("--port") + 1])
        for offset, name in enumerate(("nginx", "haproxy")):
            if shutil.which(name):
                self.start_other(name, self.yard.ports.start + 30 + offset, connections)

    def start_other(self, name, port, connections):
        folder = self.folder / name
        folder.mkdir()
        file = folder / "config"
        template, words = {
            "nginx": (NGINX, ["nginx", "-p", folder, "-c", file]),
            "haproxy": (HAPROXY, ["haproxy", "-db", "-f", file]),
        }[name]
        text = template.format(
            folder=folder,
            port=port,
            upstream=self.ports["direct"],
            # nginx counts both sides, and closes idle ones when a sixteenth of them is left.
            connections=connections * 3 if name == "nginx" else connections + 100,
            files=FILES_MAX,
        )
        file.write_text(text)
        with open(folder / "output", "wb") as output:
            process = subprocess.Popen(
                list(map(str, words)),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                preexec_fn=session_of_its_own(self.nice),
            )
        self.others.append(process)
        poll_until(lambda: answers(port), what=f"{name} to answer")
        self.took_up(name, port, [process.pid, *children(process.pid)])

    def took_up(self, name, port, pids):
        """A proxy has started: notes where it listens, and what it takes before any work."""
        self.ports[name] = port
        self.costs[name] = Cost(pids)
        self.fresh[name] = self.costs[name].rss(), self.costs[name].pss()

    def close(self):
        for process in self.others:
            process.terminate()
            process.wait()
        self.yard.close()
        shutil.rmtree(self.folder, ignore_errors=True)
