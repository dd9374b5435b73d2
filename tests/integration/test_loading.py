"""A client that streams is told how the loading of its model goes, in the events of its own API,
and what goes wrong; a client that does not stream is told nothing."""

import json
import re

import pytest
from corral_harness import poll_until
from corral_http import make_request
from corral_processes import is_alive

PATHS = {
    "chat": "/v1/chat/completions",
    "completions": "/v1/completions",
    "responses": "/v1/responses",
    "messages": "/v1/messages",
}
APIS = pytest.mark.parametrize("api", PATHS)
EVERY_PATH = pytest.mark.parametrize(
    "api,path",
    [(api, path.replace("/v1", prefix)) for api, path in PATHS.items() for prefix in ("/v1", "/v")],
)


class Loads:
    """A model that loads until it is told to be ready."""

    def __init__(self, yard, name="a", keys=None, **options):
        self.file = yard.folder / f"{name}-is-ready"
        self.engine = yard.engine(name, keys, load_until=self.file, **options)

    def finish(self):
        self.file.touch()

    def pid(self, start=0):
        poll_until(lambda: len(self.engine.starts) > start, what="the start")
        return self.engine.starts[start]

    def kill(self, corral, start=0):
        corral.signal(9, self.pid(start))


def events(text):
    """The (name, data) of every event, comments as (None, text); strict about each line."""
    found = []
    assert text.endswith("\n\n"), text
    for block in text[:-2].split("\n\n"):
        lines = block.split("\n")
        if block.startswith(": "):
            assert len(lines) == 1, block
            found.append((None, block[2:]))
            continue
        name = lines.pop(0).removeprefix("event: ") if block.startswith("event: ") else ""
        assert len(lines) == 1 and lines[0].startswith("data: "), block
        data = lines[0].removeprefix("data: ")
        found.append((name, data if data == "[DONE]" else json.loads(data)))
    return found


def check_told(api, model, found):
    """Every event is one that the API has, with all that belongs to it."""
    told = [event for event in found if event[0] is not None]
    assert told, found
    for number, (name, data) in enumerate(told):
        if api == "messages":
            assert (name, data) == ("ping", {"type": "ping"})
            continue
        if api == "responses":
            assert name == ("response.in_progress" if number else "response.created")
            assert (data["type"], data["sequence_number"]) == (name, number)
            data = data["response"]
            assert (data["status"], data["output"]) == ("in_progress", [])
        created = "created_at" if api == "responses" else "created"
        assert data["id"] and data["model"] == model and data[created] > 1_600_000_000, data
        assert data["object"] == {
            "chat": "chat.completion.chunk",
            "completions": "text_completion",
            "responses": "response",
        }[api]
        if api != "responses":
            (choice,) = data["choices"]
            assert (choice["index"], choice["finish_reason"]) == (0, None)
            if api == "chat":
                assert list(choice["delta"]) == ["reasoning_content"]
            else:
                assert choice["text"] == ""


def reasoning(found):
    return "".join(d["choices"][0]["delta"].get("reasoning_content", "") for _, d in found)


def ask(path, model="a", **more):
    return make_request("POST", path, {"messages": [], "stream": True, "model": model, **more})


def read_told(connection, count=1):
    """The head, and so many pieces of what is told while the model loads."""
    head = connection.read_head()
    assert head.status == 200
    assert head.field("Content-Type") == "text/event-stream"
    assert head.field("Cache-Control") == "no-cache"
    assert head.field("X-Accel-Buffering") == "no"
    return head, "".join(connection.read_chunk().decode() for _ in range(count))


def read_cut(connection, response):
    """The rest of a stream that has to be cut."""
    connection.read_body(response)
    assert not response.complete, response
    assert connection.read_until_closed() == b""
    return response.body.decode()


def check_failure(api, found, words):
    """The last events say what went wrong, as the API says it."""
    if api == "responses":
        name, data = found.pop()
        assert (name, data["type"]) == ("response.failed", "response.failed")
        assert data["response"]["status"] == "failed"
        assert words in data["response"]["error"]["message"]
    name, data = found.pop()
    assert name == "error"
    assert api in ("chat", "completions") or data["type"] == "error"
    assert words in data["error"]["message"], data
    return data["error"]


@EVERY_PATH
def test_the_loading_is_told_and_the_answer_follows(yard, api, path):
    """A first event at once, one more each second, then the answer, to its clean end; the
    connection serves the next request."""
    model = Loads(yard)
    corral = yard.serve(sendLoadingState=True)
    with corral.connect() as connection:
        response, told = read_told(connection.send(ask(path)), 2)
        check_told(api, "a", events(told))
        model.finish()
        connection.read_body(response)
        assert response.complete
        after = events(response.body.decode())
        assert after[-1] == ("", "[DONE]")
        first = next(n for n, (_, data) in enumerate(after) if data["id"] == "fake-1")
        if first:
            check_told(api, "a", events(told) + after[:first])
        if api == "chat":
            said = reasoning(events(told) + after[:first])
            assert re.fullmatch(r"Loading model a\.+\nReady after \d+\.\d s\n\n", said), said
        assert all(data["id"] == "fake-1" for _, data in after[first:-1])
        assert connection.request("GET", "/health").status == 200
    ((head, body),) = model.engine.requests
    assert b"accept-encoding: identity" in head.lower()
    assert json.loads(body)["stream"] is True


@APIS
def test_a_model_that_is_ready_answers_as_ever(yard, api):
    """No event of ours when there is nothing to wait for."""
    yard.engine("a")
    corral = yard.serve(sendLoadingState=True, loadingKeepAlive=True)
    corral.get("/upstream/a/warm")
    with corral.connect() as connection:
        answer = connection.send(ask(PATHS[api])).read_response()
    assert answer.complete and answer.field("Cache-Control") == "no-cache"
    assert b"loading" not in answer.body.lower()
    assert events(answer.body.decode())[0][1]["id"] == "fake-1"


@pytest.mark.parametrize(
    "path,body,config",
    [
        ("/v1/chat/completions", {"model": "a"}, {}),
        ("/v1/chat/completions", {"model": "a", "stream": False}, {}),
        ("/v1/chat/completions", {"model": "a", "stream": "true"}, {}),
        ("/v1/chat/completions", {"model": "a", "x": {"stream": True}}, {}),
        ("/v1/chat/completions", '{"stream":true,"model":"a","stream":false}', {}),
        ("/v1/embeddings", {"model": "a", "stream": True}, {"loadingKeepAlive": False}),
        ("/upstream/a/v1/chat/completions", {"model": "a", "stream": True}, {}),
    ],
)
def test_who_does_not_stream_is_told_nothing(yard, path, body, config):
    """The status is the model's own, and so is every byte."""
    model = Loads(yard, status=418)
    corral = yard.serve(sendLoadingState=True, **{"loadingKeepAlive": 0.1, **config})
    with corral.connect() as connection:
        connection.send(make_request("POST", path, body))
        poll_until(lambda: corral.running() == {"a": "starting"}, what="the load")
        assert not connection.has_bytes_within(0.4)
        model.finish()
        answer = connection.read_response()
    assert (answer.status, answer.complete) == (418, True)
    assert answer.json()["error"]["message"] == "scripted failure"


def test_a_models_own_setting_wins(yard):
    """True where the file says no, and no where the file says true."""
    quiet = Loads(yard, "quiet", {"sendLoadingState": False})
    Loads(yard, "told", {"sendLoadingState": True})
    corral = yard.serve(sendLoadingState=True, groups={"all": yard.together()["all"]})
    with corral.connect() as one, corral.connect() as other:
        read_told(one.send(ask(PATHS["chat"], "told")))
        other.send(ask(PATHS["chat"], "quiet"))
        poll_until(lambda: corral.running().get("quiet") == "starting", what="the load")
        assert not other.has_bytes_within(0.3)
        quiet.finish()
        answer = other.read_response()
    assert events(answer.body.decode())[0][1]["id"] == "fake-1"


def test_events_name_the_model_as_the_client_did(yard):
    """An alias stays an alias, whatever the model's server is told."""
    model = Loads(yard, "a", {"aliases": ["gpt"], "useModelName": "inner"})
    corral = yard.serve(sendLoadingState=True)
    with corral.connect() as connection:
        response, told = read_told(connection.send(ask(PATHS["chat"], "gpt")))
        check_told("chat", "gpt", events(told))
        model.finish()
        connection.read_body(response)
    assert json.loads(model.engine.requests[0][1])["model"] == "inner"


def test_the_place_in_the_queue_is_told(yard):
    """Who waits behind others learns that, and when its own load begins."""
    holder = yard.engine("holder", gate=True)
    Loads(yard, "first")
    model = Loads(yard, "second")
    corral = yard.serve(sendLoadingState=True)
    corral.get("/upstream/holder/warm")
    with corral.connect() as busy, corral.connect() as one, corral.connect() as other:
        busy.send(ask(PATHS["chat"], "holder"))
        assert busy.read_head().status == 200
        _, told = read_told(one.send(ask(PATHS["chat"], "first")))
        assert reasoning(events(told)) == (
            "Waiting to load model first: its place is still in use"
        )
        response, told = read_told(other.send(ask(PATHS["chat"], "second")))
        assert reasoning(events(told)) == "Waiting to load model second: queue position 2"
        one.reset()
        model.finish()
        holder.open_gate(10)
        other.read_body(response)
    after = [data for _, data in events(response.body.decode())]
    assert response.complete and after.pop() == "[DONE]"
    said = reasoning((None, data) for data in after if data["choices"])
    assert "\nLoading model second" in said or "\nReady after" in said


@APIS
def test_a_load_that_fails_is_told_and_the_stream_is_cut(yard, api):
    """The status is 200 by then: an error event with the usual words, and no clean end."""
    model = Loads(yard)
    corral = yard.serve(sendLoadingState=True)
    with corral.connect() as connection:
        response, told = read_told(connection.send(ask(PATHS[api])))
        model.kill(corral)
        rest = events(read_cut(connection, response))
    error = check_failure(api, rest, "signal 9")
    if api != "messages":
        assert (error["type"], error["code"]) == ("server_error", "bad_gateway")
    assert not any(data == "[DONE]" for _, data in rest)
    assert re.search(r"path=\S+ model=a status=502 ", corral.log)
    assert corral.get("/health").status == 200


@APIS
@pytest.mark.parametrize(
    "script,words,status",
    [
        ({"status": 400}, "scripted failure", 400),
        ({"status": 500}, "scripted failure", 500),
        ({"echo": True}, "200 application/json", 502),
        ({"garbage": True}, "", 502),
        ({"die_on_request": True, "exit_code": 7}, "exit status 7", 502),
    ],
)
def test_an_answer_that_is_no_stream_is_told_and_cut(yard, api, script, words, status):
    """What the model's server says reaches the client as an error event, never as raw bytes in the
    stream; the log has the status that it stands for."""
    model = Loads(yard, **script)
    corral = yard.serve(sendLoadingState=True)
    with corral.connect() as connection:
        response, _ = read_told(connection.send(ask(PATHS[api])))
        model.finish()
        rest = events(read_cut(connection, response))
    check_failure(api, rest, words)
    poll_until(lambda: f"model=a status={status} " in corral.log, what="the log line")


def test_a_model_that_dies_in_the_answer_is_told_and_cut(yard):
    """The events so far, an error event with the model's end, no last chunk."""
    model = Loads(yard, die_mid_stream=True, tokens=4)
    corral = yard.serve(sendLoadingState=True)
    with corral.connect() as connection:
        response, _ = read_told(connection.send(ask(PATHS["chat"])))
        model.finish()
        text = read_cut(connection, response)
    before, mark, last = text.rpartition("\n\nevent: error")
    assert "token1" in before and "[DONE]" not in text
    check_failure("chat", events("event: error" + last), "exit status 1")


def test_what_is_refused_at_once_keeps_its_status(yard):
    """No byte is sent before it is clear that the request waits."""
    Loads(yard)
    corral = yard.serve(sendLoadingState=True, limits={"waitingPerModel": 1})
    with corral.connect() as one, corral.connect() as other:
        read_told(one.send(ask(PATHS["chat"])))
        answer = other.send(ask(PATHS["chat"])).read_response()
        assert answer.status == 503 and answer.error["message"]
        answer = other.send(ask(PATHS["chat"], "nobody")).read_response()
        assert answer.status == 404 and answer.complete


def test_a_client_that_leaves_while_it_is_told_leaves_the_queue(yard):
    """Logged as 499; the load goes on for whoever comes next."""
    model = Loads(yard)
    corral = yard.serve(sendLoadingState=True)
    with corral.connect() as connection:
        read_told(connection.send(ask(PATHS["chat"])))
    poll_until(lambda: "model=a status=499 " in corral.log, what="the client to be missed")
    model.finish()
    assert corral.chat("a").status == 200
    assert len(model.engine.starts) == 1 and len(model.engine.requests) == 1


def test_http_1_0_clients_get_the_stream_until_the_end_of_the_connection(yard):
    """Without chunks; a cut is a reset, which is all that such a client can see."""
    model = Loads(yard)
    corral = yard.serve(sendLoadingState=True)
    request = ask(PATHS["chat"]).replace(b" HTTP/1.1\r\n", b" HTTP/1.0\r\n", 1)
    with corral.connect() as connection:
        response = connection.send(request).read_head()
        assert response.field("Transfer-Encoding") is None
        assert response.field("Connection") == "close"
        model.finish()
        connection.read_body(response)
    found = events(response.body.decode())
    assert found[-1] == ("", "[DONE]") and found[0][1]["object"] == "chat.completion.chunk"

    model.file.unlink()
    corral.post("/api/models/unload")
    with corral.connect() as connection:
        response = connection.send(request).read_head()
        model.kill(corral, 1)
        with pytest.raises(ConnectionResetError):
            while connection.socket.recv(65536):
                pass


def test_nothing_is_told_before_the_request_is_all_there(yard):
    """Only its end says whether it is clean and whether it streams; the load does not wait."""
    model = Loads(yard)
    corral = yard.serve(sendLoadingState=True)
    body = b'{"model":"a","prompt":"' + b"x" * 300_000 + b'","stream":true}'
    request = make_request("POST", PATHS["completions"], body)
    with corral.connect() as connection:
        connection.send(request[:-20])
        poll_until(lambda: corral.running() == {"a": "starting"}, what="the load")
        assert not connection.has_bytes_within(0.3)
        response, _ = read_told(connection.send(request[-20:]))
        model.finish()
        connection.read_body(response)
        assert response.complete
    assert model.engine.requests[0][1] == body

    model.file.unlink()
    corral.post("/api/models/unload")
    with corral.connect() as connection:
        connection.send(request[:-20])
        poll_until(lambda: corral.running() == {"a": "starting"}, what="the load")
        answer = connection.send(b"]" * 20).read_response()
    assert answer.status == 400 and "JSON" in answer.error["message"]


def test_a_body_that_cannot_be_held_is_served_and_told_nothing(yard):
    """limits.bodyBuffered bounds what is held for this, and refuses nothing."""
    model = Loads(yard)
    corral = yard.serve(sendLoadingState=True, limits={"bodyBuffered": "100KiB"})
    body = b'{"model":"a","stream":true,"prompt":"' + b"x" * 300_000 + b'"}'
    with corral.connect() as connection:
        connection.send(make_request("POST", PATHS["completions"], body))
        poll_until(lambda: corral.running() == {"a": "starting"}, what="the load")
        model.finish()
        answer = connection.read_response()
    assert answer.complete and events(answer.body.decode())[0][1]["id"] == "fake-1"
    assert model.engine.requests[0][1] == body


@pytest.mark.parametrize("path", [*PATHS.values(), "/completion", "/infill"])
def test_comments_keep_a_connection_alive(yard, path):
    """Whatever streams gets them, and they change nothing of the answer."""
    model = Loads(yard)
    corral = yard.serve(loadingKeepAlive=0.1)
    with corral.connect() as connection:
        response, told = read_told(connection.send(ask(path)), 3)
        for name, text in events(told):
            assert name is None and re.fullmatch(r"loading a, \d+ s", text)
        model.finish()
        connection.read_body(response)
        assert connection.request("GET", "/health").status == 200
    assert response.complete
    found = [event for event in events(response.body.decode()) if event[0] is not None]
    assert found[-1] == ("", "[DONE]") and found[0][1]["id"] == "fake-1"


@APIS
def test_a_load_that_fails_behind_comments_is_told_and_cut(yard, api):
    """The status is fixed by the first comment; the error has the shape of the API."""
    model = Loads(yard)
    corral = yard.serve(loadingKeepAlive="100ms")
    with corral.connect() as connection:
        response, _ = read_told(connection.send(ask(PATHS[api])))
        model.kill(corral)
        rest = events(read_cut(connection, response))
    check_failure(api, rest, "signal 9")


def test_a_load_that_fails_before_the_first_comment_keeps_its_status(yard):
    """Comments begin after the first interval, so that what is quick stays what it is."""
    model = Loads(yard)
    corral = yard.serve(loadingKeepAlive="1h")
    with corral.connect() as connection:
        connection.send(ask(PATHS["chat"]))
        model.kill(corral)
        answer = connection.read_response()
    assert answer.status == 502 and "signal 9" in answer.error["message"]


def test_events_go_before_comments(yard):
    """Who is told how it stands needs no comments besides."""
    model = Loads(yard)
    corral = yard.serve(sendLoadingState=True, loadingKeepAlive=0.1)
    with corral.connect() as connection:
        response, told = read_told(connection.send(ask(PATHS["chat"])), 2)
        assert all(name is not None for name, _ in events(told))
        model.finish()
        connection.read_body(response)
    assert response.complete


def test_shutting_down_is_told_to_who_waits(yard):
    """SIGTERM refuses who waits: in a stream that has begun, as an event."""
    model = Loads(yard)
    corral = yard.serve(sendLoadingState=True)
    with corral.connect() as connection:
        response, _ = read_told(connection.send(ask(PATHS["chat"])))
        pid = model.pid()
        corral.signal(15)
        rest = events(read_cut(connection, response))
    assert check_failure("chat", rest, "")["code"] == "service_unavailable"
    assert corral.wait() == 0
    assert not is_alive(pid)
