"""A body on its way to the model: what names a model in it, what is refused and where, and that no
more of it is held, or let go, than must be. The table is answered by one Corral; what needs exact
interleaving is played by the test on both sides."""

import json

import pytest
from corral_harness import Yard
from corral_http import chunked, make_request, split_requests
from corral_measure import SANITIZED
from corral_processes import resident_bytes
from corral_upstream import Upstream

URL = "/v1/completions"
JSON = ("Content-Type", "application/json")
FORM = ("Content-Type", "multipart/form-data; boundary=B")
WORDS = ("Content-Type", "application/x-www-form-urlencoded")
GROWTH_MAX = (64 if SANITIZED else 2) << 20  # of memory; a sanitizer keeps what was freed


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    yard = Yard(tmp_path_factory.mktemp("bodies"))
    yard.upstream = Upstream()
    yard.engine("a", {"aliases": ["é", 'x"y', "1.50", "a b"]})
    config = yard.config(groups={"all": {"swap": False, "members": ["a", "b", "c"]}})
    config["models"]["b"] = yard.upstream.config()
    config["models"]["c"] = yard.upstream.config(
        useModelName="real", filters={"stripParams": "top_p"}
    )
    yard.corral = yard.serve(config)
    assert yard.corral.chat("a").status == 200
    for name in ("b", "c"):
        assert yard.corral.post("/models/load", {"model": name}).status == 200
    while yard.upstream.has_another():  # Corral looked whether somebody listens
        pass
    yield yard
    assert yard.corral.get("/health").status == 200
    yard.upstream.close()
    yard.close()


@pytest.fixture
def front(shared):
    """Closes what a test left open on the model's side, so that nothing of it is used again."""
    shared.seen = len(shared.engines["a"].recorded)
    yield shared
    for connection in shared.upstream.accepted:
        connection.close()
    assert not shared.upstream.has_another(), "a connection that nobody expected"


def received(front):
    """The bodies that a got since the test began."""
    return [body for _, body in split_requests(front.engines["a"].recorded[front.seen :])]


DEEP = b"[" * 127 + b"]" * 127  # the object around it is the 128th level
NAMED = {
    "first": b'{"model":"a","x":1}',
    "last": b'{"x":{"model":"b"},"y":["model","b"],"model":"a"}',
    "escaped key": b'{"mod\\u0065l":"a"}',
    "escaped value": b'{"model":"\\u0061"}',
    "escapes of UTF-8": b'{"model":"\\u00e9"}',
    "raw UTF-8": '{"model":"é"}'.encode(),
    "an escaped quote": b'{"model":"x\\"y"}',
    "a number that is an alias": b'{"model":1.50}',
    "spaces everywhere": b' \r\n\t{ "model" \n:\t"a" , "x" : [ ] }\r\n\t ',
    "128 levels": b'{"x":' + DEEP + b',"model":"a"}',
    "model in a text": b'{"x":"\\"model\\":\\"b\\"","model":"a"}',
    "nested twice": b'{"model":"a","x":{"model":1,"model":2}}',
    "numbers of every spelling": b'{"x":[-0,0.10,1E+5,1e-400,12345678901234567890],"model":"a"}',
    "a surrogate pair": b'{"x":"\\ud83d\\ude00","model":"a"}',
    "a long key": b'{"' + b"k" * 100_000 + b'":1,"model":"a"}',
    "an escape across the key": b'{"model\\u0020":"b","model":"a"}',
}


@pytest.mark.parametrize("framing", ["length", "chunked", "bytes"])
@pytest.mark.parametrize("body", NAMED.values(), ids=NAMED.keys())
def test_the_top_levels_model_is_found_and_the_bytes_stay(front, body, framing):
    """Guards: the name is found however it is written and wherever it stands, and the model gets
    the body byte for byte whatever pieces it came in."""
    if framing == "length":
        answer = front.corral.post(URL, body)
    else:
        size = 1 if framing == "bytes" and len(body) < 1000 else 701
        pieces = [body[i : i + size] for i in range(0, len(body), size)]
        answer = front.corral.post(
            URL, chunked(*pieces), fields=[JSON, ("Transfer-Encoding", "chunked")]
        )
    assert answer.status == 200, answer
    assert received(front) == [body]


# body → the byte at which it is refused.
MALFORMED = {
    b"xx": 0,
    b"  ": 2,
    b'\xef\xbb\xbf{"model":"a"}': 0,  # RFC 8259 §8.1: no byte-order mark
    b'{"model":"a"': 12,
    b'{"model":"a",}': 13,
    b'{"model":"a"},': 13,
    b'{"model":"a"}\0': 13,
    b'{"model":"a"}{"model":"a"}': 13,
    b'{"model":"a"}\n{"model":"a"}\n': 14,
    b'{"model":"a","x":1,"model":"a"}': 25,
    b'{"model":"a","x":1,"mod\\u0065l":"b"}': 30,
    b'{"model":null,"model":"a"}': 20,
    b"{'model':'a'}": 1,
    b'{"model":"a"/**/}': 12,
    b'{"model":"a","x":NaN}': 17,
    b'{"model":"a","x":01}': 18,
    b'{"model":"a","x":1.}': 19,
    b'{"model":"a","x":+1}': 17,
    b'{"model":"a","x":.5}': 17,
    b'{"model":"a","x":1e}': 19,
    b'{"model":"a","x":tru}': 20,
    b'{"model":"a","x":"\t"}': 18,
    b'{"model":"a","x":"\xff"}': 18,
    b'{"model":"a","x":"\xc0\x80"}': 18,
    b'{"model":"a","x":"\xed\xa0\x80"}': 19,
    b'{"model":"a","x":"\\x"}': 19,
    b'{"model":"a","x":"\\ud800"}': 24,
    b'{"model":"a","x":"\\udc00"}': 23,
    b'{"model":"a","x":[1,2}': 21,
    b'{"model":"a","x"}': 16,
    b'{"model":"a" "x":1}': 13,
    b'{"model":"a","x":' + b"[" * 128 + b"]" * 128 + b"}": 144,
    b'{"x":' + b"[" * 128 + b"]" * 128 + b',"model":"a"}': 132,
}


@pytest.mark.parametrize("framing", ["length", "chunked"])
@pytest.mark.parametrize("body,at", MALFORMED.items(), ids=[str(k[:30]) for k in MALFORMED])
def test_what_is_not_one_document_is_refused_with_its_place(front, body, at, framing):
    """Guards: malformed JSON, two documents, what follows a document, a second model, and too deep
    nesting are 400 with the byte, in one piece and byte for byte; the connection goes on."""
    engine = front.engines["a"]
    answered = engine.count("answered")
    with front.corral.connect() as client:
        if framing == "length":
            answer = client.request("POST", URL, body)
        else:
            pieces = chunked(*[bytes([byte]) for byte in body])
            answer = client.request(
                "POST", URL, pieces, [JSON, ("Transfer-Encoding", "chunked")]
            )
        assert (answer.status, answer.error["type"]) == (400, "invalid_request_error")
        assert f"(at byte {at})" in answer.error["message"], answer
        assert client.request("GET", "/upstream/a/barrier").status == 200
    assert engine.count("answered") == answered + 1, "a broken request was run"
    got = engine.recorded[front.seen :]
    assert b"\r\n0\r\n" not in got
    assert framing == "chunked" or got.startswith(b"GET /barrier ")


NAMELESS = [
    b"", b"{}", b"[]", b'"model"', b"1", b"null", b'[{"model":"a"}]', b'{"Model":"a"}',
    b'{"model":""}', b'{"model":null}', b'{"model":true}', b'{"model":{"model":"a"}}',
    b'{"model":["a"]}', b'{"model ":"a"}', b'{"x":{"model":"a"}}',
]


@pytest.mark.parametrize("framing", ["length", "chunked"])
@pytest.mark.parametrize("body", NAMELESS)
def test_json_without_a_name_is_404(front, body, framing):
    """Guards: llama-swap's words; a query does not name the model of a JSON body."""
    fields = [JSON]
    if framing == "chunked":
        fields.append(("Transfer-Encoding", "chunked"))
        body = chunked(body) if body else b"0\r\n\r\n"
    answer = front.corral.post(URL + "?model=a", body, fields=fields)
    assert (answer.status, answer.error["code"]) == (404, "not_found"), answer
    assert answer.error["message"].startswith("no model id could be identified")


@pytest.mark.parametrize("body,said", [(b'{"model":123}', '"123"'), (b'{"model":-1e5}', '"-1e5"'),
                                       (b'{"model":"a\\u0000"}', '"a'), (b'{"model":"A"}', '"A"')])
def test_a_name_that_nobody_has_is_404_and_said(front, body, said):
    """Guards: numbers are names as they are written, and names are compared byte by byte."""
    answer = front.corral.post(URL, body)
    assert (answer.status, answer.error["code"]) == (404, "model_not_found")
    assert answer.error["message"].startswith("no router for requested model " + said)


def part(name, value, more=b""):
    return b'--B\r\nContent-Disposition: form-data; name="%s"%s\r\n\r\n%s\r\n' % (name, more, value)


END = b"--B--\r\n"
OTHERS = {  # what is no JSON: (type, query, body, status)
    "a form": (FORM, "", part(b"x", b"1") + part(b"model", b"a") + END, 200),
    "a form, the name in its query": (FORM, "?model=a", part(b"x", b"1") + END, 200),
    "a file called model": (FORM, "", part(b"model", b"a", b'; filename="f"') + END, 404),
    "an empty form": (FORM, "", END, 404),
    "a form with two models": (FORM, "", part(b"model", b"a") * 2 + END, 400),
    "a form without its end": (FORM, "", part(b"model", b"a"), 400),
    "a form without its boundary": (FORM, "", part(b"model", b"a").replace(b"--B", b"--C"), 400),
    "a form that tells no boundary": (("Content-Type", "multipart/form-data"), "", END, 404),
    "words": (WORDS, "", b"x=1&model=a&y=%zz", 200),
    "words that are encoded": (WORDS, "", b"mod%65l=a+b", 200),
    "words, the name in the query": (WORDS, "?model=a", b"x=1", 200),
    "words with two models": (WORDS, "", b"model=a&model=a", 400),
    "words with an empty model": (WORDS, "", b"model=", 404),
    "text": (("Content-Type", "text/plain"), "?model=a", b"hello", 200),
    "text without a query": (("Content-Type", "text/plain"), "", b'{"model":"a"}', 404),
    "bytes": (("Content-Type", "application/octet-stream"), "?model=a", b"\0\xff", 200),
    "no type": (("X-No", "type"), "?model=a", b"hello", 200),
    "an empty type": (("Content-Type", ""), "", b'{"model":"a"}', 404),
    "JSON in capitals": (("Content-Type", "Application/JSON;charset=utf-8"), "", b'{"model":"a"}',
                         200),
    "JSON by another name": (("Content-Type", "application/x-json"), "", b'{"model":"a"}', 404),
}


@pytest.mark.parametrize("kind,query,body,status", OTHERS.values(), ids=OTHERS.keys())
def test_the_type_says_where_the_name_is_looked_for(front, kind, query, body, status):
    """Guards: forms by their field, else by the query, all else by the query alone (§4.1); what is
    forwarded is what was sent."""
    lines = [f"POST {URL}{query} HTTP/1.1", "Host: x", ": ".join(kind),
             f"Content-Length: {len(body)}", "Connection: close"]
    with front.corral.connect() as client:
        client.send("\r\n".join(lines).encode() + b"\r\n\r\n" + body)
        answer = client.read_response()
    assert answer.status == status, answer
    if status == 200:
        assert received(front) == [body]
    else:
        assert answer.error["type"] == "invalid_request_error"


@pytest.mark.parametrize(
    "codings", [["gzip"], ["br"], ["identity", "gzip"], ["identity, gzip"], ["GZIP"]]
)
def test_an_encoded_body_is_415_and_misrouted_nowhere(front, codings):
    """Guards: a body that cannot be read is refused with a sentence; below /upstream nobody has to
    read it."""
    fields = [JSON, *[("Content-Encoding", coding) for coding in codings]]
    answer = front.corral.post(URL + "?model=a", b"\x1f\x8b", fields=fields)
    assert (answer.status, answer.error["type"]) == (415, "invalid_request_error")
    assert "Content-Encoding" in answer.error["message"]
    assert front.corral.post("/upstream/a/x", b"\x1f\x8b", fields=fields).status == 200
    plain = [JSON, ("Content-Encoding", "Identity")]
    assert front.corral.post(URL, b'{"model":"a"}', fields=plain).status == 200


def begin(front, sent, framing, total=None):
    """Sends a beginning of a body for b and gives the client, the model's end, and what came there
    of the body."""
    client = front.corral.connect()
    field = ("Content-Length", str(total)) if framing == "length" else ("Transfer-Encoding",
                                                                        "chunked")
    client.send(make_request("POST", URL, b"", [field]))
    client.send(sent if framing == "length" else b"%x\r\n%s\r\n" % (len(sent), sent))
    upstream = front.upstream.accept()
    fields = dict(upstream.read_request_head()[1])
    assert (fields.get("Content-Length") == str(total)) == (framing == "length")
    assert ("Transfer-Encoding" in fields) == (framing == "chunked")
    got = upstream.read_some(len(sent)) if framing == "length" else upstream.read_chunk()
    assert got == sent
    return client, upstream


FIRST = b'{"model":"b","x":"' + b"x" * 1000 + b'"'
LATE = {  # what follows FIRST: (bytes, where in them it is refused)
    "malformed": (b",}", 1),
    "a second model": (b',"model":"b"}', 7),
    "another model": (b',"model":"a"}', 7),
    "a second document": (b"}{}", 1),
    "trailing garbage": (b"} \n]", 3),
    "a text that is no UTF-8": (b',"y":"\xff"}', 6),
    "no end": (b',"y":1', 6),
}


@pytest.mark.parametrize("framing", ["length", "chunked"])
@pytest.mark.parametrize("rest,at", LATE.values(), ids=LATE.keys())
def test_a_refusal_in_mid_stream_is_400_and_no_request_for_the_model(front, rest, at, framing):
    """Guards: what turns out to be malformed when most of it has left never ends at the model: its
    connection does, and the client is told the place."""
    client, upstream = begin(front, FIRST, framing, len(FIRST + rest))
    with client:
        client.send(rest if framing == "length" else chunked(rest))
        answer = client.read_response()
        assert answer.status == 400, answer
        assert f"(at byte {len(FIRST) + at})" in answer.error["message"]
        left = upstream.wait_until_gone()
        assert len(left) < len(rest) if framing == "length" else b"0\r\n\r\n" not in left


@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_a_refusal_after_the_answer_has_begun_cuts_it(front, framing):
    """Guards: when 400 can no longer be said, the client sees a cut, not an end."""
    client, upstream = begin(front, FIRST, framing, len(FIRST) + 2)
    with client:
        upstream.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
        answer = client.read_head()
        assert client.read_chunk() == b"abc"
        client.send(b",}" if framing == "length" else chunked(b",}"))
        client.read_body(answer)
        assert not answer.complete
        assert client.read_until_closed() == b""
        upstream.wait_until_gone()


@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_each_piece_leaves_at_once_and_the_last_when_all_is_accepted(front, framing):
    """Guards: an upload is not held back, its end is: the model has every byte but the last before
    the document ends."""
    pieces = [b',"k%d":%d' % (n, n) for n in range(20)]
    client, upstream = begin(front, FIRST, framing, len(FIRST) + len(b"".join(pieces)) + 1)
    with client:
        for piece in pieces:
            client.send(piece if framing == "length" else b"%x\r\n%s\r\n" % (len(piece), piece))
            got = upstream.read_some(len(piece)) if framing == "length" else upstream.read_chunk()
            assert got == piece
        client.send(b"}" if framing == "length" else chunked(b"}"))
        if framing == "length":
            assert upstream.read_some(1) == b"}"
        else:
            assert (upstream.read_chunk(), upstream.read_chunk()) == (b"}", b"")
        upstream.answer()
        assert client.read_response().status == 200


@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_an_edited_body_leaves_with_one_framing(front, framing):
    """Guards: never both framings, and the length is the edited body's."""
    body = b'{"top_p":1,"n":1.0,"model":"c"}'
    edited = b'{"n":1.0,"model":"real"}'
    fields = [JSON]
    if framing == "chunked":
        fields, body = [JSON, ("Transfer-Encoding", "chunked")], chunked(body[:5], body[5:])
    with front.corral.connect() as client:
        client.send(make_request("POST", URL, body, fields))
        upstream = front.upstream.accept()
        _, sent, body_received = upstream.read_request()
        assert body_received == edited
        assert sent["content-length"] == str(len(edited)) and "transfer-encoding" not in sent
        upstream.answer()
        assert client.read_response().status == 200


@pytest.mark.parametrize("framing", ["length", "chunked"])
@pytest.mark.parametrize("model_first", [True, False])
def test_a_forms_rest_streams_behind_its_new_name(front, model_first, framing):
    """Guards: useModelName in a form changes the one value, whether it stands before or behind a
    large file, with one framing that fits."""
    file = part(b"file", b"\0\xff\r\n--" * 50_000, b'; filename="f"\r\nContent-Type: audio/wav')
    named = [part(b"model", b"c"), file] if model_first else [file, part(b"model", b"c")]
    body = b"".join(named) + END
    fields = [FORM]
    sent = body
    if framing == "chunked":
        pieces = [body[i : i + 9999] for i in range(0, len(body), 9999)]
        fields, sent = [FORM, ("Transfer-Encoding", "chunked")], chunked(*pieces)
    with front.corral.connect() as client:
        client.send(make_request("POST", "/v1/audio/transcriptions", sent, fields))
        upstream = front.upstream.accept()
        _, head, got = upstream.read_request()
        assert got == body.replace(part(b"model", b"c"), part(b"model", b"real"))
        assert head["content-type"] == FORM[1]
        upstream.answer()
        assert client.read_response().status == 200


def test_request_trailers_end_at_the_proxy(front):
    """Guards: a field that comes behind the body was not checked and reaches nobody."""
    body = b'd\r\n{"model":"b"}\r\n0\r\nX-T: 1\r\nContent-Length: 9\r\n\r\n'
    fields = [JSON, ("Transfer-Encoding", "chunked"), ("Trailer", "X-T"), ("TE", "trailers")]
    with front.corral.connect() as client:
        client.send(make_request("POST", URL, body, fields))
        upstream = front.upstream.accept()
        _, sent, body_received = upstream.read_request()
        assert (body_received, upstream.buffer) == (b'{"model":"b"}', b"")
        assert "trailer" not in sent and "x-t" not in sent
        upstream.answer()
        assert client.read_response().status == 200
        assert client.request("GET", "/health").status == 200


EXPECT = ("Expect", "100-continue")


def test_100_continue_is_said_when_the_body_is_wanted(front):
    """Guards: a client that waits is told to go on, and the model is not asked to say it, too."""
    body = b'{"model":"b"}'
    with front.corral.connect() as client:
        client.send(make_request("POST", URL, b"", [EXPECT, ("Content-Length", str(len(body)))]))
        assert client.read_head().status == 100
        client.send(body)
        upstream = front.upstream.accept()
        _, sent, body_received = upstream.read_request()
        assert body_received == body and "expect" not in sent
        upstream.answer()
        answer = client.read_response()
        assert (answer.status, answer.interim) == (200, [])


@pytest.mark.parametrize(
    "path,more,status",
    [
        (URL, [("Content-Encoding", "gzip")], 415),
        ("/nope", [], 404),
        ("/upstream/nobody/x", [], 404),
        ("/health", [], 405),
    ],
)
def test_100_continue_is_not_said_for_what_is_refused(front, path, more, status):
    """Guards: a client is not made to send a body that nobody reads; the connection ends, because
    it may send it all the same."""
    with front.corral.connect() as client:
        client.send(make_request("POST", path, b"", [EXPECT, ("Content-Length", "5"), *more]))
        answer = client.read_response()
        assert (answer.status, answer.interim) == (status, [])
        assert answer.field("Connection") == "close"
        assert client.read_until_closed() == b""


@pytest.mark.parametrize("method", ["GET", "HEAD", "DELETE"])
def test_a_body_where_none_is_usual_is_passed_on(front, method):
    """Guards: RFC 9110 §9.3.1 gives such a body no meaning; it is framed and forwarded all the
    same, never left over for the next request."""
    with front.corral.connect() as client:
        client.send(make_request(method, "/upstream/b/x", b"body"))
        upstream = front.upstream.accept()
        line, _, body = upstream.read_request()
        assert (line, body) == (f"{method} /x HTTP/1.1", b"body")
        upstream.answer(b"" if method == "HEAD" else b"ok")
        assert client.read_response(method).status == 200
        assert client.request("GET", "/health").status == 200


def send_until_full(client, data, limit):
    """Sends until nobody takes more for a while, or until the limit; how much it was."""
    client.socket.settimeout(0.5)
    sent = 0
    try:
        while sent < limit:
            sent += client.socket.send(data)
    except TimeoutError:
        pass
    client.socket.settimeout(client.deadline)
    return sent


@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_a_model_that_reads_slowly_slows_its_client_down(front, framing):
    """Guards: once the model is known there is no limit of size and nothing is held but what the
    sockets hold: the client is stopped, memory stays flat, and every byte arrives."""
    size, piece = 256 << 20, b"x" * 65_536
    head = b'{"model":"b","x":"'
    total = len(head) + size + 2
    before = resident_bytes(front.corral.server_pid)
    client, upstream = begin(front, head, framing, total)
    wire = piece if framing == "length" else b"%x\r\n%s\r\n" % (len(piece), piece)
    with client:
        sent = send_until_full(client, wire, 128 << 20)
        assert sent < 64 << 20, "the client was not stopped"
        assert resident_bytes(front.corral.server_pid) - before < GROWTH_MAX
        upstream.answer(b"no", b"413 Too Much", b"Connection: close\r\n")
        answer = client.read_response()
        assert (answer.status, answer.body) == (413, b"no")
        assert client.socket.recv(1) == b"", "an early answer must not be followed by a reset"
        assert resident_bytes(front.corral.server_pid) - before < GROWTH_MAX
    upstream.close()


def test_two_hundred_megabytes_pass_without_being_held(front):
    """Guards: the whole of a large upload arrives, in as much memory as a small one."""
    size, piece = 200 << 20, b"x" * (1 << 20)
    head = b'{"model":"b","x":"'
    before = resident_bytes(front.corral.server_pid)
    client, upstream = begin(front, head, "length", len(head) + size + 2)
    most = taken = 0
    with client:
        for _ in range(size // len(piece)):
            client.send(piece)
            while taken < size and upstream.has_bytes_within(0.0001):
                taken += len(upstream.buffer)
                upstream.buffer = b""
            most = max(most, resident_bytes(front.corral.server_pid))
        client.send(b'"}')
        assert upstream.read_some(size + 2 - taken).endswith(b'"}')
        upstream.answer()
        assert client.read_response().status == 200
    assert most - before < GROWTH_MAX


def test_held_bodies_give_their_bytes_back(yard):
    """Guards: bodies that were held until their end are no longer counted when they have left."""
    yard.engine("a")
    corral = yard.serve(limits={"bodyBufferedTotal": 4 << 20})
    body = json.dumps({"x": "x" * (3 << 20), "model": "a"})
    for text, status in ((body, 200), (body[:-1], 400), (body.replace('"a"', '"b"'), 404)):
        for _ in range(4):
            assert corral.post(URL, text).status == status
