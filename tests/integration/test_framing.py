"""What is not clean HTTP never reaches a model as something else than it was: each case names the
rule or the advisory that it comes from.

The oracle is the same for all: a refused request gets one answer and closes the connection; the
model saw nothing of it; whatever the model did see is framed one way only; and the request hidden
behind the case (GET /upstream/a/smuggled) is run only where it stands on its own.
"""

import pytest
from corral_harness import Yard
from corral_http import Closed, chunked, split_requests

BODY = b'{"model":"a"}'
SMUGGLED = b"GET /upstream/a/smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n"
REFUSED = {400, 405, 411, 413, 414, 417, 421, 431, 501, 505}
N = str(len(BODY)).encode()


def post(fields, body=BODY, line=b"POST /v1/completions HTTP/1.1", host=b"Host: localhost\r\n"):
    return line + b"\r\nContent-Type: application/json\r\n" + host + fields + b"\r\n" + body


def te(value, body=None, more=b"", name=b"Transfer-Encoding"):
    """A request with this Transfer-Encoding and a Content-Length that hides another request."""
    hidden = chunked(BODY) if body is None else body
    return post(more + name + b": " + value + b"\r\n", hidden)


def raw_chunks(raw, more=b""):
    return post(b"Transfer-Encoding: chunked\r\n" + more, raw)


def get(fields=b"", target=b"/upstream/a/page", version=b"HTTP/1.1", host=b"Host: localhost\r\n"):
    return b"GET " + target + b" " + version + b"\r\n" + host + fields + b"\r\n"


CL = b"Content-Length: "
HEX = b"%x" % len(BODY)
CASES = {
    # RFC 9112 §6.1, §6.3: Content-Length and Transfer-Encoding (CVE-2019-18277, CVE-2022-26377)
    "CL and TE": te(b"chunked", more=CL + b"4\r\n"),
    "TE and CL": post(b"Transfer-Encoding: chunked\r\n" + CL + N + b"\r\n", chunked(BODY)),
    "CL 0 and TE (cpp-httplib #2516)": te(b"chunked", more=CL + b"0\r\n"),
    "identity and CL (RFC 9112 7)": te(b"identity", BODY, CL + N + b"\r\n"),
    "gzip alone (RFC 9112 6.1)": te(b"gzip", b""),
    "gzip and CL": te(b"gzip", BODY, CL + N + b"\r\n"),
    "chunked twice (RFC 9112 6.1)": te(b"chunked, chunked"),
    "chunked, gzip (cpp-httplib #2516)": te(b"chunked, gzip"),
    "gzip, chunked (RFC 9112 6.1: 501)": te(b"gzip, chunked"),
    "xchunked and CL (CVE-2019-16276 class)": te(b"xchunked", BODY, CL + N + b"\r\n"),
    "quoted chunked": te(b'"chunked"', BODY, CL + N + b"\r\n"),
    "empty TE and CL": te(b"", BODY, CL + N + b"\r\n"),
    "no-break space before chunked": te(b"\xa0chunked", BODY, CL + N + b"\r\n"),
    "vertical tab before chunked": te(b"\x0bchunked", BODY, CL + N + b"\r\n"),
    "chunked with a parameter": te(b"chunked;q=1", BODY, CL + N + b"\r\n"),
    "comma after chunked": te(b"chunked,", BODY, CL + N + b"\r\n"),
    "two TE fields": te(b"chunked", more=b"Transfer-Encoding: identity\r\n"),
    "TE in HTTP/1.0 (RFC 9112 6.1)": post(
        b"Transfer-Encoding: chunked\r\nConnection: keep-alive\r\n",
        chunked(BODY),
        b"POST /v1/completions HTTP/1.0",
    ),
    "space before the TE colon (RFC 9112 5.1)": te(
        b"chunked", BODY, CL + N + b"\r\n", b"Transfer-Encoding "
    ),
    "tab before the TE colon": te(b"chunked", BODY, CL + N + b"\r\n", b"Transfer-Encoding\t"),
    "folded TE (RFC 9112 5.2)": post(
        b"Transfer-Encoding:\r\n chunked\r\n" + CL + N + b"\r\n"
    ),
    "NUL in the name TE": te(b"chunked", BODY, CL + N + b"\r\n", b"Transfer-\0Encoding"),
    "bare CR hides TE (RFC 9112 2.2)": post(
        b"X: y\rTransfer-Encoding: chunked\r\n" + CL + N + b"\r\n"
    ),
    "bare LF hides TE (RFC 9112 2.2)": post(
        b"X: y\nTransfer-Encoding: chunked\r\n" + CL + N + b"\r\n"
    ),
    # RFC 9110 §8.6: Content-Length
    "two different lengths": post(CL + N + b"\r\n" + CL + b"4\r\n"),
    "list of different lengths": post(CL + N + b", 4\r\n"),
    "length with plus": post(CL + b"+" + N + b"\r\n"),
    "negative length": post(CL + b"-1\r\n"),
    "hexadecimal length": post(CL + b"0x" + HEX + b"\r\n"),
    "length with a space inside": post(CL + b"1 3\r\n"),
    "length with a comment": post(CL + N + b";\r\n"),
    "empty length": post(CL + b"\r\n"),
    "length beyond 2^64 (wraps to the right one)": post(
        CL + str((1 << 64) + len(BODY)).encode() + b"\r\n"
    ),
    "length with a vertical tab": post(CL + N + b"\x0b\r\n"),
    "length in other digits": post(CL + "１３".encode() + b"\r\n"),
    "decimal point": post(CL + N + b".0\r\n"),
    "space before the CL colon (CVE-2019-16276)": post(b"Content-Length : " + N + b"\r\n"),
    "folded length (RFC 9112 5.2)": post(b"Content-Length:\r\n " + N + b"\r\n"),
    # RFC 9112 §2.2, §5: lines and fields
    "line ends of LF only": get().replace(b"\r\n", b"\n"),
    "bare CR in a value": get(b"X: a\rb\r\n"),
    "NUL in a value (RFC 9110 5.5)": get(b"X: a\0b\r\n"),
    "control character in a value": get(b"X: a\x01b\r\n"),
    "parenthesis in a name": get(b"X(y): z\r\n"),
    "space in a name": get(b"X y: z\r\n"),
    "no name": get(b": z\r\n"),
    "no colon": get(b"NoColon\r\n"),
    "space before the first field (RFC 9112 2.2)": get(host=b" X: y\r\nHost: localhost\r\n"),
    "folded field (RFC 9112 5.2)": get(b"X: y\r\n z\r\n"),
    "non-ASCII in a name": get(b"X\xc3\xa9: z\r\n"),
    # RFC 9112 §3.2: Host
    "no Host": get(host=b""),
    "two Hosts": get(b"Host: other\r\n"),
    "two equal Hosts": get(b"Host: localhost\r\n"),
    "Host with a comma": get(host=b"Host: localhost, other\r\n"),
    "Host with a space": get(host=b"Host: local host\r\n"),
    "Host with a path": get(host=b"Host: localhost/x\r\n"),
    "Host with user info": get(host=b"Host: me@localhost\r\n"),
    "Host with a bad port": get(host=b"Host: localhost:x\r\n"),
    # RFC 9112 §3: the request line
    "CONNECT (not served)": b"CONNECT localhost:80 HTTP/1.1\r\nHost: localhost:80\r\n\r\n",
    "target without a slash": get(target=b"upstream/a/page"),
    "target with a space": get(target=b"/upstream/a/pa ge"),
    "target with a tab": get(target=b"/upstream/a/pa\tge"),
    "target with a control character": get(target=b"/upstream/a/pa\x07ge"),
    "target with DEL": get(target=b"/upstream/a/pa\x7fge"),
    "target with a fragment (RFC 9112 3.2)": get(target=b"/upstream/a/page#x"),
    "empty target": b"GET  HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "two spaces": b"GET  /upstream/a/page HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "tabs between": b"GET\t/upstream/a/page\tHTTP/1.1\r\nHost: localhost\r\n\r\n",
    "bad method": b"G@T /upstream/a/page HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "no version (HTTP/0.9)": b"GET /upstream/a/page\r\n\r\n",
    "HTTP/2.0": get(version=b"HTTP/2.0"),
    "HTTP/1.2x": get(version=b"HTTP/1.2x"),
    "http/1.1 in lower case": get(version=b"http/1.1"),
    "space after the version": get(version=b"HTTP/1.1 "),
    "HTTP/2 preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "TLS hello": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(64) + b"\r\n\r\n",
    # Limits
    "a target of 64 kB": get(target=b"/upstream/a/" + b"x" * 65_536),
    "a field of 64 kB": get(b"X: " + b"y" * 65_536 + b"\r\n"),
    "10 000 fields": get(b"X: y\r\n" * 10_000),
}


# The head of these is clean, the body is not.
BAD_CHUNKS = {
    # RFC 9112 §7.1: chunks
    "negative chunk (cpp-httplib 0.43.4)": raw_chunks(b"-1\r\n" + BODY + b"\r\n0\r\n\r\n"),
    "chunk size with 0x": raw_chunks(b"0x" + HEX + b"\r\n" + BODY + b"\r\n0\r\n\r\n"),
    "chunk size with plus": raw_chunks(b"+" + HEX + b"\r\n" + BODY + b"\r\n0\r\n\r\n"),
    "empty chunk size": raw_chunks(b"\r\n" + BODY + b"\r\n0\r\n\r\n"),
    "chunk size beyond 2^64": raw_chunks(
        b"1000000000000000" + HEX.rjust(2, b"0") + b"\r\n" + BODY + b"\r\n0\r\n\r\n"
    ),
    "chunk size with underscore": raw_chunks(b"0_" + HEX + b"\r\n" + BODY + b"\r\n0\r\n\r\n"),
    "space before the chunk size": raw_chunks(b" " + HEX + b"\r\n" + BODY + b"\r\n0\r\n\r\n"),
    "bare LF after the chunk size (RFC 9112 7.1)": raw_chunks(
        HEX + b"\n" + BODY + b"\r\n0\r\n\r\n"
    ),
    "bare LF after the chunk data": raw_chunks(HEX + b"\r\n" + BODY + b"\n0\r\n\r\n"),
    "bare CR after the chunk size": raw_chunks(HEX + b"\r" + BODY + b"\r\n0\r\n\r\n"),
    "chunk longer than its size": raw_chunks(HEX + b"\r\n" + BODY + b"XX\r\n0\r\n\r\n"),
    "bare LF in an extension (CVE-2025-55315 class)": raw_chunks(
        HEX + b";a\nb\r\n" + BODY + b"\r\n0\r\n\r\n"
    ),
    "20 kB of extension (CVE-2024-22025 class)": raw_chunks(
        HEX + b";" + b"e" * 20_000 + b"\r\n" + BODY + b"\r\n0\r\n\r\n"
    ),
    "100 000 zeros before the size": raw_chunks(
        b"0" * 100_000 + HEX + b"\r\n" + BODY + b"\r\n0\r\n\r\n"
    ),
    "100 kB of trailers": raw_chunks(
        HEX + b"\r\n" + BODY + b"\r\n0\r\n" + b"X: y\r\n" * 17_000 + b"\r\n"
    ),
    "not a size at all": raw_chunks(b"zz\r\n" + BODY + b"\r\n0\r\n\r\n"),
}

@pytest.fixture(scope="module")
def front(tmp_path_factory):
    """One Corral for all cases: a case that harms it fails those that follow, too."""
    yard = Yard(tmp_path_factory.mktemp("framing"))
    yard.engine("a")
    corral = yard.serve()
    assert corral.get("/upstream/a/warm").status == 200
    yield corral, yard.engines["a"]
    assert corral.get("/health").status == 200
    yard.close()


def exchange(front, request, methods=()):
    """Sends a case and the smuggled request behind it; the statuses that came back, whether the
    connection was closed, and what the model received meanwhile."""
    corral, engine = front
    seen = len(engine.recorded)
    answers, closed = [], False
    with corral.connect() as connection:
        connection.try_send(request)
        connection.try_send(SMUGGLED)
        methods = list(methods)
        try:
            while len(answers) < 4:
                method = methods.pop(0) if methods else "POST"
                answers.append(connection.read_response(method))
                if answers[-1].status >= 400 and answers[-1].field("Connection") == "close":
                    break
                if b"/smuggled" in answers[-1].body:
                    break
            closed = connection.read_until_closed() == b"" if answers[-1].status >= 400 else False
        except Closed:
            closed = True
    # The model has what it has once another request has gone through.
    assert corral.get("/upstream/a/barrier").status == 200
    received = engine.recorded[seen:]
    barrier = received.rindex(b"GET /barrier ")
    return answers, closed, received[:barrier]


def assert_refused(answers, closed):
    """One answer, then the end of the connection: nothing behind the request is read."""
    assert len(answers) == 1, answers
    assert answers[0].status in REFUSED, answers
    assert answers[0].field("Connection") == "close"
    assert closed, "the connection must be closed after a framing error"


@pytest.mark.parametrize("request_bytes", CASES.values(), ids=CASES.keys())
def test_unclean_heads_are_refused_and_nothing_reaches_the_model(front, request_bytes):
    """What cannot be understood in one way only is not forwarded in any."""
    answers, closed, received = exchange(front, request_bytes)
    assert received == b"", "the model saw something of a request that must be refused"
    assert_refused(answers, closed)


@pytest.mark.parametrize("request_bytes", BAD_CHUNKS.values(), ids=BAD_CHUNKS.keys())
def test_bad_chunks_are_refused_and_never_complete_a_request(front, request_bytes):
    """The model may have seen the beginning of a body that streams; it never sees an end of it."""
    answered = front[1].count("answered")
    answers, closed, received = exchange(front, request_bytes)
    assert front[1].count("answered") == answered + 1, "a broken request was run"
    assert b"smuggled" not in received and b"\r\n0\r\n" not in received
    assert_refused(answers, closed)


# What is allowed but must not confuse anybody: (bytes, body that the model sees or None).
CLEAN = {
    "CHUNKED in capitals (RFC 9112 7: names are case-insensitive)": te(b"CHUNKED"),
    "chunk extension (RFC 9112 7.1.1)": raw_chunks(HEX + b";a=b\r\n" + BODY + b"\r\n0\r\n\r\n"),
    "upper-case chunk size": raw_chunks(HEX.upper() + b"\r\n" + BODY + b"\r\n0\r\n\r\n"),
    "zeros before the size": raw_chunks(b"000" + HEX + b"\r\n" + BODY + b"\r\n000\r\n\r\n"),
    "a trailer named Content-Length is dropped (RFC 9110 6.5.1)": raw_chunks(
        HEX + b"\r\n" + BODY + b"\r\n0\r\nContent-Length: 500\r\nX-T: 1\r\n\r\n"
    ),
    "zeros before the length": post(CL + b"000" + N + b"\r\n"),
    "Connection names Content-Length (RFC 9110 7.6.1)": post(
        b"Connection: keep-alive, Content-Length\r\n" + CL + N + b"\r\n"
    ),
    "Connection names Host": post(b"Connection: Host\r\n" + CL + N + b"\r\n"),
    "empty line before the request line (RFC 9112 2.2)": b"\r\n" + post(CL + N + b"\r\n"),
    "spaces around a length": post(b"Content-Length:  \t" + N + b" \t\r\n"),
    "one-byte chunks": post(
        b"Transfer-Encoding: chunked\r\n", chunked(*[bytes([b]) for b in BODY])
    ),
    "h2c upgrade is ignored (RFC 9110 7.8)": post(
        b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n"
        + CL + N + b"\r\n"
    ),
}


@pytest.mark.parametrize("request_bytes", CLEAN.values(), ids=CLEAN.keys())
def test_unusual_but_clean_requests_reach_the_model_once_with_one_framing(front, request_bytes):
    """The request arrives with exactly its body, and what follows is a request of its own."""
    answers, _, received = exchange(front, request_bytes)
    if answers[0].status in REFUSED:  # stricter than the RFC is allowed, half-understood is not
        assert received == b"" and len(answers) == 1
        return
    received = split_requests(received)
    assert [answer.status for answer in answers] == [200, 200], answers
    assert len(received) == 2
    (head, body), (second, _) = received
    assert body == BODY
    assert second.startswith(b"GET /smuggled ")
    for unwanted in (b"\nx-t:", b"\nupgrade:", b"\nhttp2-settings:", b"\ncontent-length: 000"):
        assert unwanted not in head.lower(), head
    assert head.lower().count(b"content-length:") + head.lower().count(b"transfer-encoding:") == 1


@pytest.mark.parametrize("target", [b"/health", b"/nope", b"/v1/models", b"/running"])
def test_the_body_of_a_request_that_is_answered_here_is_not_a_request(front, target):
    """RFC 9112 §9.3: a body that nobody wants is read or the connection ends; it is never run."""
    body = SMUGGLED * 2
    request = b"GET " + target + b" HTTP/1.1\r\nHost: localhost\r\n"
    request += CL + str(len(body)).encode() + b"\r\n\r\n" + body
    answers, _, received = exchange(front, request)
    received = split_requests(received)
    assert len(received) <= 1, "a request inside a body was run"
    assert received == [] or received[0][0].startswith(b"GET /smuggled ")
    assert len(answers) - 1 == len(received)


def test_a_body_that_is_cut_off_never_reaches_the_model_as_a_whole_one(front):
    """RFC 9112 §8: a request whose body ends too early is incomplete and must not be run."""
    corral, engine = front
    answered = engine.count("answered")
    with corral.connect() as connection:
        connection.send(post(CL + b"100\r\n", BODY[:-1]))
        connection.finish_sending()
        assert b" 200 " not in connection.read_until_closed()
    with corral.connect() as connection:
        connection.send(raw_chunks(HEX + b"\r\n" + BODY + b"\r\n"))
        connection.finish_sending()
        assert b" 200 " not in connection.read_until_closed()
    corral.get("/upstream/a/barrier")
    assert engine.count("answered") == answered + 1


@pytest.mark.parametrize(
    "target,allowed",
    [
        (b"http://localhost/upstream/a/page", {200, 400}),
        (b"http://evil.example/upstream/a/page", {200, 400, 403, 421}),
        (b"*", {400, 404}),
        (b"//upstream/a/page", {301, 307, 308, 400, 404}),
        (b"/v1/../upstream/a/page", {301, 307, 308, 400, 404}),
        (b"/upstream/a/..%2f..%2fetc", {200, 400, 404}),
        (b"/upstream/..", {400, 404}),
        (b"/upstream/a/%", {200, 400}),
    ],
)
def test_odd_targets_are_answered_and_harm_nobody(front, target, allowed):
    """Absolute form, asterisk, dot segments: one clean answer each."""
    corral, engine = front
    with corral.connect() as connection:
        connection.send(get(target=target))
        assert connection.read_response("GET").status in allowed
    assert corral.get("/health").status == 200


@pytest.mark.parametrize(
    "name",
    ["x\r\nX-Inj: 1", "<script>", "%s%n%n", "$(touch pwned)", "../../etc/passwd", "m" * 10**6],
    ids=lambda name: name[:20].encode("unicode_escape").decode(),
)
def test_hostile_model_names_stay_inside_the_json(front, name):
    """A name from a request appears in an answer only escaped, and never in a head."""
    corral, _ = front
    answer = corral.post("/v1/completions", {"model": name})
    assert answer.status in (400, 404, 413), answer
    assert answer.field("X-Inj") is None
    assert answer.field("Content-Type").startswith("application/json")
    assert len(answer.body) < 64 << 10
    answer.json()


@pytest.mark.parametrize("deep", [b'{"x":' + b"[" * 100_000, b"[" * 10**6, b'{"a":' * 50_000])
def test_deep_json_is_refused(front, deep):
    """llama-server #27434: deep nesting kills parsers; it is stopped at the door."""
    corral, engine = front
    seen = len(engine.recorded)
    assert corral.post("/v1/completions", deep).status in (400, 413)
    assert engine.recorded[seen:] == b""


def test_a_model_named_twice_is_never_two_things(yard):
    """llama-server takes the last `model`; Corral must not route by another one."""
    yard.engine("a"), yard.engine("b")
    corral = yard.serve()
    for first, last in (("a", "b"), ("b", "a")):
        answer = corral.post("/v1/completions", f'{{"model":"{first}","model":"{last}"}}')
        assert answer.status == 400 or answer.json()["model"] == last, answer
