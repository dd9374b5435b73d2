"""As a service: systemd is told what happens (sd_notify), and SIGHUP takes a new config without
disturbing what did not change."""

import json
import os
import signal
import socket

import pytest
from corral_harness import CORRAL, Corral, home_environment, poll_until
from corral_http import make_request
from corral_processes import is_alive


class Systemd:
    """The other end of $NOTIFY_SOCKET."""

    def __init__(self, folder):
        self.path = folder / "notify"
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(self.path))
        self.socket.setblocking(False)
        self.messages = []

    def heard(self, word):
        """The messages so far in which a line begins with the word."""
        try:
            while True:
                self.messages.append(self.socket.recv(65536).decode())
        except BlockingIOError:
            pass
        return [m for m in self.messages if any(l.startswith(word) for l in m.splitlines())]


@pytest.fixture
def systemd(yard):
    made = Systemd(yard.folder)
    yield made
    made.socket.close()


def serve_notified(yard, systemd, **env):
    """Corral as systemd starts it: WATCHDOG_PID is the main process, the guard."""
    file = yard.folder / "config.yaml"
    file.write_text(json.dumps(yard.config()))
    arguments = f"serve --config '{file}' --listen 127.0.0.1:0"
    words = ["-c", f"WATCHDOG_PID=$$ exec '{CORRAL}' {arguments}"]
    started = {"NOTIFY_SOCKET": str(systemd.path), **env}
    corral = Corral(yard.folder, arguments=words, env=started, program="/bin/sh")
    yard.corrals.append(corral)
    return corral


def test_systemd_is_told_ready_and_stopping(yard, systemd):
    """READY=1 when it listens, before any model loads; STOPPING=1 when it drains."""
    engine = yard.engine("a")
    corral = serve_notified(yard, systemd)
    poll_until(lambda: systemd.heard("READY=1"), what="READY=1")
    assert engine.starts == []
    assert not systemd.heard("STOPPING=1")
    assert corral.chat("a").status == 200
    environ = open(f"/proc/{engine.starts[0]}/environ", "rb").read()
    assert b"NOTIFY_SOCKET" not in environ and b"WATCHDOG" not in environ
    assert corral.terminate() == 0
    assert systemd.heard("STOPPING=1")


def test_the_watchdog_is_fed(yard, systemd):
    """systemd names the guard in WATCHDOG_PID; whoever feeds the watchdog must not mind."""
    yard.engine("a")
    serve_notified(yard, systemd, WATCHDOG_USEC="400000")
    poll_until(lambda: len(systemd.heard("WATCHDOG=1")) >= 3, what="three signs of life")


def test_systemd_is_told_of_a_reload(yard, systemd):
    """Type=notify-reload: RELOADING=1 with a monotonic time stamp, then READY=1 again."""
    yard.engine("a")
    corral = serve_notified(yard, systemd)
    poll_until(lambda: systemd.heard("READY=1"), what="READY=1")
    corral.signal(signal.SIGHUP)
    (reloading,) = poll_until(lambda: systemd.heard("RELOADING=1"), what="RELOADING=1")
    assert int(reloading.split("MONOTONIC_USEC=")[1].split()[0]) > 0
    poll_until(lambda: len(systemd.heard("READY=1")) == 2, what="READY=1 after the reload")


def test_systemd_is_told_of_a_reload_that_failed(yard, systemd):
    """`systemctl status` shows the mistake and its place until a reload succeeds."""
    yard.engine("a")
    corral = serve_notified(yard, systemd)
    poll_until(lambda: systemd.heard("STATUS=serving 1 model"), what="the status")
    file = yard.folder / "config.yaml"
    good = file.read_text()
    file.write_text("models:\n  a: [\n")
    corral.signal(signal.SIGHUP)
    wanted = f"STATUS=serving 1 model; the last reload failed: {file}:"
    (told,) = poll_until(lambda: systemd.heard(wanted), what="the failure in the status")
    assert "READY=1" in told.splitlines()
    file.write_text(good)
    corral.signal(signal.SIGHUP)

    def forgotten():
        systemd.heard("READY=1")  # takes in what has come
        return systemd.messages[-1].endswith("STATUS=serving 1 model")

    poll_until(forgotten, what="the failure to be forgotten")


def rewrite(corral, config):
    """Replaces the config as editors do, and asks for a reload."""
    new = corral.config_file.with_suffix(".new")
    new.write_text(config if isinstance(config, str) else json.dumps(config))
    os.replace(new, corral.config_file)
    corral.signal(signal.SIGHUP)


def listed(corral):
    return [entry["id"] for entry in corral.get("/v1/models").json()["data"]]


def test_a_reload_adds_and_removes_models_and_leaves_the_others_running(yard):
    """A model whose definition did not change is not restarted, its stream not cut."""
    a = yard.engine("a", gate=True)
    b = yard.engine("b")
    corral = yard.serve(groups=yard.together())
    assert corral.chat("b").status == 200
    with corral.connect() as connection:
        connection.send(make_request("POST", "/v1/completions", {"model": "a", "stream": True}))
        response = connection.read_head()
        config = yard.config(groups=yard.together())
        config["models"]["c"] = config["models"].pop("b")
        config["groups"]["all"]["members"] = ["a", "c"]
        rewrite(corral, config)
        poll_until(lambda: listed(corral) == ["a", "c"], what="the new list")
        assert is_alive(a.starts[0])
        a.open_gate(100)
        connection.read_body(response)
        assert response.complete
    assert corral.chat("b").status == 404
    poll_until(lambda: not is_alive(b.starts[0]), what="the removed model to stop")
    assert corral.chat("c").status == 200
    a.open_gate(10)
    assert corral.chat("a").status == 200
    assert len(a.starts) == 1


def test_a_changed_model_is_stopped_after_its_stream(yard):
    """The request in flight ends on the old process, the next one starts the new definition."""
    a = yard.engine("a", gate=True)
    corral = yard.serve()
    with corral.connect() as connection:
        connection.send(make_request("POST", "/v1/completions", {"model": "a", "stream": True}))
        response = connection.read_head()
        config = yard.config()
        config["models"]["a"]["env"] = ["NEW=1"]
        rewrite(corral, config)
        poll_until(lambda: "reloaded" in corral.log, what="the reload")
        assert is_alive(a.starts[0])
        a.open_gate(100)
        connection.read_body(response)
        assert response.complete
    poll_until(lambda: not is_alive(a.starts[0]), what="the old process to stop")
    assert corral.chat("a").status == 200
    with open(f"/proc/{a.starts[1]}/environ", "rb") as environ:
        assert b"NEW=1" in environ.read().split(b"\0")


@pytest.mark.parametrize("text", ["models: [", "models: {a: {cmd: 'x'}}\nmodels: {}\n", "- x\n"])
def test_a_reload_of_a_broken_config_keeps_the_old_one(yard, text):
    """A typo while editing must not take the service down."""
    engine = yard.engine("a")
    corral = yard.serve()
    assert corral.chat("a").status == 200
    rewrite(corral, text)
    poll_until(lambda: "stays" in corral.log, what="the refusal")
    assert listed(corral) == ["a"]
    assert corral.chat("a").status == 200
    assert len(engine.starts) == 1


def test_many_reloads_in_a_row_lose_no_request(yard):
    """SIGHUP after SIGHUP while requests run: each request is answered."""
    yard.engine("a")
    corral = yard.serve()
    for number in range(50):
        rewrite(corral, yard.config(globalTTL=number))
        assert corral.chat("a").status == 200


def test_home_is_not_needed(yard):
    """A service has no home: the config named on the command line is enough."""
    yard.engine("a")
    file = yard.folder / "config.yaml"
    file.write_text(json.dumps(yard.config()))
    keep = home_environment(yard.folder)
    words = [f"{name}={keep[name]}" for name in ("PATH",)]
    command = ["-i", *words, CORRAL, "serve", "--config", str(file), "--listen", "127.0.0.1:0"]
    corral = Corral(yard.folder, arguments=command, program="/usr/bin/env")
    yard.corrals.append(corral)
    assert corral.chat("a").status == 200
