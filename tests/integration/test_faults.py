"""A model that breaks in the middle is told as what it is: 502 with the reason while nothing was
sent, a visibly cut answer afterwards, and never a clean end of what was not finished."""

import random

import pytest
from corral_harness import poll_until
from corral_http import make_request
from corral_processes import is_alive, open_descriptors, resident_bytes

ASK = make_request("POST", "/v1/completions", {"model": "a"})
ASK_STREAM = make_request("POST", "/v1/chat/completions", {"model": "a", "stream": True})


def serve_raw(yard, raw, **more):
    """A model whose every answer is exactly these bytes, then the end of the connection."""
    file = yard.folder / "raw-response"
    file.write_bytes(raw)
    yard.engine("a", raw_response=file, **more)
    return yard.serve()


@pytest.mark.parametrize(
    "script,told", [({"exit_code": 7}, "exit status 7"), ({"signal": 11}, "signal 11")]
)
def test_a_model_that_dies_before_it_answers_is_502_with_its_end(yard, script, told):
    """The client learns that and how the model ended; the next request starts it again."""
    engine = yard.engine("a", die_on_request=True, **script)
    corral = yard.serve()
    for number in (1, 2):
        answer = corral.chat("a")
        assert answer.status == 502, answer
        assert answer.error["type"] == "server_error"
        assert told in answer.error["message"]
        assert len(engine.starts) == number
    assert corral.get("/health").status == 200


def test_a_model_that_dies_in_a_stream_cuts_the_stream(yard):
    """No last chunk, no [DONE]: the client can tell a cut stream from a finished one."""
    engine = yard.engine("a", die_mid_stream=True, tokens=10)
    corral = yard.serve()
    with corral.connect() as connection:
        connection.send(ASK_STREAM)
        answer = connection.read_response()
        assert answer.status == 200
        assert b"token4" in answer.body and b"[DONE]" not in answer.body
        assert not answer.complete
        assert connection.read_until_closed() == b""
    poll_until(lambda: corral.running() == {}, what="the death to be noticed")
    assert not is_alive(engine.starts[0])


def test_a_chunk_that_is_cut_cuts_the_stream(yard):
    """The model's connection ended inside a chunk: so does the client's."""
    yard.engine("a", cut_mid_chunk=True)
    corral = yard.serve()
    with corral.connect() as connection:
        connection.send(ASK_STREAM)
        answer = connection.read_response()
        assert b"token0" in answer.body and not answer.complete
        assert connection.read_until_closed() == b""
    assert corral.running() == {"a": "ready"}


def test_a_body_that_is_shorter_than_its_length_is_cut(yard):
    """The promised length is not filled up and not shortened."""
    raw = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this"
    with serve_raw(yard, raw).connect() as connection:
        answer = connection.send(ASK).read_response()
    assert answer.status in (200, 502)
    assert answer.status == 502 or (not answer.complete and answer.body == b"only this")


def test_a_body_that_ends_with_the_connection_is_whole(yard):
    """Close-delimited answers are legal; the client gets them with framing of its own."""
    yard.engine("a", no_content_length=True, tokens=20)
    corral = yard.serve()
    with corral.connect() as connection:
        answer = connection.send(ASK).read_response()
        assert answer.complete and answer.json()["model"] == "a"
        answer = connection.send(ASK_STREAM).read_response()
        assert answer.complete and answer.body.endswith(b"[DONE]\n\n")
        assert connection.request("GET", "/health").status == 200


MALFORMED = {
    "nothing at all": b"",
    "not HTTP": b"\x01\x02 this is not HTTP\r\n\r\n",
    "half a head": b"HTTP/1.1 200 OK\r\nContent-Len",
    "both framings (RFC 9112 6.3)": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    "two lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok!",
    "negative length": b"HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\nok",
    "length with sign": b"HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\nok",
    "length beyond 2^64": b"HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551618\r\n\r\nok",
    "unknown transfer coding": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nok",
    "chunked twice": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
    "status 99": b"HTTP/1.1 99 Low\r\nContent-Length: 0\r\n\r\n",
    "status 1000": b"HTTP/1.1 1000 High\r\nContent-Length: 0\r\n\r\n",
    "status text": b"HTTP/1.1 abc OK\r\nContent-Length: 0\r\n\r\n",
    "HTTP/3.0": b"HTTP/3.0 200 OK\r\nContent-Length: 0\r\n\r\n",
    "a field without colon": b"HTTP/1.1 200 OK\r\nNoColon\r\nContent-Length: 0\r\n\r\n",
    "space before the colon": b"HTTP/1.1 200 OK\r\nContent-Length : 2\r\n\r\nok",
    "NUL in a field": b"HTTP/1.1 200 OK\r\nX: a\0b\r\nContent-Length: 0\r\n\r\n",
    "bare CR in a field": b"HTTP/1.1 200 OK\r\nX: a\rY: b\r\nContent-Length: 0\r\n\r\n",
    "101 nobody asked for": b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n"
    b"Connection: upgrade\r\n\r\n",
    "a 256 KiB field": b"HTTP/1.1 200 OK\r\nX: " + b"h" * (256 << 10) + b"\r\n\r\n",
    "10 000 fields": b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 10_000 + b"Content-Length: 0\r\n\r\n",
}


@pytest.mark.parametrize("raw", MALFORMED.values(), ids=MALFORMED.keys())
def test_an_answer_that_is_not_clean_http_is_502(yard, raw):
    """What the model sends is checked like what a client sends; nothing of it is passed on."""
    corral = serve_raw(yard, raw)
    with corral.connect() as connection:
        answer = connection.send(ASK).read_response()
        assert answer.status == 502, answer
        assert answer.error["type"] == "server_error"
    assert corral.get("/health").status == 200
    assert corral.running() == {"a": "ready"}, "a bad answer is no reason to stop the model"


@pytest.mark.parametrize("script", ["garbage", "huge_header"])
def test_scripted_bad_answers_are_502(yard, script):
    """The same from an engine that goes on living between two bad answers."""
    yard.engine("a", **{script: True})
    corral = yard.serve()
    for _ in range(3):
        answer = corral.post("/v1/completions", {"model": "a"})
        assert answer.status == 502 and answer.error["type"] == "server_error"


@pytest.mark.parametrize(
    "chunk",
    [
        b"zz\r\nok\r\n",
        b"-2\r\nok\r\n",
        b"2\r\nokXX0\r\n\r\n",
        b"10000000000000002\r\nok\r\n0\r\n\r\n",
    ],
)
def test_bad_chunks_in_an_answer_cut_it(yard, chunk):
    """A chunk that cannot be read is not guessed: what came before may be sent, never an end."""
    raw = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n" + chunk
    with serve_raw(yard, raw).connect() as connection:
        answer = connection.send(ASK).read_response()
        assert answer.status == 502 or not answer.complete, answer
        connection.read_until_closed() if answer.status == 200 else None


def test_interim_answers_do_not_replace_the_final_one(yard):
    """RFC 9110 §15.2: 1xx answers come before the real one; 100 and 103 are not the answer."""
    raw = (
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
    )
    with serve_raw(yard, raw).connect() as connection:
        answer = connection.send(ASK).read_response()
    assert (answer.status, answer.body) == (200, b"ok")


def test_bytes_after_an_answer_reach_nobody(yard):
    """What a model sends beyond its answer belongs to no request: the next one gets its own."""
    raw = (
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
        b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\npoisoned"
    )
    corral = serve_raw(yard, raw, linger=True)
    with corral.connect() as connection:
        for _ in range(5):
            answer = connection.send(ASK).read_response()
            assert (answer.status, answer.body) == (200, b"ok")


@pytest.mark.parametrize(
    "status,length", [(204, b""), (204, b"Content-Length: 0\r\n"), (304, b"Content-Length: 5\r\n")]
)
def test_answers_without_a_body_have_none(yard, status, length):
    """RFC 9110 §6.4.1: these end after the head; the length of a 304 is that of another answer."""
    raw = b"HTTP/1.1 %d X\r\n%s\r\n" % (status, length)
    with serve_raw(yard, raw).connect() as connection:
        answer = connection.send(ASK).read_response()
        assert (answer.status, answer.body) == (status, b"")
        assert connection.request("GET", "/health").status == 200


def test_an_answer_that_comes_before_the_upload_ends_reaches_the_client(yard):
    """llama-server refuses a bad upload early; the refusal must not drown in the upload."""
    yard.engine("a", early_400=True)
    corral = yard.serve()
    body = b'{"model":"a","prompt":"' + b"x" * (30 << 20) + b'"}'
    with corral.connect(60) as connection:
        connection.send(
            make_request("POST", "/v1/completions", None, [("Content-Length", str(len(body)))])
        )
        connection.socket.settimeout(60)
        for start in range(0, len(body), 1 << 16):
            if not connection.try_send(body[start : start + (1 << 16)]):
                break
        answer = connection.read_response()
    assert answer.status == 400, answer
    assert answer.json()["error"]["message"] == "early"


def test_a_client_that_reads_slowly_gets_everything(yard):
    """Back-pressure reaches the model; nothing is dropped and memory stays bounded."""
    size = 64 << 20
    raw = yard.folder / "raw-response"
    with open(raw, "wb") as file:
        file.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
        file.write(b"0123456789abcdef" * (size // 16))
    yard.engine("a", raw_response=raw)
    corral = yard.serve()
    corral.get("/upstream/a/warm")
    before = resident_bytes(corral.server_pid)
    with corral.connect(60) as connection:
        connection.send(ASK)
        response = connection.read_head()
        most = 0
        received = len(connection.buffer)
        connection.buffer = b""
        while received < size:
            piece = connection.socket.recv(1 << 16)
            assert piece, received
            received += len(piece)
            most = max(most, resident_bytes(corral.server_pid))
    assert (response.status, received) == (200, size)
    assert most - before < 24 << 20, (before, most)


def test_a_model_that_is_killed_while_many_stream_cuts_them_all(yard):
    """Every client of a dying model sees its own stream cut; the next request works."""
    engine = yard.engine("a", {"concurrencyLimit": 50}, gate=True)
    corral = yard.serve()
    held = []
    for _ in range(20):
        connection = corral.connect()
        connection.send(ASK_STREAM)
        held.append((connection, connection.read_head()))
    corral.signal(9, engine.starts[0])
    for connection, response in held:
        connection.read_body(response)
        assert not response.complete
        connection.close()
    engine.open_gate(10)
    assert corral.chat("a").status == 200
    assert len(engine.starts) == 2


def test_a_kept_connection_that_the_model_closed_costs_no_request(yard):
    """llama-server closes idle connections when it likes: a request that meets such a one was not
    answered by anybody and goes out again on a fresh connection."""
    engine = yard.engine("a", close_after=True)
    corral = yard.serve()
    for number in range(100):
        answer = corral.post("/v1/completions", {"model": "a", "n": number})
        assert answer.status == 200, (number, answer)
    for number in range(20):  # a body that is still coming cannot be sent twice
        answer = corral.post("/v1/completions", {"model": "a", "prompt": "x" * 300_000})
        assert answer.status == 200, (number, answer)
    assert len(engine.requests) == 120


@pytest.mark.parametrize(
    "framing,body",
    [
        (("Content-Length", "100000"), b'{"model":"a","prompt":"' + b"x" * 40_000),
        (("Transfer-Encoding", "chunked"), b'11\r\n{"model":"a","p":\r\n8\r\n"xxxxxx"\r\n'),
    ],
    ids=["length", "chunked"],
)
def test_an_upload_that_the_client_breaks_off_is_never_run(yard, framing, body):
    """RST in the middle of a body: the model must not take the half for the whole."""
    engine = yard.engine("a")
    corral = yard.serve()
    corral.get("/upstream/a/warm")
    with corral.connect() as connection:
        connection.send(make_request("POST", "/v1/completions", body, [framing]))
        poll_until(lambda: engine.count("request POST") == 1, what="the upload upstream")
        connection.reset()
    assert corral.get("/upstream/a/barrier").status == 200
    assert engine.count("answered /v1/completions") == 0


def test_clients_that_leave_at_any_moment_leak_nothing(yard):
    """Three hundred clients break off somewhere between connecting and reading; afterwards every
    descriptor is back and every place in the queue free."""
    yard.engine("a", {"concurrencyLimit": 4}, tokens=30, interval="1ms")
    corral = yard.serve()
    assert corral.chat("a").status == 200
    before = len(open_descriptors(corral.server_pid))
    chance = random.Random(7)
    body = {"model": "a", "stream": True, "prompt": "x" * 2000}
    request = make_request("POST", "/v1/completions", body)
    for _ in range(300):
        connection = corral.connect()
        connection.try_send(request[: chance.randrange(len(request) + 500)])
        if chance.random() < 0.5:
            connection.has_bytes_within(chance.random() / 50)
        if chance.random() < 0.5:
            connection.reset()
        else:
            connection.close()
    poll_until(
        lambda: len(open_descriptors(corral.server_pid)) <= before, what="descriptors to be closed"
    )

    def all_places_are_free():
        held = [corral.connect() for _ in range(4)]
        for connection in held:
            connection.send(request)
        answers = [connection.read_response() for connection in held]
        for connection in held:
            connection.close()
        return all(answer.status == 200 and answer.complete for answer in answers)

    poll_until(all_places_are_free, what="the places of those who left")
    assert corral.running() == {"a": "ready"}
