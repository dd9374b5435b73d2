"""What a model's process may take, what it gets to see, and what it leaves behind."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from corral_harness import Corral, poll_until, quote, run_corral
from corral_processes import is_alive, kill_quietly, marked

# A model server that does one more thing: what its words after the port say, as Python.
SERVER = """
import http.server, os, sys, threading
class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"{}")
    do_POST = do_GET
    def log_message(self, *_):
        pass
server = http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Answer)
threading.Thread(target=server.serve_forever).start()
exec(sys.argv[2])
"""


@pytest.fixture
def server(yard):
    """Makes the cmd of such a server."""
    program = yard.folder / "server.py"
    program.write_text(SERVER)

    def cmd(script="pass"):
        return " ".join(map(quote, [sys.executable, str(program), "${PORT}", script]))

    return cmd


def models(yard, **models):
    return {"startPort": yard.ports.start, "healthCheckTimeout": 15, "models": models}


def eat(mib, then="threading.Event().wait()"):
    return f"kept = bytearray({mib} << 20); {then}"


# ---- limits -------------------------------------------------------------------------------------


def test_a_ready_model_above_its_memory_limit_is_ended_alone(yard, server):
    """Guards: the limit ends that model with its tree, says why, and harms nobody else."""
    trigger = yard.folder / "eat"
    os.mkfifo(trigger)
    wait = f"open({str(trigger)!r}).read()\n"
    corral = yard.serve(
        models(
            yard,
            hungry={"cmd": server(wait + eat(300)), "limits": {"memory": "200MiB"}},
            modest={"cmd": server(eat(100)), "limits": {"memory": "2GiB"}},
        )
        | {"groups": {"g": {"swap": False, "members": ["hungry", "modest"]}}}
    )
    assert corral.chat("hungry").status == 200 and corral.chat("modest").status == 200
    trigger.write_text("now")
    corral.wait_for_state("hungry", None)
    poll_until(lambda: "memory limit of 200.0 MiB reached (had" in corral.log, what="the reason")
    assert corral.running() == {"modest": "ready"}


def test_a_memory_limit_holds_for_the_whole_tree_and_while_loading(yard, server):
    """Guards: who hides its memory in a grandchild of another session is found; a start that ends
    so is answered with the reason."""
    grandchild = f"os.setsid(); {eat(300)}"
    script = f"os.fork() or os.fork() or exec({grandchild!r})"
    silent = server(script).replace("${PORT}", "0") + " ${PORT}"
    corral = yard.serve(models(yard, m={"cmd": silent, "limits": {"memory": "200MiB"}}))
    answer = corral.chat("m", deadline=30)
    assert answer.status in (500, 502, 503)
    assert "memory limit of 200.0 MiB reached" in answer.error["message"]
    poll_until(lambda: not marked(str(yard.folder / "server.py")), what="its tree to be gone")


def test_nice_and_oom_score_adj_reach_the_process(yard, server):
    """Guards: limits that the system grants are there, and Corral's own stay as they were."""
    ours = os.getpriority(os.PRIO_PROCESS, 0)
    nice = min(ours + 4, 19)
    corral = yard.serve(
        models(yard, m={"cmd": server(), "limits": {"nice": nice, "oomScoreAdj": 901}})
    )
    assert corral.chat("m").status == 200
    (pid,) = corral.engine_pids()
    assert os.getpriority(os.PRIO_PROCESS, pid) == nice
    assert Path(f"/proc/{pid}/oom_score_adj").read_text().strip() == "901"
    assert os.getpriority(os.PRIO_PROCESS, corral.server_pid) == ours
    assert "refused by the system" not in corral.log


def test_a_contradiction_between_limits_and_cmd_is_told_and_served(yard):
    """Guards: `check` warns that cmd holds, and nothing edits it."""
    config = yard.folder / "c.yaml"
    config.write_text(
        "models: {m: {cmd: 'x --port ${PORT} -ngl 99 -t 8', limits: {threads: 4, gpuLayers: 0}}}"
    )
    told = run_corral(yard.folder, "check", config)
    text = told.stdout + told.stderr
    assert "limits.threads is 4, but cmd says 8" in text
    assert "limits.gpuLayers is 0, but cmd says 99" in text


# ---- what it gets to see ------------------------------------------------------------------------


def test_keys_of_corral_are_not_in_a_models_environment(yard, server):
    """Guards: a key that the config takes from a variable stays Corral's; what the model's own env
    gives is given."""
    seen = yard.folder / "environ"
    script = f"open({str(seen)!r}, 'w').write(open('/proc/self/environ').read())"
    config = models(yard, m={"cmd": server(script), "env": ["GIVEN=sk-canary-given"]})
    config["apiKeys"] = ["${env.MY_SECRET}"]
    corral = yard.serve(
        config, env={"MY_SECRET": "sk-canary-4711", "HARMLESS": "stays", "CORRAL_X": "not this"}
    )
    key = [("Authorization", "Bearer sk-canary-4711")]
    assert corral.get("/upstream/m/health", fields=key).status == 200
    poll_until(lambda: seen.exists() and "HARMLESS" in seen.read_text(), what="its environment")
    text = seen.read_text()
    assert "sk-canary-4711" not in text and "CORRAL_X" not in text
    assert "HARMLESS=stays" in text and "GIVEN=sk-canary-given" in text


# ---- leftovers ----------------------------------------------------------------------------------


class Container:
    """Something that `cmd` starts outside of its tree, and only cmdStop can end."""

    def __init__(self, yard, server, env=()):
        self.stopped = yard.folder / "stopped"
        script = "echo $NAME $0 >> " + str(self.stopped)
        self.keys = {
            "cmd": server(),
            "cmdStop": "sh -c '" + script + "' ${PID}",
            "env": ["NAME=container", *env],
            "unloadTimeout": 5,
        }

    def stops(self):
        return self.stopped.read_text().splitlines() if self.stopped.exists() else []


def notes(yard):
    return list((yard.folder / "home/.local/state/corral/leftovers").glob("*/*.run"))


def test_a_stopped_model_leaves_no_note(yard, server):
    """Guards: cmdStop runs once for a model that was stopped, whatever comes later."""
    container = Container(yard, server, env=["SECRET=hush"])
    corral = yard.serve(models(yard, m=container.keys))
    assert corral.chat("m").status == 200
    (note,) = notes(yard)
    assert "hush" in note.read_text() and note.stat().st_mode & 0o777 == 0o600
    assert note.parent.stat().st_mode & 0o777 == 0o700
    corral.post("/api/models/unload/m")
    poll_until(lambda: not notes(yard), what="the note to be gone")
    assert corral.terminate() == 0
    ran = container.stops()
    yard.serve(models(yard, m=container.keys))
    assert container.stops() == ran and len(ran) == 1


def test_the_guard_runs_cmd_stop_when_the_server_is_killed(yard, server):
    """Guards: what a killed server can no longer stop is stopped at once, by the guard."""
    container = Container(yard, server)
    corral = yard.serve(models(yard, m=container.keys))
    assert corral.chat("m").status == 200
    (pid,) = corral.engine_pids()
    corral.signal(signal.SIGKILL, corral.server_pid)
    corral.wait()
    assert container.stops() == [f"container {pid}"]
    assert not notes(yard) and not marked(str(yard.folder))


def kill_both(corral):
    server = corral.server_pid
    corral.signal(signal.SIGSTOP, corral.guard_pid)  # so that it cannot act before it dies, too
    corral.signal(signal.SIGKILL, server)
    corral.signal(signal.SIGKILL, corral.guard_pid)
    corral.wait()
    poll_until(lambda: not is_alive(server), what="the server to be gone")


def test_the_next_start_runs_cmd_stop_when_both_were_killed(yard, server):
    """Guards: nothing is left for ever because nobody was there to end it, and it is ended once."""
    container = Container(yard, server)
    corral = yard.serve(models(yard, m=container.keys))
    assert corral.chat("m").status == 200
    (pid,) = corral.engine_pids()
    kill_both(corral)
    kill_quietly(pid)
    assert container.stops() == [] and len(notes(yard)) == 1
    again = yard.serve(models(yard, m=container.keys))
    assert container.stops() == [f"container {pid}"] and not notes(yard)
    assert "was running when Corral died" in again.log
    assert again.chat("m").status == 200


def test_another_corral_that_lives_keeps_its_notes(yard, server):
    """Guards: a second Corral of the same user never stops the first one's containers."""
    container = Container(yard, server)
    first = yard.serve(models(yard, m=container.keys))
    assert first.chat("m").status == 200
    second = Corral(yard.folder, models(yard))
    yard.corrals.append(second)
    second.signal(signal.SIGKILL, second.server_pid)
    second.wait()
    assert container.stops() == [] and len(notes(yard)) == 1
    assert first.chat("m").status == 200


@pytest.mark.parametrize("broken", ["nonsense", "corral leftover 1\nstop x\n", ""])
def test_a_broken_note_keeps_nobody_from_starting(yard, server, broken):
    """Guards: half a note is told and dropped, never run."""
    folder = yard.folder / "home/.local/state/corral/leftovers/dead"
    folder.mkdir(parents=True)
    (folder / "lock").touch()
    (folder / "a.run").write_text(broken)
    corral = yard.serve(models(yard, m={"cmd": server()}))
    assert corral.chat("m").status == 200
    assert "cannot be read" in corral.log and not folder.exists()


def test_a_state_directory_that_cannot_be_written_is_a_warning(yard, server):
    """Guards: a model with cmdStop serves without a place for its note."""
    blocked = yard.folder / "file"
    blocked.touch()
    container = Container(yard, server)
    corral = yard.serve(
        models(yard, m=container.keys), env={"STATE_DIRECTORY": str(blocked / "below")}
    )
    assert corral.chat("m").status == 200
    assert "cannot be remembered" in corral.log


# ---- ports --------------------------------------------------------------------------------------


@pytest.fixture
def stale(yard, server):
    """A server of no model on a fixed port, which answers everything with 200."""
    port = yard.ports.start + 30
    words = [sys.executable, str(yard.folder / "server.py"), str(port), "pass"]
    process = subprocess.Popen(words)

    def listens():
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    try:
        poll_until(listens, what="the stale server")
        yield port, process.pid
    finally:
        process.kill()
        process.wait()


def test_a_stale_server_on_a_fixed_port_never_answers_for_a_model(yard, server, stale):
    """Guards: the port's owner decides, not the answer; the message names who has it."""
    port, pid = stale
    idle = f"{sys.executable} -c 'import signal; signal.pause()' {yard.folder}"
    corral = yard.serve(models(yard, m={"cmd": idle, "proxy": f"http://127.0.0.1:{port}"}))
    answer = corral.chat("m")
    assert answer.status in (500, 502, 503)
    message = answer.error["message"]
    assert f"port {port} is held by process {pid} (" in message
    poll_until(lambda: corral.engine_pids() == [], what="the child to be gone")
    assert is_alive(pid), "nobody else's server is ended"


def test_another_models_server_never_answers_for_a_model(yard, server):
    """Guards: two models with one fixed port do not share the server of the first."""
    port = yard.ports.start + 31
    first = server().replace("${PORT}", str(port))
    idle = f"{sys.executable} -c 'import signal; signal.pause()' {yard.folder}"
    config = models(
        yard,
        first={"cmd": first, "proxy": f"http://127.0.0.1:{port}"},
        second={"cmd": idle, "proxy": f"http://127.0.0.1:{port}"},
    )
    config["groups"] = {"g": {"swap": False, "members": ["first", "second"]}}
    corral = yard.serve(config)
    assert corral.chat("first").status == 200
    assert "is held by process" in corral.chat("second").error["message"]
    assert corral.chat("first").status == 200


def test_a_server_that_the_child_has_started_elsewhere_is_accepted(yard, server):
    """Guards: a listener that is no descendant but came after the launch may well be its doing."""
    port = yard.ports.start + 32
    words = [sys.executable, str(yard.folder / "server.py"), str(port), "pass"]
    idle = f"{sys.executable} -c 'import signal; signal.pause()' {yard.folder}"
    corral = yard.serve(models(yard, m={"cmd": idle, "proxy": f"http://127.0.0.1:{port}"}))
    with corral.connect() as waiting:
        waiting.send(b"GET /upstream/m/x HTTP/1.1\r\nHost: localhost\r\n\r\n")
        poll_until(corral.engine_pids, what="the child")
        process = subprocess.Popen(words)
        try:
            corral.wait_for_state("m", "ready")
        finally:
            process.kill()
            process.wait()
