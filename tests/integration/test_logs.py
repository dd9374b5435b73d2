"""What Corral and its models say can be read as a whole, as it comes, and in files."""

import json
import os
import stat
import subprocess

import pytest
from corral_harness import CORRAL, Corral, home_environment, poll_until
from corral_http import Connection, make_request

GREETING = "engine says \x1b[32mhello\x1b[0m"


def begin_stream(corral, target):
    """A client that follows a log, its head read."""
    connection = corral.connect()
    connection.send(make_request("GET", target))
    response = connection.read_head()
    return connection, response


def read_until(connection, text):
    """Everything that came, up to the chunk that has this text."""
    got = b""
    while text.encode() not in got:
        piece = connection.read_chunk()
        assert piece, f"the stream ended without {text!r}:\n{got.decode()}"
        got += piece
    return got.decode()


@pytest.mark.parametrize(
    "shown, own, models",
    [("proxy", True, False), ("upstream", False, True), ("both", True, True),
     ("none", False, False)],
)
def test_what_is_shown_is_what_log_to_stdout_says(yard, shown, own, models):
    """Guards: /logs and the two outputs have the lines that logToStdout selects, no others, and
    escape sequences are kept."""
    yard.engine("a", stderr=GREETING)
    # "none" says nothing of its address, so that is chosen here.
    port = yard.ports.start + 9
    config = yard.config(logToStdout=shown)
    corral = yard.serve(config) if own else quiet_corral(yard, config, port)
    corral.chat("a")
    stream, _ = begin_stream(corral, "/logs/stream/a")
    read_until(stream, GREETING)
    stream.close()
    text = corral.get("/logs").body.decode()
    assert ("model=a pid=" in text) == own
    assert (GREETING in text) == models
    if models:
        poll_until(lambda: GREETING in corral.output, what="the model's line on standard output")
    assert (GREETING in corral.output) == models
    assert ("state=ready" in corral.log) == own


def quiet_corral(yard, config, port):
    """A Corral whose own log does not say where it listens; its welcome text does."""
    class Quiet(Corral):
        def wait_until_listening(self, deadline=20.0):
            poll_until(lambda: f":{port}" in self.output, deadline, "the welcome text")
            self.port = port

    file = yard.folder / "quiet.yaml"
    file.write_text(json.dumps(config))
    words = ["serve", "--config", file, "--listen", f"127.0.0.1:{port}"]
    corral = Quiet(yard.folder, arguments=words)
    yard.corrals.append(corral)
    return corral


def test_a_stream_has_history_and_then_what_comes(yard):
    """Guards: /logs/stream/{model} gives what the model has said, over several runs, and each new
    line at once; ?no-history only the latter; aliases work."""
    engine = yard.engine("org/a", {"aliases": ["short"]}, stderr=GREETING)
    corral = yard.serve()
    live, response = begin_stream(corral, "/logs/stream/short?no-history")
    assert response.status == 200
    assert response.field("content-type").startswith("text/plain")
    assert response.field("x-accel-buffering") == "no"
    assert response.field("x-content-type-options") == "nosniff"
    corral.chat("org/a")
    read_until(live, GREETING)
    corral.post("/api/models/unload")
    late, _ = begin_stream(corral, "/logs/stream/org/a")
    read_until(late, GREETING)
    none, _ = begin_stream(corral, "/logs/stream/org%2Fa?no-history")
    corral.chat("org/a")
    assert len(engine.starts) == 2
    for connection in (live, late):
        read_until(connection, GREETING)
    assert read_until(none, GREETING).count(GREETING) == 1
    for connection in (live, late, none):
        connection.close()


@pytest.mark.parametrize(
    "name, has, has_not",
    [("proxy", "state=ready", GREETING), ("upstream", GREETING, "state=ready"),
     ("", "state=ready", GREETING)],
)
def test_streams_of_all_models_and_of_corral(yard, name, has, has_not):
    """Guards: the names of llama-swap's streams, without a name what logToStdout selects."""
    yard.engine("a", stderr=GREETING)
    corral = yard.serve()
    corral.chat("a")
    stream, _ = begin_stream(corral, "/logs/stream/" + name if name else "/logs/stream")
    assert has_not not in read_until(stream, has)
    stream.close()


def test_an_unknown_log_is_refused(yard):
    """Guards: a wrong name gets llama-swap's sentence, with 400."""
    yard.engine("a")
    answer = yard.serve().get("/logs/stream/nobody")
    assert answer.status == 400
    assert "invalid logger. Use 'proxy', 'upstream' or a model's ID" in answer.body.decode()


def test_a_reader_that_leaves_is_forgotten(yard):
    """Guards: streams of clients that have gone hold no descriptor."""
    yard.engine("a")
    corral = yard.serve()
    descriptors = f"/proc/{corral.server_pid}/fd"
    streams = [begin_stream(corral, "/logs/stream")[0] for _ in range(20)]
    while_open = len(os.listdir(descriptors))
    assert while_open > 20
    for stream in streams:
        stream.close()
    poll_until(
        lambda: len(os.listdir(descriptors)) <= while_open - 20, what="20 descriptors to be closed"
    )


def test_a_head_request_and_an_old_client(yard):
    """Guards: HEAD gets no body; HTTP/1.0 gets a stream that ends with its connection."""
    yard.engine("a")
    corral = yard.serve()
    with corral.connect() as connection:
        assert connection.request("HEAD", "/logs/stream").status == 200
        assert connection.request("GET", "/health").status == 200
    with corral.connect() as connection:
        connection.send(b"GET /logs/stream HTTP/1.0\r\nHost: localhost\r\n\r\n")
        head = connection.read_head()
        assert head.status == 200 and head.field("transfer-encoding") is None
        assert not connection.is_closed()


def test_a_stream_ends_with_corral(yard):
    """Guards: a reader of the log does not keep Corral from ending, and is let go by it."""
    yard.engine("a")
    corral = yard.serve()
    stream, _ = begin_stream(corral, "/logs/stream")
    read_until(stream, "listening on")
    assert corral.terminate() == 0
    stream.read_until_closed()  # fails when it is not closed


def test_secrets_are_hidden(yard):
    """Guards: what a model prints of its secret variables and of Corral's keys is not shown."""
    said = "I have canary-token and sk-canary-x"
    yard.engine("a", {"env": ["HF_TOKEN=canary-token"]}, stderr=said)
    corral = yard.serve(apiKeys=["sk-canary-x"], logToStdout="both")
    key = [("Authorization", "Bearer sk-canary-x")]
    corral.request("POST", "/v1/completions", {"model": "a"}, key)
    poll_until(lambda: "I have" in corral.output, what="the model's line")
    text = corral.request("GET", "/logs", fields=key).body.decode()
    assert "I have [hidden] and [hidden]" in text
    assert "canary" not in text + corral.output + corral.log


def test_files_are_written_moved_on_and_told_of(yard):
    """Guards: `logs:` gives each model a private file that never grows beyond its bound, also after
    a reload that names another folder; one that cannot be written is warned of."""
    first, second = yard.folder / "first", yard.folder / "second"
    yard.engine("a", stderr="\\n".join(f"line {i} " + "x" * 200 for i in range(200)))
    logs = {"directory": str(first), "fileBytesMax": "4KiB", "filesMax": 3}
    config = yard.config(logs=logs)
    corral = yard.serve(config)
    corral.chat("a")

    def names(folder):
        return sorted(os.listdir(folder)) if folder.exists() else []

    models = ["a.log", "a.log.1", "a.log.2"]
    poll_until(lambda: "line 199 " in all_of(first, models), what="the last line")
    assert [name for name in names(first) if name.startswith("a.")] == models
    for name in models:
        status = (first / name).stat()
        assert status.st_size <= 4096 and stat.S_IMODE(status.st_mode) == 0o600
    assert "state=ready" in all_of(first, [n for n in names(first) if n.startswith("corral.log")])

    config["logs"]["directory"] = str(second)
    corral.config_file.write_text(json.dumps(config))
    assert corral.post("/api/config/reload").status == 200
    corral.post("/api/models/unload")
    corral.chat("a")
    poll_until(lambda: "line 199 " in all_of(second, models), what="the new folder's last line")

    config["logs"]["directory"] = str(corral.config_file)  # a file, so nothing can lie in it
    corral.config_file.write_text(json.dumps(config))
    assert corral.post("/api/config/reload").status == 200
    corral.post("/api/models/unload")
    corral.chat("a")
    corral.chat("a")
    poll_until(lambda: "logs: cannot write " in corral.log, what="the warning")
    assert corral.chat("a").status == 200


def all_of(folder, names):
    """The text of these files, the oldest first."""
    paths = [folder / name for name in reversed(names)]
    return "".join(path.read_text() for path in paths if path.exists())


def test_a_flood_on_a_standard_output_that_nobody_reads_delays_nobody(yard):
    """Guards: lines that standard output has no room for are dropped; requests go on."""
    yard.engine("a", stdout_flood=True, flood_for="2s")
    port = yard.ports.start + 9
    file = yard.folder / "flood.yaml"
    file.write_text(json.dumps(yard.config(logToStdout="both")))
    reader, writer = os.pipe()
    process = subprocess.Popen(
        [CORRAL, "serve", "--config", str(file), "--listen", f"127.0.0.1:{port}"],
        stdout=writer, stderr=subprocess.DEVNULL, env=home_environment(yard.folder),
    )
    os.close(writer)
    try:
        def answers():
            try:
                with Connection(port) as connection:
                    return connection.request("GET", "/health").status == 200
            except OSError:
                return False

        poll_until(answers, what="corral to listen")
        for _ in range(3):
            with Connection(port) as connection:
                assert connection.request("POST", "/v1/completions", {"model": "a"}).status == 200
        process.terminate()
        assert process.wait(20) == 0
    finally:
        process.kill()
        process.wait()
        os.close(reader)
