"""Crowds of clients for the benchmarks that count them: Corral alone with bench_upstream, and how
many descriptors there are for all of it.
"""

import json
import os
import resource
import shutil
import subprocess
import tempfile
import threading
from pathlib import Path

from corral_harness import Yard
from proxies import Cost, session_of_its_own



def raise_file_limit():
    """Raises our own soft limit, which Corral and the others inherit; gives what it is now."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    except (OSError, ValueError):
        return soft
    return hard


def settle(seconds):
    """Lets the others work; no figure depends on its length."""
    threading.Event().wait(seconds)


class Alone:
    """Corral and its model. A context manager."""

    def __init__(self, programs, limits=None):
        self.programs = programs
        self.folder = Path(tempfile.mkdtemp(prefix="corral-bench-"))
        self.yard = Yard(self.folder)
        try:
            command = f"{programs}/bench_upstream --port ${{PORT}}"
            model = {"cmd": command, "concurrencyLimit": 100000}
            start = self.yard.ports.start
            config = {"startPort": start, "models": {"bench": model}, "limits": limits or {}}
            self.corral = self.yard.serve(config)
            assert self.corral.chat("bench").status == 200
            self.cost = Cost([self.corral.guard_pid, self.corral.server_pid])
        except BaseException:
            self.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.yard.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def wait_until_quiet(self):
        """Until Corral has little to do, half a minute at most."""
        for _ in range(60):
            before = self.cost.cpu()
            settle(0.5)
            if self.cost.cpu() - before < 0.05:
                return

    def open_files(self):
        """Of the server."""
        return len(os.listdir(f"/proc/{self.corral.server_pid}/fd"))

    def normal_requests(self, seconds, connections=8):
        """What bench_load measures of ordinary posts meanwhile."""
        words = [self.programs / "bench_load", "post", "--port", self.corral.port]
        words += ["--connections", connections, "--seconds", seconds]
        done = subprocess.run(
            list(map(str, words)),
            capture_output=True,
            text=True,
            timeout=seconds + 60,
            preexec_fn=session_of_its_own(None),
        )
        counted = json.loads(done.stdout)
        assert not counted["errors"] and counted["requests"], done.stdout + done.stderr
        return counted
