"""What is not clean HTTP never reaches a model as something else than it was, part two: bodies, and
the order of requests. See test_framing.py and corral_framing.py."""

import pytest
from corral_framing import (
    BODY,
    CL,
    CRLF,
    HEX,
    N,
    SMUGGLED,
    SMUGGLED_UP,
    Front,
    assert_refused,
    chunked_up,
    get,
    get_up,
    length_up,
    post,
    raw_chunks,
    with_length,
    without_own_fields,
)
from corral_harness import poll_until
from corral_http import chunked

LAST = b"0\r\n\r\n"
CHUNK = HEX + CRLF + BODY + CRLF
SLASH = b"\\"


def sized(line, data=BODY, end=CRLF):
    """A body whose first chunk has this size line."""
    return raw_chunks(line + CRLF + data + end + LAST)


def with_extension(extension):
    return sized(HEX + extension)


def with_trailer(trailer):
    return raw_chunks(CHUNK + b"0\r\n" + trailer + CRLF)


# Chunk sizes, RFC 9112 §7.1.
SIZES = {what: sized(line) for what, line in {
    "9112-7.1 negative (cpp-httplib 0.43.4)": b"-" + HEX, "9112-7.1 minus zero": b"-0",
    "9112-7.1 with 0x (CVE-2020-26281 class)": b"0x" + HEX, "9112-7.1 with plus": b"+" + HEX,
    "9112-7.1 empty": b"", "9112-7.1 with an underscore (Python's int)": b"0_" + HEX,
    "9112-7.1 in quotes": b'"' + HEX + b'"', "9112-7.1 a letter that is no digit": b"zz",
    "9112-7.1 space before": b" " + HEX, "9112-7.1 tab before": b"\t" + HEX,
    "9112-7.1 space behind": HEX + b" ", "9112-7.1 tab behind": HEX + b"\t",
    "9112-7.1 space inside": b"0 " + HEX, "9112-7.1 vertical tab behind": HEX + b"\x0b",
    "9112-7.1 comma behind": HEX + b",", "9112-7.1 NUL behind": HEX + b"\0",
    "9112-7.1 no-break space behind": HEX + b"\xa0", "9112-7.1 a point": HEX + b".0",
    "9112-7.1 other digits": "ｄ".encode(), "9112-7.1 a second size": HEX + b" " + HEX,
    "9112-7.1 2^64 and more (is right in 64 bits)": b"1" + HEX.rjust(16, b"0"),
    "9112-7.1 2^64-1 (is -1)": b"f" * 16, "9112-7.1 2^63": b"8" + b"0" * 15,
    "9112-7.1 17 digits": HEX.rjust(17, b"0"), "9112-7.1 100 000 zeros": b"0" * 100_000 + HEX,
}.items()}

# Where a line and a chunk end, RFC 9112 §2.2, §7.1, and the catalogue of w4ke.info "funky chunks"
# (2025): what one server takes for a line's end, and another does not.
ENDS = {
    "9112-7.1 LF behind the size (TERM.EXT)": raw_chunks(HEX + b"\n" + BODY + CRLF + LAST),
    "9112-7.1 CR behind the size": raw_chunks(HEX + b"\r" + BODY + CRLF + LAST),
    "9112-7.1 CR CR LF behind the size": sized(HEX + b"\r"),
    "9112-7.1 LF CR behind the size": raw_chunks(HEX + b"\n\r" + BODY + CRLF + LAST),
    "9112-7.1 CR and a letter behind the size": raw_chunks(HEX + b"\rX" + BODY + CRLF + LAST),
    "9112-7.1 LF behind the data": sized(HEX, end=b"\n"),
    "9112-7.1 CR behind the data": sized(HEX, end=b"\r"),
    "9112-7.1 nothing behind the data": sized(HEX, end=b""),
    "9112-7.1 two letters behind the data (ONE.TWO)": sized(HEX, end=b"XX"),
    "9112-7.1 CR and a letter behind the data": sized(HEX, end=b"\rX"),
    "9112-7.1 LF LF behind the data": sized(HEX, end=b"\n\n"),
    "9112-7.1 CRLF CRLF behind the data": sized(HEX, end=CRLF * 2),
    "9112-7.1 space and CRLF behind the data": sized(HEX, end=b" \r\n"),
    "9112-7.1 chunk longer than its size": sized(HEX, BODY + b"XX"),
    "9112-7.1 chunk shorter than its size": sized(HEX, BODY[:-1]),
    "9112-7.1 LF behind the last chunk": raw_chunks(CHUNK + b"0\n\r\n"),
    "9112-7.1 LF at the end": raw_chunks(CHUNK + b"0\r\n\n"),
    "9112-7.1 LF LF at the end (CVE-2024-6827 class)": raw_chunks(CHUNK + b"0\n\n"),
    "9112-7.1 CR at the end": raw_chunks(CHUNK + b"0\r\n\rX"),
    "9112-7.1 last chunk with text behind (0.X)": raw_chunks(CHUNK + b"0X\r\n\r\n"),
    "9112-7.1 last chunk of a space": raw_chunks(CHUNK + b" \r\n\r\n"),
    "9112-7.1.1 LF in an extension (CVE-2025-55315 Kestrel)": with_extension(b";a\nb"),
    "9112-7.1.1 CR in an extension (EXT.TERM)": with_extension(b";a\rb"),
    "9112-7.1.1 LF ends an extension (EXT.TERM)": raw_chunks(
        HEX + b";a\n" + BODY + CRLF + LAST),
    "9112-7.1.1 LF in a quoted value": with_extension(b';a="\n"'),
    "9112-7.1.1 CRLF in a quoted value": with_extension(b';a="\r\n"'),
    "9112-7.1.1 escaped CR in a quoted value": with_extension(b';a="' + SLASH + b'\r"'),
    "9112-7.1.1 NUL in an extension": with_extension(b";a\0"),
    "9112-7.1.1 a quote that never ends": with_extension(b';a="b'),
    "9112-7.1.1 text behind a quoted value": with_extension(b';a="b"c'),
    "9112-7.1.1 nothing behind the semicolon": with_extension(b";"),
    "9112-7.1.1 no name": with_extension(b";=b"),
    "9112-7.1.1 no value": with_extension(b";a="),
    "9112-7.1.1 two values": with_extension(b";a=b=c"),
    "9112-7.1.1 space behind": with_extension(b";a=b "),
    "9112-7.1.1 no semicolon": with_extension(b" a=b"),
    "9112-7.1.1 colon": with_extension(b":a"),
    "9112-7.1.1 20 kB (CVE-2024-22019 node)": with_extension(b";" + b"e" * 20_000),
    "9112-7.1.1 20 kB in quotes": with_extension(b';a="' + b"e" * 20_000 + b'"'),
    "9112-7.1.1 mostly extensions (CVE-2023-39326 Go)": raw_chunks(
        b"".join(b"1;" + b"e" * 2_000 + CRLF + BODY[n : n + 1] + CRLF for n in range(len(BODY)))
        + LAST),
}

# Trailers, RFC 9112 §7.1.2.
TRAILERS = {
    "9112-7.1.2 no colon": with_trailer(b"X\r\n"),
    "9112-7.1.2 no name": with_trailer(b": y\r\n"),
    "9112-7.1.2 space before the colon": with_trailer(b"X : y\r\n"),
    "9112-7.1.2 space in the name": with_trailer(b"X y: z\r\n"),
    "9112-7.1.2 folded": with_trailer(b"X: y\r\n z\r\n"),
    "9112-7.1.2 begins with a space": with_trailer(b" X: y\r\n"),
    "9112-7.1.2 ends with LF": with_trailer(b"X: y\n"),
    "9112-7.1.2 bare CR": with_trailer(b"X: y\rz\r\n"),
    "9112-7.1.2 NUL": with_trailer(b"X: \0\r\n"),
    "9112-7.1.2 a request line (Trailer merge)": with_trailer(b"GET /x HTTP/1.1\r\n"),
    "9112-7.1.2 100 kB": with_trailer(b"X: y\r\n" * 17_000),
    "9112-7.1.2 one of 9 kB": with_trailer(b"X: " + b"y" * 9_000 + CRLF),
}

BAD_BODIES = {**SIZES, **ENDS, **TRAILERS}


@pytest.fixture(scope="module")
def front(tmp_path_factory):
    made = Front(tmp_path_factory.mktemp("bodies"))
    yield made
    made.close()


@pytest.mark.parametrize("sent", BAD_BODIES.values(), ids=BAD_BODIES.keys())
def test_bad_chunks_are_refused_and_nothing_reaches_the_model(front, sent):
    """Guards: a body that comes with its fault is not begun to be forwarded."""
    assert_refused(front.run(sent), 400)


@pytest.mark.parametrize("sent", BAD_BODIES.values(), ids=BAD_BODIES.keys())
def test_bad_chunks_that_come_late_never_complete_a_request(front, sent):
    """Guards: of a body that streams the model may have seen the beginning, and never an end."""
    head = post(b"Transfer-Encoding: chunked\r\n", b"", b"POST /upstream/a/late HTTP/1.1")
    begun = front.engine.count("request POST /late")
    answered = front.engine.count("answered")
    with front.corral.connect() as connection:

        def act():
            connection.send(head + chunked(b"first")[: -len(LAST)])
            poll_until(lambda: front.engine.count("request POST /late") > begun, what="the head")
            connection.try_send(sent[sent.index(CRLF * 2) + 4 :])
            connection.try_send(SMUGGLED)
            return connection.read_response()

        answer, received = front.received_by(act)
        assert (answer.status, answer.field("Connection")) == (400, "close")
        assert connection.read_until_closed() == b""
    assert front.engine.count("answered") == answered + 1  # the barrier
    assert LAST not in received and b"smuggled" not in received


CLEAN_BODIES = {
    "9112-7.1 upper-case size": (sized(HEX.upper()), chunked_up(BODY)),
    "9112-7.1 zeros before the sizes": (
        raw_chunks(b"000" + CHUNK + b"000\r\n\r\n"), chunked_up(BODY)),
    "9112-7.1 16 digits": (sized(HEX.rjust(16, b"0")), chunked_up(BODY)),
    "9112-7.1 one-byte chunks": (
        raw_chunks(chunked(*[bytes([byte]) for byte in BODY])), None),
    "9112-7.1 CRLF in the data": (
        raw_chunks(chunked(BODY[:1] + CRLF * 2, CRLF + BODY[1:])), None),
    "9112-7.1 a last chunk in the data": (
        raw_chunks(chunked(b'{"model":"a","x":"', LAST.replace(CRLF, b" "), b'"}')), None),
    "9112-7.1.1 extension": (with_extension(b";a=b"), chunked_up(BODY)),
    "9112-7.1.1 extension without a value": (with_extension(b";a;b"), chunked_up(BODY)),
    "9112-7.1.1 quoted": (with_extension(b';a="b;' + SLASH + b'"c"'), chunked_up(BODY)),
    "9112-7.1.1 spaces": (with_extension(b" ; a = b ;c"), chunked_up(BODY)),
    "9112-7.1.1 extension of the last chunk": (raw_chunks(CHUNK + b"0;a=b\r\n\r\n"),
                                               chunked_up(BODY)),
    "9110-6.5 trailers are dropped": (with_trailer(b"X-T: 1\r\nY:\r\n"), chunked_up(BODY)),
    "9110-6.5.1 trailer Content-Length": (with_trailer(CL + b"500\r\n"), chunked_up(BODY)),
    "9110-6.5.1 trailer Transfer-Encoding": (
        with_trailer(b"Transfer-Encoding: gzip\r\n"), chunked_up(BODY)),
    "9110-6.5.1 trailers Host and Authorization": (
        with_trailer(b"Host: evil\r\nAuthorization: x\r\n"), chunked_up(BODY)),
    "9110-6.6.2 announced trailers": (
        raw_chunks(CHUNK + b"0\r\nX-T: 1\r\n\r\n", b"Trailer: X-T\r\n"), chunked_up(BODY)),
}


def payload(request):
    """The body of a raw request without its framing."""
    body = request.split(CRLF * 2, 1)[1]
    out = b""
    while size := int(body[: body.index(CRLF)].split(b";")[0], 16):
        body = body[body.index(CRLF) + 2 :]
        out, body = out + body[:size], body[size + 2 :]
    return out


@pytest.mark.parametrize("sent,up", CLEAN_BODIES.values(), ids=CLEAN_BODIES.keys())
def test_chunks_reach_the_model_as_they_mean_and_never_as_they_looked(front, sent, up):
    """Guards: sizes are written anew, extensions and trailers end here."""
    outcome = front.run(sent)
    assert outcome.statuses == [200, 200], outcome.answers
    received, second = without_own_fields(outcome.received)
    assert second == SMUGGLED_UP
    assert received == up or (up is None and payload(received) == payload(sent))


@pytest.mark.parametrize("size", [1, 2, 7])
def test_where_a_request_is_cut_does_not_matter(front, size):
    """Guards: heads and chunks that come in pieces of any size are the same requests."""
    sent = with_extension(b';a="b"') + post(CL + N + CRLF) + with_trailer(b"X: y\r\n") + SMUGGLED
    with front.corral.connect() as connection:

        def act():
            for start in range(0, len(sent), size):
                connection.send(sent[start : start + size])
            return [connection.read_response().status for _ in range(4)]

        statuses, received = front.received_by(act)
    assert statuses == [200] * 4
    chunked_one, with_a_length, second_chunked, smuggled = without_own_fields(received)
    assert payload(chunked_one) == payload(second_chunked) == BODY
    assert (with_a_length, smuggled) == (length_up(), SMUGGLED_UP)


# Every place at which a request may break off, and what may come back: nothing, or a refusal.
WHOLE = raw_chunks(HEX + b";a=b\r\n" + BODY + b"\r\n0\r\nX: y\r\n\r\n")
HEAD_END = WHOLE.index(CRLF * 2) + 4
CUTS = sorted({1, 5, 20, HEAD_END - 3, HEAD_END - 1, *range(HEAD_END, len(WHOLE))})


@pytest.mark.parametrize("at", CUTS)
def test_a_request_that_is_cut_off_is_never_run(front, at):
    """Guards: RFC 9112 §8, an incomplete request is not forwarded as a whole one, wherever the
    client's end comes; and nobody waits for the rest."""
    answered = front.engine.count("answered")
    with front.corral.connect() as connection:

        def act():
            connection.send(WHOLE[:at])
            connection.finish_sending()
            return connection.read_until_closed()

        answer, received = front.received_by(act)
    assert answer == b"" or b" 400 " in answer.split(CRLF)[0]
    assert front.engine.count("answered") == answered + 1  # the barrier
    assert LAST not in received


@pytest.mark.parametrize("length", [len(BODY) + 1, 100, 1 << 32, (1 << 32) + len(BODY)])
def test_a_body_that_is_shorter_than_its_length_is_never_run(front, length):
    """Guards: RFC 9112 §6.3 item 6; the last of these lengths is right in 32 bits."""
    answered = front.engine.count("answered")
    with front.corral.connect() as connection:

        def act():
            connection.send(post(CL + b"%d" % length + CRLF))
            connection.finish_sending()
            return connection.read_until_closed()

        answer, _ = front.received_by(act)
    assert b" 200 " not in answer
    assert front.engine.count("answered") == answered + 1


# Several requests at once: what is sent, the statuses, and what the model sees.
A, B = get(target=b"/upstream/a/1"), get(target=b"/upstream/a/2")
A_UP, B_UP = get_up(target=b"/1"), get_up(target=b"/2")
PIPELINES = {
    "9112-9.3.2 in order": (A + with_length() + B, [200, 200, 200, 200],
                            [A_UP, length_up(), B_UP, SMUGGLED_UP]),
    "9112-9.3.2 local and relayed": (get(target=b"/health") + A + get(target=b"/nope") + B,
                                     [200, 200, 404, 200, 200], [A_UP, B_UP, SMUGGLED_UP]),
    "9112-9.3.2 a bad one in the middle ends it": (A + get(host=b"") + B, [200, 400], [A_UP]),
    "9112-9.3.2 a bad chunk in the middle ends it": (A + sized(b"zz") + B, [200, 400], [A_UP]),
    "9112-9.6 close in the middle ends it": (
        A + get(b"Connection: close\r\n") + B, [200, 200], [A_UP, get_up()]),
    "9112-2.2 an empty line between": (A + CRLF + B, [200, 200, 200],
                                       [A_UP, B_UP, SMUGGLED_UP]),
    "9112-2.2 CRLF too many behind a body": (with_length() + CRLF + A, [200, 200, 200],
                                             [length_up(), A_UP, SMUGGLED_UP]),
    "9112-6.3 bytes behind a body are the next request": (
        with_length() + b"x" + A, [200, 501], [length_up()]),
    "9110-9.3.8 TRACE is not relayed": (get(method=b"TRACE") + A, [405, 200, 200],
                                        [A_UP, SMUGGLED_UP]),
    "9110-9.3.7 OPTIONS * is not relayed": (
        get(target=b"*", method=b"OPTIONS") + A, [None, 200, 200], [A_UP, SMUGGLED_UP]),
    "9110-9.3.2 HEAD": (get(method=b"HEAD") + A, [200, 200, 200],
                        [get_up(method=b"HEAD"), A_UP, SMUGGLED_UP]),
    "9110-9.3.2 HEAD of our own": (get(target=b"/health", method=b"HEAD") + A, [200, 200, 200],
                                   [A_UP, SMUGGLED_UP]),
}


@pytest.mark.parametrize("sent,statuses,up", PIPELINES.values(), ids=PIPELINES.keys())
def test_requests_that_come_together_are_answered_one_by_one(front, sent, statuses, up):
    """Guards: pipelining, in order, and nothing behind a fault or an end."""
    methods = ["HEAD"] if sent.startswith(b"HEAD") else []
    outcome = front.run(sent, methods)
    assert len(outcome.answers) == len(statuses), outcome.answers
    for answer, status in zip(outcome.answers, statuses):
        assert status is None or answer.status == status, outcome.answers
    assert without_own_fields(outcome.received) == up


@pytest.mark.parametrize("target", [b"/health", b"/nope", b"/v1/models", b"/running"])
@pytest.mark.parametrize("chunks", [False, True], ids=["length", "chunked"])
def test_the_body_of_a_request_that_is_answered_here_is_not_a_request(front, target, chunks):
    """Guards: CL.0, RFC 9112 §9.3: a body that nobody wants is read or the connection ends; it is
    never run."""
    body = SMUGGLED * 2
    field = b"Transfer-Encoding: chunked\r\n" if chunks else CL + b"%d\r\n" % len(body)
    outcome = front.run(get(field, target) + (chunked(body) if chunks else body))
    received = without_own_fields(outcome.received)
    assert received in ([], [SMUGGLED_UP]), "a request inside a body was run"
    assert len(outcome.answers) - 1 == len(received)
    assert received or outcome.closed


EXPECTING = b"Expect: 100-continue\r\n" + CL + N + CRLF


def test_a_client_that_waits_is_told_to_go_on_once(front):
    """Guards: RFC 9110 §10.1.1, and that the model gets no expectation."""
    with front.corral.connect() as connection:

        def act():
            connection.send(post(EXPECTING, b""))
            assert connection.read_head().status == 100
            connection.send(BODY)
            answer = connection.read_response()
            assert (answer.status, answer.interim) == (200, [])
            return None

        _, received = front.received_by(act)
    assert without_own_fields(received) == [length_up()]


@pytest.mark.parametrize("sent,status", [
    (post(EXPECTING, b"", b"POST /nope HTTP/1.1"), 404),
    (post(EXPECTING + b"Host: twice\r\n", b""), 400),
    (post(b"Expect: 100-continue\r\n" + CL + b"999999999\r\n", b"",
          b"PUT /api/profiles/active HTTP/1.1"), 413),
], ids=["no such path", "bad Host", "too large"])
def test_a_client_that_waits_for_a_refusal_is_not_told_to_go_on(front, sent, status):
    """Guards: RFC 9110 §10.1.1, a body that nobody wants is not asked for, and not waited for."""
    with front.corral.connect() as connection:
        connection.send(sent)
        answer = connection.read_response()
        assert (answer.status, answer.interim) == (status, [])
        assert answer.field("Connection") == "close"
        assert connection.read_until_closed() == b""


@pytest.mark.parametrize("deep", [b'{"x":' + b"[" * 100_000, b"[" * 10**6, b'{"a":' * 50_000])
def test_deep_json_is_refused(front, deep):
    """Guards: llama-server #27434, deep nesting kills parsers; it is stopped at the door."""
    answer, received = front.received_by(lambda: front.corral.post("/v1/completions", deep))
    assert answer.status in (400, 413) and received == b""


def test_a_fault_behind_the_model_name_is_found_before_the_model_sees_it(front):
    """Guards: what has come of a body is looked at to its end, not to the model's name."""
    for body in (b'{"model":"a","x":}', b'{"model":"a"}{}', b'{"model":"a","model":"b"}'):
        answer, received = front.received_by(
            lambda body=body: front.corral.post("/v1/completions", body))
        assert (answer.status, received) == (400, b"")


def test_a_model_named_twice_is_never_two_things(yard):
    """Guards: llama-server takes the last `model`; Corral must not route by another one."""
    yard.engine("a"), yard.engine("b")
    corral = yard.serve()
    for first, last in (("a", "b"), ("b", "a")):
        answer = corral.post("/v1/completions", f'{{"model":"{first}","model":"{last}"}}')
        assert answer.status == 400 or answer.json()["model"] == last, answer


@pytest.mark.parametrize("target,statuses", [
    (b"//upstream/a/page", {307}), (b"/v1/../upstream/a/page", {307}), (b"/upstream/..", {400}),
    (b"/upstream/a/../../etc/passwd", {400}), (b"/../upstream/a/page", {400}),
    (b"/%2e%2e/upstream/a/page", {400}), (b"/v1/..%2fupstream/a/page", {400}),
    (b"/upstream%2fa/page", {404}), (b"/upstream/a/%", {400}), (b"/upstream/a/%4", {400}),
    (b"/upstream/a/%zz", {400}), (b"/upstream/a/%00", {400}), (b"/upstream/a/x\\..\\y", {400}),
    (b"/v1/%5c..%5cx", {400}), (b"/upstream/a/\xff", {400}), (b"/upstream/a/\xc0\xaf", {400}),
    (b"/UPSTREAM/a/page", {404}), (b"/upstream;x/a/page", {404}), (b"/upstream/b/page", {404}),
])
def test_odd_targets_are_answered_here_and_reach_nobody(front, target, statuses):
    """Guards: RFC 3986 §5.2.4, §6.2.2: a path has one normal form or is none; what is refused or
    redirected is answered cleanly, and the connection goes on."""
    outcome = front.run(get(target=target))
    assert outcome.answers[0].status in statuses, outcome.answers
    assert outcome.statuses[1:] == [200] and without_own_fields(outcome.received) == [SMUGGLED_UP]
    location = outcome.answers[0].field("Location")
    assert location in (None, "/upstream/a/page")


@pytest.mark.parametrize(
    "name",
    ["x\r\nX-Inj: 1", "<script>", "%s%n%n", "$(touch pwned)", "../../etc/passwd", "m" * 10**6],
    ids=lambda name: name[:20].encode("unicode_escape").decode(),
)
def test_hostile_model_names_stay_inside_the_json(front, name):
    """Guards: a name from a request appears in an answer only escaped, and never in a head."""
    answer = front.corral.post("/v1/completions", {"model": name})
    assert answer.status in (400, 404, 413), answer
    assert answer.field("X-Inj") is None
    assert answer.field("Content-Type").startswith("application/json")
    assert len(answer.body) < 64 << 10
    answer.json()
