"""Processes as /proc shows them, for tests that must know what is still alive.

Everything here is a look at the moment; whoever waits for a change uses poll_until. Processes are
ended by pid only, and only those that a test started or that carry its marker.
"""

import os
import signal
import time
from pathlib import Path


class DeadlinePassed(AssertionError):
    """What a test waited for did not happen in time."""


def poll_until(predicate, deadline=15.0, what="the condition"):
    """Calls predicate until it returns something true, and returns that."""
    end = time.monotonic() + deadline
    pause = 0.002
    while True:
        value = predicate()
        if value:
            return value
        if time.monotonic() > end:
            raise DeadlinePassed(f"waited {deadline} s for {what}")
        time.sleep(pause)
        pause = min(pause * 1.5, 0.05)


def stat_fields(pid):
    """(state, parent pid, start time in ticks), or None when there is no such process."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except OSError:
        return None
    rest = text[text.rindex(")") + 2 :].split()
    return rest[0], int(rest[1]), int(rest[19])


def all_pids():
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def is_alive(pid):
    """True while the process runs; a zombie has ended."""
    fields = stat_fields(pid)
    return fields is not None and fields[0] not in "ZX"


def children(pid):
    """Direct children that still run."""
    found = []
    for other in all_pids():
        fields = stat_fields(other)
        if fields and fields[1] == pid and fields[0] not in "ZX":
            found.append(other)
    return sorted(found)


def zombies_of(pid):
    found = []
    for other in all_pids():
        fields = stat_fields(other)
        if fields and fields[1] == pid and fields[0] == "Z":
            found.append(other)
    return found


def descendants(pid):
    """Every running process below pid, pid not among them."""
    parents = {}
    for other in all_pids():
        fields = stat_fields(other)
        if fields and fields[0] not in "ZX":
            parents.setdefault(fields[1], []).append(other)
    found, todo = [], [pid]
    while todo:
        for child in parents.get(todo.pop(), []):
            found.append(child)
            todo.append(child)
    return sorted(found)


def cmdline(pid):
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")[:-1]
    except OSError:
        return []


def marked(marker):
    """Running processes with `marker` in a word of their command line, this one not among them."""
    return [
        pid
        for pid in all_pids()
        if pid != os.getpid() and is_alive(pid) and any(marker in word for word in cmdline(pid))
    ]


def open_descriptors(pid):
    """Descriptor number → what it points at."""
    found = {}
    try:
        for name in os.listdir(f"/proc/{pid}/fd"):
            try:
                found[int(name)] = os.readlink(f"/proc/{pid}/fd/{name}")
            except OSError:
                pass
    except OSError:
        pass
    return found


def resident_bytes(pid):
    """Resident memory of one process; 0 when it has gone."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except (OSError, IndexError):
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")


def kill_quietly(pid, number=signal.SIGKILL):
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass


def kill_marked(marker):
    """The last resort after a test: nothing of it may outlive it. Returns whom it found."""
    found = []
    for _ in range(20):
        alive = marked(marker)
        if not alive:
            return found
        found += [pid for pid in alive if pid not in found]
        for pid in alive:
            kill_quietly(pid)
        time.sleep(0.02)
    return found
