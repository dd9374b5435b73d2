"""Models of another server are served as if they were ours, and nothing that is ours reaches it."""

import json
import shlex
import socket
import subprocess

import pytest
from corral_harness import Engine, die_with_parent, poll_until
from corral_http import chunked, make_request


class Peer:
    """Another server: a fake engine that Corral did not start."""

    def __init__(self, yard, **options):
        self.engine = Engine(yard.folder, "peer", **options)
        self.port = yard.ports.start + 39  # Corral gives out the first ones
        words = shlex.split(self.engine.cmd.replace("${PORT}", str(self.port)))
        self.process = subprocess.Popen(words, cwd=yard.folder, preexec_fn=die_with_parent)
        poll_until(self.listens, what="the peer to listen")

    def listens(self):
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def config(self, base="", **more):
        url = f"http://127.0.0.1:{self.port}{base}"
        return {"p1": {"proxy": url, "models": ["pm", "x/y"], **more}}

    def close(self):
        self.process.kill()
        self.process.wait(10)
        self.engine.close()

    def last(self):
        """Request line, fields by lower-case name, and body of what it got last."""
        head, body = self.engine.requests[-1]
        first, *lines = head.decode("latin-1").split("\r\n")
        fields = dict(line.split(": ", 1) for line in lines)
        assert len(fields) == len(lines), lines
        return first, {name.lower(): value for name, value in fields.items()}, body


@pytest.fixture
def peer(yard):
    made = Peer(yard)
    yield made
    made.close()


def serve(yard, peers, **top):
    yard.engine("a")
    return yard.serve(peers=peers, **top)


def test_a_peer_gets_its_own_name_key_host_and_path(yard, peer):
    """Guards: what llama-swap sends to a peer, byte for byte where it matters."""
    corral = serve(yard, peer.config("/base/", apiKey="sk-peer"))
    body = b'{"messages":[{"x":1.0,"y":"\\u00e9"}] , "model" : "p1/pm" ,"z":null}'
    sent = [("Authorization", "Bearer sk-client"), ("X-Api-Key", "sk-client"), ("X-Mine", "kept"),
            ("X-Forwarded-For", "10.0.0.1")]
    answer = corral.post("/v1/chat/completions?q=%20", body, fields=sent)
    assert answer.status == 200, answer
    first, fields, received = peer.last()
    assert first == "POST /base/v1/chat/completions?q=%20 HTTP/1.1"
    assert received == body.replace(b'"p1/pm"', b'"pm"')
    assert fields["host"] == f"127.0.0.1:{peer.port}"
    assert fields["authorization"] == "Bearer sk-peer"
    assert fields["x-api-key"] == "sk-peer"
    assert fields["x-mine"] == "kept"
    assert int(fields["content-length"]) == len(received)
    assert "x-forwarded-for" not in fields
    assert "sk-client" not in str(fields)


def test_a_peer_without_a_key_gets_the_clients_own(yard, peer):
    """Guards: without keys of ours, the client authenticates at the peer itself."""
    corral = serve(yard, peer.config())
    assert corral.post("/v1/completions", {"model": "pm"}, fields=[
        ("Authorization", "Bearer sk-client"), ("x-api-key", "k")]).status == 200
    _, fields, body = peer.last()
    assert (fields["authorization"], fields["x-api-key"]) == ("Bearer sk-client", "k")
    assert json.loads(body) == {"model": "pm"}


@pytest.mark.parametrize("own_key", [None, "sk-peer"])
def test_keys_of_ours_never_reach_a_peer(yard, peer, own_key):
    """Guards: who may use Corral is nobody else's business."""
    keys = {"apiKey": own_key} if own_key else {}
    corral = serve(yard, peer.config(**keys), apiKeys=["sk-corral"])
    for field in (("Authorization", "Bearer sk-corral"), ("x-api-key", "sk-corral"),
                  ("Authorization", "Basic eDpzay1jb3JyYWw=")):
        answer = corral.post("/v1/completions", {"model": "pm"}, fields=[field])
        assert answer.status == 200, answer
        _, fields, _ = peer.last()
        assert fields.get("authorization") == (own_key and f"Bearer {own_key}")
        assert fields.get("x-api-key") == own_key
    assert corral.post("/v1/completions", {"model": "pm"}).status == 401


@pytest.mark.parametrize("name,sent", [("pm", "pm"), ("p1/pm", "pm"), ("x/y", "x/y"),
                                       ("p1/x/y", "x/y"), ("sel", "x/y")])
def test_each_name_of_a_peers_model_reaches_it(yard, peer, name, sent):
    """Guards: full names, bare ones and selectors lead to the peer's own name for the model."""
    corral = serve(yard, peer.config(),
                   selectors={"sel": {"strategy": "pin", "targets": ["p1/x/y"]}})
    assert corral.chat(name).status == 200
    assert json.loads(peer.last()[2])["model"] == sent
    assert corral.get(f"/props?model={name}&x=1").status == 200
    assert peer.last()[0] == f"GET /props?model={sent}&x=1 HTTP/1.1"


def test_a_peers_filters_change_the_body(yard, peer):
    """Guards: a peer's filters are applied as a model's are, by the name that was asked for."""
    filters = {"stripParams": "top_p", "setParams": {"x": 1},
               "setParamsByID": {"p1/pm": {"effort": "high"}}}
    corral = serve(yard, peer.config(filters=filters))
    assert corral.post("/v1/completions", '{"model":"p1/pm","top_p":1,"z":1.0}').status == 200
    assert peer.last()[2] == b'{"model":"pm","z":1.0,"x":1,"effort":"high"}'
    assert corral.post("/v1/completions", '{"model":"pm"}').status == 200
    assert peer.last()[2] == b'{"model":"pm","x":1}'


def test_upstream_paths_lead_to_a_peer_and_load_nothing(yard, peer):
    """Guards: /upstream takes peers' names, and ignorePaths do not concern them."""
    corral = serve(yard, peer.config())
    assert corral.get("/upstream/p1/x/y/page%2Fx.js?q").json()["target"] == "/page%2Fx.js?q"
    assert corral.get("/upstream/pm/").json()["target"] == "/"
    assert corral.get("/upstream/p1/pm").field("Location") == "/upstream/p1/pm/"
    assert yard.engines["a"].starts == []


def test_a_stream_and_an_upload_pass_a_peer_whole(yard, peer):
    """Guards: relaying to a peer is the same relay as to a model."""
    corral = serve(yard, peer.config())
    streamed = corral.chat("pm", stream=True)
    assert streamed.complete and streamed.body.endswith(b"data: [DONE]\n\n")
    body = b'{"model":"p1/pm","prompt":"' + b"p" * 300_000 + b'"}'
    pieces = [body[i : i + 70_000] for i in range(0, len(body), 70_000)]
    answer = corral.post("/v1/completions", chunked(*pieces),
                         fields=[("Transfer-Encoding", "chunked")])
    assert answer.status == 200
    assert peer.last()[2] == body.replace(b"p1/pm", b"pm")


def test_a_peer_that_is_not_there_is_told_as_such(yard):
    """Guards: the peer's phrase, a 502, and that our models go on."""
    unused = yard.ports.start + 38
    corral = serve(yard, {"p1": {"proxy": f"http://127.0.0.1:{unused}", "models": ["pm"]},
                          "p2": {"proxy": "https://127.0.0.1:1", "models": ["tls"]}})
    with corral.connect() as connection:
        answer = connection.request("POST", "/v1/completions", {"model": "pm"})
        assert answer.status == 502, answer
        assert answer.error["message"].startswith("peer proxy error: p1: cannot connect")
        assert answer.error["code"] == "bad_gateway"
        tls = connection.request("POST", "/v1/completions", {"model": "tls"})
        assert tls.status == 502
        assert tls.error["message"].startswith("peer proxy error: p2: cannot connect")
        assert connection.request("POST", "/v1/completions", {"model": "a"}).status == 200


def test_a_peer_that_never_answers_is_given_up(yard):
    """Guards: timeouts.responseHeader, which alone ends such a wait."""
    peer = Peer(yard, accept_and_hang=True)
    try:
        corral = serve(yard, peer.config(timeouts={"responseHeader": 1}))
        answer = corral.chat("pm")
        assert answer.status == 504, answer
        assert answer.error["message"].startswith("peer proxy error: p1: ")
        body = b'{"model":"pm","prompt":"' + b"p" * 300_000 + b'"}'
        assert corral.post("/v1/completions", body).status == 504
    finally:
        peer.close()


def test_an_answer_may_take_longer_than_its_head_may(yard):
    """Guards: responseHeader bounds the head, not the tokens behind it."""
    peer = Peer(yard, gate=True, tokens=2)
    try:
        corral = serve(yard, peer.config(timeouts={"responseHeader": 1}))
        with corral.connect() as connection:
            connection.send(make_request("POST", "/v1/completions",
                                         {"model": "pm", "stream": True}))
            assert connection.read_head().status == 200
            assert not connection.has_bytes_within(1.5)  # nothing came, an end neither
            peer.engine.open_gate(2)
            text = b""
            while b"[DONE]" not in text:
                text += connection.read_chunk()
    finally:
        peer.close()


def test_a_client_that_leaves_ends_the_request_at_the_peer(yard):
    """Guards: nobody pays for tokens that nobody reads."""
    peer = Peer(yard, gate=True)
    try:
        corral = serve(yard, peer.config())
        with corral.connect() as connection:
            connection.send(make_request("POST", "/v1/completions", {"model": "pm"}))
            poll_until(lambda: peer.engine.count("request") == 1, what="the request at the peer")
            connection.reset()
        poll_until(lambda: peer.engine.count("client-gone") == 1, what="the peer to see it go")
    finally:
        peer.close()
