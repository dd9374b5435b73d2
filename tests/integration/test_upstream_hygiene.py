"""What a model's server sends is held to the same rules as what a client sends: each case names the
rule or the advisory that it comes from. The test plays the server (corral_upstream.py).

What is not clean is 502 while the client has seen nothing, and a visibly cut answer afterwards;
nothing of it is passed on, and its connection is never used again. What is odd but clean reaches
the client in one canonical form, byte for byte.
"""

import pytest
from corral_http import chunked, make_request
from corral_upstream import leave_no_connection, serve_here_and_there

OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n"
CL = b"Content-Length: "
BOTH = pytest.mark.parametrize("name", ["here", "there"], ids=["model", "peer"])


def answer(fields=b"", body=b"", start=OK):
    return start + fields + b"\r\n" + body


def lengthy(body=b"ok", start=OK, fields=b""):
    return answer(fields + CL + b"%d\r\n" % len(body), body, start)


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    yield from serve_here_and_there(tmp_path_factory.mktemp("hygiene"))


@pytest.fixture
def front(shared):
    yield from leave_no_connection(shared)


def request(name="here", method="POST", version=b"HTTP/1.1", fields=()):
    if method == "POST":
        sent = make_request("POST", "/v1/chat/completions", {"model": name}, fields)
    else:
        sent = make_request(method, f"/upstream/{name}/page", None, fields)
    return sent.replace(b"HTTP/1.1", version, 1)


def ask(front, sent=None):
    """A client that has asked, and the server's end of it, the request read."""
    client = front.corral.connect().send(request() if sent is None else sent)
    server = front.upstream.accept()
    server.read_request()
    return client, server


def assert_works(front, client, kept=None, sent=None):
    """The client's connection serves another request: over `kept`, or over a new one."""
    client.send(request() if sent is None else sent)
    server = kept or front.upstream.accept()
    server.read_request()
    server.answer(b"next")
    assert client.read_response().body == b"next"


START = {
    "9112-4 garbage": b"\x01\x02 this is no HTTP\r\n\r\n",
    "9112-4 text without an end": b"hello",
    "9112-4 a line of text": b"220 localhost ESMTP\r\n",
    "9112-4 SSH": b"SSH-2.0-OpenSSH_9.2\r\n",
    "9112-4 TLS alert": b"\x15\x03\x01\x00\x02\x02\x50",
    "9112-4 HTML only (HTTP/0.9)": b"<html><body>evil</body></html>",
    "9112-4 a request": b"GET /evil HTTP/1.1\r\nHost: x\r\n\r\n",
    "9113-3.4 HTTP/2 settings": b"\0\0\x12\x04\0\0\0\0\0" + bytes(18),
    "9112-2.2 an empty line before": b"\r\n" + lengthy(),
    "9112-4 a space before": b" " + lengthy(),
    "9112-2.3 HTTP/2.0": lengthy(start=b"HTTP/2.0 200 OK\r\n"),
    "9112-2.3 HTTP/2": lengthy(start=b"HTTP/2 200 OK\r\n"),
    "9112-2.3 HTTP/0.9": lengthy(start=b"HTTP/0.9 200 OK\r\n"),
    "9112-2.3 HTTP/1.10": lengthy(start=b"HTTP/1.10 200 OK\r\n"),
    "9112-2.3 HTTP/1": lengthy(start=b"HTTP/1 200 OK\r\n"),
    "9112-2.3 http/1.1": lengthy(start=b"http/1.1 200 OK\r\n"),
    "9112-2.3 ICY (shoutcast)": lengthy(start=b"ICY 200 OK\r\n"),
    "9112-2.3 RTSP/1.0": lengthy(start=b"RTSP/1.0 200 OK\r\n"),
    **{"9112-4 status " + what: lengthy(start=b"HTTP/1.1" + line + b"\r\n") for what, line in {
        "99": b" 99 x", "099": b" 099 x", "000": b" 000 x", "600": b" 600 x", "999": b" 999 x",
        "1000": b" 1000 x", "2000": b" 2000 OK", "20": b" 20 OK", "of letters": b" abc x",
        "missing": b"", "missing, a space": b" ", "with a sign": b" +20 x", "-200": b" -200 x",
        "0x0": b" 0x0 x", "20x": b" 20x x", "200OK": b" 200OK", "200.1": b" 200.1 x",
        "behind two spaces": b"  200 OK", "behind a tab": b"\t200 OK"}.items()},
    "9112-4 NUL in the reason": lengthy(start=b"HTTP/1.1 200 O\0K\r\n"),
    "9112-4 bare CR in the reason": lengthy(start=b"HTTP/1.1 200 O\rX-Evil: 1\r\n"),
    "9112-4 escape in the reason": lengthy(start=b"HTTP/1.1 200 \x1b[2J\r\n"),
    "9112-4 reason of 64 kB": lengthy(start=b"HTTP/1.1 200 " + b"O" * 65_536 + b"\r\n"),
}

FIELDS = {
    "9112-2.2 line ends of LF only": lengthy().replace(b"\r\n", b"\n"),
    "9112-2.2 status line ends with LF": lengthy().replace(b"\r\n", b"\n", 1),
    "9112-2.2 a line ends with LF": lengthy(fields=b"X: y\n"),
    "9112-2.2 head ends with LF": OK + CL + b"2\r\n\nok",
    "9112-2.2 bare CR in a value (splitting)": lengthy(fields=b"X: y\rX-Evil: 1\r\n"),
    "9112-2.2 CR CR LF": lengthy(fields=b"X: y\r\r\n"),
    "9112-5.1 space before the colon": lengthy(fields=b"X : y\r\n"),
    "9112-5.1 space before the colon of CL": answer(b"Content-Length : 2\r\n", b"ok"),
    "9112-5.1 space before the colon of TE": answer(
        b"Transfer-Encoding : chunked\r\n", chunked(b"k")),
    "9112-5.1 space before the first field": lengthy(start=OK + b" X: y\r\n"),
    "9112-5.2 folded": lengthy(fields=b"X: y\r\n z\r\n"),
    "9112-5.2 folded with a tab": lengthy(fields=b"X: y\r\n\tz\r\n"),
    "9112-5.2 folded TE": answer(b"Transfer-Encoding:\r\n chunked\r\n", chunked(b"k")),
    "9112-5 no colon": lengthy(fields=b"NoColon\r\n"),
    "9112-5 no name": lengthy(fields=b": y\r\n"),
    "9110-5.1 space in a name": lengthy(fields=b"X y: z\r\n"),
    "9110-5.1 non-ASCII in a name": lengthy(fields=b"X\xe9: z\r\n"),
    "9110-5.1 NUL in a name": lengthy(fields=b"X\0: z\r\n"),
    "9110-5.1 look-alike of TE": lengthy(fields=b"Transfer_Encoding: chunked\r\n"),
    "9110-5.1 look-alike of CL": lengthy(fields=b"ContentLength: 500\r\n"),
    "9110-5.5 NUL in a value": lengthy(fields=b"X: a\0b\r\n"),
    "9110-5.5 vertical tab in a value": lengthy(fields=b"X: a\x0bb\r\n"),
    "9110-5.5 escape in a value": lengthy(fields=b"X: \x1b]0;x\x07\r\n"),
    "9110-5.5 DEL in a value": lengthy(fields=b"X: \x7f\r\n"),
    "a field of 256 kB": lengthy(fields=b"X: " + b"h" * (256 << 10) + b"\r\n"),
    "a field of 17 kB": lengthy(fields=b"X: " + b"h" * 17_000 + b"\r\n"),
    "a head of 40 kB": lengthy(fields=(b"X: " + b"h" * 10_000 + b"\r\n") * 4),
    "10 000 fields": lengthy(fields=b"X: y\r\n" * 10_000),
    "101 fields": lengthy(fields=b"X: y\r\n" * 100),
}

FRAMING = {
    "9112-6.3 CL and TE": answer(CL + b"2\r\n" + CHUNKED, chunked(b"ok")),
    "9112-6.3 TE and CL": answer(CHUNKED + CL + b"2\r\n", chunked(b"ok")),
    "9112-6.3 CL and identity": lengthy(fields=b"Transfer-Encoding: identity\r\n"),
    "9110-8.6 two lengths": answer(CL + b"2\r\n" + CL + b"3\r\n", b"ok!"),
    "9110-8.6 the same length twice": answer((CL + b"2\r\n") * 2, b"ok"),
    **{"9110-8.6 length " + what: answer(CL + value + b"\r\n", b"ok") for what, value in {
        "in a list": b"2, 3", "in a list of the same": b"2, 2", "-1": b"-1", "-0": b"-0",
        "+2": b"+2", "0x2": b"0x2", "2.0": b"2.0", "empty": b"", "of letters": b"two",
        "with a space": b"2 2", "2;": b"2;", "in quotes": b'"2"', "2^63-1": b"9223372036854775807",
        "2^63": b"9223372036854775808", "2^64 and 2": b"18446744073709551618"}.items()},
    **{"9112-6.1 TE " + what: answer(b"Transfer-Encoding: " + value + b"\r\n", chunked(b"ok"))
       for what, value in {
        "gzip": b"gzip", "gzip, chunked": b"gzip, chunked", "chunked, gzip": b"chunked, gzip",
        "identity": b"identity", "chunked twice": b"chunked, chunked", "xchunked": b"xchunked",
        "chunked with a parameter": b"chunked;a=b", "in quotes": b'"chunked"', "empty": b"",
        "comma behind": b"chunked,", "behind NBSP": b"\xa0chunked"}.items()},
    "9112-6.1 TE in two lines": answer(CHUNKED * 2, chunked(b"ok")),
    "9112-6.1 TE in HTTP/1.0": answer(CHUNKED, chunked(b"ok"), b"HTTP/1.0 200 OK\r\n"),
    "9112-6.3 204 with a length": lengthy(start=b"HTTP/1.1 204 No Content\r\n"),
    "9112-6.3 204 with chunks": answer(CHUNKED, chunked(b"x"), b"HTTP/1.1 204 No Content\r\n"),
    "9112-6.3 100 with a length": answer(CL + b"5\r\n", b"", b"HTTP/1.1 100 Continue\r\n")
    + lengthy(),
    "9112-6.3 103 with chunks": answer(CHUNKED, b"", b"HTTP/1.1 103 Hints\r\n") + lengthy(),
    "9110-15.2.2 101 that nobody asked for": answer(
        b"Connection: Upgrade\r\nUpgrade: websocket\r\n", b"", b"HTTP/1.1 101 Switching\r\n"),
    "9110-15.2.2 101 without Upgrade": answer(start=b"HTTP/1.1 101 Switching\r\n"),
    "9110-15.2.2 101 to h2c": answer(
        b"Connection: Upgrade\r\nUpgrade: h2c\r\n", b"", b"HTTP/1.1 101 Switching\r\n"),
    "9110-15.2 a flood of 1xx": answer(start=b"HTTP/1.1 100 Continue\r\n") * 1_000,
    "9110-15.2 a bad answer behind a 1xx": (
        answer(start=b"HTTP/1.1 100 Continue\r\n") + answer(CL + b"-1\r\n")),
    "9112-6.3 bytes behind a 1xx that are no answer": (
        answer(start=b"HTTP/1.1 100 Continue\r\n") + b"evil"),
}

MALFORMED = {f"{group}: {name}": raw for group, cases in {
    "start": START, "field": FIELDS, "framing": FRAMING}.items() for name, raw in cases.items()}


@pytest.mark.parametrize("raw", MALFORMED.values(), ids=MALFORMED.keys())
def test_an_answer_that_is_not_clean_is_502_and_its_connection_ends(front, raw):
    """Guards: nothing of it is passed on; at once, though the server goes on; and what the client
    asks next goes over another connection."""
    client, server = ask(front)
    with client:
        server.try_send(raw)
        refusal = client.read_response()
        assert refusal.status == 502, refusal
        assert refusal.error["type"] == "server_error"
        assert refusal.field("X-Evil") is None and b"evil" not in refusal.body
        server.wait_until_gone()
        assert_works(front, client)


@BOTH
@pytest.mark.parametrize("raw", [answer(CL + b"2\r\n" + CHUNKED, chunked(b"ok")), b"hello"],
                         ids=["CL and TE", "no HTTP"])
def test_models_and_peers_are_held_to_the_same(front, raw, name):
    """Guards: the same rules for other servers as for our own models."""
    client, server = ask(front, request(name))
    with client:
        server.send(raw)
        assert client.read_response().status == 502
        server.wait_until_gone()
        assert_works(front, client, sent=request(name))


BAD_CHUNKS = {
    **{"9112-7.1 size " + what: size + b"\r\nevil\r\n0\r\n\r\n" for what, size in {
        "zz": b"zz", "-4": b"-4", "+4": b"+4", "0x4": b"0x4", "empty": b"", "4 and a space": b"4 ",
        "a space and 4": b" 4", "2^64 and 4": b"10000000000000004", "2^64-1": b"f" * 16,
        "2^63": b"8" + b"0" * 15, "NUL": b"4\0", "comma": b"4,"}.items()},
    "9112-7.1 LF behind the size": b"4\nevil\r\n0\r\n\r\n",
    "9112-7.1 LF behind the data": b"0\n\r\n",
    "9112-7.1.1 LF in an extension": b"4;a\nb\r\nevil\r\n0\r\n\r\n",
    "9112-7.1.1 20 kB of extension": b"4;" + b"e" * 20_000 + b"\r\nevil\r\n0\r\n\r\n",
    "9112-7.1.2 trailer without a colon": b"0\r\nX\r\n\r\n",
    "9112-7.1.2 folded trailer": b"0\r\nX: y\r\n z\r\n\r\n",
    "9112-7.1.2 trailers of 20 kB": b"0\r\n" + b"X: y\r\n" * 4_000 + b"\r\n",
    "9112-7.1 LF at the end": b"0\r\n\n",
}


@pytest.mark.parametrize("raw", BAD_CHUNKS.values(), ids=BAD_CHUNKS.keys())
def test_a_chunk_that_cannot_be_read_cuts_the_answer(front, raw):
    """Guards: what came before it is passed on, no end is made up, both connections end."""
    client, server = ask(front)
    with client:
        server.send(answer(CHUNKED) + b"3\r\nabc\r\n")
        head = client.read_head()
        assert client.read_chunk() == b"abc"
        server.try_send(raw)
        assert client.read_until_closed() == b""
        assert head.status == 200
        server.wait_until_gone()


CUT = {
    "9112-8 a length that is not reached": lengthy(b"abc" + b"x" * 97)[:-97],
    "9112-8 in a chunk's size": answer(CHUNKED, b"3\r\nabc\r\n4"),
    "9112-8 in a chunk": answer(CHUNKED, b"3\r\nabc\r\n4\r\nde"),
    "9112-8 behind a chunk": answer(CHUNKED, b"3\r\nabc\r\n"),
    "9112-8 in the CRLF of a chunk": answer(CHUNKED, b"3\r\nabc\r"),
    "9112-8 in the last chunk": answer(CHUNKED, b"3\r\nabc\r\n0\r\n"),
    "9112-8 in a trailer": answer(CHUNKED, b"3\r\nabc\r\n0\r\nX: y\r\n"),
}


@pytest.mark.parametrize("how", ["FIN", "RST"])
@pytest.mark.parametrize("version", [b"HTTP/1.1", b"HTTP/1.0"])
@pytest.mark.parametrize("raw", CUT.values(), ids=CUT.keys())
def test_an_answer_that_is_cut_off_never_looks_whole(front, raw, version, how):
    """Guards: a client of either version can tell; one of HTTP/1.0 only by a reset."""
    client, server = ask(front, request(version=version))
    with client:
        server.send(raw)
        head = client.read_head()
        while len(client.buffer) < 3:
            client._receive()
        server.reset() if how == "RST" else server.close()
        if head.all("Content-Length") or head.all("Transfer-Encoding"):
            client.read_body(head)
            assert not head.complete
        else:
            with pytest.raises(ConnectionResetError):
                while client.socket.recv(100):
                    pass


EXPECTED = {  # what the server says: what the client gets, and whether the connection is kept
    "9112-4 no reason": (lengthy(start=b"HTTP/1.1 200 \r\n"), lengthy(), True),
    "9112-4 no reason and no space": (lengthy(start=b"HTTP/1.1 200\r\n"), lengthy(), True),
    "9112-4 a reason of its own": (lengthy(start=b"HTTP/1.1 200 d\xe9j\xe0  vu\r\n"),
                                   lengthy(start=b"HTTP/1.1 200 d\xe9j\xe0  vu\r\n"), True),
    "9110-15 a status that nobody knows": (lengthy(start=b"HTTP/1.1 299 Odd\r\n"),
                                           lengthy(start=b"HTTP/1.1 299 Odd\r\n"), True),
    "9110-2.5 HTTP/1.2": (lengthy(start=b"HTTP/1.2 200 OK\r\n"), lengthy(), True),
    "9112-9.3 HTTP/1.0": (lengthy(start=b"HTTP/1.0 200 OK\r\n"), lengthy(), False),
    "9112-9.3 HTTP/1.0 with keep-alive": (
        lengthy(start=b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n"), lengthy(), True),
    "9112-9.6 close": (lengthy(fields=b"Connection: close\r\n"), lengthy(), False),
    "9112-9.6 CLOSE in a list": (lengthy(fields=b"Connection: x, CLOSE\r\n"), lengthy(), False),
    "9110-8.6 zeros before the length": (answer(CL + b"0002\r\n", b"ok"), lengthy(), True),
    "9110-8.6 spaces around the length": (answer(CL + b" \t2 \t\r\n", b"ok"), lengthy(), True),
    "9110-8.6 length 0": (lengthy(b""), lengthy(b""), True),
    "9112-5 spaces around a value": (lengthy(fields=b"X:\t a  b \r\n"),
                                     lengthy(fields=b"X: a  b\r\n"), True),
    "9110-5.5 an empty value": (lengthy(fields=b"X:\r\n"), lengthy(fields=b"X: \r\n"), True),
    "9110-5.3 fields keep order, case and repetition": (
        lengthy(fields=b"set-cookie: a\r\nX: 1\r\nSet-Cookie: b\r\n"),
        lengthy(fields=b"set-cookie: a\r\nX: 1\r\nSet-Cookie: b\r\n"), True),
    "9110-7.6.1 hop-by-hop fields": (
        lengthy(fields=b"Keep-Alive: timeout=5\r\nProxy-Connection: x\r\nTrailer: X\r\n"
                b"Proxy-Authenticate: x\r\nTE: x\r\nUpgrade: h2c\r\nX: 1\r\n"),
        lengthy(fields=b"X: 1\r\n"), True),
    "9110-7.6.1 what Connection names": (
        lengthy(fields=b"Connection: X-Hop, Content-Length\r\nX-Hop: 1\r\nX: 1\r\n"),
        lengthy(fields=b"X: 1\r\n"), True),
    "9112-7 CHUNKED": (answer(b"TRANSFER-ENCODING: Chunked\r\n", chunked(b"ok")),
                       answer(CHUNKED, chunked(b"ok")), True),
    "9112-7.1 sizes with zeros and in capitals": (
        answer(CHUNKED, b"00A\r\n0123456789\r\n0B\r\n0123456789x\r\n000\r\n\r\n"),
        answer(CHUNKED, chunked(b"0123456789", b"0123456789x")), True),
    "9112-7.1.1 extensions": (
        answer(CHUNKED, b'2;a="b";c\r\nok\r\n0;d=e\r\n\r\n'),
        answer(CHUNKED, chunked(b"ok")), True),
    "9112-7.1.2 trailers": (
        answer(CHUNKED + b"Trailer: X\r\n", b"2\r\nok\r\n0\r\nX: 1\r\nContent-Length: 9\r\n\r\n"),
        answer(CHUNKED, chunked(b"ok")), True),
    "9112-7.1 no chunk": (answer(CHUNKED, chunked()), answer(CHUNKED, chunked()), True),
    "9110-15.3.5 204": (answer(start=b"HTTP/1.1 204 No Content\r\n"),
                        answer(start=b"HTTP/1.1 204 No Content\r\n"), True),
    "9110-15.3.5 204 with length 0": (answer(CL + b"0\r\n", b"", b"HTTP/1.1 204 No Content\r\n"),
                                      answer(start=b"HTTP/1.1 204 No Content\r\n"), True),
    "9110-15.4.5 304 with a length": (
        answer(CL + b"5\r\n", b"", b"HTTP/1.1 304 Not Modified\r\n"),
        answer(CL + b"5\r\n", b"", b"HTTP/1.1 304 Not Modified\r\n"), True),
    "9110-15.4.5 304 with chunks": (
        answer(CHUNKED, b"", b"HTTP/1.1 304 Not Modified\r\n"),
        answer(b"", b"", b"HTTP/1.1 304 Not Modified\r\n"), True),
    "9110-15.4.5 304 with a body": (
        lengthy(b"evil", b"HTTP/1.1 304 Not Modified\r\n"),
        answer(CL + b"4\r\n", b"", b"HTTP/1.1 304 Not Modified\r\n"), False),
    "9110-15.3.5 204 with a body": (
        answer(b"", b"evil", b"HTTP/1.1 204 No Content\r\n"),
        answer(start=b"HTTP/1.1 204 No Content\r\n"), False),
    "9112-9.2 bytes behind the answer": (lengthy() + b"evil", lengthy(), False),
    "9112-9.2 an answer behind the answer (response queue poisoning)": (
        lengthy() + lengthy(b"evil"), lengthy(), False),
    "9112-9.2 CRLF behind the answer": (lengthy() + b"\r\n", lengthy(), False),
    "9112-9.2 an answer behind the last chunk": (
        answer(CHUNKED, chunked(b"ok")) + lengthy(b"evil"), answer(CHUNKED, chunked(b"ok")), False),
    "9110-15.2.1 100 that nobody asked for": (
        answer(start=b"HTTP/1.1 100 Continue\r\n") * 2 + lengthy(), lengthy(), True),
    "9110-15.2 102 is passed on": (
        answer(start=b"HTTP/1.1 102 Processing\r\n") + lengthy(),
        answer(start=b"HTTP/1.1 102 Processing\r\n") + lengthy(), True),
    "8297-2 103 is passed on, clean": (
        answer(b"Link:  </x> \r\nConnection: X\r\nX: 1\r\n", b"", b"HTTP/1.1 103\r\n") + lengthy(),
        answer(b"Link: </x>\r\n", b"", b"HTTP/1.1 103 \r\n") + lengthy(), True),
}
OWN_FIELDS = (b"x-request-id:", b"date:", b"via:")


def without_own_fields(raw):
    return b"\r\n".join(
        line for line in raw.split(b"\r\n") if not line.lower().startswith(OWN_FIELDS))


@pytest.mark.parametrize("raw,expected,kept", EXPECTED.values(), ids=EXPECTED.keys())
def test_odd_but_clean_answers_arrive_in_one_form(front, raw, expected, kept):
    """Guards: the client gets what the answer means, in heads that Corral wrote; and the server's
    connection is used again only when nothing was left on it."""
    client, server = ask(front)
    with client:
        server.send(raw)
        got = b""
        while len(without_own_fields(got)) < len(expected):
            got += client.read_some_now()
        assert without_own_fields(got) == expected
        if kept:
            assert_works(front, client, server)
        else:
            server.wait_until_gone()
            assert_works(front, client)
        assert client.buffer == b""


@pytest.mark.parametrize("raw,expected", [
    (lengthy(b"x" * 9)[:-9], lengthy(b"x" * 9)[:-9]),
    (answer(CHUNKED), answer()), (answer(), answer()),
], ids=["length", "chunked", "until close"])
def test_the_answer_to_head_ends_with_its_head(front, raw, expected):
    """Guards: RFC 9110 §9.3.2, and that the length which a GET would have is told."""
    client, server = ask(front, request(method="HEAD"))
    with client:
        server.send(raw)
        got = client._until(b"\r\n\r\n") + b"\r\n\r\n"
        assert without_own_fields(got) == expected
        assert_works(front, client, server)


def test_a_body_behind_the_answer_to_head_reaches_nobody(front):
    """Guards: RFC 9112 §6.3 item 1; a server that sends one loses its connection."""
    client, server = ask(front, request(method="HEAD"))
    with client:
        server.send(lengthy(b"HTTP/1.1 200 OK\r\n\r\n"))
        assert client.read_response("HEAD").status == 200
        server.wait_until_gone()
        assert_works(front, client)


@pytest.mark.parametrize("version", [b"HTTP/1.0", b"HTTP/1.1"])
def test_a_body_that_ends_with_its_connection_is_whole(front, version):
    """Guards: RFC 9112 §6.3 item 8: it is passed on with an end that this client understands."""
    client, server = ask(front, request(version=version))
    with client:
        server.send(answer(b"", b"abc"))
        head = client.read_head()
        server.close()
        client.read_body(head)
        assert (head.body, head.complete) == (b"abc", True)
        assert (head.field("Transfer-Encoding") == "chunked") == (version == b"HTTP/1.1")


def test_clients_of_http_1_0_get_no_interim_answer(front):
    """Guards: RFC 9110 §15.2, they would take it for the answer."""
    client, server = ask(front, request(version=b"HTTP/1.0"))
    with client:
        server.send(answer(start=b"HTTP/1.1 103 Hints\r\n") + lengthy())
        assert client.read_head().status == 200


@BOTH
@pytest.mark.parametrize("poison", [lengthy(b"evil"), b"evil", b"\r\n"],
                         ids=["an answer", "bytes", "an empty line"])
def test_what_a_server_says_unasked_is_the_answer_to_nothing(front, poison, name):
    """Guards: response queue poisoning: an idle connection on which anything comes is dropped."""
    client, server = ask(front, request(name))
    with client:
        server.answer(b"first")
        assert client.read_response().body == b"first"
        server.send(poison)
        server.wait_until_gone()
        assert_works(front, client, sent=request(name))


def test_an_answer_before_the_end_of_the_request_ends_both(front):
    """Guards: RFC 9112 §9.6: the client gets it, and what it still sends is no request."""
    body = b'{"model":"here","x":"' + b"x" * 200_000
    with front.corral.connect() as client:
        client.send(make_request("POST", "/v1/completions", body, [("Content-Length", "400000")]))
        server = front.upstream.accept()
        server.read_request_head()
        server.answer(b"early", status=b"400 No")
        early = client.read_response()
        assert (early.status, early.body) == (400, b"early")
        client.try_send(b"x" * 100_000)
        client.try_send(request())
        assert client.read_until_closed() == b""
    assert not front.upstream.has_another()
