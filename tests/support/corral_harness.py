"""Corral as a user runs it, for tests: a real process on a free port, in a home of its own.

`Corral` starts `corral serve`, learns its port from its log, and leaves no process behind when it
is closed, whatever the test did. `Engine` makes the command line of a fake engine and reads what it
wrote. Both live in a directory of the test, whose path is their marker.
"""

import ctypes
import fcntl
import json
import os
import re
import signal
import subprocess
import tempfile
from pathlib import Path

from corral_http import Connection, split_requests
from corral_processes import (
    DeadlinePassed,
    children,
    descendants,
    is_alive,
    kill_marked,
    kill_quietly,
    poll_until,
)

CORRAL = os.environ.get("CORRAL_BIN", "")
FAKE_ENGINE = os.environ.get("FAKE_ENGINE_BIN", "")
TINY_GGUF = os.environ.get("TINY_GGUF_BIN", "")
PORTS_IN_BLOCK = 40


class PortBlock:
    """A range of ports that no other test process uses: held by a lock as long as this lives."""

    def __init__(self):
        folder = Path(tempfile.gettempdir()) / f"corral-test-ports-{os.getuid()}"
        folder.mkdir(exist_ok=True)
        for number in range(250):  # 20000 … 29999: below the ports that the kernel hands out
            handle = os.open(folder / str(number), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                os.close(handle)
                continue
            self.handle, self.start = handle, 20000 + number * PORTS_IN_BLOCK
            return
        raise AssertionError("no free block of ports")

    def close(self):
        os.close(self.handle)


class Engine:
    """One model of a test's config, served by fake_engine. Options are its command line's words:
    Engine(tmp, "a", load="300ms", ignore_term=True)."""

    def __init__(self, folder, name, model_keys=None, **options):
        self.folder = Path(folder) / f"engine-{name.replace('/', '_').replace(':', '_')}"
        self.folder.mkdir(parents=True, exist_ok=True)
        self.name, self.model_keys = name, dict(model_keys or {})
        self.record_file = self.folder / "record"
        self.events_file = self.folder / "events"
        self.pid_file = self.folder / "pids"
        self.gate_file = self.folder / "gate"
        self.gate_handle = None
        words = [FAKE_ENGINE, "--port", "${PORT}", "--model", name]
        words += ["--record", self.record_file, "--events", self.events_file]
        words += ["--pid-file", self.pid_file]
        if options.pop("gate", False):
            os.mkfifo(self.gate_file)
            self.gate_handle = os.open(self.gate_file, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
            words += ["--gate", self.gate_file]
        for key, value in options.items():
            if value is not False:
                words.append("--" + key.replace("_", "-"))
                if value is not True:
                    words.append(value)
        self.cmd = " ".join(quote(str(word)) for word in words)

    def config(self):
        return {"cmd": self.cmd, **self.model_keys}

    def open_gate(self, count=1):
        """Lets `count` more tokens (or whole answers) out."""
        os.write(self.gate_handle, b"x" * count)

    def close(self):
        if self.gate_handle is not None:
            os.close(self.gate_handle)

    @property
    def recorded(self):
        """Bytes of all requests but readiness probes, as they arrived."""
        return self.record_file.read_bytes() if self.record_file.exists() else b""

    @property
    def requests(self):
        return split_requests(self.recorded)

    @property
    def events(self):
        return self.events_file.read_text().splitlines() if self.events_file.exists() else []

    @property
    def starts(self):
        """The pids of all its starts, oldest first."""
        return [int(line.split()[1]) for line in self.events if line.startswith("start ")]

    @property
    def pids(self):
        """Its pids and those of its grandchildren, over all starts."""
        return [int(w) for w in self.pid_file.read_text().split()] if self.pid_file.exists() else []

    def count(self, event):
        return sum(1 for line in self.events if line.startswith(event))


def quote(word):
    """Quotes a word for `cmd`, POSIX style; ${PORT} stays a macro."""
    if re.fullmatch(r"[\w@%+=:,./${}-]+", word):
        return word
    return "'" + word.replace("'", "'\\''") + "'"


# Variables that lead Corral to files of the person who runs the tests.
OTHER_PREFIXES = ("CORRAL_", "XDG_", "LLAMA_", "NOTIFY_", "LISTEN_", "WATCHDOG_", "HF_", "HUGGING")


def home_environment(folder, extra=None):
    """An environment in which Corral finds no file of the person who runs the tests."""
    folder = Path(folder)
    env = {
        key: value
        for key, value in os.environ.items()
        if not key.startswith(OTHER_PREFIXES)
        and key not in ("STATE_DIRECTORY", "JOURNAL_STREAM")
    }
    env["HOME"] = str(folder / "home")
    for name, place in (("CONFIG", ".config"), ("STATE", ".local/state"), ("CACHE", ".cache")):
        env[f"XDG_{name}_HOME"] = str(folder / "home" / place)
    env["XDG_DATA_HOME"] = str(folder / "home/.local/share")
    env["XDG_RUNTIME_DIR"] = str(folder / "run")
    (folder / "home").mkdir(parents=True, exist_ok=True)
    (folder / "run").mkdir(mode=0o700, exist_ok=True)
    env.update(extra or {})
    return env


def die_with_parent():
    """In the child: a test program that is killed must not leave a Corral behind."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)


def run_corral(folder, *arguments, env=None, deadline=60.0, stdin=subprocess.DEVNULL):
    """Runs one command of corral to its end."""
    return subprocess.run(
        [CORRAL, *map(str, arguments)],
        env=home_environment(folder, env),
        cwd=folder,
        stdin=stdin,
        capture_output=True,
        timeout=deadline,
        text=True,
        errors="replace",
        preexec_fn=die_with_parent,
    )


class Corral:
    """A running `corral serve`. Close it, or use it as a context manager."""

    def __init__(
        self,
        folder,
        config=None,
        arguments=None,
        env=None,
        program=CORRAL,
        listen=None,
        pass_fds=(),
    ):
        self.folder = Path(folder)
        self.log_file = self.folder / f"corral-{os.urandom(3).hex()}.log"
        self.output_file = self.log_file.with_suffix(".out")
        self.port = None
        words = [CORRAL, "serve"]
        if config is not None:
            self.config_file = self.folder / "config.yaml"
            text = config if isinstance(config, str) else json.dumps(config, indent=1)
            self.config_file.write_text(text)
            words += ["--config", self.config_file]
        for address in listen if listen is not None else ["127.0.0.1:0"]:
            words += ["--listen", address]
        if arguments is not None:
            words = [program, *arguments]
        with open(self.log_file, "wb") as log, open(self.output_file, "wb") as output:
            self.process = subprocess.Popen(
                list(map(str, words)),
                env=home_environment(self.folder, env),
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=log,
                pass_fds=pass_fds,
                start_new_session=True,  # so that a test can play Ctrl-C for the whole group
                preexec_fn=die_with_parent,
            )
        try:
            self.wait_until_listening()
        except BaseException:
            self.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    @property
    def log(self):
        return self.log_file.read_text(errors="replace")

    @property
    def output(self):
        return self.output_file.read_text(errors="replace")

    def wait_until_listening(self, deadline=20.0):
        def listening():
            if self.addresses:
                return True
            assert self.process.poll() is None, f"corral ended:\n{self.log}{self.output}"
            return False

        poll_until(listening, deadline, "corral to listen")
        self.port = self.first_port()

    def first_port(self):
        ports = [re.search(r"^https?://.*:(\d+)$", address) for address in self.addresses]
        return next((int(found.group(1)) for found in ports if found), None)

    @property
    def addresses(self):
        """Where it listens, as it says: http://127.0.0.1:8091, unix:/run/x.sock."""
        return re.findall(r"listening on (\S+)\n", self.log)

    def wait_for_addresses(self, count):
        """All of them; each has a line of its own, and the first may be there before the others."""
        poll_until(lambda: len(self.addresses) >= count, what=f"{count} addresses")
        self.port = self.first_port()
        return self.addresses

    @property
    def guard_pid(self):
        return self.process.pid

    @property
    def server_pid(self):
        """The inner of the two processes."""
        (server,) = children(self.process.pid)
        return server

    def engine_pids(self):
        """Everything below the server."""
        return descendants(self.server_pid)

    def connect(self, deadline=20.0):
        return Connection(self.port, deadline=deadline)

    def request(self, method, target, body=None, fields=(), deadline=20.0):
        """One request on a connection of its own."""
        with self.connect(deadline) as connection:
            return connection.request(method, target, body, fields)

    def get(self, target, **more):
        return self.request("GET", target, **more)

    def post(self, target, body=None, **more):
        return self.request("POST", target, body, **more)

    def chat(self, model, deadline=20.0, **more):
        body = {"messages": [{"role": "user", "content": "hi"}], "model": model, **more}
        return self.post("/v1/chat/completions", body, deadline=deadline)

    def running(self):
        """Model → state, as /running tells."""
        return {entry["model"]: entry["state"] for entry in self.get("/running").json()["running"]}

    def wait_for_state(self, model, state, deadline=15.0):
        """Waits until /running shows the state; None means not shown at all."""
        poll_until(
            lambda: self.running().get(model) == state, deadline, f"{model} to be {state}"
        )

    def signal(self, number, pid=None):
        os.kill(pid or self.process.pid, number)

    def wait(self, deadline=20.0):
        """The exit status of the outer process."""
        try:
            return self.process.wait(deadline)
        except subprocess.TimeoutExpired:
            raise DeadlinePassed(f"corral did not end in {deadline} s:\n{self.log}") from None

    def terminate(self, deadline=20.0):
        """SIGTERM, and the exit status."""
        self.signal(signal.SIGTERM)
        return self.wait(deadline)

    def close(self):
        """Ends it and everything below it, by pid, whatever state it is in."""
        if self.process.poll() is None:
            below = descendants(self.process.pid)
            kill_quietly(self.process.pid)
            self.process.wait(10)
            for pid in below:
                if is_alive(pid):
                    kill_quietly(pid)


class Yard:
    """Everything one test needs: a folder, a block of ports, engines and Corrals; see conftest."""

    def __init__(self, folder):
        self.folder = Path(folder)
        self.ports = PortBlock()
        self.engines, self.corrals = {}, []

    def engine(self, name, keys=None, **options):
        self.engines[name] = Engine(self.folder, name, keys, **options)
        return self.engines[name]

    def config(self, **top):
        """A config with every engine made so far; `groups=None` leaves llama-swap's default."""
        return {
            "healthCheckTimeout": 15,
            "startPort": self.ports.start,
            "models": {name: engine.config() for name, engine in self.engines.items()},
            **top,
        }

    def serve(self, config=None, env=None, listen=None, **top):
        """Starts Corral with the config, or with config(**top). `listen` goes to --listen."""
        text = self.config(**top) if config is None else config
        corral = Corral(self.folder, text, env=env, listen=listen)
        self.corrals.append(corral)
        return corral

    def start(self, *arguments, **more):
        """Starts Corral with exactly these words."""
        corral = Corral(self.folder, arguments=arguments, **more)
        self.corrals.append(corral)
        return corral

    def together(self):
        """The groups in which all engines may run at the same time."""
        members = sorted(self.engines)
        return {"all": {"swap": False, "exclusive": True, "members": members}}

    def close(self):
        for corral in self.corrals:
            corral.close()
        left = kill_marked(str(self.folder))
        for engine in self.engines.values():
            engine.close()
        self.ports.close()
        return left
