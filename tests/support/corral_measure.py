"""Runs a command of corral and tells how much memory it took at its peak."""

import json
import os
import subprocess
import sys

from corral_harness import CORRAL, home_environment

# The peak of a child includes that of its parent before exec, so a small process starts it. The
# alarm is a guard against hanging, and never part of a result.
LAUNCHER = """
import json, os, signal, sys
words = sys.argv[2:]
actions = [(os.POSIX_SPAWN_OPEN, 0, sys.argv[1], os.O_RDONLY, 0),
           (os.POSIX_SPAWN_OPEN, 1, "out", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600),
           (os.POSIX_SPAWN_OPEN, 2, "err", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)]
pid = os.posix_spawn(words[0], words, os.environ, file_actions=actions)
signal.signal(signal.SIGALRM, lambda *_: os.kill(pid, signal.SIGKILL))
signal.alarm(GUARD)
_, status, usage = os.wait4(pid, 0)
print(json.dumps([os.waitstatus_to_exitcode(status), usage.ru_maxrss * 1024]))
"""

with open(CORRAL, "rb") as program:
    SANITIZED = b"__asan_init" in program.read()
GUARD_SECONDS = 300 if SANITIZED else 30  # a sanitizer makes it twenty times slower


class Measured:
    """How it ended: exit status (negative: the signal), output, and the peak of its memory."""

    def __init__(self, returncode, peak_bytes, output):
        self.returncode, self.peak_bytes, self.output = returncode, peak_bytes, output

    def __repr__(self):
        return f"exit {self.returncode}, {self.peak_bytes >> 20} MiB\n{self.output[:2000]}"

    def takes_less_than(self, mebibytes):
        """A sanitizer keeps what was freed and a shadow of everything: then it cannot be told."""
        return SANITIZED or self.peak_bytes < mebibytes << 20


def measure_corral(folder, *arguments, env=None, stdin=os.devnull):
    """Runs one command of corral to its end; stdin is a path."""
    words = [CORRAL, *map(str, arguments)]
    done = subprocess.run(
        [sys.executable, "-c", LAUNCHER.replace("GUARD", str(GUARD_SECONDS)), str(stdin), *words],
        env=home_environment(folder, env),
        cwd=folder,
        stdout=subprocess.PIPE,
        check=True,
    )
    status, peak = json.loads(done.stdout)
    output = "".join((folder / name).read_text(errors="replace") for name in ("out", "err"))
    return Measured(status, peak, output)
