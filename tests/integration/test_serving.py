"""Every route of Corral's first issue answers as documented, and what it relays is not touched."""

import hashlib
import json
import time
from email.utils import formatdate, parsedate_to_datetime
from urllib.parse import quote

import pytest
from corral_harness import poll_until
from corral_http import Connection, chunked, make_request
from corral_processes import cmdline

INFERENCE = [
    "/v1/chat/completions",
    "/v1/completions",
    "/v1/embeddings",
    "/v1/rerank",
    "/completion",
    "/infill",
]


@pytest.fixture
def one(yard):
    """One model `a` (aliases alias-a, org/alias), and Corral in front of it."""
    yard.engine("a", {"aliases": ["alias-a", "org/alias"]})
    yard.corral = yard.serve()
    return yard


@pytest.mark.parametrize("path", INFERENCE)
def test_each_inference_route_reaches_the_model_at_the_same_path(one, path):
    """A request on an inference route is answered by the model that its body names."""
    answer = one.corral.post(path, {"prompt": "x", "model": "a"})
    assert answer.status == 200, answer
    assert answer.json()["model"] == "a"
    assert answer.json()["usage"]["prompt_tokens"] == 7
    ((head, body),) = one.engines["a"].requests
    assert head.startswith(f"POST {path} HTTP/1.1\r\n".encode())
    assert json.loads(body) == {"prompt": "x", "model": "a"}


def test_health_answers_without_any_model(one):
    """/health tells that Corral is alive and starts nothing."""
    answer = one.corral.get("/health")
    assert (answer.status, answer.body.strip()) == (200, b"OK")
    assert one.engines["a"].starts == []


@pytest.mark.parametrize("method,target,status", [
    ("GET", "/health", 200), ("HEAD", "/health", 200), ("GET", "/v1/models", 200),
    ("OPTIONS", "/v1/models", 204), ("GET", "//health", 307), ("GET", "/nowhere", 404),
    ("POST", "/health", 405), ("GET", "/upstream/a/x", 200),
])
def test_every_answer_says_when_it_was_made(one, method, target, status):
    """Guards: RFC 9110 6.6.1, for answers of our own and for those that a model gave no date."""
    before = int(time.time())
    answer = one.corral.request(method, target)
    assert answer.status == status
    (date,) = answer.all("Date")
    assert before <= parsedate_to_datetime(date).timestamp() <= time.time()
    assert formatdate(parsedate_to_datetime(date).timestamp(), usegmt=True) == date


def test_running_is_empty_before_the_first_request_and_shows_the_model_after(one):
    """/running lists what runs and does not start anything itself."""
    assert one.corral.get("/running").json() == {"running": []}
    one.corral.chat("a")
    (entry,) = one.corral.get("/running").json()["running"]
    assert (entry["model"], entry["state"]) == ("a", "ready")


@pytest.mark.parametrize(
    "body",
    [
        '{"model":"a","messages":[]}',
        '{"messages":[],"model":"a"}',
        '{ "messages" : [ {"model":"nested, not mine"} ] ,\n "model"\t:\r\n "a" }',
        '{"mod\\u0065l":"a"}',
        '{"model":"\\u0061"}',
        '{"messages":[{"content":"\\"model\\":\\"b\\" \\\\"}],"model":"a","n":1.0e0}',
        '\n\t {"x":[[[[{"model":1}]]]],"model":"a"} \n',
    ],
)
def test_the_model_is_found_wherever_its_key_stands_and_the_bytes_stay(one, body):
    """The body reaches the model byte for byte: spelling, order and spaces included."""
    answer = one.corral.post("/v1/chat/completions", body)
    assert answer.status == 200, answer
    assert one.engines["a"].requests[0][1] == body.encode()


@pytest.mark.parametrize("name", ["alias-a", "org/alias"])
def test_an_alias_reaches_its_model_and_stays_in_the_body(one, name):
    """An alias works like the name; without useModelName nothing in the body changes."""
    answer = one.corral.chat(name)
    assert (answer.status, answer.json()["model"]) == (200, "a")
    assert json.loads(one.engines["a"].requests[0][1])["model"] == name


def test_use_model_name_replaces_only_the_name(yard):
    """useModelName splices the name into the body and leaves every other byte."""
    engine = yard.engine("a", {"useModelName": 'the "real" one'})
    corral = yard.serve()
    sent = b'{ "x":1.50 , "model" : "a","y":"\\u00e9" }'
    answer = corral.post("/v1/completions", sent)
    assert answer.status == 200, answer
    received = engine.requests[0][1]
    assert json.loads(received) == {"x": 1.5, "model": 'the "real" one', "y": "é"}
    before, after = sent.split(b'"a"')
    assert received.startswith(before) and received.endswith(after)


def test_an_unknown_model_is_404_model_not_found(one):
    """OpenAI clients recognise a wrong model by status, type, param and code."""
    answer = one.corral.chat("nobody")
    assert answer.status == 404
    assert answer.field("Content-Type").startswith("application/json")
    error = answer.error
    assert error["code"] == "model_not_found"
    assert error["type"] == "invalid_request_error"
    assert error["param"] == "model"
    assert "nobody" in error["message"]


@pytest.mark.parametrize("body", [{}, {"messages": []}, {"x": {"model": "a"}}, ""])
def test_no_model_in_the_request_is_404(one, body):
    """A request that names no model is refused and starts none."""
    answer = one.corral.post("/v1/chat/completions", body)
    assert answer.status == 404, answer
    assert answer.error["type"] == "invalid_request_error"
    assert one.engines["a"].starts == []


def test_json_that_is_not_called_json_is_told_how_to_call_it(one):
    """`curl -d` without a header sends a form: no model is found in it, and the message helps."""
    kind = [("Content-Type", "text/plain")]
    answer = one.corral.post("/v1/chat/completions", '{"model":"a"}', fields=kind)
    assert answer.status == 404, answer
    assert "Content-Type: application/json" in answer.error["message"]


@pytest.mark.parametrize(
    "body",
    [
        "xx",
        "{",
        '{"model":"a"',
        '{"model":"a",}',
        '{"messages":[}, "model":"a"}',
        '{"model":"a"} trailing',
        '{model:"a"}',
        "\x00\x01",
    ],
)
def test_malformed_json_is_400_and_never_reaches_a_model(one, body):
    """What is not one JSON document is the client's mistake and is told so."""
    answer = one.corral.post("/v1/chat/completions", body)
    assert answer.status == 400, answer
    assert answer.error["type"] == "invalid_request_error"
    assert one.engines["a"].recorded == b""


@pytest.mark.parametrize("body", [[], {"model": 123}, {"model": None}, {"model": ["a"]}])
def test_a_model_that_is_not_a_text_is_refused(one, body):
    """Only a text names a model; anything else is a 4xx and starts nothing."""
    answer = one.corral.post("/v1/chat/completions", body)
    assert answer.status in (400, 404), answer
    assert answer.error["type"] == "invalid_request_error"
    assert one.engines["a"].starts == []


@pytest.mark.parametrize(
    "path", ["/nope", "/v1/nope", "/v1/models/", "/v1/chat/completions/", "/%00", "/x%0d%0ay"]
)
def test_an_unknown_path_is_a_json_404(one, path):
    """Errors have one shape, unknown paths included."""
    answer = one.corral.get(path)
    assert answer.status in (400, 404), answer
    if answer.status == 404:
        assert answer.error["code"] == "not_found"
    assert answer.error["type"] == "invalid_request_error"


def test_errors_are_text_or_html_when_accept_asks_for_it(one):
    """A browser gets a page, a terminal a line, a program JSON; markup is escaped."""
    html = one.corral.get("/<b>nope", fields=[("Accept", "text/html,*/*;q=0.8")])
    assert html.status in (400, 404)
    if html.status == 404:
        assert html.field("Content-Type").startswith("text/html")
        assert b"<b>" not in html.body and b"<" in html.body
    html = one.corral.get("/nope", fields=[("Accept", "text/html")])
    assert html.status == 404 and html.field("Content-Type").startswith("text/html")
    text = one.corral.get("/nope", fields=[("Accept", "text/plain")])
    assert text.status == 404 and text.field("Content-Type").startswith("text/plain")
    assert b"<" not in text.body and b"{" not in text.body
    for accept in ("application/json", "*/*"):
        assert one.corral.get("/nope", fields=[("Accept", accept)]).error["code"] == "not_found"


@pytest.mark.parametrize(
    "method,path", [("GET", "/v1/chat/completions"), ("POST", "/health"), ("DELETE", "/v1/models")]
)
def test_a_wrong_method_is_405_with_allow(one, method, path):
    """The path exists, the method does not: 405 and the list of what is allowed."""
    answer = one.corral.request(method, path)
    assert answer.status == 405, answer
    assert answer.field("Allow")
    assert answer.error["type"] == "invalid_request_error"


def test_models_lists_every_model_sorted_in_openais_shape(yard):
    """/v1/models is what OpenAI clients read, with the state beside it."""
    yard.engine("b")
    yard.engine("a", {"name": "Model A", "description": "the first"})
    yard.engine("hidden", {"unlisted": True})
    corral = yard.serve()
    listing = corral.get("/v1/models").json()
    assert listing["object"] == "list"
    assert [entry["id"] for entry in listing["data"]] == ["a", "b"]
    for entry in listing["data"]:
        assert entry["object"] == "model"
        assert isinstance(entry["created"], int)
        assert entry["owned_by"]
        assert entry["status"]["value"] == "unloaded"
    assert listing["data"][0]["name"] == "Model A"
    assert listing["data"][0]["description"] == "the first"
    assert corral.chat("hidden").status == 200
    corral.chat("b")
    states = {e["id"]: e["status"]["value"] for e in corral.get("/v1/models").json()["data"]}
    assert states == {"a": "unloaded", "b": "loaded"}


def test_upstream_passes_any_method_path_and_query_through(yard):
    """/upstream/{model}/… reaches the model's own pages, escapes kept as they were sent."""
    yard.engine("a")
    yard.engine("org/model", {"aliases": ["org/alias"]})
    corral = yard.serve()
    echo = corral.get("/upstream/a/foo%2Fbar?x=1&y=%20").json()
    assert (echo["method"], echo["target"]) == ("GET", "/foo%2Fbar?x=1&y=%20")
    echo = corral.request("PUT", "/upstream/a/deep/er", b"body \xff\x00").json()
    assert (echo["method"], echo["target"]) == ("PUT", "/deep/er")
    assert echo["body"].encode("latin-1") == b"body \xff\x00"
    assert corral.get("/upstream/a/").json()["target"] == "/"
    assert corral.get("/upstream/org/model/q").json()["target"] == "/q"
    assert corral.get("/upstream/org/alias/q").json()["target"] == "/q"
    missing = corral.get("/upstream/nobody/q")
    assert (missing.status, missing.error["code"]) == (404, "model_not_found")


@pytest.mark.parametrize("method,status", [("GET", 301), ("POST", 308)])
def test_upstream_without_a_path_is_redirected_to_its_root(one, method, status):
    """Relative links of the model's page need the slash at the end."""
    answer = one.corral.request(method, "/upstream/a?x=1")
    assert answer.status == status, answer
    assert answer.field("Location") == "/upstream/a/?x=1"


def test_a_chunked_request_body_arrives_whole(one):
    """A client that does not know its length is served like any other."""
    body = b'{"prompt":"' + b"p" * 3000 + b'","model":"a"}'
    pieces = [body[i : i + 700] for i in range(0, len(body), 700)]
    answer = one.corral.post(
        "/v1/completions", chunked(*pieces), fields=[("Transfer-Encoding", "chunked")]
    )
    assert answer.status == 200, answer
    ((head, received),) = one.engines["a"].requests
    assert received == body
    assert (b"content-length" in head.lower()) != (b"transfer-encoding" in head.lower())


@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_twenty_megabytes_before_the_model_arrive_unchanged(one, framing):
    """openai-python sends `messages` first: the model may come after a large image."""
    image = hashlib.sha256(b"seed").hexdigest() * (20 * 1024 * 1024 // 64)
    body = ('{"messages":[{"content":"data:' + image + '"}],"model":"a"}').encode()
    if framing == "length":
        answer = one.corral.post("/v1/chat/completions", body, deadline=60)
    else:
        step = 1 << 16
        pieces = [body[i : i + step] for i in range(0, len(body), step)]
        answer = one.corral.post(
            "/v1/chat/completions",
            chunked(*pieces),
            fields=[("Transfer-Encoding", "chunked")],
            deadline=60,
        )
    assert answer.status == 200, answer
    received = one.engines["a"].requests[0][1]
    assert len(received) == len(body)
    assert hashlib.sha256(received).digest() == hashlib.sha256(body).digest()


def test_an_upload_streams_through_once_the_model_is_known(one):
    """What follows the model's name is passed on while the rest is still being sent."""
    one.corral.chat("a")
    engine = one.engines["a"]
    seen = len(engine.recorded)
    first, rest = b'{"model":"a","prompt":"' + b"u" * 200_000, b"v" * 200_000 + b'"}'
    with one.corral.connect() as connection:
        fields = [("Content-Length", str(len(first) + len(rest)))]
        connection.send(make_request("POST", "/v1/completions", first, fields))
        poll_until(lambda: len(engine.recorded) - seen > 190_000, what="the first half upstream")
        connection.send(rest)
        answer = connection.read_response()
    assert answer.status == 200
    assert engine.requests[-1][1] == first + rest


def test_each_streamed_token_leaves_before_the_next_one_exists(yard):
    """SSE is not held back: the client has a token before the model may say the next."""
    engine = yard.engine("a", gate=True, tokens=4)
    corral = yard.serve()
    with corral.connect() as connection:
        connection.send(
            make_request("POST", "/v1/chat/completions", {"model": "a", "stream": True})
        )
        for number in range(4):
            engine.open_gate()
            if number == 0:
                response = connection.read_head()
                assert response.status == 200
                assert response.field("Content-Type").startswith("text/event-stream")
                assert response.field("Transfer-Encoding") == "chunked"
            text = b""
            while not text.endswith(b"\n\n"):
                text += connection.read_chunk()
            assert f"token{number} ".encode() in text
        connection.read_body(response)
    assert response.complete
    assert response.body.endswith(b"data: [DONE]\n\n")
    assert b'"usage"' in response.body


def test_a_stream_relays_exactly_what_the_model_said(yard):
    """Nothing is added to or taken from a stream; the end is marked as the model marked it."""
    engine = yard.engine("a", tokens=300)
    corral = yard.serve()
    streamed = corral.chat("a", stream=True)
    with Connection(port_of(engine)) as connection:
        direct = connection.request("POST", "/v1/chat/completions", {"stream": True, "model": "a"})
    assert streamed.complete and direct.complete
    assert streamed.body == direct.body
    assert streamed.body.count(b"data: ") == 302


def port_of(engine):
    """The port on which the engine's last start listens."""
    words = cmdline(engine.starts[-1])
    return int(words[words.index("--port") + 1])


def test_head_answers_like_get_without_a_body(one):
    """HEAD is GET without the body, on Corral's own routes and through /upstream."""
    with one.corral.connect() as connection:
        for path in ("/health", "/v1/models"):
            got = connection.request("GET", path)
            head = connection.request("HEAD", path)
            assert (head.status, head.body) == (200, b"")
            assert head.field("Content-Type") == got.field("Content-Type")
        head = connection.request("HEAD", "/upstream/a/page")
        assert (head.status, head.body) == (200, b"")
        assert connection.request("GET", "/health").status == 200
    assert one.engines["a"].requests[0][0].startswith(b"HEAD /page ")


def test_expect_100_continue_is_answered_before_the_body_is_sent(one):
    """curl waits for this line before it sends a large body."""
    body = b'{"model":"a"}'
    with one.corral.connect() as connection:
        fields = [("Expect", "100-continue"), ("Content-Length", str(len(body)))]
        connection.send(make_request("POST", "/v1/completions", None, fields))
        assert connection.read_head().status == 100
        connection.send(body)
        answer = connection.read_response()
    assert answer.status == 200
    assert one.engines["a"].requests[0][1] == body


def test_pipelined_requests_are_answered_in_order(one):
    """Two requests in one packet give two answers, in the order of the requests."""
    with one.corral.connect() as connection:
        connection.send(
            make_request("POST", "/v1/completions", {"model": "a"})
            + make_request("GET", "/health")
            + make_request("POST", "/v1/embeddings", {"model": "nobody"})
            + make_request("GET", "/upstream/a/last")
        )
        assert connection.read_response().json()["object"] == "text_completion"
        assert connection.read_response().body.strip() == b"OK"
        assert connection.read_response().status == 404
        assert connection.read_response().json()["target"] == "/last"


def test_one_connection_serves_many_requests(one):
    """Keep-alive: a connection lives on after answers of every kind."""
    with one.corral.connect() as connection:
        for _ in range(10):
            assert connection.request("POST", "/v1/completions", {"model": "a"}).status == 200
            assert connection.request("GET", "/nope").status == 404
            stream = connection.request("POST", "/v1/completions", {"model": "a", "stream": True})
            assert stream.complete and stream.body.endswith(b"[DONE]\n\n")


def test_connection_close_and_http_1_0_end_the_connection(one):
    """A client that does not want the connection kept gets its end after the answer."""
    with one.corral.connect() as connection:
        answer = connection.request("GET", "/health", fields=[("Connection", "close")])
        assert (answer.status, answer.field("Connection")) == (200, "close")
        assert connection.read_until_closed() == b""
    with one.corral.connect() as connection:
        connection.send(b"GET /health HTTP/1.0\r\n\r\n")
        assert connection.read_response().status == 200
        assert connection.read_until_closed() == b""


def test_a_stream_to_an_http_1_0_client_is_not_chunked(one):
    """RFC 9112 §6.1: HTTP/1.0 does not know chunks; the end of the connection ends the body."""
    body = b'{"model":"a","stream":true}'
    with one.corral.connect() as connection:
        head = "POST /v1/chat/completions HTTP/1.0\r\nContent-Type: application/json\r\n"
        connection.send(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        answer = connection.read_response()
    assert answer.status == 200
    assert answer.field("Transfer-Encoding") is None
    assert answer.body.startswith(b"data: ") and answer.body.endswith(b"[DONE]\n\n")


def test_a_client_that_leaves_a_stream_ends_the_generation(yard):
    """Closing the upstream connection is how llama-server stops generating."""
    engine = yard.engine("a", gate=True, tokens=1000)
    corral = yard.serve()
    with corral.connect() as connection:
        connection.send(make_request("POST", "/v1/completions", {"model": "a", "stream": True}))
        engine.open_gate()
        connection.read_head()
    poll_until(lambda: engine.count("client-gone") == 1, what="the engine to see the client go")
    assert engine.count("answered") == 0


def test_a_client_that_leaves_before_the_first_byte_ends_the_generation(yard):
    """The client is watched while the model thinks, not only while it talks."""
    engine = yard.engine("a", gate=True)
    corral = yard.serve()
    with corral.connect() as connection:
        connection.send(make_request("POST", "/v1/completions", {"model": "a"}))
        poll_until(lambda: engine.count("request") == 1, what="the request upstream")
        connection.reset()
    poll_until(lambda: engine.count("client-gone") == 1, what="the engine to see the client go")
    engine.open_gate(2)
    assert corral.post("/v1/completions", {"model": "a"}).status == 200


def test_end_to_end_fields_pass_and_hop_by_hop_fields_do_not(yard):
    """RFC 9110 §7.6.1: fields that belong to one connection, and those that Connection names, end
    at the proxy; all others pass unchanged."""
    yard.engine("a", echo=True)
    corral = yard.serve()
    sent = [
        ("Authorization", "Bearer sk-client"),
        ("X-Custom", "Ünïcode bytes".encode().decode("latin-1")),
        ("X-Conversation-Id", "c1"),
        ("Connection", "keep-alive, X-Hop"),
        ("X-Hop", "gone"),
        ("Keep-Alive", "timeout=5"),
        ("Proxy-Connection", "keep-alive"),
        ("Proxy-Authorization", "Basic eDp5"),
        ("TE", "gzip"),
        ("Trailer", "X-End"),
    ]
    echo = corral.post("/v1/completions", {"model": "a"}, fields=sent).json()
    received = {name.lower(): value for name, value in echo["headers"]}
    assert received["authorization"] == "Bearer sk-client"
    assert received["x-custom"] == sent[1][1]
    assert received["x-conversation-id"] == "c1"
    assert received["content-type"] == "application/json"
    assert "127.0.0.1" in received["x-forwarded-for"]
    for name in ("x-hop", "keep-alive", "proxy-connection", "proxy-authorization", "trailer"):
        assert name not in received, received
    assert "gzip" not in received.get("te", "")
    assert len(echo["headers"]) == len(received), "a field reached the model twice"


def test_the_models_status_and_body_pass_unchanged(yard):
    """An error of the model is the model's answer, not ours to rewrite."""
    yard.engine("a", status=429)
    corral = yard.serve()
    answer = corral.post("/v1/completions", {"model": "a"})
    assert answer.status == 429
    assert answer.json() == {"error": {"message": "scripted failure", "type": "server_error"}}


def test_hop_by_hop_fields_of_the_answer_end_at_the_proxy(yard):
    """The model's connection is not the client's: its fields are not relayed, others are."""
    raw = yard.folder / "raw"
    raw.write_bytes(
        b"HTTP/1.1 200 Fine\r\nConnection: close, X-Hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\n"
        b"Set-Cookie: a=1\r\nSet-Cookie: b=2\r\nX-End: yes\r\nContent-Length: 2\r\n\r\nok"
    )
    yard.engine("a", raw_response=raw)
    answer = yard.serve().post("/v1/completions", {"model": "a"})
    assert (answer.status, answer.body) == (200, b"ok")
    assert answer.all("Set-Cookie") == ["a=1", "b=2"]
    assert answer.field("X-End") == "yes"
    assert answer.field("X-Hop") is None and answer.field("Keep-Alive") is None


def test_a_hundred_clients_at_once_each_get_their_own_answer(yard):
    """Answers are never mixed up between concurrent requests."""
    yard.engine("a", {"concurrencyLimit": 200}, echo=True, interval="20ms")
    corral = yard.serve()
    connections = [corral.connect() for _ in range(100)]
    try:
        for number, connection in enumerate(connections):
            body = {"model": "a", "prompt": f"request {number}"}
            connection.send(make_request("POST", "/v1/completions", body))
        for number, connection in enumerate(connections):
            answer = connection.read_response()
            assert answer.status == 200, answer
            assert json.loads(answer.json()["body"])["prompt"] == f"request {number}"
    finally:
        for connection in connections:
            connection.close()


ODD_NAMES = ["org/model:tag", "a b", "ünï-模型", "100%", 'quo"te', "a?b", "a#b", "a..b", "no", "123"]


@pytest.mark.parametrize("name", ODD_NAMES)
def test_odd_model_names_work_literally_everywhere(yard, name):
    """A name is what it says in bodies, lists, paths and states, whatever characters it has."""
    yard.engine("plain")
    config = yard.config()
    config["models"][name] = config["models"].pop("plain")
    corral = yard.serve(config)
    assert [entry["id"] for entry in corral.get("/v1/models").json()["data"]] == [name]
    answer = corral.post("/v1/completions", {"model": name})
    assert answer.status == 200, answer
    assert list(corral.running()) == [name]
    escaped = quote(name, safe="/")
    answer = corral.get(f"/upstream/{escaped}/page")
    assert answer.status == 200 and answer.json()["target"] == "/page"
    assert corral.post(f"/api/models/unload/{escaped}").status == 200
    assert corral.running() == {}
